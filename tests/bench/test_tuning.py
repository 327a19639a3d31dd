"""Probes tuned inside: what is chosen is the best of the inner folds, and nobody looks at a test row."""

import json
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import tilth
from tests.bench.looking import designed
from tests.bench.planted import DropRandom, NoOp, Oversample, gaussian
from tilth.bench import ablate, compare, learning_curve
from tilth.bench import arms as folding
from tilth.bench.arms import run_fold
from tilth.bench.design import Arm
from tilth.bench.grids import in_words
from tilth.core import RowStage
from tilth.core.plan import RowPlan
from tilth.errors import DataError, UnknownName
from tilth.probes import PROBES, Linear, probe
from tilth.stages.scale.standard import ScaleStandard
from tilth.table import Roles, Table

QUICK = {"folds": 3, "repeats": 1, "n_jobs": 1}
BARE = {**QUICK, "slices": []}
TWO = {"linear": {"C": [0.01, 1.0]}}
SEEN: list[tuple[str, set[float], set[float]]] = []
"""What the spying model saw, fit by fit: its setting, the rows learned from, and those it answered."""


class Spying(ClassifierMixin, BaseEstimator):
    """Write down which rows come, by the column ``id``; better answers with a larger ``skill``."""

    def __init__(self, skill: float = 0.0) -> None:
        self.skill = skill

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.rows_ = set(X["id"].to_list())
        SEEN.append((str(self.skill), self.rows_, set()))
        return self

    def predict_proba(self, X):
        SEEN[-1][2].update(X["id"].to_list())
        said = 0.5 + self.skill * np.where(X["x0"].to_numpy() > 0, 0.1, -0.1)
        return np.column_stack([1 - said, said])


class Counting(RowStage):
    """Count how often it is fitted, and keep all rows."""

    fits: ClassVar[list[int]] = []

    def plan(self, table):
        self.fits.append(table.height)
        return RowPlan.keep_all(table.height)


def wide(rows=120, width=40, seed=0):
    """Make many columns of which few tell anything: a weak penalty learns the noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, width))
    y = (X[:, :3].sum(axis=1) + rng.normal(size=rows) > 0).astype(int)
    return pl.DataFrame({f"x{j}": X[:, j] for j in range(width)}), y


def scores(done, arm="before", metric="roc_auc", probe="linear"):
    return done.scores.filter(arm=arm, metric=metric, probe=probe).sort("repeat", "fold")["value"].to_numpy()


def chosen(done, arm="before", probe="linear"):
    return done.tuned.filter(arm=arm, probe=probe).sort("repeat", "fold")["value"].to_list()


def plain(done):
    return json.dumps({k: v for k, v in done.as_dict().items() if k != "costs"}, sort_keys=True)


def test_a_better_setting_is_found_and_told():
    X, y = wide()
    told = {"probes": [("mine", Linear(C=100.0))], "metric": "log_loss", **BARE}
    fixed = compare(None, None, X, y, **told)
    tuned = compare(None, None, X, y, tune=True, **told)
    assert scores(tuned, probe="mine").mean() > scores(fixed, probe="mine").mean() + 0.01
    assert scores(tuned, metric="log_loss", probe="mine").mean() < 0.8 * (
        scores(fixed, metric="log_loss", probe="mine").mean()
    )
    assert tuned.tuned.columns == ["probe", "arm", "repeat", "fold", "parameter", "value"]
    assert not {"10.0", "100.0"} & set(chosen(tuned, probe="mine"))
    [note] = [f.message for f in tuned.controls if f.kind == "bench.tuned"]
    assert "3 inner folds" in note and "log_loss" in note and "before C=0." in note
    assert "probes tuned inside each" in tuned.in_words()[0]
    assert "tuned" not in fixed.in_words()[0] and fixed.tuned.is_empty()


def test_what_is_chosen_is_what_an_independent_search_of_the_same_inner_folds_finds():
    X, y = wide()
    grid = [0.001, 0.1, 10.0]
    tune = {"linear": {"C": grid}}
    done = compare(None, None, X, y, probes=["linear"], tune=tune, **BARE)
    design = designed([Arm("before")], X, y, ["linear"])
    rows = X.to_numpy()
    for fold, value in enumerate(chosen(done)):
        seed, train = design.seed(0, fold), np.flatnonzero(design.fold_of[0] != fold)
        inner = design.inner(train, 3, seed)
        means = []
        for C in grid:
            each = []
            for part in range(3):
                fitted, held = train[inner != part], train[inner == part]
                model = probe("linear", task="classification", C=C).fit(rows[fitted], y[fitted])
                each.append(roc_auc_score(y[held], model.predict_proba(rows[held])[:, 1]))
            means.append(np.mean(each))
        assert float(value) == grid[int(np.argmax(means))]


def test_no_test_row_is_seen_before_all_is_chosen():
    X, y = gaussian(90, width=1)
    X = X.with_columns(id=pl.Series(np.arange(90.0)))
    SEEN.clear()
    tune = {"spy": {"skill": [1.0, -1.0, 2.0]}}
    design = designed([Arm("before")], X, y, [("spy", Spying())], tune=tune)
    run_fold(design, [Arm("before")], 0, 1, random_drop=False, optional=())
    test = set(np.flatnonzero(design.fold_of[0] == 1).astype(float))
    train = set(np.flatnonzero(design.fold_of[0] != 1).astype(float))
    *inner, last = SEEN
    assert len(inner) == 9
    for _, learned, answered in inner:
        assert not (learned | answered) & test
        assert learned | answered == train and not learned & answered
    assert last[1:] == (train, test) and last[0] == "1.0"


@pytest.mark.parametrize("by", ["groups", "time"])
def test_inner_folds_are_drawn_as_outer_ones_are(by):
    X, y = gaussian(120, width=1)
    ids = np.arange(120)
    X = X.with_columns(id=pl.Series(ids.astype(float)))
    group = ids // 6
    more = {"time": ids} if by == "time" else {}
    table = Table.of(X.with_columns(y=y, g=group), roles=Roles(target="y", group="g"))
    given = (table, None) if by == "groups" else (X, y)
    SEEN.clear()
    tune = {"spy": {"skill": [1.0, 2.0]}}
    done = compare(None, None, *given, probes=[("spy", Spying())], tune=tune, **more, **BARE)
    assert done.tuned.height == 6 and len(SEEN) == 3 * 7
    for _, learned, answered in SEEN:
        if by == "time":
            assert max(learned) < min(answered)
        else:
            groups = lambda rows: {group[int(row)] for row in rows}
            assert not groups(learned) & groups(answered)


def test_a_recipe_is_prepared_once_per_inner_fold_for_all_settings_of_all_probes():
    X, y = gaussian(120)
    Counting.fits.clear()
    stages = [Counting(), ScaleStandard()]
    tune = {"linear": {"C": [0.1, 1.0, 10.0]}, "other": {"C": [0.5, 5.0]}}
    compare(None, stages, X, y, probes=["linear", ("other", LogisticRegression())], tune=tune, **BARE)
    # Per fold the whole training part once, and two thirds of it for each of three inner folds.
    assert sorted(Counting.fits) == sorted([80] * 3 + [53, 53, 54] * 3)


@pytest.mark.parametrize(
    ("name", "tune"), [("linear", True), ("boosting", {"boosting": {"max_leaf_nodes": [3, 31]}})]
)
def test_a_stage_that_does_nothing_makes_no_difference(name, tune):
    X, y = gaussian(150)
    done = compare(None, [NoOp()], X, y, probes=[name], tune=tune, **BARE)
    before, after = (scores(done, arm, probe=name).tolist() for arm in ("before", "after"))
    assert before == after and done.verdicts[0].difference == 0
    assert chosen(done, "before", name) == chosen(done, "after", name)


def test_the_same_input_seen_without_the_cache_gives_the_same(monkeypatch):
    X, y = gaussian(150)
    once = compare(None, [NoOp()], X, y, probes=["linear"], tune=TWO, **BARE)
    monkeypatch.setattr("tilth.bench.tuning.what_it_sees", lambda *given: None)
    monkeypatch.setattr(folding, "what_it_sees", lambda *given: None)
    assert plain(compare(None, [NoOp()], X, y, probes=["linear"], tune=TWO, **BARE)) == plain(once)


@pytest.mark.parametrize("name", ["linear", "boosting"])
def test_one_setting_that_is_the_probes_own_gives_the_untuned_scores_bit_by_bit(name):
    X, y = gaussian(150)
    own = {"linear": {"C": [1.0]}, "boosting": {"max_leaf_nodes": [31]}}[name]
    fixed = compare(None, [ScaleStandard()], X, y, probes=[name], **BARE)
    tuned = compare(None, [ScaleStandard()], X, y, probes=[name], tune={name: own}, **BARE)
    assert tuned.scores.equals(fixed.scores)
    assert set(chosen(tuned, "after", name)) == {str(next(iter(own.values()))[0])}
    [note] = [f.message for f in tuned.controls if f.kind == "bench.tuned"]
    assert "its grid holds nothing else" in note


def test_one_other_setting_is_that_probe_bit_by_bit():
    X, y = gaussian(150)
    given = compare(None, None, X, y, probes=[("linear", Linear(C=0.01))], **BARE)
    tuned = compare(None, None, X, y, probes=["linear"], tune={"linear": {"C": [0.01]}}, **BARE)
    assert tuned.scores.equals(given.scores)


def test_ties_go_to_what_the_probe_comes_with():
    X, y = gaussian(150)
    # lbfgs is done long before: all of these give the same.
    tune = {"linear": {"max_iter": [500, 900, 1000, 5000]}}
    done = compare(None, None, X, y, probes=["linear"], tune=tune, **BARE)
    assert chosen(done) == ["1000"] * 3
    untold = compare(None, None, X, y, probes=["linear"], tune={"linear": {"max_iter": [500, 900]}}, **BARE)
    assert chosen(untold) == ["500"] * 3


def test_metrics_that_are_better_when_lower_or_in_the_middle_are_read_right():
    X, y = wide()
    tune = {"linear": {"C": [0.001, 0.1, 1000.0]}}
    loss = compare(None, None, X, y, probes=["linear"], tune=tune, metric="log_loss", **BARE)
    assert "1000.0" not in chosen(loss)
    slope = compare(None, None, X, y, probes=["linear"], tune=tune, metric="calibration_slope", **BARE)
    assert "0.001" not in chosen(slope) and "1000.0" not in chosen(slope)


def test_a_regression_is_tuned_by_its_error():
    X, _ = wide()
    y = X["x0"].to_numpy() + np.random.default_rng(1).normal(size=X.height)
    fixed = compare(None, None, X, y, probes=["linear"], **BARE)
    tuned = compare(None, None, X, y, probes=["linear"], tune=TWO, **BARE)
    assert scores(tuned, metric="rmse").mean() < scores(fixed, metric="rmse").mean() - 0.05
    assert set(chosen(tuned)) == {"0.01"}


def test_processes_and_a_resumed_run_give_the_same(tmp_path):
    X, y = gaussian(120)
    told = {"probes": ["linear"], "tune": TWO, "folds": 2, "repeats": 1, "slices": []}
    alone = compare(None, [DropRandom()], X, y, **told, n_jobs=1, resume=tmp_path)
    assert plain(compare(None, [DropRandom()], X, y, **told, n_jobs=2)) == plain(alone)
    assert plain(compare(None, [DropRandom()], X, y, **told, n_jobs=1, resume=tmp_path)) == plain(alone)
    told["tune"] = {"linear": {"C": [0.01, 0.1]}}
    with pytest.raises(DataError, match=r"tune\.linear"):
        compare(None, [DropRandom()], X, y, **told, n_jobs=1, resume=tmp_path)
    assert set(alone.tuned["arm"].unique()) == {"before", "after", "random drop"}


def test_thresholds_are_learned_with_the_setting_that_was_chosen():
    X, y = gaussian(300, strength=0.8)
    keep = y * np.random.default_rng(0).random(300) < 0.5
    X, y = X.filter(pl.Series(keep)), y[keep]
    stage = tilth.stage("balance.threshold", metric="balanced_accuracy", folds=3)
    told = {"probes": ["linear"], "metric": "balanced_accuracy", **BARE}
    done = compare(None, stage, X, y, tune={"linear": {"C": [1e-3, 1.0]}}, **told)
    arms = set(done.scores["arm"].unique())
    assert {"before, tuned", "after"} <= arms
    one = compare(None, stage, X, y, tune={"linear": {"C": [1e-3]}}, **told)
    # Without a threshold of its own, so strong a penalty answers the frequent class; with one, it ranks.
    assert set(chosen(done)) == {"1.0"}
    assert scores(one, metric="balanced_accuracy").mean() == pytest.approx(0.5, abs=0.02)
    assert scores(one, "after", "balanced_accuracy").mean() > 0.6
    assert done.tuned.filter(arm="after").height == 3


def test_weights_and_class_frequencies_reach_the_inner_folds():
    X, y = gaussian(200)
    plainly = compare(None, Oversample(), X, y, probes=["linear"], tune=TWO, **BARE)
    assert {"before", "after"} <= set(plainly.tuned["arm"].unique())
    weight = np.where(np.arange(200) % 2, 1.0, 0.0)
    done = compare(None, None, X, y, sample_weight=weight, probes=["linear"], tune=TWO, **BARE)
    half = compare(None, None, X.filter(weight > 0), y[weight > 0], probes=["linear"], tune=TWO, **BARE)
    assert done.tuned.height == half.tuned.height == 6


def test_too_few_rows_leave_a_probe_as_it_is_and_say_so():
    X, y = gaussian(60)
    y = np.zeros(60, int)
    y[[3, 20, 40]] = 1
    fixed = compare(None, None, X, y, probes=["linear"], **BARE)
    tuned = compare(None, None, X, y, probes=["linear"], tune=TWO, **BARE)
    assert tuned.scores.equals(fixed.scores) and tuned.tuned.is_empty()
    told = " ".join(f.message for f in tuned.controls)
    assert "linear was not tuned for the 'before' arm, and is as it was given" in told
    assert "roc_auc is not defined on all inner folds" in told and "not tuned for any fold" in told
    groups = np.repeat([0, 1, 2], 20)
    X, y = gaussian(60)
    told = compare(None, None, X, y, groups=groups, probes=["linear"], tune=TWO, **BARE).controls
    assert any("too few rows, groups or moments for 3 inner folds" in f.message for f in told)


def test_a_setting_that_cannot_be_fitted_is_left_out_and_told():
    class Breaks(Linear):
        def fit(self, X, y, sample_weight=None):
            if self.C == 0.5:
                raise ValueError("no such fit")
            return super().fit(X, y, sample_weight)

    X, y = gaussian(120)
    told = {"probes": [("mine", Breaks())], **BARE}
    done = compare(None, None, X, y, tune={"mine": {"C": [0.5, 1.0]}}, **told)
    assert set(chosen(done, probe="mine")) == {"1.0"}
    [note] = [f.message for f in done.controls if "left out" in f.message and "'before'" in f.message]
    assert "mine with C=0.5" in note and "no such fit" in note


def test_costs_hold_what_tuning_took():
    X, y = gaussian(120)
    told = {"probes": ["boosting"], **BARE}
    fixed = compare(None, None, X, y, **told)
    tuned = compare(None, None, X, y, tune={"boosting": {"max_leaf_nodes": [3, 31]}}, **told)
    seconds = lambda done: done.costs.filter(arm="before")["fit_seconds"][0]
    assert seconds(tuned) > 2 * seconds(fixed)


def test_estimators_without_a_grid_stay_as_they_are_and_the_result_says_so():
    X, y = gaussian(120)
    told = {"probes": ["linear", ("mine", LogisticRegression())], **BARE}
    done = compare(None, None, X, y, tune=True, **told)
    assert set(done.tuned["probe"].unique()) == {"linear"}
    [note] = [f.message for f in done.controls if f.kind == "bench.not_tuned"]
    assert "for want of a grid: mine" in note and "tune={'mine'" in note


def test_the_model_of_a_pipeline_is_tuned_too():
    X, y = wide()
    pipe = tilth.Pipeline([ScaleStandard(), LogisticRegression(C=1000.0)])
    tune = {"model": {"C": [0.01, 1000.0]}}
    done = compare(None, pipe, X, y, probes=[], tune=tune, metric="log_loss", **BARE)
    assert set(chosen(done, "after", "model")) == set(chosen(done, "before", "model")) == {"0.01"}
    own = tilth.Pipeline([ScaleStandard(), LogisticRegression(C=0.01)])
    given = compare(None, own, X, y, probes=[], metric="log_loss", **BARE)
    assert scores(done, "after", probe="model").tolist() == scores(given, "after", probe="model").tolist()


@pytest.mark.parametrize("method", ["leave_one_out", "add_one"])
def test_an_ablation_tunes_each_recipe_by_itself(method):
    X, y = gaussian(150)
    told = {"probes": ["linear"], "tune": TWO, **BARE}
    done = ablate([ScaleStandard(), NoOp()], X, y, method=method, **told)
    assert done.tuned["arm"].n_unique() == 3 and done.tuned.height == 9
    [verdict] = [v for v in done.verdicts if v.stage != "scale.standard"]
    assert verdict.difference == 0


def test_a_learning_curve_tunes_each_size_by_itself():
    X, y = gaussian(150)
    told = {"probes": ["linear"], "tune": True, "sizes": [4, 30, 60, 100], **QUICK}
    done = learning_curve(None, X, y, **told)
    assert {"30 rows", "60 rows", "100 rows"} <= set(done.tuned["arm"].unique())
    assert any("too few rows" in f.message or "not defined" in f.message for f in done.controls)
    assert done.as_dict()["tuned"] == done.tuned.to_dicts()


def test_what_was_chosen_is_written(tmp_path):
    X, y = gaussian(120)
    done = compare(None, None, X, y, probes=["linear"], tune=TWO, **BARE)
    assert pl.read_parquet(done.write(tmp_path / "a.parquet", what="tuned")).equals(done.tuned)
    assert json.loads(done.to_json())["tuned"] == done.tuned.to_dicts()


@pytest.mark.parametrize("name", PROBES)
def test_each_probe_has_a_small_grid_with_its_default_in_it(name):
    from sklearn.model_selection import ParameterGrid

    model = probe(name)
    settings = list(ParameterGrid(model.grid))
    assert 3 <= len(settings) <= 6
    own = model.get_params()
    assert sum(all(own[p] == v for p, v in values.items()) for values in settings) == 1
    for values in settings:
        probe(name, **values)._validate_params()


@pytest.mark.parametrize(
    ("tune", "error", "match"),
    [
        ({"liner": True}, UnknownName, "probe to tune 'liner' .*did you mean 'linear'"),
        ({"linear": {"c": [1.0]}}, UnknownName, "parameter of the probe 'linear' 'c' .*did you mean 'C'"),
        ({"linear": {"C": [-1.0]}}, ValueError, "'C' parameter of Linear"),
        ({"linear": {"C": 1.0}}, DataError, "no grid of parameters and values"),
        ({"linear": {}}, DataError, "names no parameter"),
        ({"linear": {"random_state": [1, 2]}}, DataError, "would be luck"),
        ({"mine": True}, DataError, "no grid of its own"),
        ({"mine": {"skil": [1.0]}}, UnknownName, "skil"),
        ({}, DataError, "tune is"),
        ("yes", DataError, "tune is 'yes'"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_runs(tune, error, match, monkeypatch):
    X, y = gaussian(60)
    monkeypatch.setattr("tilth.bench.comparison.run_folds", lambda *given, **more: pytest.fail("it ran"))
    with pytest.raises(error, match=match):
        compare(None, None, X, y, probes=["linear", ("mine", Spying())], tune=tune, **BARE)


def test_a_setting_is_written_as_it_would_be_typed():
    told = in_words({"C": np.float64(0.1), "hidden": (64, 64), "kind": "a"})
    assert told == "C=0.1, hidden=(64, 64), kind=a"
