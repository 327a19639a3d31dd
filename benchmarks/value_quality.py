"""Measure which wrong labels low values find, and what is lost by training on a coreset."""

from __future__ import annotations

import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.model_selection import train_test_split

from bars import Bar
from datasets import each
from label_quality import codes, everywhere, plant

SETS = ("breast_cancer", "wine", "digits", "page_blocks", "spambase", "satellite", "german", "pima")
QUICK_SETS = ("breast_cancer", "wine", "pima", "german")
MOST_ROWS = 1000
QUICK_ROWS = 600
RATES = (0.1, 0.2, 0.3)
SEEDS = 1

KEPT = 0.3
PROBES = ("linear", "boosting")
CORESETS = ("k_center", "herding", "margin")


def knn_shapley(X: pl.DataFrame, y: np.ndarray, seed: int) -> np.ndarray:
    """Value rows by `prune.value`."""
    from tilth.stages import stage

    return (
        stage("prune.value", method="knn_shapley", action="report", random_state=seed).fit(X, y).plan_.score
    )


def data_oob(X: pl.DataFrame, y: np.ndarray, seed: int) -> np.ndarray:
    """Value rows by `prune.value`."""
    from tilth.stages import stage

    return stage("prune.value", method="data_oob", action="report", random_state=seed).fit(X, y).plan_.score


def confident_learning(X: pl.DataFrame, y: np.ndarray, seed: int) -> np.ndarray:
    """Rank rows by `labels.clean`: how far a linear probe that did not see them believes their label."""
    from tilth.stages import stage

    made = stage("labels.clean", probe="linear", repeats=1, action="report", random_state=seed)
    return np.nan_to_num(made.fit(X, y).plan_.score, nan=1.0)


FINDERS = {"knn_shapley": knn_shapley, "data_oob": data_oob, "confident_learning": confident_learning}


def finding_bars(quick: bool, figures: dict[str, Any], folder: Path | None = None) -> list[Bar]:
    """Inspect as many rows as have a wrong label, the lowest values first, so that F1 is the share found."""
    cells = [
        (data.name, data.X, codes(data.y), rate, seed)
        for data in each(QUICK_SETS if quick else SETS, max_rows=QUICK_ROWS if quick else MOST_ROWS)
        for rate in (RATES[1:2] if quick else RATES)
        for seed in range(1 if quick else SEEDS)
    ]
    if folder is not None:
        cells += [("cifar10n", *_embedded(folder), rate, 0) for rate in (RATES[1:2] if quick else RATES)]
    start = time.perf_counter()
    lines = pl.DataFrame(everywhere(_finding, cells))
    print(f"finding: {len(cells)} runs of each method in {time.perf_counter() - start:.0f} s", flush=True)
    table = lines.group_by("set", "rate", maintain_order=True).agg(pl.col(*FINDERS).mean())
    print(f"{'set':14} {'wrong':>6}" + "".join(f"{name:>20}" for name in FINDERS) + f"{'by chance':>12}")
    for row in table.iter_rows(named=True):
        told = "".join(f"{row[name]:20.1f}" for name in FINDERS)
        print(f"{row['set']:14} {row['rate']:6.0%}{told}{100 * row['rate']:12.1f}")
    figures["finding"] = table.to_dicts()
    bars = []
    for name in FINDERS:
        ahead = round(float((table[name] - 100 * table["rate"]).min()), 1)  # type: ignore[arg-type]
        mean = float(table[name].mean())  # type: ignore[arg-type]
        print(f"{name}: F1 {mean:.1f} in the mean over sets and rates")
        bars.append(Bar(f"values.finding.{name}.worst_ahead_of_chance", ahead, 0, ahead > 0))
    return bars


def _embedded(folder: Path) -> tuple[pl.DataFrame, np.ndarray]:
    """Return photographs as a network sees them, and their official labels."""
    from embeddings import cifar10n

    embedded, told = cifar10n(folder / "cifar10n")
    X = pl.DataFrame(embedded[:MOST_ROWS], schema=[f"e{i}" for i in range(embedded.shape[1])])
    return X, codes(told["clean"][:MOST_ROWS])


def _finding(name: str, X: pl.DataFrame, y: np.ndarray, rate: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([zlib.crc32(f"{name} {rate}".encode()), seed])
    noisy = plant(y, "symmetric", rate, rng)
    wrong = noisy != y
    line: dict[str, Any] = {"set": name, "rate": rate}
    for method, value in FINDERS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lowest = np.argsort(value(X, noisy, seed), kind="stable")[: int(wrong.sum())]
        line[method] = 100 * float(wrong[lowest].mean())
    return line


def coreset_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Train probes on a share of the rows, and compare with as many rows drawn by chance, and with all."""
    cells = [
        (data.name, data.X, codes(data.y), seed)
        for data in each(QUICK_SETS if quick else SETS, max_rows=QUICK_ROWS if quick else MOST_ROWS)
        for seed in range(1 if quick else SEEDS + 1)
    ]
    start = time.perf_counter()
    lines = pl.DataFrame([line for some in everywhere(_coresets, cells) for line in some])
    print(f"coresets: {len(cells)} splits in {time.perf_counter() - start:.0f} s", flush=True)
    loss = (pl.col("all") - pl.col("accuracy")).alias("loss")
    ahead = (pl.col("accuracy") - pl.col("random")).alias("ahead")
    error = lambda name: (pl.col(name).std() / pl.len().sqrt()).alias(f"{name}_error")
    table = (
        lines.with_columns(loss, ahead)
        .group_by("probe", "method", maintain_order=True)
        .agg(pl.mean("loss"), error("loss"), pl.mean("ahead"), error("ahead"))
    )
    figures["coresets"] = table.to_dicts()
    figures["coresets_by_set"] = (
        lines.with_columns(loss)
        .group_by("set", "probe", "method", maintain_order=True)
        .agg(pl.mean("loss"))
        .to_dicts()
    )
    print(f"{'loss against all rows, in points':36}" + "".join(f"{name:>18}" for name in METHODS))
    for (probe,), some in table.group_by("probe", maintain_order=True):
        for what in ("loss", "ahead"):
            told = "".join(
                f"{row[what]:11.2f} ± {row[f'{what}_error'] or 0:4.2f}" for row in some.iter_rows(named=True)
            )
            name = f"{probe}, {KEPT:.0%} kept" if what == "loss" else "  ahead of random, on the same split"
            print(f"{name:36}{told}")
    return []


METHODS = ("random", *CORESETS, "k_center, weight")


def _coresets(name: str, X: pl.DataFrame, y: np.ndarray, seed: int) -> list[dict[str, Any]]:
    from tilth.probes import probe
    from tilth.stages import stage

    split = int(np.random.default_rng([zlib.crc32(name.encode()), seed]).integers(2**31))
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, random_state=split, stratify=y)
    X_train, y_train = X[train], y[train]
    by_chance = train_test_split(
        np.arange(len(train)), train_size=KEPT, random_state=split, stratify=y_train
    )[0]
    chosen: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
        "all": (np.arange(len(train)), None),
        "random": (by_chance, None),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method in METHODS[1:]:
            how, _, action = method.partition(", ")
            made = stage("prune.coreset", method=how, share=KEPT, action=action or "drop", random_state=seed)
            plan = made.fit(X_train, y_train).plan_
            kept = np.flatnonzero(plan.times)
            chosen[method] = (kept, None if plan.weight is None else plan.weight[kept])
        lines = []
        for who in PROBES:
            right = {}
            for method, (rows, weight) in chosen.items():
                model = probe(who, task="classification", random_state=seed)
                told = {} if weight is None else {"sample_weight": weight}
                model.fit(X_train[rows], y_train[rows], **told)
                right[method] = 100 * float((model.predict(X[test]) == y[test]).mean())
            lines += [
                {
                    "set": name,
                    "probe": who,
                    "method": method,
                    "all": right["all"],
                    "accuracy": right[method],
                    "random": right["random"],
                }
                for method in METHODS
            ]
    return lines
