"""Turns a mixed, gappy frame into a float matrix, the same way for every row and every later frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.errors import ColumnError, DataError, UnknownName
from tilth.probes.scaling import SCALES, weighted_median
from tilth.statistics.smooth import smooth_clip

# Squares of numbers up to here, and sums of many of them, stay finite in float64.
LARGEST = 1e100
MICROSECONDS_PER_DAY = 86_400e6


@dataclass(frozen=True)
class Column:
    """What was learned of one column.

    Attributes
    ----------
    name : str
    kind : {"numeric", "boolean", "datetime", "duration", "category", "empty"}
        "empty" had no value at all in fitting, and stays without one.
    dtype : str
        The Polars type it had in fitting, for messages.
    gaps : bool
        Some values, not all, were missing in fitting.
    levels : tuple of str
        Categories in order of code.
    rare : bool
        One more code follows `levels`, for all rarer and unseen categories.
    """

    name: str
    kind: str
    dtype: str
    gaps: bool
    levels: tuple[str, ...] = ()
    rare: bool = False

    @property
    def codes(self) -> int:
        """Return how many codes the categories have."""
        return len(self.levels) + self.rare


class Inputs:
    """Learn from a frame how to turn it into a float matrix, then do so for any frame with those columns.

    Numbers stay numbers; booleans become 0 and 1; dates and date-times become days since 1970-01-01 UTC,
    durations and times of day become days. NaN, null and infinities are missing: an infinity is an overflow
    or a division by zero, not a measurement. Numbers beyond 1e100 are held there. Strings, categoricals and
    enums are categories; where a column has more than `max_categories`, the rarest (ties: the last in the
    alphabet) share one level, which also takes unseen categories. Without such a level an unseen category is
    all zeros ("onehot") or missing ("ordinal").

    The matrix holds, in this order: numbers; with `fill`, one 0/1 column per column that had gaps;
    categories. A column that was wholly missing in fitting stays so whatever comes later; one that was
    constant scales to 0. Columns are found by name, so their order does not matter, and further columns are
    ignored.

    Parameters
    ----------
    encoding : {"onehot", "ordinal"}, default "onehot"
        One 0/1 column per category, or one column of codes from 0.
    fill : bool, default True
        Replace missing numbers by the column's median, and mark them in a column of their own; a missing
        category is all zeros ("onehot") or -1 ("ordinal"). Otherwise missing values are NaN (all zeros where
        one-hot).
    scale : {"standard", "robust", None}, default "standard"
        For numbers and dates; not booleans, numbers that are only 0 and 1, marks and categories.
        "standard": mean 0, variance 1. "robust": minus the median, over the interquartile range (half the
        range where that is 0), then the smooth clip z / sqrt(1 + (z / 3)^2), which lies in (-3, 3). Both are
        learned from the values that are there.
    max_categories : int, default 50
        Levels per column at most, the shared one included; at least 2.
    dtype : {"float64", "float32"}, default "float64"

    Attributes
    ----------
    columns_ : list of Column
    names_ : list of str
        One per column of the matrix: ``age``, ``age is missing``, ``city=Oslo``, ``city=(other)``.
    categorical_ : array of bool, shape (n_outputs,)
        Which columns of the matrix hold category codes.
    center_, factor_, fill_ : arrays of float64, shape (n_numbers,)
        A filled number x becomes (x - center_) * factor_.

    Raises
    ------
    DataError
        The frame to learn from has no rows or no columns.
    ColumnError
        A column is missing, holds lists, structs or other objects, or changed its kind since fitting.

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart: Better by default, NeurIPS 2024, section 3 (robust scaling, smooth
    clip).

    Examples
    --------
    >>> frame = pl.DataFrame({"age": [1.0, None, 3.0], "city": ["Oslo", "Rome", "Oslo"]})
    >>> Inputs(scale=None).fit(frame).transform(frame).tolist()
    [[1.0, 0.0, 1.0, 0.0], [2.0, 1.0, 0.0, 1.0], [3.0, 0.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        encoding: str = "onehot",
        fill: bool = True,
        scale: str | None = "standard",
        max_categories: int = 50,
        dtype: str = "float64",
    ) -> None:
        if encoding not in ("onehot", "ordinal"):
            raise UnknownName.among("encoding", encoding, ("onehot", "ordinal"))
        if scale is not None and scale not in SCALES:
            raise UnknownName.among("scale", scale, SCALES)
        if max_categories < 2:
            raise ValueError(f"max_categories is {max_categories}; it must be at least 2.")
        self.encoding = encoding
        self.fill = fill
        self.scale = scale
        self.max_categories = max_categories
        self.dtype = dtype

    def fit(self, frame: pl.DataFrame, weight: NDArray[np.float64] | None = None) -> Inputs:
        """Learn columns, categories, medians and scales.

        Parameters
        ----------
        frame : pl.DataFrame
        weight : array of shape (n_rows,), all above 0, optional
            A row of weight 2 counts as two rows, in everything that is learned.
        """
        if frame.height == 0 or frame.width == 0:
            raise DataError(
                f"Inputs: nothing to learn from {frame.height} rows x {frame.width} columns. "
                "Give at least one row and one column."
            )
        weight = np.ones(frame.height) if weight is None else np.asarray(weight, dtype=np.float64)
        columns = [
            Column(name, _kind(name, dtype), str(dtype), False) for name, dtype in frame.schema.items()
        ]
        columns = [
            _categories(column, frame[column.name], weight, self.max_categories)
            if column.kind == "category"
            else column
            for column in columns
        ]
        numbers = _numbers(frame, [column for column in columns if column.kind != "category"])
        values = iter(numbers.T)
        self.columns_ = [
            column if column.kind == "category" else _seen(column, next(values)) for column in columns
        ]
        self._learn_numbers(numbers, weight)
        self.names_ = list(self._names())
        self.categorical_ = np.zeros(len(self.names_), dtype=bool)
        if self.encoding == "ordinal":
            self.categorical_[len(self.names_) - len(self._of("category")) :] = True
        return self

    def transform(self, frame: pl.DataFrame) -> NDArray[np.floating]:
        """Return the matrix of a frame.

        Parameters
        ----------
        frame : pl.DataFrame
            With the columns of fitting, in any order.

        Returns
        -------
        array of shape (n_rows, len(names_))
        """
        self._check(frame)
        out = np.zeros((frame.height, len(self.names_)), dtype=self.dtype)
        numbers = _numbers(frame, self._of("number"))
        unknown = dict(zip((column.name for column in self._of("number")), np.isnan(numbers).T, strict=True))
        coded = {column.name: _codes(column, frame[column.name]) for column in self._of("category")}
        unknown |= {name: missing for name, (_, missing) in coded.items()}
        at = numbers.shape[1]
        out[:, :at] = self._scaled(numbers)
        if self.fill:
            for column in self._of("gaps"):
                out[:, at] = unknown[column.name]
                at += 1
        for column in self._of("category"):
            codes, _ = coded[column.name]
            if self.encoding == "onehot":
                rows = np.flatnonzero(codes >= 0)
                out[rows, at + codes[rows]] = 1
                at += column.codes
            else:
                out[:, at] = codes if self.fill else np.where(codes < 0, np.nan, codes)
                at += 1
        return out

    def _of(self, what: str) -> list[Column]:
        """Return the columns that are categories, that are numbers, or that had gaps."""
        if what == "gaps":
            return [column for column in self.columns_ if column.gaps]
        return [column for column in self.columns_ if (column.kind == "category") == (what == "category")]

    def _names(self) -> Iterator[str]:
        yield from (column.name for column in self._of("number"))
        if self.fill:
            yield from (f"{column.name} is missing" for column in self._of("gaps"))
        for column in self._of("category"):
            if self.encoding == "ordinal":
                yield column.name
            else:
                yield from (f"{column.name}={level}" for level in column.levels)
                if column.rare:
                    yield f"{column.name}=(other)"

    def _learn_numbers(self, numbers: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
        count = numbers.shape[1]
        self.center_, self.factor_, self.fill_ = np.zeros(count), np.ones(count), np.zeros(count)
        for index, column in enumerate(self._of("number")):
            if column.kind == "empty":
                self.factor_[index] = 0
                continue
            known = np.isfinite(numbers[:, index])
            values, weights = numbers[known, index], weight[known]
            if self.fill:
                self.fill_[index] = weighted_median(values, weights)
            if self.scale is not None and column.kind != "boolean":
                self.center_[index], self.factor_[index] = SCALES[self.scale](values, weights)

    def _scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers filled and scaled, in place."""
        if self.fill:
            np.copyto(numbers, self.fill_, where=np.isnan(numbers))
        if self.scale is not None:
            with np.errstate(over="ignore"):
                numbers -= self.center_
                numbers *= self.factor_
            np.clip(numbers, -LARGEST, LARGEST, out=numbers)
            if self.scale == "robust":
                scaled = [c.kind != "boolean" for c in self._of("number")]
                numbers[:, scaled] = smooth_clip(numbers[:, scaled])
        if self.dtype == "float32":
            limit = float(np.finfo(np.float32).max)
            np.clip(numbers, -limit, limit, out=numbers)
        return numbers

    def _check(self, frame: pl.DataFrame) -> None:
        schema = frame.schema  # read once: a frame makes it anew each time
        absent = [column.name for column in self.columns_ if column.name not in schema]
        if absent:
            raise ColumnError.missing(absent, frame.columns, "Inputs")
        for column in self.columns_:
            if column.kind == "empty":
                continue
            dtype = schema[column.name]
            kind = _kind(column.name, dtype)
            if kind not in (column.kind, "empty") and {kind, column.kind} != {"numeric", "boolean"}:
                raise ColumnError.retyped(column.name, dtype, column.dtype, "Inputs")


def _kind(name: str, dtype: pl.DataType) -> str:
    """Return how a column of this type is read."""
    if dtype == pl.Null:
        return "empty"
    if dtype.is_numeric():
        return "numeric"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "category"
    if dtype in (pl.Date, pl.Datetime):
        return "datetime"
    if dtype in (pl.Duration, pl.Time):
        return "duration"
    raise ColumnError(
        f"Inputs: column '{name}' is {dtype}; a probe reads numbers, booleans, strings, categories and "
        "dates. Turn it into numbers (embed it, or take its parts as columns) or leave it out."
    )


def _number(column: Column, dtype: pl.DataType) -> pl.Expr:
    """Return the expression that reads a column as float64."""
    value = pl.col(column.name)
    if column.kind == "empty":
        return pl.lit(None, dtype=pl.Float64).alias(column.name)
    if dtype in (pl.Date, pl.Datetime):
        return value.dt.epoch("us") / MICROSECONDS_PER_DAY
    if dtype == pl.Duration:
        return value.dt.total_microseconds() / MICROSECONDS_PER_DAY
    if dtype == pl.Time:
        return value.cast(pl.Int64) / (MICROSECONDS_PER_DAY * 1000)
    return value.cast(pl.Float64)


def _numbers(frame: pl.DataFrame, columns: list[Column]) -> NDArray[np.float64]:
    """Return the columns as float64, NaN where missing or infinite, held within 1e100."""
    if not columns:
        return np.empty((frame.height, 0))
    schema = frame.schema
    values = [_number(column, schema[column.name]) for column in columns]
    # with_columns first: a select of literals alone would have one row.
    read = frame.with_columns(values).select(pl.col([c.name for c in columns]).fill_null(float("nan")))
    matrix = np.array(read.to_numpy(), dtype=np.float64)
    matrix[~np.isfinite(matrix)] = np.nan
    return np.clip(matrix, -LARGEST, LARGEST, out=matrix)


def _seen(column: Column, values: NDArray[np.float64]) -> Column:
    known = np.isfinite(values)
    if not known.any():
        return Column(column.name, "empty", column.dtype, False)
    # A number that is only ever 0 or 1 is a flag. Scaled like a measure, a rare flag would weigh as much as
    # a common one, and one-hot columns made by a stage would fare worse than those made here.
    flag = column.kind == "numeric" and np.array_equal(np.unique(values[known]), [0.0, 1.0])
    return Column(column.name, "boolean" if flag else column.kind, column.dtype, not known.all())


def _categories(column: Column, series: pl.Series, weight: NDArray[np.float64], most: int) -> Column:
    """Return the column with its levels in alphabetical order, the rarest apart where there are too many."""
    counts = pl.DataFrame({"level": series.cast(pl.String), "weight": weight}).group_by("level").sum()
    gaps = counts["level"].null_count() > 0
    counts = counts.drop_nulls()
    if counts.height == 0:
        return Column(column.name, "empty", column.dtype, False)
    rare = counts.height > most
    if rare:
        counts = counts.sort(["weight", "level"], descending=[True, False]).head(most - 1)
    levels = tuple(counts["level"].sort())
    return Column(column.name, "category", column.dtype, gaps, levels, rare)


def _codes(column: Column, series: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the codes, -1 where missing or unknown, and which values are missing."""
    text = series.cast(pl.String)
    missing = text.is_null().to_numpy()
    known = text.cast(pl.Enum(column.levels), strict=False).to_physical().cast(pl.Int64)
    codes = known.fill_null(-1).to_numpy()
    if column.rare:
        codes = np.where((codes < 0) & ~missing, len(column.levels), codes)
    return codes, missing
