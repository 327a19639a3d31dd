"""How wrong a model is about each row that it did not learn from: a probe, or predictions that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import get_cached_controller

from tilth.audit.column import Column
from tilth.audit.target import is_classes
from tilth.errors import DataError
from tilth.probes import Probe
from tilth.stages.classes import Classes
from tilth.stages.folds import folds_of
from tilth.stages.judging import Judgment, chosen, judge, out_of_fold
from tilth.statistics.gap import Vector
from tilth.table import ROW, Table
from tilth.table.container import enter_column

KINDS = ("numeric", "categorical", "boolean", "datetime")
"""Columns that a probe reads, and along which rows are cut."""

FOLDS = 5


@dataclass(frozen=True)
class Losses:
    """Hold how wrong a model is about each row.

    Parameters
    ----------
    ids : ndarray of shape (n_judged,), uint64
    values : ndarray of shape (n_judged,), float64
        0 where it is right about a class and 1 where it is wrong; or how far off a number is.
    classes : bool
    who : str
        Who was judged, for messages.
    doubt : ndarray of shape (n_judged,), float64, optional
        What ranks rows of a finding, the most wrong first; by default `values`.
    """

    ids: NDArray[np.uint64]
    values: Vector
    classes: bool
    who: str
    doubt: Vector | None = None

    @classmethod
    def of_probabilities(
        cls, ids: NDArray[np.uint64], labels: NDArray[np.int64], probabilities: Vector, who: str
    ) -> Losses:
        """Count a row as wrong where another class than its own is the likeliest."""
        wrong = (probabilities.argmax(axis=1) != labels).astype(np.float64)
        return cls(ids, wrong, True, who, wrong - probabilities[np.arange(len(labels)), labels])

    @classmethod
    def of(cls, found: Judgment, ids: NDArray[np.uint64]) -> Losses:
        """Read the errors from what probes said of rows whose labels they never saw."""
        if not len(found.rows):
            return cls(ids[:0], np.zeros(0), True, "")
        who = f"the {found.probe} probe"
        return cls.of_probabilities(ids[found.rows], found.labels, found.probabilities, who)


def asked(table: Table, y: Column, probe: Any, seed: int, without: Sequence[str] = ()) -> Losses:
    """Ask a probe about each row, fitted on others, and return its errors.

    Parameters
    ----------
    table : Table
    y : Column
        The target, of two values or more.
    probe : str or estimator
    seed : int
    without : sequence of str
        Columns that it does not see.
    """
    table = table.with_frame(table.frame.sort(ROW)).collect()
    columns = [c for c, kind in table.kinds.items() if kind in KINDS and c not in without]
    classes = is_classes(y)
    with get_cached_controller().limit(limits=1, user_api="blas"):
        if not columns:
            return Losses(np.zeros(0, np.uint64), np.zeros(0), classes, "")
        if classes:
            one = {"folds": FOLDS, "repeats": 1, "looks": 1, "random_state": seed}
            found = judge(table, columns, "weak_slices", probe=probe, **one)
            return Losses.of(found, table.ids)
        return _numbers(table, columns, probe, seed)


def _numbers(table: Table, columns: list[str], probe: Any, seed: int) -> Losses:
    target = table.need("target", "weak_slices").cast(pl.Float64)
    weight, groups = table.role("weight"), table.role("group")
    usable = target.is_finite().fill_null(False)
    rows = np.flatnonzero((usable & (weight > 0) if weight is not None else usable).to_numpy())
    truth, ids = target.to_numpy()[rows], table.ids[rows]
    fold = folds_of(ids, FOLDS, seed, None, None if groups is None else groups[rows])
    if len(np.unique(fold)) < 2:
        return Losses(ids[:0], truth[:0], False, "")
    inputs = table.frame.select(columns).collect()[rows]
    weights = None if weight is None else weight.cast(pl.Float64).to_numpy()[rows]

    def ask(who: Any) -> Vector:
        return out_of_fold(
            inputs, truth, fold, probe=who, task="regression", weight=weights, random_state=seed
        )

    def loss(answer: Vector) -> float:
        return float(np.average(np.abs(answer - truth), weights=weights))

    who, answer = chosen(probe, ask, loss, "regression")
    name = type(who).__name__.lower() if isinstance(who, Probe) else type(who).__name__
    name = who if isinstance(who, str) else name
    return Losses(ids, np.abs(answer - truth), False, f"the {name} probe")


def given(table: Table, y: Column, predictions: Any) -> Losses:
    """Compare predictions with the target; rows without a target are left out.

    Parameters
    ----------
    table : Table
    y : Column
        The target.
    predictions : array or Series of shape (n_rows,) or (n_rows, n_classes)
        Classes or numbers as in the target; probabilities of all classes in sorted order, or of the second of
        two.

    Raises
    ------
    DataError
        If they do not match the rows or the classes, or some are missing.
    """
    shape = np.shape(predictions)
    if len(shape) not in (1, 2) or shape[0] != table.height:
        raise DataError(
            f"weak_slices: predictions have shape {shape}, but there are {table.height} rows. Give one "
            "value, or one probability per class, for each row."
        )
    known, classes = y.series.is_not_null().to_numpy(), is_classes(y)
    if not known.any():
        return Losses(y.ids[:0], np.zeros(0), True, "")
    if len(shape) == 2 and shape[1] > 1:
        return _by_probability(np.asarray(predictions).astype(np.float64), y, known)
    told = enter_column(predictions, "predictions")
    told = told.cast(pl.String) if told.dtype in (pl.Categorical, pl.Enum) else told
    _complete(told.is_null().to_numpy() & known)
    if told.dtype.is_float() and classes and (told != told.round(0)).any():
        if y.distinct == 2 and told.is_between(0, 1).all():
            return _by_probability(np.column_stack([1 - told.to_numpy(), told.to_numpy()]), y, known)
        # Few whole numbers, and a model that takes them for numbers.
        classes = not y.series.dtype.is_numeric()
    if classes:
        wrong = ~_same(told, y.series)
    else:
        known &= y.series.cast(pl.Float64).is_finite().fill_null(False).to_numpy()
        wrong = np.abs(_as_numbers(told) - y.series.cast(pl.Float64).to_numpy())
    return Losses(y.ids[known], wrong[known].astype(np.float64), classes, "the model")


def _by_probability(probabilities: Vector, y: Column, known: NDArray[np.bool_]) -> Losses:
    if not is_classes(y) or probabilities.shape[1] != y.distinct:
        what = f"{y.distinct} classes" if is_classes(y) else "numbers, not classes"
        raise DataError(
            f"weak_slices: predictions have {probabilities.shape[1]} columns, but the target has {what}. "
            "Give a probability for each class, in their sorted order."
        )
    _complete(np.isnan(probabilities).any(axis=1) & known)
    if y.distinct < 2:
        return Losses(y.ids[:0], np.zeros(0), True, "")
    codes = Classes.of(y.series, "weak_slices").codes
    return Losses.of_probabilities(y.ids[known], codes[known], probabilities[known], "the model")


def _as_numbers(told: pl.Series) -> Vector:
    if not told.dtype.is_numeric() and told.dtype != pl.Boolean:
        raise DataError(
            f"weak_slices: the target holds numbers, but predictions are {told.dtype}. Give numbers."
        )
    return told.cast(pl.Float64).to_numpy()


def _same(told: pl.Series, truth: pl.Series) -> NDArray[np.bool_]:
    both = [s.cast(pl.Float64) if s.dtype.is_numeric() or s.dtype == pl.Boolean else s for s in (told, truth)]
    if both[0].dtype != both[1].dtype:
        both = [s.cast(pl.String) for s in (told, truth)]
    if not both[0].is_in(both[1].drop_nulls().implode()).any():
        raise DataError(
            f"weak_slices: predictions such as {told[0]!r} are none of the target's classes, such as "
            f"{truth.drop_nulls()[0]!r}. Give classes as they are in the target, or probabilities."
        )
    return np.asarray((both[0] == both[1]).fill_null(False).to_numpy())


def _complete(missing: NDArray[np.bool_]) -> None:
    if missing.any():
        raise DataError(
            f"weak_slices: {int(missing.sum())} predictions are missing. Leave those rows out, or predict "
            "them."
        )
