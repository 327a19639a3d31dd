"""How numbers are written: what is written comes back, and what is no number does not."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tilth.stages.numerals import Numerals, numeral


def texts(*values: str, counts=None) -> pl.DataFrame:
    frame = pl.DataFrame({"value": values, "count": counts or [1] * len(values)})
    return frame.with_columns(pl.col("value").str.strip_chars().str.to_lowercase().alias("plain"))


def read(value: str, *given, **more) -> float | None:
    return texts(value).select(numeral(pl.col("plain"), *given, **more)).item()


@given(
    st.integers(-(10**9), 10**9),
    st.integers(0, 99),
    st.sampled_from([",", "'", " ", "\u00a0", ""]),
    st.sampled_from(["{}", "${}", "{} EUR", "€ {}", "{}%"]),
)
@settings(max_examples=150, deadline=None)
def test_numbers_come_back_from_their_marks(whole: int, cents: int, thousands: str, around: str) -> None:
    body = f"{abs(whole):,}".replace(",", thousands) + f".{cents:02d}"
    sign = "-" if whole < 0 else ""
    value = abs(whole) + cents / 100
    assert read(sign + around.format(body)) == pytest.approx(-value if sign else value, rel=1e-14)
    if "EUR" not in around and "%" not in around:
        assert read(f"({around.format(body)})") == pytest.approx(-value, rel=1e-14)


@given(st.floats(-1e6, 1e6).map(lambda v: round(v, 2)))
@settings(max_examples=100, deadline=None)
def test_a_decimal_comma_is_read_as_one(value: float) -> None:
    text = f"{value:,.2f}".translate(str.maketrans(",.", ".,"))
    assert read(text, "comma") == pytest.approx(value, abs=1e-9)
    assert read(text, "point", strict=False) == pytest.approx(value, abs=1e-9)


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=100, deadline=None)
def test_what_python_writes_is_read_to_the_last_bit(value: float) -> None:
    assume(value == 0 or abs(value) > 1e-300)
    assert read(repr(value)) == value


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1,234", 1234.0, 1.234),
        ("1.234", 1.234, 1234.0),
        ("0,123", None, 0.123),
        ("1,5", None, 1.5),
        ("1.5", 1.5, None),
        ("1.234.567", None, 1234567.0),
        ("1e5", 1e5, 1e5),
        ("\u22125", -5.0, -5.0),
    ],
)
def test_marks_mean_what_the_decimal_says(text: str, point: float | None, comma: float | None) -> None:
    assert (read(text), read(text, "comma")) == (point, comma)


@pytest.mark.parametrize(
    "text", ["007", "x", "", "1st", "nan", "inf", "12 kg", "1,23,4", "--5", "1" * 41 + ","]
)
def test_what_is_no_number_is_not_read(text: str) -> None:
    assert read(text) is None


def test_percent_and_units_are_multiplied() -> None:
    assert read("5%", percent=0.01) == 0.05
    assert read("500 g", "point", {"": 1.0, "kg": 1.0, "g": 0.001}) == 0.5
    assert read("5 lb", "point", {"": 1.0, "kg": 1.0}) is None
    assert read("7", "point", {"": 1.0, "kg": 1.0}) == 7.0


def units(*of: str, bare: int = 0) -> dict[str, float]:
    values = [f"{i} {unit}" for unit in of for i in range(1, 5)] + [str(i) for i in range(bare)]
    counts = [len(of) - of.index(unit) for unit in of for _ in range(4)] + [1] * bare
    return Numerals.of(texts(*values, counts=counts)).factors()


def test_units_are_brought_to_the_most_frequent_and_strangers_are_left_out() -> None:
    assert units("kg", "g") == {"": 1.0, "kg": 1.0, "g": pytest.approx(1e-3)}
    assert units("kg", "cm") == {"": 1.0, "kg": 1.0}
    assert units("widgets") == {"": 1.0, "widgets": 1.0}
    assert units("min", "h")["h"] == pytest.approx(60)


def test_letters_are_multiples_beside_thousands_and_units_else() -> None:
    assert units("k", "m", bare=4) == {"": 1.0, "k": 1e3, "m": 1e6}
    assert units("m", "cm")["cm"] == pytest.approx(0.01)
    assert units("m", bare=4) == {"": 1.0, "m": 1.0}


def test_the_decimal_is_what_most_cells_have_and_open_where_none_tells() -> None:
    one = Numerals.of(texts("1,234", "5,678"))
    assert one.open and one.decimal == "point"
    two = Numerals.of(texts("1,5", "1.234", "2.25"))
    assert two.has_comma and two.has_point and not two.open
    assert Numerals.of(texts("1,5", "1.25", counts=[3, 1])).decimal == "comma"
