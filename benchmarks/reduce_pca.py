"""Measure principal components against scikit-learn's: equal, as fast, small in memory, the same in parts.

First the variances and components found are compared, and those of 50 parts with those of the whole; nothing
is timed where they differ. Then each measurement is a fresh process that makes the same rows, warms up on a
few of them, and fits all. Its memory is what the peak of the process grew by. Candidates take turns; times
are medians over the rounds.

Who is timed, each on rows of float32 unless said otherwise:

product    the bare product of the columns, X.T @ X: a limit for all
eigh       scikit-learn's fastest solver, 'covariance_eigh'
auto       what scikit-learn chooses by itself, on float64
full       its singular value decomposition, on float64: what 'auto' chose before version 1.5
arrays     mean, scatter and components alone, from array to array
stage      `reduce.pca` on a NumPy array, as users call it: the array becomes a table first
eigh-frame, stage-frame    both on a Polars frame
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from bars import Bar

ROWS, WIDTH, KEPT, FACTORS, PARTS = 200_000, 200, 20, 30, 50
WHO = ("product", "eigh", "auto", "full", "arrays", "stage", "eigh-frame", "stage-frame")
CLOSE, SAME = 1e-5, 1e-8
"""How far variances may be from scikit-learn's, and those of parts from those of the whole."""
SPEED = {"eigh": 1 / 1.1, "auto": 5.0, "full": 5.0}
MEMORY = 0.5


def pca(quick: bool, rounds: int = 5) -> tuple[list[Bar], dict[str, Any]]:
    """Return the bars and figures of `reduce.pca`."""
    rows, rounds = (ROWS // 4, 1) if quick else (ROWS, rounds)
    # In a process of its own: a child's peak memory begins with what its parent holds.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        away, apart, chosen = one.submit(differences, rows).result()
    bars = [
        Bar("reduce.pca/sklearn.difference", away, CLOSE, away <= CLOSE),
        Bar(f"reduce.pca.{PARTS}_parts.difference", apart, SAME, apart <= SAME),
    ]
    if not away <= CLOSE:
        raise SystemExit(f"reduce.pca: differs from scikit-learn's by {away:g}; nothing is timed")
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for who in WHO:
            command = [sys.executable, __file__, who, str(rows)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.setdefault(who, []).append(json.loads(out))
    told = {
        who: {what: median(run[what] for run in runs) for what in ("seconds", "beyond_mb", "both_seconds")}
        for who, runs in found.items()
    }
    print(f"{rows:,} x {WIDTH}, {KEPT} components; scikit-learn's 'auto' is '{chosen}' here", flush=True)
    for who, measured in told.items():
        print(
            f"  {who:12} fit {measured['seconds']:7.3f} s, {measured['beyond_mb']:6.0f} MB beyond the rows; "
            f"fit and transform {measured['both_seconds']:7.3f} s",
            flush=True,
        )
    faster = {who: round(told[who]["seconds"] / told["stage"]["seconds"], 3) for who in SPEED}
    figures: dict[str, Any] = {
        "rows": rows,
        "columns": WIDTH,
        "kept": KEPT,
        "rounds": rounds,
        "auto_is": chosen,
        "of": told,
        "stage_faster": faster,
        "arrays_faster": {who: round(told[who]["seconds"] / told["arrays"]["seconds"], 3) for who in SPEED},
        "stage_frame_faster": round(told["eigh-frame"]["seconds"] / told["stage-frame"]["seconds"], 3),
    }
    for who, goal in SPEED.items():
        # Tables, threads and libraries cost the same on few rows as on many.
        goal = round(goal / 2 if quick else goal, 3)
        bars.append(Bar(f"reduce.pca/{who}.speed", faster[who], goal, faster[who] >= goal))
    for who in ("auto", "full"):
        share = round(told["stage"]["beyond_mb"] / max(told[who]["beyond_mb"], 1.0), 3)
        bars.append(Bar(f"reduce.pca/{who}.memory", share, MEMORY, share <= MEMORY))
    return bars, figures


def differences(rows: int) -> tuple[float, float, str]:
    """Return how far variances are from scikit-learn's, and those of parts from the whole; and its solver."""
    from sklearn.decomposition import PCA

    from tilth.stages.reduce.pca import ReducePca
    from tilth.table import Table

    X = make(rows)
    peer = PCA(KEPT).fit(X.astype(np.float64))
    stage = ReducePca(keep=KEPT).fit(X)
    away = [
        np.abs(stage.explained_variance_ / peer.explained_variance_ - 1).max(),
        np.abs(stage.explained_variance_ratio_ / peer.explained_variance_ratio_ - 1).max(),
        np.abs(stage.components_ - peer.components_).max(),
    ]
    table = Table.of(X)
    bounds = np.linspace(0, rows, PARTS + 1).astype(int)
    cut = [table.with_frame(table.frame.slice(a, b - a)) for a, b in pairwise(bounds)]
    parts = ReducePca(keep=KEPT).fit_table(cut)
    apart = np.abs(parts.explained_variance_ / stage.explained_variance_ - 1).max()
    return float(max(away)), float(apart), str(peer._fit_svd_solver)


def make(rows: int) -> np.ndarray:
    """Return the same correlated numbers in every process, block by block so that no more is held."""
    random = np.random.default_rng(0)
    weights = random.standard_normal((FACTORS, WIDTH), dtype=np.float32)
    # Variances fall, so that components are told apart.
    weights *= np.linspace(2.0, 0.5, FACTORS, dtype=np.float32)[:, None]
    X = np.empty((rows, WIDTH), np.float32)
    for start in range(0, rows, 10_000):
        part = X[start : start + 10_000]
        random.standard_normal(out=part, dtype=np.float32)
        part += random.standard_normal((len(part), FACTORS), dtype=np.float32) @ weights + 1.0
    return X


def measure(who: str, rows: int) -> dict[str, float]:
    """Time one candidate on all rows in this process."""
    X: Any = make(rows)
    if who in ("auto", "full"):
        X = X.astype(np.float64)
    elif who.endswith("-frame"):
        X = pl.DataFrame(X, schema=[f"x{i}" for i in range(WIDTH)])
    fit, both = RUN[who.removesuffix("-frame")]
    for run in (fit, both):
        run(X[:5000])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    fit(X)
    seconds = time.perf_counter() - start
    beyond = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    start = time.perf_counter()
    both(X)
    return {"seconds": seconds, "beyond_mb": beyond, "both_seconds": time.perf_counter() - start}


def by_product(X: np.ndarray) -> Any:
    """Multiply the columns."""
    return X.T @ X


def peer(solver: str) -> Any:
    """Return scikit-learn's estimator."""
    from sklearn.decomposition import PCA

    return PCA(KEPT, svd_solver=solver)


def by_arrays(X: np.ndarray) -> Any:
    """Return mean and components, from an array alone."""
    from tilth.statistics import Gram
    from tilth.statistics.components import Components

    gram = Gram.of(X)
    return gram.mean, Components.of(gram.covariance()).first(KEPT)


def projected_by_arrays(X: np.ndarray) -> Any:
    """Return the rows in components, from an array alone."""
    from tilth.statistics.gram import projected

    mean, found = by_arrays(X)
    return projected(X, mean, found.vectors.T, device="cpu")


def ours() -> Any:
    """Return our stage."""
    from tilth.stages import stage

    return stage("reduce.pca", keep=KEPT)


def of_peer(solver: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return how a solver of scikit-learn fits, and transforms too."""
    return lambda X: peer(solver).fit(X), lambda X: peer(solver).fit_transform(X)


RUN: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "product": (by_product, by_product),
    "eigh": of_peer("covariance_eigh"),
    "auto": of_peer("auto"),
    "full": of_peer("full"),
    "arrays": (by_arrays, projected_by_arrays),
    "stage": (lambda X: ours().fit(X), lambda X: ours().fit_transform(X)),
}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
