"""OutliersEnsemble: its members, asked one by one, are the oracle."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata
from sklearn.utils._param_validation import InvalidParameterError

from tilth.errors import StageError, UnknownName
from tilth.stages import stage
from tilth.stages.outliers.ensemble import OutliersEnsemble


@pytest.fixture
def rows() -> pl.DataFrame:
    random = np.random.default_rng(0)
    X = np.exp(random.standard_normal((300, 4)) / 2)
    X[:5] += 20
    return pl.DataFrame(X, schema=list("abcd"))


def scores(key: str, rows: pl.DataFrame, **more) -> np.ndarray:
    return -stage(key, action="report", **more).fit(rows).plan_.score


def test_rows_are_in_the_order_of_their_mean_rank(rows: pl.DataFrame) -> None:
    members = ["ecod", {"neighbors": {"method": "lof", "n_neighbors": 10}}, "outliers.pca"]
    ours = scores("outliers.ensemble", rows, members=members)
    each = [
        scores("outliers.ecod", rows),
        scores("outliers.neighbors", rows, method="lof", n_neighbors=10),
        scores("outliers.pca", rows),
    ]
    np.testing.assert_array_equal(rankdata(ours), rankdata(np.sum([rankdata(s) for s in each], axis=0)))


def test_one_member_alone_keeps_its_scores_in_its_own_spread(rows: pl.DataFrame) -> None:
    ours, own = scores("outliers.ensemble", rows, members=["ecod"]), scores("outliers.ecod", rows)
    first, middle, third = np.quantile(own, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(ours, (own - middle) / (third - first), atol=1e-9)


def test_named_thresholds_see_how_far_out_the_last_rows_are(rows: pl.DataFrame) -> None:
    tame = pl.DataFrame(np.random.default_rng(1).uniform(size=(300, 4)), schema=list("abcd"))
    far = OutliersEnsemble(threshold="boxplot").fit(rows).plan_.times == 0
    assert far[:5].all() and far.mean() < 0.15
    assert (OutliersEnsemble(threshold="boxplot").fit(tame).plan_.times == 0).mean() < 0.03


def test_the_default_asks_a_forest_and_the_neighbors(rows: pl.DataFrame) -> None:
    members = ["forest", {"neighbors": {"n_neighbors": 30}}]
    default = scores("outliers.ensemble", rows)
    np.testing.assert_array_equal(default, scores("outliers.ensemble", rows, members=members))
    few = rows.head(50)
    members = ["forest", {"neighbors": {"n_neighbors": 20}}]
    expected = scores("outliers.ensemble", few, members=members)
    np.testing.assert_array_equal(scores("outliers.ensemble", few), expected)


def test_the_seed_reaches_the_members_that_draw_unless_they_have_one(rows: pl.DataFrame) -> None:
    forest = scores("outliers.forest", rows, random_state=7)
    for members, seed in ((["forest"], 7), ([{"forest": {"random_state": 7}}], 0)):
        ours = scores("outliers.ensemble", rows, members=members, random_state=seed)
        np.testing.assert_array_equal(rankdata(ours), rankdata(forest))
    other = scores("outliers.ensemble", rows, members=["forest"], random_state=8)
    assert not np.array_equal(rankdata(other), rankdata(forest))


def test_a_member_that_wants_numbers_as_they_are_gets_them() -> None:
    random = np.random.default_rng(2)
    rows = pl.DataFrame({"a": random.standard_normal(100), "b": random.standard_normal(100) * 1e5})
    given = {"scale": "none", "n_neighbors": 5}
    ours = scores("outliers.ensemble", rows, members=[{"neighbors": given}])
    np.testing.assert_allclose(rankdata(ours), rankdata(scores("outliers.neighbors", rows, **given)), atol=2)


def test_the_reason_is_the_column_that_the_members_agree_on() -> None:
    X = np.random.default_rng(3).standard_normal((300, 4))
    X[9, 2] = 30.0
    rows = pl.DataFrame(X, schema=list("abcd"))
    members = ["ecod", "pca", "neighbors", {"autoencoder": {"width": 4, "max_epochs": 2}}]
    plan = OutliersEnsemble(members=members, threshold=0.004).fit(rows).plan_
    assert plan.reason[9].startswith("c 30 (")


def test_scores_of_rows_that_are_all_the_same_are_the_same() -> None:
    same = pl.DataFrame({"a": [1.0] * 30, "b": ["x"] * 30})
    stage = OutliersEnsemble().fit(same)
    assert np.ptp(stage.plan_.score) == 0 and (stage.plan_.times == 1).all()


@pytest.mark.parametrize(
    ("members", "error", "told"),
    [
        (["clip"], StageError, "'outliers.clip' scores no rows"),
        (["impute.simple"], StageError, "'impute.simple' scores no rows"),
        (["forrest"], UnknownName, "outliers.forest"),
        ([{"forest": {"trees": 3}}], UnknownName, "trees"),
        ([{"forest": {"n_estimators": 0}}], InvalidParameterError, "n_estimators"),
        ([{"ecod": {"action": "drop", "threshold": 0.1}}], StageError, r"\['action', 'threshold'\]"),
        (["ecod", 3], InvalidParameterError, "members"),
        ([], InvalidParameterError, "members"),
    ],
)
def test_members_that_cannot_be_are_refused(rows: pl.DataFrame, members, error, told: str) -> None:
    with pytest.raises(error, match=told):
        OutliersEnsemble(members=members).fit(rows)
