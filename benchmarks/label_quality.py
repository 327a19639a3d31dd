"""Measure how well wrong labels are found, and what finding them is worth: `labels.clean` beside cleanlab.

Labels of real sets are taken for right, and a share of them is made wrong with a fixed seed: symmetric noise
gives a row any other class; class-conditional noise gives the rows of a class one other class, some classes
oftener than others. Both sides judge with the same probe and are asked for the rows that they flag (F1) and
for their ranking of all rows (average precision).
"""

from __future__ import annotations

import os
import time
import warnings
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import StratifiedKFold

from bars import RESULTS, Bar
from datasets import each

SETS = (
    "breast_cancer", "wine", "digits", "page_blocks", "spambase", "satellite",
    "german", "crx", "pima", "soybean", "house_votes",
)  # fmt: skip
QUICK_SETS = ("breast_cancer", "wine", "crx", "house_votes")
MOST_ROWS = 1500
RATES = (0.05, 0.1, 0.2, 0.4)
KINDS = ("symmetric", "conditional")
SEEDS = 3
PROBE = "linear"

SMALL_SETS = ("breast_cancer", "digits", "soybean", "yeast4", "german")
SMALL_ROWS = (100, 300, 500)
RARE = 3
"""Rows that the rarest class is thinned to."""

COSTLY = 2.0
"""Points of accuracy that noise must cost before its recovery is a figure."""
ACTIONS = ("drop", "relabel", "weight")


class Told(NamedTuple):
    """What one side says of the labels: the rows it flags, and how far it trusts each."""

    flags: np.ndarray
    trust: np.ndarray


def plant(y: np.ndarray, kind: str, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return the class codes with a share of them wrong.

    Under 'conditional' the first half of the classes, in a drawn order, goes wrong at 1.25 times the rate,
    the others at 0.75 times, each to the class next in that order.
    """
    classes = int(y.max()) + 1
    if kind == "symmetric":
        chosen = rng.choice(len(y), round(rate * len(y)), replace=False)
        noisy = y.copy()
        noisy[chosen] = (y[chosen] + rng.integers(1, classes, len(chosen))) % classes
        return noisy
    order = rng.permutation(classes)
    place = np.argsort(order)
    rates = np.where(place < classes / 2, 1.25, 0.75) * rate
    heir = order[(place + 1) % classes]
    return np.where(rng.random(len(y)) < rates[y], heir[y], y)


def ours(X: pl.DataFrame, y: np.ndarray, **given: Any) -> Told:
    """Ask `labels.clean`; a row that it could not judge counts as trusted."""
    from tilth.stages import stage

    plan = stage("labels.clean", probe=PROBE, max_share=1.0, **given).fit(X, y).plan_
    return Told(plan.times == 0, np.nan_to_num(plan.score, nan=1.0))


def theirs(X: pl.DataFrame, y: np.ndarray, seed: int = 0) -> Told:
    """Ask cleanlab's CleanLearning, with the same probe in it."""
    from cleanlab.classification import CleanLearning

    from tilth.probes import probe

    model = probe(PROBE, task="classification", random_state=seed)
    # Its own processes would be started inside ours, where they cannot see what it shares with them.
    one = {"n_jobs": 1}
    learner = CleanLearning(model, seed=seed, cv_n_folds=5, verbose=False, find_label_issues_kwargs=one)
    found = learner.find_label_issues(X.to_pandas(), y)
    return Told(found["is_label_issue"].to_numpy(), found["label_quality"].to_numpy())


def measures(told: Told, wrong: np.ndarray) -> dict[str, float]:
    """Return F1 of the flags and average precision of the ranking, in points."""
    return {
        "f1": 100 * f1_score(wrong, told.flags, zero_division=0),
        "ap": 100 * average_precision_score(wrong, -told.trust),
    }


def everywhere(task: Any, cells: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Run the cells on all cores, one thread each."""
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", n_jobs=os.cpu_count(), inner_max_num_threads=1):
        return Parallel()(delayed(task)(*cell) for cell in cells)


def planted_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Compare both sides in every cell of set, kind and rate; write the table and return the bars."""
    seeds = range(1 if quick else SEEDS)
    cells = [
        (data.name, data.X, codes(data.y), kind, rate, seed)
        for data in each(QUICK_SETS if quick else SETS, max_rows=MOST_ROWS)
        for kind in KINDS
        for rate in (RATES[1:3] if quick else RATES)
        for seed in seeds
    ]
    start = time.perf_counter()
    lines = pl.DataFrame(everywhere(_cell, cells))
    print(f"planted: {len(cells)} runs of both sides in {time.perf_counter() - start:.0f} s", flush=True)
    ahead = {m: pl.col(f"tilth_{m}") - pl.col(f"cleanlab_{m}") for m in ("f1", "ap")}
    by = ["set", "kind", "rate"]
    each_cell = lines.group_by(by, maintain_order=True).agg(
        *(pl.col(f"{who}_{m}").mean() for m in ahead for who in ("tilth", "cleanlab")),
        *(gap.mean().alias(f"{m}_ahead") for m, gap in ahead.items()),
        *((gap.std() / pl.len().sqrt()).alias(f"{m}_se") for m, gap in ahead.items()),
    )
    figures["planted"] = each_cell.to_dicts()
    bars = []
    for m in ahead:
        gap, se = each_cell[f"{m}_ahead"], each_cell[f"{m}_se"].fill_null(0)
        tilth, peer = (each_cell[f"{who}_{m}"].mean() for who in ("tilth", "cleanlab"))
        worse, surely = int((gap < 0).sum()), int((gap < -2 * se).sum())
        print(
            f"{m:2} tilth {tilth:.2f}, cleanlab {peer:.2f}; worse in {worse} of {each_cell.height} cells, "
            f"by more than two standard errors over the seeds in {surely}; worst {gap.min():+.2f}"
        )
        mean = round(float(gap.mean()), 2)
        bars.append(Bar(f"labels.planted.{m}/cleanlab.mean_ahead", mean, 0, mean > 0))
        worst = round(float(gap.min()), 2) + 0.0
        if not quick:
            bars.append(Bar(f"labels.planted.{m}/cleanlab.worst_cell_ahead", worst, 0, worst >= 0))
    if not quick:
        (RESULTS / "labels.md").write_text(_page(each_cell), encoding="utf-8")
    return bars


def _cell(name: str, X: pl.DataFrame, y: np.ndarray, kind: str, rate: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([zlib.crc32(f"{name} {kind} {rate}".encode()), seed])
    noisy = plant(y, kind, rate, rng)
    line: dict[str, Any] = {"set": name, "kind": kind, "rate": rate}
    for who, ask in (
        ("tilth", lambda: ours(X, noisy, random_state=seed)),
        ("cleanlab", lambda: theirs(X, noisy, seed)),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            line |= {f"{who}_{m}": value for m, value in measures(ask(), noisy != y).items()}
    return line


def codes(y: pl.Series) -> np.ndarray:
    """Return the classes as numbers from 0."""
    return y.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1


def _page(each_cell: pl.DataFrame) -> str:
    lines = [
        "# Planted label errors found, in points: Tilth's default against cleanlab's CleanLearning",
        "",
        f"Both judge with the {PROBE} probe; means over {SEEDS} seeds, differences with their error.",
        "",
        "| set | noise | rate | F1 | cleanlab | ahead | average precision | cleanlab | ahead |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in each_cell.iter_rows(named=True):
        told = " | ".join(
            f"{row[f'tilth_{m}']:.1f} | {row[f'cleanlab_{m}']:.1f} | "
            f"{row[f'{m}_ahead']:+.1f} ± {row[f'{m}_se']:.1f}"
            for m in ("f1", "ap")
        )
        lines.append(f"| {row['set']} | {row['kind']} | {row['rate']:.0%} | {told} |")
    return "\n".join(lines) + "\n"


def small_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Judge few rows with a class of three among them: nothing may raise, and the ranking is compared."""
    cells = [
        (data.name, data.X, codes(data.y), n, seed)
        for data in each(SMALL_SETS[:3] if quick else SMALL_SETS)
        for n in SMALL_ROWS
        for seed in range(1 if quick else 2 * SEEDS)
        if data.frame.height > n
    ]
    lines = pl.DataFrame(everywhere(_small, cells), infer_schema_length=None)
    bars = []
    for n in SMALL_ROWS:
        some = lines.filter(pl.col("rows") == n)
        both = some.drop_nulls("cleanlab_ap")
        raised, own = int(some["cleanlab_ap"].null_count()), int(some["tilth_ap"].null_count())
        tilth, peer = (float(both[f"{who}_ap"].mean() or 0) for who in ("tilth", "cleanlab"))
        figures[f"small_{n}"] = {
            "runs": some.height,
            "tilth_raised": own,
            "cleanlab_raised": raised,
            "tilth_ap": tilth,
            "cleanlab_ap": peer,
        }
        print(
            f"{n} rows, a class of {RARE}: AP tilth {tilth:.1f}, cleanlab {peer:.1f} where it answers; "
            f"it raises in {raised} of {some.height} runs, tilth in {own}"
        )
        bars.append(Bar(f"labels.small.{n}.raised", own, 0, own == 0))
        ahead = round(tilth - peer, 2)
        bars.append(Bar(f"labels.small.{n}.ap/cleanlab.mean_ahead", ahead, 0, ahead >= 0))
    return bars


def _small(name: str, X: pl.DataFrame, y: np.ndarray, n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([zlib.crc32(name.encode()), n, seed])
    order = rng.permutation(len(y))
    rarest = np.bincount(y).argmin()
    own, others = order[y[order] == rarest][:RARE], order[y[order] != rarest][: n - RARE]
    rows = np.sort(np.concatenate([own, others]))
    truth = codes(pl.Series(y[rows]))
    # The rare class keeps its labels: were they all made wrong, none would be left to be rare.
    noisy = np.where(y[rows] == rarest, truth, plant(truth, "symmetric", 0.1, rng))
    line: dict[str, Any] = {"set": name, "rows": n}
    for who, ask in (("tilth", ours), ("cleanlab", theirs)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                line[f"{who}_ap"] = measures(ask(X[rows], noisy), noisy != truth)["ap"]
            except Exception as error:  # whatever it is: that it raises is the figure
                line |= {f"{who}_ap": None, f"{who}_error": f"{type(error).__name__}: {error}"[:200]}
    return line


def cleaning_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Score models on right labels: trained on right labels, on noisy ones, and on noisy ones cleaned."""
    from tilth.bench.statistics import corrected_t

    repeats = 1 if quick else 2
    cells = [
        (data.name, data.X, codes(data.y), seed, fold)
        for data in each(QUICK_SETS[:2] if quick else SETS, max_rows=MOST_ROWS)
        for seed in range(repeats)
        for fold in range(5)
    ]
    start = time.perf_counter()
    lines = pl.DataFrame(everywhere(_clean, cells))
    print(f"cleaning: {len(cells)} splits in {time.perf_counter() - start:.0f} s", flush=True)
    recovered: dict[str, list[float]] = {action: [] for action in ACTIONS}
    table = []
    for (name,), some in lines.group_by("set", maintain_order=True):
        lost = float((some["right"] - some["noisy"]).mean())
        row: dict[str, Any] = {"set": name, "right": some["right"].mean(), "noisy": some["noisy"].mean()}
        told = []
        for action in ACTIONS:
            gain = corrected_t((some[action] - some["noisy"]).to_numpy(), folds=5)
            row[action] = {"gain": gain.mean, "low": gain.low, "high": gain.high}
            told.append(f"{action} {gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]")
            if lost > COSTLY:
                recovered[action].append(gain.mean / lost)
        table.append(row)
        print(f"{name:14} right {row['right']:.1f}, noise costs {lost:.2f}; {'; '.join(told)}")
    figures["cleaning"] = table
    if not recovered["drop"]:
        print("cleaning: noise costs no set more than two points, so that no bar is held")
        return []
    shares = {action: round(float(np.mean(some)), 3) for action, some in recovered.items()}
    figures["recovered"] = shares
    least = {action: min(some) for action, some in recovered.items()}
    for action in ACTIONS:
        print(
            f"{action}: {shares[action]:.0%} of the loss recovered on {len(recovered[action])} sets, "
            f"least {least[action]:.0%}"
        )
    if quick:
        return []  # two sets on one dealing say too little
    return [Bar("labels.cleaning.drop.recovered", shares["drop"], 0.5, shares["drop"] >= 0.5)]


def _clean(name: str, X: pl.DataFrame, y: np.ndarray, seed: int, fold: int) -> dict[str, Any]:
    from tilth.probes import probe
    from tilth.stages import stage
    from tilth.table import Table

    train, test = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(y, y))[fold]
    noisy = plant(y[train], "symmetric", 0.2, np.random.default_rng([zlib.crc32(name.encode()), seed, fold]))

    def accuracy(rows: pl.DataFrame, labels: np.ndarray, weight: np.ndarray | None = None) -> float:
        model = probe(PROBE, task="classification", random_state=0)
        model.fit(rows, labels, **({} if weight is None else {"sample_weight": weight}))
        return 100 * float((model.predict(X[test]) == y[test]).mean())

    line: dict[str, Any] = {
        "set": name,
        "right": accuracy(X[train], y[train]),
        "noisy": accuracy(X[train], noisy),
    }
    table = Table.of(X[train], noisy)
    # One stage for the three: the second and third action cost no judgment.
    cleaner = stage("labels.clean", probe=PROBE)
    for action in ACTIONS:
        plan = cleaner.set_params(action=action).fit_table(table)
        kept = plan.times > 0
        labels = (
            noisy if plan.label is None else np.where(plan.label.is_null(), noisy, plan.label.fill_null(0))
        )
        line[action] = accuracy(
            X[train].filter(kept), labels[kept], None if plan.weight is None else plan.weight
        )
    return line
