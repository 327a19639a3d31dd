"""Evidence for missing values in disguise: words and days that stand for "no value"; numbers are in marks."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tilth.core.finding import Severity
from tilth.statistics import Statistics

# fmt: off
SURE = frozenset({
    "", "?", "??", "-", "--", "---", ".", "..", "*", "#", "n/a", "n.a.", "n.a", "#n/a", "#na", "<na>", "nan",
    "nat", "null", "(null)", "<null>", "#null!", "#value!", "#ref!", "#div/0!", "\\n", "n/k", "missing",
    "not available", "0000-00-00", "00/00/0000", "0000-00-00 00:00:00",
})
"""Texts that are no category in any language, lower case."""

MAYBE = frozenset({
    "na", "none", "nil", "unknown", "unk", "undefined", "unspecified", "not specified", "not known", "tbd",
    "not stated", "not applicable", "no answer", "no data", "refused", "don't know", "xxx",
})
"""Texts that may be a category of their own: a treatment 'none', the country code NA."""

DAYS = tuple(dt.date.fromisoformat(day) for day in (
    "0001-01-01", "1111-11-11", "1582-10-15", "1600-01-01", "1601-01-01", "1753-01-01", "1800-01-01",
    "1899-12-30", "1899-12-31", "1900-01-01", "1901-01-01", "1904-01-01", "1969-12-31", "1970-01-01",
    "1980-01-01", "2000-01-01", "2038-01-19", "2078-12-31", "2079-06-06", "2099-12-31", "2100-01-01",
    "2222-02-22", "2262-04-11", "2999-12-31", "3000-01-01", "3000-12-31", "4000-12-31", "9999-01-01",
    "9999-09-09", "9999-12-30", "9999-12-31",
))
"""Zeros, ends and fillers of calendars: of spreadsheets, databases, Unix and its zones, and of people."""
# fmt: on

TEXTS = (pl.String, pl.Categorical, pl.Enum)

LEAST_CELLS, LEAST_SHARE = 5, 0.001
"""How often a mark comes back, at least: what is met once was measured, or mistyped."""

DISTINCT = 10
"""With fewer different values there is no distribution that a value could lie outside of."""

FREQUENT = 3
"""A mark near the others is this many times more frequent than the value next to it, or any other day."""

SPIKE = 10
"""A day among the others is this many times more frequent than any of them before it is asked about."""

NUMBERS = 0.9
"""From this share of numbers on, a repeated word among them is asked about."""

MOST_WORDS = 5
"""Words that stand for gaps are few; more are the column's own."""

MOST_MARKS = 4
"""Marks at one end of a column: not asked, refused, not known, and one to spare."""


@dataclass(frozen=True)
class Suspect:
    """Hold values of one column that stand, or may stand, for a missing one.

    Parameters
    ----------
    kind : str
        The code of the finding: ``hidden.token``, ``hidden.sentinel`` ...
    column : str
    values : tuple of str, int or float
        Texts without the spaces around them; days as ISO texts.
    count : int
        Cells that hold one of them.
    message : str
    severity : {'info', 'low', 'medium', 'high'}
    """

    kind: str
    column: str
    values: tuple[Any, ...]
    count: int
    message: str
    severity: Severity


def plain(text: pl.Expr) -> pl.Expr:
    """Return texts or categories as texts without the spaces around them."""
    return text.cast(pl.String).str.strip_chars()


def number(text: pl.Expr) -> pl.Expr:
    """Read plain texts as numbers, null where they are none; '007' is a code, and none either."""
    return pl.when(~text.str.contains(r"^[-+]?0\d")).then(text.cast(pl.Float64, strict=False))


def strange(text: pl.Expr) -> pl.Expr:
    """Tell which plain texts mean, or may mean, that there is no value."""
    return text.str.to_lowercase().is_in(sorted(SURE | MAYBE)).fill_null(False)


def matches(name: str, dtype: pl.DataType, values: Sequence[Any]) -> pl.Expr:
    """Tell which cells of a column hold one of the values, as far as its type can hold them.

    Parameters
    ----------
    name : str
    dtype : DataType
    values : sequence of str, int or float
    """
    column = pl.col(name)
    wanted_numbers = [v for v in values if not isinstance(v, str)]
    wanted_texts = [v for v in values if isinstance(v, str)]
    if dtype in TEXTS:
        text = plain(column)
        found = text.is_in([v.strip() for v in wanted_texts])
        if wanted_numbers:
            found = found | number(text).is_in([float(v) for v in wanted_numbers])
    elif dtype.is_numeric():
        found = pl.any_horizontal([pl.lit(False), *_equal(column, dtype, wanted_numbers)])
    elif dtype in (pl.Date, pl.Datetime):
        found = pl.any_horizontal([pl.lit(False), *_on_day(column, dtype, wanted_texts)])
    else:
        found = pl.lit(False)
    return found.fill_null(False)


def _equal(column: pl.Expr, dtype: pl.DataType, values: Sequence[int | float]) -> Iterator[pl.Expr]:
    if dtype.is_decimal():
        column, dtype = column.cast(pl.Float64), pl.Float64()
    for value in values:
        if dtype.is_float():
            # In single precision 99.99 is another number: the nearest that it holds.
            yield column == pl.lit(float(value)).cast(dtype)
        elif float(value).is_integer():
            least, most = pl.select(dtype.min().alias("least"), dtype.max().alias("most")).row(0)  # type: ignore[attr-defined]
            if least <= int(value) <= most:
                yield column == pl.lit(int(value), dtype)


def _on_day(column: pl.Expr, dtype: pl.DataType, values: Sequence[str]) -> Iterator[pl.Expr]:
    for value in values:
        try:
            moment = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            continue  # a text for the columns of texts
        if len(value.strip()) <= len("1900-01-01") or dtype == pl.Date:
            yield column.dt.date() == pl.lit(moment.date())
        else:
            yield column.dt.replace_time_zone(None) == pl.lit(moment.replace(tzinfo=None))


def least(rows: int) -> float:
    """Return how many cells a mark must fill to be one."""
    return max(LEAST_CELLS, LEAST_SHARE * rows)


def sums(statistics: Statistics, asked: Sequence[pl.Expr]) -> list[int]:
    """Return sums over all rows, one per expression, in one query per part."""
    if not asked:
        return []
    named = [e.sum().cast(pl.Int64).alias(str(i)) for i, e in enumerate(asked)]
    parts = [shard.select(named).collect().row(0) for shard in statistics.shards]
    return [sum(v or 0 for v in column) for column in zip(*parts, strict=True)]


def words(statistics: Statistics, columns: Sequence[str], rows: int) -> Iterator[Suspect]:
    """Find texts that stand for a missing value.

    What is counted are cells, and the different values only of the few that are strange: a column of
    millions of different texts is scanned, not held.

    Parameters
    ----------
    statistics : Statistics
    columns : sequence of str
        Of texts or categories.
    rows : int
    """
    for group in statistics.groups(columns):
        asked: list[pl.Expr] = []
        for name in group:
            text = plain(pl.col(name))
            asked += [text.is_not_null(), strange(text), ~strange(text) & number(text).is_not_null()]
        counted = sums(statistics, asked)
        for i, name in enumerate(group):
            yield from _words(statistics, name, rows, *counted[3 * i : 3 * i + 3])


def _words(
    statistics: Statistics, name: str, rows: int, filled: int, odd: int, numbers: int
) -> Iterator[Suspect]:
    others = filled - odd
    found = _held(statistics, name, strange) if odd else []
    numeric = others > 0 and numbers == others
    # Among numbers every such word is a gap; among words only those that are no category anywhere.
    sure = [(word, n) for word, n in found if numeric or word.lower() in SURE]
    if sure:
        end = f"missing in disguise.{' All its other values are numbers.' if numeric else ''}"
        yield _suspect("hidden.token", name, sure, rows, f": {end}", "high" if numeric else "medium")
    maybe = [pair for pair in found if pair not in sure]
    if maybe:
        yield _suspect("hidden.word", name, maybe, rows, ": missing, or a category?", "info")
    if NUMBERS * others <= numbers < others:
        own = _held(statistics, name, lambda text: ~strange(text) & number(text).is_null())
        # A word with a digit in it, such as '<5' or '12 kg', is a number with a mark.
        if len(own) <= MOST_WORDS and all(n >= least(rows) and not re.search(r"\d", w) for w, n in own):
            end = " among numbers: missing, or a category?"
            yield _suspect("hidden.word", name, own, rows, end, "info")


def _held(statistics: Statistics, name: str, which: Callable[[pl.Expr], pl.Expr]) -> list[tuple[str, int]]:
    """Return the plain texts of which something is true, most frequent first, with their counts."""
    text = plain(pl.col(name)).alias(name)
    shards = [
        s.select(text).filter(which(pl.col(name)) & pl.col(name).is_not_null()) for s in statistics.shards
    ]
    return list(Statistics(shards, statistics.id_column).counts([name]).tables[name].iter_rows())


def _suspect(
    kind: str, name: str, found: Sequence[tuple[str, int]], rows: int, end: str, severity: Severity
) -> Suspect:
    count = sum(n for _, n in found)
    told = ", ".join(repr(w) if len(w) < 40 else f"{w[:38]!r}…" for w, _ in found[:4])
    message = f"'{name}' has {told} in {count} of {rows} cells ({count / rows:.1%}){end}"
    return Suspect(kind, name, tuple(w for w, _ in found), count, message, severity)


def days(statistics: Statistics, name: str, rows: int) -> Iterator[Suspect]:
    """Find days that stand for a missing date: known as such, repeated, and at the edge of all others.

    At the edge, the gap to the others must be wider than all of them together, or the day three times
    as frequent as any of them. A known day among the others is asked about where it is a spike.

    Parameters
    ----------
    statistics : Statistics
    name : str
        A column of dates or moments; of moments the day counts.
    rows : int
    """
    # Days as numbers: years beyond 9999 are none to Python.
    day = pl.col(name).dt.date().cast(pl.Int32).cast(pl.Int64)
    shards = [s.select(day.alias(name)) for s in statistics.shards]
    table = Statistics(shards, statistics.id_column).counts([name]).tables[name].sort("value")
    if table.height < DISTINCT:
        return
    day_of, count = table["value"].to_numpy(), table["count"].to_numpy().astype(np.int64)
    known = np.isin(day_of, [(d - dt.date(1970, 1, 1)).days for d in DAYS]) & (count >= least(rows))
    first, last = _edge(day_of, count, known), len(day_of) - _edge(-day_of[::-1], count[::-1], known[::-1])
    marks = np.r_[0:first, last : len(day_of)]
    span = f"{_iso(day_of[first])} and {_iso(day_of[last - 1])}"
    if len(marks):
        told, cells = " or ".join(_iso(d) for d in day_of[marks]), int(count[marks].sum())
        end = f"{cells} of {rows} rows ({cells / rows:.2%}), and otherwise between {span}"
        message = f"'{name}' is {told} in {end}: a mark for a missing date."
        yield Suspect("hidden.date", name, tuple(map(_iso, day_of[marks])), cells, message, "medium")
    inside = np.flatnonzero(known[first:last]) + first
    usual = int(np.delete(count[first:last], inside - first).max(initial=1))
    spikes = [i for i in inside if count[i] >= SPIKE * usual]
    if spikes:
        told, cells = " or ".join(_iso(day_of[i]) for i in spikes), int(count[spikes].sum())
        end = f"{cells} of {rows} rows ({cells / rows:.2%}), and any other day in {usual} at most"
        message = f"'{name}' is {told} in {end}: missing, or a date?"
        yield Suspect("hidden.spike", name, tuple(_iso(day_of[i]) for i in spikes), cells, message, "info")


def _edge(day_of: np.ndarray, count: np.ndarray, known: np.ndarray) -> int:
    """Return how many days from the start stand for a missing one."""
    run = int(np.argmin(known[:MOST_MARKS])) if not known[:MOST_MARKS].all() else MOST_MARKS
    others = ~known
    usual = int(count[others].max(initial=0))
    for many in range(run, 0, -1):
        # The other end is not judged by the marks at this one, nor this one by those.
        rest = day_of[many:][others[many:]]
        if not len(rest):
            continue
        apart = rest[0] - day_of[many - 1] > rest[-1] - rest[0]
        if apart or count[:many].sum() >= FREQUENT * usual:
            return many
    return 0


def _iso(day: int) -> str:
    return str(pl.Series([int(day)], dtype=pl.Int32).cast(pl.Date).cast(pl.String)[0])
