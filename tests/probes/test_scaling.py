"""Weighted scales agree with NumPy and with repeated rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.probes.scaling import robust, standard, weighted_median, weighted_quantiles

rows = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 4)), min_size=1, max_size=40)


@given(rows)
@settings(max_examples=100, deadline=None)
def test_quantiles_equal_numpy_on_repeated_rows_in_any_unit_of_weight(pairs):
    values, weight = np.array(pairs, dtype=float).T
    shares = (0.25, 0.5, 0.75)
    repeated = np.repeat(values, weight.astype(int))
    expected = np.quantile(repeated, shares, method="averaged_inverted_cdf")
    for unit in (1.0, 0.1, 1 / 3):
        np.testing.assert_allclose(weighted_quantiles(values, weight * unit, shares), expected)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
@settings(max_examples=50, deadline=None)
def test_median_of_equal_weights_is_the_usual_one(values):
    array = np.array(values)
    np.testing.assert_allclose(weighted_median(array, np.ones(len(array))), np.median(array), atol=1e-9)


def test_standard_is_the_weighted_mean_and_one_over_the_deviation():
    values, weight = np.array([1.0, 2.0, 6.0]), np.array([1.0, 2.0, 1.0])
    repeated = np.array([1.0, 2.0, 2.0, 6.0])
    np.testing.assert_allclose(standard(values, weight), (repeated.mean(), 1 / repeated.std()))


def test_no_spread_scales_by_zero():
    assert standard(np.full(1000, 0.1), np.ones(1000))[1] == 0
    assert robust(np.full(1000, 0.1), np.ones(1000)) == (0.1, 0)
