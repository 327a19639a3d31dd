"""Which rows are bases: imbalanced-learn's variants of SMOTE are the oracles."""

import warnings

import numpy as np
import pytest
from imblearn.over_sampling import SVMSMOTE, BorderlineSMOTE, KMeansSMOTE
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors

from tilth.neighbors import Space
from tilth.stages.bases import (
    OUTWARD,
    Rows,
    by_density,
    clusters_of,
    in_clusters,
    in_danger,
    support_vectors,
    supporting,
)


def classes(seed: int, n_classes: int = 2, apart: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.choice(n_classes, 400, p=[0.8, 0.2] if n_classes == 2 else [0.6, 0.25, 0.15])
    return random.normal(size=(400, 3)) + apart * y[:, None], y


def rows_of(X: np.ndarray, y: np.ndarray) -> Rows:
    return Rows(Space(), X, X, y)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_rows_in_danger_are_imbalanced_learns(n_classes: int) -> None:
    X, y = classes(n_classes, n_classes)
    peer = BorderlineSMOTE(m_neighbors=7)
    peer.fit_resample(X, y)
    for code, rows in peer.in_danger_indices.items():
        own = np.flatnonzero(y == code)
        weight = in_danger(rows_of(X, y), own, 7, "cpu").weight
        assert own[weight > 0].tolist() == rows.tolist()
        assert 0 < len(rows) < len(own)


def test_support_vectors_without_noise_are_imbalanced_learns() -> None:
    X, y = classes(3)
    peer = SVMSMOTE(m_neighbors=10)
    peer.fit_resample(X, y)
    own, support = np.flatnonzero(y == 1), support_vectors(rows_of(X, y))
    assert support.tolist() == peer.svm_estimator_.support_.tolist()
    found = supporting(rows_of(X, y), own, 10, support, "cpu")
    mine = np.intersect1d(own, support)
    noise = peer._in_danger_noise(peer.nn_m_, X[mine], 1, y, kind="noise")
    danger = peer._in_danger_noise(peer.nn_m_, X[mine], 1, y, kind="danger")
    assert own[found.weight > 0].tolist() == mine[~noise].tolist()
    inward = own[(found.weight > 0) & (found.reach == 1)]
    assert inward.tolist() == mine[danger].tolist()
    assert (found.reach[found.reach != 1] == OUTWARD).all() and danger.any() and not danger.all()


def test_clusters_and_their_shares_are_imbalanced_learns() -> None:
    X, y = classes(4, apart=3.0)
    own, k = np.flatnonzero(y == 1), 2
    cluster = clusters_of(rows_of(X, y), 6, 0)
    expected = MiniBatchKMeans(n_clusters=6, random_state=0).fit_predict(X)
    np.testing.assert_array_equal(cluster, expected)
    found = in_clusters(rows_of(X, y), own, k, cluster)
    share = {
        c: KMeansSMOTE()._find_cluster_sparsity(X[(cluster == c) & (y == 1)])
        for c in range(6)
        if y[cluster == c].mean() >= 0.5 and y[cluster == c].sum() > k
    }
    assert len(share) > 1
    for c in range(6):
        assert found.weight[cluster[own] == c].sum() == pytest.approx(share.get(c, 0.0))
    np.testing.assert_array_equal(found.pool, cluster[own])


def test_densities_are_shares_of_other_classes() -> None:
    X, y = classes(5)
    own = np.flatnonzero(y == 1)
    near = NearestNeighbors(n_neighbors=6).fit(X).kneighbors(X[own], return_distance=False)[:, 1:]
    found = by_density(rows_of(X, y), own, 5, "cpu")
    np.testing.assert_allclose(found.weight, (y[near] != 1).mean(axis=1))


def test_no_more_clusters_than_rows_are_asked_for() -> None:
    X = np.array([[0.0], [5.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(np.unique(clusters_of(rows_of(X, np.array([0, 1])), 8, -1))) == 2
