"""Quantiles against numpy.quantile, for any partition."""

from functools import reduce
from operator import add

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.statistics import Quantiles, Statistics


def of(values):
    return Quantiles.of(pl.LazyFrame({"a": pl.Series(values, dtype=pl.Float64)}), ["a"])


@given(
    st.lists(st.lists(st.none() | st.floats(-1e9, 1e9), max_size=15), max_size=5),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_merged_parts_equal_numpy(parts, probabilities):
    merged = reduce(add, map(of, parts), Quantiles.empty(["a"]))
    values = [v for part in parts for v in part if v is not None]
    found = merged.at(probabilities)[:, 0]
    if values:
        np.testing.assert_allclose(found, np.quantile(values, probabilities), rtol=1e-12, atol=1e-9)
    else:
        assert np.isnan(found).all()


def test_the_ends_are_the_extremes_exactly():
    values = np.random.default_rng(0).normal(size=1001)
    found = of(values).at([0.0, 0.5, 1.0])[:, 0]
    assert found.tolist() == [values.min(), np.median(values), values.max()]


def test_between_two_equal_infinities_lies_infinity():
    assert of([np.inf, np.inf, np.inf]).at([0.25])[0, 0] == np.inf
    assert of([1.0, np.inf]).at([0.0])[0, 0] == 1.0


def test_columns_of_different_length_do_not_disturb_each_other():
    frame = pl.LazyFrame(
        {"a": [1.0, None, 3.0], "b": [None, None, 7.0], "c": pl.Series([None] * 3, dtype=pl.Float64)}
    )
    found = Quantiles.of(frame, ["a", "b", "c"]).at([0.5])
    np.testing.assert_array_equal(found, [[2.0, 7.0, np.nan]])


def test_asking_does_not_reorder_what_is_held():
    frame = pl.DataFrame({"a": [3.0, 1.0, 2.0]})
    held = Quantiles.of(frame.lazy(), ["a"])
    assert held.at([0.5])[0, 0] == held.at([0.5])[0, 0] == 2.0
    assert frame["a"].to_list() == [3.0, 1.0, 2.0]


def test_values_too_far_apart_for_a_difference_have_values_between(recwarn):
    assert of([-1e308, 1e308]).at([0.5])[0, 0] == 0.0
    assert of([-1e308, 1.5e308]).at([0.75])[0, 0] == pytest.approx(0.875e308)
    assert not recwarn.list


def test_many_quantiles_by_sorting_are_those_by_selection():
    values = np.random.default_rng(0).integers(0, 50, 997) / 7
    shares = np.linspace(0, 1, 40)
    many = of(values).at(shares)[:, 0]
    np.testing.assert_array_equal(many, [of(values).at([p])[0, 0] for p in shares])


def test_each_column_is_read_without_its_nulls():
    frame = pl.LazyFrame({"a": [3.0, None, 1.0], "b": [None, None, 2.0]})
    parts = Quantiles.of(frame.head(1), ["a", "b"]) + Quantiles.of(frame.tail(2), ["a", "b"])
    assert parts.each(lambda values: sorted(values.tolist())) == [[1.0, 3.0], [2.0]]


def test_columns_of_all_shards_are_read_whole_and_in_their_order():
    frame = pl.DataFrame({f"x{i}": [float(i), None, 2.0 * i] for i in range(11)}).lazy()
    asked = Statistics([frame.head(2), frame.tail(1)])
    assert asked.each([f"x{i}" for i in range(11)], lambda values: values.sum()) == [
        3.0 * i for i in range(11)
    ]
    assert asked.each([], len) == []
