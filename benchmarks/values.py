"""Measure what finding the worth of rows costs, which wrong labels it finds, and what a coreset loses.

    python benchmarks/values.py [--quick] [--only speed|finding|coresets] [--data FOLDER]

speed
    KNN-Shapley values of 50,000 x 32 rows by 4,000 others (1,000 with --quick), and of four fifths of them by
    the fifth that is left, beside one exact search for the 10 nearest: the same query, the same reference.
finding
    10, 20 and 30% of the labels of real sets made wrong: F1 of the lowest-valued share, as large as the share
    that is wrong (the protocol of OpenDataVal), for KNN-Shapley, Data-OOB and confident learning.
coresets
    Accuracy on held-out rows of probes trained on 30% of the rows by each method, on as many drawn by chance,
    and on all: what is lost, as figures without a bar.

A set whose package is absent is skipped with a printed line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bars import Bar, conclude
from value_quality import coreset_bars, finding_bars
from value_speed import speed_bars

PARTS: dict[str, Callable[..., list[Bar]]] = {
    "speed": speed_bars,
    "finding": finding_bars,
    "coresets": coreset_bars,
}


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows, sets, rates and seeds")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--data", metavar="FOLDER", type=Path, help="where the folder cifar10n lies")
    asked = parser.parse_args()
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    for part in PARTS if asked.only is None else (asked.only,):
        more = {"folder": asked.data} if part == "finding" else {}
        bars += PARTS[part](asked.quick, figures, **more)
    return conclude("values" if asked.only is None else f"values-{asked.only}", bars, figures)


if __name__ == "__main__":
    sys.exit(main())
