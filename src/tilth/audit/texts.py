"""Checks of what hides in text: numbers with their marks and units, dates, truth values, sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from tilth.audit.column import Column, shown
from tilth.audit.dates import LONGEST, dates
from tilth.core.finding import Finding, Severity
from tilth.stages.hidden import MOST_WORDS, NUMBERS, least, number

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

SENTENCE = 3
"""Words, in the mean, beyond which texts are sentences and no names."""

PART = 0.02
"""A kind of values that fills less of a column than this is no part of a mixture, but single cells."""

MOSTLY = 0.8
"""From this share of dates on a column is one of dates, and the rest are its errors."""

FEW_ODD = 20
"""Different texts among numbers that can still be named one by one in a recipe."""

MOST_UNITS, UNIT_NUMBERS = 10, 3
"""A column has few units, and a unit stands behind several different numbers: else it is part of a name."""

_LETTERS = ({"k", "m", "b"}, {"d", "h", "m", "s"}, {"c", "f", "k"}, *({c} for c in "agltvw"))
"""Units of one letter that go together; 12A beside 12B are codes."""

_CODE = r"^[-+]?0\d"
_CORE = r"(?:\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{3})+|\d+)(?:[.,]\d+)?"
_MONEY = r"(?:[€$£¥₹₽₩]|usd|eur|gbp|chf|jpy|cny|inr)"
_MARKED = rf"^(?:[-+]?\s?{_MONEY}?\s?[-+]?{_CORE}\s?(?:{_MONEY}|%)?|\(\s?{_MONEY}?\s?{_CORE}\s?\))$"
_UNIT = rf"^[-+]?{_CORE}\s?([a-zµμ°\"'²³][a-z0-9µμ°²³/\"'^]{{0,11}}\.?)$"
_ORDINAL = r"^\d+(?:st|nd|rd|th)$"
_DECIMAL_COMMA = r"\d,(?:\d{1,2}|\d{4,})(?:\D*)$|\.\d{3},\d"
_DECIMAL_POINT = r"\d\.(?:\d{1,2}|\d{4,})(?:\D*)$|,\d{3}\.\d"
_THOUSANDS = r"\d[., '\u2019\u00a0\u202f]\d{3}(?:\D|$)"
_EITHER = r"^\D*\d{1,3},\d{3}\D*$"

TRUE = frozenset({"true", "t", "yes", "y", "on", "1", "1.0"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0", "0.0"})


@dataclass(frozen=True)
class Reading:
    """Hold what the different texts of a column are; the masks have one entry for each.

    Parameters
    ----------
    texts : DataFrame
        ``value, count, plain``.
    plain, marked, unit, day : Series of bool
        Numbers as they are; with marks of thousands, money or percent; with a unit behind; dates.
    units : DataFrame
        ``unit, count``, most frequent first.
    """

    texts: pl.DataFrame
    plain: pl.Series
    marked: pl.Series
    unit: pl.Series
    day: pl.Series
    units: pl.DataFrame

    @classmethod
    def of(cls, column: Column) -> Reading:
        """Read the texts of a column."""
        texts = column.texts
        text = texts["plain"]
        short = (text.str.len_chars() <= LONGEST) & text.str.contains(r"\d")
        day = dates(texts).mask
        numeric = texts.select(number(pl.col("plain")).is_finite().fill_null(False)).to_series() & ~day
        code = text.str.contains(_CODE) & ~text.str.contains(r"^[-+]?0\d*[.,]")
        marked = short & ~numeric & ~day & ~code & text.str.contains(_MARKED)
        unit = short & ~numeric & ~day & ~marked & ~code & text.str.contains(_UNIT)
        unit &= ~text.str.contains(_ORDINAL)
        split = texts.filter(unit).with_columns(
            pl.col("plain").str.extract(_UNIT).str.strip_chars(". ").alias("unit"),
            pl.col("plain").str.extract(rf"^([-+]?{_CORE})").alias("number"),
        )
        units = split.group_by("unit").agg(pl.col("count").sum(), pl.col("number").n_unique().alias("many"))
        units = units.filter(pl.col("many") >= UNIT_NUMBERS).sort("count", "unit", descending=[True, False])
        letters = {u for u in split["unit"] if len(u) == 1 and u.isascii() and u.isalpha()}
        if units.height > MOST_UNITS or (letters and not any(letters <= known for known in _LETTERS)):
            units = units.clear()  # they are codes
        known = texts.select(pl.col("plain").str.extract(_UNIT).str.strip_chars(". "))["plain"]
        unit &= known.is_in(units["unit"].implode()).fill_null(False)
        return cls(texts, numeric, marked, unit, day, units.select("unit", "count"))

    @property
    def numeric(self) -> pl.Series:
        """Tell which texts are numbers in any way of writing."""
        return self.plain | self.marked | self.unit

    def cells(self, mask: pl.Series) -> int:
        """Count the cells whose text `mask` names."""
        return int(self.texts["count"].filter(mask).sum())

    def told(self, mask: pl.Series, many: int = 2) -> str:
        """Write the most frequent texts that `mask` names."""
        return ", ".join(shown(v) for v in self.texts["value"].filter(mask).head(many))


def contents(column: Column) -> Iterator[Finding]:
    """Find numbers, numbers with units, dates, and mixtures of them with words, in columns of text."""
    # A category type is a person's word that these are categories.
    if column.kind != "categorical" or column.series.dtype != pl.String or not column.filled:
        return
    if column.texts["plain"].str.contains(_CODE + r"\d*$").any() or truth(column):
        return  # '007' is a code, whatever stands beside it
    seen = Reading.of(column)
    numbers, days = seen.cells(seen.numeric) / column.filled, seen.cells(seen.day) / column.filled
    if days >= MOSTLY:
        yield from _dates(column, seen, days)
    elif numbers == 1 and not seen.unit.any():
        yield _numbers(column, seen)
    elif numbers == 1:
        yield _units(column, seen)
    elif numbers >= PART or days >= PART:
        yield from _mixed(column, seen, numbers, days)


def _numbers(column: Column, seen: Reading) -> Finding:
    marked = seen.marked.any()
    if not marked:
        all_ = f"all its {column.filled} values are numbers, such as {seen.told(seen.plain, 1)}"
        message = f"'{column.name}' is text, but {all_}."
        return column.finding("text.numbers", message, 1.0, "medium")
    texts = seen.texts["plain"].filter(seen.numeric)
    comma, point = (bool(texts.str.contains(p).any()) for p in (_DECIMAL_COMMA, _DECIMAL_POINT))
    found = {
        "a decimal comma": comma,
        "marks of thousands": bool(texts.str.contains(_THOUSANDS).any()) and not _either(texts, comma, point),
        "signs of money": bool(texts.str.contains(_MONEY).any()),
        "percent signs": bool(texts.str.contains("%").any()),
        "brackets for negatives": bool(texts.str.contains(r"\(").any()),
    }
    marks = " and ".join(name for name, there in found.items() if there) or "marks"
    message = (
        f"'{column.name}' is text, but its values are numbers with {marks}, such as {seen.told(seen.marked)}."
    )
    if comma and point:
        message += " Some have a decimal comma and some a decimal point."
    elif _either(texts, comma, point):
        either = seen.told(seen.marked & seen.texts["plain"].str.contains(_EITHER), 1)
        message += f" Is {either} in thousands, or with a decimal comma? None of the values tells."
    if found["percent signs"] and (bare := seen.cells(seen.numeric & ~seen.texts["plain"].str.contains("%"))):
        message += f" {bare} of {column.filled} have no percent sign."
    return column.finding("text.numbers", message, 1.0, "medium")


def _either(texts: pl.Series, comma: bool, point: bool) -> bool:
    """Tell whether '1,234' stays open: no value has a comma or point that settles it."""
    several = texts.str.contains(r",\d{3},\d{3}|\.\d{3}\.\d{3}").any()
    return bool(texts.str.contains(_EITHER).any()) and not (comma or point or several)


def _units(column: Column, seen: Reading) -> Finding:
    counted = [f"{shown(u)} ({n})" for u, n in seen.units.head(4).iter_rows()]
    bare = seen.cells(seen.plain | seen.marked)
    if seen.units.height == 1 and not bare:
        message = (
            f"'{column.name}' is text, but its values are numbers with the unit "
            f"{shown(seen.units['unit'][0])}, such as {seen.told(seen.unit, 1)}."
        )
        return column.finding("text.numbers", message, 1.0, "medium")
    counted += [f"none ({bare}, such as {seen.told(seen.plain | seen.marked, 1)})"] if bare else []
    message = f"'{column.name}' is text of numbers in different units: {', '.join(counted)}."
    mask = _rows(column, seen, ~_main(seen))
    return column.finding(
        "text.units", message, 1 - seen.cells(_main(seen)) / column.filled, "medium", mask=mask
    )


def _main(seen: Reading) -> pl.Series:
    """Tell which texts are in the most frequent unit, no unit among them."""
    bare = seen.plain | seen.marked
    if seen.cells(bare) >= seen.units["count"][0]:
        return bare
    unit = seen.texts["plain"].str.extract(_UNIT).str.strip_chars(". ")
    return seen.unit & (unit == seen.units["unit"][0]).fill_null(False)


def _dates(column: Column, seen: Reading, share: float) -> Iterator[Finding]:
    read = dates(seen.texts)
    rest = column.filled - seen.cells(seen.day)
    name, example, count = read.formats[0]
    part = f"all its {column.filled} values" if not rest else f"{share:.1%} of its {column.filled} values"
    message = f"'{column.name}' is text, but {part} are dates, such as {shown(example)} ({name})"
    message += f"; others: {seen.told(~seen.day)}." if rest else "."
    open_ = [f for f in read.formats if f[0] == "day or month first"]
    if len(read.formats) == 1 and open_:
        message += " Whether the day or the month comes first, none of them tells."
    mask = _rows(column, seen, ~seen.day) if rest else None
    yield column.finding("text.dates", message, share, "medium", mask=mask)
    if len(read.formats) > 1:
        told = ", ".join(
            f"{name} ({count}, such as {shown(example)})" for name, example, count in read.formats[:4]
        )
        clash = {"day/month/year", "month/day/year"} <= {f[0] for f in read.formats}
        more = f" {open_[0][2]} cells can be read either way." if clash and open_ else ""
        message = f"'{column.name}' writes dates in {len(read.formats)} formats: {told}.{more}"
        severity: Severity = "high" if clash else "medium"
        yield column.finding("text.formats", message, 1 - count / column.filled, severity)


def _mixed(column: Column, seen: Reading, numbers: float, days: float) -> Iterator[Finding]:
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
        f"{name} ({share:.1%}, such as {seen.told(mask)})"
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


def _rows(column: Column, seen: Reading, mask: pl.Series) -> pl.Series:
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
    yield column.finding("text.booleans", message, 1 - usual / column.filled, "medium")


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


def sentences(column: Column) -> bool:
    """Tell whether texts are sentences: ids and categories have few words."""
    return words(column) > SENTENCE


def words(column: Column) -> float:
    """Return the mean number of words of the different values."""
    some = column.texts["value"].head(1000)
    return float(some.str.strip_chars().str.count_matches(r"\s+").mean() or 0.0) + 1  # type: ignore[arg-type]


CHECKS = (contents, booleans, variants)
"""What is asked of each column of text, in this order."""
