"""The boosting probe is scikit-learn's own on numbers, and says when it cannot stop early."""

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from tilth.errors import TilthWarning
from tilth.probes import Boosting

DEFAULTS = {
    "max_iter": 300,
    "learning_rate": 0.05,
    "max_leaf_nodes": 31,
    "early_stopping": True,
    "validation_fraction": 0.15,
    "n_iter_no_change": 20,
}


def gappy(rows=400):
    random = np.random.default_rng(0)
    X = random.normal(size=(rows, 4))
    score = X[:, 0] * X[:, 1] + 0.3 * random.normal(size=rows)
    X[random.random(X.shape) < 0.1] = np.nan
    return X, score


def test_equals_scikit_learn_on_numbers_with_gaps():
    X, score = gappy()
    labels = np.where(score > 0, "up", "down")
    theirs = HistGradientBoostingClassifier(random_state=3, **DEFAULTS).fit(X, labels)
    ours = Boosting(random_state=3).fit(X, labels)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert ours.n_iter_ == theirs.n_iter_ < 300
    theirs = HistGradientBoostingRegressor(random_state=3, **DEFAULTS).fit(X, score)
    np.testing.assert_array_equal(Boosting(random_state=3).fit(X, score).predict(X), theirs.predict(X))


@pytest.mark.parametrize("more", [{"min_samples_leaf": 60}, {"l2_regularization": 30.0}])
def test_leaves_and_penalty_are_scikit_learns(more):
    X, score = gappy()
    theirs = HistGradientBoostingClassifier(random_state=3, **DEFAULTS | more).fit(X, score > 0)
    ours = Boosting(random_state=3, **more).fit(X, score > 0)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert not np.array_equal(
        Boosting(random_state=3).fit(X, score > 0).predict_proba(X), ours.predict_proba(X)
    )


def test_a_probe_saved_before_a_parameter_was_there_does_as_it_did():
    X, score = gappy()
    model = Boosting(max_iter=5, random_state=0).fit(X, score > 0)
    state = model.__getstate__()
    del state["l2_regularization"], state["min_samples_leaf"]
    old = Boosting.__new__(Boosting)
    old.__setstate__(state)
    np.testing.assert_array_equal(old.fit(X, score > 0).predict_proba(X), model.predict_proba(X))


def test_equals_scikit_learn_on_categories(mixed):
    frame, score = mixed
    table = frame.select("city").drop_nulls().to_pandas().astype({"city": "category"})
    y = score[frame["city"].is_not_null().to_numpy()] > 0
    theirs = HistGradientBoostingClassifier(random_state=3, **DEFAULTS).fit(table, y)
    np.testing.assert_array_equal(
        Boosting(random_state=3).fit(table, y).predict_proba(table), theirs.predict_proba(table)
    )


def test_splits_sets_of_categories_that_no_order_could():
    random = np.random.default_rng(0)
    code = random.integers(0, 200, 3000)
    lucky = random.random(200) > 0.5
    frame = pl.DataFrame({"code": [f"c{i}" for i in code]})
    assert Boosting(max_iter=30, random_state=0).fit(frame, lucky[code]).score(frame, lucky[code]) > 0.95


def test_more_categories_than_a_tree_can_hold_share_a_level():
    frame = pl.DataFrame({"id": [f"user {i}" for i in range(2000)]})
    model = Boosting(max_iter=5, random_state=0).fit(frame, np.arange(2000) % 2)
    assert model.inputs_.columns_[0].codes == 255
    assert np.isfinite(model.predict_proba(frame)).all()


@pytest.mark.parametrize("known", [0, 1, 2, 19])
def test_nearly_empty_columns_are_no_obstacle(known):
    X, score = gappy()
    column = np.full((len(X), 1), np.nan)
    column[:known, 0] = np.arange(known)
    expected = Boosting(max_iter=20, random_state=0).fit(X, score > 0).predict_proba(X)
    for seed in range(4):
        wider = Boosting(max_iter=20, random_state=seed).fit(np.hstack([X, column]), score > 0)
        if seed == 0:
            np.testing.assert_array_equal(wider.predict_proba(np.hstack([X, column])), expected)


def test_says_that_it_cannot_stop_early_where_a_class_has_one_row():
    X, score = gappy(100)
    labels = np.where(score > 0, "up", "down").astype(object)
    labels[0] = "only"
    with pytest.warns(TilthWarning, match="without early stopping"):
        model = Boosting(max_iter=12, random_state=0).fit(X, labels)
    assert model.n_iter_ == 12
    assert model.predict_proba(X).shape == (100, 3)
