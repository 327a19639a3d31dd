"""Random projections: what they keep, and what their weights depend on."""

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import pdist
from sklearn.random_projection import (
    GaussianRandomProjection,
    SparseRandomProjection,
    johnson_lindenstrauss_min_dim,
)

from tilth.errors import DataError
from tilth.stages.reduce.random import ReduceRandom


def frame_of(rows=60, width=400, seed=0):
    X = np.random.default_rng(seed).normal(size=(rows, width))
    return pl.DataFrame(X, schema=[f"x{i}" for i in range(width)])


@pytest.mark.parametrize("eps", [0.3, 0.5, 0.9])
def test_the_bound_is_that_of_scikit_learn_and_holds(eps):
    X = frame_of(width=2000)
    stage = ReduceRandom(eps=eps, random_state=1).fit(X)
    assert stage.n_components_ == johnson_lindenstrauss_min_dim(60, eps=eps)
    ratio = (pdist(stage.transform(X).to_numpy()) / pdist(X.to_numpy())) ** 2
    assert ratio.min() > 1 - eps and ratio.max() < 1 + eps


@pytest.mark.parametrize("method", ["sparse", "gaussian"])
def test_distances_spread_as_those_of_scikit_learn(method):
    X = frame_of()
    made = ReduceRandom(keep=50, method=method).fit_transform(X).to_numpy()
    kind = SparseRandomProjection if method == "sparse" else GaussianRandomProjection
    peer = kind(50, random_state=0).fit_transform(X.to_numpy())
    ours, theirs = ((pdist(Z) / pdist(X.to_numpy())) ** 2 for Z in (made, peer))
    assert ours.mean() == pytest.approx(1, abs=0.1)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.25)


@pytest.mark.parametrize("density", ["auto", 1 / 3, 1.0])
def test_sparse_weights_have_the_density_and_the_values_of_scikit_learn(density):
    stage = ReduceRandom(keep=200, density=density).fit(frame_of(5, 900))
    peer = SparseRandomProjection(200, density=density, random_state=0).fit(np.zeros((5, 900)))
    assert stage.density_ == pytest.approx(peer.density_)
    assert np.mean(stage.components_ != 0) == pytest.approx(peer.density_, rel=0.03)
    np.testing.assert_allclose(
        np.unique(stage.components_), np.unique(np.asarray(peer.components_ @ np.eye(900))), rtol=1e-12
    )
    assert np.mean(stage.components_ > 0) == pytest.approx(np.mean(stage.components_ < 0), rel=0.05)


def test_normal_weights_are_normal():
    from scipy.stats import kstest

    stage = ReduceRandom(keep=100, method="gaussian").fit(frame_of(5, 100))
    assert kstest(stage.components_.ravel() * 10, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(stage.components_) - np.eye(100)).max() < 0.5


@pytest.mark.parametrize("method", ["sparse", "gaussian"])
def test_weights_depend_on_seed_and_name_alone(method):
    X = frame_of(20, 30)
    make = lambda seed=0: ReduceRandom(keep=7, method=method, random_state=seed)
    made = make().fit_transform(X)
    turned = make().fit_transform(X.select(X.columns[::-1]))
    np.testing.assert_allclose(turned.to_numpy(), made.to_numpy(), atol=1e-12)
    np.testing.assert_array_equal(make().fit(X.head(3)).components_, make().fit(X).components_)
    fewer = make().fit(X.select("x3", "x9")).components_
    if method == "gaussian":  # of sparse ones density and value go with the number of columns
        np.testing.assert_array_equal(fewer, make().fit(X).components_[:, [3, 9]])
    assert not np.allclose(make(1).fit(X).components_, make().fit(X).components_)


def test_what_comes_back_has_the_same_sums():
    X = frame_of(20, 30)
    stage = ReduceRandom(keep=7, density=0.5).fit(X)
    codes = stage.transform(X)
    back = stage.inverse_transform(codes)
    np.testing.assert_allclose(stage.transform(back).to_numpy(), codes.to_numpy(), atol=1e-9)
    assert np.linalg.norm(back.to_numpy()) < np.linalg.norm(X.to_numpy())


def test_a_bound_above_the_number_of_columns_is_reported():
    stage = ReduceRandom().fit(frame_of(60, 5))
    assert stage.n_components_ == 5
    (told,) = stage.findings_
    assert told.kind == "reduce.nothing" and told.score == johnson_lindenstrauss_min_dim(60, eps=0.1)
    assert not ReduceRandom(keep=2).fit(frame_of(60, 5)).findings_


def test_gaps_are_an_error_that_names_the_column():
    with pytest.raises(DataError, match="'x1' misses 60 of 60"):
        ReduceRandom(keep=2).fit(frame_of(60, 3)).transform(
            frame_of(60, 3).with_columns(x1=pl.lit(None, pl.Float64))
        )
