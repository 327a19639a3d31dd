"""Order statistics of each column, exact, by selection instead of sorting."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tilth.statistics.medcouple import medcouple

_MANY = 16
"""Quantiles of a column from which on it is sorted."""


@dataclass(frozen=True)
class Quantiles:
    """Hold the values of each column until their order statistics are asked for.

    Merging concatenates, so the answer is exact for every partition; the state is as large as the
    columns. One selection (introselect) per column, or a sort, serves any number of quantiles.
    """

    values_of: dict[str, tuple[pl.Series, ...]]

    @classmethod
    def empty(cls, columns: Sequence[str]) -> Quantiles:
        """Return the neutral element: adding it changes nothing."""
        return cls(dict.fromkeys(columns, ()))

    @classmethod
    def of(cls, frame: pl.LazyFrame, columns: Sequence[str]) -> Quantiles:
        """Take the values of `columns`; nulls are left out when they are read."""
        if not columns:
            return cls.empty(columns)
        taken = frame.select(pl.col(c).cast(pl.Float64) for c in columns).collect()
        return cls({c: (taken[c],) for c in columns})

    def __add__(self, other: Quantiles) -> Quantiles:
        return Quantiles({c: parts + other.values_of[c] for c, parts in self.values_of.items()})

    def at(self, probabilities: Sequence[float]) -> np.ndarray:
        """Return the quantiles, interpolated linearly as ``numpy.quantile`` does.

        Returns
        -------
        ndarray of shape (n_probabilities, n_columns)
            NaN for a column without values.
        """

        columns = self.each(lambda values: _select(values, probabilities))
        return np.array(columns).reshape(len(self.values_of), len(probabilities)).T

    def medcouples(self) -> np.ndarray:
        """Return the medcouple of each column; NaN for a column without values."""
        return np.array(self.each(medcouple), dtype=np.float64)

    def each(self, read: Callable[[np.ndarray], Any]) -> list[Any]:
        """Return what `read` makes of the values of each column, in no certain order of the values."""

        def one(parts: tuple[pl.Series, ...]) -> Any:
            arrays = [part.drop_nulls().to_numpy() for part in parts]
            return read(arrays[0] if len(arrays) == 1 else np.concatenate([np.empty(0), *arrays]))

        # Polars and np.partition release the interpreter lock: columns are read side by side.
        with ThreadPoolExecutor(min(len(self.values_of) or 1, os.cpu_count() or 1)) as threads:
            return list(threads.map(one, self.values_of.values()))


def _select(values: np.ndarray, probabilities: Sequence[float]) -> np.ndarray:
    last = len(values) - 1
    if last < 0:
        return np.full(len(probabilities), np.nan)
    place = np.asarray(probabilities, dtype=np.float64) * last
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, last)
    # One selection narrows down to all places at once, but is soon slower than sorting.
    many = len(probabilities) > _MANY
    chosen = np.sort(values) if many else np.partition(values, np.unique(np.concatenate([below, above])))
    low, high, share = chosen[below], chosen[above], place - below
    with np.errstate(invalid="ignore", over="ignore"):
        # Two values so far apart that their difference overflows still have values between them.
        near = np.isfinite(high - low)
        between = np.where(near, low + (high - low) * share, low * (1 - share) + high * share)
    # Two equal infinities have no difference, yet the value between them is known.
    result: np.ndarray = np.where((share == 0) | (low == high), low, between)
    return result
