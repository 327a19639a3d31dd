"""Smallest and largest value of each column, in a form that merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Extremes:
    """Hold the minimum and maximum per column, as Python values of the column's own type.

    Works on numbers, dates, booleans and strings; ``None`` where a column holds no value.
    """

    columns: tuple[str, ...]
    low: tuple[Any, ...]
    high: tuple[Any, ...]

    @classmethod
    def empty(cls, columns: Sequence[str]) -> Extremes:
        """Return the neutral element: adding it changes nothing."""
        nothing = (None,) * len(columns)
        return cls(tuple(columns), nothing, nothing)

    @classmethod
    def of(cls, frame: pl.LazyFrame, columns: Sequence[str]) -> Extremes:
        """Compute the extremes of `columns` in one query."""
        if not columns:
            return cls.empty(columns)
        asked = [pl.col(c).min().alias(f"{i}l") for i, c in enumerate(columns)]
        asked += [pl.col(c).max().alias(f"{i}h") for i, c in enumerate(columns)]
        row = frame.select(asked).collect().row(0)
        return cls(tuple(columns), row[: len(columns)], row[len(columns) :])

    def __add__(self, other: Extremes) -> Extremes:
        low = tuple(_pick(min, a, b) for a, b in zip(self.low, other.low, strict=True))
        high = tuple(_pick(max, a, b) for a, b in zip(self.high, other.high, strict=True))
        return Extremes(self.columns, low, high)


def _pick(choose: Any, a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else choose(a, b)
