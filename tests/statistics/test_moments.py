"""Moments against NumPy, for any partition."""

from functools import reduce
from operator import add

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.statistics import Moments

VALUES = st.lists(st.none() | st.floats(-1e3, 1e3), max_size=40)


def of(values):
    return Moments.of(pl.LazyFrame({"a": pl.Series(values, dtype=pl.Float64)}), ["a"])


def parts_of(values, cuts):
    bounds = sorted({min(c, len(values)) for c in cuts} | {0, len(values)})
    return [values[i:j] for i, j in zip(bounds, [*bounds[1:], len(values)], strict=True)]


@given(VALUES, st.lists(st.integers(0, 40), max_size=6), st.sampled_from([0.0, 1e6, -1e6]), st.randoms())
def test_merged_parts_equal_numpy_in_any_partition_and_order(values, cuts, offset, random):
    values = [None if v is None else v + offset for v in values]
    parts = parts_of(values, cuts)
    random.shuffle(parts)
    merged = reduce(add, map(of, parts), Moments.empty(["a"]))
    present = np.array([v for v in values if v is not None])
    assert merged.count[0] == len(present)
    assert merged.nulls[0] == len(values) - len(present)
    if len(present):
        np.testing.assert_allclose(merged.mean, present.mean(), rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(merged.std(), present.std(), rtol=1e-9, atol=1e-7)


def test_one_row_parts_keep_their_weight():
    values = np.random.default_rng(0).normal(1e6, 1.0, 200)
    merged = reduce(add, [of([v]) for v in values])
    assert merged.count[0] == 200
    np.testing.assert_allclose(merged.mean[0], values.mean(), rtol=1e-15)
    np.testing.assert_allclose(merged.variance(1)[0], values.var(ddof=1), rtol=1e-9)


def test_the_neutral_element_changes_nothing_on_either_side():
    one = of([1.0, None, 4.0])
    for merged in (one + Moments.empty(["a"]), Moments.empty(["a"]) + one):
        assert (merged.count[0], merged.nulls[0], merged.mean[0], merged.deviations[0]) == (2, 1, 2.5, 4.5)


def test_variance_is_unknown_where_no_value_is_free():
    assert np.isnan(Moments.empty(["a"]).variance())[0]
    assert np.isnan(of([3.0]).variance(ddof=1))[0]
    assert of([3.0]).variance()[0] == 0.0


def test_a_column_without_values_has_no_mean_to_spoil_another():
    merged = of([None, None]) + of([5.0])
    assert (merged.mean[0], merged.nulls[0]) == (5.0, 2)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt64, pl.Boolean, pl.Float32])
def test_narrow_types_do_not_overflow(dtype):
    high = {pl.Int8: 127, pl.UInt64: 2**63, pl.Boolean: True, pl.Float32: 3.0}[dtype]
    frame = pl.LazyFrame({"a": pl.Series([high] * 300, dtype=dtype)})
    np.testing.assert_allclose(Moments.of(frame, ["a"]).mean[0], float(high))


def test_infinity_shows_as_a_mean_that_is_not_finite_and_makes_no_noise(recwarn):
    for parts in (
        [[np.inf], [1.0]],
        [[np.inf], []],
        [[], [np.inf]],
        [[np.inf], [-np.inf]],
        [[1e308], [-1e308]],
    ):
        merged = of(parts[0]) + of(parts[1])
        if any(np.isinf(v) for part in parts for v in part):
            assert not np.isfinite(merged.mean[0])
    assert not recwarn.list
