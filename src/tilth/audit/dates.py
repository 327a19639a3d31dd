"""How days are written: which formats the texts of a column follow, and whether day or month comes first."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

LONGEST = 40
"""Characters of a text that may be a date or a number; longer texts are read as words."""

_TIME = r"(?:[t ]\s?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[ap]m)?(?:\s?(?:z|utc|[+-]\d{2}:?\d{2}))?)?$"
_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"

# Each form: its name, what it looks like, and how day, month and year are read once marks are dashes.
_FORMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("year-month-day", rf"^\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}{_TIME}", ("%Y-%m-%d",)),
    ("yearmonthday", r"^(?:19|20)\d{6}$", ("%Y%m%d",)),
    ("day or month first", rf"^\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{4}}{_TIME}", ("%d-%m-%Y", "%m-%d-%Y")),
    ("day or month first", rf"^\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2}}{_TIME}", ("%d-%m-%y", "%m-%d-%y")),
    ("day month year", rf"^\d{{1,2}}[- .]+{_MONTHS}[- .,]+\d{{4}}{_TIME}", ("%d-%b-%Y", "%d-%B-%Y")),
    ("day month year", rf"^\d{{1,2}}[- .]+{_MONTHS}[- .,]+\d{{2}}{_TIME}", ("%d-%b-%y", "%d-%B-%y")),
    ("month day year", rf"^{_MONTHS}[- .]+\d{{1,2}}[- ,]+\d{{4}}{_TIME}", ("%b-%d-%Y", "%B-%d-%Y")),
)

_TWO_WAYS = "day or month first"


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
    """

    mask: pl.Series
    formats: tuple[tuple[str, str, int], ...]


def dates(texts: pl.DataFrame) -> Dates:
    """Read texts as dates.

    Parameters
    ----------
    texts : DataFrame
        ``value, count, plain``, as `Column.texts` has them.
    """
    plain, found = texts["plain"], []
    mask = pl.repeat(False, texts.height, dtype=pl.Boolean, eager=True)
    short = (plain.str.len_chars() <= LONGEST) & plain.str.contains(r"\d")
    if not short.any():
        return Dates(mask, ())
    for name, look, ways in _FORMS:
        seen = short & ~mask & plain.str.contains(look)
        if not seen.any():
            continue
        some = texts.filter(seen)
        day = some["plain"].str.replace(r"[t ]+\d{1,2}:.*$", "").str.replace_all(r"[-/., ]+", "-")
        read = [day.str.to_date(way, strict=False).is_not_null() for way in ways]
        if name == _TWO_WAYS:
            found += _settled(some, *read)
        else:
            found += _counted(name, some, read[0] | read[-1])
        mask = mask | pl.Series(_spread(seen, read[0] | read[-1]))
    merged: dict[str, tuple[str, int]] = {}
    for name, example, count in found:
        merged[name] = (merged[name][0], merged[name][1] + count) if name in merged else (example, count)
    formats = sorted(((n, e, c) for n, (e, c) in merged.items()), key=lambda f: (-f[2], f[0]))
    return Dates(mask, tuple(formats))


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
