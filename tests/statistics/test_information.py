"""Mutual information: scikit-learn's is the oracle; its chance is chi-squared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from tilth.statistics.information import beyond_chance, binned, mutual_information


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=50))
def test_information_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    column, target = np.array(pairs).T
    found = mutual_information(np.column_stack([column, target]), target)
    assert found[0] == pytest.approx(mutual_info_score(column, target), abs=1e-12)
    assert found[1] == pytest.approx(mutual_info_score(target, target), abs=1e-12)


def test_a_row_of_weight_two_counts_as_two() -> None:
    random = np.random.default_rng(0)
    columns, target = random.integers(0, 3, (40, 2)), random.integers(0, 2, 40)
    weight = random.integers(1, 4, 40)
    twice = mutual_information(np.repeat(columns, weight, axis=0), np.repeat(target, weight))
    np.testing.assert_allclose(mutual_information(columns, target, weight.astype(float)), twice)


def test_bins_hold_about_as_many_rows_each_and_gaps_are_the_last_code() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    assert np.ptp(np.bincount(binned(values, 10))) <= 2
    values[::10] = np.nan
    codes = binned(values, 4)
    assert (codes[::10] == 4).all()
    assert codes[np.nanargmin(values)] == 0


def test_where_one_value_is_most_of_a_column_it_has_a_bin_of_its_own() -> None:
    values = np.concatenate([np.zeros(95), np.arange(1.0, 6)])
    codes = binned(values, 4)
    assert set(codes[:95]) == {0}
    assert 0 not in codes[95:]
    assert binned(np.array([2.0, 1.0, 2.0]), 10).tolist() == [1, 0, 1]


@pytest.mark.parametrize(("levels", "classes"), [(2, 2), (5, 3), (30, 2)])
def test_what_chance_gives_is_near_a_standard_normal_whatever_the_levels(levels: int, classes: int) -> None:
    random = np.random.default_rng(0)
    columns, target = random.integers(0, levels, (2000, 400)), random.integers(0, classes, 2000)
    z = beyond_chance(mutual_information(columns, target), 2000, np.full(400, levels), classes)
    assert abs(z.mean()) < 0.2
    assert 0.8 < z.std() < 1.2


def test_a_constant_column_is_no_better_and_no_worse_than_chance() -> None:
    assert beyond_chance(np.array([0.0]), 50, np.array([1]), 2).tolist() == [0.0]
