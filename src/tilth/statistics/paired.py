"""Sums of columns pair by pair, over the rows that have both, in a form that merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

ROWS_AT_ONCE = 16_384
"""Rows of a matrix held beside the frame; bounds the memory and makes its products fast."""

NOISE = 1e-12
"""The share of a column's variance below which a pair's is rounding."""


@dataclass(frozen=True)
class PairSums:
    """Hold, for columns i and j, sums over the rows in which neither is missing.

    Columns are read as (x - center) / scale: near 0 and of size 1, their sums lose nothing to rounding.

    Parameters
    ----------
    columns : tuple of str
    rows : ndarray of shape (n_columns, n_columns), float64
        How many rows have both.
    sums, squares : ndarray of shape (n_columns, n_columns), float64
        Of column i, and of its squares.
    products : ndarray of shape (n_columns, n_columns), float64

    Examples
    --------
    >>> frame = pl.LazyFrame({"a": [1.0, 2.0, 3.0, 9.0], "b": [2.0, 4.0, 6.0, None]})
    >>> sums = PairSums.of(frame, ["a", "b"], np.zeros(2), np.ones(2))
    >>> float(sums.correlation()[0, 1].round(12)), int(sums.rows[0, 1])
    (1.0, 3)
    """

    columns: tuple[str, ...]
    rows: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    products: np.ndarray

    @classmethod
    def empty(cls, columns: Sequence[str]) -> PairSums:
        """Return the neutral element: adding it changes nothing."""
        return cls(tuple(columns), *(np.zeros((len(columns), len(columns))) for _ in range(4)))

    @classmethod
    def of(
        cls, frame: pl.LazyFrame, columns: Sequence[str], center: np.ndarray, scale: np.ndarray
    ) -> PairSums:
        """Sum the columns of a frame: numbers, null where missing."""
        total = cls.empty(columns)
        for part in frame.select(columns).collect().iter_slices(ROWS_AT_ONCE):
            total += cls.of_matrix(columns, (part.to_numpy().astype(np.float64) - center) / scale)
        return total

    @classmethod
    def of_matrix(cls, columns: Sequence[str], matrix: np.ndarray) -> PairSums:
        """Sum a matrix of shape (n_rows, n_columns), NaN where missing."""
        known = ~np.isnan(matrix)
        if known.all():
            ones = np.ones((len(columns), 1))
            rows = np.full((len(columns),) * 2, float(len(matrix)))
            sums, squares = (values.sum(axis=0)[:, None] @ ones.T for values in (matrix, matrix**2))
            return cls(tuple(columns), rows, sums, squares, matrix.T @ matrix)
        here, values = known.astype(np.float64), np.where(known, matrix, 0.0)
        return cls(tuple(columns), here.T @ here, values.T @ here, (values**2).T @ here, values.T @ values)

    def __add__(self, other: PairSums) -> PairSums:
        both = ((getattr(self, n), getattr(other, n)) for n in ("rows", "sums", "squares", "products"))
        return PairSums(self.columns, *(one + two for one, two in both))

    def correlation(self) -> np.ndarray:
        """Return Pearson's r of each pair; 0 where one of the two does not vary over their common rows.

        Returns
        -------
        ndarray of shape (n_columns, n_columns), float64
            On the diagonal 1, or 0 for a column that does not vary.
        """
        rows = np.maximum(self.rows, 1.0)
        spread = self.squares - self.sums**2 / rows
        spread[spread <= NOISE * self.squares] = 0.0
        shared = self.products - self.sums * self.sums.T / rows
        size = np.sqrt(spread * spread.T)
        r: np.ndarray = np.divide(shared, size, out=np.zeros_like(shared), where=size > 0)
        return np.asarray(np.clip(r, -1.0, 1.0))
