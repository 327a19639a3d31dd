"""The power of largest likelihood: scipy's search, and the likelihood itself, are the oracles."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import boxcox_llf, boxcox_normmax, yeojohnson_llf, yeojohnson_normmax

from tilth.statistics.powers import _bounds, _parts, _slope, _told_apart, find_power

COLUMNS = {
    "normal": lambda r, n: r.normal(size=n),
    "shifted": lambda r, n: r.normal(2, 1, n),
    "log-normal": lambda r, n: np.exp(2 * r.normal(size=n)),
    "exponential": lambda r, n: r.exponential(size=n),
    "below 0": lambda r, n: -r.exponential(size=n) - 0.1,
    "long tails": lambda r, n: r.standard_cauchy(n),
    "whole": lambda r, n: r.integers(0, 30, n).astype(float),
    "left": lambda r, n: 100 - 5 * r.exponential(size=n),
    "small": lambda r, n: 1e-3 * r.exponential(size=n),
    "large": lambda r, n: 1e9 * r.exponential(size=n) - 1e8,
    "few": lambda r, n: r.normal(size=5) ** 3,
    "one far out": lambda r, n: np.append(r.random(n - 1), 1e10),
}


def column(name: str, rows: int = 3000) -> np.ndarray:
    return COLUMNS[name](np.random.default_rng(3), rows)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("rows", [3000, 50_000])
def test_yeo_johnson_finds_what_scipy_finds(name: str, rows: int) -> None:
    values = column(name, rows)
    power, bounded = find_power(values, False, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = yeojohnson_normmax(values)
    assert power.power == pytest.approx(wanted, rel=1e-5, abs=1e-5) and not bounded
    best = yeojohnson_llf(power.power, values)
    assert best >= yeojohnson_llf(wanted, values) - 1e-9 * abs(best)
    z = power.of(values)
    assert abs(z.mean()) < 1e-9 and z.std() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", ["log-normal", "exponential", "left", "small", "one far out"])
def test_box_cox_finds_what_scipy_finds(name: str) -> None:
    values = column(name)
    power, bounded = find_power(values, True, True)
    wanted = boxcox_normmax(values, method="mle")
    assert power.power == pytest.approx(wanted, rel=1e-5, abs=1e-5) and not bounded
    best = boxcox_llf(power.power, values)
    assert best >= boxcox_llf(wanted, values) - 1e-12 * abs(best)
    assert power.of(values).std() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("box_cox", [False, True])
def test_lambda_of_close_values_is_found_where_powers_are_equal_to_the_last_digit(box_cox: bool) -> None:
    """scipy's Box-Cox works with logarithms of variances and sees it; its Yeo-Johnson does not."""
    values = 3e4 * (1 - np.random.default_rng(0).random(4000)) ** -0.1
    power, bounded = find_power(values, box_cox, True)
    # At values this large, x and 1 + x have nearly one lambda.
    assert power.power == pytest.approx(boxcox_normmax(values, method="mle"), rel=1e-3) and not bounded
    assert len(np.unique(power.of(values))) > 3990


@settings(max_examples=60)
@given(st.lists(st.floats(-100, 100), min_size=3, max_size=40), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_no_other_power_is_likelier(values: list[float], random) -> None:
    x = np.array(values)
    assume(np.ptp(x) > 0.1)
    power, bounded = find_power(x, False, True)
    mixed = x.copy()
    random.shuffle(mixed)
    other, _ = find_power(mixed, False, True)
    np.testing.assert_allclose(other.of(x), power.of(x), rtol=1e-9, atol=1e-9)
    # Where powers are equal in their first ten digits or so, scipy's likelihood is rounding.
    if not bounded and abs(power.power - 1) * np.log1p(np.abs(x).max()) < 10:
        near = power.power + np.array([-1e-2, -1e-4, 1e-4, 1e-2])
        best = yeojohnson_llf(power.power, x)
        assert all(best >= yeojohnson_llf(p, x) - 1e-7 * max(1, abs(best)) for p in near)


@pytest.mark.parametrize("sign", [1, -1])
def test_turned_round_lambda_is_mirrored_at_one(sign: int) -> None:
    values = np.random.default_rng(1).gamma(2, 3, 2000)
    one, other = find_power(values, False, True)[0], find_power(-values, False, True)[0]
    assert other.power == pytest.approx(2 - one.power, abs=1e-10)
    np.testing.assert_allclose(other.of(-values), -one.of(values), atol=1e-9)


@pytest.mark.parametrize("power", [-1.3, -1e-5, 0.0, 1e-4, 0.4, 1.7, 2.0])
@pytest.mark.parametrize("name", ["normal", "exponential", "below 0", "left"])
def test_slope_and_curvature_are_those_of_the_likelihood(name: str, power: float) -> None:
    values = column(name, 500)
    side = 1 if values.min() >= 0 else -1 if values.max() < 0 else 0
    parts, _ = _parts(values, side, 1.0, values.min(), values.max())
    span = max(np.abs(p.logs).max() for p in parts)
    cost = lambda p: -yeojohnson_llf(p, values) / len(values)
    found, step = _slope(parts, power, 0.0, span), 1e-4
    assert found.slope == pytest.approx((cost(power + step) - cost(power - step)) / (2 * step), abs=1e-6)
    ahead, behind = (_slope(parts, power + s, 0.0, span) for s in (step, -step))
    assert found.curvature == pytest.approx((ahead.slope - behind.slope) / (2 * step), rel=1e-3, abs=1e-6)
    assert found.mean_rises[0] == pytest.approx((ahead.mean - behind.mean) / (2 * step), rel=1e-4, abs=1e-6)
    rise = (ahead.variance - behind.variance) / (2 * step)
    assert found.variance_rises[0] == pytest.approx(rise, rel=1e-4, abs=1e-6)


def test_one_value_is_left_alone() -> None:
    for value in (5.0, 0.0, -3.0, 1e9):
        for box_cox in (False, True) if value > 0 else (False,):
            flat, bounded = find_power(np.full(4, value), box_cox, True)
            assert flat.power == 1 and not bounded
            np.testing.assert_allclose(flat.of(np.array([value, value + 1])), [0, 1], atol=1e-6)
            kept, _ = find_power(np.full(4, value), box_cox, False)
            np.testing.assert_allclose(kept.of(np.array([value])), [value - box_cox], rtol=1e-12)


def test_values_close_together_have_their_lambda_at_a_bound_and_are_told() -> None:
    values = np.random.default_rng(0).exponential(size=200) + 1e6
    power, bounded = find_power(values, False, True)
    assert bounded and power.power == _bounds(values.min(), values.max(), False)[0]
    assert power.of(values).std() == pytest.approx(1, abs=1e-9)
    kept, bounded = find_power(values, False, False)
    assert bounded and kept.power > power.power
    assert len(np.unique(kept.of(values))) == 200
    np.testing.assert_allclose(kept.back(kept.of(values)), values, rtol=1e-9)


@pytest.mark.parametrize("box_cox", [False, True])
@pytest.mark.parametrize(
    ("low", "high"), [(5.0, 6.0), (1e6, 1e6 + 5), (1e9, 1e9 + 1), (1e-9, 1.1e-9), (0.1, 30.0), (-7.0, -6.999)]
)
def test_raw_powers_are_told_apart_within_the_bounds_for_them(low: float, high: float, box_cox: bool) -> None:
    if low < 0 and box_cox:
        return
    values = np.linspace(low, high, 30)
    bounds = _bounds(low, high, box_cox)
    for end, edge in zip(_told_apart(low, high, box_cox), bounds, strict=True):
        power, _ = find_power(values, box_cox, False)
        at = power.raw(end if np.isfinite(end) else edge).of(values)
        assert np.ptp(at) >= 0.5 * min(1e-8, np.ptp(values) / (abs(values).max() + 1)) * np.abs(at).max()


def test_numbers_at_the_ends_of_double_precision() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in (
            np.arange(40) * 5e-324,
            np.array([1e-150, 2e-150, 5e-150]),
            np.array([1e300, 2e300, 1.7e308]),
            np.array([-1e139, 1.0, 1e139]),
            np.array([-1.7e308, -1e300]),
        ):
            for standardize in (True, False):
                power, _ = find_power(values, False, standardize)
                z = power.of(values)
                assert np.isfinite(z).all() and (np.diff(z) > 0).all()
                np.testing.assert_allclose(power.back(z), values, rtol=1e-6, atol=1e-6 * np.abs(values).max())


def test_a_bound_is_the_answer_where_the_likelihood_rises_to_it() -> None:
    two = np.array([0.0, 1.0, 1.0, 1.0])
    power, _ = find_power(two, False, True)
    low, high = _bounds(0.0, 1.0, False)
    found = minimize_scalar(lambda p: -yeojohnson_llf(p, two), bounds=(low, high), method="bounded")
    assert power.power == pytest.approx(found.x, rel=1e-3)
