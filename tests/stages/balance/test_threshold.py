"""balance.threshold: rows stay, decisions move, and probabilities are left alone."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, f1_score, make_scorer
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.svm import LinearSVC

import tilth
from tilth.errors import DataError, StageError
from tilth.stages.balance.threshold import BalanceThreshold


@pytest.fixture(scope="module")
def rare():
    random = np.random.default_rng(5)
    X = random.normal(size=(800, 3))
    y = np.where(X[:, 0] + random.normal(size=800) > 2.0, "yes", "no")
    return pl.DataFrame(X, schema=["a", "b", "c"]), y


def test_it_chooses_what_scikit_learn_would_on_the_same_probabilities(rare):
    X, y = rare
    random = np.random.default_rng(0)
    said = np.clip(random.normal(np.where(y == "yes", 0.4, 0.15), 0.15), 0.01, 0.99)

    class Said(LogisticRegression):
        """A model that was fitted before, and says what it said."""

        def predict_proba(self, X):
            return np.column_stack([1 - X[:, 0], X[:, 0]])

    rows = said.reshape(-1, 1)
    model = Said().fit(rows, y)
    peer = TunedThresholdClassifierCV(
        model, scoring="balanced_accuracy", cv="prefit", refit=False, thresholds=np.unique(said)
    ).fit(rows, y)
    stage = BalanceThreshold().fit(X, y)
    stage.learn_decision((y == "yes").astype(int), model.predict_proba(rows), np.ones(len(y)), ["no", "yes"])
    ours = np.array(["no", "yes"])[stage.decide(model.predict_proba(rows))]
    theirs = FixedThresholdClassifier(model, threshold=peer.best_threshold_).fit(rows, y).predict(rows)
    assert balanced_accuracy_score(y, ours) == pytest.approx(balanced_accuracy_score(y, theirs), abs=1e-12)
    assert f"{stage.threshold_:.4g}" in stage.findings_[-1].message


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1", "accuracy", "geometric_mean", "matthews"])
def test_each_metric_is_served(rare, metric):
    X, y = rare
    pipe = tilth.Pipeline([BalanceThreshold(metric=metric), LogisticRegression()]).fit(X, y)
    plain = LogisticRegression().fit(X.to_numpy(), y)
    assert np.allclose(pipe.predict_proba(X), plain.predict_proba(X.to_numpy()))
    assert (pipe.predict(X) == np.where(pipe.predict_proba(X)[:, 1] >= pipe[0].threshold_, "yes", "no")).all()
    scorer = make_scorer(f1_score, pos_label="yes")
    if metric == "f1":
        assert scorer(pipe, X, y) > scorer(plain, X.to_numpy(), y) + 0.02
    assert pipe.score(X, y) == (pipe.predict(X) == y).mean()
    [told] = pipe.findings_
    assert told.kind == "balance.threshold" and told.score >= 0


def test_costs_move_the_threshold_where_theory_puts_it():
    """Of calibrated probabilities the best threshold is cost of a false yes / sum of both costs (Elkan)."""
    random = np.random.default_rng(2)
    said = random.uniform(size=200_000)
    truth = (random.uniform(size=len(said)) < said).astype(int)
    stage = BalanceThreshold(costs={"yes": {"no": 4.0}, "no": {"yes": 1.0}})
    stage.findings_ = []
    stage.learn_decision(truth, np.column_stack([1 - said, said]), np.ones(len(said)), ["no", "yes"])
    assert stage.threshold_ == pytest.approx(0.2, abs=0.02)
    stage = BalanceThreshold(costs={"no": {"yes": 9.0}})
    stage.findings_ = []
    stage.learn_decision(truth, np.column_stack([1 - said, said]), np.ones(len(said)), ["no", "yes"])
    assert stage.threshold_ == pytest.approx(0.9, abs=0.02)
    assert "mean cost" in stage.findings_[-1].message


def test_several_classes_get_a_factor_each():
    random = np.random.default_rng(1)
    y = random.choice(["a", "b", "c"], 900, p=[0.8, 0.12, 0.08])
    X = np.column_stack([y == "b", y == "c"]) * 1.3 + random.normal(size=(900, 2))
    plain = LogisticRegression().fit(X, y)
    pipe = tilth.Pipeline([BalanceThreshold(), LogisticRegression()]).fit(X, y)
    assert balanced_accuracy_score(y, pipe.predict(X)) > balanced_accuracy_score(y, plain.predict(X)) + 0.05
    assert pipe[0].factors_.shape == (3,) and not hasattr(pipe[0], "threshold_")


def test_f1_is_of_the_rarer_class_or_of_the_one_named(rare):
    X, y = rare
    mirrored = np.where(y == "yes", "a", "b")
    other = tilth.Pipeline([BalanceThreshold(metric="f1"), LogisticRegression()]).fit(X, mirrored)
    first = tilth.Pipeline([BalanceThreshold(metric="f1"), LogisticRegression()]).fit(X, y)
    assert ((first.predict(X) == "yes") == (other.predict(X) == "a")).mean() > 0.99
    named = BalanceThreshold(metric="f1", positive="no")
    frequent = tilth.Pipeline([named, LogisticRegression()]).fit(X, y)
    assert frequent[0].threshold_ > first[0].threshold_


def test_groups_are_kept_whole_and_weights_count(rare):
    X, y = rare
    groups, weight = np.arange(len(y)) // 8, np.where(y == "yes", 30.0, 1.0)
    pipe = tilth.Pipeline([BalanceThreshold(metric="accuracy"), LogisticRegression()])
    plain = pipe.fit(X, y, groups=groups)[0].threshold_
    heavy = pipe.fit(X, y, sample_weight=weight, groups=groups)[0]
    # Of weights that make "yes" as heavy as all others, the model is sure of it far more often.
    assert (heavy.decide(pipe.predict_proba(X)) == 1).mean() > 0.1
    assert plain != heavy.threshold_


def test_it_is_saved_and_loaded(rare, tmp_path):
    X, y = rare
    stages = [tilth.stage("balance.weight"), BalanceThreshold(metric="f1")]
    pipe = tilth.Pipeline([*stages, LogisticRegression()]).fit(X, y)
    pipe.save(tmp_path / "bundle")
    again = tilth.load(tmp_path / "bundle")
    assert (again.predict(X) == pipe.predict(X)).all()
    assert np.array_equal(again.predict_proba(X), pipe.predict_proba(X))
    assert np.allclose(again.predict_log_proba(X), np.log(again.predict_proba(X)))


def test_what_it_cannot_do_is_said(rare):
    X, y = rare
    with pytest.raises(StageError, match="LinearSVC gives none"):
        tilth.Pipeline([BalanceThreshold(), LinearSVC()]).fit(X, y)
    with pytest.raises(DataError, match="works on classes"):
        tilth.Pipeline([BalanceThreshold(), Ridge()]).fit(X, np.linspace(0, 1, len(y)))
    with pytest.raises(DataError, match="costs: names the class 'maybe'"):
        BalanceThreshold(costs={"maybe": {"no": 2.0}}).fit(X, y)
    with pytest.raises(DataError, match="positive: names the class 'maybe'"):
        BalanceThreshold(metric="f1", positive="maybe").fit(X, y)


def test_without_a_model_it_does_nothing(rare):
    X, y = rare
    out, labels = BalanceThreshold().fit_resample(X, y)
    assert out.equals(X) and (labels == y).all()
    assert not tilth.Pipeline([BalanceThreshold()]).fit(X, y).findings_
