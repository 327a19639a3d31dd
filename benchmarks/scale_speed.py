"""Measure quantile and power scales against scikit-learn's: equal, and fast.

Run by `scale.py`, over 1,000,000 x 20 float64 (quick: 100,000 rows, and half of the goals). Columns are
normal, log-normal, cubed, whole numbers with many ties, and far from 0 for their spread. A measurement is a
fresh process that makes the same rows, warms up on 2,000 of them, and times one `fit` and one `transform`;
its peak memory is that of the whole process. Candidates take turns; times are medians over the rounds.

First all values are compared on 50,000 rows with gaps, and lambdas too; then those that were timed, by
sums of rows and columns. Where any differ by more than 1e-5, nothing is told.

The bars are on NumPy to NumPy, scikit-learn's own container and not ours; beside it stands the same from
Polars to Polars. scikit-learn's quantiles are those of all rows (``subsample=None``) as ours are; for
'sampled' both learn from the same 10,000 rows, and scikit-learn is spared the drawing of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from bars import Bar

WIDTH, CLOSE, SAMPLE = 20, 1e-5, 10_000
ROWS, QUICK, ROUNDS = 1_000_000, 100_000, 3
GOAL = {"uniform": 3.0, "normal": 3.0, "sampled": 3.0, "yeo_johnson": 5.0, "box_cox": None}
WHO = ("sklearn", "tilth", "polars")

Scaled = Callable[[Any], Any]


def quantile(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Time the quantile scale, to ranks, to normal scores, and from a sample."""
    return measured("quantile", ("uniform", "normal", "sampled"), quick)


def power(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Time Yeo and Johnson's powers, and Box and Cox's."""
    return measured("power", ("yeo_johnson",) if quick else ("yeo_johnson", "box_cox"), quick)


def measured(name: str, kinds: tuple[str, ...], quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Check that the results are equal, then time them."""
    rows, rounds = (QUICK, 1) if quick else (ROWS, ROUNDS)
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    for kind in kinds:
        # In a process of its own: a child's peak memory begins with what its parent holds.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
            away = one.submit(difference, kind).result()
        found: dict[str, list[dict[str, Any]]] = {}
        for _ in range(1 if kind == "box_cox" else rounds):
            for who in WHO:
                command = [sys.executable, __file__, "--child", kind, who, str(rows)]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                found.setdefault(who, []).append(json.loads(out))
        away = max(away, *(apart(found["sklearn"][0], found[who][0]) for who in WHO[1:]))
        bars.append(Bar(f"scale.{name}.{kind}/sklearn.difference", away, CLOSE, away <= CLOSE))
        if not away <= CLOSE:
            raise SystemExit(f"{kind}: the results differ by {away:g}; nothing is compared")
        seconds = {who: median(r["seconds"] for r in runs) for who, runs in found.items()}
        peak = {who: max(r["peak_mb"] for r in runs) for who, runs in found.items()}
        told = "; ".join(f"{who} {seconds[who]:.2f} s, {peak[who]:.0f} MB" for who in WHO)
        print(f"{kind:11} {rows:,} x {WIDTH}, fit and transform: {told}", flush=True)
        ratio = {who: round(seconds["sklearn"] / seconds[who], 2) for who in WHO[1:]}
        figures[kind] = {
            "rows": rows,
            "rounds": len(found["tilth"]),
            "difference": away,
            "seconds": seconds,
            "peak_mb": peak,
            "faster": ratio,
        }
        goal = GOAL[kind]
        if goal is not None:
            # Libraries and threads cost the same on few rows as on many.
            speed, goal = ratio["tilth"], goal / 2 if quick else goal
            bars.append(Bar(f"scale.{name}.{kind}/sklearn.speed", speed, goal, speed >= goal))
    return bars, figures


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest difference of the sums of two runs, per cell."""
    return max(float(np.abs(np.array(one[w]) - np.array(other[w])).max()) for w in ("columns", "rows"))


def difference(kind: str) -> float:
    """Return the largest difference of any value, on rows with gaps and on rows not learned from."""
    X = make(60_000, kind)
    X[np.random.default_rng(1).random(X.shape) < 0.05] = np.nan
    learned, new = X[:50_000], X[50_000:] * 1.5
    ours, theirs = stage(kind).fit(learned), peer(kind, learned)
    away = [np.abs(ours.transform(rows) - theirs.transform(rows)) for rows in (learned, new)]
    if kind in ("yeo_johnson", "box_cox"):
        lambdas = np.array(list(ours.lambda_.values()))
        away.append(np.abs(lambdas - theirs.lambdas_) / np.maximum(1, np.abs(lambdas)))
    return float(max(np.nanmax(a) for a in away))


def measure(kind: str, who: str, rows: int) -> dict[str, Any]:
    """Time one fit and one transform of all rows in this process."""
    X: Any = make(rows, kind)
    if who == "polars":
        X = pl.DataFrame(X)
    run: Scaled = (
        (lambda rows: peer(kind, rows).transform(rows))
        if who == "sklearn"
        else (lambda rows: stage(kind).fit(rows).transform(rows))
    )
    run(X[:2000] if kind != "sampled" else X[: SAMPLE + 1])
    start = time.perf_counter()
    out = run(X)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values = out if isinstance(out, np.ndarray) else out.to_numpy()
    # Every cell enters with its own weight, so that no two wrong cells cancel.
    by_row = values @ np.random.default_rng(2).random(WIDTH) / WIDTH
    return {"seconds": seconds, "peak_mb": peak, "columns": np.abs(values).mean(0).tolist(),
            "rows": by_row[:: max(1, rows // 1000)].tolist()}  # fmt: skip


def make(rows: int, kind: str) -> np.ndarray:
    """Return the same rows in every process."""
    X = np.random.default_rng(0).standard_normal((rows, WIDTH))
    X[:, 1::5] = np.exp(X[:, 1::5])
    X[:, 2::5] **= 3
    X[:, 3::5] = np.round(3 * X[:, 3::5])
    X[:, 4::5] = 100 + 5 * X[:, 4::5]
    if kind == "box_cox":
        X[:, ::5] += 10
        X[:, 2::5] = np.exp(X[:, 2::5] / 30)
        X[:, 3::5] += 30
    return X


def stage(kind: str) -> Any:
    """Return our stage."""
    from tilth.stages import stage

    if kind in ("yeo_johnson", "box_cox"):
        return stage("scale.power", method=kind)
    if kind == "sampled":
        return stage("scale.quantile", subsample=SAMPLE)
    return stage("scale.quantile", output=kind)


def peer(kind: str, X: np.ndarray) -> Any:
    """Return scikit-learn's transformer, fitted."""
    from sklearn.preprocessing import PowerTransformer, QuantileTransformer

    from tilth.statistics import uniform

    if kind in ("yeo_johnson", "box_cox"):
        return PowerTransformer(method=kind.replace("_", "-")).fit(X)
    if kind == "sampled":
        drawn = np.argsort(uniform(0, np.arange(len(X), dtype=np.uint64)))[:SAMPLE]
        return QuantileTransformer(subsample=None).fit(X[drawn])
    return QuantileTransformer(output_distribution=kind, subsample=None).fit(X)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One measurement; run `scale.py` for all of them.")
    parser.add_argument("--child", nargs=3, metavar=("KIND", "WHO", "ROWS"), required=True)
    kind, who, rows = parser.parse_args().child
    print(json.dumps(measure(kind, who, int(rows))))
