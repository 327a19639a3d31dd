"""Measure a fitted pipeline against scikit-learn's equal one.

    python benchmarks/pipeline.py [--quick] [--rounds N]

Prepares 1,000,000 x 50 float64 with 10% of the cells missing (--quick: 250,000 rows): fill by the median,
clip to the quartiles -/+ 1.5 interquartile ranges, standardize. Each measurement is a fresh process that
makes the same data, warms up on 1,000 rows, and times one ``fit_transform``; its peak memory is that of
the whole process, data included. Candidates take turns; times are medians over the rounds. First all
results are checked to agree to 1e-6 with scikit-learn's, in full.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any

import numpy as np

from bars import Bar, conclude
from containers import contained

FORMS = ("numpy", "pandas", "polars")
GOAL = {"numpy": 3.0, "pandas": 5.0, "polars": 5.0}


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="250,000 rows and one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3, metavar=("WHO", "FORM", "ROWS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        who, form, rows = asked.child
        print(json.dumps(measure(who, form, int(rows))))
        return 0
    figures: dict[str, Any] = {}
    rows, rounds = (250_000, 1) if asked.quick else (1_000_000, asked.rounds)
    bars = pipeline_bars(rows, rounds, figures)
    return conclude("pipeline", bars, figures)


def pipeline_bars(rows: int, rounds: int, figures: dict[str, Any]) -> list[Bar]:
    """Compare the six candidates, interleaved."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for form in FORMS:
            for who in ("tilth", "sklearn"):
                command = [sys.executable, __file__, "--child", who, form, str(rows)]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                found.setdefault((who, form), []).append(json.loads(out))
    bars = []
    for form in FORMS:
        ours, theirs = found["tilth", form], found["sklearn", form]
        check_equal(form, ours[0], theirs[0])
        seconds = [median(r["seconds"] for r in runs) for runs in (ours, theirs)]
        peak = [max(r["peak_mb"] for r in runs) for runs in (ours, theirs)]
        figures[form] = {"rows": rows, "rounds": rounds, "seconds": seconds, "peak_mb": peak}
        print(
            f"{form:7} {rows:,} x 50: tilth {seconds[0]:.2f} s, {peak[0]:.0f} MB; "
            f"scikit-learn {seconds[1]:.2f} s, {peak[1]:.0f} MB"
        )
        ratio, share = round(seconds[1] / seconds[0], 2), round(peak[0] / peak[1], 3)
        bars.append(Bar(f"pipeline.{form}/sklearn.speed", ratio, GOAL[form], ratio >= GOAL[form]))
        bars.append(Bar(f"pipeline.{form}/sklearn.peak_memory", share, 1.0, share <= 1.0))
    return bars


def measure(who: str, form: str, rows: int) -> dict[str, Any]:
    """Time one ``fit_transform`` in this process."""
    X = contained(make(rows), form)
    run = {"tilth": tilth_pipeline, "sklearn": sklearn_pipeline}[who]
    run(X[:1000])
    start = time.perf_counter()
    out = run(X)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values = out if isinstance(out, np.ndarray) else out.to_numpy()
    # Every cell enters one of these sums with its own weight, so that no two wrong cells cancel.
    weights = np.random.default_rng(1).random(50)
    by_row = values @ weights
    picked = by_row[:: max(1, rows // 1000)]
    return {"seconds": seconds, "peak_mb": peak, "columns": values.mean(0).tolist(), "rows": picked.tolist(),
            "sum": float(np.abs(by_row).sum()), "spread": values.std(0).tolist()}  # fmt: skip


def check_equal(form: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Stop where the two candidates did not do the same work."""
    for what in ("columns", "rows", "spread"):
        away = float(np.abs(np.array(ours[what]) - np.array(theirs[what])).max())
        if not away <= 1e-6:
            raise SystemExit(f"{form}: the results differ by {away:g} in {what}; nothing is compared")
    if abs(ours["sum"] / theirs["sum"] - 1) > 1e-9:
        raise SystemExit(f"{form}: the results differ in their sum; nothing is compared")


def make(rows: int) -> np.ndarray:
    """Return the same normal numbers in every process, 10% of them missing."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 50))
    for start in range(0, rows, 50_000):
        block = X[start : start + 50_000]
        block[rng.random(block.shape) < 0.1] = np.nan
    return X


def tilth_pipeline(X: Any) -> Any:
    """Prepare with Tilth."""
    import tilth

    return tilth.Pipeline([tilth.ImputeSimple(), tilth.OutliersClip(), tilth.ScaleStandard()]).fit_transform(
        X
    )


def sklearn_pipeline(X: Any) -> Any:
    """Prepare with scikit-learn's equal steps."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    def clip(values: np.ndarray) -> np.ndarray:
        first, third = np.quantile(values, [0.25, 0.75], axis=0)
        reach = 1.5 * (third - first)
        return np.clip(values, first - reach, third + reach)

    return make_pipeline(
        SimpleImputer(strategy="median"), FunctionTransformer(clip), StandardScaler()
    ).fit_transform(X)


if __name__ == "__main__":
    sys.exit(main())
