"""Kernel components against scikit-learn's: exact with all rows as landmarks, Nystroem with some."""

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA, KernelPCA
from sklearn.kernel_approximation import Nystroem
from sklearn.preprocessing import StandardScaler

from tilth.errors import DataError
from tilth.stages.reduce.kernel_pca import ReduceKernelPca
from tilth.table import Table

KERNELS = [
    {"kernel": "rbf", "gamma": 0.2},
    {"kernel": "laplacian", "gamma": 0.3},
    {"kernel": "poly", "gamma": 0.5, "degree": 2, "coef0": 0.7},
    {"kernel": "cosine"},
]


def rings(rows=150, seed=0):
    random = np.random.default_rng(seed)
    angle, radius = random.uniform(0, 2 * np.pi, rows), random.choice([1.0, 3.0], rows)
    X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), random.normal(size=rows)])
    return X + 0.05 * random.normal(size=X.shape), radius


def up_to_sign(one, two, **close):
    signs = np.sign((np.asarray(one) * two).sum(axis=0))
    np.testing.assert_allclose(one * signs, two, **close)


@pytest.mark.parametrize("told", KERNELS, ids=lambda told: told["kernel"])
def test_equal_to_kernel_pca_where_all_rows_are_landmarks(told):
    X, _ = rings()
    stage = ReduceKernelPca(keep=3, landmarks=500, scale=False, alpha=0.3, **told).fit(X)
    kernel = (
        told if told["kernel"] != "laplacian" else {"kernel": lambda x, y: np.exp(-0.3 * np.abs(x - y).sum())}
    )
    peer = KernelPCA(3, fit_inverse_transform=True, alpha=0.3, eigen_solver="dense", **kernel).fit(X)
    np.testing.assert_allclose(stage.eigenvalues_, peer.eigenvalues_, rtol=1e-6)
    up_to_sign(stage.transform(X), peer.transform(X), atol=1e-6)
    new, _ = rings(40, seed=3)
    up_to_sign(stage.transform(new), peer.transform(new), atol=1e-6)
    # Turning all codes of a component around changes no kernel between them.
    ours = stage.inverse_transform(stage.transform(new))
    np.testing.assert_allclose(ours, peer.inverse_transform(peer.transform(new)), atol=1e-6)


def test_scaled_columns_are_those_of_a_standard_scaler():
    X, _ = rings()
    X = X * [1.0, 100.0, 0.01] + 5
    stage = ReduceKernelPca(keep=3, landmarks=500, gamma=0.2).fit(X)
    scaled = StandardScaler().fit_transform(X)
    up_to_sign(stage.transform(X), KernelPCA(3, kernel="rbf", gamma=0.2).fit_transform(scaled), atol=1e-6)
    assert stage.inverse_transform(stage.transform(X)).std(axis=0)[1] > 1


def test_with_some_landmarks_equal_to_nystroem_and_pca():
    X, _ = rings(400)
    stage = ReduceKernelPca(keep=4, landmarks=60, gamma=0.2, scale=False, random_state=2).fit(X)
    peer = Nystroem(gamma=0.2, n_components=60)
    peer.fit(stage.landmarks_)
    order = peer.component_indices_
    assert sorted(order) == list(range(60))
    features = peer.transform(X)
    up_to_sign(stage.transform(X), PCA(4, svd_solver="full").fit_transform(features), atol=1e-6)


def test_rings_come_apart_along_a_component_and_not_along_those_of_pca():
    X, radius = rings(300)
    codes = ReduceKernelPca(keep=4, landmarks=100).fit_transform(X)
    apart = max(abs(np.corrcoef(code, radius)[0, 1]) for code in codes.T)
    flat = max(abs(np.corrcoef(code, radius)[0, 1]) for code in PCA().fit_transform(X).T)
    assert apart > 0.7 > 0.3 > flat


@pytest.mark.parametrize("choose", ["random", "centers"])
def test_landmarks_do_not_depend_on_the_partition(choose):
    frame = pl.DataFrame(rings(200)[0], schema=list("abc"))
    table = Table.of(frame)
    whole = ReduceKernelPca(keep=3, landmarks=20, choose=choose).fit(frame)
    shards = [table.with_frame(table.frame.slice(a, n)) for a, n in ((150, 50), (0, 0), (0, 149), (149, 1))]
    parts = ReduceKernelPca(keep=3, landmarks=20, choose=choose).fit_table(shards)
    np.testing.assert_allclose(parts.landmarks_, whole.landmarks_, atol=1e-12)
    np.testing.assert_allclose(parts.weights_, whole.weights_, atol=1e-8)


def test_centers_cover_the_rows_better_than_chance():
    X, _ = rings(2000)
    farthest = {}
    for choose in ("random", "centers"):
        marks = ReduceKernelPca(keep=2, landmarks=50, choose=choose, scale=False).fit(X).landmarks_
        farthest[choose] = np.sqrt(((X[:, None] - marks) ** 2).sum(axis=2)).min(axis=1).max()
    assert farthest["centers"] < 0.8 * farthest["random"]


def test_gamma_is_by_the_median_distance():
    from scipy.spatial.distance import pdist

    X, _ = rings()
    stage = ReduceKernelPca(landmarks=500, scale=False).fit(X)
    assert stage.gamma_ == pytest.approx(1 / (2 * np.median(pdist(X)) ** 2))
    assert ReduceKernelPca(kernel="poly", scale=False).fit(X).gamma_ == pytest.approx(1 / 3)


def test_a_share_keeps_as_many_as_explain_more_and_findings_tell():
    X, _ = rings()
    stage = ReduceKernelPca(keep=0.9, landmarks=100).fit(X)
    (told,) = stage.findings_
    fewer = ReduceKernelPca(keep=stage.n_components_ - 1, landmarks=100).fit(X).findings_[0]
    assert told.kind == "reduce.explained" and told.score > 0.9 >= fewer.score
    linear = ReduceKernelPca(keep=9, kernel="cosine", scale=False).fit(X)
    assert linear.n_components_ == 3 and linear.findings_[1].kind == "reduce.fewer"


@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "poly", "cosine"])
@pytest.mark.parametrize("rows", [1, 7])
def test_rows_without_any_difference_have_one_component_of_zero(kernel, rows):
    X = pl.DataFrame({"a": [1.5] * rows, "b": [0.1] * rows})
    out = ReduceKernelPca(kernel=kernel).fit_transform(X)
    assert out.columns == ["kernel1"] and out["kernel1"].abs().max() < 1e-6


def test_numbers_too_large_for_the_kernel_are_an_error():
    with pytest.raises(DataError, match="too large for kernel 'poly'"):
        ReduceKernelPca(kernel="poly", scale=False).fit(pl.DataFrame({"a": [1e200, 1.0, 2.0]}))
