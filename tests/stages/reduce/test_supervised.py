"""ReduceSupervised: scikit-learn's LDA and PLS are the oracles."""

from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.linalg import eigh
from sklearn.covariance import OAS
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import StandardScaler

import tilth
from tilth.errors import DataError
from tilth.stages.reduce.supervised import ReduceSupervised
from tilth.table import Table


def made(n: int = 300, p: int = 6, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    kind = random.integers(0, classes, n)
    X = random.normal(size=(n, p)) @ random.normal(size=(p, p)) + random.normal(size=(classes, p))[kind] * 2
    return X * [10.0**i for i in range(-2, p - 2)] + 1000, kind


def same(one: np.ndarray, two: np.ndarray, *, signs: bool = True) -> None:
    """Assert that columns are equal to 1e-6 of their size, but for their mean and, if allowed, their sign."""
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    turned = np.sign((one * two).sum(axis=0)) if signs else 1.0
    np.testing.assert_allclose(one * turned, two, rtol=0, atol=1e-6 * np.abs(two).max())


@pytest.mark.parametrize("size", [1, 2, 3])
def test_lda_without_shrinkage_is_that_of_scikit_learn(size: int) -> None:
    X, kind = made()
    peer = LinearDiscriminantAnalysis(solver="eigen", n_components=size).fit(X, kind)
    stage = ReduceSupervised(shrinkage=0.0, size=size).fit(X, kind)
    same(stage.transform(X), peer.transform(X))
    evidence = LinearDiscriminantAnalysis(solver="eigen").fit(X, kind).explained_variance_ratio_
    odds = stage.shares_ / (1 - stage.shares_)
    if size == 3:
        np.testing.assert_allclose(odds / odds.sum(), evidence, atol=1e-9)


@pytest.mark.parametrize("shrinkage", [0.1, 0.5, 1.0])
def test_shrinkage_is_that_of_the_covariance_within_classes_of_standardized_columns(shrinkage: float) -> None:
    X, kind = made()
    Z = StandardScaler().fit_transform(X)
    means = np.array([Z[kind == k].mean(axis=0) for k in range(4)])
    within = np.cov((Z - means[kind]).T, ddof=0)
    between = np.cov(means[kind].T, ddof=0)
    shrunk = (1 - shrinkage) * within + shrinkage * np.trace(within) / 6 * np.eye(6)
    vectors = eigh(between, shrunk)[1][:, ::-1][:, :3]
    stage = ReduceSupervised(shrinkage=shrinkage).fit(X, kind)
    same(stage.transform(X), Z @ vectors)


def test_for_two_classes_the_direction_is_that_of_the_classifier_with_shrinkage() -> None:
    X, kind = made(classes=2)
    Z = StandardScaler().fit_transform(X)
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(Z, kind)
    stage = ReduceSupervised(shrinkage=0.3).fit(Z, kind)
    found, wanted = stage.weights_[:, 0] / stage.scale_, peer.coef_[0]
    assert abs(found @ wanted) / np.linalg.norm(found) / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-6)


def test_shrinkage_by_itself_is_that_of_oas() -> None:
    X, kind = made(40, 6)
    Z = StandardScaler().fit_transform(X)
    apart = Z - np.array([Z[kind == k].mean(axis=0) for k in range(4)])[kind]
    stage = ReduceSupervised().fit(X, kind)
    assert stage.shrinkage_ == pytest.approx(OAS(assume_centered=True).fit(apart).shrinkage_, abs=1e-9)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_pls_is_that_of_scikit_learn_signs_too(size: int) -> None:
    X, _ = made()
    y = X @ np.linspace(1, 2, 6) / np.abs(X).max() + np.random.default_rng(1).normal(size=300) * 0.1
    peer = PLSRegression(size, tol=1e-14, max_iter=10_000).fit(X, y)
    stage = ReduceSupervised(size=size).fit(X, y)
    same(stage.transform(X), peer.transform(X), signs=False)
    np.testing.assert_allclose(stage.shares_.sum(), peer.score(X, y), atol=1e-9)
    back = stage.inverse_transform(stage.transform(X))
    np.testing.assert_allclose(back, peer.inverse_transform(peer.transform(X)), rtol=1e-6)


def test_pls_of_classes_is_that_of_their_flags() -> None:
    X, kind = made()
    peer = PLSRegression(3, tol=1e-14, max_iter=10_000).fit(X, np.eye(4)[kind])
    stage = ReduceSupervised(method="pls", size=3).fit(X, np.array(list("abcd"))[kind])
    same(stage.transform(X), peer.transform(X))


@pytest.mark.parametrize("more", [{}, {"shrinkage": 0.0}, {"method": "pls", "size": 3}])
def test_any_partition_learns_the_same(more: dict) -> None:
    X, kind = made()
    table = Table.of(pl.DataFrame(X), kind.astype(str))
    frame = table.frame.collect()
    whole = ReduceSupervised(**more).fit_table([table])
    for cuts in ([0, 1, 2, 150, 300], [0, *range(7, 300, 17), 300]):
        parts = [table.with_frame(frame[i:j].lazy()) for i, j in pairwise(cuts)][::-1]
        merged = ReduceSupervised(**more).fit_table(parts)
        for name in ("mean_", "scale_", "weights_", "loadings_", "shares_"):
            one, two = getattr(merged, name), getattr(whole, name)
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9 * np.abs(two).max())


def test_more_columns_than_rows() -> None:
    random = np.random.default_rng(0)
    kind = np.repeat([0, 1], 20)
    X = random.normal(size=(40, 200)) + 0.6 * kind[:, None] * (np.arange(200) < 40)
    new = random.normal(size=(400, 200)) + 0.6 * np.repeat([0, 1], 200)[:, None] * (np.arange(200) < 40)
    for more in ({}, {"method": "pls"}):
        code = ReduceSupervised(**more).fit(X, kind).transform(new)[:, 0]
        right = (code > np.median(code)) == np.repeat([False, True], 200)
        assert max(right.mean(), 1 - right.mean()) > 0.85
    assert np.isfinite(ReduceSupervised(shrinkage=0.0).fit(X, kind).transform(new)).all()


def test_what_is_constant_or_told_twice_does_no_harm() -> None:
    X, kind = made()
    more = np.column_stack([X, np.full(300, 7.0), X[:, 0] * 2 - 1])
    for given in ({"shrinkage": 0.0}, {"method": "pls", "size": 2}):
        one, two = (ReduceSupervised(**given).fit(Z, kind.astype(str)).transform(Z) for Z in (X, more))
        assert np.isfinite(two).all()
        if "shrinkage" in given:
            same(two, one)


@pytest.mark.parametrize("shrinkage", ["auto", 0.0, 1.0])
@pytest.mark.parametrize("unit", [1.0, 0.1, 1 / 3, 1e6])
def test_classes_that_are_one_point_each_are_told_apart(unit: float, shrinkage: float | str) -> None:
    points = np.array([[0.0, 1.0, 7.0], [1.0, 5.0, 7.0], [2.0, -3.0, 7.0]]) * unit
    kind = np.array([0, 1, 1, 0, 0, 1, 0, 2, 2, 0])
    stage = ReduceSupervised(shrinkage=shrinkage).fit(points[kind], kind)
    np.testing.assert_allclose(stage.shares_, [1.0, 1.0], rtol=1e-9)
    out = stage.transform(points)
    assert min(np.linalg.norm(one - two) for one, two in pairwise([*out, out[0]])) > 0.5


def test_the_inverse_is_the_least_squares_one() -> None:
    X, kind = made()
    for given in ({}, {"method": "pls", "size": 3}):
        stage = ReduceSupervised(**given).fit(X, kind.astype(str))
        codes = stage.transform(X)
        back = stage.inverse_transform(codes)
        A = np.column_stack([np.ones(300), codes])
        wanted = A @ np.linalg.lstsq(A, X, rcond=None)[0]
        np.testing.assert_allclose(back, wanted, rtol=0, atol=1e-6 * np.ptp(X, axis=0).max())
    full = ReduceSupervised(method="pls", size=6).fit(X, kind.astype(str))
    if full.weights_.shape[1] == 6:
        np.testing.assert_allclose(full.inverse_transform(full.transform(X)), X, rtol=1e-6)


def test_rows_without_a_label_are_left_out() -> None:
    X, kind = made()
    label = np.array([*kind.astype(str)], dtype=object)
    label[::5] = None
    known = np.array([k is not None for k in label])
    one = ReduceSupervised().fit(X, label)
    two = ReduceSupervised().fit(X[known], label[known])
    np.testing.assert_allclose(one.weights_, two.weights_, atol=1e-9)
    with pytest.raises(DataError, match="no row has a label"):
        ReduceSupervised().fit(X, np.array([None] * 300))


def test_fewer_components_than_asked_for_are_told() -> None:
    X, kind = made(classes=3)
    stage = ReduceSupervised(size=5).fit(X, kind)
    assert stage.get_feature_names_out().tolist() == ["direction1", "direction2"]
    assert [f.kind for f in stage.findings_] == ["reduce.fewer", "reduce.supervised"]
    assert "5 components were asked for, and there are 2" in stage.findings_[0].message
    alone = ReduceSupervised(size=4).fit(X[:, :1], X[:, 1] * 1.5)
    assert alone.names_ == ["direction1"]


def test_what_cannot_be_told_is_a_clear_error() -> None:
    X, kind = made()
    with pytest.raises(DataError, match="no column varies together with the target"):
        ReduceSupervised().fit(np.ones((40, 2)), np.arange(40) % 2)
    with pytest.raises(DataError, match="works on classes"):
        ReduceSupervised(method="lda").fit(X, np.linspace(0, 1, 300))
    holed = X.copy()
    holed[3, 1] = np.nan
    with pytest.raises(DataError, match=r"misses 1 of .* cells.*impute.simple"):
        ReduceSupervised().fit(holed, kind)
    with pytest.raises(DataError, match="squares overflow"):
        ReduceSupervised().fit(np.where(np.arange(600).reshape(300, 2) % 3 == 0, 1e200, -1e200), kind)


def test_other_columns_stay_and_a_pipeline_goes_on() -> None:
    X, kind = made(200)
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(word="w")
    out = ReduceSupervised(on=["b", "c", "d"]).fit_transform(frame, kind)
    assert list(out) == ["a", "direction1", "direction2", "direction3", "e", "f", "word"]
    pipe = tilth.Pipeline([ReduceSupervised(), tilth.probes.probe("linear")]).fit(X, kind)
    assert (pipe.predict(X) == kind).mean() > 0.5
