"""The numeric columns of a table as one matrix that can be looked at as a whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from tilth.errors import DataError
from tilth.stages.dense import Dense
from tilth.statistics import Statistics
from tilth.statistics.dimension import standardized
from tilth.table import ROW, Table

KINDS = ("numeric", "boolean", "vector")
MOST_ROWS, MOST_COLUMNS = 5000, 1000
MOST_MISSING = 0.5
"""Columns with a larger share of gaps are left out; with more rows that have gaps, gaps are filled."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Hold the numeric columns of a sample of the rows, standardized.

    Parameters
    ----------
    names, owners : list of str
        Of each column of the matrix: its own, ``pixels[3]``, and that of the table's column, ``pixels``.
    unit : ndarray of shape (n_rows, n_columns)
        Mean 0 and variance 1; constant columns are left out.
    rows, columns : int
        Of the whole table: all rows, and all columns of numbers that vary.
    filled : float
        Share of the cells that are missing, and held to be the mean.
    left_out : int
        Columns that were not looked at because they are too many.
    """

    names: list[str]
    owners: list[str]
    unit: np.ndarray
    rows: int
    columns: int
    filled: float = 0.0
    left_out: int = 0

    @classmethod
    def of(cls, table: Table, without: Collection[str] = (), seed: int = 0) -> Numbers:
        """Read the numbers of a table: a sample of its rows, chosen by their ids."""
        statistics = Statistics([table.frame], ROW)
        columns = [c for c, kind in table.kinds.items() if kind in KINDS and c not in without]
        columns = [c for c in columns if _wide(statistics, c)]
        if not columns or not table.height:
            return cls([], [], np.empty((0, 0)), table.height, 0)
        dense = Dense.learn(statistics, columns)
        frame = statistics.sample(columns, MOST_ROWS, seed)
        vectors = [c for c in columns if table.kinds[c] == "vector"]
        plain = [c for c in columns if table.kinds[c] != "vector"]
        # Whole vectors are missing or none of their cells: without them there is no row.
        frame = frame.drop_nulls(vectors).with_columns(pl.col(plain).cast(pl.Float64).fill_null(float("nan")))
        matrix = np.hstack([_finite(frame[c]) for c in columns])
        known = ~np.isnan(matrix)
        some = known.mean(axis=0) >= 1 - MOST_MISSING if len(matrix) else np.zeros(matrix.shape[1], bool)
        owners = np.repeat(columns, dense.widths)[some].tolist()
        names, matrix = [n for n, s in zip(dense.names, some, strict=True) if s], matrix[:, some]
        whole = ~np.isnan(matrix).any(axis=1)
        filled = 0.0
        if whole.mean() >= 1 - MOST_MISSING:
            matrix = matrix[whole]
        elif matrix.size:
            gaps = np.isnan(matrix)
            filled = float(gaps.mean())
            matrix = np.where(gaps, np.nanmean(matrix, axis=0), matrix)
        unit, varies = standardized(matrix)
        at = np.flatnonzero(varies)
        kept = at[:MOST_COLUMNS]
        named = [names[i] for i in kept], [owners[i] for i in kept]
        return cls(*named, unit[:, kept], table.height, at.size, filled, at.size - kept.size)

    def less(self, names: Collection[str]) -> Numbers:
        """Return the numbers without some columns."""
        kept = [i for i, name in enumerate(self.names) if name not in names]
        return replace(
            self,
            names=[self.names[i] for i in kept],
            owners=[self.owners[i] for i in kept],
            unit=self.unit[:, kept],
        )

    def columns_of(self, places: Sequence[int]) -> tuple[str, ...]:
        """Name the columns of the table that some columns of the matrix are from."""
        return tuple(dict.fromkeys(self.owners[i] for i in places))


def _wide(statistics: Statistics, column: str) -> bool:
    """Tell whether a column has a width: vectors of several lengths have none."""
    try:
        return Dense.learn(statistics, [column]).width > 0
    except DataError:
        return False


def _finite(cells: pl.Series) -> np.ndarray:
    """Return one column as a matrix: NaN where there is no number that can be squared."""
    if isinstance(cells.dtype, pl.List):
        cells = cells.cast(pl.Array(cells.dtype.inner, len(cells[0]) if len(cells) else 0))
    values = cells.to_numpy().astype(np.float64).reshape(len(cells), -1)
    return np.where(np.isfinite(values), values, np.nan)
