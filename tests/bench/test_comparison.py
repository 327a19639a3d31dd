"""Comparisons of known outcome: controls, leaks, and the same answer however the work is split."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from tests.bench import planted
from tests.bench.planted import (
    SEEN,
    DropRandom,
    DropUnsure,
    DropWrong,
    FlipLabels,
    Loses,
    NoOp,
    Oversample,
    Recorder,
    RowSpy,
    Spy,
    Turns,
    Weigh,
    gaussian,
)
from tilth.bench import compare
from tilth.bench.preparing import RowsChanged
from tilth.bench.statistics import corrected_t
from tilth.core import RowPlan
from tilth.errors import DataError, StageError, UnknownName
from tilth.pipeline import Pipeline
from tilth.stages.augment.jitter import AugmentJitter
from tilth.stages.impute.simple import ImputeSimple
from tilth.stages.outliers.clip import OutliersClip
from tilth.table import Roles, Table

ALONE = {"probes": ["linear"], "n_jobs": 1}


def _scores(done, arm="before", metric="roc_auc", probe="linear"):
    rows = done.scores.filter(arm=arm, metric=metric, probe=probe).sort("repeat", "fold")
    return rows["value"].to_numpy()


# --- controls ---------------------------------------------------------------------------------------


def test_a_stage_that_does_nothing_makes_no_difference():
    X, y = gaussian(300)
    (verdict,) = compare(None, [NoOp()], X, y, **ALONE, repeats=2).verdicts
    assert verdict.word == "no difference"
    assert (verdict.difference, verdict.low, verdict.high, verdict.p_same) == (0, 0, 0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_dropping_rows_at_random_neither_helps_nor_hurts(seed):
    X, y = gaussian(400, seed)
    (verdict,) = compare(None, [DropRandom()], X, y, **ALONE, random_state=seed).verdicts
    assert verdict.word in ("no evidence", "no difference")


def test_noise_columns_do_not_help():
    X, y = gaussian(400)
    noise = np.random.default_rng(1).normal(size=(400, 20))

    class Noise(NoOp):
        def change(self, frame):
            return frame.with_columns(
                pl.col("__row__")
                .map_batches(lambda ids, j=j: pl.Series(noise[ids.to_numpy(), j]), return_dtype=pl.Float64)
                .alias(f"noise{j}")
                for j in range(20)
            )

    (verdict,) = compare(None, [Noise()], X, y, **ALONE, repeats=3).verdicts
    assert verdict.word in ("no evidence", "hurts") and verdict.difference < 0


def test_shuffled_labels_are_not_testable():
    X, y = gaussian(400)
    shuffled = np.random.default_rng(0).permutation(y)
    done = compare(None, [DropRandom()], X, shuffled, **ALONE)
    assert done.verdicts[0].word == "not testable" and "at chance" in done.verdicts[0].note
    chance = corrected_t(_scores(done), 5)
    assert chance.low <= 0.5 <= chance.high


def test_flipped_training_labels_hurt():
    X, y = gaussian(1200, strength=0.8)
    done = compare(None, [FlipLabels()], X, y, **ALONE, repeats=2, metric="log_loss")
    (verdict,) = done.verdicts
    assert verdict.word == "hurts" and verdict.high < 0 and verdict.after > verdict.before
    assert any("test labels as given" in f.message for f in done.controls)


def test_repaired_outliers_help_the_linear_probe():
    X, y = gaussian(800, strength=0.8)
    hit = np.random.default_rng(2).random((800, 8)) < 0.02
    X = pl.DataFrame({f"x{j}": np.where(hit[:, j], 1e6, X[f"x{j}"].to_numpy()) for j in range(8)})
    (verdict,) = compare(None, [OutliersClip()], X, y, **ALONE, repeats=2).verdicts
    assert verdict.word == "helps" and verdict.low > 0 and verdict.p_holm < 0.05
    assert not any(guard.broken for guard in verdict.guards.values())


def test_dropping_wrong_labels_beats_dropping_as_many_at_random():
    X, y = gaussian(1200, strength=0.9)
    wrong = np.random.default_rng(3).random(1200) < 0.15
    X = X.with_columns(wrong=pl.Series(wrong))
    given = np.where(wrong, 1 - y, y)

    class Forget(NoOp):
        """Hide the column that knows, so that only row stages profit from it."""

        def change(self, frame):
            return frame.drop("wrong")

    done = compare([Forget()], [DropWrong(), Forget()], X, given, **ALONE, repeats=2, metric="log_loss")
    assert {"before", "after", "random drop"} == set(done.scores["arm"])
    (finding,) = [f for f in done.controls if f.kind == "bench.random_drop"]
    assert finding.score == pytest.approx(
        np.mean(_scores(done, "random drop", "log_loss") - _scores(done, "after", "log_loss"))
    )
    kept = dict(done.costs.select("arm", "share_kept").iter_rows())
    assert kept["after"] == pytest.approx(kept["random drop"]) == pytest.approx(1 - wrong.mean(), abs=0.01)


# --- leaks ------------------------------------------------------------------------------------------


def test_no_stage_ever_sees_a_test_row():
    X, y = gaussian(120, strength=1.5)
    SEEN.clear()
    done = compare([Spy()], [Spy(), RowSpy(), Spy()], X, y, **ALONE, folds=4, repeats=2)
    assert done.verdicts[0].word == "no difference"
    # Per fold: before once, then after three times.
    assert [who for who, _ in SEEN] == ["column stage", "column stage", "row stage", "column stage"] * 8
    for repeat in range(2):
        unseen = [np.setdiff1d(np.arange(120), ids) for _, ids in SEEN[repeat * 16 : repeat * 16 + 16]]
        assert all((part == unseen[k // 4 * 4]).all() for k, part in enumerate(unseen))
        tested = np.concatenate(unseen[::4])
        assert sorted(tested.tolist()) == list(range(120))


def test_groups_never_straddle_train_and_test():
    X, y = gaussian(200)
    groups = np.arange(200) // 8
    SEEN.clear()
    done = compare(None, [Spy()], X, y, groups=groups, **ALONE, repeats=2)
    for _, ids in SEEN:
        assert not set(groups[ids.astype(int)]) & set(groups[np.setdiff1d(np.arange(200), ids)])
    assert "bench.groups_together" in [f.kind for f in done.leaks]


@pytest.mark.parametrize("stage", [Loses(), Turns()])
def test_a_stage_that_changes_test_rows_is_refused(stage):
    X, y = gaussian(200)
    with pytest.raises(RowsChanged, match="'after' arm changed the test rows"):
        compare(None, [stage], X, y, **ALONE, repeats=1)


def test_oversampling_pure_noise_stays_at_chance():
    rng = np.random.default_rng(0)
    X = pl.DataFrame({f"x{j}": rng.normal(size=400) for j in range(5)})
    y = (rng.random(400) < 0.2).astype(int)
    near = [("near", KNeighborsClassifier(5))]
    done = compare(None, [Oversample(times=4)], X, y, probes=near, n_jobs=1, repeats=2)
    found = corrected_t(_scores(done, "after", probe="near"), 5)
    assert found.low <= 0.5 <= found.high
    assert done.verdicts[0].word == "not testable"
    # The wrong way, copies made before the split, is caught too: copies are tested together.
    times = np.where(y == 1, 4, 1)
    wrong = compare(
        None, None, X[np.repeat(np.arange(400), times)], np.repeat(y, times), probes=near, n_jobs=1
    )
    found = corrected_t(_scores(wrong, "before", probe="near"), 5)
    assert found.low <= 0.5 <= found.high
    assert [f.kind for f in wrong.leaks] == ["bench.copies_together"]


def test_dropping_unsure_rows_of_clean_data_gains_nothing_inside_the_fold():
    X, y = gaussian(1000, strength=0.4)
    done = compare(None, [DropUnsure()], X, y, **ALONE, repeats=2)
    (verdict,) = done.verdicts
    assert verdict.word != "helps" and abs(verdict.difference) < 0.01
    # What the bench does not allow: to drop them before the split, test rows included.
    keep = ~planted.unsure(X.to_numpy(), y)
    false = compare(None, None, X.filter(pl.Series(keep)), y[keep], **ALONE, repeats=2)
    assert np.mean(_scores(false)) - verdict.before > 0.05


# --- what reaches the probes ------------------------------------------------------------------------


def test_weights_made_by_stages_reach_the_probes():
    X, y = gaussian(100)
    SEEN.clear()
    compare(None, [Weigh()], X, y, probes=[("recorder", Recorder())], repeats=1, n_jobs=1)
    before, after = SEEN[0][1], SEEN[1][1]
    assert len(before) == 0 and sorted(set(after)) == [1.0, 3.0] and len(after) == 80


def test_given_weights_count_in_training_and_in_scores():
    X, y = gaussian(100)
    weight = np.random.default_rng(0).uniform(0.5, 2, 100)
    SEEN.clear()
    done = compare(None, [Weigh()], X, y, sample_weight=weight, probes=[("recorder", Recorder())], n_jobs=1)
    assert set(SEEN[0][1]) < set(weight)
    assert sorted(SEEN[1][1].tolist()) == pytest.approx(
        sorted(w * (3 if i % 2 else 1) for i, w in enumerate(weight) if w in SEEN[0][1])
    )
    plain = compare(None, None, X, y, probes=[("recorder", Recorder())], n_jobs=1)
    assert not np.allclose(
        _scores(done, metric="brier", probe="recorder"), _scores(plain, metric="brier", probe="recorder")
    )


def test_rows_of_weight_zero_are_neither_learned_from_nor_counted():
    X, y = gaussian(200)
    weight = (np.arange(200) % 4 > 0).astype(float)
    garbled = np.where(weight == 0, 1 - y, y)
    more = {"sample_weight": weight, **ALONE, "repeats": 1, "metric": "accuracy"}
    one, two = (compare(None, None, X, labels, **more) for labels in (y, garbled))
    assert np.isfinite(_scores(one)).all()
    # Folds are stratified by label, so the two runs are not equal; both are far above the garbled labels.
    assert abs(np.mean(_scores(one)) - np.mean(_scores(two))) < 0.1 and np.mean(_scores(two)) > 0.6


def test_a_pipeline_brings_its_model_which_judges_both():
    X, y = gaussian(200, strength=0.9)
    X = X.with_columns(city=pl.Series(["Oslo", None] * 100))
    pipe = Pipeline([ImputeSimple(), RandomForestClassifier(20)])
    done = compare(None, pipe, X, y, probes=[], repeats=2, n_jobs=1)
    assert [v.probe for v in done.verdicts] == ["model"]
    assert done.verdicts[0].before > 0.6
    again = compare(None, pipe, X, y, probes=[], repeats=2, n_jobs=1)
    assert again.scores.equals(done.scores)  # the model's random_state is set, fold by fold
    both = compare(LogisticRegression(), pipe, X, y, probes=["linear"], repeats=1, n_jobs=1)
    assert [v.probe for v in both.verdicts] == ["model", "linear"]


def test_all_three_probes_judge_by_default():
    X, y = gaussian(300, strength=1.5)
    X = X.with_columns(city=pl.Series(["Oslo", None, "Rome"] * 100))
    done = compare(None, [ImputeSimple()], X, y, folds=2, repeats=1, n_jobs=1)
    assert [v.probe for v in done.verdicts] == ["linear", "boosting", "mlp"]
    assert all(v.before > 0.8 for v in done.verdicts)


def test_tables_with_roles_and_text_targets_are_read():
    X, y = gaussian(150)
    frame = X.with_columns(label=pl.Series(np.where(y, "yes", "no")), site=pl.Series(np.arange(150) // 5))
    table = Table.of(frame, roles=Roles(target="label", group="site"))
    done = compare(None, [ImputeSimple()], table, **ALONE, repeats=1)
    assert done.task == "binary" and done.primary == ("roc_auc",)
    named = compare(None, [ImputeSimple()], X, y, groups=np.arange(150) // 5, **ALONE, repeats=1)
    # The same scores; classes are called by their own names.
    assert named.scores.drop("metric").equals(done.scores.drop("metric"))
    assert named.recalls["label"].to_list() == ["0", "1"] and done.recalls["label"].to_list() == ["no", "yes"]


def test_regressions_and_several_classes_are_judged_by_their_own_metrics():
    rng = np.random.default_rng(0)
    X = pl.DataFrame({f"x{j}": rng.normal(size=300) for j in range(4)})
    value = X["x0"].to_numpy() * 3 + rng.normal(size=300)
    done = compare(None, [NoOp()], X, value, **ALONE, repeats=2)
    assert done.task == "regression" and [v.metric for v in done.verdicts] == ["rmse"]
    assert set(done.verdicts[0].guards) == {"mae", "r2"}
    done = compare(None, [NoOp()], X, np.digitize(value, [-2, 2]), **ALONE, repeats=2)
    assert done.task == "multiclass" and [v.metric for v in done.verdicts] == [
        "log_loss",
        "balanced_accuracy",
    ]


def test_a_class_of_one_row_is_absent_from_one_training_fold_and_still_scored():
    X, y = gaussian(120)
    y = y.copy()
    y[0] = 2
    done = compare(None, [NoOp()], X, y, **ALONE, repeats=1)
    assert np.isfinite(_scores(done, metric="log_loss")).all()
    words = {v.metric: v for v in done.verdicts}
    assert words["balanced_accuracy"].word == "not testable"
    assert "1 rows of the smallest class" in words["balanced_accuracy"].note


def test_one_class_is_refused_with_the_reason():
    X, _ = gaussian(50)
    with pytest.raises(DataError, match="has one class, 0, in 50 rows"):
        compare(None, [NoOp()], X, np.zeros(50, dtype=int), **ALONE)


# --- the tuned threshold ----------------------------------------------------------------------------


def test_oversampling_gains_no_more_than_a_tuned_threshold():
    rng = np.random.default_rng(5)
    y = (rng.random(1500) < 0.12).astype(int)
    X = pl.DataFrame({f"x{j}": rng.normal(size=1500) + 0.6 * y for j in range(4)})
    done = compare(None, [Oversample(times=7)], X, y, **ALONE, repeats=2, metric="balanced_accuracy")
    (verdict,) = done.verdicts
    assert verdict.word == "threshold only", verdict
    assert (
        verdict.difference > 0.1
        and np.mean(_scores(done, "before, tuned", "balanced_accuracy")) > verdict.before
    )
    assert verdict.guards["brier"].broken and verdict.guards["ece"].broken


# --- the run itself ---------------------------------------------------------------------------------


def test_the_number_of_processes_changes_nothing():
    X, y = gaussian(150)
    X = X.with_columns(city=pl.Series(["Oslo", "Rome", None] * 50))
    told = []
    more = {"probes": ["linear", "boosting"], "folds": 3, "repeats": 1, "random_state": 4}
    one = compare(None, [ImputeSimple(indicator=True), DropRandom()], X, y, n_jobs=1, **more)
    two = compare(
        None, [ImputeSimple(indicator=True), DropRandom()], X, y, n_jobs=2, progress=told.append, **more
    )
    assert one.scores.equals(two.scores)
    assert told == [f"repeat 1 of 1, fold {k} of 3" for k in (1, 2, 3)]


def test_rows_in_another_order_are_tested_in_the_same_folds():
    X, y = gaussian(150)
    frame = X.with_columns(y=pl.Series(y), key=pl.Series(np.arange(150)))
    turned = frame.sample(fraction=1, shuffle=True, seed=1)
    roles = Roles(target="y", row_id="key")
    one, two = (compare(None, None, Table.of(f, roles=roles), **ALONE, repeats=1) for f in (frame, turned))
    assert _scores(one) == pytest.approx(_scores(two), abs=1e-4)


def test_one_repeat_is_an_indication_at_most():
    X, y = gaussian(300)
    (verdict,) = compare(None, [NoOp()], X, y, **ALONE, repeats=1).verdicts
    assert verdict.word == "indication" and '"no difference"' in verdict.note


def test_the_result_can_be_read_by_people_and_by_machines():
    X, y = gaussian(200)
    done = compare(None, [FlipLabels(share=0.4)], X, y, **ALONE, repeats=2)
    words = done.in_words()
    assert words[0].startswith("Chosen before the run: roc_auc (binary, 200 rows, 5 folds x 2 repeats)")
    assert words[1].startswith(f"linear, roc_auc: {done.verdicts[0].word}.")
    told = json.loads(done.to_json())
    assert told["verdicts"][0]["guards"]["brier"]["after"] == pytest.approx(
        done.verdicts[0].guards["brier"].after
    )
    assert len(told["scores"]) == done.scores.height == 2 * 10 * 13  # 11 metrics, 2 recalls
    assert done.table().row(0, named=True)["word"] == done.verdicts[0].word
    assert set(done.costs.columns) >= {"arm", "probe", "prepare_seconds", "fit_seconds", "share_kept"}


def test_what_cannot_be_judged_is_refused_with_the_reason():
    X, y = gaussian(60)
    with pytest.raises(UnknownName, match="linear"):
        compare(None, None, X, y, probes=["linar"])
    with pytest.raises(DataError, match="no probe"):
        compare(None, None, X, y, probes=[])
    with pytest.raises(DataError, match="at least 2 folds"):
        compare(None, None, X, y, folds=1)
    with pytest.raises(DataError, match="requires y"):
        compare(None, None, X)
    with pytest.raises(
        DataError, match="missing in 58 of 60 rows, and 2 labeled rows cannot be split into 5"
    ):
        compare(None, None, X, pl.Series([*y[:2].tolist(), *[None] * 58]))
    with pytest.raises(StageError, match="int is neither"):
        compare(None, [3], X, y)
    with pytest.raises(DataError, match="negative"):
        compare(None, None, X, y, sample_weight=-np.ones(60))


@pytest.mark.parametrize("expand", [0, 1])
def test_a_batch_stage_is_judged_where_it_adds_rows_and_said_not_to_be_where_it_does_not(expand):
    X, y = gaussian(300)
    done = compare(None, [AugmentJitter(share=1.0, expand=expand)], X, y, **ALONE)
    told = [f.message for f in done.leaks if f.kind == "bench.batch_stages"]
    trained = dict(done.costs.select("arm", "rows_trained").rows())
    difference = _scores(done, "after") - _scores(done)
    assert len(told) == 1 - expand
    assert trained["after"] == trained["before"] * (1 + expand)
    assert difference.any() == (expand > 0)


class ToHalf(Oversample):
    """Repeat rows of class 1 where they are the fewer: in some folds, nothing is done."""

    shifts_prior = True

    def plan(self, table):
        times = 2 if (table.y.to_numpy() == 1).mean() < 0.35 else 1
        return RowPlan(np.where(table.y.to_numpy() == 1, times, 1))


def test_the_correction_of_frequencies_is_told_though_some_folds_needed_none():
    X, _ = gaussian(101)
    y = (np.arange(101) % 2).astype(int)
    y[0] = 1
    time = np.arange(101)
    y[:40] = (np.arange(40) % 4 == 0).astype(int)
    done = compare(None, [ToHalf()], X, y, **ALONE, time=time, folds=4, repeats=1)
    raw = done.scores.filter(arm="after, uncorrected", metric="log_loss")
    assert 0 < raw.height < 4
    (finding,) = [f for f in done.controls if f.kind == "bench.prior"]
    with_it = done.scores.filter(arm="after", metric="log_loss").join(raw, on=["fold"])
    assert finding.score == pytest.approx((with_it["value_right"] - with_it["value"]).mean())
