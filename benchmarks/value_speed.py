"""Time KNN-Shapley values beside one exact search of the same query and reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bars import Bar

ROWS, COLUMNS, K = 50_000, 32, 10
MOST = 2.0
"""Times a search that the values may take."""
ALIKE = 0.995
"""Least correlation of the values with those of the full order."""


def speed_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Check the values against those of the full order, and time them beside a search."""
    from tilth.neighbors import Space, nearest
    from tilth.neighbors.shapley import knn_shapley

    random = np.random.default_rng(0)
    rows = random.normal(size=(ROWS, COLUMNS))
    labels = (rows[:, 0] + random.normal(size=ROWS) > 0).astype(np.int64)
    query = random.normal(size=(1_000 if quick else 4_000, COLUMNS))
    asked = (query[:, 0] + random.normal(size=len(query)) > 0).astype(np.int64)

    few = slice(0, 40)
    found, full = (
        knn_shapley(Space(), rows, labels, query[few], asked[few], K, **near) for near in ({}, {"near": None})
    )
    apart, alike = float(np.abs(found - full).max()), round(float(np.corrcoef(found, full)[0, 1]), 4)
    print(
        f"values of {ROWS} rows by 40: within {apart:.1e} of those of the full order, whose deviation is "
        f"{full.std():.1e}; sum {found.sum():.6f}, full {full.sum():.6f}"
    )
    bars = [Bar("values.speed.correlation_with_full_order", alike, ALIKE, alike >= ALIKE)]

    fold = np.arange(ROWS) % 5 == 0
    held = np.flatnonzero(fold)[: 1_000 if quick else None]
    cases: dict[str, tuple[np.ndarray, ...]] = {
        "validation": (rows, labels, query, asked),
        "fold": (rows[~fold], labels[~fold], rows[held], labels[held]),
    }
    for name, (known, own, new, answers) in cases.items():
        taken = _interleaved(
            {
                "search": lambda k=known, n=new: nearest(Space(), n, k, K),
                "values": lambda k=known, o=own, n=new, a=answers: knn_shapley(Space(), k, o, n, a, K),
            },
            5 if name == "validation" else 3,
        )
        ratio = round(float(np.median(np.array(taken["values"]) / taken["search"])), 2)
        search, values = (float(np.median(taken[who])) for who in ("search", "values"))
        print(
            f"{name}: {len(new)} rows value {len(known)} x {COLUMNS}: {values:.2f} s, "
            f"the {K} nearest {search:.2f} s"
        )
        figures[f"speed_{name}"] = {"rows": len(known), "by": len(new), "search": search, "values": values}
        bars.append(Bar(f"values.speed.{name}/search", ratio, MOST, ratio <= MOST))
    return bars


def _interleaved(tasks: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Run the tasks in turn, and return the seconds of each run."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            taken[name].append(time.perf_counter() - start)
    return taken
