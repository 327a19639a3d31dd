"""How days are written: which formats the texts of a column follow, and reading them as dates and moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

LONGEST = 60
"""Characters of a text that may be a date or a number; longer texts are read as words."""

First = Literal["day", "month"]

_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(?:\s?([ap]m))?(?:\s?(z|utc|gmt|[+-]\d{2}:?\d{2}))?$"
_TIME = rf"(?:[t ]\s?{_CLOCK[:-1]})?$"
_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_WEEKDAY = r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+"

_TWO_WAYS = "day or month first"


@dataclass(frozen=True)
class Form:
    """Say what dates of one form look like, and how they are read once their marks are dashes.

    Parameters
    ----------
    name : str
        For people; forms that differ in the digits of the year share one.
    look : str
        A pattern of texts in lower case without a weekday before them.
    ways : tuple of str
        What day, month and year are; of a form that has two, day first and month first.
    before : str
        What is put before the text: the day of a month without one.
    """

    name: str
    look: str
    ways: tuple[str, ...]
    before: str = ""


FORMS: dict[str, Form] = {
    "ymd": Form("year-month-day", rf"^\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}{_TIME}", ("%Y-%m-%d",)),
    "digits": Form("yearmonthday", r"^(?:19|20)\d{6}$", ("%Y%m%d",)),
    "dmy": Form(_TWO_WAYS, rf"^\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{4}}{_TIME}", ("%d-%m-%Y", "%m-%d-%Y")),
    "dmy2": Form(_TWO_WAYS, rf"^\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2}}{_TIME}", ("%d-%m-%y", "%m-%d-%y")),
    "dby": Form(
        "day month year", rf"^\d{{1,2}}[- .]+{_MONTHS}[- .,]+\d{{4}}{_TIME}", ("%d-%b-%Y", "%d-%B-%Y")
    ),
    "dby2": Form(
        "day month year", rf"^\d{{1,2}}[- .]+{_MONTHS}[- .,]+\d{{2}}{_TIME}", ("%d-%b-%y", "%d-%B-%y")
    ),
    "bdy": Form(
        "month day year", rf"^{_MONTHS}[- .]+\d{{1,2}}[- ,]+\d{{4}}{_TIME}", ("%b-%d-%Y", "%B-%d-%Y")
    ),
    "by": Form("month year", rf"^{_MONTHS}[- .,/]+\d{{4}}$", ("%d-%b-%Y", "%d-%B-%Y"), "1-"),
}
"""The forms that are read, by the code that a fitted stage keeps of them."""


@dataclass(frozen=True)
class Dates:
    """Hold which texts of a column are dates, and in which formats.

    Parameters
    ----------
    mask : Series of bool
        One entry per different text.
    formats : tuple of (str, str, int)
        Name, an example, and cells; most frequent first. What reads day first and month first alike
        counts for the one that the column's other dates settle; 'day or month first' where none does.
    forms : tuple of str
        Codes of the forms that were met, as `FORMS` has them.
    """

    mask: pl.Series
    formats: tuple[tuple[str, str, int], ...]
    forms: tuple[str, ...]


def dates(texts: pl.DataFrame) -> Dates:
    """Read texts as dates.

    Parameters
    ----------
    texts : DataFrame
        ``value, count, plain``: the different texts, how often each occurs, and each without the spaces
        around it and in lower case.
    """
    plain, found, met = texts["plain"], [], []
    mask = pl.repeat(False, texts.height, dtype=pl.Boolean, eager=True)
    short = (plain.str.len_chars() <= LONGEST) & plain.str.contains(r"\d")
    if not short.any():
        return Dates(mask, (), ())
    for code, form in FORMS.items():
        seen = short & ~mask & plain.str.replace(_WEEKDAY, "").str.contains(form.look)
        if not seen.any():
            continue
        some = texts.filter(seen)
        ways = [_day(pl.col("plain"), form, way) for way in form.ways]
        clock = _clock(pl.col("plain")).is_not_null()
        read = some.select((day.is_not_null() & clock).alias(str(i)) for i, day in enumerate(ways))
        either = read.to_series(0) | read.to_series(-1)
        if not either.any():
            continue
        met.append(code)
        if form.name == _TWO_WAYS:
            found += _settled(some, read["0"], read["1"])
        else:
            found += _counted(form.name, some, either)
        mask = mask | pl.Series(_spread(seen, either))
    merged: dict[str, tuple[str, int]] = {}
    for name, example, count in found:
        merged[name] = (merged[name][0], merged[name][1] + count) if name in merged else (example, count)
    formats = sorted(((n, e, c) for n, (e, c) in merged.items()), key=lambda f: (-f[2], f[0]))
    return Dates(mask, tuple(formats), tuple(met))


def moment(plain: pl.Expr, forms: Sequence[str], first: First = "day", *, strict: bool = True) -> pl.Expr:
    """Read texts as moments, null where they are none; those with a zone are brought to UTC.

    Parameters
    ----------
    plain : Expr
        Texts without the spaces around them, in lower case.
    forms : sequence of str
        Codes of the forms to read.
    first : {'day', 'month'}
        What comes first where a form leaves it open.
    strict : bool
        Read no other order; else a text that reads in the other order only is read so.
    """
    read: list[pl.Expr] = []
    for code in forms:
        form = FORMS[code]
        ways = form.ways
        if form.name == _TWO_WAYS:
            ways = ways if first == "day" else ways[::-1]
            ways = ways[:1] if strict else ways
        looks = plain.str.replace(_WEEKDAY, "").str.contains(form.look)
        read += [pl.when(looks).then(_day(plain, form, way)) for way in ways]
    day = pl.coalesce(pl.lit(None, pl.Date), *read)
    short = pl.when(plain.str.len_chars() <= LONGEST).then(day)
    return short.cast(pl.Datetime("us")) + _clock(plain)


def is_timed(plain: pl.Expr) -> pl.Expr:
    """Tell which dates come with a time of day."""
    return plain.str.contains(rf"[t ]\s?{_CLOCK}")


def is_zoned(plain: pl.Expr) -> pl.Expr:
    """Tell which dates come with a time and its zone."""
    return plain.str.extract(rf"[t ]\s?{_CLOCK}", 6).is_not_null()


def _day(plain: pl.Expr, form: Form, way: str) -> pl.Expr:
    mended = plain.str.replace(_WEEKDAY, "").str.replace(r"[t ]+\d{1,2}:.*$", "")
    mended = mended.str.replace_all(r"[-/., ]+", "-").str.replace(r"\bsept\b", "sep")
    return (pl.lit(form.before) + mended).str.to_date(way, strict=False)


def _clock(plain: pl.Expr) -> pl.Expr:
    """Return the time of day as a duration: none is midnight, one that does not exist is null."""
    parts = plain.str.extract_groups(rf"[t ]\s?{_CLOCK}").struct
    hour, minute, second = (parts.field(str(i)).cast(pl.Int64) for i in (1, 2, 3))
    second = second.fill_null(0)
    part = (pl.lit("0.") + parts.field("4")).cast(pl.Float64, strict=False).fill_null(0.0)
    half, zone = parts.field("5"), parts.field("6")
    exists = (hour < 24) & (minute < 60) & (second < 60) & (half.is_null() | hour.is_between(1, 12))
    hour = pl.when(half.is_null()).then(hour).otherwise(hour % 12 + 12 * (half == "pm"))
    hours, minutes = (zone.str.extract(look).cast(pl.Int64) for look in (r"^[+-](\d{2})", r"(\d{2})$"))
    away = (hours * 60 + minutes).fill_null(0) * pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    seconds = (hour * 60 + minute - away.fill_null(0)) * 60 + second
    micro = seconds * 1_000_000 + (part * 1e6).round().cast(pl.Int64)
    return pl.when(hour.is_null()).then(0).when(exists).then(micro).cast(pl.Duration("us"))


def _settled(some: pl.DataFrame, day: pl.Series, month: pl.Series) -> list[tuple[str, str, int]]:
    """Count what is surely day first and surely month first; the rest go with the only one there is."""
    both = day & month
    if (day & ~month).any() and (month & ~day).any():
        pairs = [("day/month/year", day & ~month), ("month/day/year", month & ~day), (_TWO_WAYS, both)]
    elif (day & ~month).any():
        pairs = [("day/month/year", day)]
    elif (month & ~day).any():
        pairs = [("month/day/year", month)]
    else:
        pairs = [(_TWO_WAYS, both)]
    return [told for name, mask in pairs for told in _counted(name, some, mask)]


def _counted(name: str, some: pl.DataFrame, mask: pl.Series) -> list[tuple[str, str, int]]:
    kept = some.filter(mask)
    return [(name, kept["value"][0], int(kept["count"].sum()))] if kept.height else []


def _spread(seen: pl.Series, read: pl.Series) -> list[bool]:
    """Put answers about some texts back among all."""
    answers = iter(read)
    return [bool(s and next(answers)) for s in seen]
