"""Measure what asking for labels is worth: as many rows drawn at random are the other side.

'first': no row has a label, and three for each class are asked for. 'more': 5% have one, and as many again
are asked for. A linear probe is trained on the labels there are then, and judged by balanced accuracy on a
fold that took no part; the gain is that over random rows, with the corrected interval over folds.
"""

from __future__ import annotations

import time
import warnings
import zlib
from typing import Any

import numpy as np
import polars as pl
from sklearn.model_selection import StratifiedKFold

from bars import Bar
from datasets import each
from label_quality import everywhere
from limited_pseudo import KEPT, codes, draw, partly, scores

SETS = ("wine", "breast_cancer", "digits", "satellite", "page_blocks")
QUICK_SETS = ("wine", "breast_cancer")
MOST_ROWS = 2000
FOLDS = 5
DRAWS = 5
"""Random rows are drawn so often, and their mean is the other side."""
PER_CLASS = 3
WHEN = {"first": ("typical", "coverage"), "more": ("margin", "entropy", "typical", "coverage")}


def ask_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Compare rows asked for with rows drawn, with no label at first and with some."""
    from tilth.bench.statistics import corrected_t

    sets = [(data.name, data.X, codes(data.y)) for data in each(QUICK_SETS if quick else SETS, MOST_ROWS)]
    cells = [(*rows, fold) for rows in sets for fold in range(FOLDS)]
    start = time.perf_counter()
    lines = pl.DataFrame([line for cell in everywhere(_cell, cells) for line in cell])
    print(f"ask: {len(cells)} folds in {time.perf_counter() - start:.0f} s", flush=True)
    figures["ask"] = lines.to_dicts()
    bars, ahead = [], {}
    for (when, method, name), some in lines.group_by("when", "method", "set", maintain_order=True):
        found = corrected_t(some["gain"], FOLDS, size=100)
        ahead.setdefault((when, method), []).append(found.mean)
        print(
            f"{when!s:6}{method!s:10}{name!s:15} random {some['random'].mean():5.1f}, "
            f"asked {found.mean:+.1f} ({found.low:+.1f} to {found.high:+.1f})"
        )
    for when, method in (("first", "typical"), ("more", "margin")):
        mean = round(float(np.mean(ahead[when, method])), 2)
        bars.append(Bar(f"limited.ask.{when}.{method}.mean_gain", mean, 0, mean > 0))
    return bars


def _cell(name: str, X: pl.DataFrame, y: np.ndarray, fold: int) -> list[dict[str, Any]]:
    from tilth.stages import stage

    seed = zlib.crc32(name.encode())
    train, test = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**31).split(y, y))[fold]
    rng = np.random.default_rng([seed, fold])
    X_train, truth = X[train], y[train]
    some = {"first": np.zeros(len(train), bool), "more": draw(truth, KEPT, rng)}
    size = {"first": PER_CLASS * len(np.unique(y)), "more": int(some["more"].sum())}

    def judged(known: np.ndarray) -> float:
        if len(np.unique(truth[known])) < 2:
            return 100 / len(np.unique(y))
        rows = np.flatnonzero(known)
        table = partly(X_train[rows], truth[rows], np.ones(len(rows), bool))
        return scores("linear", table, X[test], y[test])["balanced"]

    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for when, methods in WHEN.items():
            known = some[when]
            chance = np.mean([judged(known | _drawn(known, size[when], rng)) for _ in range(DRAWS)])
            for method in methods:
                asker = stage("labels.ask", method=method, size=size[when])
                plan = asker.fit(partly(X_train, truth, known)).plan_
                gain = judged(known | (plan.reason != "")) - chance
                line = {"set": name, "when": when, "method": method, "fold": fold}
                lines.append(line | {"random": float(chance), "gain": float(gain)})
    return lines


def _drawn(known: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    chosen = np.zeros(len(known), dtype=bool)
    chosen[rng.permutation(np.flatnonzero(~known))[:size]] = True
    return chosen
