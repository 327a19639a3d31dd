"""Association of categories: scipy is the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from scipy.stats.contingency import association

from tilth.statistics.association import correlation_ratio, pearson, ranked, table_of, tschuprow

CODES = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), min_size=5, max_size=60)


@given(CODES)
def test_uncorrected_t_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    table = table_of(*np.array(pairs).T)
    if min(table.shape) < 2:
        assert tschuprow(table, correct=False) == 0.0
    else:
        assert tschuprow(table, correct=False) == pytest.approx(association(table, "tschuprow"), abs=1e-12)


@given(CODES)
def test_t_is_the_same_either_way_and_no_larger_than_one(pairs: list[tuple[int, int]]) -> None:
    one, two = np.array(pairs).T
    found = tschuprow(table_of(one, two))
    assert found == pytest.approx(tschuprow(table_of(two, one)), abs=1e-7)
    assert 0 <= found <= 1


def test_t_of_two_flags_is_pearsons_r() -> None:
    random = np.random.default_rng(0)
    one = random.integers(0, 2, 400)
    two = np.where(random.random(400) < 0.2, 1 - one, one)
    assert tschuprow(table_of(one, two), correct=False) == pytest.approx(abs(np.corrcoef(one, two)[0, 1]))


def test_names_that_never_repeat_and_chance_tell_nothing() -> None:
    random = np.random.default_rng(0)
    assert tschuprow(table_of(np.arange(50), random.permutation(50))) == 0.0
    chance = [
        tschuprow(table_of(random.integers(0, 20, 200), random.integers(0, 20, 200))) for _ in range(50)
    ]
    assert np.mean(chance) < 0.05
    country = random.integers(0, 5, 500)
    city = country * 4 + random.integers(0, 4, 500)
    assert tschuprow(table_of(city, country)) < 0.8  # one way only: the city tells more
    assert tschuprow(table_of(city, 19 - city)) == pytest.approx(1.0)


def test_the_correlation_ratio_is_the_multiple_correlation_with_the_levels() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, 300)
    values = codes**2 + random.normal(size=300)
    values[::7], codes[::11] = np.nan, -1
    known = ~np.isnan(values) & (codes >= 0)
    means = np.array([values[known & (codes == k)].mean() for k in range(4)])
    r = np.corrcoef(means[codes[known]], values[known])[0, 1]
    assert correlation_ratio(values, codes) == pytest.approx(r)
    assert correlation_ratio(values * 1e200, codes) == pytest.approx(r)
    assert correlation_ratio(np.full(9, 3.0), np.arange(9)) == 0.0


def test_pearson_leaves_out_rows_that_miss_one() -> None:
    one, two = np.array([1.0, 2, 3, np.nan, 9]), np.array([2.0, 4, 6, 1, np.nan])
    assert pearson(one, two) == pytest.approx(1.0)
    assert pearson(one * 1e300, two * 1e-300) == pytest.approx(1.0)
    assert pearson(one, np.ones(5)) == 0.0


def test_ranks_lie_around_zero_and_gaps_are_not_ranked() -> None:
    values = np.array([[5.0, 1.0], [np.nan, 1.0], [2.0, 3.0], [7.0, 1e300]])
    found = ranked(values)
    assert np.isnan(found[1, 0])
    np.testing.assert_allclose(found[[0, 2, 3], 0], [0.0, -1.0, 1.0])
    np.testing.assert_allclose(found[:, 1], (2 * rankdata(values[:, 1]) - 5) / 3)
