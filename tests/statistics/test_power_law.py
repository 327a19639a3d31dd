"""The power law of an error: planted ones are found, and intervals hold what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from tilth.errors import DataError
from tilth.statistics.power_law import EXPONENTS, FURTHEST, fit_power_law

SIZES = np.geomspace(100, 1600, 8)


def power(n, a, b, c):
    return a + b * n**-c


def planted(a, b, c, *, runs=10, seed=0, noise=0.002, sizes=SIZES):
    """Make errors of nested draws: what a run has in common, what draws share, and noise of each."""
    larger = sizes[-1] / np.maximum(sizes[:, None], sizes)
    covariance = (5 * noise) ** 2 + (1.5 * noise) ** 2 * larger + noise**2 * np.eye(len(sizes))
    random = np.random.default_rng(seed)
    made = power(sizes, a, b, c) + random.multivariate_normal(np.zeros(len(sizes)), covariance, size=runs)
    return np.maximum(made, 0)


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 1, 0.5), (0.0, 0.6, 0.2), (0.05, 20, 1.0), (0.3, 0.9, 0.35)])
def test_a_law_without_noise_is_found(a, b, c):
    law = fit_power_law(SIZES, np.tile(power(SIZES, a, b, c), (3, 1)))
    assert law.gain(3200).value == pytest.approx(power(1600, a, b, c) - power(3200, a, b, c), rel=0.01)
    assert law.error(16000).value == pytest.approx(power(16000, a, b, c), rel=0.02)
    assert law.exponent.value == pytest.approx(c, rel=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_fit_is_that_of_scipys_weighted_least_squares(seed):
    law = fit_power_law(SIZES, planted(0.1, 1, 0.5, seed=seed))
    found, _ = curve_fit(
        power, SIZES, law.errors, (0.05, 1, 0.5), law.covariance, bounds=([0, 0, 0.02], [1, 100, 2])
    )
    left = law.errors - power(SIZES, *found)
    least = left @ np.linalg.solve(law.covariance, left)
    # Exponents lie on a grid, so the fit may be worse by very little, and never better than the best.
    assert least - 1e-4 <= law.misfit * 5 <= least + 0.02
    assert law.error(3200).value == pytest.approx(power(3200, *found), abs=2e-4)
    assert power(1600, *law.parameters) == pytest.approx(law.error(1600).value)


# Of 150 intervals at 95 %, fewer than 136 hold one time in a hundred.
@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 1, 0.5), (0.0, 0.6, 0.2), (0.05, 20, 1.0), (0.1, 0, 1)])
def test_intervals_cover_a_planted_law(a, b, c):
    covered = np.zeros(4)
    true = lambda n: power(n, a, b, c)
    for seed in range(150):
        law = fit_power_law(SIZES, planted(a, b, c, seed=seed))
        last = SIZES[-1]
        for i, (said, truth) in enumerate(
            [
                (law.gain(2 * last), true(last) - true(2 * last)),
                (law.gain(10 * last), true(last) - true(10 * last)),
                (law.error(2 * last), true(2 * last)),
                (law.asymptote, a),
            ]
        ):
            covered[i] += said.low - 1e-12 <= truth <= said.high + 1e-12
    assert (covered >= 136).all()


def test_intervals_of_clear_curves_are_narrow_enough_to_say_something():
    widths = []
    for seed in range(20):
        said = fit_power_law(SIZES, planted(0.1, 1, 0.5, seed=seed)).gain(3200)
        widths.append(said.high - said.low)
    assert np.median(widths) < 0.0073  # the gain itself


def test_where_the_asymptote_cannot_be_told_both_ends_are_within():
    sizes = np.array([800, 1000, 1250, 1600])
    law = fit_power_law(sizes, planted(0.1, 1, 0.5, runs=3, sizes=sizes))
    assert law.exponent.low == EXPONENTS[0] and law.exponent.high == EXPONENTS[-1]
    assert law.asymptote.low == 0 and law.asymptote.high > 0.1
    gain = law.gain(16000)
    assert gain.low < 0.002 and gain.high > 0.03


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.2), st.floats(0, 3), st.floats(0.1, 1.5), st.floats(1.1, 50))
def test_no_curve_that_the_errors_allow_lies_outside_the_interval(seed, a, b, c, ratio):
    law = fit_power_law(SIZES, planted(a, b, c, seed=seed, runs=5), overlap=0.25)
    random = np.random.default_rng(seed)
    best = np.array(law.parameters)
    exponents = random.choice(EXPONENTS, 2000)
    at_last = np.abs(best[1] * 1600.0 ** -best[2] * random.uniform(0, 3, 2000))
    start = np.abs(best[0] + random.normal(0, 0.02, 2000))
    curves = start[:, None] + at_last[:, None] * (SIZES / 1600) ** -exponents[:, None]
    left = np.linalg.solve(np.linalg.cholesky(law.covariance), (law.errors - curves).T)
    within = (left**2).sum(axis=0) <= law._level()
    gain = law.gain(ratio * 1600)
    gains = at_last * (1 - ratio**-exponents)
    assert (gains[within] >= gain.low - 1e-9).all() and (gains[within] <= gain.high + 1e-9).all()
    error = law.error(ratio * 1600)
    errors = start + at_last * ratio**-exponents
    assert (errors[within] >= error.low - 1e-9).all() and (errors[within] <= error.high + 1e-9).all()
    assert error.low - 1e-12 <= error.value <= error.high + 1e-12
    assert gain.low - 1e-12 <= gain.value <= gain.high + 1e-12


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1000))
def test_the_unit_of_the_error_does_not_matter(seed, unit):
    errors = planted(0.1, 1, 0.5, seed=seed)
    one, other = (fit_power_law(SIZES, e, overlap=0.25) for e in (errors, errors * unit))
    for rows in (3200, 16000):
        said, scaled = one.gain(rows), other.gain(rows)
        told = np.array([scaled.value, scaled.low, scaled.high]) / unit
        assert told == pytest.approx([said.value, said.low, said.high], rel=0.05, abs=1e-4)


def test_rows_for_a_gain_are_where_the_curve_reaches_it():
    law = fit_power_law(SIZES, planted(0.1, 1, 0.5))
    needed = law.rows_for(0.005)
    assert needed.low <= needed.value <= (needed.high or math.inf)
    for rows, end in ((needed.value, "value"), (needed.low, "high")):
        assert getattr(law.gain(rows), end) >= 0.005 > getattr(law.gain(rows * 0.999), end)
    assert law.rows_for(0.2).value is None and law.rows_for(10).low is None
    assert law.rows_for(1e-9).value <= 1602
    assert law.gain(FURTHEST * 1600).value < 0.2
    with pytest.raises(DataError, match="above 0"):
        law.rows_for(0)


def test_more_runs_narrow_the_interval_and_overlap_widens_it():
    few, many = (fit_power_law(SIZES, planted(0.1, 1, 0.5, runs=r, seed=1)) for r in (5, 100))
    lapped = fit_power_law(SIZES, planted(0.1, 1, 0.5, runs=100, seed=1), overlap=0.25)
    width = lambda law: law.gain(3200).high - law.gain(3200).low
    assert width(many) < width(few) and width(many) < width(lapped)


def test_a_shape_that_is_no_power_law_widens_the_interval():
    bent = planted(0.1, 1, 0.5, noise=0.0005) + 0.02 * np.sin(np.arange(8))
    law = fit_power_law(SIZES, bent)
    assert law.misfit > 10
    assert law.gain(3200).high - law.gain(3200).low > 0.01


def test_scores_that_do_not_vary_are_a_flat_curve():
    law = fit_power_law(SIZES, np.full((5, 8), 0.25))
    assert law.gain(16000).high < 1e-6 and law.error(16000).value == pytest.approx(0.25)
    assert fit_power_law(SIZES, np.zeros((5, 8))).error(3200).high < 1e-6


@pytest.mark.parametrize(
    ("sizes", "errors", "told"),
    [
        ([1, 2, 3], np.ones((3, 3)), "at least 4 sizes"),
        ([1, 2, 2, 3], np.ones((3, 4)), "ascending"),
        ([0, 1, 2, 3], np.ones((3, 4)), "ascending"),
        ([1, 2, 3, 4], np.ones((1, 4)), "2 or more runs"),
        ([1, 2, 3, 4], np.ones((3, 5)), "x 4 sizes"),
        ([1, 2, 3, 4], np.full((3, 4), np.nan), "finite"),
        ([1, 2, 3, 4], -np.ones((3, 4)), "not below 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes, errors, told):
    with pytest.raises(DataError, match=told):
        fit_power_law(sizes, errors)
