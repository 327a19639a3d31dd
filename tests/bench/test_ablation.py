"""Leaving stages out: each is judged by what is lost without it."""

import json
import sys

import numpy as np
import polars as pl
import pytest

from tests.bench.planted import Adds, Loses, Needs, NoOp, gaussian
from tilth.bench import ablate
from tilth.bench.asking import asking
from tilth.bench.design import Arm
from tilth.bench.preparing import RowsChanged
from tilth.bench.verdicts import Facts
from tilth.core import ColumnStage
from tilth.errors import DataError, StageError, UnknownName
from tilth.stages.outliers.clip import OutliersClip
from tilth.stages.scale.robust import ScaleRobust
from tilth.stages.scale.standard import ScaleStandard
from tilth.statistics import Statistics


@pytest.fixture(scope="module")
def damaged():
    """Rows whose features were hit by outliers of 1e6, and their classes."""
    X, y = gaussian(800, strength=0.8)
    hit = np.random.default_rng(2).random((800, 8)) < 0.02
    return pl.DataFrame({f"x{j}": np.where(hit[:, j], 1e6, X[f"x{j}"].to_numpy()) for j in range(8)}), y


def test_the_stage_that_repairs_helps_and_the_idle_one_makes_no_difference(damaged):
    done = ablate([NoOp(), OutliersClip()], *damaged, probes=["linear"], repeats=2, n_jobs=1)
    idle, clip = done.verdicts
    assert (
        done.stages == (idle.stage, clip.stage) == ("test.noop", "outliers.clip") or idle.stage != clip.stage
    )
    assert idle.word == "no difference" and clip.word == "helps"
    assert clip.after > clip.before and done.of(clip.stage) == [clip]
    assert set(done.scores["arm"]) == {"full", *(f"without {s}" for s in done.stages)}
    ranking = done.ranking()
    assert ranking["stage"].to_list() == [clip.stage, idle.stage] and ranking["rank"].to_list() == [1, 2]
    told = json.loads(done.to_json())
    assert told["stages"] == list(done.stages)
    assert any(line.startswith(f"{clip.stage}: linear, roc_auc: helps.") for line in done.in_words())


def test_a_stage_that_a_later_one_needs_is_not_testable_and_the_verdict_says_why():
    steps = [("adds", Adds()), ("needs", Needs())]
    done = ablate(steps, *gaussian(200, strength=1.5), probes=["linear"], repeats=1, n_jobs=1)
    adds, needs = done.verdicts
    assert adds.word == "not testable" and "cannot run" in adds.note and "made" in adds.note
    assert needs.word == "indication"


def test_a_pipeline_that_cannot_run_as_a_whole_is_an_error(damaged):
    with pytest.raises(StageError, match="no stages"):
        ablate([], *damaged)
    with pytest.raises(ValueError, match="made") as caught:
        ablate([Needs()], *damaged, probes=["linear"], n_jobs=1)
    assert any("'full' arm, repeat 1, fold 1" in note for note in caught.value.__notes__)


def test_a_leak_is_an_error_even_where_an_arm_may_fail(damaged):
    with pytest.raises(RowsChanged):
        ablate([NoOp(), Loses()], *damaged, probes=["linear"], n_jobs=1)


METHODS = ("leave_one_out", "add_one", "shapley")


class Both(ColumnStage):
    """Repair nothing unless the other half is there too: it needs the column that `Adds` makes."""

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(pl.col("made") * 2)


def test_alone_a_stage_is_held_against_none(damaged):
    done = ablate(
        [NoOp(), OutliersClip()], *damaged, method="add_one", probes=["linear"], repeats=2, n_jobs=1
    )
    idle, clip = done.verdicts
    assert done.method == "add_one" and set(done.scores["arm"]) == {
        "none",
        *(f"only {s}" for s in done.stages),
    }
    assert idle.difference == 0.0 and "at chance" in idle.note and clip.word == "helps"
    assert clip.before == idle.before == idle.after
    assert done.credits is None and done.gap is None


def test_two_stages_that_do_the_same_share_the_credit_and_each_looks_useless_when_left_out(damaged):
    steps = [("one", OutliersClip()), ("other", OutliersClip())]
    told = {"probes": ["linear"], "repeats": 2, "n_jobs": 1}
    found = {m: ablate(steps, *damaged, method=m, **told) for m in METHODS}
    assert [v.word for v in found["leave_one_out"].verdicts] == ["no difference"] * 2
    assert [v.word for v in found["add_one"].verdicts] == ["helps"] * 2
    one, other = found["shapley"].verdicts
    gain = found["add_one"].verdicts[0].difference
    assert one.difference + other.difference == pytest.approx(gain, abs=0.01)
    assert one.word == other.word == "helps" and one.difference == pytest.approx(gain / 2, abs=0.01)
    ranking = found["shapley"].ranking()
    assert ranking["rank"].to_list() == [1, 1]
    assert any("(tied: their intervals overlap)" in line for line in found["shapley"].in_words())


@pytest.mark.parametrize("metric", ["auto", "log_loss"])
def test_shapley_values_add_up_to_full_less_none_by_every_metric(damaged, metric):
    steps = [("idle", NoOp()), ("clip", OutliersClip()), ("scale", ScaleRobust())]
    done = ablate(steps, *damaged, method="shapley", metric=metric, probes=["linear"], repeats=2, n_jobs=1)
    assert done.gap is not None and done.gap < 1e-12
    arms = {"none", "full", "only idle", "only idle + clip", "only clip + scale", "only scale", "only clip"}
    assert set(done.scores["arm"]) == arms | {"only idle + scale"}
    means = done.scores.group_by("metric", "arm").agg(pl.col("value").mean())
    mean = {(m, a): v for m, a, v in means.iter_rows()}
    for name, part in done.credits.partition_by("metric", as_dict=True).items():
        sign = (
            1
            if name[0] in ("roc_auc", "pr_auc", "accuracy", "balanced_accuracy", "f1", "worst_recall")
            or name[0].startswith("recall of ")
            else -1
        )
        whole = sign * (mean[name[0], "full"] - mean[name[0], "none"])
        assert part["value"].sum() == pytest.approx(whole, abs=1e-12)
        assert (part["low"] <= part["value"]).all() and (part["value"] <= part["high"]).all()
    named = {v.stage: v for v in done.verdicts}
    assert named["idle"].word == "no difference" and named["idle"].difference == 0.0
    assert named["clip"].word == "helps" and named["clip"].low > 0
    credited = done.credits.filter(metric=done.primary[0], stage="clip").row(0, named=True)
    assert named["clip"].difference == pytest.approx(credited["value"], abs=1e-12)
    assert named["clip"].low == pytest.approx(credited["low"], abs=1e-12)
    assert "calibration_slope" not in done.credits["metric"].to_list()
    told = json.loads(done.to_json())
    assert (
        told["gap"] == done.gap
        and len(told["credits"]) == done.credits.height
        and told["method"] == "shapley"
    )
    assert any("They add up to full less none" in line for line in done.in_words())


def test_shapley_values_go_by_the_orders_that_can_run():
    steps = [("adds", Adds()), ("both", Both()), ("idle", NoOp())]
    told = {"method": "shapley", "probes": ["linear"], "repeats": 2, "n_jobs": 1}
    done = ablate(steps, *gaussian(200, strength=1.5), **told)
    assert {"only both", "only both + idle"} & set(done.scores["arm"]) == set()
    assert all(v.word != "not testable" for v in done.verdicts) and done.gap < 1e-12
    remark = done.controls[0].message
    assert remark.startswith("Shapley values over 3 orders") and "2 of 8 recipes cannot run" in remark


class Either(ColumnStage):
    """Refuse to work unless its columns were doubled, or else halved, by a partner."""

    def __init__(self, *, by: float = 2.0, most: float = 1.0) -> None:
        self.by = by
        self.most = most

    def learn(self, statistics: Statistics) -> None:
        if pl.concat(statistics.shards).collect()["ones"].max() > self.most:
            raise DataError("The ones are too large.")

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(pl.col("ones") * self.by)


def test_where_no_order_can_run_nothing_is_credited_and_it_says_why():
    X, y = gaussian(100, strength=1.5)
    X = X.with_columns(pl.lit(4.0).alias("ones"))
    # Neither runs on fours, so that nothing runs but all of them after the halving that only all of them get.
    steps = [
        ("a", Either(by=0.5, most=4.0)),
        ("b", Either(by=0.5, most=2.0)),
        ("c", Either(by=1.0, most=1.0)),
    ]
    done = ablate(steps, X, y, method="shapley", probes=["linear"], repeats=1, n_jobs=1)
    # One order is left: a, b, c.
    assert done.controls[0].message.startswith("Shapley values over 1 orders")
    barred = asking("shapley", Arm.of("full", steps), 200, 0)
    told = barred.ask(done.scores, facts(), dict.fromkeys(barred.optional[1:], "No."), None)
    assert told.credits is None and all("No order of adding" in q.obstacle for q in told.questions)


def facts():
    return Facts("binary", ("roc_auc",), 5, 1, 100, np.array([50, 50]), {})


def test_of_many_stages_orders_are_drawn_and_intervals_hold_what_that_leaves_open(damaged):
    # Whichever of three joins first has all the credit: the middle one of an order has none in its reverse.
    steps = [(f"idle{n}", NoOp()) for n in range(4)] + [(f"clip{n}", OutliersClip()) for n in range(3)]
    told = {"method": "shapley", "probes": ["linear"], "folds": 2, "repeats": 1, "n_jobs": 1}
    done = ablate(steps, *damaged, permutations=8, **told)
    assert done.gap < 1e-12 and done.scores["arm"].n_unique() < 2**7
    assert done.credits["sampling_se"].max() > 0
    for verdict in done.of("clip0"):
        one = done.credits.filter(metric="roc_auc", stage="clip0").row(0, named=True)
        assert (verdict.low, verdict.high) == pytest.approx((one["low"], one["high"]), abs=1e-12)
        assert one["high"] - one["low"] > 2 * 1.96 * one["sampling_se"]
    assert ablate(steps, *damaged, permutations=8, **told).credits.equals(done.credits)
    other = ablate(steps, *damaged, permutations=8, random_state=1, **told)
    assert not other.credits.equals(done.credits)


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        ({"method": "shapely"}, UnknownName, "shapley"),
        ({"permutations": 7}, DataError, "even number"),
        ({"permutations": 2}, DataError, "even number"),
        ({"permutations": True}, DataError, "even number"),
        ({"method": "shapley", "metric": "calibration_slope"}, DataError, "best in the middle"),
    ],
)
def test_what_cannot_be_asked_is_refused(told, error, words, damaged):
    with pytest.raises(error, match=words):
        ablate([NoOp()], *damaged, probes=["linear"], n_jobs=1, **told)


def test_processes_do_not_change_the_result(damaged):
    X, y = damaged[0][:200], damaged[1][:200]
    told = {"method": "shapley", "probes": ["linear"], "folds": 2, "repeats": 1}
    # Mean and deviation are sums, and processes have one thread each.
    steps = [NoOp(), OutliersClip(), ScaleStandard()]
    one, two = (ablate(steps, X, y, n_jobs=jobs, **told) for jobs in (1, 2))
    assert one.scores.equals(two.scores) and one.table().equals(two.table())


def test_costs_are_those_of_each_recipe_by_itself(damaged):
    done = ablate([NoOp(), OutliersClip()], *damaged, probes=["linear"], repeats=1, n_jobs=1)
    costs = {line["arm"]: line for line in done.costs.to_dicts()}
    clip, idle = done.stages[1], done.stages[0]
    assert costs["full"]["prepare_seconds"] > costs[f"without {clip}"]["prepare_seconds"]
    assert costs["full"]["fit_seconds"] == costs[f"without {idle}"]["fit_seconds"]
    assert set(done.costs["rows_trained"]) == {640.0}
    if sys.platform == "linux":
        assert (done.costs["peak_mb"] > 50).all()


def test_a_result_is_written_as_tables_and_as_json(damaged, tmp_path):
    done = ablate(
        [NoOp(), OutliersClip()], *damaged, method="shapley", probes=["linear"], repeats=1, n_jobs=1
    )
    assert pl.read_parquet(done.write(tmp_path / "deep" / "a.parquet")).equals(done.table())
    assert pl.read_parquet(done.write(tmp_path / "b.parquet", "scores")).equals(done.scores)
    assert pl.read_csv(done.write(str(tmp_path / "c.csv"), "costs")).columns == done.costs.columns
    assert json.loads(
        done.write(tmp_path / "d.json").read_text(encoding="utf-8")
    ) == done.as_dict() | json.loads(done.to_json())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.parquet", "c.csv", "d.json", "deep"]
    with pytest.raises(DataError, match=r"\.xlsx"):
        done.write(tmp_path / "e.xlsx")
    with pytest.raises(UnknownName, match="verdicts"):
        done.write(tmp_path / "f.csv", "verdict")
