"""Decisions: the best threshold is the best of all there are, and metrics equal scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tilth.statistics import deciding


def rows(seed, count=60, classes=2, ties=False):
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, count)
    said = random.dirichlet(np.ones(classes), count) + np.eye(classes)[truth] * 0.3
    said = np.round(said, 1) + 0.01 if ties else said
    return truth, said / said.sum(axis=1, keepdims=True), random.uniform(0.1, 2, count)


def confusion(truth, decided, weight, classes):
    out = np.zeros((classes, classes))
    np.add.at(out, (truth, decided), weight)
    return out


PEERS = {
    "accuracy": lambda t, d, w: metrics.accuracy_score(t, d, sample_weight=w),
    "balanced_accuracy": lambda t, d, w: metrics.balanced_accuracy_score(t, d, sample_weight=w),
    "matthews": lambda t, d, w: metrics.matthews_corrcoef(t, d, sample_weight=w),
}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_of_a_confusion_are_scikit_learns(name, classes):
    truth, said, weight = rows(1, classes=classes)
    decided = said.argmax(axis=1)
    value = getattr(deciding, name)(confusion(truth, decided, weight, classes))
    assert value == pytest.approx(PEERS[name](truth, decided, weight), abs=1e-12)
    score = metrics.f1_score(truth, decided, average=None, sample_weight=weight)
    assert np.allclose(deciding.f1(confusion(truth, decided, weight, classes)), score, atol=1e-12)


def test_geometric_mean_is_imbalanced_learns():
    from imblearn.metrics import geometric_mean_score

    truth, said, weight = rows(5, classes=3)
    decided = said.argmax(axis=1)
    value = deciding.geometric_mean(confusion(truth, decided, weight, 3))
    expected = geometric_mean_score(truth, decided, average="multiclass", sample_weight=weight)
    assert value == pytest.approx(expected, abs=1e-12)
    assert deciding.geometric_mean(np.array([[3.0, 0.0], [2.0, 0.0]])) == 0.0


def test_nothing_hit_is_worth_nothing():
    nothing = np.zeros((2, 2))
    assert deciding.accuracy(nothing) == 0 and deciding.matthews(nothing) == 0
    assert deciding.f1(nothing).tolist() == [0, 0]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from(["accuracy", "balanced_accuracy", "matthews"]), st.booleans())
def test_no_threshold_is_better(seed, name, ties):
    truth, said, weight = rows(seed, ties=ties)
    worth = getattr(deciding, name)
    found = deciding.best_factors(truth, said, weight, worth)
    share = said[:, 1] / said.sum(axis=1)
    tried = [confusion(truth, (share >= t).astype(int), weight, 2) for t in [*np.unique(share), 2.0]]
    assert found.worth == pytest.approx(max(map(float, map(worth, tried))), abs=1e-9)
    reached = worth(confusion(truth, deciding.decide(said, found.factors), weight, 2))
    assert reached == pytest.approx(found.worth, abs=1e-9)
    assert found.worth >= found.worth_before and found.factors.sum() == pytest.approx(1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(3, 5))
def test_of_more_classes_decisions_only_get_better(seed, classes):
    truth, said, weight = rows(seed, classes=classes)
    found = deciding.best_factors(truth, said, weight, deciding.balanced_accuracy)
    decided = deciding.decide(said, found.factors)
    reached = deciding.balanced_accuracy(confusion(truth, decided, weight, classes))
    assert reached == pytest.approx(found.worth, abs=1e-9)
    assert found.worth >= found.worth_before
    # No class's factor alone can be moved to gain more.
    for moved in range(classes):
        for factor in np.geomspace(1e-3, 1e3, 60) * found.factors[moved]:
            other = found.factors.copy()
            other[moved] = factor
            decided = deciding.decide(said, other)
            assert (
                deciding.balanced_accuracy(confusion(truth, decided, weight, classes)) <= found.worth + 1e-9
            )


def test_a_threshold_that_cannot_gain_stays_at_one_half():
    said = np.array([0.2, 0.3, 0.7, 0.8])
    found = deciding.best_factors(
        np.array([0, 0, 1, 1]), np.column_stack([1 - said, said]), np.ones(4), deciding.accuracy
    )
    assert found.factors.tolist() == [0.5, 0.5] and found.worth == found.worth_before == 1.0


def test_many_levels_are_searched_by_quantiles(monkeypatch):
    truth, said, weight = rows(9, count=3000)
    exact = deciding.best_factors(truth, said, weight, deciding.balanced_accuracy)
    monkeypatch.setattr(deciding, "MOST_CUTS", 200)
    near = deciding.best_factors(truth, said, weight, deciding.balanced_accuracy)
    assert exact.worth - 0.01 < near.worth <= exact.worth
