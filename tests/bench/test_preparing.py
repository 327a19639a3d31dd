"""What recipes share is fitted once, and gives what each gives by itself, bit by bit."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from tests.bench.planted import Adds, DropUnsure, Needs, NoOp, Oversample, Weigh, gaussian
from tilth.bench.arms import Trying
from tilth.bench.asking import asking
from tilth.bench.design import Arm
from tilth.bench.preparing import begin, idle, prepare, ready_of, walk
from tilth.bench.trial import frames_of, plan, run_folds
from tilth.core import BatchStage, ColumnStage, flow
from tilth.stages import stage
from tilth.statistics import Statistics

FITS: list[str] = []
"""The stages that were fitted, in this process."""


class Counted(ColumnStage):
    """Add a number to every feature, and write down that it was fitted."""

    def __init__(self, *, name: str = "a", by: float = 0.0) -> None:
        self.name = name
        self.by = by

    def learn(self, statistics: Statistics) -> None:
        FITS.append(self.name)

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(pl.col(pl.Float64) + self.by)


class Leaves(BatchStage):
    """Leave batches as they are."""


@pytest.fixture(autouse=True)
def _forget():
    FITS.clear()


def planned(arms, X, y, probes=("linear",), folds=3):
    told = {"folds": folds, "repeats": 1, "metric": "auto", "random_state": 0, "allow_fitted": False}
    return plan(X, y, None, None, arms=arms, probes=probes, **told)[0]


def mixed(rows=240, seed=0):
    """Make gaps, categories, copies, and far values."""
    X, y = gaussian(rows, seed, strength=1.0)
    rng = np.random.default_rng(seed)
    numbers = X.to_numpy().copy()
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    numbers[rng.random(numbers.shape) < 0.01] *= 1e4
    kind = rng.choice(["a", "b", "c"], rows)
    return pl.DataFrame(numbers, schema=X.columns).with_columns(pl.Series("kind", kind)), y


def cleaning():
    names = ("impute.simple", "outliers.clip", "encode.target", "scale.robust")
    return [(name, stage(name)) for name in names]


@pytest.mark.parametrize("method", ["leave_one_out", "add_one", "shapley"])
def test_every_recipe_scores_what_it_scores_alone(method):
    X, y = mixed()
    steps = [*cleaning()[:3], ("unsure", DropUnsure()), ("weigh", Weigh()), ("nothing", NoOp())]
    steps = [steps[0], steps[2], steps[3], steps[4]] if method == "shapley" else steps
    way = asking(method, Arm.of("full", steps), 200, 0)
    design = planned(way.arms, X, y, ("linear", "boosting") if method == "add_one" else ("linear",), folds=2)
    together, costs = frames_of(run_folds(design, way.arms, n_jobs=1, progress=None, optional=way.optional))
    told = {"n_jobs": 1, "progress": None}
    alone = [frames_of(run_folds(design, [a], **told, optional=way.optional)) for a in way.arms]
    key = ["probe", "metric", "arm", "repeat", "fold"]
    one, other = (frame.sort(key) for frame in (together, pl.concat([scores for scores, _ in alone])))
    assert one.height > 0 and one.equals(other)
    rows = ["arm", "probe", "rows_trained", "share_kept"]
    assert costs.select(rows).equals(pl.concat([c for _, c in alone]).select(rows))


def test_preparing_step_by_step_gives_what_fitting_the_pipeline_gives():
    X, y = mixed()
    arm = Arm.of("full", cleaning())
    design = planned([arm], X, y)
    test = design.fold_of[0] == 0
    train = design.table.with_frame(design.table.frame.filter(pl.Series(~test)))
    ready = prepare(design, arm, train, test)
    stages = [(name, stage(name)) for name, _ in arm.stages]
    whole = flow.fit(stages, train)
    held = design.table.frame.filter(pl.Series(test))
    assert ready.X.equals(whole.table.collect().X())
    assert ready.X_test.equals(flow.apply(stages, held).collect().select(ready.X.columns))


def test_what_recipes_begin_with_is_fitted_once():
    X, y = gaussian(60)
    steps = [(name, Counted(name=name, by=n + 1.0)) for n, name in enumerate("abcd")]
    way = asking("shapley", Arm.of("full", steps), 200, 0)
    design = planned(way.arms, X, y, folds=2)
    run_folds(design, way.arms, n_jobs=1, progress=None)
    # A stage is fitted once for each set of stages before it, in each of 2 folds.
    assert Counter(FITS) == {"a": 2, "b": 4, "c": 8, "d": 16}


def test_a_stage_that_does_nothing_is_passed_over_and_its_recipes_go_on_together():
    X, y = gaussian(60)
    steps = [
        ("a", Counted(name="a", by=1.0)),
        ("idle", Counted(name="idle")),
        ("c", Counted(name="c", by=2.0)),
    ]
    way = asking("shapley", Arm.of("full", steps), 200, 0)
    design = planned(way.arms, X, y, folds=2)
    results = run_folds(design, way.arms, n_jobs=1, progress=None)
    assert Counter(FITS) == {"a": 2, "idle": 4, "c": 4}
    scores = frames_of(results)[0].drop("arm").partition_by("probe", "metric", "fold")
    assert all(part["value"].drop_nulls().n_unique() <= 4 for part in scores)


def test_a_probe_is_fitted_once_for_the_same_input(monkeypatch):
    from tilth.bench import arms as module

    X, y = gaussian(60)
    calls = []
    real = module.answered
    monkeypatch.setattr(module, "answered", lambda *a: calls.append(a[1].name) or real(*a))
    up, down = Counted(name="up", by=1.0), Counted(name="down", by=-1.0)
    arms = [Arm("none"), Arm("up", (("up", up),)), Arm("two", (("up", up), ("idle", NoOp())))]
    arms.append(Arm("back", (("down", down), ("up", up))))
    design = planned(arms, X.with_columns(pl.all().round(2) * 0 + 1.0), y)
    run_folds(design, arms, n_jobs=1, progress=None)
    # Minus 1 and plus 1 again gives ones: what there was before.
    assert calls == ["none", "up"] * 3


def test_what_looks_closer_sees_each_arm_with_its_own_stages():
    X, y = gaussian(60)
    steps = [("a", Counted(by=1.0)), ("idle", NoOp())]
    arms = [Arm("full", tuple(steps)), Arm("a", tuple(steps[:1]))]
    design = planned(arms, X, y, folds=2)
    results = run_folds(design, arms, n_jobs=1, progress=None, probing=[look])
    told = [line for result in results for line in result.probed]
    assert [line["arm"] for line in told] == ["full", "a"] * 2
    assert [line["stages"] for line in told] == [["a", "idle"], ["a"]] * 2
    assert all(line["same"] and line["probe"] == "linear" and line["rows"] == 30 for line in told)
    assert {(line["repeat"], line["fold"]) for line in told} == {(0, 0), (0, 1)}


def look(judged):
    """Ask the fitted probe again about the same rows."""
    twice = pl.concat([judged.rows, judged.rows])
    again = judged.says(judged.through(twice))
    same = np.array_equal(again, np.concatenate([judged.answer.raw] * 2)) and judged.model is not None
    return [{"stages": [n for n, _ in judged.ready.stages], "same": same, "rows": len(judged.truth)}]


def test_idle_is_said_only_of_stages_that_can_do_nothing_later():
    X, y = gaussian(60)
    design = planned([Arm("none")], X, y)
    test = design.fold_of[0] == 0
    train = design.table.with_frame(design.table.frame.filter(pl.Series(~test)))
    at = begin(design, train, test)
    from tilth.bench.preparing import advance

    told = lambda s: idle(at, advance(at, "s", s))
    assert told(NoOp()) and told(Oversample(times=1)) and told(stage("duplicates.exact"))
    assert not told(Counted(by=1e-12)) and not told(Weigh()) and not told(Oversample(times=2))
    assert not told(Leaves()) and not told(stage("balance.threshold"))


def test_walking_gives_every_arm_and_names_the_error_of_those_that_cannot_run():
    X, y = gaussian(60)
    adds, needs = ("adds", Adds()), ("needs", Needs())
    arms = [Arm("both", (adds, needs)), Arm("needs", (needs,)), Arm("adds", (adds,)), Arm("none")]
    design = planned(arms, X, y)
    test = design.fold_of[0] == 0
    train = design.table.with_frame(design.table.frame.filter(pl.Series(~test)))
    found = {arm.name: at for arm, at in walk(design, arms, train, test)}
    assert set(found) == {arm.name for arm in arms}
    assert isinstance(found["needs"], ValueError) and "made" in str(found["needs"])
    assert "made" in ready_of(design, arms[0], found["both"]).X_test.columns
    assert found["both"].seconds > 0


def test_answers_are_kept_only_where_they_are_asked_for_again():
    X, y = gaussian(60)
    design = planned([Arm("none")], X, y)
    for probing, tuned, kept in (((), None, False), ((look,), None, True), ((), "before", True)):
        trying = Trying(design, 0, 0, probing, tuned)
        at = begin(design, trying.train, trying.test)
        ready = ready_of(design, Arm("none"), at)
        tried = trying.tried(Arm("none"), "linear", None, trying.train, ready)
        assert (tried.answer is not None) == kept == (tried.fitted is not None)
