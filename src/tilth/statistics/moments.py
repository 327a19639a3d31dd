"""Count, mean and variance of each column, in a form that merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Moments:
    """Hold count, mean and sum of squared deviations per column; nulls are not counted.

    Merging follows Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise algorithm for
    computing sample variances"). One-row and empty parts keep their weight.

    Parameters
    ----------
    columns : tuple of str
    count : ndarray of shape (n_columns,), int64
        Values that are not null.
    nulls : ndarray of shape (n_columns,), int64
    mean, deviations : ndarray of shape (n_columns,), float64
        The mean (0 where there is no value) and the sum of squared deviations from it.
    """

    columns: tuple[str, ...]
    count: np.ndarray
    nulls: np.ndarray
    mean: np.ndarray
    deviations: np.ndarray

    @classmethod
    def empty(cls, columns: Sequence[str]) -> Moments:
        """Return the neutral element: adding it changes nothing."""
        n = len(columns)
        return cls(tuple(columns), np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n), np.zeros(n))

    @classmethod
    def beside(cls, parts: Sequence[Moments]) -> Moments:
        """Put the moments of different columns side by side."""
        if not parts:
            return cls.empty(())
        names = tuple(name for part in parts for name in part.columns)
        joined = (
            np.concatenate([getattr(p, f) for p in parts]) for f in ("count", "nulls", "mean", "deviations")
        )
        return cls(names, *joined)

    @classmethod
    def of(cls, frame: pl.LazyFrame, columns: Sequence[str]) -> Moments:
        """Compute the moments of `columns` in one query.

        Each column is added up by one thread, in the order of its rows: a query's own sums are those of
        parts, which are cut by the number of threads and added as they are done.
        """
        held = frame.select(pl.col(columns).cast(pl.Float64)).collect().rechunk()
        nulls = np.array([column.null_count() for column in held], dtype=np.int64)
        count = held.height - nulls
        mean = np.array([column.mean() or 0.0 for column in held], dtype=np.float64)
        variance = np.array([column.var(ddof=0) or 0.0 for column in held], dtype=np.float64)
        return cls(tuple(columns), count, nulls, mean, variance * count)

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros(len(count)), where=count > 0)
        # Infinity spoils its column's mean, which says so by not being finite: no warning on top.
        with np.errstate(invalid="ignore", over="ignore"):
            delta = other.mean - self.mean
            return Moments(
                self.columns,
                count,
                self.nulls + other.nulls,
                self.mean + delta * share,
                self.deviations + other.deviations + delta**2 * self.count * share,
            )

    def variance(self, ddof: int = 0) -> np.ndarray:
        """Return the variance per column; NaN where there are not more than `ddof` values."""
        free = self.count - ddof
        variance: np.ndarray = np.full(len(free), np.nan)
        np.divide(self.deviations, free, out=variance, where=free > 0)
        return variance

    def std(self, ddof: int = 0) -> np.ndarray:
        """Return the standard deviation per column."""
        deviation: np.ndarray = np.sqrt(self.variance(ddof))
        return deviation
