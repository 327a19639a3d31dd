"""Measure how well row scores find known outliers, ours beside pyod's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from sklearn.metrics import average_precision_score, roc_auc_score

from bars import RESULTS, Bar
from datasets import LABELED_OUTLIERS, adbench, each

MOST_ROWS = 10_000
QUICK_ROWS = 1_000
WITHIN = 1.0
"""Points of the mean that one of ours may lie below its twin."""
ADBENCH_SETS = 19

TWINS = {"ecod": "ECOD", "forest": "IForest", "kth": "KNN", "lof": "LOF", "pca": "PCA"}
DRAWN = ("forest", "IForest", "autoencoder", "ensemble")
MEASURES = {"auc": roc_auc_score, "ap": average_precision_score}


def quality_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Score every set by every detector; print and write the table; return the bars."""
    lines: list[dict[str, Any]] = []
    sets = 0
    start = time.perf_counter()
    complete = len(adbench()) == ADBENCH_SETS
    for name, X, y in labeled(quick, complete):
        sets += name in LABELED_OUTLIERS
        for who, score in detectors(1 if quick else 3):
            # pyod's PCA divides by the variance of components that have none: the order is what is left.
            found = np.nan_to_num(score(X), posinf=np.finfo(np.float64).max)
            lines.append({"set": name, "who": who} | {m: 100 * f(y, found) for m, f in MEASURES.items()})
        print(f"{name} {X.shape[0]:,} x {X.shape[1]}: {time.perf_counter() - start:.0f} s", flush=True)
    # A detector that draws is its mean over the seeds.
    each_set = pl.DataFrame(lines).group_by("set", "who", maintain_order=True).mean()
    mean = each_set.group_by("who", maintain_order=True).agg(cs.numeric().mean()).sort("auc", descending=True)
    figures["quality"] = {"mean": mean.to_dicts(), "sets": each_set.to_dicts()}
    told = {row["who"]: row for row in mean.iter_rows(named=True)}
    for who, row in told.items():
        print(f"{who:11} ROC AUC {row['auc']:.2f}  average precision {row['ap']:.2f}")
    if quick or not complete or sets < len(LABELED_OUTLIERS):
        print("quality: not all sets are there, or not whole, so that no bar is held")
        return []
    (RESULTS / "outliers.md").write_text(table(each_set, mean), encoding="utf-8")
    bars = []
    for measure in MEASURES:
        for name, twin in TWINS.items():
            ahead = round(told[name][measure] - told[twin][measure], 2) + 0.0  # no -0
            bars.append(Bar(f"outliers.{name}/{twin}.{measure}_ahead", ahead, -WITHIN, ahead >= -WITHIN))
        best = max(row[measure] for who, row in told.items() if who != "ensemble")
        ahead = round(told["ensemble"][measure] - best, 2)
        bars.append(Bar(f"outliers.ensemble/best_single.{measure}_ahead", ahead, 0.0, ahead > 0))
    return bars


def labeled(quick: bool, complete: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, standardized rows and labels of each set; texts are one column per category."""
    names = [*LABELED_OUTLIERS, *adbench()]
    for data in each(names, max_rows=QUICK_ROWS if quick else MOST_ROWS):
        if quick and data.X.width > 100:
            continue
        X = data.X.to_dummies(cs.string()) if data.X.select(cs.string()).width else data.X
        if 0 < data.y.sum() < len(data.y):
            yield data.name, _standardized(X.to_numpy().astype(np.float64)), data.y.to_numpy()
    if not complete:
        yield from made()


def made() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield sets made of scikit-learn's: all rows of some classes, and a few of another."""
    from sklearn import datasets

    for name, rare, kept in (("breast_cancer", 0, 20), ("wine", 0, 10)):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        rows = np.sort(np.concatenate([np.flatnonzero(y != rare), np.flatnonzero(y == rare)[:kept]]))
        yield f"made of {name}", _standardized(X[rows]), y[rows] == rare


def detectors(seeds: int) -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    """Yield each detector with its defaults; those that draw, once per seed."""
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF
    from pyod.models.pca import PCA

    from tilth.stages import stage

    ours = {
        "ecod": ("ecod", {}),
        "forest": ("forest", {}),
        "kth": ("neighbors", {}),
        "lof": ("neighbors", {"method": "lof"}),
        "pca": ("pca", {}),
        "autoencoder": ("autoencoder", {}),
        "ensemble": ("ensemble", {}),
    }
    for name, (key, given) in ours.items():
        for seed in range(seeds) if name in DRAWN else [None]:
            more = given | ({} if seed is None else {"random_state": seed})
            one = stage(f"outliers.{key}", action="report", threshold=0.1, **more)
            yield name, lambda X, one=one: -one.fit(X).plan_.score
    for peer in (ECOD, IForest, KNN, LOF, PCA):
        for seed in range(seeds) if peer.__name__ in DRAWN else [None]:
            it = peer() if seed is None else peer(random_state=seed)
            yield peer.__name__, lambda X, it=it: it.fit(X).decision_scores_


def table(each_set: pl.DataFrame, mean: pl.DataFrame) -> str:
    """Write a page: the means, and the ROC AUC of every set."""
    names = mean["who"].to_list()
    wide = each_set.pivot(on="who", index="set", values="auc").select("set", *names)
    lines = [
        "# Outliers found by their scores, in percent",
        "",
        "Defaults on both sides, the same standardized rows; the best ROC AUC comes first. Lower-case names",
        "are Tilth's, the others pyod's.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
        "| **mean ROC AUC** | " + " | ".join(f"{v:.1f}" for v in mean["auc"]) + " |",
        "| **mean average precision** | " + " | ".join(f"{v:.1f}" for v in mean["ap"]) + " |",
    ]
    lines += [f"| {row[0]} | " + " | ".join(f"{v:.1f}" for v in row[1:]) + " |" for row in wide.iter_rows()]
    return "\n".join(lines) + "\n"


def _standardized(X: np.ndarray) -> np.ndarray:
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
