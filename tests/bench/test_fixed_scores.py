"""Scores under many draws at once are what the metrics give draw by draw."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.bench.fitting import certain
from tilth.bench.fixed_scores import Said, Scorer
from tilth.bench.metrics import Metric, metrics_of
from tilth.bench.recalls import recalls_in

FITTED = ("calibration_slope", "calibration_intercept")


def _one_by_one(metric, truth, said, counts):
    found = []
    for weight in counts.T:
        drawn = weight > 0
        found.append(metric.score(truth[drawn], said[drawn], weight[drawn]))
    return np.array(found)


def _classes(classes, rows, seed, ties):
    random = np.random.default_rng(seed)
    truth = random.permutation(np.arange(rows) % classes)
    raw = random.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[truth]
    raw = np.round(raw, 0 if ties else 6)
    said = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    decided = np.where(random.random(rows) < 0.1, random.integers(0, classes, rows), said.argmax(axis=1))
    return truth, said, decided


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 4),
    st.integers(8, 60),
    st.integers(0, 1000),
    st.booleans(),
    st.booleans(),
)
def test_metrics_of_classes_are_those_of_each_draw_by_itself(classes, rows, seed, ties, weighted):
    random = np.random.default_rng(seed)
    truth, said, decided = _classes(classes, rows, seed, ties)
    counts = random.integers(0, 4, size=(rows, 7)).astype(float)
    counts[: classes * 2] += 1.0
    weight = random.uniform(0.5, 2, rows) if weighted else np.ones(rows)
    metrics = [m for m in metrics_of("binary" if classes == 2 else "multiclass") if m.name not in FITTED]
    metrics += recalls_in(pl.Series([f"c{k}" for k in range(classes)]))
    found = Scorer(truth, weight, [Said(said, decided)], metrics, classes).under(counts)
    for metric in metrics:
        answer = certain(decided, classes) if metric.labels else said
        expected = _one_by_one(metric, truth, answer, counts * weight[:, None])
        np.testing.assert_allclose(
            found[0, metric.name], expected, rtol=1e-9, atol=1e-12, err_msg=metric.name
        )


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 50), st.integers(0, 1000))
def test_metrics_of_values_are_those_of_each_draw_by_itself(rows, seed):
    random = np.random.default_rng(seed)
    truth = random.normal(size=rows) + 100
    said = truth + random.normal(size=rows)
    counts = random.integers(0, 3, size=(rows, 6)).astype(float)
    counts[:2] += 1
    weight = random.uniform(0.5, 2, rows)
    metrics = metrics_of("regression")
    found = Scorer(truth, weight, [Said(said, None)], metrics, 0).under(counts)
    for metric in metrics:
        expected = _one_by_one(metric, truth, said, counts * weight[:, None])
        np.testing.assert_allclose(found[0, metric.name], expected, rtol=1e-7, err_msg=metric.name)


@pytest.mark.parametrize("name", FITTED)
def test_one_step_spreads_a_fitted_metric_as_refitting_does(name):
    truth, said, decided = _classes(2, 800, 0, ties=False)
    random = np.random.default_rng(1)
    counts = random.multinomial(800, np.full(800, 1 / 800), size=60).T.astype(float)
    (metric,) = [m for m in metrics_of("binary") if m.name == name]
    found = Scorer(truth, np.ones(800), [Said(said, decided)], [metric], 2).under(counts)[0, name]
    refitted = _one_by_one(metric, truth, said, counts)
    assert np.corrcoef(found, refitted)[0, 1] > 0.98
    assert found.std() == pytest.approx(refitted.std(), rel=0.08)


def test_many_levels_share_ranks_and_scores_stay_where_they_are():
    truth, said, decided = _classes(2, 4000, 0, ties=False)
    counts = np.random.default_rng(1).multinomial(4000, np.full(4000, 1 / 4000), size=40).T.astype(float)
    counts[:, 0] = 1
    metrics = [m for m in metrics_of("binary") if m.name in ("roc_auc", "pr_auc", "ece")]
    found = Scorer(truth, np.ones(4000), [Said(said, decided)], metrics, 2).under(counts)
    for metric in metrics:
        exact = _one_by_one(metric, truth, said, counts)
        mine = found[0, metric.name]
        assert mine[0] == pytest.approx(exact[0], abs=1e-12)
        assert mine.std() == pytest.approx(exact.std(), rel=0.03)
        assert np.corrcoef(mine, exact)[0, 1] > (0.99 if metric.name == "ece" else 0.9999)


def test_metrics_that_are_no_sums_are_scored_draw_by_draw():
    truth, said, decided = _classes(3, 40, 0, ties=False)
    median = Metric("median", lambda t, a, w: float(np.median(a[np.arange(len(t)), t])), ("multiclass",))
    counts = np.random.default_rng(0).integers(0, 3, size=(40, 5)).astype(float)
    found = Scorer(truth, np.ones(40), [Said(said, decided)], [median], 3).under(counts)[0, "median"]
    np.testing.assert_array_equal(found, _one_by_one(median, truth, said, counts))


def test_labels_alone_are_scored_by_metrics_of_labels_alone():
    truth, _, decided = _classes(2, 30, 0, ties=False)
    found = Scorer(truth, np.ones(30), [Said(None, decided)], metrics_of("binary"), 2).under(np.ones((30, 1)))
    assert {name for _, name in found} == {m.name for m in metrics_of("binary") if m.labels}
    assert found[0, "accuracy"][0] == (decided == truth).mean()


def test_a_draw_without_a_class_has_no_score_where_one_is_needed():
    truth, said, decided = _classes(2, 30, 0, ties=False)
    counts = np.column_stack([np.ones(30), truth == 0]).astype(float)
    found = Scorer(truth, np.ones(30), [Said(said, decided)], metrics_of("binary"), 2).under(counts)
    for name in ("roc_auc", "pr_auc"):
        assert np.isfinite(found[0, name][0]) and np.isnan(found[0, name][1])
    assert np.isfinite(found[0, "balanced_accuracy"]).all()
