"""Checks of what hides in text: numbers with their marks and units, dates, truth values, sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from tilth.audit.column import Column
from tilth.core.finding import Finding, Severity
from tilth.stages.column import shown
from tilth.stages.dates import dates
from tilth.stages.hidden import MOST_WORDS, NUMBERS, least
from tilth.stages.numerals import CODE, EITHER, FALSE, TRUE, Numerals, unit_of

FINDS = {
    "text.numbers": "a text column holds numbers",
    "text.units": "numbers of a text column come in different units, or with and without one",
    "text.mixed": "a text column mixes numbers, dates and words",
    "text.dates": "a text column holds dates",
    "text.formats": "a text column writes dates in several formats",
    "text.booleans": "a truth value is written in more than one way",
    "text.variants": "categories differ only by case, spaces, dashes or the form of a letter",
    "text.free": "a categorical column holds sentences",
}

PART = 0.02
"""A kind of values that fills less of a column than this is no part of a mixture, but single cells."""

MOSTLY = 0.8
"""From this share of dates on a column is one of dates, and the rest are its errors."""

FEW_ODD = 20
"""Different texts among numbers that can still be named one by one in a recipe."""


def contents(column: Column) -> Iterator[Finding]:
    """Find numbers, numbers with units, dates, and mixtures of them with words, in columns of text."""
    # A category type is a person's word that these are categories.
    if column.kind != "categorical" or column.series.dtype != pl.String or not column.filled:
        return
    if column.texts["plain"].str.contains(CODE + r"\d*$").any() or truth(column):
        return  # '007' is a code, whatever stands beside it
    seen = Numerals.of(column.texts)
    numbers, days = seen.cells(seen.numeric) / column.filled, seen.cells(seen.day) / column.filled
    if days >= MOSTLY:
        yield from _dates(column, seen, days)
    elif numbers == 1 and not seen.unit.any():
        yield _numbers(column, seen)
    elif numbers == 1:
        yield _units(column, seen)
    elif numbers >= PART or days >= PART:
        yield from _mixed(column, seen, numbers, days)


def _numbers(column: Column, seen: Numerals) -> Finding:
    marked = seen.marked.any()
    remedy = _parsed(column)
    if not marked:
        all_ = f"all its {column.filled} values are numbers, such as {_told(seen, seen.plain, 1)}"
        message = f"'{column.name}' is text, but {all_}."
        return column.finding("text.numbers", message, 1.0, "medium", remedy=remedy)
    found = seen.marks()
    message = (
        f"'{column.name}' is text, but its values are numbers with {' and '.join(found) or 'marks'}, such as "
        f"{_told(seen, seen.marked)}."
    )
    if seen.has_comma and seen.has_point:
        message += " Some have a decimal comma and some a decimal point."
    elif seen.open:
        either = _told(seen, seen.marked & seen.texts["plain"].str.contains(EITHER), 1)
        message += f" Is {either} in thousands, or with a decimal comma? None of the values tells."
    bare = seen.cells(seen.numeric & ~seen.texts["plain"].str.contains("%"))
    if "percent signs" in found and bare:
        message += f" {bare} of {column.filled} have no percent sign."
    return column.finding("text.numbers", message, 1.0, "medium", remedy=remedy)


def _told(seen: Numerals, mask: pl.Series, many: int = 2) -> str:
    """Write the most frequent texts that `mask` names."""
    return ", ".join(shown(v) for v in seen.texts["value"].filter(mask).head(many))


def _parsed(column: Column) -> dict[str, Any]:
    """Return the recipe line that reads a column as what it is."""
    return {"encode.parse": {"on": [column.name]}}


def _units(column: Column, seen: Numerals) -> Finding:
    counted = [f"{shown(u)} ({n})" for u, n in seen.units.head(4).iter_rows()]
    bare = seen.cells(seen.bare)
    if seen.units.height == 1 and not bare:
        message = (
            f"'{column.name}' is text, but its values are numbers with the unit "
            f"{shown(seen.units['unit'][0])}, such as {_told(seen, seen.unit, 1)}."
        )
        return column.finding("text.numbers", message, 1.0, "medium", remedy=_parsed(column))
    counted += [f"none ({bare}, such as {_told(seen, seen.bare, 1)})"] if bare else []
    message = f"'{column.name}' is text of numbers in different units: {', '.join(counted)}."
    mask, score = _rows(column, seen, ~_main(seen)), 1 - seen.cells(_main(seen)) / column.filled
    return column.finding("text.units", message, score, "medium", mask=mask, remedy=_parsed(column))


def _main(seen: Numerals) -> pl.Series:
    """Tell which texts are in the most frequent unit, no unit among them."""
    if seen.cells(seen.bare) >= seen.units["count"][0]:
        return seen.bare
    unit = seen.texts.select(unit_of(pl.col("plain"))).to_series()
    return seen.unit & (unit == seen.units["unit"][0]).fill_null(False)


def _dates(column: Column, seen: Numerals, share: float) -> Iterator[Finding]:
    read = dates(seen.texts)
    rest = column.filled - seen.cells(seen.day)
    name, example, count = read.formats[0]
    part = f"all its {column.filled} values" if not rest else f"{share:.1%} of its {column.filled} values"
    message = f"'{column.name}' is text, but {part} are dates, such as {shown(example)} ({name})"
    message += f"; others: {_told(seen, ~seen.day)}." if rest else "."
    open_ = [f for f in read.formats if f[0] == "day or month first"]
    if len(read.formats) == 1 and open_:
        message += " Whether the day or the month comes first, none of them tells."
    mask = _rows(column, seen, ~seen.day) if rest else None
    yield column.finding("text.dates", message, share, "medium", mask=mask, remedy=_parsed(column))
    if len(read.formats) > 1:
        told = ", ".join(
            f"{name} ({count}, such as {shown(example)})" for name, example, count in read.formats[:4]
        )
        clash = {"day/month/year", "month/day/year"} <= {f[0] for f in read.formats}
        more = f" {open_[0][2]} cells can be read either way." if clash and open_ else ""
        message = f"'{column.name}' writes dates in {len(read.formats)} formats: {told}.{more}"
        severity: Severity = "high" if clash else "medium"
        share = 1 - count / column.filled
        yield column.finding("text.formats", message, share, severity, remedy=_parsed(column))


def _mixed(column: Column, seen: Numerals, numbers: float, days: float) -> Iterator[Finding]:
    words = ~(seen.numeric | seen.day)
    odd = seen.texts.filter(words)
    if numbers >= NUMBERS and not days and _mark(odd, column.rows):
        return  # `impute.sentinels` asks about them
    kinds = {
        "numbers": (numbers, seen.numeric),
        "dates": (days, seen.day),
        "other texts": (1 - numbers - days, words),
    }
    told = ", ".join(
        f"{name} ({share:.1%}, such as {_told(seen, mask)})"
        for name, (share, mask) in kinds.items()
        if share > 1e-9
    )
    message = f"'{column.name}' mixes {told}."
    rare = numbers >= NUMBERS
    severity: Severity = "high" if rare else "low"
    remedy = None
    if rare:
        message += f" {int(odd['count'].sum())} cells make a column of numbers one of text."
    if rare and odd.height <= FEW_ODD and not days and not (seen.marked | seen.unit).any():
        remedy = {
            "impute.sentinels": {"values": {column.name: sorted(odd["value"].str.strip_chars().unique())}}
        }
    mask = _rows(column, seen, words if rare else seen.numeric | seen.day)
    yield column.finding(
        "text.mixed", message, min(numbers + days, 1 - numbers - days), severity, mask=mask, remedy=remedy
    )


def _mark(odd: pl.DataFrame, rows: int) -> bool:
    """Tell whether these few words among numbers stand for missing values, as `impute.sentinels` has it."""
    few = odd["plain"].n_unique() <= MOST_WORDS
    return few and bool((odd["count"] >= least(rows)).all()) and not odd["plain"].str.contains(r"\d").any()


def _rows(column: Column, seen: Numerals, mask: pl.Series) -> pl.Series:
    return column.series.is_in(seen.texts["value"].filter(mask).implode())


def truth(column: Column) -> bool:
    """Tell whether all values are ways of writing yes and no."""
    if column.kind != "categorical" or not 2 <= column.distinct <= len(TRUE | FALSE) * 4:
        return False
    plain = set(column.texts["plain"])
    return plain <= TRUE | FALSE and bool(plain & TRUE) and bool(plain & FALSE)


def booleans(column: Column) -> Iterator[Finding]:
    """Find truth values that are written in more than one way: yes, Y, 1."""
    if not truth(column) or column.distinct == 2:
        return
    texts = column.texts
    spell = lambda words: ", ".join(
        f"{shown(v)} ({n})"
        for v, n in texts.filter(pl.col("plain").is_in(sorted(words)))["value", "count"].iter_rows()
    )
    message = f"'{column.name}' writes yes and no in {column.distinct} ways: {spell(TRUE)}; {spell(FALSE)}."
    usual = sum(texts.filter(pl.col("plain").is_in(sorted(w)))["count"].max() or 0 for w in (TRUE, FALSE))  # type: ignore[misc]
    rest = 1 - usual / column.filled
    yield column.finding("text.booleans", message, rest, "medium", remedy=_parsed(column))


def variants(column: Column) -> Iterator[Finding]:
    """Find categories that differ only by case, spaces and dashes, or by how a letter is encoded."""
    if (
        column.kind != "categorical"
        or column.distinct < 2
        or column.distinct >= 0.99 * column.rows
        or truth(column)
    ):
        return
    key = pl.col("plain").str.normalize("NFKC").str.replace_all(r"(\w)[\s_\-]+(\w)", "$1 $2").alias("key")
    grouped = (
        column.texts.with_columns(key)
        .group_by("key")
        .agg(pl.col("value"), pl.col("count").sum(), pl.len().alias("forms"))
    )
    mixed = grouped.filter(pl.col("forms") > 1).sort("count", "key", descending=[True, False])
    if mixed.height:
        forms = ", ".join(shown(v) for v in sorted(mixed["value"][0].to_list())[:4])
        rows = int(mixed["count"].sum())
        many = "1 category" if mixed.height == 1 else f"{mixed.height} categories"
        message = f"'{column.name}' writes {many} in more than one way, such as {forms} ({rows} rows)."
        severity: Severity = "medium" if rows >= PART * column.rows else "low"
        yield column.finding("text.variants", message, rows / column.rows, severity)


CHECKS = (contents, booleans, variants)
"""What is asked of each column of text, in this order."""
