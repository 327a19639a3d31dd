"""Rows made of others: counts are exact, places between are between, votes are counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.metrics.pairwise import ValueDifferenceMetric
from imblearn.over_sampling import KMeansSMOTE

from tilth.statistics import hash_rows, uniform
from tilth.statistics.synthesis import (
    apportion,
    between,
    leading,
    normal,
    smoothing,
    sparsity,
    value_difference,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
WEIGHTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=40).filter(lambda w: sum(w) > 1e-6)


@given(st.integers(0, 10_000), WEIGHTS, st.integers(0, 5))
def test_parts_sum_to_the_whole_and_are_no_further_from_their_share_than_one(
    total: int, weights: list, seed: int
) -> None:
    weight = np.array(weights)
    parts = apportion(total, weight, hash_rows(seed, np.arange(len(weight))))
    assert parts.sum() == total and parts.min() >= 0
    assert np.abs(parts - total * weight / weight.sum()).max() <= 1 + 1e-6
    assert not parts[weight == 0].any()


def test_equal_weights_differ_by_one_at_most_and_draws_say_who_gets_it() -> None:
    assert apportion(7, np.full(3, 1 / 3), np.array([2, 1, 3])).tolist() == [2, 3, 2]
    assert apportion(3, np.full(3, 0.1), np.array([2, 1, 3])).tolist() == [1, 1, 1]


def test_larger_remainders_come_first() -> None:
    assert apportion(10, np.array([0.35, 0.35, 0.30]), np.array([9, 8, 1])).tolist() == [3, 4, 3]
    assert apportion(2, np.array([0.6, 0.2, 0.2]), np.array([9, 8, 1])).tolist() == [1, 0, 1]


@given(FINITE, FINITE, st.floats(0, 1))
def test_between_is_between_whatever_the_numbers(one: float, other: float, gap: float) -> None:
    made = between(np.array([one]), np.array([other]), np.array([gap]))[0]
    assert min(one, other) <= made <= max(one, other)
    if one == other:
        assert made == one


def test_between_is_the_base_where_a_number_is_none() -> None:
    one = np.array([np.nan, 1.0, np.inf, 1.0, -np.inf])
    other = np.array([1.0, np.nan, 2.0, np.inf, np.inf])
    np.testing.assert_array_equal(between(one, other, np.full(5, 0.5)), [np.nan, 1, np.inf, 1, -np.inf])


def test_a_gap_below_zero_leads_away() -> None:
    assert between(np.array([1.0]), np.array([3.0]), np.array([-0.25])).tolist() == [0.5]


@given(st.lists(st.lists(st.integers(-1, 3), min_size=4, max_size=4), min_size=1, max_size=8))
def test_those_in_the_lead_are_all_that_have_a_code_of_most_votes(ballots: list) -> None:
    codes = np.array(ballots).ravel()
    voters = np.arange(len(codes)).reshape(-1, 4)
    ordered, count = leading(codes, voters)
    for ballot, row, n in zip(voters, ordered, count, strict=True):
        assert sorted(row) == sorted(ballot)
        valid = [c for c in codes[ballot] if c >= 0]
        most = max((valid.count(c) for c in valid), default=0)
        assert sorted(row[:n]) == [v for v in ballot if codes[v] >= 0 and valid.count(codes[v]) == most]


def test_a_place_without_a_voter_counts_for_nothing() -> None:
    ordered, count = leading(np.array([5, 5, 6]), np.array([[2, -1, -1, -1], [-1, -1, -1, -1]]))
    assert ordered[0, : count[0]].tolist() == [2] and count.tolist() == [1, 0]


@pytest.mark.parametrize("seed", range(3))
def test_value_differences_of_two_classes_order_rows_as_imbalanced_learn_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    codes, labels = random.integers(0, 4, (60, 3)), random.integers(0, 2, 60)
    wide = value_difference(codes.astype(float), labels)
    ours = ((wide[:, None] - wide[None]) ** 2).sum(axis=2)
    theirs = ValueDifferenceMetric().fit(codes, labels).pairwise(codes)
    np.testing.assert_allclose(2 * ours, theirs, atol=1e-12)


def test_value_differences_of_more_classes_are_squared_and_summed() -> None:
    codes, labels = np.array([[0.0], [0.0], [1.0], [1.0], [np.nan]]), np.array([0, 1, 2, 2, 0])
    wide = value_difference(codes, labels)
    np.testing.assert_allclose(wide[[0, 2]], [[0.5, 0.5, 0], [0, 0, 1]])
    assert np.isnan(wide[4]).all()


@pytest.mark.parametrize("rows", [2, 7, 1500])
def test_sparsity_is_that_of_imbalanced_learn(rows: int) -> None:
    X = np.random.default_rng(0).normal(size=(rows, 4))
    assert sparsity(X) == pytest.approx(KMeansSMOTE()._find_cluster_sparsity(X), rel=1e-9)


def test_the_width_of_the_noise_follows_the_paper() -> None:
    assert smoothing(100, 2) == pytest.approx((4 / (4 * 100)) ** (1 / 6))


def test_draws_become_normal_and_finite() -> None:
    made = normal(uniform(0, np.arange(200_000)))
    assert abs(made.mean()) < 0.01 and abs(made.std() - 1) < 0.01
    assert np.isfinite(normal(np.array([0.0, 1 - 2.0**-53]))).all()
