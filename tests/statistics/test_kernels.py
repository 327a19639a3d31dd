"""Kernels, landmarks and the way back, against scikit-learn and by their definitions."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import KernelPCA
from sklearn.kernel_ridge import KernelRidge

from tilth.statistics import Gram
from tilth.statistics.kernels import Features, Kernel, by_median, in_landmarks, ridge_back

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.random.default_rng(1).normal(size=(7, 3))


def test_kernels_are_what_they_are_called():
    unit = [M / np.linalg.norm(M, axis=1, keepdims=True) for M in (X, Y)]
    exact = {
        Kernel("rbf", 0.3): np.exp(-0.3 * cdist(X, Y, "sqeuclidean")),
        Kernel("laplacian", 0.3): np.exp(-0.3 * cdist(X, Y, "cityblock")),
        Kernel("poly", 0.3, 2, 0.5): (0.3 * X @ Y.T + 0.5) ** 2,
        Kernel("cosine", 0.3): unit[0] @ unit[1].T,
    }
    for kernel, expected in exact.items():
        np.testing.assert_allclose(kernel(X, Y), expected, atol=1e-12, err_msg=kernel.name)
        assert kernel(X[:0], Y).shape == (0, 7)


def test_gamma_is_by_the_median_of_rows_that_differ():
    assert by_median("rbf", np.array([[0.0], [0.0], [2.0]])) == 1 / 8
    assert by_median("laplacian", np.array([[0.0, 0.0], [1.0, 3.0]])) == 1 / 4
    assert by_median("rbf", np.zeros((3, 2))) == 1.0
    assert by_median("poly", X) == 1 / 3


@pytest.mark.parametrize("kernel", [Kernel("rbf", 0.3), Kernel("poly", 0.5, 2), Kernel("cosine", 1.0)])
def test_products_of_features_are_kernels_where_all_rows_are_landmarks(kernel):
    twice = np.vstack([X, X[:5]])  # copies add no direction
    features = Features.of(kernel, twice)
    np.testing.assert_allclose(features(X) @ features(X).T, kernel(X, X), atol=1e-6)
    assert features.root.shape[1] <= len(X)


def test_components_in_landmarks_are_those_of_kernel_pca():
    kernel = Kernel("rbf", 0.3)
    features = Features.of(kernel, X)
    weights, eigenvalues, offsets = in_landmarks(features, Gram.of(features(X)))
    peer = KernelPCA(4, kernel="rbf", gamma=0.3, eigen_solver="dense").fit(X)
    np.testing.assert_allclose(eigenvalues[:4], peer.eigenvalues_, rtol=1e-9)
    ours, theirs = (kernel(Y, X) @ weights - offsets)[:, :4], peer.transform(Y)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-9)
    assert (np.abs(weights).argmax(axis=0) == weights.argmax(axis=0)).all()


def test_landmarks_without_any_product_have_one_component_of_zero():
    kernel = Kernel("poly", 1.0, 1, 0.0)
    features = Features.of(kernel, np.zeros((3, 2)))
    weights, eigenvalues, offsets = in_landmarks(features, Gram.of(features(np.zeros((5, 2)))))
    assert weights.shape == (3, 1) and eigenvalues.tolist() == [0.0] and offsets.tolist() == [0.0]


def test_the_way_back_is_kernel_ridge_regression():
    kernel = Kernel("rbf", 0.3)
    codes = X[:, :2]
    made = kernel(Y[:, :2], codes) @ ridge_back(kernel, codes, X, 0.5)
    peer = KernelRidge(alpha=0.5, kernel="rbf", gamma=0.3).fit(codes, X)
    np.testing.assert_allclose(made, peer.predict(Y[:, :2]), atol=1e-9)
