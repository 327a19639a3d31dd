"""Measure row scores of outliers against pyod and scikit-learn: equal, fast, and right about known outliers.

    python benchmarks/outliers.py [--quick] [--rounds N] [--adbench FOLDER] [--only equality|speed|quality]

First scores are checked to be equal to the peers', to 1e-6: nothing is timed otherwise. Then each
measurement is a fresh process that makes the same rows, warms up on 1,000 of them, and times the scores of
all; its peak memory is that of the whole process. Candidates take turns; times are medians over the
rounds. Beside it stands the time of our whole stage: the table read, threshold, plan and reasons.

Quality is the mean ROC AUC and average precision over labeled sets: those of `datasets.LABELED_OUTLIERS`
whose packages are installed, and ADBench's .npz files in the folder given. All detectors, ours and pyod's,
get the same standardized rows. Its bars are held where none of these sets is missing; otherwise the table
is printed, over the sets that are there and a few made of scikit-learn's own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from bars import Bar, conclude

WIDTH, NEIGHBORS, CLOSE = 20, 20, 1e-6
ROWS = {"ecod": 100_000, "forest": 100_000, "kth": 20_000, "lof": 20_000}
PEERS = {
    "ecod": ("pyod",),
    "forest": ("sklearn", "pyod"),
    "kth": ("sklearn", "pyod"),
    "lof": ("sklearn", "pyod"),
}
GOAL = {"ecod": 3.0}
"""How many times as fast as pyod; the others are told, and held to no bar."""

Score = Callable[[np.ndarray], np.ndarray]


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one round, small sets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--adbench", metavar="FOLDER", help="where ADBench's .npz files lie")
    parser.add_argument("--only", choices=["equality", "speed", "quality"])
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "WHO", "ROWS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    # pyod warns of its own future.
    warnings.filterwarnings("ignore", category=FutureWarning)
    if asked.child:
        what, who, rows = asked.child
        print(json.dumps(measure(what, who, int(rows))))
        return 0
    if asked.adbench:
        os.environ["TILTH_ADBENCH"] = asked.adbench
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    if asked.only in (None, "equality", "speed"):
        bars += equality_bars(asked.quick)
    if asked.only in (None, "speed"):
        bars += speed_bars(asked.quick, 1 if asked.quick else asked.rounds, figures)
    if asked.only in (None, "quality"):
        from outlier_quality import quality_bars

        bars += quality_bars(asked.quick, figures)
    return conclude("outliers" if asked.only is None else f"outliers-{asked.only}", bars, figures)


def equality_bars(quick: bool) -> list[Bar]:
    """Compare scores with the peers', and stop where they differ."""
    bars = []
    # In a process of its own: a child's peak memory begins with what its parent holds.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        differences = one.submit(find_differences, quick).result()
    for (what, who), away in differences.items():
        bars.append(Bar(f"outliers.{what}/{who}.difference", away, CLOSE, away <= CLOSE))
        if not away <= CLOSE:
            raise SystemExit(f"{what}: the scores differ from {who}'s by {away:g}; nothing is compared")
    return bars


def find_differences(quick: bool) -> dict[tuple[str, str], float]:
    """Return the largest difference of our scores to each peer's."""
    found = {}
    for what, peers in PEERS.items():
        if what == "forest":
            continue  # the same trees, on other draws of rows
        X = make(max(2000, ROWS[what] // (10 if quick else 1)))
        own = whole(what)(X)
        found |= {(what, who): float(np.abs(own - candidate(what, who)(X)).max()) for who in peers}
    return found


def speed_bars(quick: bool, rounds: int, figures: dict[str, Any]) -> list[Bar]:
    """Time each detector and its peers, in turns."""
    bars = []
    for what, peers in PEERS.items():
        rows = ROWS[what] // (10 if quick else 1)
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            for who in ("tilth", "stage", *peers):
                command = [sys.executable, __file__, "--child", what, who, str(rows)]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                found.setdefault(who, []).append(json.loads(out))
        seconds = {who: median(r["seconds"] for r in runs) for who, runs in found.items()}
        peak = {who: max(r["peak_mb"] for r in runs) for who, runs in found.items()}
        figures[what] = {
            "rows": rows,
            "columns": WIDTH,
            "rounds": rounds,
            "seconds": seconds,
            "peak_mb": peak,
        }
        told = "; ".join(f"{who} {seconds[who]:.3f} s, {peak[who]:.0f} MB" for who in found)
        print(f"{what:7} {rows:,} x {WIDTH}: {told}", flush=True)
        for who in peers:
            ratio = round(seconds[who] / seconds["tilth"], 2)
            figures[what][f"faster_than_{who}"] = ratio
            if who == "pyod" and what in GOAL:
                # Threads and libraries cost the same on few rows as on many.
                goal = 1.0 if quick else GOAL[what]
                bars.append(Bar(f"outliers.{what}/{who}.speed", ratio, goal, ratio >= goal))
    return bars


def measure(what: str, who: str, rows: int) -> dict[str, float]:
    """Time the scores of all rows in this process."""
    X = make(rows)
    run = whole(what) if who == "stage" else scorer(what, X) if who == "tilth" else candidate(what, who)
    run(X[:1000])
    start = time.perf_counter()
    run(X)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def make(rows: int) -> np.ndarray:
    """Return the same skewed, correlated numbers in every process, standardized, a few rows far out."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 5)) @ rng.standard_normal((5, WIDTH)) + rng.standard_normal((rows, WIDTH))
    X[:, ::4] = np.exp(X[:, ::4] / 2)
    X[: rows // 100] *= 4
    return (X - X.mean(0)) / X.std(0)


def ours(what: str) -> Any:
    """Return our stage, set up as the peers are."""
    from tilth.stages import stage

    told = {"kth": {"method": "kth"}, "lof": {"method": "lof"}, "forest": {"n_estimators": 100}}
    key = "neighbors" if what in ("kth", "lof") else what
    more = {"n_neighbors": NEIGHBORS} if key == "neighbors" else {}
    return stage(f"outliers.{key}", action="report", threshold=0.01, **told.get(what, {}), **more)


def whole(what: str) -> Score:
    """Return the scores as a user gets them: from a plan, with threshold and reasons."""
    return lambda X: -ours(what).fit(X).plan_.score


def scorer(what: str, X: np.ndarray) -> Score:
    """Return the scores alone, as the peers give them: of a matrix."""
    from tilth.stages.reading import Reading
    from tilth.statistics import Statistics

    frame = pl.DataFrame(X[:1000], schema=[f"x{i}" for i in range(WIDTH)])
    reading = Reading.learn(Statistics([frame.lazy()]), frame.columns, "none")
    made = ours(what)
    return lambda rows: made.measure(reading, rows)


def candidate(what: str, who: str) -> Score:
    """Return a peer's scores."""
    if who == "sklearn":
        from sklearn.ensemble import IsolationForest
        from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

        if what == "forest":
            return lambda X: -IsolationForest(random_state=0).fit(X).score_samples(X)
        if what == "lof":
            return lambda X: -LocalOutlierFactor(NEIGHBORS).fit(X).negative_outlier_factor_
        return lambda X: NearestNeighbors(n_neighbors=NEIGHBORS).fit(X).kneighbors()[0][:, -1]
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF

    peer: dict[str, Callable[[], Any]] = {
        "ecod": ECOD,
        "forest": lambda: IForest(random_state=0),
        "kth": lambda: KNN(n_neighbors=NEIGHBORS),
        "lof": lambda: LOF(n_neighbors=NEIGHBORS),
    }
    return lambda X: peer[what]().fit(X).decision_scores_


if __name__ == "__main__":
    sys.exit(main())
