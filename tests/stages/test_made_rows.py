"""Made rows have cells of their columns' own types, between those of their parents."""

import datetime as dt
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.stages.made_rows import interpolated, is_flag, is_whole, shifted

ONE, TWO = np.array([0]), np.array([1])


def made(values: list, dtype: pl.DataType | None = None, gap: float = 0.25) -> list:
    frame = pl.DataFrame({"c": pl.Series(values, dtype=dtype, strict=False)})
    out = interpolated(frame, ["c"], ONE, TWO, np.array([gap]))
    assert out.schema == frame.schema
    return out["c"].to_list()


@pytest.mark.parametrize(
    ("values", "dtype", "cell"),
    [
        ([0.0, 2.0, 0.5], pl.Float64, 0.5),
        ([0.0, 2.0, 0.5], pl.Float32, 0.5),
        ([0, 10], pl.Int8, 2),
        ([0.0, 10.0], pl.Float64, 2.0),
        ([100, 104], pl.UInt8, 101),
        ([1, 0], pl.Int64, 1),
        ([2**63 - 1, 2**63 - 5], pl.Int64, 2**63 - 2),
        ([2**64 - 1, 2**64 - 41], pl.UInt64, 2**64 - 11),
        ([2**100, 2**100 + 40], pl.Int128, 2**100 + 10),
        ([Decimal("1.10"), Decimal("1.50")], pl.Decimal(10, 2), Decimal("1.20")),
        ([dt.date(2020, 1, 1), dt.date(2020, 1, 11)], pl.Date, dt.date(2020, 1, 3)),
        ([dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 11)], pl.Datetime("ns"), dt.datetime(2020, 1, 3)),
        (
            [dt.datetime(2020, 1, 1, 12), dt.datetime(2020, 1, 3, 12)],
            pl.Datetime("us"),
            dt.datetime(2020, 1, 2),
        ),
        ([dt.time(1), dt.time(5)], pl.Time, dt.time(2)),
        ([dt.timedelta(4), dt.timedelta(8)], pl.Duration("ms"), dt.timedelta(5)),
        ([None, 3], pl.Int64, None),
        ([3, None], pl.Int64, 3),
        ([None, None], pl.Int16, None),
        ([None, None], pl.Null, None),
        ([np.inf, 3.5], pl.Float64, np.inf),
        ([3.5, -np.inf], pl.Float64, 3.5),
        ([1e308, -1e308], pl.Float64, 5e307),
    ],
)
def test_a_cell_lies_between_in_its_columns_type(values: list, dtype: pl.DataType, cell: object) -> None:
    assert made(values, dtype) == [cell]


def test_a_flag_is_the_nearer_rows_and_stays_one_outwards() -> None:
    assert made([1.0, 0.0], gap=0.4) == [1.0] and made([1.0, 0.0], gap=0.6) == [0.0]
    assert made([1.0, 0.0], gap=-0.5) == [1.0] and made([0, 1], pl.Int64, gap=-0.5) == [0]


def test_outwards_stays_within_the_type() -> None:
    assert made([0, 200], pl.UInt8, gap=-0.5) == [0]
    assert made([dt.time(0), dt.time(20)], pl.Time, gap=-0.5) == [dt.time(0)]


def test_other_columns_have_the_base_or_the_donors_cell() -> None:
    frame = pl.DataFrame(
        {
            "x": [0.5, 1.0],
            "tag": pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"])),
            "list": [[1], [2]],
            "": ["p", None],
        }
    )
    out = interpolated(frame, ["x"], ONE, TWO, np.array([0.5]), {"tag": TWO})
    assert out.row(0) == (0.75, "b", [1], "p") and out.schema == frame.schema


@given(st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=2), st.floats(0, 1))
def test_whole_numbers_of_any_size_stay_between(values: list, gap: float) -> None:
    (cell,) = made(values, pl.Int64, gap)
    assert min(values) <= cell <= max(values)


def test_numbers_are_shifted_and_whole_ones_held_to_their_range() -> None:
    frame = pl.DataFrame(
        {
            "x": [0.5, None, np.inf],
            "n": [3, 9, None],
            "pandas": [3.0, 9.0, None],
            "flag": [1, 0, None],
            "word": ["a", "b", "c"],
        }
    )
    out = shifted(frame, frame.columns[:4], np.arange(3), lambda name: np.full(3, 2.4))
    assert out.schema == frame.schema
    assert out["x"].to_list() == [2.9, None, np.inf]
    assert out["n"].to_list() == out["pandas"].to_list() == [5, 9, None]
    assert out["flag"].to_list() == [1, 0, None] and out["word"].to_list() == ["a", "b", "c"]


def test_flags_and_whole_numbers_are_told() -> None:
    assert is_flag(pl.Series([1.0, None, 0.0])) and is_flag(pl.Series([0, 1]))
    assert not is_flag(pl.Series([0, 2])) and not is_flag(pl.Series(["0"]))
    assert is_whole(pl.Series([3.0, None, np.inf])) and not is_whole(pl.Series([0.0] * 200 + [0.5]))
