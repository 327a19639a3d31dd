"""Rows made of others, each cell in the type of its column."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import polars as pl

from tilth.statistics.synthesis import between

EXACT = 2**53
"""Whole numbers up to here are held by a float."""
_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_LAST_TIME = _DAY["ns"] - 1

Change = Callable[[np.ndarray], np.ndarray]
"""From the numbers of a column, (n_rows,), to those of the rows made, (n_made,); NaN is a missing cell."""


def interpolated(
    frame: pl.DataFrame,
    columns: Collection[str],
    base: np.ndarray,
    other: np.ndarray,
    gap: np.ndarray,
    donors: Mapping[str, np.ndarray] | None = None,
) -> pl.DataFrame:
    """Make rows that lie between two others: base + gap * (other - base).

    Dates, times and numbers are rounded where all numbers of their column are whole, whatever its type, so
    that a flag is that of the nearer row. Where one of the two cells is missing or infinite, the base's
    cell stands.

    Parameters
    ----------
    frame : DataFrame
    columns : collection of str
        Numbers, dates and times that are interpolated. Every other column has the base's cell.
    base, other : ndarray of shape (n_made,), int64
        Positions in `frame`.
    gap : ndarray of shape (n_made,), float64
        From 0, at the base, to 1, at the other; below 0 away from the other.
    donors : mapping of column to ndarray of shape (n_made,), int64, optional
        The rows whose cells a column has instead.

    Examples
    --------
    >>> rows = pl.DataFrame({"x": [0.5, 1.5, 4.5], "n": [1, 4, 2], "flag": [0.0, 1.0, 1.0]})
    >>> interpolated(rows, rows.columns, np.array([0]), np.array([2]), np.array([0.25])).row(0)
    (1.5, 1, 0.0)
    """
    donors = donors or {}

    def change(values: np.ndarray) -> np.ndarray:
        return between(values[base], values[other], gap)

    def cells(name: str) -> pl.Series:
        column = frame[name]
        if name in donors:
            return column.gather(donors[name])
        if name not in columns or column.dtype == pl.Null:
            return column.gather(base)
        if is_flag(column):
            return _written(column, lambda values: np.clip(change(values), 0.0, 1.0))
        made = _written(column, change)
        if column.dtype.is_float() or column.dtype.is_decimal():
            return made
        # Numbers that no float holds are rounded, which must not lead out of where they lie.
        ends = [column.gather(place).to_physical() for place in (base, other)]
        low, high = (ends[0].zip_with(chosen, ends[1]) for chosen in _lower(ends))
        held = made.to_physical().clip(low, high).cast(made.to_physical().dtype)
        inside = pl.Series((gap >= 0) & (gap <= 1))
        return held.zip_with(inside, made.to_physical()).cast(made.dtype).alias(name)

    return pl.DataFrame({name: cells(name) for name in frame.columns})


def shifted(
    frame: pl.DataFrame, columns: Collection[str], base: np.ndarray, shift: Callable[[str], np.ndarray]
) -> pl.DataFrame:
    """Make copies of rows whose numbers are moved.

    Whole numbers are rounded and stay in the range of their column. Numbers that are only ever 0 or 1 are
    not moved, and neither are missing and infinite cells.

    Parameters
    ----------
    frame : DataFrame
    columns : collection of str
        The numbers that are moved. Every other column has the base's cell.
    base : ndarray of shape (n_made,), int64
        Positions in `frame`.
    shift : callable
        Returns for a column by how much each cell is moved, of shape (n_made,).
    """

    def cells(name: str) -> pl.Series:
        column = frame[name]
        if name not in columns or column.dtype == pl.Null or is_flag(column):
            return column.gather(base)
        return _written(column, lambda values: values[base] + shift(name), held=True)

    return pl.DataFrame({name: cells(name) for name in frame.columns})


def _lower(ends: list[pl.Series]) -> tuple[pl.Series, pl.Series]:
    """Tell where the first of two is the lower one, and the higher one; where the second is missing, both."""
    alone = ends[1].is_null()
    return ((ends[0] <= ends[1]) | alone).fill_null(False), ((ends[0] >= ends[1]) | alone).fill_null(False)


def is_flag(column: pl.Series) -> bool:
    """Tell whether a column of numbers is only ever 0 or 1."""
    return column.dtype.is_numeric() and bool(((column == 0) | (column == 1)).all())


def is_whole(column: pl.Series) -> bool:
    """Tell whether a column of floats holds whole numbers only: so do whole numbers with gaps in pandas."""
    # Where there are fractions, one is seldom far.
    return all(
        bool((part.is_infinite() | (part == part.round())).all()) for part in (column.head(100), column)
    )


def _range(column: pl.Series) -> tuple[float, float]:
    finite = column.filter(column.is_finite())
    return float(finite.min() or 0.0), float(finite.max() or 0.0)  # type: ignore[arg-type]


def _written(column: pl.Series, change: Change, *, held: bool = False) -> pl.Series:
    """Return the changed numbers of a column in its own type; `held`: whole ones within their range."""
    dtype = column.dtype
    if dtype.is_float() or dtype.is_decimal():
        values = column.cast(pl.Float64)
        numbers = change(values.to_numpy())
        if is_whole(values):
            low, high = _range(values) if held else (-np.inf, np.inf)
            numbers = np.where(np.isinf(numbers), numbers, np.clip(np.round(numbers), low, high))
        return pl.Series(column.name, numbers, nan_to_null=True).cast(dtype)
    whole = column.to_physical()
    least: Any = whole.min()
    most: Any = whole.max()
    if least is None or most is None:
        none = change(np.full(len(column), np.nan))
        return pl.Series(column.name, none, nan_to_null=True).cast(pl.Int8).cast(dtype)
    # Numbers a float does not hold are told apart by what lies between them and the least.
    wide = max(abs(int(least)), abs(int(most))) > EXACT
    start = int(least) if wide else 0
    measured = whole.cast(pl.Int128) - _one(start) if wide else whole
    day = _day(dtype)
    step = day if day > 1 and bool((whole % day == 0).all()) else 1
    numbers = np.round(change(measured.cast(pl.Float64).to_numpy() / step)) * step
    low, high = (int(least), int(most)) if held else _limits(dtype)
    numbers = np.clip(numbers, float(low - start), float(high - start))
    made = pl.Series(column.name, numbers, nan_to_null=True).cast(pl.Int128 if wide else pl.Int64)
    if wide:
        made = (made + _one(start)).clip(_one(low), _one(high))
    return made.cast(whole.dtype).cast(dtype)


def _one(number: int) -> pl.Series:
    return pl.Series([number], dtype=pl.Int128)


def _day(dtype: Any) -> int:
    """Return how many units of a date-time make a day; 1 for all else."""
    return _DAY[dtype.time_unit] if isinstance(dtype, pl.Datetime) else 1


def _limits(dtype: Any) -> tuple[int, int]:
    if dtype == pl.Time:
        return 0, _LAST_TIME
    whole: Any = pl.Int32() if dtype == pl.Date else pl.Int64() if dtype.is_temporal() else dtype
    least, most = pl.select(whole.min().alias("a"), whole.max().alias("b")).row(0)
    return int(least), int(most)
