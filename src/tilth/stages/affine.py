"""Shifting and scaling columns: what every linear scale does once it has learned its two numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage
from tilth.errors import DataError
from tilth.statistics import Statistics


def scaled(
    frame: pl.LazyFrame, shift: Mapping[str, float], scale: Mapping[str, float], start: float = 0.0
) -> pl.LazyFrame:
    """Return the query in which each column is (x - shift) / scale + start; whole numbers become floats.

    Parameters
    ----------
    frame : LazyFrame
    shift, scale : mapping of column to float
        In the column's units; a shift of 0 and a scale of 1 leave it as it is.
    start : float
        What a value that equals the shift becomes.
    """
    if not shift:
        return frame
    schema = frame.collect_schema()
    return frame.with_columns(as_float(moved(c, shift[c], scale[c], start), schema[c]) for c in shift)


def unscaled(
    frame: pl.LazyFrame, shift: Mapping[str, float], scale: Mapping[str, float], start: float = 0.0
) -> pl.LazyFrame:
    """Return the query in which each column is (x - start) * scale + shift: the inverse of `scaled`."""
    if not shift:
        return frame
    return frame.with_columns(_stretched(_less(double(c), start), scale[c], shift[c]) for c in shift)


def moved(name: str, shift: float, scale: float, start: float = 0.0) -> pl.Expr:
    """Return a column as (x - shift) / scale + start, in double precision."""
    # Multiplied, not divided: Polars rounds the division of one row and of many rows differently.
    return _stretched(_less(double(name), shift), 1 / scale, start)


def _less(column: pl.Expr, shift: float) -> pl.Expr:
    return column - shift if shift else column


def _stretched(column: pl.Expr, factor: float, start: float) -> pl.Expr:
    column = column * factor if factor != 1 else column
    return column + start if start else column


def double(name: str) -> pl.Expr:
    """Return a column in double precision: in single, far from 0, a shift would round what is left."""
    return pl.col(name).cast(pl.Float64)


def as_float(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return an expression in the type that a scale gives out: single precision for a column of such."""
    return column.cast(pl.Float32) if dtype == pl.Float32 else column


def divisors(spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what columns are divided by, and which of them have no spread; those are divided by 1.

    Parameters
    ----------
    spread : ndarray of shape (n_columns,)
        In each column's units, however small these are; NaN where a column has no value.
    """
    flat = ~(spread >= np.finfo(np.float64).tiny)
    return np.where(flat, 1.0, spread), flat


def bounds(
    stage: ColumnStage, statistics: Statistics, needed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest value of the stage's columns; NaN where there is none.

    Parameters
    ----------
    stage : ColumnStage
    statistics : Statistics
    needed : ndarray of shape (n_columns,), bool, optional
        For which columns they must be finite; by default for all.

    Raises
    ------
    DataError
        If one that is needed is infinite, or the distance between the two.
    """
    found = statistics.extremes(stage.columns_)
    low, high = (
        np.array([np.nan if v is None else float(v) for v in side], np.float64)
        for side in (found.low, found.high)
    )
    with np.errstate(invalid="ignore", over="ignore"):
        spoiled = np.isinf(high - low) | np.isinf(low) | np.isinf(high)
    if needed is not None:
        spoiled &= needed
    for name in np.array(stage.columns_, dtype=object)[spoiled][:1]:
        raise DataError(
            f"{stage.key}: column '{name}' holds infinity, or values too far apart for a range. "
            "Put outliers.clip before, or make these cells missing."
        )
    return low, high


def report_flat(stage: ColumnStage, flat: np.ndarray, what: str) -> None:
    """Report the columns that have no spread."""
    for name in (c for c, is_flat in zip(stage.columns_, flat, strict=True) if is_flat):
        stage.report("scale.constant", f"'{name}' {what}.", 0.0, severity="low", columns=(name,))
