"""How numbers are written: with marks of thousands, money, percent and units; and reading them as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from tilth.stages.dates import LONGEST, dates
from tilth.stages.hidden import number

Decimal = Literal["point", "comma"]

MOST_UNITS, UNIT_NUMBERS = 10, 3
"""A column has few units, and a unit stands behind several different numbers: else it is part of a name."""

TRUE = frozenset({"true", "t", "yes", "y", "on", "1", "1.0"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0", "0.0"})

CODE = r"^[-+]?0\d"
"""Codes such as '007' are no numbers."""

_LETTERS = ({"k", "m", "b"}, {"d", "h", "m", "s"}, {"c", "f", "k"}, *({c} for c in "agltvw"))
"""Units of one letter that go together; 12A beside 12B are codes."""

_CORE = r"(?:\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{3})+|\d+)(?:[.,]\d+)?"
_SIGN = r"[-+\u2212]"
_MONEY = r"(?:[€$£¥₹₽₩]|usd|eur|gbp|chf|jpy|cny|inr)"
_MARKED = rf"^(?:{_SIGN}?\s?{_MONEY}?\s?{_SIGN}?{_CORE}\s?(?:{_MONEY}|%)?|\(\s?{_MONEY}?\s?{_CORE}\s?\))$"
_UNIT = rf"^{_SIGN}?{_CORE}\s?([a-zµμ°\"'²³][a-z0-9µμ°²³/\"'^]{{0,11}}\.?)$"
_ORDINAL = r"^\d+(?:st|nd|rd|th)$"
_DECIMAL_COMMA = r"\d,(?:\d{1,2}|\d{4,})(?:\D*)$|\.\d{3},\d|^\D*0,\d"
_DECIMAL_POINT = r"\d\.(?:\d{1,2}|\d{4,})(?:\D*)$|,\d{3}\.\d|^\D*0\.\d"
_THOUSANDS = r"\d[., '\u2019\u00a0\u202f]\d{3}(?:\D|$)"
_SEVERAL = r",\d{3},\d{3}|\.\d{3}\.\d{3}"
EITHER = r"^\D*[1-9]\d{0,2},\d{3}\D*$"
"""In thousands, or with a decimal comma: other numbers of the column must tell."""

_POINT = r"^(?:\d*\.?\d+|\d+\.|[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?)$"
_COMMA = r"^(?:\d*,?\d+|\d+,|[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?)$"

_DAY = 86400.0
# What one of each unit is, in a unit of the family. The letters k, m and b are multiples beside other words
# for these, or money; else m is a meter or a minute.
_FAMILIES: tuple[dict[str, float], ...] = (
    {"mg": 1e-3, "g": 1.0, "kg": 1e3, "t": 1e6, "oz": 28.349523125, "lb": 453.59237, "lbs": 453.59237},
    {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3, "in": 0.0254, "inch": 0.0254, '"': 0.0254, "ft": 0.3048,
     "'": 0.3048, "yd": 0.9144, "mi": 1609.344, "miles": 1609.344},
    {"ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "mins": 60.0, "h": 3600.0, "hr": 3600.0,
     "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "d": _DAY, "day": _DAY, "days": _DAY,
     "week": 7 * _DAY, "weeks": 7 * _DAY},
    {"month": 1.0, "months": 1.0, "mo": 1.0, "year": 12.0, "years": 12.0, "yr": 12.0, "yrs": 12.0},
    {"ml": 1e-3, "cl": 1e-2, "dl": 0.1, "l": 1.0},
    {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12},
)  # fmt: skip
_MULTIPLES = {"k": 1e3, "m": 1e6, "mn": 1e6, "mio": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9}


@dataclass(frozen=True)
class Numerals:
    """Hold what the different texts of a column are; the masks have one entry for each.

    Parameters
    ----------
    texts : DataFrame
        ``value, count, plain``, as for `dates`.
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
    def of(cls, texts: pl.DataFrame) -> Numerals:
        """Tell what the different texts of a column are."""
        text = texts["plain"]
        short = (text.str.len_chars() <= LONGEST) & text.str.contains(r"\d")
        day = dates(texts).mask
        numeric = texts.select(number(pl.col("plain")).is_finite().fill_null(False)).to_series() & ~day
        code = text.str.contains(CODE) & ~text.str.contains(r"^[-+]?0\d*[.,]")
        marked = short & ~numeric & ~day & ~code & text.str.contains(_MARKED)
        unit = short & ~numeric & ~day & ~marked & ~code & text.str.contains(_UNIT)
        unit &= ~text.str.contains(_ORDINAL)
        split = texts.filter(unit).with_columns(
            unit_of(pl.col("plain")).alias("unit"),
            pl.col("plain").str.extract(rf"^({_SIGN}?{_CORE})").alias("number"),
        )
        units = split.group_by("unit").agg(pl.col("count").sum(), pl.col("number").n_unique().alias("many"))
        units = units.filter(pl.col("many") >= UNIT_NUMBERS).sort("count", "unit", descending=[True, False])
        letters = {u for u in split["unit"] if len(u) == 1 and u.isascii() and u.isalpha()}
        if units.height > MOST_UNITS or (letters and not any(letters <= known for known in _LETTERS)):
            units = units.clear()  # they are codes
        known = texts.select(unit_of(pl.col("plain"))).to_series()
        unit &= known.is_in(units["unit"].implode()).fill_null(False)
        return cls(texts, numeric, marked, unit, day, units.select("unit", "count"))

    @property
    def numeric(self) -> pl.Series:
        """Tell which texts are numbers in any way of writing."""
        return self.plain | self.marked | self.unit

    @property
    def bare(self) -> pl.Series:
        """Tell which texts are numbers without a unit."""
        return self.plain | self.marked

    def cells(self, mask: pl.Series) -> int:
        """Count the cells whose text `mask` names."""
        return int(self.texts["count"].filter(mask).sum())

    def marks(self) -> list[str]:
        """Name the marks that numbers come with."""
        texts = self.texts["plain"].filter(self.numeric)
        found = {
            "a decimal comma": self.has_comma,
            "marks of thousands": bool(texts.str.contains(_THOUSANDS).any()) and not self.open,
            "signs of money": bool(texts.str.contains(_MONEY).any()),
            "percent signs": bool(texts.str.contains("%").any()),
            "brackets for negatives": bool(texts.str.contains(r"\(").any()),
        }
        return [name for name, there in found.items() if there]

    @property
    def has_comma(self) -> bool:
        """Tell whether some number surely has a decimal comma."""
        return self._surely(_DECIMAL_COMMA) > 0

    @property
    def has_point(self) -> bool:
        """Tell whether some number surely has a decimal point."""
        return self._surely(_DECIMAL_POINT) > 0

    @property
    def open(self) -> bool:
        """Tell whether '1,234' stays open: no value has a comma or point that settles it."""
        texts = self.texts["plain"].filter(self.numeric)
        several = bool(texts.str.contains(_SEVERAL).any())
        return bool(texts.str.contains(EITHER).any()) and not (self.has_comma or self.has_point or several)

    @property
    def decimal(self) -> Decimal:
        """Return the decimal mark that most cells surely have; the point where none has one."""
        return "comma" if self._surely(_DECIMAL_COMMA) > self._surely(_DECIMAL_POINT) else "point"

    def _surely(self, look: str) -> int:
        return self.cells(self.numeric & self.texts["plain"].str.contains(look))

    def factors(self) -> dict[str, float]:
        """Return by what numbers of each unit are multiplied so that all are in one.

        That is the most frequent unit, and for k, m and b one; units that cannot be brought to it are left
        out, and so are not read. Bare numbers are multiplied by what ``""`` says: nothing but 1.
        """
        known = dict(self.units.iter_rows())
        if not known:
            return {"": 1.0}
        words = bool(set(known) & (set(_MULTIPLES) - {"m", "b"})) or "signs of money" in self.marks()
        if words and set(known) <= set(_MULTIPLES):
            return {"": 1.0, **{u: _MULTIPLES[u] for u in known}}
        main = next(iter(known))
        # Of the families that know the main unit, that which knows most cells.
        sharing = [f for f in _FAMILIES if main in f]
        family = max(sharing, key=lambda f: sum(n for u, n in known.items() if u in f), default={main: 1.0})
        return {"": 1.0, **{u: family[u] / family[main] for u in known if u in family}}


def unit_of(plain: pl.Expr) -> pl.Expr:
    """Return the unit behind a number, null where there is none."""
    return plain.str.extract(_UNIT).str.strip_chars(". ")


def numeral(
    plain: pl.Expr,
    decimal: Decimal = "point",
    factors: Mapping[str, float] | None = None,
    *,
    strict: bool = True,
    percent: float = 1.0,
) -> pl.Expr:
    """Read texts as numbers, null where they are none.

    Parameters
    ----------
    plain : Expr
        Texts without the spaces around them, in lower case.
    decimal : {'point', 'comma'}
    factors : mapping of unit to float
        The units that are read, as `Numerals.factors` gives them.
    strict : bool
        Read no other decimal mark; else a number that reads with the other only is read so.
    percent : float
        What one percent is.
    """
    factors = {"": 1.0} if factors is None else factors
    units = {u: f for u, f in factors.items() if u}
    unit = unit_of(plain)
    body: pl.Expr = plain
    if units:
        number_of = pl.when(unit.is_in(list(units))).then(plain.str.extract(rf"^({_SIGN}?{_CORE})"))
        body = pl.when(plain.str.contains(_MARKED)).then(plain).otherwise(number_of)
    negative = body.str.contains(r"^\(") | body.str.contains(r"^[^\d]*[-\u2212]")
    core = body.str.replace_all(rf"{_MONEY}|{_SIGN}|[ '\u2019\u00a0\u202f()%]", "")
    ways = {
        "point": pl.when(core.str.contains(_POINT)).then(core.str.replace_all(",", "", literal=True)),
        "comma": pl.when(core.str.contains(_COMMA)).then(
            core.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        ),
    }
    tried = [ways[decimal]] if strict else [ways[decimal], ways["comma" if decimal == "point" else "point"]]
    value = pl.coalesce([way.cast(pl.Float64, strict=False) for way in tried])
    value = pl.when(negative).then(-value).otherwise(value)
    value = pl.when(plain.str.ends_with("%")).then(value * percent).otherwise(value)
    if units:
        known = unit.replace_strict(units, default=1.0, return_dtype=pl.Float64)
        value = value * pl.when(unit.is_null()).then(1.0).otherwise(known)
    looks = plain.str.contains(_MARKED) | (unit.is_in(list(units)) if units else pl.lit(False))
    code = plain.str.contains(CODE) & ~plain.str.contains(r"^[-+]?0\d*[.,]")
    code |= plain.str.contains(rf"{_SIGN}.*{_SIGN}")
    read = pl.when(looks & ~code & (plain.str.len_chars() <= LONGEST)).then(value)
    # What no mark is in, powers of ten among it, is read as it is; the rest by its marks.
    marked = plain.str.contains(r"[,.]") & ~plain.str.contains("e")
    bare = number(plain)
    bare = pl.when(bare.is_finite() & (~marked | pl.lit(decimal == "point"))).then(bare)
    return pl.coalesce(bare, read)
