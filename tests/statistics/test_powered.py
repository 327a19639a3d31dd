"""Powers of values: scipy's are the oracle, and mpmath-free identities where scipy loses digits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import boxcox
from scipy.stats import yeojohnson

from tilth.statistics.powered import Power

POWERS = [-3.0, -0.5, -1e-9, 0.0, 1e-12, 0.3, 1.0, 2.0 - 1e-9, 2.0, 2.5, 5.0]


def raw(power: float, box_cox: bool = False, low: float = -1e3, high: float = 1e3) -> Power:
    return Power(box_cox, power, int(box_cox), 1.0, 0.0, 1.0, low, high)


@pytest.mark.parametrize("power", POWERS)
def test_yeo_johnson_equals_scipy(power: float) -> None:
    values = np.concatenate([np.random.default_rng(0).standard_t(2, 500), [0.0, -0.0, 1e-200, -1e-12]])
    np.testing.assert_allclose(raw(power).of(values), yeojohnson(values, power), rtol=1e-12)


@pytest.mark.parametrize("power", POWERS)
def test_box_cox_equals_scipy(power: float) -> None:
    values = np.exp(np.random.default_rng(0).normal(0, 1.5, 500))
    np.testing.assert_allclose(raw(power, True).of(values), boxcox(values, power), rtol=1e-12, atol=1e-15)


@given(
    st.floats(-3, 5), st.lists(st.floats(-50, 50), min_size=1, max_size=20), st.booleans(), st.floats(-2, 2)
)
def test_values_come_back(power: float, values: list[float], box_cox: bool, mean: float) -> None:
    x = np.abs(values) + 0.1 if box_cox else np.array(values)
    made = Power(box_cox, power, int(box_cox), 1.0, mean, 0.7, x.min(), x.max())
    np.testing.assert_allclose(made.back(made.of(x)), x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("power", [-2.0, 0.0, 0.5, 2.0, 4.0])
@pytest.mark.parametrize(("low", "high"), [(0.0, 50.0), (3.0, 9.0), (1000.0, 1001.0)])
def test_a_base_changes_the_scale_only(side: int, power: float, low: float, high: float) -> None:
    x = side * np.linspace(low, high, 50)
    base = 1 + (low + high) / 2
    beside = Power(False, power, side, base, 0.0, 1.0, x.min(), x.max()).of(x)
    wanted = yeojohnson(x, power)
    slope, shift = np.polyfit(wanted - wanted.mean(), beside, 1)
    away = slope * (wanted - wanted.mean()) + shift - beside
    assert slope > 0 and np.abs(away).max() < 1e-7 * np.abs(beside).max()


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("power", [-1.5, 0.0, 0.5, 1.0, 2.0, 3.5])
def test_new_values_of_the_other_sign_are_on_the_same_scale_and_come_back(side: int, power: float) -> None:
    learned = side * np.linspace(2.0, 9.0, 50)
    made = Power(False, power, side, 6.0, 0.2, 0.9, learned.min(), learned.max())
    new = np.linspace(-4, 12, 200)
    beside, wanted = made.of(new), yeojohnson(new, power)
    slope, shift = np.polyfit(wanted, beside, 1)
    np.testing.assert_allclose(beside, slope * wanted + shift, rtol=1e-8, atol=1e-8 * np.abs(beside).max())
    np.testing.assert_allclose(made.back(beside), new, rtol=1e-7, atol=1e-7)


def test_values_close_together_keep_their_digits() -> None:
    """Raw powers near 0.05 would be equal in double precision; beside a base they are a line nearly."""
    x = 1e6 + np.linspace(-3, 3, 101)
    made = Power(False, -20.0, 1, 1e6 + 1, 0.0, 1.0, x.min(), x.max())
    assert len(np.unique(yeojohnson(x, -20.0))) == 1
    beside = made.of(x) * (1e6 + 1)
    np.testing.assert_allclose(beside, x - 1e6, atol=1e-3)
    np.testing.assert_allclose(made.back(made.of(x)), x, rtol=1e-15)


def test_values_far_out_come_back_as_the_bounds_learned() -> None:
    low, high = -0.5, 1e10
    far = raw(-5.0, low=low, high=high)
    assert np.allclose(far.back(far.of(np.array([-0.5, 0.5, 1e10]))), [-0.5, 0.5, 1e10])
    assert np.isfinite(far.back(np.array([0.2, 0.3]))).all() and far.back(np.array([0.9]))[0] == high
    small = raw(5.0, True, 1e-9, 2.0)
    assert small.back(np.array([-0.9]))[0] == 1e-9


def test_missing_stays_missing_and_what_box_cox_does_not_know_is_missing() -> None:
    assert (
        np.isnan(raw(0.5).of(np.array([np.nan]))).all() and np.isnan(raw(0.5).back(np.array([np.nan]))).all()
    )
    assert np.isnan(raw(0.5, True).of(np.array([-1.0, np.nan]))).all()
    one_sided = Power(False, 0.5, 1, 2.0, 0.0, 1.0, 0.0, 5.0)
    assert np.isnan(one_sided.of(np.array([np.nan, 1.0]))).tolist() == [True, False]
    assert np.isnan(one_sided.back(np.array([np.nan, 0.1]))).tolist() == [True, False]
