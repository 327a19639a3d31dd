"""OutliersPca: scikit-learn's EmpiricalCovariance and PCA are the oracles."""

import numpy as np
import polars as pl
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tilth.stages.outliers.pca import OutliersPca, filled
from tilth.stages.reading import Reading
from tilth.statistics import Statistics

METHODS = ("weighted", "mahalanobis", "reconstruction")


@pytest.fixture
def matrix() -> np.ndarray:
    random = np.random.default_rng(0)
    X = random.standard_normal((300, 3)) @ random.standard_normal((3, 6)) + 0.3 * random.normal(size=(300, 6))
    return X * [1, 1e4, 1e-4, 1, 1, 1] + [0, 1e6, 0, 5, 0, 0]


def scores(rows, **more) -> np.ndarray:
    return -OutliersPca(action="report", **more).fit(rows).plan_.score


def read(matrix: np.ndarray) -> tuple[Reading, np.ndarray]:
    frame = pl.DataFrame(matrix, schema=[f"x{i}" for i in range(matrix.shape[1])], nan_to_null=True)
    reading = Reading.learn(Statistics([frame.lazy()]), frame.columns)
    return reading, reading.matrix(frame)


def test_mahalanobis_is_the_distance_under_the_covariance(matrix: np.ndarray) -> None:
    peer = EmpiricalCovariance().fit(StandardScaler().fit_transform(matrix))
    expected = peer.mahalanobis(StandardScaler().fit_transform(matrix))
    np.testing.assert_allclose(scores(matrix, method="mahalanobis"), expected, rtol=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_reconstruction_is_what_the_components_kept_do_not_explain(matrix: np.ndarray, share: float) -> None:
    X = StandardScaler().fit_transform(matrix)
    peer = PCA(n_components=share, svd_solver="full").fit(X)
    expected = np.square(X - peer.inverse_transform(peer.transform(X))).sum(axis=1)
    np.testing.assert_allclose(scores(matrix, method="reconstruction", share=share), expected, rtol=1e-6)


def test_weighted_squares_are_over_the_deviations_of_their_components(matrix: np.ndarray) -> None:
    X = StandardScaler().fit_transform(matrix)
    peer = PCA().fit(X)
    deviations = np.sqrt(peer.explained_variance_ * 299 / 300)
    np.testing.assert_allclose(scores(matrix), (peer.transform(X) ** 2 / deviations).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_what_the_columns_add_sums_to_the_score(matrix: np.ndarray, method: str) -> None:
    matrix[::7, 2] = np.nan
    reading, X = read(matrix)
    stage = OutliersPca(method=method)
    parts = stage.contributions(reading, X, np.arange(300))
    np.testing.assert_allclose(parts.sum(axis=1), stage.measure(reading, X), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(parts[::7, 2], 0, atol=1e-6)


@pytest.mark.parametrize("gaps", [1, 2, 4])
def test_gaps_are_filled_with_the_values_of_the_least_score(gaps: int) -> None:
    random = np.random.default_rng(1)
    half = random.standard_normal((5, 5))
    form = half @ half.T
    there = np.ones((20, 5), bool)
    for row in there:
        row[random.choice(5, gaps, replace=False)] = False
    x = np.where(there, random.standard_normal((20, 5)), 0)
    best = filled(x, there, form)
    np.testing.assert_array_equal(best[there], x[there])
    least = np.einsum("ij,jk,ik->i", best, form, best)
    for _ in range(20):
        other = best + np.where(there, 0, random.normal(0, 0.1, x.shape))
        assert (np.einsum("ij,jk,ik->i", other, form, other) >= least).all()


def test_a_form_that_is_flat_somewhere_still_has_an_answer() -> None:
    there = np.array([[True, False, False]])
    out = filled(np.array([[2.0, 0.0, 0.0]]), there, np.diag([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(out, [[2.0, 0.0, 0.0]])


def test_mahalanobis_of_a_row_with_gaps_is_that_of_the_cells_it_has(matrix: np.ndarray) -> None:
    holed = np.vstack([matrix, matrix[:1]])
    holed[-1, [1, 4]] = np.nan
    reading, X = read(holed)
    stage = OutliersPca(method="mahalanobis")
    x, form = stage._form(reading, X)
    known = [0, 2, 3, 5]
    covariance = np.linalg.inv(form)[np.ix_(known, known)]
    expected = x[-1, known] @ np.linalg.inv(covariance) @ x[-1, known]
    np.testing.assert_allclose(stage.measure(reading, X)[-1], expected, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_rows_are_not_flagged_for_their_gaps(matrix: np.ndarray, method: str) -> None:
    holed = matrix.copy()
    gaps = np.arange(300) % 4 == 0
    holed[gaps, 1:3] = np.nan
    flagged = OutliersPca(method=method, threshold=0.1).fit(holed).plan_.times == 0
    assert flagged[gaps].mean() <= flagged[~gaps].mean()


def test_a_row_against_the_trend_is_flagged_though_each_cell_is_usual() -> None:
    inch = np.linspace(10, 60, 101)
    rows = pl.DataFrame({"inch": inch, "cm": inch * 2.54 + np.sin(np.arange(101.0))})
    rows[50, "cm"] = 60.0
    plan = OutliersPca(threshold=0.01).fit(rows).plan_
    assert np.flatnonzero(plan.times == 0).tolist() == [50]


def test_copies_of_a_column_and_columns_of_one_value_do_no_harm(matrix: np.ndarray) -> None:
    wide = np.column_stack([matrix, matrix[:, 0], np.full(300, 3.0)])
    for method in METHODS:
        assert np.isfinite(scores(wide, method=method)).all()
    expected = scores(matrix, method="mahalanobis")
    np.testing.assert_allclose(scores(wide, method="mahalanobis"), expected, rtol=1e-4)


def test_a_rare_category_is_far_out() -> None:
    random = np.random.default_rng(3)
    jobs = ["astronaut", *random.choice(["clerk", "cook"], 299)]
    rows = pl.DataFrame({"n": random.standard_normal(300), "job": jobs})
    assert scores(rows).argmax() == 0
