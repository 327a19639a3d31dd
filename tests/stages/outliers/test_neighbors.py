"""Scores are those of scikit-learn and pyod on complete numbers; gaps and categories have a say, too."""

import warnings

import numpy as np
import polars as pl
import pytest
from sklearn.metrics.pairwise import nan_euclidean_distances
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from tilth.stages.outliers.neighbors import OutliersNeighbors
from tilth.table import Roles, Table


def scored(X, **options):
    """Return the scores of the rows: the higher, the farther."""
    return -OutliersNeighbors(**{"scale": "none", **options}).fit(X).plan_.score


@pytest.fixture
def numbers():
    random = np.random.default_rng(0)
    return np.vstack(
        [random.normal(size=(220, 4)), random.normal(8, 0.2, (30, 4)), random.uniform(-9, 9, (10, 4))]
    )


@pytest.mark.parametrize("k", [1, 5, 20])
def test_distances_are_those_of_scikit_learn(numbers, k):
    distances = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(numbers).kneighbors()[0]
    np.testing.assert_allclose(scored(numbers, n_neighbors=k), distances[:, -1], rtol=1e-6)
    found = scored(numbers, n_neighbors=k, method="mean")
    np.testing.assert_allclose(found, distances.mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize("k", [2, 20])
def test_the_local_outlier_factor_is_that_of_scikit_learn(numbers, k):
    peer = LocalOutlierFactor(n_neighbors=k, algorithm="brute").fit(numbers)
    found = scored(numbers, n_neighbors=k, method="lof")
    np.testing.assert_allclose(found, -peer.negative_outlier_factor_, rtol=1e-6)


@pytest.mark.parametrize("k", [3, 20])
def test_copies_lie_in_no_infinite_density(numbers, k):
    copied = np.vstack([numbers, np.repeat(numbers[:5], 4, axis=0)])
    peer = LocalOutlierFactor(n_neighbors=k, algorithm="kd_tree")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate values", UserWarning)
        peer.fit(copied)
    found = scored(copied, n_neighbors=k, method="lof")
    np.testing.assert_allclose(found, -peer.negative_outlier_factor_, rtol=1e-6)
    assert found[[0, *range(260, 264)]] == pytest.approx(found[0])


def test_scores_are_those_of_pyod(numbers):
    knn, lof = pytest.importorskip("pyod.models.knn"), pytest.importorskip("pyod.models.lof")
    for method, name in (("kth", "largest"), ("mean", "mean")):
        peer = knn.KNN(n_neighbors=7, method=name).fit(numbers)
        found = scored(numbers, n_neighbors=7, method=method)
        np.testing.assert_allclose(found, peer.decision_scores_, rtol=1e-6)
    peer = lof.LOF(n_neighbors=7).fit(numbers)
    np.testing.assert_allclose(scored(numbers, n_neighbors=7, method="lof"), peer.decision_scores_, rtol=1e-6)


def test_by_default_numbers_are_compared_in_standard_deviations(numbers):
    wide = numbers * [1, 1000, 0.01, 1] + [0, 5, 7, 1e6]
    spread = (numbers - numbers.mean(0)) / numbers.std(0)
    np.testing.assert_allclose(scored(wide, scale="standard"), scored(spread), rtol=1e-6)


def test_rows_are_compared_over_the_cells_that_both_have(numbers):
    holed = np.where(np.random.default_rng(1).random(numbers.shape) < 0.3, np.nan, numbers)
    pairs = nan_euclidean_distances(holed)
    np.fill_diagonal(pairs, np.nan)
    wanted = np.sort(pairs, axis=1)[:, 4]  # NaN sorts last
    known = ~np.isnan(wanted)
    np.testing.assert_allclose(scored(holed, n_neighbors=5)[known], wanted[known], rtol=1e-6)


def test_a_row_with_nothing_in_common_with_others_is_in_the_middle():
    X = np.column_stack([np.arange(30.0) ** 2, np.full(30, np.nan)])
    X[4] = [np.nan, np.nan]
    X[7] = [np.nan, 3.0]
    for method in ("kth", "mean", "lof"):
        found = scored(X, n_neighbors=3, method=method)
        rest = np.delete(found, [4, 7])
        assert np.isfinite(found).all()
        assert found[4] == found[7] == np.median(rest)


def test_where_few_rows_are_within_reach_these_count():
    X = np.column_stack([np.r_[0.0, 1.0, np.full(8, np.nan)], np.r_[np.nan, np.nan, np.arange(8.0)]])
    found = scored(X, n_neighbors=5)
    assert found[0] == found[1] == pytest.approx(np.sqrt(2))
    assert scored(X, n_neighbors=5, method="mean")[0] == pytest.approx(np.sqrt(2))
    assert scored(X, n_neighbors=5, method="lof")[0] == pytest.approx(1)


def test_a_rare_mix_of_categories_is_far_though_none_of_them_is():
    random = np.random.default_rng(0)
    kind = random.choice(["cat", "dog"], 200)
    rows = pl.DataFrame(
        {"kind": kind, "sound": np.where(kind == "cat", "meow", "bark"), "n": random.random(200)}
    )
    rows = rows.with_columns(sound=pl.when(pl.int_range(200) == 9).then(pl.lit("bark")).otherwise("sound"))
    rows = rows.with_columns(kind=pl.when(pl.int_range(200) == 9).then(pl.lit("cat")).otherwise("kind"))
    stage = OutliersNeighbors(n_neighbors=5, threshold=0.005).fit(rows)
    assert (stage.plan_.times == 0).nonzero()[0].tolist() == [9]


def test_reasons_name_the_columns_in_which_a_row_differs_from_its_neighbors():
    random = np.random.default_rng(0)
    a = random.random(300)
    rows = pl.DataFrame(
        {"a": a, "b": a + 0.05 * random.normal(size=300), "c": random.choice(["x", "y"], 300)}
    )
    rows[5, "b"] = 40.0
    rows[8, "c"] = "z"
    reason = OutliersNeighbors(n_neighbors=5, threshold=0.01).fit(rows).plan_.reason
    assert reason[5].startswith("b 40 (99.9% of the others:")
    assert reason[8].startswith("c 'z' (0.00% of the others)")


def test_contributions_are_mean_squared_differences_to_the_neighbors(numbers):
    from tilth.stages.reading import Reading
    from tilth.statistics import Statistics

    frame = pl.DataFrame(numbers, schema=list("abcd"))
    reading = Reading.learn(Statistics([frame.lazy()]), list("abcd"), "none")
    holed = np.where(np.random.default_rng(1).random(numbers.shape) < 0.1, np.nan, numbers)
    rows = np.array([3, 255, 100])
    parts = OutliersNeighbors(n_neighbors=4).contributions(reading, holed, rows)
    pairs = nan_euclidean_distances(holed)
    np.fill_diagonal(pairs, np.inf)
    for row, found in zip(rows, parts, strict=True):
        near = np.argsort(pairs[row], kind="stable")[:4]
        apart = np.square(holed[row] - holed[near])
        count = np.maximum((~np.isnan(apart)).sum(axis=0), 1)
        np.testing.assert_allclose(found, np.nansum(apart, axis=0) / count, rtol=1e-6)


def test_copies_of_a_row_leave_the_row_itself_out_of_its_neighbors():
    X = np.vstack([np.zeros((9, 2)), [[3.0, 4.0]]])
    assert scored(X, n_neighbors=2).tolist() == [0.0] * 9 + [5.0]
    stage = OutliersNeighbors(n_neighbors=2, scale="none", threshold=0.1)
    stage.fit(X)
    assert stage.plan_.reason[9].startswith("x1 4 ")


def test_single_rows_and_pairs_are_scored():
    assert scored(np.array([[1.0, 2.0]])).tolist() == [0.0]
    assert scored(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [5.0, 5.0]


def test_down_weighting_follows_the_distance(numbers):
    plan = OutliersNeighbors(action="weight", threshold=0.05).fit(numbers).plan_
    assert (plan.times == 1).all()
    assert plan.weight.argmin() == plan.score.argmin()
    assert ((plan.weight < 1) == (plan.reason != "")).all()


def test_scores_do_not_depend_on_the_order_of_rows(numbers):
    table = Table.of(
        pl.DataFrame(numbers).with_columns(pl.Series("key", range(260))), roles=Roles(row_id="key")
    )
    turned = table.with_frame(table.frame.reverse())
    plans = [OutliersNeighbors(method="lof").fit_table(t) for t in (table, turned)]
    np.testing.assert_allclose(plans[0].score, plans[1].score[::-1], rtol=1e-12)
