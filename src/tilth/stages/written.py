"""Which columns of text hold numbers, dates or truth values, learned from rows, and how each is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from tilth.stages.dates import LONGEST, Dates, First, dates, is_timed, is_zoned, moment
from tilth.stages.hidden import number, plain, strange, sums
from tilth.stages.numerals import CODE, EITHER, FALSE, TRUE, Decimal, Numerals, numeral
from tilth.statistics import Statistics

What = Literal["numbers", "dates", "booleans"]

WHOLE = 2.0**53
"""Whole numbers below are exact in 64-bit floats."""


@dataclass(frozen=True)
class Ways:
    """Say what is read, and how where the texts leave it open.

    Parameters
    ----------
    what : sequence of {'numbers', 'dates', 'booleans'}
    decimal : {'auto', 'point', 'comma'}
    order : {'auto', 'day_first', 'month_first'}
    percent : {'number', 'share'}
        5% is 5, or 0.05.
    whole : bool
        Whole numbers become Int64.
    """

    what: Sequence[What] = ("numbers", "dates", "booleans")
    decimal: Literal["auto", "point", "comma"] = "auto"
    order: Literal["auto", "day_first", "month_first"] = "auto"
    percent: Literal["number", "share"] = "number"
    whole: bool = False


@dataclass(frozen=True)
class Written:
    """Hold how one column is read, and what came of it in the rows learned from.

    Parameters
    ----------
    what : {'numbers', 'dates', 'booleans'}
    way : dict
        How texts are read; plain values, for `read`.
    formats : sequence of str
        How they are written, for people.
    examples : sequence of str
        The most frequent texts that were read.
    filled, read, gaps : int
        Cells with a text; those of them that were read; those that say that there is no value.
    lost : sequence of str
        The texts that could not be read, most frequent first.
    open : int
        Cells that could be read another way too: '1,234' or 03/04/2021, with nothing that settles it.
    """

    what: What
    way: dict[str, Any]
    formats: Sequence[str]
    examples: Sequence[str]
    filled: int
    read: int
    gaps: int
    lost: Sequence[str] = field(default=())
    open: int = 0

    @property
    def share(self) -> float:
        """Return the share of the cells with a value that were read."""
        return self.read / max(self.filled - self.gaps, 1)


def written(
    statistics: Statistics, columns: Iterable[str], ways: Ways | None = None, least: float = 0.9
) -> dict[str, Written]:
    """Find the columns that can be read, for at least the share `least` of their cells.

    Parameters
    ----------
    statistics : Statistics
    columns : iterable of str
        Of texts or categories, or of whole numbers that may be days; others are left out.
    """
    ways = Ways() if ways is None else ways
    schema, found = statistics.schema, {}
    texts = {c: text for c in columns if (text := plain_of(c, schema[c])) is not None}
    asked = [e for t in texts.values() for e in (t.is_not_null() & ~strange(t), _maybe(t, ways))]
    counted = sums(statistics, asked)
    for name, filled, maybe in zip(texts, counted[::2], counted[1::2], strict=True):
        # Different values are held only of columns that may be numbers or dates.
        if maybe and maybe >= least * filled:
            raw = pl.col(name) if schema[name].is_numeric() else pl.col(name).cast(pl.String)
            shards = [s.select(raw.alias(name)) for s in statistics.shards]
            values = Statistics(shards, statistics.id_column).counts([name]).tables[name]
            told = values.select(
                pl.col("value").cast(pl.String),
                "count",
                text_of("value", values["value"].dtype).alias("plain"),
            )
            one = _learn(told, ways, schema[name].is_numeric())
            if one is not None and one.share >= least:
                found[name] = one
    return found


def plain_of(name: str, dtype: pl.DataType) -> pl.Expr | None:
    """Return the cells of a column as texts in lower case without spaces around; None for other types."""
    known = dtype in (pl.String, pl.Categorical, pl.Enum) or dtype.is_integer()
    return text_of(name, dtype) if known else None


def text_of(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return the cells of a column as texts in lower case without spaces around."""
    return plain(pl.col(name)).str.to_lowercase() if not dtype.is_integer() else pl.col(name).cast(pl.String)


def read(text: pl.Expr, way: dict[str, Any]) -> pl.Expr:
    """Read plain texts in the way that was learned; null where they cannot be read."""
    if way["what"] == "numbers":
        value = numeral(text, way["decimal"], way["factors"], strict=way["strict"], percent=way["percent"])
        if not way["whole"]:
            return value
        # Codes and floats alike are read exactly: 64-bit floats do not hold all of Int64.
        exact = pl.when(number(text).is_not_null()).then(text.cast(pl.Int64, strict=False))
        near = pl.when((value == value.round()) & (value.abs() < WHOLE)).then(value).cast(pl.Int64)
        return pl.coalesce(exact, near)
    if way["what"] == "booleans":
        return pl.when(text.is_in(sorted(TRUE))).then(True).when(text.is_in(sorted(FALSE))).then(False)
    at = moment(text, way["forms"], way["first"], strict=way["strict"])
    if way["zoned"]:
        return at.dt.replace_time_zone("UTC")
    at = pl.when(~is_zoned(text)).then(at)
    return at if way["timed"] else pl.when(~is_timed(text)).then(at).cast(pl.Date)


def type_of(way: dict[str, Any]) -> pl.DataType:
    """Return the type that a column becomes."""
    if way["what"] == "numbers":
        return pl.Int64() if way["whole"] else pl.Float64()
    if way["what"] == "booleans":
        return pl.Boolean()
    return pl.Datetime("us", "UTC" if way["zoned"] else None) if way["timed"] else pl.Date()


def _maybe(text: pl.Expr, ways: Ways) -> pl.Expr:
    short = (text.str.len_chars() <= LONGEST) & text.str.contains(r"\d")
    truth = text.is_in(sorted(TRUE | FALSE)) if "booleans" in ways.what else pl.lit(False)
    return short | truth


def _learn(texts: pl.DataFrame, ways: Ways, of_numbers: bool) -> Written | None:
    """Learn from ``value, count, plain`` what a column is; None: words."""
    known = texts["plain"]
    truth = known.is_in(list(TRUE | FALSE))
    words = set(known.filter(truth))
    both = bool(words & TRUE and words & FALSE) and not words <= {"0", "1", "0.0", "1.0"}  # these are numbers
    if "booleans" in ways.what and not of_numbers and truth.all() and both:
        return _result(texts, {"what": "booleans"}, sorted(texts["value"]))
    if "dates" in ways.what:
        seen = dates(texts)
        days = int(texts["count"].filter(seen.mask).sum())
        others = texts.filter(~seen.mask & ~texts.select(strange(pl.col("plain"))).to_series())
        if days and days > int(others["count"].sum()):
            return _dates(texts, seen, ways, of_numbers)
    if "numbers" not in ways.what or of_numbers or known.str.contains(CODE + r"\d*$").any():
        return None
    return _numbers(texts, Numerals.of(texts), ways)


def _numbers(texts: pl.DataFrame, seen: Numerals, ways: Ways) -> Written | None:
    if not seen.numeric.any():
        return None
    auto = ways.decimal == "auto"
    decimal: Decimal = seen.decimal if ways.decimal == "auto" else ways.decimal
    mixed = auto and seen.has_comma and seen.has_point
    factors = seen.factors()
    way: dict[str, Any] = {
        "what": "numbers",
        "decimal": decimal,
        "strict": not mixed,
        "factors": factors,
        "percent": 0.01 if ways.percent == "share" else 1.0,
        "whole": False,
    }
    told = [*seen.marks()]
    told += ["decimal points, too"] if mixed else []
    if len(factors) > 1:
        first, *rest = [u for u in seen.units["unit"] if u in factors]
        told.append(
            f"the unit {first!r}" + (f" (brought to it: {', '.join(map(repr, rest))})" if rest else "")
        )
    open_ = (
        seen.cells(seen.numeric & texts["plain"].str.contains(EITHER)) if auto and (seen.open or mixed) else 0
    )
    made = _result(texts, way, told, open_)
    if ways.whole and made.read:
        values = texts.select(read(pl.col("plain"), way)).to_series().drop_nulls()
        if bool(((values == values.round()) & (values.abs() < 2.0**63)).all()):
            return _result(texts, {**way, "whole": True}, told, open_)
    return made


def _dates(texts: pl.DataFrame, seen: Dates, ways: Ways, of_numbers: bool) -> Written | None:
    names = {name: count for name, _, count in seen.formats}
    if of_numbers and (set(seen.forms) != {"digits"} or not seen.mask.all() or texts.height < 2):
        return None
    day, month = names.get("day/month/year", 0), names.get("month/day/year", 0)
    first: First = "month" if month > day else "day"
    strict = not (day and month)
    open_ = names.get("day or month first", 0)
    if ways.order != "auto":
        first, strict, open_ = ("day" if ways.order == "day_first" else "month"), True, 0
    elif strict and (day or month):
        open_ = 0  # dates with two digits of the year follow those with four
    some = texts.filter(seen.mask)
    timed, zoned = (bool(some.select(tell(pl.col("plain")).any()).item()) for tell in (is_timed, is_zoned))
    way = {
        "what": "dates",
        "forms": list(seen.forms),
        "first": first,
        "strict": strict,
        "timed": timed,
        "zoned": zoned,
    }
    told = [f"{name} ({count})" for name, count in names.items()]
    return _result(texts, way, told, open_)


def _result(texts: pl.DataFrame, way: dict[str, Any], formats: Sequence[str], open_: int = 0) -> Written:
    value = texts.select(read(pl.col("plain"), way)).to_series()
    gap = texts.select(strange(pl.col("plain"))).to_series() & value.is_null()
    lost = texts.filter(value.is_null() & ~gap)
    cells = lambda mask: int(texts["count"].filter(mask).sum())
    return Written(
        way["what"],
        way,
        formats,
        texts["value"].filter(value.is_not_null()).head(2).to_list(),
        int(texts["count"].sum()),
        cells(value.is_not_null()),
        cells(gap),
        lost["value"].to_list(),
        open_,
    )
