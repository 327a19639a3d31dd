"""Shifting and scaling: in double precision inside, whatever the column's type and unit."""

import numpy as np
import polars as pl
import pytest

from tilth.stages.affine import divisors, scaled, unscaled

SHIFT, SCALE = {"a": 2.0, "b": 0.0}, {"a": 4.0, "b": 1.0}
ROWS = pl.LazyFrame({"a": [2, 4, None], "b": [0.5, None, 1.5]})


def test_each_column_is_moved_and_moved_back_and_gaps_stay():
    out = scaled(ROWS, SHIFT, SCALE, 1.0).collect()
    assert out.to_dict(as_series=False) == {"a": [1.0, 1.5, None], "b": [1.5, None, 2.5]}
    back = unscaled(out.lazy(), SHIFT, SCALE, 1.0).collect()
    assert back.equals(ROWS.collect().cast(pl.Float64))


def test_no_columns_are_no_change():
    assert scaled(ROWS, {}, {}) is ROWS
    assert unscaled(ROWS, {}, {}) is ROWS


def test_single_precision_far_from_zero_is_shifted_in_double():
    # 2**24 + 1 is no single number: a shift rounded to one would move all values.
    frame = pl.LazyFrame({"a": pl.Series([2**24, 2**24 + 2], dtype=pl.Float32)})
    out = scaled(frame, {"a": 2**24 + 1.0}, {"a": 1e-3}).collect()["a"]
    assert out.dtype == pl.Float32
    assert out.to_list() == [-1000.0, 1000.0]


@pytest.mark.parametrize("spread", [1e-300, 1e-15, 1.0, 1e300])
def test_a_small_spread_is_a_spread_in_any_unit(spread: float):
    scale, flat = divisors(np.array([spread]))
    assert scale[0] == spread
    assert not flat[0]


@pytest.mark.parametrize("spread", [0.0, np.nan, 5e-324])
def test_no_spread_or_one_that_cannot_be_divided_by_is_divided_by_one(spread: float):
    scale, flat = divisors(np.array([spread]))
    assert scale[0] == 1.0
    assert flat[0]
