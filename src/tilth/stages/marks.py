"""Evidence for numbers that stand for missing values: -999, 99999, 1e10, -1, and zeros that lie apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import polars as pl

from tilth.stages.hidden import DISTINCT, FREQUENT, LEAST_CELLS, MOST_MARKS, Suspect, least, sums
from tilth.statistics import Extremes, Statistics

LIMITS = {float(np.iinfo(t).max) for t in (np.int16, np.uint16, np.int32, np.uint32, np.int64)}
LIMITS |= {float(np.iinfo(t).min) for t in (np.int16, np.int32, np.int64)}
LIMITS |= {sign * float(np.finfo(t).max) for t in (np.float32, np.float64) for sign in (-1, 1)}
"""The ends of machine types: what a program writes that has no other number for "none"."""

MARK = re.compile(r"-1|-?(9{2,}(\.9+)?|8{3,}|10{9,}|1e\+\d+)")
"""How marks are written: -1, 99, 999.9, 8888, 10000000000."""

BESIDE = re.compile(r"-[789]|-?9+[78]")
"""What stands beside them in questionnaires: 997 not asked, 998 refused, 999 not known; or -7, -8, -9."""

ZERO_SHARE, MOST_ZEROS = 0.005, 0.5
"""Fewer zeros are single cells; more are how the column is."""

APART = 0.5
"""Zero lies apart from the others if their smallest is this many quartile distances away."""

LOOKED_AT = 10_000
"""Rows in which enough different values are looked for before all are."""


def numbers(statistics: Statistics, views: Mapping[str, pl.Expr], rows: int) -> Iterator[Suspect]:
    """Find numbers that stand for a missing value: often repeated, at the end, far from all the rest.

    Three things are asked at once: it looks like a mark, it is repeated, and the gap to its nearest
    neighbor is wider than all other values together. For -1 or -9, which lie near, the gap gives way to
    being the only negatives among whole numbers, three times as frequent as the next. Only columns
    whose end looks like a mark, or is 0, are asked for more than their ends.

    Parameters
    ----------
    statistics : Statistics
    views : mapping of column to expression
        Its finite numbers.
    rows : int
    """
    shards = [s.select(view.alias(name) for name, view in views.items()) for s in statistics.shards]
    seen = Statistics(shards, statistics.id_column)
    ends = seen.extremes(list(views))
    for name, low, high in zip(ends.columns, ends.low, ends.high, strict=True):
        if low is None or low == high:
            continue
        column = _Column(seen, name, rows, seen.schema[name] == pl.Float32)
        above, below = column.marks(high, True), column.marks(low, False)
        if (above or below or low == 0) and column.is_varied():
            yield from _at_the_ends(column, above, below)


@dataclass(frozen=True)
class _Column:
    """Ask for what lies at the ends of one column of numbers."""

    seen: Statistics
    name: str
    rows: int
    single: bool

    def told(self, value: Any) -> int | float:
        """Return a value as people write it: 999, not 999.0; and 99.99, not what single precision holds."""
        if isinstance(value, int):
            return value
        exact = float(str(np.float32(value))) if self.single else float(value)
        return int(exact) if exact.is_integer() and abs(exact) < 2**53 else exact

    def looks(self, value: Any) -> bool:
        known = self.told(value)
        text = str(known) if isinstance(known, int) else f"{known:.15g}"
        return float(value) in LIMITS or bool(MARK.fullmatch(text) or BESIDE.fullmatch(text))

    def count(self, value: Any) -> int:
        return sums(self.seen, [pl.col(self.name) == value])[0]

    def between(self, low: Any, high: Any) -> list[pl.LazyFrame]:
        """Return the values between two, which are left out; None leaves a side open."""
        kept = pl.col(self.name).is_not_null()
        kept = kept if low is None else kept & (pl.col(self.name) > low)
        kept = kept if high is None else kept & (pl.col(self.name) < high)
        return [s.select(self.name).filter(kept) for s in self.seen.shards]

    def inside(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Return the smallest and largest value between two."""
        ends = reduce(add, (Extremes.of(part, [self.name]) for part in self.between(low, high)))
        return ends.low[0], ends.high[0]

    def marks(self, value: Any, high: bool) -> list[tuple[Any, int]]:
        """Return the values from one end inwards that look like marks and come back, with their counts."""
        found: list[tuple[Any, int]] = []
        while value is not None and len(found) < MOST_MARKS and self.looks(value):
            count = self.count(value)
            if count < least(self.rows):
                break
            found.append((value, count))
            value = self.inside(None, value)[1] if high else self.inside(value, None)[0]
        return found

    def is_whole(self, low: Any, high: Any) -> bool:
        odd = pl.col(self.name).cast(pl.Float64) % 1 != 0
        return sums(self.seen, [pl.col(self.name).is_between(low, high) & odd])[0] == 0

    def is_varied(self) -> bool:
        """Tell whether there are enough different values to have a distribution."""
        for some in (LOOKED_AT, None):
            shards = [
                s.select(self.name) if some is None else s.select(self.name).head(some)
                for s in self.seen.shards
            ]
            # If all parts together hold as many, one part does, or each has told all of its own.
            parts = [s.unique().drop_nulls().head(DISTINCT).collect()[self.name].to_list() for s in shards]
            if len({value for part in parts for value in part}) >= DISTINCT:
                return True
        return False


Marks = list[tuple[Any, int]]


def _at_the_ends(column: _Column, above: Marks, below: Marks) -> Iterator[Suspect]:
    # What is the rest for one end is not judged by what may be marks at the other.
    highest, lowest = (above[-1][0] if above else None), (below[-1][0] if below else None)
    above = next((above[:n] for n in range(len(above), 0, -1) if _far(column, above[:n], lowest, True)), [])
    below = next((below[:n] for n in range(len(below), 0, -1) if _far(column, below[:n], highest, False)), [])
    low, high = (below[-1][0] if below else None), (above[-1][0] if above else None)
    smallest, largest = column.inside(low, high)
    for marks in (above, below):
        if marks:
            told, cells = " or ".join(f"{column.told(v):.10g}" for v, _ in marks), sum(n for _, n in marks)
            message = (
                f"'{column.name}' is {told} in {cells} of {column.rows} rows ({cells / column.rows:.2%}), "
                f"and otherwise between {smallest:.6g} and {largest:.6g}: a mark for a missing value."
            )
            values = tuple(column.told(v) for v, _ in marks)
            yield Suspect("hidden.sentinel", column.name, values, cells, message, "medium")
    if smallest == 0:
        yield from _zero(column, high)


def _far(column: _Column, marks: Marks, other: Any, high: bool) -> bool:
    inner = marks[-1][0]
    smallest, largest = column.inside(other, inner) if high else column.inside(inner, other)
    if smallest is None:
        return False
    near = largest if high else smallest
    if abs(float(inner) - float(near)) > float(largest) - float(smallest):
        return True
    lone = not high and inner < 0 <= smallest and column.is_whole(smallest, largest)
    return lone and sum(n for _, n in marks) >= FREQUENT * column.count(near)


def _zero(column: _Column, high: Any) -> Iterator[Suspect]:
    """Find zeros that lie apart from all other, positive values: a pressure of 0 was not measured."""
    count = column.count(0)
    share = count / column.rows
    if count < max(LEAST_CELLS, ZERO_SHARE * column.rows) or share > MOST_ZEROS:
        return
    rest = Statistics(column.between(0, high), column.seen.id_column)
    (first,), (third,) = rest.quantiles([column.name], [0.25, 0.75])
    smallest, largest = column.inside(0, high)
    if smallest is None or smallest < APART * (third - first) or third == first:
        return
    if smallest == 1 and column.is_whole(smallest, largest):
        return  # 0, 1, 2 ...: a count, and none is one
    message = (
        f"'{column.name}' is 0 in {count} of {column.rows} rows ({share:.1%}), and otherwise "
        f"{smallest:.6g} or more: was it measured?"
    )
    yield Suspect("hidden.zero", column.name, (0,), count, message, "low")
