import datetime as dt
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.stages.reading import LARGEST, Reading, in_hashed_order, read_columns
from tilth.statistics import Statistics
from tilth.table import Table

TIMES = [dt.datetime(2020, 1, 1, 3, 4, 5, 678901), None, dt.datetime(1950, 1, 1), dt.datetime(2020, 7, 1)]

MIXED = pl.DataFrame(
    {
        "byte": pl.Series([1, 2, None, 250], dtype=pl.UInt8),
        "single": pl.Series([1.5, None, 2.25, 3], dtype=pl.Float32),
        "price": pl.Series(["1.25", "2.50", None, "3.00"]).cast(pl.Decimal(10, 2)),
        "yes": [True, None, False, True],
        "word": ["x", "y", None, "x"],
        "level": pl.Series(["lo", "hi", None, "hi"], dtype=pl.Enum(["lo", "hi", "top"])),
        "tag": pl.Series(["p", None, "q", "q"], dtype=pl.Categorical),
        "day": [dt.date(2020, 1, 1), None, dt.date(2020, 1, 5), dt.date(2021, 1, 1)],
        "moment": pl.Series(TIMES).dt.replace_time_zone("Europe/Berlin"),
        "coarse": pl.Series([dt.datetime(2020, 1, 1), None, *TIMES[2:]], dtype=pl.Datetime("ms")),
        "lasted": [dt.timedelta(hours=3), None, dt.timedelta(days=3), dt.timedelta(0)],
        "clock": [dt.time(3, 4, 5), None, dt.time(23), dt.time(0)],
        "nothing": pl.Series([None] * 4, dtype=pl.Null),
        "silent": pl.Series([None] * 4, dtype=pl.String),
    }
)


def reading_of(frame, **given):
    return Reading.learn(Statistics([frame.lazy()]), frame.columns, **given)


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_what_is_read_is_written_back_in_its_own_type(scale):
    reading = reading_of(MIXED, scale=scale)
    matrix = reading.matrix(MIXED)
    for name, values in zip(MIXED.columns, matrix.T, strict=True):
        back = reading.series(name, values)
        assert back.dtype == MIXED[name].dtype and back.name == name
        assert back.to_list() == MIXED[name].to_list()


def test_numbers_have_mean_0_and_deviation_1_over_the_cells_that_are_there():
    values = np.random.default_rng(0).normal(5, 3, 100)
    values[::7] = np.nan
    rows = pl.DataFrame({"a": values}, nan_to_null=True)
    read = reading_of(rows).matrix(rows)[:, 0]
    assert np.isnan(read).sum() == 15
    np.testing.assert_allclose([np.nanmean(read), np.nanstd(read)], [0, 1], atol=1e-12)


def test_one_hot_and_back_is_the_same_matrix():
    reading = reading_of(MIXED)
    matrix = reading.matrix(MIXED)
    wide = reading.one_hot(matrix)
    assert wide.shape == (4, len(reading.source))
    np.testing.assert_array_equal(reading.narrow(wide), matrix)
    word = MIXED.columns.index("word")
    np.testing.assert_array_equal(wide[:, reading.source == word], [[1, 0], [0, 1], [np.nan] * 2, [1, 0]])


def test_categories_are_told_apart_by_frequency_and_others_share_the_code_after_the_last():
    rows = pl.DataFrame({"c": ["b"] * 3 + ["a"] * 3 + ["z"] * 5 + ["rare"]})
    reading = reading_of(rows, most_levels=3)
    assert reading.levels == {"c": ("z", "a", "b")}
    new = pl.DataFrame({"c": ["z", "b", "rare", "never", None]})
    read = reading.matrix(new)
    np.testing.assert_array_equal(read[:, 0], [0, 2, 3, 3, np.nan])
    assert reading.one_hot(read)[2].tolist() == [0, 0, 0]
    assert reading.series("c", read[:, 0]).to_list() == ["z", "b", None, None, None]


def test_infinity_is_no_measurement_and_huge_numbers_are_held():
    rows = pl.DataFrame({"a": [1.0, 3.0, np.inf, -np.inf, np.nan]})
    reading = reading_of(rows)
    np.testing.assert_array_equal(reading.matrix(rows)[:, 0], [-1, 1, np.nan, np.nan, np.nan])
    plain = reading_of(rows, scale="none")
    assert plain.matrix(pl.DataFrame({"a": [1e308]}))[0, 0] == LARGEST


def test_columns_without_a_value_are_told_and_constant_ones_read_0():
    rows = pl.DataFrame(
        {"none": pl.Series([None, None], dtype=pl.Float64), "same": [7.5, 7.5], "x": ["a", None]}
    )
    reading = reading_of(rows)
    assert reading.empty.tolist() == [True, False, False]
    assert reading.matrix(rows)[:, 1].tolist() == [0, 0]
    assert reading.series("same", reading.mode[1:2]).to_list() == [7.5]


def test_whole_numbers_are_rounded_and_held_to_their_type():
    rows = pl.DataFrame({"byte": pl.Series([0, 255], dtype=pl.UInt8), "big": [2**63 - 1, -(2**63)]})
    reading = reading_of(rows, scale="none")
    assert reading.series("byte", np.array([2.4, 2.6, -9.0, 999.0])).to_list() == [2, 3, 0, 255]
    held = reading.series("big", np.array([1e30, -1e30])).to_list()
    assert held[0] > 2**63 - 2000 and held[1] < -(2**63) + 2000


def test_days_that_came_with_a_clock_stay_days():
    days = [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 4), None]
    rows = pl.DataFrame({"day": days, "moment": [days[0], days[0] + dt.timedelta(hours=1), None]})
    reading = reading_of(rows, scale="none")
    assert reading.daily == ("day",)
    for name, hour in (("day", 0), ("moment", 12)):
        assert reading.series(name, np.array([18262.5])).dt.hour().to_list() == [hour]


@given(st.lists(st.integers(0, 20), max_size=3), st.randoms(use_true_random=False))
def test_learning_from_parts_is_learning_from_the_whole(cuts, random):
    rows = pl.DataFrame(
        {"a": [random.gauss(0, 1) for _ in range(20)], "c": [random.choice("xyz") for _ in range(20)]}
    )
    edges = [0, *sorted(cuts), 20]
    parts = [rows.slice(i, j - i).lazy() for i, j in pairwise(edges)]
    one, many = reading_of(rows), Reading.learn(Statistics(parts), rows.columns)
    assert one.levels == many.levels
    np.testing.assert_allclose(one.matrix(rows), many.matrix(rows), atol=1e-9)


def test_columns_without_a_value_are_not_read_and_order_goes_by_id():
    frame = pl.DataFrame(
        {"a": [1.0, 3.0], "none": pl.Series([None, None], dtype=pl.Float64), "c": ["x", "y"]}
    )
    table = Table.of(frame)
    reading, matrix = read_columns(table, ["a", "none", "c"])
    assert reading.columns == ("a", "c")
    assert matrix[:, 0].tolist() == [-1.0, 1.0]
    ids = np.arange(50, dtype=np.uint64)
    turned = np.random.default_rng(0).permutation(50)
    assert ids[in_hashed_order(ids)].tolist() == ids[turned][in_hashed_order(ids[turned])].tolist()
    assert in_hashed_order(ids).tolist() != list(range(50))
