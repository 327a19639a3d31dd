"""Intrinsic dimension, spectra, inflation and distances against closed forms and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import skew

from tilth.neighbors import Space, nearest
from tilth.statistics.dimension import (
    Inflation,
    Spectrum,
    concentration,
    dimension_at,
    hubness,
    standardized,
    two_nn,
)


def distances(rows, k=2):
    return nearest(Space(), rows, rows, k, exclude_self=True)[0]


def swiss_roll(rng, rows, width=3):
    turn = 1.5 * np.pi * (1 + 2 * rng.random(rows))
    roll = np.column_stack([turn * np.cos(turn), 21 * rng.random(rows), turn * np.sin(turn)])
    return np.column_stack([roll, np.zeros((rows, width - 3))])


def sphere(rng, rows, dimension):
    apart = rng.normal(size=(rows, dimension + 1))
    return apart / np.linalg.norm(apart, axis=1, keepdims=True)


MANIFOLDS = {
    "swiss roll": (2, lambda rng: swiss_roll(rng, 3000)),
    "swiss roll among constant columns": (2, lambda rng: swiss_roll(rng, 3000, 20)),
    "circle": (1, lambda rng: sphere(rng, 2000, 1)),
    "sphere": (5, lambda rng: sphere(rng, 3000, 5)),
    "plane in 30": (3, lambda rng: rng.random((3000, 3)) @ rng.normal(size=(3, 30))),
    "Gaussian of rank 4": (4, lambda rng: rng.normal(size=(3000, 4)) @ rng.normal(size=(4, 12))),
}


@pytest.mark.parametrize("name", MANIFOLDS)
def test_the_dimension_of_what_is_known_is_found_at_all_scales(name):
    truth, make = MANIFOLDS[name]
    far = distances(make(np.random.default_rng(0)), 8)
    told = two_nn(far)
    assert told.dimension == pytest.approx(truth, rel=0.08)
    assert told.low < told.dimension < told.high
    for k in (1, 2, 4):
        assert dimension_at(far, k) == pytest.approx(truth, rel=0.1)


def test_two_nn_agrees_with_the_line_of_its_authors():
    # scikit-dimension's TwoNN: a line through the origin, the largest tenth left out.
    rng = np.random.default_rng(1)
    far = distances(sphere(rng, 2000, 6))
    ratios = np.sort(far[:, 1] / far[:, 0])
    share = np.arange(len(ratios)) / len(ratios)
    kept = int(len(ratios) * 0.9)
    x, y = np.log(ratios[:kept]), -np.log(1 - share[:kept])
    line = float((x @ y) / (x @ x))
    told = two_nn(far)
    assert told.low < line < told.high


def test_without_a_tail_the_estimate_is_the_unbiased_likelihood_and_scale_one_the_plain_one():
    far = distances(np.random.default_rng(2).random((500, 4)))
    logs = np.log(far[:, 1] / far[:, 0])
    assert two_nn(far, discard=0).dimension == pytest.approx(499 / logs.sum(), rel=1e-12)
    assert dimension_at(far, 1) == pytest.approx(500 / logs.sum(), rel=1e-9)


def test_at_a_coarser_scale_the_estimate_is_the_best_of_the_likelihood():
    far = distances(np.random.default_rng(3).normal(size=(400, 3)), 8)
    mu = far[:, 7] / far[:, 3]

    def likelihood(d):
        # Denti et al. (2022), equation 9, up to what does not depend on d: n1 = 4, n2 = 8.
        return (np.log(d) + 3 * np.log(mu**d - 1) - (7 * d + 1) * np.log(mu)).sum()

    tried = np.linspace(1, 6, 5001)
    best = tried[np.argmax([likelihood(d) for d in tried])]
    assert dimension_at(far, 4) == pytest.approx(best, abs=2e-3)


def test_the_interval_holds_the_truth_as_often_as_it_says_if_rows_are_independent():
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        ratio = np.exp(rng.exponential(1 / 7.0, 120))
        told = two_nn(np.column_stack([np.ones(120), ratio]), discard=0.2, confidence=0.9)
        held += told.low <= 7.0 <= told.high
    assert 0.86 <= held / 400 <= 0.94


def test_noise_is_seen_nearby_and_the_surface_from_afar():
    rng = np.random.default_rng(5)
    plane = rng.random((3000, 2)) @ rng.normal(size=(2, 6)) + rng.normal(0, 0.012, (3000, 6))
    far = distances(plane, 128)
    assert two_nn(far).dimension > 3
    assert dimension_at(far, 64) < 2.5


def test_copies_ties_and_too_few_rows_are_no_accidents():
    rows = np.random.default_rng(6).random((600, 3))
    alone = two_nn(distances(rows))
    doubled = two_nn(distances(np.vstack([rows, rows[:30]])))
    assert doubled.rows == 570
    assert doubled.dimension == pytest.approx(alone.dimension, rel=0.15)
    assert two_nn(np.ones((10, 2))) == (np.inf, np.inf, np.inf, 10)
    assert dimension_at(np.ones((10, 2)), 1) == np.inf
    for few in (np.empty((0, 2)), np.array([[1.0, 2.0]]), np.array([[1.0, np.inf]] * 5), np.zeros((9, 2))):
        assert np.isnan(two_nn(few).dimension) and np.isnan(dimension_at(few, 1))
    # A ratio of 1 among others has a limit in the score at coarser scales.
    some = np.sort(np.random.default_rng(7).random((50, 4)) + 1, axis=1)
    some[0] = 1.0
    assert np.isfinite(dimension_at(some, 2))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.001, 1000))
def test_the_dimension_does_not_depend_on_units_or_on_the_order_of_rows(seed, unit):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(60, 3))
    one, other = two_nn(distances(rows)), two_nn(distances(rows[rng.permutation(60)] * unit + 5))
    assert other.dimension == pytest.approx(one.dimension, rel=1e-6)


def test_the_spectrum_is_numpys_and_has_its_closed_forms():
    rows = np.random.default_rng(0).normal(size=(300, 6)) * np.arange(1, 7)
    spectrum = Spectrum.of(rows)
    values = np.linalg.eigvalsh(np.cov(rows, rowvar=False))[::-1]
    np.testing.assert_allclose(spectrum.values, values, rtol=1e-10)
    assert spectrum.condition == pytest.approx(np.sqrt(values[0] / values[-1]))
    assert spectrum.participation == pytest.approx(values.sum() ** 2 / (values**2).sum())
    shares = values / values.sum()
    assert spectrum.needed(0.9) == int((np.cumsum(shares) < 0.9).sum()) + 1
    assert spectrum.needed(1.0) == spectrum.rank == 6


@pytest.mark.parametrize("shape", [(200, 40), (30, 40)])
def test_rank_and_ratios_of_equal_axes_are_their_number(shape):
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.normal(size=(40, 7)))[0]
    spread = np.linalg.qr(rng.normal(size=(shape[0], 8)))[0]
    spread = np.linalg.qr(spread - spread.mean(axis=0))[0][:, :7]
    spectrum = Spectrum.of(spread @ axes.T + 3)
    assert spectrum.rank == np.linalg.matrix_rank(spread @ axes.T) == 7
    assert spectrum.condition == np.inf
    assert spectrum.participation == pytest.approx(7)


@pytest.mark.parametrize("rows", [np.empty((0, 3)), np.ones((1, 3)), np.ones((5, 3))])
def test_a_spectrum_of_nothing_is_nothing(rows):
    spectrum = Spectrum.of(rows)
    assert (spectrum.rank, spectrum.participation) == (0, 0)
    assert spectrum.condition == np.inf


def by_regression(rows, j):
    """Regress one column on the others, as statsmodels' variance_inflation_factor with a constant."""
    others = np.column_stack([np.ones(len(rows)), np.delete(rows, j, axis=1)])
    left = rows[:, j] - others @ np.linalg.lstsq(others, rows[:, j], rcond=None)[0]
    return ((rows[:, j] - rows[:, j].mean()) ** 2).sum() / (left**2).sum()


def test_inflation_is_that_of_regressing_each_column_on_the_others():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) + 1e4
    told = Inflation.of(rows)
    np.testing.assert_allclose(told.factors, [by_regression(rows, j) for j in range(5)], rtol=1e-6)
    unit = standardized(rows)[0]
    for j in range(5):
        weights = np.linalg.lstsq(np.delete(unit, j, axis=1), unit[:, j], rcond=None)[0]
        np.testing.assert_allclose(np.delete(told.weights[j], j), weights, rtol=1e-6)


def test_exact_dependence_is_infinite_and_leaves_the_others_as_they_are():
    rng = np.random.default_rng(1)
    a, b, c, d = rng.normal(size=(4, 300))
    free = c + 0.5 * d
    rows = np.column_stack([a, b, 2 * a - b + 7, c, free, np.ones(300)])
    told = Inflation.of(rows)
    assert (told.factors[:3] == np.inf).all() and np.isnan(told.factors[5])
    kept = np.column_stack([a, b, c, free])
    np.testing.assert_allclose(told.factors[3:5], [by_regression(kept, j) for j in (2, 3)], rtol=1e-6)
    assert sorted(told.partners(2)) == [0, 1] and sorted(told.partners(0)) == [1, 2]
    assert told.spare == (2,)
    unit = standardized(rows)[0]
    for j in range(3):
        np.testing.assert_allclose(unit @ told.weights[j], unit[:, j], atol=1e-8)


def test_all_levels_of_a_category_are_told_by_one_another():
    level = np.random.default_rng(2).integers(0, 4, 400)
    told = Inflation.of(np.eye(4)[level])
    assert (told.factors == np.inf).all()
    assert sorted(told.partners(3)) == [0, 1, 2] and told.spare == (3,)


def test_each_of_several_dependences_names_its_last_column():
    a, b, c, d = np.random.default_rng(5).normal(size=(4, 200))
    told = Inflation.of(np.column_stack([a, b, a - b, c, d, c + 3 * d, a + c]))
    assert told.spare == (2, 5, 6)
    assert [sorted(told.partners(j)) for j in told.spare] == [[0, 1], [3, 4], [0, 3]]


def test_more_columns_than_rows_are_all_told_exactly():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(10, 25))
    told = Inflation.of(rows)
    assert (told.factors == np.inf).all()
    unit = standardized(rows)[0]
    for j in range(25):
        np.testing.assert_allclose(unit @ told.weights[j], unit[:, j], atol=1e-6)


def test_independent_columns_are_not_inflated_and_have_few_partners():
    told = Inflation.of(np.random.default_rng(4).normal(size=(5000, 8)))
    assert (told.factors < 1.02).all()
    one = Inflation.of(np.random.default_rng(4).normal(size=(50, 1)))
    assert one.factors.tolist() == pytest.approx([1.0]) and one.partners(0) == []


def test_concentration_is_that_of_all_pairs():
    rows = np.random.default_rng(0).normal(size=(120, 7)) + 50
    pairs = cdist(rows, rows)
    np.fill_diagonal(pairs, np.nan)
    near, far = np.nanmin(pairs, axis=1), np.nanmax(pairs, axis=1)
    told = concentration(rows)
    assert told.contrast == pytest.approx(np.median((far - near) / near))
    assert told.variation == pytest.approx(np.nanstd(pairs) / np.nanmean(pairs))


def test_distances_of_independent_columns_concentrate_as_theory_says():
    # The variation of Gaussian distances is near 1 / sqrt(2 d) for many columns d.
    rng = np.random.default_rng(1)
    for width in (50, 200, 800):
        told = concentration(rng.normal(size=(600, width)))
        assert told.variation == pytest.approx(1 / np.sqrt(2 * width), rel=0.06)
    few, many = concentration(rng.normal(size=(600, 3))), concentration(rng.normal(size=(600, 800)))
    assert few.contrast > 20 * many.contrast


def test_copies_are_not_the_nearest_and_too_few_rows_tell_nothing():
    rows = np.random.default_rng(2).normal(size=(80, 4))
    assert concentration(np.vstack([rows, rows])).contrast == pytest.approx(concentration(rows).contrast)
    for few in (np.empty((0, 3)), np.ones((1, 3)), np.ones((30, 3))):
        assert np.isnan(concentration(few)).all()


def test_hubness_is_the_skewness_of_how_often_rows_are_near():
    rng = np.random.default_rng(3)
    found = []
    for width in (2, 200):
        rows = rng.normal(size=(800, width))
        index = nearest(Space(), rows, rows, 10, exclude_self=True)[1]
        often = np.bincount(index.ravel(), minlength=800)
        found.append(hubness(index, 800))
        assert found[-1] == pytest.approx(skew(often))
    assert found[0] < 0.5 < 2 < found[1]
    assert hubness(np.array([[1], [0]]), 2) == 0.0


def test_standardizing_takes_far_numbers_and_knows_constants():
    rows = np.column_stack(
        [np.array([1.0, 2, 3, 4]) * 4e307, [5.0] * 4, 1e9 + np.arange(4) * 1e-9, [0.0, 1, 0, 1]]
    )
    unit, varies = standardized(rows)
    assert varies.tolist() == [True, False, False, True]
    np.testing.assert_allclose(unit.std(axis=0), [1, 0, 0, 1])
    np.testing.assert_allclose(unit.mean(axis=0), 0, atol=1e-12)
