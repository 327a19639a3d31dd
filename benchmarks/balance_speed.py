"""Measure made rows against imbalanced-learn's: equal in distribution, fast, and small in memory.

    python benchmarks/balance_speed.py [--quick] [--rounds N] [--only smote|smotenc]

First the rows made are compared with imbalanced-learn's: the Kolmogorov-Smirnov statistic of each column, the
distances to the nearest row of the class, and for categories how often each is made. Nothing is timed where
they differ more than two samples of one distribution do. Then each measurement is a fresh process that makes
the same rows, warms up on a few of them, and times the rest; its peak memory is that of the whole process.
Candidates take turns; times are medians over the rounds.

For SMOTE, 'made' is the stage's arithmetic from array to array, as imbalanced-learn has it, and the bar is on
it; beside it stands the whole stage, in which rows go through a table with ids and plan. For SMOTENC the bars
are on the whole stage, from pandas to pandas.
"""

from __future__ import annotations

import argparse
import json
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

SHARE, NUMBERS, CATEGORIES = 0.05, {"smote": 30, "smotenc": 20}, 10
ROWS = {"smote": 100_000, "smotenc": 200_000}
QUICK = {"smote": 1, "smotenc": 5}
WHO = {"smote": ("imblearn", "made", "stage"), "smotenc": ("imblearn", "stage")}
"""Who is timed; the bar is on the second."""
GOAL = {"smote": 4.0, "smotenc": 5.0}
MEMORY_MB = 2048
BLOCK = 2048
LEVEL = 1e-4
"""Two samples of one distribution differ more than is let pass once in so many comparisons."""


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, and a fifth of the mixed rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["smote", "smotenc"])
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "WHO", "ROWS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        what, who, rows = asked.child
        print(json.dumps(measure(what, who, int(rows))))
        return 0
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    for what, part in (("smote", smote), ("smotenc", smotenc)):
        if asked.only in (None, what):
            bars += part(asked.quick, figures, asked.rounds)
    return conclude("balance-speed" if asked.only is None else f"balance-speed-{asked.only}", bars, figures)


def smote(quick: bool, figures: dict[str, Any], rounds: int = 5) -> list[Bar]:
    """Compare numbers made with those of imbalanced-learn's SMOTE, and time both."""
    return compared("smote", quick, figures, rounds)


def smotenc(quick: bool, figures: dict[str, Any], rounds: int = 5) -> list[Bar]:
    """Compare mixed rows made with those of imbalanced-learn's SMOTENC, and time both."""
    return compared("smotenc", quick, figures, rounds)


def compared(what: str, quick: bool, figures: dict[str, Any], rounds: int) -> list[Bar]:
    """Check that what is made is alike, then time it."""
    rows, rounds = (ROWS[what] // QUICK[what], 1) if quick else (ROWS[what], rounds)
    # In a process of its own: a child's peak memory begins with what its parent holds.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        worst = one.submit(alike, what, ROWS[what] // 5).result()
    if worst < LEVEL:
        raise SystemExit(f"{what}: the rows made are distributed otherwise (p {worst:.2g}); nothing is timed")
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for who in WHO[what]:
            command = [sys.executable, __file__, "--child", what, who, str(rows)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.setdefault(who, []).append(json.loads(out))
    seconds = {who: median(r["seconds"] for r in runs) for who, runs in found.items()}
    peak = {who: max(r["peak_mb"] for r in runs) for who, runs in found.items()}
    told = "; ".join(f"{who} {seconds[who]:.3f} s, {peak[who]:.0f} MB" for who in found)
    print(f"{what:8} {rows:,} rows, {SHARE:.0%} of them rare: {told}", flush=True)
    ratio = {who: round(seconds["imblearn"] / seconds[who], 2) for who in WHO[what][1:]}
    figures[what] = {
        "rows": rows,
        "rounds": rounds,
        "least_p": worst,
        "seconds": seconds,
        "peak_mb": peak,
        "faster": ratio,
    }
    # Libraries and threads cost the same on few rows as on many.
    goal = 1.0 if quick else GOAL[what]
    speed = ratio[WHO[what][1]]
    bars = [
        Bar(f"balance.{what}.same_p", worst, LEVEL, True),
        Bar(f"balance.{what}/imblearn.speed", speed, goal, speed >= goal),
    ]
    if what == "smotenc":
        bars.append(Bar(f"balance.{what}.peak_mb", peak["stage"], MEMORY_MB, peak["stage"] <= MEMORY_MB))
    return bars


def alike(what: str, rows: int) -> float:
    """Return the least p-value of all comparisons, each times how many there are (Bonferroni)."""
    from scipy.stats import chi2_contingency, ks_2samp
    from sklearn.neighbors import NearestNeighbors

    frame, y = make(what, rows)
    given = frame.to_pandas() if what == "smotenc" else frame.to_numpy()
    ours, theirs = (np.asarray(RUN[who](what, given, y))[rows:] for who in ("stage", "imblearn"))
    names = NUMBERS[what]
    numbers = [np.asarray(made[:, :names], dtype=float) for made in (ours, theirs)]
    # Rows of one base are alike: as many as there are bases count.
    bases = int((y == 1).sum())
    some = [made[np.random.default_rng(0).permutation(len(made))[:bases]] for made in numbers]
    values = [ks_2samp(one, two).pvalue for one, two in zip(some[0].T, some[1].T, strict=True)]
    known = frame.filter(pl.Series(y == 1)).to_numpy()[:, :names].astype(float)
    search = NearestNeighbors(n_neighbors=1).fit(known)
    values.append(ks_2samp(*(search.kneighbors(made)[0].ravel() for made in some)).pvalue)
    for place in range(names, ours.shape[1]):
        levels = np.unique(frame[:, place].to_numpy())
        counts = [[int((made[:, place] == level).sum()) for level in levels] for made in (ours, theirs)]
        table = np.array(counts)
        table = table[:, table.sum(axis=0) > 0]
        # The same bases, each many times: their number, not that of the rows, tells what is chance.
        values.append(chi2_contingency(table * (bases / len(ours))).pvalue if table.shape[1] > 1 else 1.0)
    return min(float(min(values) * len(values)), 1.0)


def measure(what: str, who: str, rows: int) -> dict[str, float]:
    """Time one candidate on all rows in this process."""
    frame, y = make(what, rows)
    given = frame.to_pandas() if what == "smotenc" else frame.to_numpy()
    run = RUN[who]
    run(what, given[:2000], y[:2000])
    start = time.perf_counter()
    run(what, given, y)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def make(what: str, rows: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the same correlated rows in every process; categories go with a number, and with the class."""
    random = np.random.default_rng(0)
    y = (random.random(rows) < SHARE).astype(np.int64)
    hidden = random.standard_normal((rows, 6)) + 0.7 * y[:, None]
    width = NUMBERS[what]
    X = hidden @ random.standard_normal((6, width)) + random.standard_normal((rows, width))
    frame = pl.DataFrame(X / X.std(0), schema=[f"x{i}" for i in range(width)])
    if what == "smote":
        return frame, y
    cuts = np.round(hidden[:, np.arange(CATEGORIES) % 6] + random.standard_normal((rows, CATEGORIES)))
    words = [
        pl.Series(f"c{i}", np.char.add("v", np.clip(c, -4, 4).astype(int).astype(str)))
        for i, c in enumerate(cuts.T)
    ]
    return frame.with_columns(words), y


def by_stage(what: str, X: Any, y: np.ndarray) -> Any:
    """Make rows as a user does."""
    from tilth.stages import stage

    return stage("balance.smote", scale="none").fit_resample(X, y)[0]


def by_arrays(what: str, X: Any, y: np.ndarray) -> Any:
    """Make rows of numbers of arrays alone, with the stage's arithmetic and without a table around it."""
    from tilth.neighbors import Space
    from tilth.neighbors.grouped import nearest_in_groups
    from tilth.statistics import hash_rows, uniform
    from tilth.statistics.synthesis import apportion, between

    own = np.flatnonzero(y == 1)
    rows, more = X[own], len(y) - 2 * len(own)
    near = nearest_in_groups(Space(), rows, None, 5)
    often = apportion(more, np.ones(len(own)), hash_rows(0, own))
    base = np.repeat(np.arange(len(own)), often)
    keys = np.arange(more, dtype=np.uint64)
    other = near[base, (uniform(0, keys, 1) * 5).astype(np.int64)]
    gap = uniform(0, keys, 2)[:, None]
    out = np.empty((len(X) + more, X.shape[1]), X.dtype)
    out[: len(X)] = X
    for start in range(0, more, BLOCK):
        part = slice(start, start + BLOCK)
        out[len(X) :][part] = between(rows[base[part]], rows[other[part]], gap[part])
    return out


def by_imblearn(what: str, X: Any, y: np.ndarray) -> Any:
    """Make rows with imbalanced-learn."""
    from imblearn.over_sampling import SMOTE, SMOTENC

    warnings.filterwarnings("ignore", category=FutureWarning)
    if what == "smote":
        return SMOTE(random_state=0).fit_resample(X, y)[0]
    places = list(range(NUMBERS[what], NUMBERS[what] + CATEGORIES))
    return SMOTENC(places, random_state=0).fit_resample(X, y)[0]


RUN: dict[str, Callable[[str, Any, np.ndarray], Any]] = {
    "imblearn": by_imblearn,
    "made": by_arrays,
    "stage": by_stage,
}

if __name__ == "__main__":
    sys.exit(main())
