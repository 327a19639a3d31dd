"""The one door through which a stage asks for what it must know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any, TypeVar

import numpy as np
import polars as pl

from tilth.statistics.counts import Counts
from tilth.statistics.extremes import Extremes
from tilth.statistics.folding import fold_by_hash
from tilth.statistics.gram import Gram
from tilth.statistics.groups import Groups
from tilth.statistics.levels import Levels
from tilth.statistics.moments import Moments
from tilth.statistics.quantiles import Quantiles
from tilth.statistics.sample import Sample

T = TypeVar("T", Moments, Extremes, Counts, Gram, Groups, Levels, Quantiles, Sample)


class Statistics:
    """Answer what a stage asks of the rows it learns from, wherever these rows are.

    Parameters
    ----------
    shards : sequence of LazyFrame
        The rows, in one part or many. Each statistic is computed per part and merged in their
        order, so that a rerun gives the same bytes.
    id_column : str
        The column of row ids.
    target, weight, group : str, optional
        The columns of the shards that hold the target, the weights and the groups of the rows.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.LazyFrame({"a": [1.0, 2.0, None, 6.0]})
    >>> Statistics([rows]).moments(["a"]).mean
    array([3.])
    >>> Statistics([rows.head(1), rows.tail(3)]).quantiles(["a"], [0.5])
    array([[2.]])
    """

    # Columns taken at a time: bounds what is held in memory of rows that are computed on the way.
    _columns_at_once = 8

    def groups(self, columns: Sequence[str]) -> list[Sequence[str]]:
        """Part columns into groups that are asked for at a time."""
        step = self._columns_at_once
        return [columns[i : i + step] for i in range(0, len(columns), step)]

    def __init__(
        self,
        shards: Sequence[pl.LazyFrame],
        id_column: str = "__row__",
        *,
        target: str | None = None,
        weight: str | None = None,
        group: str | None = None,
    ) -> None:
        self.shards = list(shards)
        self.id_column = id_column
        self.target, self.weight, self.group = target, weight, group
        self.schema = self.shards[0].collect_schema()

    def _merged(self, statistic: Callable[[pl.LazyFrame], T]) -> T:
        return reduce(add, map(statistic, self.shards))

    @property
    def rows(self) -> int:
        """Count the rows."""
        return sum(int(s.select(pl.len()).collect().item()) for s in self.shards)

    def nulls(self, columns: Sequence[str]) -> dict[str, int]:
        """Return how many cells of each column are null."""
        parts = [s.select(pl.col(columns).null_count()).collect() for s in self.shards] if columns else []
        return {c: sum(int(part[c][0]) for part in parts) for c in columns}

    def moments(self, columns: Sequence[str]) -> Moments:
        """Return count, nulls, mean and variance per column."""
        parts = [
            self._merged(lambda shard, group=group: Moments.of(shard, group))  # type: ignore[misc]
            for group in self.groups(columns)
        ]
        return Moments.beside(parts)

    def extremes(self, columns: Sequence[str]) -> Extremes:
        """Return the smallest and largest value per column."""
        return self._merged(lambda shard: Extremes.of(shard, columns))

    def counts(self, columns: Sequence[str]) -> Counts:
        """Return how often each value occurs, per column."""
        return self._merged(lambda shard: Counts.of(shard, columns))

    def grouped(self, keys: Sequence[str], columns: Sequence[str]) -> Groups:
        """Return the columns by groups of rows with equal keys."""
        return self._merged(lambda shard: Groups.of(shard, keys, columns))

    def levels(
        self, columns: Sequence[str], classes: Sequence[str] | None, folds: int, seed: int = 0
    ) -> Levels:
        """Return how the target spreads in the levels of columns, by folds of (seed, group or row id)."""
        target, weight = self.target or "", self.weight
        fold = fold_by_hash(folds, seed, self.id_column, self.group)
        take = lambda shard, part: Levels.of(
            shard, part, target, classes, weight=weight, fold=fold, folds=folds
        )
        groups = self.groups(columns)
        return Levels.beside([self._merged(lambda shard, part=part: take(shard, part)) for part in groups])  # type: ignore[misc]

    def sample(self, columns: Sequence[str], rows: int, seed: int = 0) -> pl.DataFrame:
        """Return at most `rows` rows of `columns`, chosen by (seed, row id), in id-draw order."""
        wanted = list(dict.fromkeys([*columns, self.id_column]))
        drawn = self._merged(lambda s: Sample.of(s.select(wanted), rows, self.id_column, seed))
        return drawn.frame.select(columns)

    def quantiles(self, columns: Sequence[str], probabilities: Sequence[float]) -> np.ndarray:
        """Return quantiles of shape (n_probabilities, n_columns); NaN where a column is empty."""
        parts = [
            self._merged(lambda shard, group=group: Quantiles.of(shard, group)).at(probabilities)  # type: ignore[misc]
            for group in self.groups(columns)
        ]
        return np.hstack(parts) if parts else np.empty((len(probabilities), 0))

    def each(self, columns: Sequence[str], read: Callable[[np.ndarray], Any]) -> list[Any]:
        """Return what `read` makes of the values of each column, without nulls; columns run in threads."""
        parts = [
            self._merged(lambda shard, group=group: Quantiles.of(shard, group)).each(read)  # type: ignore[misc]
            for group in self.groups(columns)
        ]
        return [made for part in parts for made in part]

    def medcouples(self, columns: Sequence[str]) -> np.ndarray:
        """Return the medcouple, a robust skewness, per column; NaN where a column is empty."""
        parts = [
            self._merged(lambda shard, group=group: Quantiles.of(shard, group)).medcouples()  # type: ignore[misc]
            for group in self.groups(columns)
        ]
        return np.concatenate([np.empty(0), *parts])

    def gram(
        self,
        columns: Sequence[str],
        read: Callable[[pl.DataFrame], np.ndarray],
        *,
        device: str = "cpu",
    ) -> Gram:
        """Return mean and scatter of what `read` makes of the columns, in one pass over blocks of rows.

        Parameters
        ----------
        columns : sequence of str
        read : callable
            Gets some rows, and returns them as a new matrix of numbers without gaps; of no rows too, so that
            its width can be told. It is called in threads.
        device : str
            Where products are made: 'cpu', or a device that torch knows.
        """

        def of(shard: pl.LazyFrame) -> Gram:
            rows = shard.select(columns).collect()
            width = read(rows.clear()).shape[1]
            return Gram.read(lambda part: read(rows[part]), rows.height, width, device=device)

        return self._merged(of)
