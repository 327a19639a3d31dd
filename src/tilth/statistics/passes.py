"""Passes over the rows of a matrix that is never held whole: moments, and products with its scatter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import polars as pl

from tilth.statistics.blocks import added, blocks_of, summed
from tilth.statistics.moments import Moments

Read = Callable[[pl.DataFrame], np.ndarray]
"""Return rows as a new matrix of numbers without gaps."""


class Passes:
    """Read the columns of rows as a matrix, block by block, as often as is asked.

    Parameters
    ----------
    shards : sequence of LazyFrame
        The rows, in one part or many.
    columns : sequence of str
    read : callable
        Called in threads.
    width : int
        Columns of the matrix.

    Examples
    --------
    >>> rows = pl.DataFrame({"a": [1.0, 3.0], "b": [0.0, 4.0]})
    >>> passes = Passes([rows.lazy()], ["a", "b"], lambda part: part.to_numpy(writable=True), 2)
    >>> passes.moments().mean.tolist()
    [2.0, 2.0]
    >>> passes.scatter(np.array([2.0, 2.0]), np.ones(2), np.eye(2)).tolist()
    [[2.0, 4.0], [4.0, 8.0]]
    """

    def __init__(
        self, shards: Sequence[pl.LazyFrame], columns: Sequence[str], read: Read, width: int
    ) -> None:
        self.shards = list(shards)
        self.columns = list(columns)
        self.read = read
        self.width = width

    def moments(self) -> Moments:
        """Return count, mean and variance of the columns of the matrix: two looks at each block."""
        names = tuple(map(str, range(self.width)))

        def of(matrix: np.ndarray) -> Moments:
            rows = np.asarray(matrix, np.float64)
            mean = rows.mean(axis=0) if len(rows) else np.zeros(self.width)
            deviations = np.square(rows - mean).sum(axis=0)
            count = np.full(self.width, len(rows), np.int64)
            return Moments(names, count, np.zeros(self.width, np.int64), mean, deviations)

        total: Moments = self._sum(of)
        return total

    def scatter(self, mean: np.ndarray, scale: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Return the product of the scatter of (x - mean) / scale and some vectors, (n_wide, n_vectors)."""

        def of(matrix: np.ndarray) -> np.ndarray:
            rows = (np.asarray(matrix, np.float64) - mean) / scale
            return np.asarray(rows.T @ (rows @ vectors))

        return np.asarray(self._sum(of))

    def _sum(self, of: Callable[[np.ndarray], Any]) -> Any:
        return added(list(self._parts(of)))

    def _parts(self, of: Callable[[np.ndarray], Any]) -> Iterator[Any]:
        for shard in self.shards:
            rows = shard.select(self.columns).collect()
            lane = lambda blocks, rows=rows: reduce(add, (of(self.read(rows[b])) for b in blocks))
            yield summed(lane, blocks_of(rows.height, self.width))
