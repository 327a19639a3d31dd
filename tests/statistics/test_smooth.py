"""The smooth clip is one formula for arrays and for expressions, and can be undone."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.statistics.smooth import robust_spread, smooth_clip, smooth_unclip


def test_it_keeps_order_and_small_numbers_and_stays_within_the_limit():
    values = np.array([-1e300, -5.0, -0.01, 0.0, 0.01, 5.0, 1e300])
    clipped = smooth_clip(values)
    assert np.all(np.diff(clipped) > 0)
    assert np.abs(clipped).max() <= 3
    np.testing.assert_allclose(clipped[2:5], values[2:5], rtol=1e-4)


@pytest.mark.parametrize("limit", [0.7, 3.0, 10.0])
def test_it_is_the_formula_of_the_paper(limit: float):
    values = np.random.default_rng(0).standard_cauchy(1000)
    np.testing.assert_allclose(
        smooth_clip(values, limit), values / np.sqrt(1 + (values / limit) ** 2), rtol=1e-14
    )


def test_infinity_becomes_the_limit_and_nothing_overflows():
    with np.errstate(all="raise"):
        out = smooth_clip(np.array([-np.inf, -1e308, 1e155, np.inf]), 2.5)
    assert out.tolist() == [-2.5, -2.5, 2.5, 2.5]


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0.1, 100))
def test_expressions_give_what_arrays_give_and_never_pass_the_limit(values: list, limit: float):
    array = np.array(values)
    out = pl.DataFrame({"a": array}).select(smooth_clip(pl.col("a"), limit))["a"].to_numpy()
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(out, smooth_clip(array, limit), rtol=1e-15, atol=0)
    assert np.abs(out).max() <= limit


@given(st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_the_inverse_gives_the_values_back(values: list):
    frame = pl.DataFrame({"a": values}, schema={"a": pl.Float64})
    back = frame.select(smooth_unclip(smooth_clip(pl.col("a"))))["a"]
    # The closer to the limit, the fewer digits are left: eps * (x / limit)^2.
    np.testing.assert_allclose(back, values, rtol=1e-9, atol=1e-12)


def test_what_reached_the_limit_comes_back_as_infinity():
    ends = pl.DataFrame({"a": [-3.0, 3.0, 4.0]}).select(smooth_unclip(pl.col("a")))
    assert ends["a"].to_list() == [-np.inf, np.inf, np.inf]


def test_the_spread_falls_back_to_half_the_range():
    one, two = np.array([0.0, 2.0]), np.array([4.0, 2.0])
    assert robust_spread(one, two, np.array([-9.0, 0.0]), np.array([9.0, 3.0])).tolist() == [4.0, 1.5]
