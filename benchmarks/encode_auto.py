"""Measure what encode.auto is worth beside one column of 0 and 1 for each level, on real tables.

    python benchmarks/encode_auto.py [--quick]

Each set is judged as it is published, by a linear probe and by boosting: *before* is encode.category with 50
levels at most (the rarest put together), as an audit proposes it; *after* is encode.auto. Both get the same
folds, and every stage is fitted within them. Printed are the paired differences of the set's first metric,
positive where encode.auto is better, with their corrected intervals. The bar: none lies below 0 as a whole.

A set whose package is absent is skipped with a printed line.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import tilth
from bars import Bar, conclude
from datasets import each

SETS = ("titanic", "credit_data", "adult", "house_prices", "ames", "reviews")
PROBES = ("linear", "boosting")


def main() -> int:
    """Measure, print, and return 1 where the bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="600 rows of three sets, folds once")
    asked = parser.parse_args()
    names, rows, repeats = (SETS[:3], 600, 1) if asked.quick else (SETS, 2000, 2)
    figures: dict[str, Any] = {}
    worse = 0
    for data in each(names, rows):
        before = tilth.EncodeCategory(max_levels=50, unseen="other")
        # Rating gives the target of the reviews away.
        X = data.X.drop("Rating", strict=False) if data.name == "reviews" else data.X
        done = tilth.compare(
            [before], [tilth.EncodeAuto()], X, data.y, probes=PROBES, folds=5, repeats=repeats, n_jobs=1
        )
        figures[data.name] = {}
        for probe in PROBES:
            told = next(v for v in done.verdicts if v.probe == probe)
            figures[data.name][probe] = {
                "metric": told.metric,
                "difference": told.difference,
                "low": told.low,
                "high": told.high,
                "word": told.word,
            }
            worse += told.high < 0
            print(
                f"{data.name:13} {probe:9} {told.metric:8} {told.difference:+.4f} "
                f"[{told.low:+.4f}, {told.high:+.4f}] {told.word}",
                flush=True,
            )
    return conclude("encode_auto", [Bar("encode.auto_surely_worse", worse, 0, worse == 0)], figures)


if __name__ == "__main__":
    sys.exit(main())
