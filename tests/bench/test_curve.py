"""Learning curves: nested draws, untouched test rows, and words that follow from what was planted."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import learning_curve as sklearns

import tilth
from tests.bench.planted import SEEN, FlipLabels, Loses, Oversample, Recorder, RowSpy, Spy, Weigh, gaussian
from tilth.bench import learning_curve
from tilth.bench.curve import sizes_of
from tilth.bench.design import Arm
from tilth.bench.preparing import RowsChanged
from tilth.bench.subset import draw_order, with_fewer
from tilth.bench.trial import plan
from tilth.errors import DataError
from tilth.table import Roles, Table

SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)


class Falls(RegressorMixin, BaseEstimator):
    """Know the truth, and err by the feature ``noise`` times a planted power law of the rows fitted on."""

    def __init__(self, a: float = 0.0, b: float = 0.0, c: float = 0.5) -> None:
        self.a = a
        self.b = b
        self.c = c

    def fit(self, X, y):
        self.error_ = self.a + self.b * len(y) ** -self.c
        return self

    def predict(self, X):
        return (X["truth"] + X["noise"] * self.error_).to_numpy()


def falling(rows=600, seed=0):
    random = np.random.default_rng(seed)
    truth = random.normal(size=rows)
    return pl.DataFrame({"truth": truth, "noise": random.normal(size=rows)}), truth


def design_of(X, y, *, folds=3, repeats=1, groups=None):
    design, _ = plan(
        X, y, None, groups, arms=[Arm("curve")], probes=["linear"], folds=folds, repeats=repeats,
        metric="auto", random_state=0, allow_fitted=False,
    )  # fmt: skip
    return design


# Draws


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 60), st.integers(0, 2**32))
def test_every_beginning_of_the_line_holds_its_share_of_each_stratum(data, rows, seed):
    strata = np.array(data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)))
    ids = np.arange(rows, dtype=np.uint64)
    line = draw_order(strata, np.arange(rows), ids, seed)
    assert sorted(line) == list(range(1, rows + 1))
    counts = np.bincount(strata, minlength=4)
    for size in range(1, rows + 1):
        held = np.bincount(strata[line <= size], minlength=4)
        assert (np.abs(held - counts * size / rows) < 2).all()


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 60), st.integers(0, 2**32))
def test_units_stay_whole_and_the_order_of_rows_does_not_matter(data, rows, seed):
    strata = np.array(data.draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows)))
    units = np.array(data.draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)))
    ids = np.arange(rows, dtype=np.uint64)
    line = draw_order(strata, units, ids, seed)
    assert all(len(set(line[units == unit])) == 1 for unit in units)
    assert all((line <= end).sum() == end for end in set(line))
    order = np.array(data.draw(st.permutations(range(rows))))
    assert (draw_order(strata[order], units[order], ids[order], seed) == line[order]).all()


def test_draws_are_nested_and_test_rows_stay():
    X, y = gaussian(300)
    design = design_of(X, y, repeats=2)
    for repeat in range(2):
        for fold in range(3):
            test = set(design.table.ids[design.fold_of[repeat] == fold])
            before = set()
            for fewer in with_fewer(design, repeat, fold, [20, 50, 120, 200]):
                ids, held = fewer.table.ids, fewer.fold_of[repeat] == fold
                assert set(ids[held]) == test and len(ids) == len(fewer.truth) == len(fewer.weight)
                assert (fewer.truth == y[ids.astype(int)]).all()
                assert before <= set(ids[~held])
                before = set(ids[~held])
            assert len(before) == 200


def test_each_fold_draws_rows_of_its_own():
    X, y = gaussian(300)
    design = design_of(X, y)
    drawn = [set(with_fewer(design, 0, f, [40])[0].table.ids) - set() for f in range(3)]
    both = set.intersection(*(d - set(design.table.ids[design.fold_of[0] == f]) for f, d in enumerate(drawn)))
    assert len(both) < 20


def test_groups_are_drawn_whole():
    X, y = gaussian(300)
    groups = np.arange(300) // 6
    design = design_of(X, y, groups=groups)
    for fewer in with_fewer(design, 0, 0, [3, 20, 100]):
        inside = fewer.table.ids[fewer.fold_of[0] != 0].astype(int)
        assert set(np.bincount(groups[inside])) <= {0, 6} and len(inside) > 0


def test_rows_without_a_label_stay_and_only_labels_are_counted():
    X, y = gaussian(400)
    target = pl.Series([int(v) if i % 4 == 0 else None for i, v in enumerate(y)])
    design = design_of(X, target)
    for size, fewer in zip([10, 30], with_fewer(design, 0, 1, [10, 30]), strict=True):
        assert (~fewer.labeled).sum() == 300
        assert (fewer.labeled & (fewer.fold_of[0] != 1)).sum() == size
    done = learning_curve(None, X, target, probes=["linear"], folds=3, repeats=1, n_jobs=1)
    assert done.rows == 100 and done.sizes[-1] == 66
    assert done.classes.filter(pl.col("rows") == 66)["count"].sum() == pytest.approx(66, abs=1)


def test_sizes_by_default_rise_by_one_factor_and_hold_the_rarest_class():
    X, y = gaussian(2000)
    sizes = sizes_of(design_of(X, y, folds=5), None)
    assert len(sizes) == 8 and sizes[-1] == 1600 and sizes[0] == 100
    assert np.ptp(np.diff(np.log(sizes))) < 0.02
    rare = (np.arange(2000) % 100 == 0).astype(int)
    assert sizes_of(design_of(X, rare, folds=5), None)[0] == 200
    assert sizes_of(design_of(X[:40], y[:40], folds=4), None)[0] == 8


def test_sizes_are_counts_or_shares_of_the_training_part():
    X, y = gaussian(300)
    design = design_of(X, y)
    assert sizes_of(design, [0.1, 50, 0.5, 1.0, 50]) == [20, 50, 100, 200]
    assert sizes_of(design, np.array([0.1, 0.2, 0.5, 1.0])) == [20, 40, 100, 200]
    wrongs = [[0.1, 0.5, 1.5, 1.0], [10, 20, 50, 201], [0, 10, 20, 50], [10, 20, 50], [0.5] * 9]
    for wrong in [*wrongs, [True, 2, 3, 4], ["10", 20, 30, 40]]:
        with pytest.raises(DataError, match="sizes"):
            sizes_of(design, wrong)


# Scores


def test_scores_are_those_of_sklearns_learning_curve_on_the_same_rows():
    X, y = gaussian(400, strength=0.6)
    model = LogisticRegression()
    sizes = [20, 60, 150, 300]
    done = learning_curve(None, X, y, sizes=sizes, probes=[("own", model)], folds=4, repeats=1, n_jobs=1)
    design = design_of(X, y, folds=4)
    parts = []
    for fold in range(4):
        test = design.fold_of[0] == fold
        inside = np.flatnonzero(~test)
        line = draw_order(design.strata[inside], inside, design.table.ids[inside], design.seed(0, fold))
        parts.append((inside[np.argsort(line)], np.flatnonzero(test)))
    _, trained, tested = sklearns(model, X.to_numpy(), y, train_sizes=sizes, cv=parts, scoring="roc_auc")
    mine = done.scores.filter(pl.col("metric") == "roc_auc").sort("rows", "fold")
    assert mine["value"].to_numpy().reshape(4, 4) == pytest.approx(tested, abs=1e-12)
    assert mine["on_training"].to_numpy().reshape(4, 4) == pytest.approx(trained, abs=1e-12)
    assert [p.score for p in done.curves[0].points] == pytest.approx(tested.mean(axis=1))


def test_stages_learn_from_the_draw_only_and_row_stages_never_see_test_rows():
    SEEN.clear()
    X, y = gaussian(120)
    learning_curve(
        [Spy(), RowSpy()], X, y, sizes=[8, 16, 32, 60], probes=["linear"], folds=2, n_jobs=1, repeats=1
    )
    assert [len(rows) for _, rows in SEEN] == [n for n in (8, 16, 32, 60) for _ in range(2)] * 2
    for fold in range(2):
        seen = [set(rows) for _, rows in SEEN[8 * fold : 8 * fold + 8]]
        assert all(a <= b for a, b in pairwise(seen))


def test_weights_follow_their_rows():
    SEEN.clear()
    X, y = gaussian(120)
    weight = np.arange(120.0) + 1
    told = {
        "probes": [("recorder", Recorder())],
        "sizes": [8, 16, 32, 60],
        "folds": 2,
        "repeats": 1,
        "n_jobs": 1,
    }
    learning_curve([Weigh()], X, y, sample_weight=weight, **told)
    assert [len(w) for _, w in SEEN] == [8, 16, 32, 60] * 2
    assert set(np.concatenate([w for _, w in SEEN])) <= set(weight * (1 + 2 * (np.arange(120) % 2)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_result_depends_neither_on_processes_nor_on_containers(jobs):
    X, y = gaussian(200)
    told = {"sizes": SHARES, "probes": ["linear"], "folds": 3, "repeats": 1}
    one = learning_curve([Oversample(times=2)], X, y, n_jobs=1, **told)
    other = learning_curve([Oversample(times=2)], X.to_pandas(), pd.Series(y), n_jobs=jobs, **told)
    assert one.scores.equals(other.scores)


def test_the_order_of_rows_does_not_matter():
    X, y = gaussian(200)
    frame = X.with_columns(y=pl.Series(y), id=pl.Series(np.arange(200)))
    told = {"sizes": SHARES, "probes": ["linear"], "folds": 3, "repeats": 1, "n_jobs": 1}
    roles = Roles("y", row_id="id")
    one, other = (
        learning_curve(None, Table.of(f, roles=roles), **told)
        for f in (frame, frame.sample(200, shuffle=True, seed=1))
    )
    assert one.scores["value"].to_numpy() == pytest.approx(other.scores["value"].to_numpy(), abs=1e-6)


def test_class_counts_are_told_for_each_size():
    X, _ = gaussian(400)
    rare = np.where(np.arange(400) % 10 == 0, "yes", "no")
    done = learning_curve(None, X, rare, probes=["linear"], folds=2, repeats=1, n_jobs=1)
    counts = done.classes.pivot("class", index="rows", values="count")
    assert counts["rows"].to_list() == list(done.sizes)
    assert (counts["yes"] + counts["no"]).to_list() == list(done.sizes)
    assert np.abs(counts["yes"].to_numpy() - np.array(done.sizes) / 10).max() <= 1
    assert learning_curve(None, *falling(100), probes=["linear"], repeats=1, n_jobs=1).classes.is_empty()


def test_a_leak_and_a_stage_that_fails_name_the_size():
    X, y = gaussian(300)
    with pytest.raises(RowsChanged) as caught:
        learning_curve([Loses()], X, y, probes=["linear"], repeats=1, n_jobs=1)
    assert any("training rows, repeat 1, fold 1" in note for note in caught.value.__notes__)


# Words


def curve_of(a, b, c, **told):
    model = Falls(a, b, c)
    told = {"probes": [("falls", model)], "folds": 5, "repeats": 2, "n_jobs": 1} | told
    return learning_curve(None, *falling(), **told).curves[0]


def test_a_planted_power_law_is_foretold():
    curve = curve_of(0.1, 4, 0.5)
    random = falling()[0]["noise"].to_numpy()
    for said, rows in ((curve.twice, 960), (curve.tenfold, 4800)):
        truth = np.sqrt(np.mean(random**2)) * (0.1 + 4 * rows**-0.5)
        assert said.rows == rows and said.score == pytest.approx(truth, rel=0.03)
        assert said.low <= truth <= said.high
        gain = np.sqrt(np.mean(random**2)) * 4 * (480**-0.5 - rows**-0.5)
        assert said.gain == pytest.approx(gain, rel=0.06) and said.gain_low <= gain <= said.gain_high
    assert curve.word == "more rows would help"
    assert curve.checked.holds and curve.checked.score == curve.points[-1].score
    assert curve.at(480).gain == 0 and curve.rows_needed.value < 500
    assert curve.rows_for(curve.twice.gain).value == pytest.approx(960, rel=0.01)
    assert curve.limit_low <= 0.1 <= curve.limit_high
    assert ("It levels off at" in curve.in_words()) == (curve.limit_high - curve.limit_low < 10 * curve.rope)
    assert "Where it levels off cannot be told" in replace(curve, limit_high=9.0).in_words()


def test_a_curve_that_has_levelled_off_is_flat():
    curve = curve_of(0.5, 0, 0.5)
    assert curve.word == "flat" and curve.twice.gain_high < curve.rope
    assert curve.rows_needed.value is None
    assert "No overfit" in curve.reading and "out of reach" in curve.in_words()


def test_more_rows_help_where_there_are_few_for_the_features_and_not_where_there_are_many():
    X, y = gaussian(160, width=40, strength=1.0)
    few = learning_curve(None, X, y, probes=["linear"], repeats=2, n_jobs=1).curves[0]
    X, y = gaussian(3000, width=2, strength=1.0)
    many = learning_curve(None, X, y, probes=["linear"], repeats=2, n_jobs=1).curves[0]
    assert few.twice.gain > many.twice.gain_high
    assert few.word != "flat" and many.word == "flat"
    assert "Overfit" in few.reading


def test_where_nothing_was_learned_nothing_is_told():
    X, _ = gaussian(300)
    y = np.random.default_rng(3).integers(0, 2, 300)
    curve = learning_curve(None, X, y, probes=["linear"], repeats=2, n_jobs=1).curves[0]
    assert curve.word == "cannot tell" and "from chance" in curve.note


def test_a_class_of_few_rows_cannot_be_judged():
    X, _ = gaussian(300)
    y = (np.arange(300) < 12).astype(int)
    curve = learning_curve(None, X, y, probes=["linear"], repeats=1, n_jobs=1).curves[0]
    assert curve.word == "cannot tell" and "12 rows of the smallest class" in curve.note


def test_a_target_that_is_met_exactly_has_nothing_to_gain():
    curve = curve_of(0.0, 0, 0.5)
    assert curve.word == "cannot tell" or curve.twice.gain_high <= 1e-9
    assert curve.rows_needed is None and curve.in_words()


def test_two_scores_are_too_little_to_tell():
    told = {"folds": 2, "repeats": 1, "sizes": [50, 70, 100, 150], "probes": ["linear"], "n_jobs": 1}
    curve = learning_curve(None, *gaussian(300, strength=1.0), **told).curves[0]
    assert curve.word == "cannot tell" and curve.checked is None
    assert curve.twice.gain_low < curve.rope < curve.twice.gain_high


def test_stages_that_change_labels_and_classes_are_judged_too():
    X, y = gaussian(300, strength=1.0)
    pipe = [FlipLabels(share=0.3), Oversample(times=3)]
    done = learning_curve(pipe, X, y, probes=["linear"], repeats=1, n_jobs=1)
    assert done.costs.filter(pl.col("rows") == done.sizes[-1])["rows_trained"][0] > 240
    assert any(f.kind == "bench.given_labels" for f in done.findings)


def test_every_primary_metric_has_a_curve():
    X, y = gaussian(300, strength=1.0)
    three = y + (X["x0"].to_numpy() > 1)
    done = learning_curve(None, X, three, probes=["linear", "boosting"], folds=2, repeats=1, n_jobs=1)
    named = [(c.probe, c.metric) for c in done.curves]
    assert named == [(p, m) for p in ("linear", "boosting") for m in ("log_loss", "balanced_accuracy")]
    assert set(done.scores["metric"]) >= {"accuracy", "brier"}


def test_a_metric_that_is_best_in_the_middle_has_no_curve():
    with pytest.raises(DataError, match="best in the middle"):
        learning_curve(None, *gaussian(100), metric="calibration_slope", probes=["linear"], n_jobs=1)


def test_a_pipeline_with_a_model_is_judged_by_it():
    pipe = tilth.Pipeline([tilth.stage("scale.standard"), LogisticRegression()])
    done = tilth.learning_curve(pipe, *gaussian(200), probes=["linear"], folds=2, repeats=1, n_jobs=1)
    assert [c.probe for c in done.curves] == ["model", "linear"]


def test_progress_is_told():
    told = []
    learning_curve(
        None, *gaussian(100), probes=["linear"], folds=2, repeats=2, n_jobs=1, progress=told.append
    )
    assert told[-1] == "repeat 2 of 2, fold 2 of 2" and len(told) == 4


@pytest.mark.parametrize("word", ["told", "too few"])
def test_the_result_is_plain_values_and_sentences(word):
    X, y = gaussian(300, strength=1.0)
    y = y if word == "told" else (np.arange(300) < 2).astype(int)
    done = learning_curve(None, X, y, probes=["linear"], folds=3, repeats=1, n_jobs=1)
    told = json.loads(done.to_json())
    assert told["sizes"] == list(done.sizes) and len(told["scores"]) == done.scores.height
    assert told["curves"][0]["word"] == done.curves[0].word
    table = done.table()
    assert table.height == 1 and table["word"][0] == done.curves[0].word
    assert done.points().height == len(done.sizes)
    words = done.in_words()
    assert words[0].startswith("Chosen before the run: roc_auc (binary, 300 rows, 3 folds, once)")
    assert words[1].startswith("linear, roc_auc: ")
    finding = done.findings[0]
    assert finding.kind == "bench.learning_curve" and math.isfinite(finding.score)
