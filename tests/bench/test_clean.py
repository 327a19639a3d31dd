"""Labels known to be right: a stage that relabels is judged by them too, beside the labels as given."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from tests.bench.planted import NoOp, Recorder, gaussian
from tilth.bench import ablate, compare, learning_curve
from tilth.bench.clean import CLEANED
from tilth.core import RowPlan, RowStage
from tilth.errors import DataError
from tilth.table import Roles, Table

ALONE = {"probes": ["linear"], "n_jobs": 1}


class Correct(RowStage):
    """Give rows the label that the column ``right`` names: what a perfect relabeling does."""

    needs_target = True

    def plan(self, table):
        return RowPlan(np.ones(table.height, np.int64), label=table.X()["right"].cast(table.y.dtype))


class Forget(NoOp):
    """Hide the column that knows."""

    def change(self, frame):
        return frame.drop("right")


def _mislabeled(rows=1000, share=0.3):
    X, right = gaussian(rows, strength=0.9)
    random = np.random.default_rng(3)
    # Not at random: rows of high x0 are called 1.
    wrong = (X["x0"].to_numpy() > 0.3) & (random.random(rows) < 2 * share)
    given = np.where(wrong, 1, right)
    checked = pl.Series(
        [int(r) if k else None for r, k in zip(right, random.random(rows) < 0.5, strict=True)]
    )
    return X.with_columns(right=pl.Series(right)), given, checked


def test_a_relabeling_gains_by_the_right_labels_and_loses_by_the_given_ones():
    X, given, checked = _mislabeled()
    done = compare([Forget()], [Correct(), Forget()], X, given, clean=checked, repeats=2, **ALONE)
    assert done.clean.schema == CLEANED and set(done.clean["labels"]) == {"clean", "given"}
    (finding,) = [f for f in done.controls if f.kind == "bench.clean_labels"]
    assert finding.n_rows == checked.is_not_null().sum()
    assert finding.score > 0.01 and done.verdicts[0].difference < 0
    assert "by the labels known to be right" in finding.message and "as given" in finding.message
    assert finding.message in done.in_words()
    mean = dict(
        done.clean.group_by("labels", "arm").agg(pl.col("value").mean()).rows_by_key(["labels", "arm"])
    )
    gain = mean["clean", "after"][0][0] - mean["clean", "before"][0][0]
    assert finding.score == pytest.approx(gain)
    assert len(done.as_dict()["clean"]) == done.clean.height == 2 * 2 * 10


def test_scores_are_of_the_test_rows_that_have_a_clean_label():
    X, y = gaussian(200)
    right = np.where(np.arange(200) % 5 == 0, 1 - y, y)
    clean = pl.Series([int(c) if k % 2 else None for k, c in enumerate(right)])
    done = compare(None, None, X, y, clean=clean, probes=["linear"], n_jobs=1, folds=2, repeats=1)
    told = done.clean.filter(arm="before").sort("fold")
    # All rows have a clean label that is the given one: both scores are that of all test rows.
    same = compare(None, None, X, y, clean=y, probes=["linear"], n_jobs=1, folds=2, repeats=1)
    overall = same.scores.filter(arm="before", metric="roc_auc").sort("fold")["value"]
    for labels in ("clean", "given"):
        assert same.clean.filter(arm="before", labels=labels).sort("fold")["value"].equals(overall)
    assert (told.filter(labels="clean")["value"] < told.filter(labels="given")["value"]).all()
    assert roc_auc_score(right[1::2], y[1::2]) > 0.7


def test_a_column_of_clean_labels_is_no_feature():
    X, y = gaussian(200)
    frame = X.with_columns(checked=pl.Series(y))
    named = compare(None, None, frame, y, clean="checked", repeats=1, **ALONE)
    apart = compare(None, None, X, y, clean=y, repeats=1, **ALONE)
    assert named.scores.equals(apart.scores) and named.clean.equals(apart.clean)
    assert compare(None, None, X, y, repeats=1, **ALONE).clean.is_empty()


def test_gaps_in_other_libraries_and_text_and_values_are_read():
    X, y = gaussian(120)
    gaps = np.where(np.arange(120) % 2, y, np.nan)
    text = pl.Series(np.where(y, "yes", "no"))
    some = pl.Series([t if k % 2 else None for k, t in enumerate(text)])
    one = compare(None, None, X, y, clean=gaps, repeats=1, **ALONE)
    two = compare(None, None, X, text, clean=some, repeats=1, **ALONE)
    assert one.clean["value"].to_list() == pytest.approx(two.clean["value"].to_list())
    value = 3 * X["x0"].to_numpy() + np.random.default_rng(0).normal(size=120)
    done = compare(
        None, None, X, value, clean=np.where(np.arange(120) % 2, value, np.nan), repeats=1, **ALONE
    )
    assert done.clean.filter(labels="clean")["value"].equals(done.clean.filter(labels="given")["value"])


def test_rows_of_no_weight_do_not_count():
    X, y = gaussian(100)
    weight = (np.arange(100) % 2).astype(float)
    recorder = {"probes": [("recorder", Recorder())], "n_jobs": 1, "repeats": 1, "metric": "accuracy"}
    garbled = np.where(weight == 0, 1 - y, y)
    one, two = (
        compare(None, None, X, y, sample_weight=weight, clean=c, **recorder).clean for c in (y, garbled)
    )
    assert one.equals(two)


def test_clean_labels_that_cannot_be_read_are_refused_with_the_reason():
    X, y = gaussian(60)
    more = {"repeats": 1, **ALONE}
    with pytest.raises(DataError, match="clean has 2 labels"):
        compare(None, None, X, y, clean=[0, 1], **more)
    with pytest.raises(DataError, match="no label at all"):
        compare(None, None, X, y, clean=[None] * 60, **more)
    with pytest.raises(DataError, match="'7', which is none of the target's classes: "):
        compare(None, None, X, y, clean=[7] * 60, **more)
    with pytest.raises(DataError, match="checkd"):
        compare(None, None, X, y, clean="checkd", **more)


def _ablated(method, checked, X, given, **more):
    steps = [("correct", Correct()), ("forget", Forget())]
    return ablate(steps, X, given, method=method, clean=checked, repeats=2, **ALONE, **more)


@pytest.mark.parametrize("method", ["leave_one_out", "add_one", "shapley"])
def test_each_stage_is_asked_about_by_both_labels(method):
    X, given, checked = _mislabeled()
    done = _ablated(method, checked, X.with_columns(x8=pl.lit(0.0)), given)
    told = {f.message.split(":")[0]: f for f in done.controls if f.kind == "bench.clean_labels"}
    assert set(told) == {"correct", "forget"}
    assert told["correct"].n_rows == checked.is_not_null().sum()
    assert "by the labels as given" in told["correct"].message
    (verdict,) = done.of("correct")
    # Held against the scores themselves: the arms that the verdict is about, by the right labels.
    arms = {
        "leave_one_out": ("without correct", "full"),
        "add_one": ("none", "only correct"),
        "shapley": ("none", "full"),
    }[method]
    mean = {
        arm: done.clean.filter(arm=arm, labels="clean")["value"].mean()
        for arm in done.clean["arm"].unique().to_list()
    }
    gain = mean[arms[1]] - mean[arms[0]]
    found = told["correct"].score + (told["forget"].score if method == "shapley" else 0.0)
    assert found == pytest.approx(gain, abs=1e-12)
    if method == "shapley":
        # By hand, over the two orders in which two stages can join.
        first = mean["only correct"] - mean["none"]
        last = mean["full"] - mean["only forget"]
        assert told["correct"].score == pytest.approx((first + last) / 2)
    assert verdict.stage == "correct" and done.clean.height == len(mean) * 2 * 10
    assert done.as_dict()["clean"]


def test_a_fold_without_a_clean_label_is_left_out_for_each_kind_alike():
    X, given, _ = _mislabeled(200)
    few = pl.Series([int(g) if k in (3, 5) else None for k, g in enumerate(given)])
    options = {"method": "add_one", "metric": "accuracy", "probes": ["linear"], "n_jobs": 1, "repeats": 3}
    done = ablate([("forget", Forget())], X, given, clean=few, **options)
    whole = done.clean.filter(pl.col("value").is_not_nan()).select("repeat", "fold").n_unique()
    assert 1 < whole < 15
    (told,) = [f for f in done.controls if f.kind == "bench.clean_labels"]
    assert told.score == 0.0 or told.score == told.score


def test_a_table_says_which_column_holds_clean_labels():
    X, y = gaussian(200)
    frame = X.with_columns(checked=pl.Series(y), label=pl.Series(y))
    table = Table.of(frame, roles=Roles(target="label", clean="checked"))
    assert table.features == X.columns
    by_role = compare(None, None, table, repeats=1, **ALONE)
    named = compare(None, None, X.with_columns(checked=pl.Series(y)), y, clean="checked", repeats=1, **ALONE)
    assert by_role.scores.equals(named.scores) and by_role.clean.equals(named.clean)
    again = compare(None, None, table, clean="checked", repeats=1, **ALONE)
    assert again.clean.equals(named.clean)
    other = compare(None, None, table, clean=np.where(np.arange(200) < 100, 1 - y, y), repeats=1, **ALONE)
    assert other.scores.equals(named.scores) and not other.clean.equals(named.clean)


def test_a_learning_curve_does_not_learn_from_clean_labels():
    X, y = gaussian(200)
    random = np.random.default_rng(0).permutation(y)  # nothing but the clean labels would tell them
    frame = X.with_columns(checked=pl.Series(random), label=pl.Series(random))
    curve = {"probes": ["linear"], "repeats": 1, "n_jobs": 1, "sizes": [40, 80, 120, 160]}
    kept = learning_curve(None, Table.of(frame, roles=Roles(target="label", clean="checked")), **curve)
    leaked = learning_curve(None, Table.of(frame, roles=Roles(target="label")), **curve)
    last = lambda done: done.curves[0].points[-1].score
    assert last(kept) < 0.7 < 0.95 < last(leaked)
