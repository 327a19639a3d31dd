"""Residuals: SciPy is the oracle for the flags, planted noise for the spread."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from tilth.statistics.residuals import (
    capped,
    false_discoveries,
    local_spread,
    standardized,
    trusted,
    typical,
)

numbers = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32))


def test_a_typical_residual_is_the_standard_deviation_and_a_few_far_ones_do_not_move_it() -> None:
    residual = np.random.default_rng(0).normal(0, 3, 4000)
    assert typical(residual) == pytest.approx(3, rel=0.05)
    assert typical(residual) == pytest.approx(stats.median_abs_deviation(residual, scale="normal"), rel=0.02)
    residual[:200] = 1e9
    assert typical(residual) == pytest.approx(3, rel=0.12)


def test_where_most_residuals_are_zero_the_mean_speaks() -> None:
    residual = np.array([0.0, 0, 0, 0, 10])
    assert typical(residual) == pytest.approx(2 * np.sqrt(np.pi / 2))
    assert typical(np.zeros(4)) == 0


@given(numbers)
def test_capped_residuals_are_sizes_of_at_most_three_typical_ones(residual: np.ndarray) -> None:
    size = capped(residual)
    small = np.abs(residual) <= 3 * typical(residual)
    np.testing.assert_array_equal(size[small], np.abs(residual)[small])
    np.testing.assert_array_equal(size[~small], 3 * typical(residual))


@given(numbers, st.floats(1e-3, 1e3), st.integers(0, 99))
@example(np.array([1.0, 2.0**-52, 2.0**-52]), 0.001, 0)
def test_spreads_follow_the_unit_and_the_order_of_rows(residual: np.ndarray, unit: float, seed: int) -> None:
    expected = capped(residual) * 0.5 + 1
    spread = local_spread(residual, expected)
    off = standardized(residual, spread)
    assert np.isfinite(off).all()
    known = 1e-12 * np.abs(residual).max(initial=0)  # beside the largest, smaller ones are rounding
    scaled = local_spread(residual * unit, expected * unit)
    np.testing.assert_allclose(scaled, spread * unit, rtol=1e-6, atol=known * unit)
    order = np.random.default_rng(seed).permutation(len(residual))
    moved = local_spread(residual[order], expected[order])
    np.testing.assert_allclose(moved, spread[order], rtol=1e-6, atol=known)
    if residual.any():
        assert typical(off) == pytest.approx(1)


def test_what_a_good_model_says_of_the_noise_is_followed_and_what_a_bad_one_says_is_not() -> None:
    rng = np.random.default_rng(1)
    sd = np.repeat([1.0, 8.0], 1000)
    residual = rng.normal(0, sd)
    told = local_spread(residual, sd)
    assert np.median(told[1000:]) / np.median(told[:1000]) > 4
    guessed = local_spread(residual, rng.permutation(sd))
    assert guessed.max() / guessed.min() < 1.2
    # Against the truth: all the same.
    assert np.ptp(local_spread(residual, -sd)) == 0


def test_no_spread_is_smaller_than_a_fifth_of_the_typical_residual() -> None:
    residual = np.r_[np.full(50, 1e-9), np.full(50, 5.0), np.full(50, 6.0)]
    spread = local_spread(residual, np.abs(residual))
    assert standardized(residual, spread)[:50].max() < 1e-8


def test_no_residual_no_spread_and_nothing_off() -> None:
    none = np.zeros(5)
    np.testing.assert_array_equal(local_spread(none, none), none)
    np.testing.assert_array_equal(standardized(none, none), none)
    assert not false_discoveries(none, 0.05).any()


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-12, 12)), st.sampled_from([0.01, 0.05, 0.3])
)
def test_flags_are_those_of_scipys_false_discovery_control(off: np.ndarray, level: float) -> None:
    adjusted = stats.false_discovery_control(2 * stats.norm.sf(np.abs(off)))
    clear = np.abs(adjusted - level) > 1e-9
    np.testing.assert_array_equal(false_discoveries(off, level)[clear], (adjusted <= level)[clear])


def test_among_normal_residuals_the_share_of_wrong_flags_is_kept() -> None:
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(200):
        off = rng.normal(size=300)
        off[:30] += rng.choice([-5, 5], 30)
        flags = false_discoveries(off, 0.2)
        shares.append(flags[30:].sum() / max(flags.sum(), 1))
    assert 0.1 < np.mean(shares) <= 0.2 + 0.02


def test_far_rows_hardly_count_and_all_others_do() -> None:
    np.testing.assert_array_equal(trusted(np.array([0.0, 3.0, -3.0])), 1)
    assert (trusted(np.array([3.01, -40])) == 1e-6).all()
