"""Components and their number, against scikit-learn and against drawing rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.decomposition._pca import _infer_dimension

from tilth.errors import DataError
from tilth.statistics.components import (
    Components,
    by_chance,
    by_likelihood,
    by_share,
    by_sketch,
    how_many,
    signed,
)


def rows_of(rows=400, width=10, factors=3, noise=0.5, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, factors)) @ random.normal(size=(factors, width)) + noise * random.normal(
        size=(rows, width)
    )


def test_components_are_those_of_scikit_learn_with_their_signs():
    X = rows_of()
    peer = PCA(svd_solver="full").fit(X)
    found = Components.of(np.cov(X.T))
    np.testing.assert_allclose(found.vectors, peer.components_, atol=1e-10)
    np.testing.assert_allclose(found.variances, peer.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(found.shares, peer.explained_variance_ratio_, rtol=1e-10)
    assert len(found.first(4).variances) == 4 and found.first(4).total == found.total


def test_the_first_of_equal_loadings_decides_the_sign_whatever_rounding_does():
    half = np.sqrt(0.5)
    for nudge in (0.0, 1e-12, -1e-12):
        np.testing.assert_allclose(signed(np.array([[-half - nudge, half]])), [[half, -half]], atol=1e-9)
    assert signed(np.array([[0.3, -0.9]])).tolist() == [[-0.3, 0.9]]


def test_rank_leaves_out_what_is_rounding():
    X = rows_of(noise=0.0)
    assert Components.of(np.cov(X.T)).rank(10 * np.finfo(float).eps) == 3
    nothing = Components.of(np.zeros((3, 3)))
    assert nothing.rank(1e-15) == 0 and nothing.shares.tolist() == [0, 0, 0]


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
def test_a_share_keeps_as_many_as_scikit_learn_does(share):
    X = rows_of()
    assert (
        by_share(Components.of(np.cov(X.T)).shares, share)
        == PCA(share, svd_solver="full").fit(X).n_components_
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 25), st.integers(0, 300), st.integers(1, 8), st.floats(0.05, 3), st.integers(0, 99))
def test_the_likeliest_number_is_that_of_scikit_learn(width, more, factors, noise, seed):
    X = rows_of(width + more + 1, width, factors, noise, seed)
    variances = np.linalg.eigvalsh(np.cov(X.T))[::-1].copy()
    assert by_likelihood(variances, len(X)) == int(_infer_dimension(variances, len(X)))


def test_equal_variances_and_rows_of_low_rank_have_a_likeliest_number_too():
    assert 1 <= by_likelihood(np.array([5.0, 5.0, 1.0, 1.0, 1.0]), 500) <= 4
    assert 1 <= by_likelihood(np.array([3.0, 1.0, 0.0, 0.0]), 100) <= 2


@pytest.mark.parametrize("rows", [30, 300])
@pytest.mark.parametrize("draw", ["normal", "permuted"])
def test_chance_is_as_high_as_that_of_rows_drawn_or_permuted(rows, draw):
    # The number kept is at a threshold; what is compared is where the threshold lies.
    X = rows_of(rows, 6, 1, 1.0)
    X /= X.std(axis=0, ddof=1)
    random = np.random.default_rng(1)
    tops = []
    for _ in range(600):
        sample = random.normal(size=X.shape) if draw == "normal" else random.permuted(X, axis=0)
        tops.append(np.linalg.eigvalsh(np.corrcoef(sample.T))[::-1])
    bounds = np.quantile(tops, 0.95, axis=0)
    for place in range(3):
        for factor, above in ((1.05, True), (0.95, False)):
            variances = np.full(6, 1e9)
            variances[place:] = bounds[place] * factor
            count = by_chance(variances[: place + 1], np.ones(6), rows)
            assert (count == place + 1) is above, (place, factor)


@pytest.mark.parametrize("scales", [np.ones(8), np.geomspace(0.01, 100, 8)])
def test_factors_stand_out_from_chance_and_noise_does_not(scales):
    random = np.random.default_rng(0)
    noise = random.normal(size=(500, 8)) * scales
    assert by_chance(Components.of(np.cov(noise.T)).variances, noise.var(axis=0, ddof=1), 500) == 0
    X = rows_of(500, 8, 2, 0.5) / rows_of(500, 8, 2, 0.5).std(axis=0, ddof=1)
    assert by_chance(Components.of(np.cov(X.T)).variances, np.ones(8), 500) == 2


def test_chance_needs_two_rows_and_a_column_that_varies():
    assert by_chance(np.ones(2), np.zeros(2), 50) == 0
    assert by_chance(np.ones(2), np.ones(2), 1) == 0
    assert by_chance(np.array([2.0, 0.0]), np.array([1.0, 1.0, 0.0]), 2) >= 0


@pytest.mark.parametrize("size", [5, 40])
def test_a_sketch_finds_the_first_components_without_the_covariance(size):
    X = rows_of(300, 40, 4, 0.1)
    X -= X.mean(axis=0)
    exact = Components.of(np.cov(X.T))
    found = by_sketch(lambda v: X.T @ (X @ v), 40, size, total=exact.total, rows=300, passes=7)
    np.testing.assert_allclose(found.variances[:4], exact.variances[:4], rtol=1e-8)
    np.testing.assert_allclose(found.vectors[:4], exact.vectors[:4], atol=1e-6)
    if size == 40:
        np.testing.assert_allclose(found.variances, exact.variances, rtol=1e-6)


def test_a_sketch_of_nothing_is_no_error():
    found = by_sketch(lambda v: np.zeros_like(v), 5, 3, total=0.0, rows=10)
    assert found.variances.tolist() == [0, 0, 0] and found.vectors.shape == (3, 5)


def test_how_many_follows_what_is_asked():
    X = rows_of(factors=2, noise=0.1)
    X /= X.std(axis=0, ddof=1)
    found = Components.of(np.cov(X.T))
    kept = {keep: how_many(keep, found, np.ones(10), 400) for keep in (4, 0.5, "all", "mle", "parallel")}
    assert kept == {4: 4, 0.5: 1, "all": 10, "mle": kept["mle"], "parallel": 2}
    with pytest.raises(DataError, match="as many rows as columns"):
        how_many("mle", found, np.ones(10), 9)
