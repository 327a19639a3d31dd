"""Time edited nearest neighbors and Tomek links beside imbalanced-learn's, for the same rows kept.

    python benchmarks/balance_clean.py [--quick]

Both are given the same array of 100,000 x 30 with 5 % in the smaller class, and take turns. That the rows
kept are the same is checked first: a ratio of times says nothing of different work.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median
from typing import Any

import numpy as np

from bars import Bar, conclude

ROWS, COLUMNS, ROUNDS = 100_000, 30, 3
QUICK_ROWS = 15_000
GOAL = 3.0
"""How many times as fast as imbalanced-learn."""


def enn(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Drop rows of the larger class of whose three nearest one is of the smaller."""
    from imblearn.under_sampling import EditedNearestNeighbours

    return _beside("enn", EditedNearestNeighbours, quick, figures)


def tomek(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Drop rows of the larger class that are linked with one of the smaller."""
    from imblearn.under_sampling import TomekLinks

    return _beside("tomek", TomekLinks, quick, figures)


def _beside(method: str, peer: Any, quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Check that both keep the same rows, then time both in turns."""
    from tilth.stages.balance.clean import BalanceClean

    X, y = make(QUICK_ROWS if quick else ROWS)
    few = slice(0, 1000)

    def ours(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        stage = BalanceClean(method=method, scale="none")  # type: ignore[arg-type]
        stage.fit_resample(X, y)
        return stage.sample_indices_

    def theirs(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        sampler = peer()
        sampler.fit_resample(X, y)
        return np.sort(sampler.sample_indices_)

    kept, seconds = {}, {"tilth": [], "imblearn": []}
    for _ in range(1 if quick else ROUNDS):
        for who, run in (("tilth", ours), ("imblearn", theirs)):
            run(X[few], y[few])
            start = time.perf_counter()
            kept[who] = run(X, y)
            seconds[who].append(time.perf_counter() - start)
    same = np.array_equal(kept["tilth"], kept["imblearn"])
    middle = {who: median(told) for who, told in seconds.items()}
    ratio = middle["imblearn"] / middle["tilth"]
    name = f"balance.{method}.{len(X)}x{COLUMNS}"
    print(
        f"{name}: {len(X) - len(kept['tilth'])} rows dropped by both in {middle['tilth']:.2f} s, "
        f"imbalanced-learn {middle['imblearn']:.2f} s"
        if same
        else f"{name}: the rows differ"
    )
    figures[method] = {
        "rows": len(X),
        "dropped": len(X) - len(kept["tilth"]),
        "seconds": middle,
        "runs": seconds,
    }
    return [
        Bar(f"{name}.same_rows", float(same), 1.0, same),
        # Fewer rows are no size to hold a ratio to.
        Bar(f"{name}.times_imblearn", ratio, GOAL, quick or ratio >= GOAL),
    ]


def make(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Make rows of which 5 % are of the smaller class, in two clusters each, 1 % of the labels drawn anew."""
    from sklearn.datasets import make_classification

    return make_classification(
        rows,
        COLUMNS,
        n_informative=10,
        n_redundant=5,
        n_clusters_per_class=2,
        weights=[0.95],
        flip_y=0.01,
        class_sep=1.0,
        random_state=0,
    )


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="15,000 rows, one round")
    quick = parser.parse_args().quick
    figures: dict[str, Any] = {}
    bars = enn(quick, figures) + tomek(quick, figures)
    return conclude("balance-clean", bars, figures)


if __name__ == "__main__":
    sys.exit(main())
