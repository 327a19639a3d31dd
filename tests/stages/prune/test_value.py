"""Values are those of the papers, find wrong labels, and no class is lost by them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tilth.errors import DataError
from tilth.neighbors import Space
from tilth.neighbors.shapley import knn_shapley
from tilth.stages.folds import folds_of
from tilth.stages.prune.value import PruneValue
from tilth.table import Roles, Table

METHODS = ("knn_shapley", "data_oob")


def noisy(rows=300, wrong=30, seed=0):
    """Return two clouds, their labels with some of them wrong, and which are."""
    random = np.random.default_rng(seed)
    truth = np.arange(rows) % 2
    X = pl.DataFrame(random.normal(3 * truth[:, None], 1, (rows, 4)), schema=["a", "b", "c", "d"])
    at = random.choice(rows, wrong, replace=False)
    labels = truth.copy()
    labels[at] = 1 - labels[at]
    return X, labels, np.isin(np.arange(rows), at)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", ["polars", "pandas", "numpy"])
def test_wrong_labels_have_the_lowest_values(method, form):
    X, y, wrong = noisy()
    given = {"polars": X, "pandas": X.to_pandas(), "numpy": X.to_numpy()}[form]
    stage = PruneValue(method=method, share=0.1)
    out, labels = stage.fit_resample(given, y)
    gone = stage.plan_.times == 0
    assert gone.sum() == 30 == 300 - len(out) == 300 - len(labels)
    assert wrong[gone].mean() > 0.9
    assert type(out) is type(given)
    (finding,) = stage.findings_
    assert finding.n_rows == 30
    assert finding.rows[0] == int(np.nanargmin(stage.plan_.score))
    assert finding.score == pytest.approx(stage.plan_.score[gone].mean())
    assert "30 of 300 rows" in finding.message


def test_knn_values_are_those_of_each_fold_by_the_others():
    X, y, _ = noisy(120, 10)
    plan = PruneValue(n_neighbors=3, folds=4, random_state=5).fit(X, y).plan_
    fold = folds_of(np.arange(120, dtype=np.uint64), 4, 5, y)
    matrix = X.to_numpy()
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0, ddof=0)
    values = np.zeros(120)
    for number in range(4):
        held = fold == number
        part = knn_shapley(Space(), matrix[~held], y[~held], matrix[held], y[held], 3)
        values[~held] += held.sum() * part * (~held).sum() / (120 - np.bincount(fold)[fold[~held]])
    np.testing.assert_allclose(plan.score, values, rtol=1e-6)
    # The mean row is worth what the nearest neighbors get right.
    assert 0.8 < plan.score.mean() < 1


@pytest.mark.parametrize("method", METHODS)
def test_numeric_targets_are_valued_in_any_unit(method):
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    y = X[:, 0] + 0.1 * random.normal(size=200)
    y[:8] += 4 * np.where(y[:8] > 0, -1, 1)
    plans = [PruneValue(method=method, share=0.04).fit(X, t).plan_ for t in (y, 1024 * y)]
    np.testing.assert_allclose(plans[0].score, plans[1].score, rtol=1e-9)
    assert (plans[0].times[:8] == 0).sum() >= 7
    assert plans[0].score[8:].mean() > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_weights_rise_with_the_rank_of_the_value(method):
    X, y, _ = noisy()
    stage = PruneValue(method=method, share=0.2, action="weight")
    given = np.linspace(1, 2, 300)
    _, _, weight = stage.fit_resample(X, y, sample_weight=given)
    factor, value = weight / given, stage.plan_.score
    order = np.argsort(value, kind="stable")
    assert (np.diff(factor[order]) >= -1e-12).all()
    assert 0 < factor.min() < 0.1
    assert 0.15 < (factor < 1).mean() <= 0.21
    for low in np.unique(value):
        assert np.ptp(factor[value == low]) < 1e-12


def test_report_leaves_rows_as_they_are():
    X, y, _ = noisy()
    stage = PruneValue(action="report")
    out, labels = stage.fit_resample(X, y)
    assert out.equals(X)
    assert labels.tolist() == y.tolist()
    assert (stage.plan_.reason != "").sum() == 30
    assert stage.findings_[0].remedy == {
        "prune.value": {"method": "knn_shapley", "share": 0.1, "action": "weight"}
    }


@pytest.mark.parametrize("method", METHODS)
def test_no_class_loses_all_its_rows(method):
    X, _, _ = noisy(90, 1)
    y = np.array(["common"] * 86 + ["rare"] * 4)
    stage = PruneValue(method=method, share=0.9).fit(X, y)
    kept = y[stage.plan_.times > 0]
    assert set(kept) == {"common", "rare"}


def test_rows_without_a_label_or_weight_are_left_alone():
    X, y, _ = noisy(100, 10)
    labels = [None if i < 5 else int(v) for i, v in enumerate(y)]
    weight = np.ones(100)
    weight[5:9] = 0
    frame = X.with_columns(pl.Series("y", labels), pl.Series("w", weight))
    for method in METHODS:
        stage = PruneValue(method=method, share=0.5)
        plan = stage.fit(Table.of(frame, roles=Roles(target="y", weight="w"))).plan_
        assert np.isnan(plan.score[:9]).all()
        assert (plan.times[:9] == 1).all()
        assert (plan.times == 0).sum() == 46


def test_groups_are_not_valued_by_their_own_rows():
    """Copies under drawn labels vouch for each other, unless a group tells that they are one."""
    random = np.random.default_rng(0)
    X = np.repeat(random.normal(size=(80, 3)), 2, axis=0)
    y = np.repeat(random.integers(0, 2, 80), 2)
    for method in METHODS:
        alone = PruneValue(method=method, n_neighbors=1).fit(X, y).plan_.score.mean()
        grouped = PruneValue(method=method, n_neighbors=1).fit(X, y, groups=np.arange(160) // 2).plan_
        assert alone > 0.65
        assert grouped.score.mean() < 0.6


def test_gaps_and_categories_have_a_say():
    random = np.random.default_rng(0)
    kind = random.choice(["x", "y"], 200)
    y = (kind == "x").astype(int)
    y[:10] = 1 - y[:10]
    frame = pd.DataFrame({"kind": pd.Categorical(kind), "noise": random.normal(size=200), "none": np.nan})
    frame.loc[150:, "noise"] = np.nan
    for method in METHODS:
        plan = PruneValue(method=method, share=0.05).fit(frame, y).plan_
        assert (plan.times[:10] == 0).sum() >= 8


def test_one_class_and_no_column_are_clear_errors():
    with pytest.raises(DataError, match="has one class"):
        PruneValue().fit(np.ones((4, 1)), ["a"] * 4)
    with pytest.raises(DataError, match="no column that can be read as numbers"):
        PruneValue().fit(
            pl.DataFrame({"v": pl.Series([[1.0, 2.0]] * 4, dtype=pl.Array(pl.Float64, 2))}), [0, 1] * 2
        )
    with pytest.raises(DataError, match="infinite in 1 rows"):
        PruneValue().fit(np.ones((3, 1)), [0.5, np.inf, 1.25])


def test_one_row_and_columns_without_a_value_change_nothing():
    assert PruneValue().fit(np.ones((1, 2)), [0.5]).plan_.times.tolist() == [1]
    empty = pl.DataFrame({"a": pl.Series([None] * 4, dtype=pl.Float64)})
    assert PruneValue().fit(empty, [0, 1, 0, 1]).plan_.times.tolist() == [1] * 4
