"""Measure what rows without a label are worth: 5% of the labels kept, the others hidden.

Folds are dealt, stratified, with fixed seeds. Of each training part 5% of the labels of every class are
kept, at least one. A probe is trained on those rows, and again with what `labels.pseudo` made of the others;
both are tested on the fold that was left out, with its true labels. The gain is that of balanced accuracy, in
points, with Nadeau and Bengio's corrected interval over folds and repeats; accuracy and log loss stand beside
it.

Every set runs with the stage's defaults. They were chosen on the first fold of digits, page_blocks and
satellite, by what linear and boosting probes gained there, and were not changed afterwards.
"""

from __future__ import annotations

import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold

from bars import Bar
from datasets import each
from label_quality import everywhere

SETS = (
    "breast_cancer", "wine", "house_votes", "digits", "page_blocks", "satellite", "letter",
    "spambase", "magic", "german",
)  # fmt: skip
CHOSEN_ON = ("digits", "page_blocks", "satellite")
QUICK_SETS = ("page_blocks", "magic")
MOST_ROWS = 2000
KEPT = 0.05
FOLDS = 5
REPEATS = 2
METHODS = ("spreading", "self_training", "prototype")
"""The first is the default of the stage."""
PROBES = ("linear", "boosting")
COSTLY = {"boosting": METHODS[:1]}
"""Probes that are asked about fewer methods: each fit costs as much as all that else is done in a fold."""
PHOTOGRAPHS = "cifar10n"
LEAST_SETS = 4
"""On so many sets the gain's whole interval is to lie above 0."""


def draw(labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return which rows keep their label: a share of each class, at least one row."""
    kept = np.zeros(len(labels), dtype=bool)
    for level in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == level))
        kept[own[: max(round(share * len(own)), 1)]] = True
    return kept


def partly(X: pl.DataFrame, labels: np.ndarray, kept: np.ndarray) -> Any:
    """Return a table in which the labels that are not kept are null."""
    from tilth.table import Table

    known = pl.Series(labels).cast(pl.String)
    return Table.of(X, pl.select(pl.when(pl.Series(kept)).then(known)).to_series())


def scores(probe: str, table: Any, X: pl.DataFrame, truth: np.ndarray) -> dict[str, float]:
    """Train on a table, and judge by rows that it does not hold."""
    from tilth.probes import probe as made

    labels, weight = table.role("target"), table.role("weight")
    model = made(probe, task="classification", random_state=0)
    model.fit(table.frame.select(table.features).collect(), labels, sample_weight=weight)
    answers = np.zeros((len(truth), int(truth.max()) + 1))
    answers[:, model.classes_.astype(int)] = model.predict_proba(X)
    guess = answers.argmax(axis=1)
    held = np.clip(answers, 1e-6, 1)
    return {
        "balanced": 100 * balanced_accuracy_score(truth, guess),
        "accuracy": 100 * accuracy_score(truth, guess),
        "log_loss": log_loss(truth, held / held.sum(axis=1, keepdims=True), labels=range(answers.shape[1])),
    }


def pseudo_bars(quick: bool, figures: dict[str, Any], folder: Path | None = None) -> list[Bar]:
    """Compare, for every set, method, probe and fold, what the rows without a label bring."""
    sets = [(data.name, data.X, codes(data.y)) for data in each(QUICK_SETS if quick else SETS, MOST_ROWS)]
    if folder is not None and not quick:
        sets.append(photographs(folder))
    repeats = range(1 if quick else REPEATS)
    start, told = time.perf_counter(), []
    print("balanced accuracy with 5% of the labels, and its gain (95% interval) by each method", flush=True)
    for rows in sets:
        photos = rows[0] == PHOTOGRAPHS
        asked = {p: COSTLY.get(p, METHODS) for p in (PROBES[:1] if photos else PROBES)}
        if photos:
            # With 1,280 columns the many fits of self-training cost more than all other sets.
            asked = {p: tuple(m for m in methods if m != "self_training") for p, methods in asked.items()}
        cells = [(*rows, asked, repeat, fold) for repeat in repeats for fold in range(FOLDS)]
        told += (new := [line for cell in everywhere(_cell, cells) for line in cell])
        print(f"{rows[0]}, after {time.perf_counter() - start:.0f} s")
        for g in _gains(pl.DataFrame(new, infer_schema_length=None)):
            print(
                f"  {g['probe']:9} {g['base']:5.1f} {g['method']:13} {g['balanced']:+5.1f} "
                f"({g['low']:+.1f} to {g['high']:+.1f})",
                flush=True,
            )
    lines = pl.DataFrame(told, infer_schema_length=None)
    figures["pseudo"] = lines.to_dicts()
    gains = pl.DataFrame(_gains(lines))
    figures["pseudo_gains"] = gains.to_dicts()
    return _bars(gains, lines, quick)


def _bars(gains: pl.DataFrame, lines: pl.DataFrame, quick: bool) -> list[Bar]:
    """Hold the default method to its bars, and show where methods hurt."""
    bars, sets = [], set()
    default = gains.filter(pl.col("method") == METHODS[0])
    for probe, some in default.group_by("probe", maintain_order=True):
        # What learns nothing from so few labels gains from any others: that is shown, and not counted.
        helped = some.filter((pl.col("low") > 0) & (pl.col("base") > pl.col("chance") + 5))
        sets |= set(helped["set"])
        others = int((~helped["set"].is_in(CHOSEN_ON)).sum())
        print(f"{probe[0]}: {METHODS[0]} helps on {listed(helped['set'])}; {others} not chosen on")
    goal = 1 if quick else LEAST_SETS
    bars.append(Bar("limited.pseudo.sets_helped", len(sets), goal, len(sets) >= goal))
    lost = gains.filter(pl.col("balanced") < 0).sort("balanced")
    for g in lost.to_dicts():
        word = "hurts" if g["high"] < 0 else "loses, perhaps by chance"
        print(
            f"{word}: {g['set']}, {g['probe']}, {g['method']} {g['balanced']:+.1f} "
            f"({g['low']:+.1f} to {g['high']:+.1f})"
        )
    bars.append(Bar("limited.pseudo.losses_shown", lost.height, 1, lost.height >= 1))
    for m in ("accuracy", "log_loss"):
        told = default.group_by("probe", maintain_order=True).agg(pl.col(m).mean())
        print(f"{METHODS[0]}, mean gain in {m}: " + ", ".join(f"{p} {v:+.2f}" for p, v in told.rows()))
    by = lines.filter(pl.col("method") != "labeled").unique(
        ["set", "method", "repeat", "fold"], maintain_order=True
    )
    for (method,), some in by.drop_nulls("estimate").group_by("method", maintain_order=True):
        gap = 100 * (some["estimate"] - some["right"])
        held = some.select(pl.col("right").is_between(pl.col("low"), pl.col("high")).mean()).item()
        print(
            f"{method!s}: {some['right'].mean():.1%} of its labels are right, estimated "
            f"{some['estimate'].mean():.1%}; the interval holds the truth in {held:.0%} of {some.height} runs"
        )
        # With labels hidden there are fewer to learn from: less may be promised than is kept, not more.
        over = round(float(gap.mean()), 2)
        bars.append(Bar(f"limited.pseudo.{method}.promised_too_much.points", over, 3, over <= 3))
    return bars


def _gains(lines: pl.DataFrame) -> list[dict[str, Any]]:
    from tilth.bench.statistics import corrected_t

    out = []
    by, when = ["set", "probe"], ["set", "probe", "repeat", "fold"]
    base = lines.filter(pl.col("method") == "labeled")
    for method in METHODS:
        both = lines.filter(pl.col("method") == method).join(base, on=when, suffix="_base")
        for key, some in both.group_by(by, maintain_order=True):
            gain = (some["balanced"] - some["balanced_base"]).to_numpy()
            found = corrected_t(gain, FOLDS, size=100)
            out.append(
                {
                    **dict(zip(by, key, strict=True)),
                    "method": method,
                    "base": float(some["balanced_base"].mean()),
                    "chance": 100 / float(some["classes"][0]),
                    "balanced": found.mean,
                    "low": found.low,
                    "high": found.high,
                    "p": found.p,
                    "accuracy": float((some["accuracy"] - some["accuracy_base"]).mean()),
                    "log_loss": float((some["log_loss_base"] - some["log_loss"]).mean()),
                }
            )
    return sorted(out, key=lambda g: ([*SETS, PHOTOGRAPHS].index(g["set"]), PROBES.index(g["probe"])))


def _cell(
    name: str, X: pl.DataFrame, y: np.ndarray, asked: dict[str, tuple[str, ...]], repeat: int, fold: int
) -> list[dict[str, Any]]:
    from tilth.stages import stage

    seed = zlib.crc32(f"{name} {repeat}".encode())
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**31).split(y, y)
    train, test = list(splits)[fold]
    kept = draw(y[train], KEPT, np.random.default_rng([seed, fold]))
    table, labeled = partly(X[train], y[train], kept), partly(X[train[kept]], y[train[kept]], kept[kept])
    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method in ("labeled", *asked[PROBES[0]]):
            told: dict[str, Any] = {"right": None, "estimate": None, "low": None, "high": None}
            given = labeled
            if method != "labeled":
                cleaner = stage("labels.pseudo", method=method, random_state=repeat)
                given = cleaner.fit_resample(table)
                told = _rightness(cleaner, y[train])
            line = {
                "set": name,
                "classes": len(np.unique(y)),
                "method": method,
                "repeat": repeat,
                "fold": fold,
            }
            line |= told
            lines += [
                line | {"probe": p} | scores(p, given, X[test], y[test])
                for p, methods in asked.items()
                if method in ("labeled", *methods)
            ]
    return lines


def _rightness(labeler: Any, truth: np.ndarray) -> dict[str, Any]:
    """Return how many of the new labels are right, and what the stage says of that."""
    told = labeler.plan_.label
    made = told.is_not_null().to_numpy()
    right = (
        float((told.filter(pl.Series(made)).cast(int).to_numpy() == truth[made]).mean())
        if made.any()
        else None
    )
    found = [f for f in labeler.findings_ if f.kind == "labels.pseudo_right"]
    if not found or right is None:
        return {"right": right, "estimate": None, "low": None, "high": None}
    words = found[0].message.partition("(")[2].partition(")")[0].replace("%", "").split(" to ")
    low, high = (float(word) / 100 for word in words)
    return {"right": right, "estimate": found[0].score, "low": low, "high": high}


def photographs(folder: Path) -> tuple[str, pl.DataFrame, np.ndarray]:
    """Return photographs as what a network makes of them, with their right labels."""
    from embeddings import cifar10n

    embedded, told = cifar10n(folder / "cifar10n")
    X = pl.DataFrame(embedded[:MOST_ROWS], schema=[f"e{i}" for i in range(embedded.shape[1])])
    return PHOTOGRAPHS, X, codes(told["clean"][:MOST_ROWS])


def codes(labels: pl.Series) -> np.ndarray:
    """Return the classes as codes from 0."""
    return labels.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1


def listed(names: pl.Series) -> str:
    """Return names as one line."""
    return ", ".join(names) or "none"
