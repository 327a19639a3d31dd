"""What a pipeline says: probabilities at the first class frequencies, decisions by a threshold."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.naive_bayes import GaussianNB

import tilth
from tilth.errors import BundleError
from tilth.pipeline.deciding import Decisions
from tilth.pipeline.load import _decisions
from tilth.stages.folds import folds_of


@pytest.fixture(scope="module")
def rare():
    random = np.random.default_rng(3)
    X = random.normal(size=(1200, 3))
    y = np.where(X[:, 0] + X[:, 1] + random.normal(size=1200) > 2.6, 1, 0)
    return pl.DataFrame(X, schema=["a", "b", "c"]), y


def test_naive_bayes_is_turned_back_exactly(rare):
    """Its densities do not depend on weights of classes, so the plain fit is what correction must give."""
    X, y = rare
    plain = GaussianNB().fit(X.to_numpy(), y)
    pipe = tilth.Pipeline([tilth.stage("balance.weight"), GaussianNB()]).fit(X, y)
    assert np.allclose(pipe.predict_proba(X), plain.predict_proba(X.to_numpy()), atol=1e-9)
    # Decisions stay the model's own.
    assert (pipe.predict(X) == pipe.model_.predict(X.to_numpy())).all()
    assert (pipe.predict(X) == 1).mean() > (plain.predict(X.to_numpy()) == 1).mean() + 0.1
    assert np.allclose(np.exp(pipe.predict_log_proba(X)), pipe.predict_proba(X))


def test_two_stages_are_turned_back_together(rare):
    X, y = rare
    stages = [tilth.stage("balance.over", ratio=0.3), tilth.stage("balance.weight")]
    pipe = tilth.Pipeline([*stages, LogisticRegression()]).fit(X, y)
    plain = tilth.Pipeline([LogisticRegression()]).fit(X, y)
    counts = np.bincount(y) / len(y)
    assert pipe.decisions_.prior == pytest.approx({"0": counts[0] / 0.5, "1": counts[1] / 0.5})
    assert log_loss(y, pipe.predict_proba(X)) < log_loss(y, plain.predict_proba(X)) + 0.01
    off = [
        tilth.stage("balance.over", correct_prior=False),
        tilth.stage("balance.weight", correct_prior=False),
    ]
    raw = tilth.Pipeline([*off, LogisticRegression()]).fit(X, y)
    assert raw.decisions_.prior == {}
    assert np.allclose(raw.predict_proba(X), raw.model_.predict_proba(X.to_numpy()), rtol=1e-12)
    assert log_loss(y, raw.predict_proba(X)) > log_loss(y, plain.predict_proba(X)) + 0.1


def test_the_same_threshold_comes_from_the_pipeline(rare):
    """By hand: out-of-fold probabilities of the pipeline's own folds, and every threshold tried."""
    X, y = rare
    pipe = tilth.Pipeline([tilth.stage("balance.threshold", folds=4), LogisticRegression()]).fit(X, y)
    table = tilth.table.Table.of(X, y)
    fold = folds_of(table.ids, 4, 0, y)
    said = np.zeros(len(y))
    for part in range(4):
        model = LogisticRegression().fit(X.filter(pl.Series(fold != part)).to_numpy(), y[fold != part])
        said[fold == part] = model.predict_proba(X.filter(pl.Series(fold == part)).to_numpy())[:, 1]
    found = pipe[0].threshold_
    best = max(balanced_accuracy_score(y, said >= t) for t in np.unique(said))
    assert balanced_accuracy_score(y, said >= found) == pytest.approx(best, abs=1e-12)
    assert log_loss(y, pipe.predict_proba(X)) == log_loss(y, pipe.model_.predict_proba(X.to_numpy()))


def test_the_threshold_is_chosen_on_corrected_probabilities_of_rows_held_out(rare, monkeypatch):
    """Held-out rows are never resampled, and what the fold's stages did to classes is undone."""
    X, y = rare
    stage = tilth.stage("balance.threshold", folds=3)
    seen = {}

    def spy(self, truth, probabilities, weight, classes):
        seen.update(truth=truth, said=probabilities, classes=list(classes))
        return learn(self, truth, probabilities, weight, classes)

    learn = type(stage).learn_decision
    monkeypatch.setattr(type(stage), "learn_decision", spy)
    tilth.Pipeline([tilth.stage("balance.over"), stage, LogisticRegression()]).fit(X, y)
    assert seen["classes"] == ["0", "1"] and (seen["truth"] == y).all()
    # Uncorrected, the mean probability would be near one half.
    assert seen["said"][:, 1].mean() == pytest.approx(y.mean(), abs=0.02)


def test_a_bundle_keeps_what_is_decided_by(rare, tmp_path):
    X, y = rare
    pipe = tilth.Pipeline([tilth.stage("balance.weight"), LogisticRegression()]).fit(X, y)
    pipe.save(tmp_path / "bundle")
    again = tilth.load(tmp_path / "bundle")
    assert again.decisions_ == pipe.decisions_
    assert np.array_equal(again.predict_proba(X), pipe.predict_proba(X))
    part = pipe[0:]
    assert np.array_equal(part.predict_proba(X), pipe.predict_proba(X))


def test_a_bundle_of_before_tells_of_no_frequencies_and_a_damaged_one_is_refused():
    assert _decisions([], {}) == Decisions()
    with pytest.raises(BundleError, match="class frequencies"):
        _decisions([], {"a": "b"})
