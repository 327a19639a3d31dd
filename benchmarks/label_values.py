"""Measure how well wrong numeric targets are found: `labels.regression` beside cleanlab.

Values of real sets are taken for right, and a share of them is made wrong with a fixed seed: 'swap' gives a
row the value of another row, 'shift' moves it by one to three standard deviations of the target. Both sides
judge with the same probe and as many folds, and are asked for their ranking of all rows (average precision)
and for the rows that they flag (F1). Boston holds eight values known to be wrong: their ranks are compared.
"""

from __future__ import annotations

import time
import warnings
import zlib
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score, f1_score

from bars import Bar
from datasets import AbsentError, each, load
from label_quality import everywhere

SETS = ("diabetes", "boston", "hitters", "college", "red_wine")
BOOSTED = ("diabetes",)
"""Boosting costs many times what the linear probe does: one set, one seed, at the rate in the middle."""
QUICK_SETS = ("diabetes", "college")
MOST_ROWS = 400
RATES = (0.05, 0.1, 0.2)
KINDS = ("swap", "shift")
PROBES = ("linear", "boosting")
FOLDS = 5
SEEDS = 2
LEAST = 0.1
"""A value counts as wrong if it is off by more than so many standard deviations of the target."""


def plant(y: np.ndarray, kind: str, rate: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the values with a share of them wrong, and which these are."""
    count = round(rate * len(y))
    chosen = rng.choice(len(y), count, replace=False)
    noisy = y.copy()
    if kind == "swap":
        noisy[chosen] = y[rng.permutation(len(y))[:count]]
    else:
        noisy[chosen] += rng.choice([-1, 1], count) * rng.uniform(1, 3, count) * y.std()
    return noisy, np.abs(noisy - y) > LEAST * y.std()


def ours(X: pl.DataFrame, y: np.ndarray, model: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ask `labels.regression` for its flags and how far it trusts each row."""
    from tilth.stages import stage

    given = {"probe": model, "folds": FOLDS, "random_state": seed, "max_share": 1.0}
    plan = stage("labels.regression", **given).fit(X, y).plan_
    return plan.times == 0, plan.score


def theirs(X: pl.DataFrame, y: np.ndarray, model: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ask cleanlab's CleanLearning for regression."""
    from cleanlab.regression.learn import CleanLearning

    found = CleanLearning(model, cv_n_folds=FOLDS, seed=seed).find_label_issues(X.to_pandas(), y)
    return found["is_label_issue"].to_numpy(), found["label_quality"].to_numpy()


SIDES = {"tilth": ours, "cleanlab": theirs}


def asked(
    X: pl.DataFrame, y: np.ndarray, probe: str, seed: int = 0
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Ask both sides, with the same probe."""
    from tilth.probes import probe as made

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = made(probe, task="regression", random_state=seed)
        return {who: ask(X, y, model, seed) for who, ask in SIDES.items()}


def value_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Compare both sides in every cell of set, probe, kind, rate and seed, and on Boston's known errors."""
    sets = _sets(QUICK_SETS if quick else SETS)
    middle = RATES[1:2]
    cells = [
        (*rows, "linear", kind, rate, seed)
        for rows in sets
        for kind in KINDS
        for rate in (middle if quick else RATES)
        for seed in range(1 if quick else SEEDS)
    ]
    if not quick:
        boosted = [rows for rows in sets if rows[0] in BOOSTED]
        cells += [(*rows, "boosting", kind, rate, 0) for rows in boosted for kind in KINDS for rate in middle]
    start = time.perf_counter()
    lines = pl.DataFrame(everywhere(_cell, cells))
    print(f"values: {len(cells)} runs of both sides in {time.perf_counter() - start:.0f} s", flush=True)
    figures["values"] = lines.to_dicts()
    bars = []
    for probe in (*lines["probe"].unique(maintain_order=True), None):
        some = lines if probe is None else lines.filter(pl.col("probe") == probe)
        name = "values" if probe is None else f"values.{probe}"
        gap = some["tilth_ap"] - some["cleanlab_ap"]
        told = "; ".join(
            f"{m} tilth {some[f'tilth_{m}'].mean():.2f}, cleanlab {some[f'cleanlab_{m}'].mean():.2f}"
            for m in ("ap", "f1", "false")
        )
        mean, error = round(float(gap.mean()), 2), float(gap.std()) / len(gap) ** 0.5
        print(
            f"{name}: {told}; AP ahead by {mean:+.2f} with a standard error of {error:.2f} over the cells, "
            f"worse in {(gap < 0).sum()} of {len(gap)}, worst {gap.min():+.2f}"
        )
        bars.append(Bar(f"labels.{name}.ap/cleanlab.mean_ahead", mean, 0, mean > 0))
    return bars + _known(quick, figures)


def _sets(names: tuple[str, ...]) -> list[tuple[str, pl.DataFrame, np.ndarray]]:
    """Return features and values of each set; rows without a value are left out, as cleanlab takes none."""
    told = []
    for data in each(names, max_rows=MOST_ROWS):
        frame = data.frame.drop_nulls(data.target).drop("cmedv", strict=False)
        told.append((data.name, frame.drop(data.target), frame[data.target].cast(pl.Float64).to_numpy()))
    return told


def _cell(
    name: str, X: pl.DataFrame, y: np.ndarray, probe: str, kind: str, rate: float, seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng([zlib.crc32(f"{name} {kind} {rate}".encode()), seed])
    noisy, wrong = plant(y, kind, rate, rng)
    line: dict[str, Any] = {"set": name, "probe": probe, "kind": kind, "rate": rate, "seed": seed}
    for who, (flags, trust) in asked(X, noisy, probe, seed).items():
        line |= {
            f"{who}_ap": 100 * average_precision_score(wrong, -trust),
            f"{who}_f1": 100 * f1_score(wrong, flags, zero_division=0),
            f"{who}_false": 100 * float((flags & ~wrong).sum() / max(flags.sum(), 1)),
        }
    return line


def _known(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Compare the ranks that both sides give to the eight wrong values of Boston."""
    try:
        data = load("boston")
    except AbsentError as absent:
        print(f"skipped boston: {absent}")
        return []
    X, y = data.X.drop("cmedv"), data.y.to_numpy()
    wrong = y != data.frame["cmedv"].to_numpy()
    probes = PROBES[:1] if quick else PROBES
    bars = []
    for probe, told in zip(probes, everywhere(asked, [(X, y, probe) for probe in probes]), strict=True):
        ap = {}
        for who, (_, trust) in told.items():
            ranks = np.sort(np.argsort(np.argsort(trust, kind="stable"))[wrong] + 1).tolist()
            ap[who] = 100 * average_precision_score(wrong, -trust)
            figures[f"boston.{probe}.{who}"] = {"ranks": ranks, "ap": ap[who]}
            print(f"boston, {probe}: {who} ranks the {wrong.sum()} wrong values {ranks} of {len(y)}")
        ahead = round(ap["tilth"] - ap["cleanlab"], 2)
        bars.append(Bar(f"labels.values.boston.{probe}.ap/cleanlab.ahead", ahead, 0, ahead >= 0))
    return bars
