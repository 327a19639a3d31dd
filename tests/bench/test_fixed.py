"""One fixed test set: who is tested, who is learned from, and what comes of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.bench.planted import SEEN, DropRandom, NoOp, RowSpy, Spy, gaussian
from tilth.bench import ablate, compare
from tilth.bench.answering import Answer
from tilth.bench.controls import Blur, FlipLabels
from tilth.bench.fixed import kept_for_testing, line_of, said_of
from tilth.errors import ColumnError, DataError
from tilth.stages.balance.over import BalanceOver
from tilth.stages.balance.threshold import BalanceThreshold
from tilth.table import Roles, Table

ALONE = {"probes": ["linear"], "n_jobs": 1}
MORE = {"repeats": 5, **ALONE}


def _rows(rows=400, share=0.4, seed=0, strength=1.0):
    X, y = gaussian(rows, seed, strength=strength)
    return X, y, np.random.default_rng(seed).random(rows) < share


def test_everything_is_learned_from_the_other_rows():
    X, y, test = _rows()
    SEEN.clear()
    done = compare([Spy()], [Spy(), RowSpy()], X, y, test=test, repeats=2, **ALONE)
    assert len(SEEN) == 2 * 3
    for _, ids in SEEN:
        assert sorted(ids.astype(int)) == np.flatnonzero(~test).tolist()
    assert (done.folds, done.repeats, done.rows, done.tested) == (1, 2, 400, int(test.sum()))
    assert done.scores["fold"].unique().to_list() == [0]
    said = done.in_words()
    assert f"one fixed test set of {test.sum():,} rows, 2 training seeds" in said[0]
    assert not any("fold" in sentence for sentence in said)
    assert done.as_dict()["tested"] == test.sum()


def test_scores_are_those_of_the_test_rows_and_the_gain_is_their_mean():
    X, y, test = _rows()
    done = compare(None, [Blur(spread=1.0)], X, y, test=test, **MORE)
    (verdict,) = done.verdicts
    held = {
        arm: done.scores.filter(arm=arm, metric="roc_auc")["value"].to_numpy() for arm in ("before", "after")
    }
    assert verdict.difference == pytest.approx((held["after"] - held["before"]).mean())
    assert verdict.n_scores == 5 and verdict.low < verdict.difference < verdict.high
    assert verdict.word == "hurts" and "accuracy" in verdict.guards
    assert verdict.p_hurts + verdict.p_same + verdict.p_helps == pytest.approx(1)
    again = compare(None, [Blur(spread=1.0)], X, y, test=test, probes=["linear"], folds=7, n_jobs=1)
    # Folds count for nothing, five training seeds are the default, and the same is drawn again.
    assert again.verdicts == done.verdicts


def test_what_changes_nothing_makes_no_difference():
    X, y, test = _rows()
    (verdict,) = compare(None, [NoOp()], X, y, test=test, **MORE).verdicts
    assert verdict.word == "no difference" and verdict.note == "All scores are identical."
    assert (verdict.difference, verdict.low, verdict.high, verdict.p) == (0, 0, 0, 1)


def test_a_column_a_role_and_true_and_false_name_the_same_rows():
    X, y, test = _rows()
    part = pl.Series("part", np.where(test, "test", "train"))
    given = compare(None, [Blur()], X, y, test=test, **MORE)
    named = compare(None, [Blur()], X.with_columns(part), y, test="part", **MORE)
    truth = compare(None, [Blur()], X.with_columns(part=pl.Series(test)), y, test="part", **MORE)
    table = Table.of(X.with_columns(part, y=pl.Series(y)), roles=Roles(target="y", split="part"))
    role = compare(None, [Blur()], table, test="part", **MORE)
    for other in (named, truth, role):
        assert other.verdicts == given.verdicts and other.scores.equals(given.scores)


@pytest.mark.parametrize(
    ("test", "error", "says"),
    [
        ("nowhere", ColumnError, "nowhere"),
        ("x0", DataError, "keeps no row for testing"),
        ([True, False], DataError, "test has 2 values"),
        (np.arange(60), DataError, "Pass true for rows kept"),
        (np.ones(60, bool), DataError, "every row"),
    ],
)
def test_what_names_no_test_set_is_refused(test, error, says):
    X, y, _ = _rows(60)
    with pytest.raises(error, match=says):
        compare(None, None, X, y, test=test, **MORE)


def test_what_goes_by_folds_is_refused():
    X, y, test = _rows(60)
    with pytest.raises(DataError, match="test and time contradict"):
        compare(None, None, X, y, test=test, time=np.arange(60), **MORE)
    with pytest.raises(DataError, match="explain cannot be estimated"):
        compare(None, None, X, y, test=test, explain=True, **MORE)
    with pytest.raises(DataError, match="robustness cannot be estimated"):
        compare(None, None, X, y, test=test, robustness=True, **MORE)
    with pytest.raises(DataError, match="shapley"):
        ablate([NoOp()], X, y, test=test, method="shapley", **MORE)


def test_groups_and_copies_of_test_rows_are_not_learned_from():
    X, y, test = _rows(300)
    groups = np.random.default_rng(1).integers(0, 150, 300)
    SEEN.clear()
    done = compare(None, [Spy()], X, y, test=test, groups=groups, repeats=1, **ALONE)
    tied = ~test & np.isin(groups, groups[test])
    assert tied.any()
    assert sorted(SEEN[0][1].astype(int)) == np.flatnonzero(~test & ~tied).tolist()
    (finding,) = [f for f in done.leaks if f.kind == "bench.fixed_copies"]
    assert finding.n_rows == tied.sum()
    copied = pl.concat([X, X[np.flatnonzero(test)[:30]]])
    SEEN.clear()
    also = np.append(y, y[np.flatnonzero(test)[:30]]), np.append(test, np.zeros(30, bool))
    done = compare(None, [Spy()], copied, also[0], test=also[1], repeats=1, **ALONE)
    assert sorted(SEEN[0][1].astype(int)) == np.flatnonzero(~test).tolist()
    assert [f.n_rows for f in done.leaks if f.kind == "bench.fixed_copies"] == [30]


def test_groups_are_drawn_whole_and_too_few_of_them_tell_nothing():
    X, y, test = _rows(600, strength=0.6)
    alone = compare(None, [FlipLabels(share=0.3)], X, y, test=test, **MORE).verdicts[0]
    # Five times the same rows are no more evidence: copies of the test rows, each in its group.
    often = np.concatenate([np.arange(600), np.repeat(np.flatnonzero(test), 4)])
    known = [pl.Series(v[often]) for v in (y, test)]
    many = compare(
        None, [FlipLabels(share=0.3)], X[often], known[0], test=known[1].to_numpy(), groups=often, **MORE
    )
    assert many.verdicts[0].high - many.verdicts[0].low == pytest.approx(alone.high - alone.low, rel=0.15)
    few = np.where(test, np.arange(600) % 10, 10 + np.arange(600))
    (verdict,) = compare(None, [FlipLabels(share=0.3)], X, y, test=test, groups=few, **MORE).verdicts
    assert verdict.word == "not testable" and "10 groups of test rows" in verdict.note


def test_rows_without_a_label_are_not_scored_and_those_without_a_weight_count_for_nothing():
    X, y, test = _rows()
    gone = test & (np.arange(400) % 3 == 0)
    holed = pl.Series([None if g else int(v) for v, g in zip(y, gone, strict=True)])
    done = compare(None, [Blur()], X, holed, test=test, **MORE)
    left = test & ~gone
    kept = compare(None, [Blur()], X, y, test=test, sample_weight=(~gone).astype(float), **MORE)
    assert done.tested == kept.tested == left.sum()
    (unscored,) = [f for f in done.leaks if f.kind == "bench.fixed_unlabeled"]
    assert unscored.n_rows == gone.sum() and not [f for f in done.leaks if f.kind == "bench.unlabeled"]
    fields = ("difference", "low", "high", "p")
    assert [getattr(done.verdicts[0], f) for f in fields] == [getattr(kept.verdicts[0], f) for f in fields]
    with pytest.raises(DataError, match=r"None of the \d+ rows kept for testing has a label"):
        compare(
            None,
            None,
            X,
            pl.Series([None if t else int(v) for v, t in zip(y, test, strict=True)]),
            test=test,
            **MORE,
        )


def test_fewer_than_five_training_seeds_give_an_indication_and_few_rows_nothing():
    X, y, test = _rows()
    (verdict,) = compare(None, [Blur(spread=2.0)], X, y, test=test, repeats=4, **ALONE).verdicts
    assert verdict.word == "indication" and '4 training seeds only: points to "hurts"' in verdict.note
    (verdict,) = compare(None, [Blur(spread=2.0)], X, y, test=np.arange(400) < 30, **MORE).verdicts
    assert verdict.word == "not testable" and "in the test set: fewer than 25" in verdict.note


def test_other_arms_beside_are_estimated_too():
    X, y, test = _rows(500)
    wrong = pl.Series("right", [int(v) if k % 2 else None for k, v in enumerate(y)])
    more = {"test": test, "metric": "f1", "clean": "right", **MORE}
    done = compare(None, [DropRandom(share=0.3), BalanceThreshold()], X.with_columns(wrong), y, **more)
    told = {f.kind: f.message for f in done.controls}
    assert "per training seed" in told["bench.random_drop"]
    assert (
        "95 % interval" in told["bench.clean_labels"]
        and f"on {(test & (np.arange(500) % 2 == 1)).sum()} rows" in told["bench.clean_labels"]
    )
    assert "before, tuned" in done.scores["arm"].unique()
    assert "right only after" in told["bench.mcnemar"]
    assert done.recalls.height == 2 and done.recalls["n_scores"].to_list() == [5, 5]


def test_probabilities_are_turned_back_and_guards_are_estimated():
    X, y, test = _rows(600, strength=0.6)
    keep = (y == 0) | (np.arange(600) % 3 == 0)
    done = compare(None, [BalanceOver()], X.filter(pl.Series(keep)), y[keep], test=test[keep], **MORE)
    assert "bench.prior" in [f.kind for f in done.controls]
    guard = done.verdicts[0].guards["log_loss"]
    assert guard.low <= guard.difference <= guard.high


def test_slices_guard_a_gain_and_the_small_are_left_out():
    X, y, test = _rows(900, share=0.5)
    kind = pl.Series(
        "kind", np.where(np.arange(900) % 9 == 0, "rare", np.where(np.arange(900) % 2, "a", "b"))
    )
    done = compare(None, [Blur(on="x*")], X.with_columns(kind), y, test=test, slices=["kind"], **MORE)
    assert done.slices["slice"].unique().sort().to_list() == ["kind = a", "kind = b"]
    worst = done.verdicts[0].guards["worst slice"]
    assert worst.low < worst.difference < worst.high


def test_a_regression_and_several_classes_are_judged():
    random = np.random.default_rng(0)
    X = pl.DataFrame(random.normal(size=(400, 4)), schema=list("abcd"))
    test = np.arange(400) % 2 == 0
    y = X["a"].to_numpy() * 3 + random.normal(size=400)
    (verdict,) = compare(None, [Blur(spread=1.0)], X, y, test=test, **MORE).verdicts
    assert verdict.metric == "rmse" and verdict.word == "hurts" and set(verdict.guards) == {"mae", "r2"}
    three = np.digitize(y, [-1.5, 1.5])
    done = compare(None, [Blur(spread=1.5)], X, three, test=test, **MORE)
    assert [v.metric for v in done.verdicts] == ["log_loss", "balanced_accuracy"]
    assert {v.word for v in done.verdicts} == {"hurts"}


def test_a_run_that_was_killed_goes_on_and_gives_the_same(tmp_path):
    X, y, test = _rows()
    ask = lambda **more: compare(None, [Blur()], X, y, resume=tmp_path / "kept", **MORE, **more)
    first = ask(test=test)
    (tmp_path / "kept" / "repeat-3-fold-0.json").unlink()
    assert ask(test=test).verdicts == first.verdicts
    with pytest.raises(DataError, match="another bench"):
        ask(test=~test)


def test_an_ablation_is_judged_on_the_same_rows():
    X, y, test = _rows()
    done = ablate([Blur(spread=2.0), NoOp()], X, y, test=test, **MORE)
    words = {v.stage: v.word for v in done.verdicts}
    assert words == {"blur": "hurts", "no_op": "no difference"} or set(words.values()) == {
        "hurts",
        "no difference",
    }
    assert done.tested == test.sum() and done.folds == 1
    assert sum(f.kind == "bench.mcnemar" for f in done.controls) == 2


def test_a_harm_is_found_and_mcnemar_says_so_too():
    X, y, test = _rows(800)
    done = compare(None, [FlipLabels(share=0.45)], X, y, test=test, metric="accuracy", **MORE)
    (check,) = [f for f in done.controls if f.kind == "bench.mcnemar"]
    assert (
        done.verdicts[0].word == "hurts" and check.severity == "info" and "right only after" in check.message
    )


def test_answers_come_back_as_they_were():
    random = np.random.default_rng(0)
    said = random.random((30, 3))
    decided = np.eye(3)[random.integers(0, 3, 30)]
    back = said_of(line_of("after", None, Answer(said, said, decided)))
    assert (back.said == said).all() and (back.decided == decided.argmax(axis=1)).all()
    labels = said_of(line_of("tuned", decided, None))
    assert labels.said is None and (labels.decided == decided.argmax(axis=1)).all()
    values = said_of(line_of("after", None, Answer(said[:, 0], said[:, 0], said[:, 0])))
    assert values.decided is None and (values.said == said[:, 0]).all()


def test_the_column_of_the_test_rows_is_no_feature_and_no_other_is_lost():
    table = Table.of(pl.DataFrame({"x": [1.0, 2.0, 3.0], "part": ["test", "train", None]}))
    left, test = kept_for_testing(table, "part")
    assert left.features == ["x"] and test.tolist() == [True, False, False]
