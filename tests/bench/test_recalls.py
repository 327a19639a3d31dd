"""The recall of each class: which class pays, by the numbers and in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import recall_score

from tests.bench.planted import NoOp, gaussian
from tilth.bench import ablate, compare
from tilth.bench.metrics import balanced_accuracy, worst_recall
from tilth.bench.recalls import MOST_CLASSES, fallen, recalls_in, recalls_of
from tilth.bench.result import RECALLS, SCORES
from tilth.bench.statistics import corrected_t, holm
from tilth.bench.verdicts import Facts
from tilth.core import RowPlan, RowStage

ALONE = {"probes": ["linear"], "n_jobs": 1}


class DropClass(RowStage):
    """Drop nine in ten rows of class 1: models learn to say it rarely."""

    needs_target = True

    def plan(self, table):
        return RowPlan(((table.y.to_numpy() != 1) | (table.ids % 10 == 0)).astype(np.int64))


@pytest.fixture(scope="module")
def paying():
    X, y = gaussian(600, strength=1.0)
    return X, y, compare(None, [DropClass()], X, y, repeats=2, **ALONE)


@pytest.mark.parametrize("classes", [2, 3, MOST_CLASSES])
def test_recalls_are_scikit_learns(classes):
    random = np.random.default_rng(classes)
    truth, answer = random.integers(0, classes, 400), random.dirichlet(np.ones(classes), 400)
    weight = random.integers(0, 4, 400).astype(float)
    labels = pl.Series([f"c{k}" for k in range(classes)])
    metrics = recalls_in(labels)
    assert [m.name for m in metrics] == [f"recall of c{k}" for k in range(classes)]
    found = [m.score(truth, answer, weight) for m in metrics]
    said = answer.argmax(axis=1)
    assert found == pytest.approx(recall_score(truth, said, average=None, sample_weight=weight))
    assert np.mean(found) == pytest.approx(balanced_accuracy(truth, answer, weight))
    assert np.min(found) == pytest.approx(worst_recall(truth, answer, weight))


def test_a_class_without_rows_has_no_recall_and_many_classes_have_none():
    first, second = recalls_in(pl.Series(["a", "b"]))
    answer, weight = np.array([[0.9, 0.1], [0.2, 0.8]]), np.ones(2)
    assert np.isnan(second.score(np.zeros(2, int), answer, weight))
    assert np.isnan(second.score(np.array([0, 1]), answer, np.array([1.0, 0.0])))
    assert first.score(np.zeros(2, int), answer, weight) == 0.5
    assert recalls_in(pl.Series([str(k) for k in range(MOST_CLASSES + 1)])) == []
    assert recalls_in(pl.Series([], dtype=pl.String)) == []


def test_every_arm_has_the_recall_of_each_class_in_its_scores(paying):
    _, _, done = paying
    wide = done.scores.filter(pl.col("metric").str.contains("recall")).pivot(
        "metric", index=["arm", "repeat", "fold"], values="value"
    )
    assert wide.height == done.scores["arm"].n_unique() * 10
    lowest = wide.select(pl.min_horizontal("recall of 0", "recall of 1")).to_series()
    assert lowest.to_list() == pytest.approx(wide["worst_recall"].to_list())


def test_the_intervals_are_corrected_and_p_values_are_holms(paying):
    _, y, done = paying
    assert done.recalls.schema == RECALLS and done.recalls["label"].to_list() == ["0", "1"]
    for line in done.recalls.to_dicts():
        both = [
            done.scores.filter(metric=f"recall of {line['label']}", arm=arm).sort("repeat", "fold")["value"]
            for arm in ("before", "after")
        ]
        told = corrected_t((both[1] - both[0]).to_numpy(), 5)
        assert [line[k] for k in ("difference", "low", "high", "p")] == pytest.approx(
            [told.mean, told.low, told.high, told.p]
        )
        assert line["before"] == pytest.approx(both[0].mean()) and line["n_scores"] == 10
        assert line["rows"] == (y == int(line["label"])).sum()
    assert done.recalls["p_holm"].to_list() == pytest.approx(holm(done.recalls["p"].to_numpy()).tolist())
    assert len(done.as_dict()["recalls"]) == 2


def test_the_class_that_pays_is_named_in_one_line(paying):
    _, _, done = paying
    assert dict(done.recalls.select("label", "falls").iter_rows()) == {"0": False, "1": True}
    (finding,) = [f for f in done.controls if f.kind == "bench.recall"]
    lost = done.recalls.filter(label="1").row(0, named=True)
    assert finding.score == pytest.approx(-lost["difference"]) and finding.n_rows == lost["rows"]
    assert finding.message.startswith(
        f"linear: of 2 classes, 1 clearly loses recall: 1 {lost['before']:.4f} -> {lost['after']:.4f} (95 %"
    )
    assert done.in_words().count(finding.message) == 1
    # Guards are what they were: no recall of a class forbids a word.
    assert not any("recall of" in name for v in done.verdicts for name in v.guards)


def test_nothing_is_said_of_one_draw_of_small_classes_or_of_no_loss(paying):
    X, y, done = paying
    once = compare(None, [DropClass()], X, y, repeats=1, **ALONE)
    assert once.recalls.height == 2 and not once.recalls["falls"].any()
    assert not compare(None, [NoOp()], X, y, repeats=2, **ALONE).recalls["falls"].any()
    facts = Facts("binary", ("roc_auc",), 5, 2, 600, np.array([580, 24]), {})
    ask = lambda facts: recalls_of(
        done.scores, [("", "before", "after")], ["linear"], facts, pl.Series(["0", "1"])
    )
    assert ask(replace(facts, counts=np.array([575, 25])))["falls"].to_list() == [False, True]
    assert not ask(facts)["falls"].any() and fallen(ask(facts)) == []


def test_a_class_in_one_test_part_has_no_line():
    lines = [
        {"probe": "p", "metric": f"recall of {c}", "arm": a, "repeat": 0, "fold": f, "value": v}
        for a in ("before", "after")
        for f in range(3)
        for c, v in (("x", 0.5 + 0.1 * f), ("y", 0.5 if f == 0 else float("nan")))
    ]
    facts = Facts("binary", ("roc_auc",), 3, 1, 30, np.array([20, 10]), {})
    told = recalls_of(
        pl.DataFrame(lines, schema=SCORES), [("s", "before", "after")], ["p"], facts, pl.Series(["x", "y"])
    )
    assert told["label"].to_list() == ["x"] and told["p"].to_list() == [1.0]


def test_stages_are_asked_about_and_credited_by_class():
    X, y = gaussian(300, strength=1.0)
    steps = [("idle", NoOp()), ("drops", DropClass())]
    left = ablate(steps, X, y, repeats=2, **ALONE)
    assert left.recalls.select("stage", "label").rows() == [
        ("idle", "0"), ("idle", "1"), ("drops", "0"), ("drops", "1"),
    ]  # fmt: skip
    (finding,) = [f for f in left.controls if f.kind == "bench.recall"]
    assert finding.message.startswith("drops: linear: of 2 classes, 1 clearly loses recall: 1 ")
    credited = ablate(steps, X, y, method="shapley", repeats=2, **ALONE)
    shares = credited.credits.filter(metric="recall of 1")
    ends = credited.scores.filter(metric="recall of 1").group_by("arm").agg(pl.col("value").mean())
    mean = dict(ends.iter_rows())
    assert shares["value"].sum() == pytest.approx(mean["full"] - mean["none"])
    by_stage = credited.recalls.filter(label="1")
    assert by_stage["difference"].to_list() == pytest.approx(shares["value"].to_list())


def test_a_regression_has_no_classes():
    X, _ = gaussian(100)
    value = X["x0"].to_numpy() + np.random.default_rng(0).normal(size=100)
    done = compare(None, [NoOp()], X, value, repeats=1, **ALONE)
    assert done.recalls.is_empty() and done.recalls.schema == RECALLS
