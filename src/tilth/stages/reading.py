"""Mixed columns with gaps as one matrix of numbers, and numbers as cells again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from tilth.core.stage import RowStage
from tilth.errors import DataError, listed
from tilth.statistics import Statistics, hash_rows
from tilth.table import ROW, Table, kind_of

# Squares of numbers up to here, and sums of many of them, stay finite in float64.
LARGEST = 1e100
MOST_LEVELS = 50
"""Categories of a column that are told apart; the rarer ones are one."""


@dataclass(frozen=True)
class Reading:
    """Hold what was learned of columns, to read them as numbers and to write numbers as cells.

    Numbers are shifted and scaled; dates and times become days. Categories and booleans become codes
    from 0, the most frequent first; whatever else a column holds later, or too rare to be told apart,
    has the code after the last. A missing or infinite cell is NaN: an infinity is no measurement.

    Parameters
    ----------
    columns : tuple of str
    schema : dict of column to Polars type
        As they were learned from.
    levels : dict of column to tuple
        The categories told apart, as text or booleans.
    center, scale : ndarray of shape (n_columns,), float64
        A number x reads (x - center) / scale; 0 and 1 for categories.
    mode : ndarray of shape (n_columns,), float64
        What stands for a column where nothing else is known: the mean, as it is read (0 where numbers are
        centered), or the code of the most frequent category. NaN for a column without values.
    daily : tuple of str
        The date-times of which each is a midnight: days that came with a clock.

    Examples
    --------
    >>> rows = pl.DataFrame({"age": [20.0, None, 40.0], "city": ["Oslo", "Rome", "Oslo"]})
    >>> reading = Reading.learn(Statistics([rows.lazy()]), ["age", "city"])
    >>> reading.matrix(rows).tolist()
    [[-1.0, 0.0], [nan, 1.0], [1.0, 0.0]]
    >>> reading.series("age", np.array([0.5])).to_list(), reading.series("city", np.array([1.0])).to_list()
    ([35.0], ['Rome'])
    """

    columns: tuple[str, ...]
    schema: dict[str, Any]
    levels: dict[str, tuple[Any, ...]]
    center: np.ndarray
    scale: np.ndarray
    mode: np.ndarray
    daily: tuple[str, ...]

    @classmethod
    def learn(
        cls,
        statistics: Statistics,
        columns: Sequence[str],
        scale: Literal["standard", "none"] = "standard",
        most_levels: int = MOST_LEVELS,
    ) -> Reading:
        """Learn how to read `columns`: exact for any partition of the rows.

        Parameters
        ----------
        scale : {'standard', 'none'}
            Numbers to mean 0 and standard deviation 1 (over the cells that are there), or as they are.
        most_levels : int
            Categories told apart in a column; ties for the last place go to the smaller one.
        """
        schema = {c: statistics.schema[c] for c in columns}
        numbers = [c for c, dtype in schema.items() if _is_number(dtype)]
        words = [c for c in columns if c not in numbers]
        read = [s.select(_number(c, schema[c]) for c in numbers) for s in statistics.shards]
        moments = Statistics(read, statistics.id_column).moments(numbers)
        text = [s.select(_category(c, schema[c]) for c in words) for s in statistics.shards]
        counts = Statistics(text, statistics.id_column).counts(words)
        levels = {c: tuple(counts.values(c)[:most_levels]) for c in words}
        center, spread = np.zeros(len(columns)), np.ones(len(columns))
        mode = np.array([0.0 if levels.get(c) else np.nan for c in columns])
        places = [columns.index(c) for c in numbers]
        mean = np.where(moments.count > 0, moments.mean, np.nan)
        mode[places] = mean
        if scale == "standard":
            deviation = moments.std()
            center[places], spread[places] = moments.mean, np.where(deviation > 0, deviation, 1.0)
            mode[places] = np.where(moments.count > 0, 0.0, np.nan)
        daily = _daily(statistics, [c for c in columns if isinstance(schema[c], pl.Datetime)])
        return cls(tuple(columns), schema, levels, center, spread, mode, daily)

    @property
    def categorical(self) -> np.ndarray:
        """Tell which columns hold codes."""
        return np.array([c in self.levels for c in self.columns], dtype=bool)

    @property
    def empty(self) -> np.ndarray:
        """Tell which columns had no value."""
        return np.isnan(self.mode)

    @property
    def categories(self) -> list[int]:
        """Count the categories told apart in each column; 0 for numbers."""
        return [len(self.levels.get(c, ())) for c in self.columns]

    @property
    def source(self) -> np.ndarray:
        """Return the column that each column of `one_hot` comes from."""
        return np.repeat(np.arange(len(self.columns)), self._widths)

    @property
    def _widths(self) -> list[int]:
        return [len(self.levels[c]) if c in self.levels else 1 for c in self.columns]

    def matrix(self, frame: pl.DataFrame) -> np.ndarray:
        """Read rows as numbers.

        Returns
        -------
        ndarray of shape (n_rows, n_columns), float64
        """
        out, schema = np.empty((frame.height, len(self.columns))), frame.schema
        for place, name in enumerate(self.columns):
            dtype = schema[name]
            if name not in self.levels:
                values = frame.select(_number(name, dtype).fill_null(np.nan)).to_series().to_numpy()
                out[:, place] = (values - self.center[place]) / self.scale[place]
                continue
            text = frame.select(_category(name, dtype)).to_series()
            known = pl.Series(self.levels[name], dtype=text.dtype)
            codes = text.replace_strict(known, range(len(known)), default=len(known), return_dtype=pl.Float64)
            # replace_strict gives nulls the default, too.
            out[:, place] = np.where(text.is_null().to_numpy(), np.nan, codes.to_numpy())
        return out

    def one_hot(self, matrix: np.ndarray) -> np.ndarray:
        """Return the matrix with a 0/1 column for each category in place of codes.

        Returns
        -------
        ndarray of shape (n_rows, n_wide), float64
            NaN where the cell is missing; all 0 where the category is none of those told apart.
        """
        wide = []
        for place, name in enumerate(self.columns):
            codes = matrix[:, place, None]
            if name in self.levels:
                flags = (codes == np.arange(len(self.levels[name]))).astype(np.float64)
                codes = np.where(np.isnan(codes), np.nan, flags)
            wide.append(codes)
        return np.hstack(wide) if wide else np.empty((len(matrix), 0))

    def narrow(self, wide: np.ndarray) -> np.ndarray:
        """Return the matrix that `one_hot` was given; of the 0/1 columns of a category, the largest wins."""
        out, start = np.empty((len(wide), len(self.columns))), 0
        for place, (name, width) in enumerate(zip(self.columns, self._widths, strict=True)):
            part = wide[:, start : start + width]
            start += width
            if name not in self.levels:
                out[:, place] = part[:, 0]
            elif width == 0:
                out[:, place] = np.nan
            else:
                out[:, place] = np.where(np.isnan(part[:, 0]), np.nan, part.argmax(axis=1))
        return out

    def series(self, name: str, values: np.ndarray, dtype: pl.DataType | None = None) -> pl.Series:
        """Write numbers as cells of a column; NaN and codes without a category are null.

        Whole numbers, dates and times are rounded, and held to what the type can hold.

        Parameters
        ----------
        values : ndarray of shape (n_rows,), float64
            As `matrix` reads them.
        dtype : Polars type, optional
            By default the column's own.
        """
        place = self.columns.index(name)
        dtype = self.schema[name] if dtype is None else dtype
        if name in self.levels:
            levels = pl.Series(self.levels[name], dtype=pl.Boolean if dtype == pl.Boolean else pl.String)
            known = (values >= 0) & (values < len(levels))
            at = pl.Series(np.where(known, values, 0).astype(np.int64)).set(pl.Series(~known), None)
            return levels.gather(at).cast(dtype).alias(name)
        numbers = pl.Series(name, values * self.scale[place] + self.center[place], nan_to_null=True)
        if dtype.is_float() or dtype.is_decimal() or dtype == pl.Null:
            return numbers.cast(dtype)
        whole: Any = pl.Int64() if dtype.is_temporal() else dtype
        least, most = pl.select(whole.min().alias("a"), whole.max().alias("b")).row(0)
        if name in self.daily:
            numbers = numbers.round()
        per_day = _per_day(dtype) if dtype.is_temporal() else 1.0
        # The float next to the largest 64-bit number lies beyond it.
        top = float(most) if int(float(most)) == most else np.nextafter(float(most), 0)
        held = (numbers * per_day).round().clip(float(least), top)
        return held.cast(pl.Int32() if dtype == pl.Date else whole, strict=False).cast(dtype)


def _is_number(dtype: pl.DataType) -> bool:
    return kind_of(dtype) in ("numeric", "datetime")


def _number(name: str, dtype: pl.DataType) -> pl.Expr:
    """Read a column as float64, null where it is missing or infinite."""
    if dtype.is_temporal():
        return pl.col(name).to_physical().cast(pl.Float64) / _per_day(dtype)
    number = pl.col(name).cast(pl.Float64)
    return pl.when(number.is_finite()).then(number.clip(-LARGEST, LARGEST)).alias(name)


def _daily(statistics: Statistics, columns: Sequence[str]) -> tuple[str, ...]:
    if not columns:
        return ()
    midnight = [
        (pl.col(c).to_physical() % int(_per_day(statistics.schema[c])) == 0).all().alias(c) for c in columns
    ]
    parts = [s.select(midnight).collect() for s in statistics.shards]
    return tuple(c for c in columns if all(part[c][0] for part in parts))


def _category(name: str, dtype: pl.DataType) -> pl.Expr:
    return pl.col(name) if dtype == pl.Boolean else pl.col(name).cast(pl.String)


def _per_day(dtype: pl.DataType) -> float:
    """Return how many of a time type's units make a day."""
    if dtype == pl.Date:
        return 1.0
    unit = "ns" if dtype == pl.Time else dtype.time_unit  # type: ignore[attr-defined]
    return 86400.0 * {"ms": 1e3, "us": 1e6, "ns": 1e9}[str(unit)]


def readable(stage: RowStage, table: Table, what: str) -> bool:
    """Tell whether a row stage has columns to read; none at all where none were chosen is an error.

    Parameters
    ----------
    stage : RowStage
        Fitted as far as its columns.
    table : Table
    what : str
        What the columns must be, for the message.
    """
    if not stage.columns_ and stage.on is None:
        raise DataError(
            f"{stage.key}: no column that {what} among {listed(table.features)}. "
            "Put an embedding or encoding stage before it."
        )
    return bool(stage.columns_)


def in_hashed_order(ids: np.ndarray) -> np.ndarray:
    """Return positions in the order of hashed ids, so that ties and trees do not depend on how rows came."""
    return np.argsort(hash_rows(0, ids), kind="stable")


def learn_columns(frame: pl.LazyFrame, columns: list[str], *scaled: Any) -> Reading:
    """Learn how to read those of the columns that have a value; for `scaled` see `Reading.learn`."""
    statistics = Statistics([frame], ROW)
    reading = Reading.learn(statistics, columns, *scaled)
    known = [c for c, empty in zip(reading.columns, reading.empty, strict=True) if not empty]
    return reading if len(known) == len(reading.columns) else Reading.learn(statistics, known, *scaled)


def read_columns(table: Table, columns: list[str], *scaled: Any) -> tuple[Reading, np.ndarray]:
    """Read those of the columns that have a value: (n_rows, n_read), in the order of the rows."""
    reading = learn_columns(table.frame, columns, *scaled)
    return reading, reading.matrix(table.frame.select(reading.columns).collect())
