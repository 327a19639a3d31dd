"""Measure imputers against scikit-learn's: their speed, and how well they recover planted cells of real data.

    python benchmarks/impute.py [--quick] [--rounds N] [--only speed|quality]

Speed. Numbers that depend on one another, 10% of them missing: 1,000,000 x 50 in pandas and Polars frames
filled by the median, 20,000 x 20 by 5 neighbors, 50,000 x 20 by chained linear equations (--quick: 250,000,
10,000 and 10,000 rows). Each measurement is a fresh process that makes the same data, warms up on 500 rows,
and times one ``fit_transform``; its peak memory is that of the whole process, data included. Candidates take
turns; times are medians over the rounds. First the results are compared, in full: medians and neighbors must
be equal to 1e-6, linear ones recover the missing cells as well, to 1%.

Quality. See `imputers.py`: real sets with holes at random, by another column and by the value itself; a table
of how far off each method is goes to ``results/impute.md``. The sets come from packages that
``benchmarks/requirements.txt`` names; those that are absent are skipped.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from bars import Bar, conclude
from containers import contained


class Task(NamedTuple):
    """What is measured: on how many rows and columns, and how much faster it is to be."""

    form: str
    rows: int
    few: int
    columns: int
    goal: float


TASKS = {
    "simple.pandas": Task("pandas", 1_000_000, 250_000, 50, 5.0),
    "simple.polars": Task("polars", 1_000_000, 250_000, 50, 5.0),
    "neighbors": Task("numpy", 20_000, 10_000, 20, 9.0),
    "linear": Task("numpy", 50_000, 10_000, 20, 20.0),
}


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows and sets, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["speed", "quality"], help="one half of the bars")
    parser.add_argument("--child", nargs=4, metavar=("WHO", "TASK", "ROWS", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        who, task, rows, file = asked.child
        print(json.dumps(measure(who, task, int(rows), Path(file))))
        return 0
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    if asked.only != "quality":
        bars += speed_bars(asked.quick, 1 if asked.quick else asked.rounds, figures)
    if asked.only != "speed":
        from imputers import quality_bars

        bars += quality_bars(asked.quick, figures)
    return conclude("impute" if asked.only is None else f"impute-{asked.only}", bars, figures)


def speed_bars(quick: bool, rounds: int, figures: dict[str, Any]) -> list[Bar]:
    """Compare each task's two candidates, interleaved."""
    bars: list[Bar] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, task in TASKS.items():
            rows = task.few if quick else task.rows
            runs: dict[str, list[dict[str, Any]]] = {"tilth": [], "sklearn": []}
            for _ in range(rounds):
                for who, done in runs.items():
                    given = [who, name, str(rows), f"{folder}/{who}.npy"]
                    command = [sys.executable, __file__, "--child", *given]
                    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
                    done.append(json.loads(out))
            filled = [np.load(f"{folder}/{who}.npy") for who in runs]
            bars += compared(name, rows, task, runs, filled, figures)
    return bars


def compared(
    name: str,
    rows: int,
    task: Task,
    runs: dict[str, list[dict[str, Any]]],
    filled: list[np.ndarray],
    figures: dict[str, Any],
) -> list[Bar]:
    """Compare what the two filled in, and how long they took."""
    bars = []
    truth = make(rows, task.columns)[1]
    off = [float(np.sqrt(np.mean((found - truth) ** 2))) for found in filled]
    if name == "linear":
        worse = round(off[0] / off[1], 4)
        bars.append(Bar("impute.linear/sklearn.rmse", worse, 1.01, worse <= 1.01))
    else:
        away = float(np.abs(filled[0] - filled[1]).max())
        if not away <= 1e-6:
            raise SystemExit(f"{name}: the results differ by {away:g}; nothing is compared")
    seconds = [median(r["seconds"] for r in done) for done in runs.values()]
    peak = [max(r["peak_mb"] for r in done) for done in runs.values()]
    figures[name] = {"rows": rows, "columns": task.columns, "rounds": len(runs["tilth"]),
                     "seconds": seconds, "peak_mb": peak, "rmse": off}  # fmt: skip
    print(
        f"{name:13} {rows:,} x {task.columns}: tilth {seconds[0]:.2f} s, {peak[0]:.0f} MB; "
        f"scikit-learn {seconds[1]:.2f} s, {peak[1]:.0f} MB; RMSE {off[0]:.4f} and {off[1]:.4f}",
        flush=True,
    )
    ratio = round(seconds[1] / seconds[0], 2)
    bars.append(Bar(f"impute.{name}/sklearn.speed", ratio, task.goal, ratio >= task.goal))
    return bars


def measure(who: str, name: str, rows: int, file: Path) -> dict[str, Any]:
    """Time one ``fit_transform`` in this process, and write down what the missing cells were filled with."""
    task = TASKS[name]
    holed = make(rows, task.columns)[0]
    gaps = np.isnan(holed)
    X = contained(holed, task.form)
    del holed
    imputer = {"tilth": ours, "sklearn": theirs}[who](name)
    imputer.fit_transform(X[:500])
    start = time.perf_counter()
    out = imputer.fit_transform(X)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.save(file, np.asarray(out)[gaps])
    return {"seconds": seconds, "peak_mb": peak}


def ours(name: str) -> Any:
    """Return Tilth's imputer for a task."""
    from tilth.stages import stage

    if name == "neighbors":
        return stage("impute.neighbors", scale="none", max_rows=None)
    return stage("impute.iterative", model="linear") if name == "linear" else stage("impute.simple")


def theirs(name: str) -> Any:
    """Return scikit-learn's imputer for a task."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    if name == "neighbors":
        return KNNImputer()
    if name == "linear":
        return IterativeImputer(random_state=0)
    return SimpleImputer(strategy="median").set_output(transform=TASKS[name].form)


def make(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the same numbers in every process, 10% of them missing; and the missing ones."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 5)) @ rng.standard_normal((5, columns))
    X += rng.standard_normal((rows, columns))
    gaps = rng.random(X.shape) < 0.1
    truth = X[gaps]
    X[gaps] = np.nan
    return X, truth


if __name__ == "__main__":
    sys.exit(main())
