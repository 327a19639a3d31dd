"""Labels known to be right, beside the labels as given: what a stage that relabels is worth by both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.design import Design
from tilth.bench.estimating import ByFolds, Estimator
from tilth.bench.metrics import METRICS
from tilth.core import Finding
from tilth.errors import ColumnError, DataError
from tilth.probes.target import read_target, read_values
from tilth.table import Table

CLEAN, GIVEN = "clean", "given"
CLEANED = pl.Schema(
    {
        "probe": pl.String,
        "metric": pl.String,
        "labels": pl.String,
        "arm": pl.String,
        "repeat": pl.Int64,
        "fold": pl.Int64,
        "value": pl.Float64,
    }
)


def set_apart(table: Table, clean: Any) -> tuple[Table, pl.Series | None]:
    """Take the labels known to be right out of the table, if a column holds them, and return both.

    Parameters
    ----------
    table : Table
    clean : str or array-like of shape (n_rows,), optional
        A column's name, or labels; null or NaN where nobody knows better. By default the column that has the
        role.

    Raises
    ------
    DataError
        No such column, or not as many labels as rows.
    """
    held = table.roles.clean
    clean = held if clean is None else clean
    if clean is None:
        return table, None
    if isinstance(clean, str):
        if clean not in (*table.features, held):
            raise ColumnError.missing([clean], list(table.features), "clean")
        frame = table.frame.collect()
        roles = replace(table.roles, clean=None) if clean == held else table.roles
        return table.with_frame(frame.drop(clean).lazy(), roles), frame[clean]
    labels = pl.Series("clean", clean)
    if len(labels) != table.height:
        raise DataError(f"clean has {len(labels)} labels, but the table has {table.height} rows.")
    return table, labels


def codes_of(clean: pl.Series, task: str, labels: pl.Series) -> NDArray:
    """Return clean labels as class codes, -1 where unknown, or as values, NaN where unknown.

    Raises
    ------
    DataError
        No label is known, or one is none of the target's classes.
    """
    clean = clean.fill_nan(None) if clean.dtype.is_float() else clean
    if clean.null_count() == len(clean):
        raise DataError("clean holds no label at all. Name rows whose labels were checked, or leave it out.")
    if task == "regression":
        values = np.full(len(clean), np.nan)
        values[clean.is_not_null().to_numpy()] = read_values(read_target(clean.drop_nulls()))
        return values
    if clean.dtype.is_float() and not labels.str.contains(".", literal=True).any():
        # Gaps make whole numbers floats in other libraries: 1.0 is the class 1.
        clean = clean.cast(pl.Int64, strict=False) if (clean.drop_nulls() % 1 == 0).all() else clean
    texts = clean.cast(pl.String)
    place = dict(zip(labels.to_list(), range(len(labels)), strict=True))
    codes = texts.replace_strict(place, default=None, return_dtype=pl.Int64)
    strange = texts.filter(texts.is_not_null() & codes.is_null())
    if len(strange):
        raise DataError(
            f"clean holds the label {strange[0]!r}, which is none of the target's classes: "
            f"{', '.join(labels.to_list()[:5])}."
        )
    return codes.fill_null(-1).to_numpy()


def on_clean(
    clean: NDArray | None,
    metrics: Sequence[str],
    truth: NDArray,
    weight: NDArray[np.float64],
    told: dict[str, NDArray[np.float64]],
) -> Iterator[dict[str, Any]]:
    """Score the test rows whose right label is known, by that label and by the one given.

    Parameters
    ----------
    clean : ndarray of shape (n_tested,), optional
        Class codes or values, -1 or NaN where unknown; None: nothing is scored.
    metrics : sequence of str
    truth, weight : ndarray of shape (n_tested,)
    told : dict of metric to ndarray
        What each metric scores.
    """
    if clean is None:
        return
    counts = known(clean) & (weight > 0)
    for metric in metrics:
        for name, labels in ((CLEAN, clean), (GIVEN, truth)):
            value = float("nan")
            if counts.any():
                value = METRICS[metric].score(labels[counts], told[metric][counts], weight[counts])
            yield {"metric": metric, "labels": name, "value": float(value)}


def said_by_both(
    scores: pl.DataFrame,
    design: Design,
    probes: Sequence[str],
    pairs: Sequence[tuple[str, str, str]] = (("", "before", "after"),),
    estimator: Estimator | None = None,
) -> list[Finding]:
    """Say for each probe what is gained by the labels known to be right, and by those given.

    Parameters
    ----------
    scores : DataFrame
        As `CLEANED`.
    design : Design
    probes : sequence of str
    pairs : sequence of (stage, arm before, arm after)
        What is held against what; in an ablation one pair for each stage.
    estimator : Estimator, optional
        By default over folds.
    """
    if design.clean is None:
        return []
    by: Estimator = estimator or ByFolds(design.folds, design.ratio)
    rows = int((known(design.clean) & (design.fold_of >= 0).any(axis=0)).sum())
    findings = []
    asked = [(*pair, name, METRICS[m]) for pair in pairs for name in probes for m in design.primary]
    for stage, first, second, name, metric in asked:
        told, gain = [], float("nan")
        for labels, words in ((CLEAN, "known to be right"), (GIVEN, "as given")):
            mine = scores.filter(probe=name, metric=metric.name, labels=labels)
            both = mine.pivot("arm", index=["repeat", "fold"], values="value")
            if not {first, second} <= set(both.columns):
                continue
            both = both.select(first, second).drop_nulls().drop_nans()
            before, after = (both[arm].to_numpy() for arm in (first, second))
            held = {(name, metric.name, first): before, (name, metric.name, second): after}
            found = by.gain(held, name, metric, first, second, labels) if both.height else None
            if found is None:
                continue
            gain = found.mean if labels == CLEAN else gain
            told.append(
                f"by the labels {words} {before.mean():.4f} -> {after.mean():.4f}, gain "
                f"{found.mean:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f})"
            )
        if told:
            who = f"{stage}: {name}" if stage else name
            message = f"{who}, {metric.name}, on {rows:,} rows with a clean label: {'; '.join(told)}."
            findings.append(Finding("bench.clean_labels", message, gain, "info", n_rows=rows, stage="bench"))
    return findings


def by_labels(scores: pl.DataFrame, made: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Add the arms that `made` makes up of scores, for either kind of labels by itself.

    Folds in which an arm has no score, as no test row of theirs was checked, are left out.

    Parameters
    ----------
    scores : DataFrame
        As `CLEANED`.
    made : callable
        Takes and returns scores as in `Trial`.
    """
    if scores.is_empty():
        return scores
    parts = []
    for labels in (CLEAN, GIVEN):
        mine = scores.filter(labels=labels)
        known = pl.col("value").is_not_nan().all().over("repeat", "fold")
        told = made(mine.filter(known).drop("labels")).with_columns(labels=pl.lit(labels))
        parts.append(told.select(CLEANED.names()))
    return pl.concat(parts)


def known(clean: NDArray) -> NDArray[np.bool_]:
    """Tell which rows have a clean label."""
    there: NDArray[np.bool_] = np.isfinite(clean) if clean.dtype.kind == "f" else clean >= 0
    return there
