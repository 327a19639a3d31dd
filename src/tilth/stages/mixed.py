"""Columns of every kind, vectors among them, as one matrix with gaps, and the matrix as cells again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from tilth.errors import DataError
from tilth.stages.dense import Dense
from tilth.stages.reading import LARGEST, Reading
from tilth.statistics import Moments, Statistics
from tilth.statistics.windows import windows
from tilth.table import kind_of

ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Mixed:
    """Hold what was learned of columns: numbers, dates and categories as `Reading` reads them, and vectors.

    The elements of a vector are shifted each by its mean, and scaled by one number, the root of their mean
    variance: they share a unit, and one that hardly varies stays small. A vector with an element that is
    missing or infinite is missing.

    Parameters
    ----------
    reading : Reading
        Of the columns that are no vectors and have a value.
    vectors : Dense
        The columns that are vectors, and have a value.
    center : ndarray of shape (n_elements,)
        Of all elements of all vectors.
    scale : ndarray of shape (n_vectors,)
    types : dict of column to Polars type
        All columns, those without any value too, in order.

    Examples
    --------
    >>> rows = pl.DataFrame({"a": [1, 3], "city": ["Rome", None], "pixels": [[0.0, 4.0], [2.0, 0.0]]})
    >>> mixed = Mixed.learn(Statistics([rows.lazy()]), rows.columns)
    >>> mixed.wide(rows).round(3).tolist()
    [[-1.0, 1.0, -0.632, 1.265], [1.0, nan, 0.632, -1.265]]
    >>> [cells.to_list() for cells in mixed.cells(mixed.wide(rows))]
    [[1, 3], ['Rome', None], [[0.0, 4.0], [2.0, 0.0]]]
    """

    reading: Reading
    vectors: Dense
    center: np.ndarray
    scale: np.ndarray
    types: dict[str, Any]

    @classmethod
    def learn(cls, statistics: Statistics, columns: Sequence[str]) -> Mixed:
        """Learn how to read `columns`: exact for any partition of the rows.

        Raises
        ------
        DataError
            No column has a value, or the vectors of a column are of several lengths.
        """
        types = {c: statistics.schema[c] for c in columns}
        arrays = [c for c in columns if kind_of(types[c]) == "vector"]
        nulls, rows = statistics.nulls(arrays), statistics.rows
        dense = Dense.learn(statistics, [c for c in arrays if nulls[c] < rows])
        others = [c for c in columns if c not in arrays]
        reading = Reading.learn(statistics, others)
        if reading.empty.any():
            kept = [c for c, empty in zip(others, reading.empty, strict=True) if not empty]
            reading = Reading.learn(statistics, kept)
        moments = Moments.empty(dense.names)
        for window in windows(statistics.shards, ROWS_AT_ONCE) if dense.columns else ():
            moments += _moments(_elements(dense, window.read(dense.columns)), dense.names)
        first = np.cumsum([0, *dense.widths])
        variance = np.nan_to_num(moments.variance())
        scale = np.sqrt([variance[a:b].mean() for a, b in pairwise(first)])
        if not reading.columns and not dense.columns:
            raise DataError(
                "No column has a value to learn from. Put impute.drop before, or choose others with `on`."
            )
        return cls(reading, dense, moments.mean, np.where(scale > 0, scale, 1.0), types)

    @property
    def columns(self) -> list[str]:
        """Name the columns that have a value, in the order of the matrix: vectors last."""
        return [*self.reading.columns, *self.vectors.columns]

    @property
    def source(self) -> np.ndarray:
        """Return for each column of the matrix the place of its column among `columns`."""
        vectors = np.repeat(np.arange(len(self.vectors.columns)), self.vectors.widths)
        return np.concatenate([self.reading.source, vectors + len(self.reading.columns)]).astype(np.int64)

    @property
    def categorical(self) -> np.ndarray:
        """Tell which of `columns` are 0/1 columns of categories in the matrix."""
        return np.append(self.reading.categorical, np.zeros(len(self.vectors.columns), bool))

    def wide(self, frame: pl.DataFrame) -> np.ndarray:
        """Read rows as numbers.

        Returns
        -------
        ndarray of shape (n_rows, n_wide), float64
            A 0/1 column for each category; NaN where the cell is missing or infinite.
        """
        parts = [self.reading.one_hot(self.reading.matrix(frame))] if self.reading.columns else []
        if self.vectors.columns:
            parts.append((_elements(self.vectors, frame) - self.center) / self._scales)
        return np.hstack(parts)

    def cells(self, wide: np.ndarray) -> list[pl.Series]:
        """Write a matrix as columns of their own types, in their order; NaN is null.

        Of the columns of a category the largest wins. A column that had no value has none.
        """
        n_other = len(self.reading.source)
        made: dict[str, pl.Series] = {}
        if self.reading.columns:
            narrow = self.reading.narrow(wide[:, :n_other])
            made = {c: self.reading.series(c, narrow[:, i]) for i, c in enumerate(self.reading.columns)}
        if self.vectors.columns:
            elements = wide[:, n_other:] * self._scales + self.center
            gaps = np.isnan(elements)
            first = np.cumsum([0, *self.vectors.widths[:-1]])
            for place, cells in enumerate(self.vectors.cells(np.where(gaps, 0, elements))):
                made[cells.name] = cells.set(pl.Series(gaps[:, first[place]]), None)
        return [made.get(c, pl.Series(c, [None] * len(wide), dtype=t)) for c, t in self.types.items()]

    @property
    def _scales(self) -> np.ndarray:
        return np.repeat(self.scale, self.vectors.widths)


def _elements(vectors: Dense, frame: pl.DataFrame) -> np.ndarray:
    """Return the elements of all vectors, all NaN where one of a vector is missing or infinite."""
    out, start = np.empty((frame.height, vectors.width)), 0
    for name, width in zip(vectors.columns, vectors.widths, strict=True):
        cells = frame[name]
        here = cells.is_not_null().to_numpy()
        part = out[:, start : start + width]
        start += width
        part[:] = np.nan
        alone = Dense((name,), {name: vectors.types[name]}, (width,))
        known = _finite(cells.filter(pl.Series(here)), width)
        rows = np.flatnonzero(here)[known]
        if len(rows):
            part[rows] = np.clip(alone.matrix(frame.select(name)[rows]), -LARGEST, LARGEST)
    return out


def _finite(cells: pl.Series, width: int) -> np.ndarray:
    """Tell which vectors have finite elements only; those of another length pass, to be refused."""
    if isinstance(cells.dtype, pl.List):
        length = cells.list.len()
        elements = cells.list.eval(pl.element().cast(pl.Float64).is_finite().fill_null(False))
        return ((length != width) | elements.list.all()).to_numpy()
    elements = cells.arr.to_list().list.eval(pl.element().cast(pl.Float64).is_finite().fill_null(False))
    return elements.list.all().to_numpy()


def _moments(elements: np.ndarray, names: Sequence[str]) -> Moments:
    known = ~np.isnan(elements)
    count = known.sum(axis=0)
    mean = np.where(known, elements, 0).sum(axis=0) / np.maximum(count, 1)
    deviations = np.square(np.where(known, elements - mean, 0)).sum(axis=0)
    return Moments(tuple(names), count, len(elements) - count, mean, deviations)
