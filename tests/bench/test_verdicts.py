"""Every verdict word from scores made to earn it."""

import numpy as np
import polars as pl
import pytest

from tilth.bench.result import SCORES
from tilth.bench.slices import SLICED
from tilth.bench.verdicts import Facts, Question, judge

FOLDS, REPEATS = 5, 5
NOISE = np.random.default_rng(0).normal(size=FOLDS * REPEATS)
NOISE -= NOISE.mean()


def _scores(**arms):
    """Make scores of one probe; each arm maps metrics to (mean, spread)."""
    lines = []
    for arm, metrics in arms.items():
        for metric, (mean, spread) in metrics.items():
            for j, noise in enumerate(NOISE):
                lines.append(("linear", metric, arm, j // FOLDS, j % FOLDS, mean + spread * noise))
    return pl.DataFrame(lines, schema=SCORES, orient="row")


def _facts(**changed):
    given = {
        "task": "binary",
        "primary": ("roc_auc",),
        "folds": FOLDS,
        "repeats": REPEATS,
        "rows": 1000,
        "counts": np.array([700, 300]),
        "share_kept": {"before": 1.0, "after": 1.0},
    }
    return Facts(**given | changed)


def _verdict(scores, **changed):
    (verdict,) = judge(scores, [Question("before", "after")], ["linear"], _facts(**changed))
    return verdict


FLAT = {"brier": (0.2, 0.01), "log_loss": (0.5, 0.02), "ece": (0.03, 0.001)}


@pytest.mark.parametrize(
    ("after", "spread", "word"),
    [
        (0.83, 0.002, "helps"),
        (0.77, 0.002, "hurts"),
        (0.80, 0.001, "no difference"),
        (0.80, 0.030, "no evidence"),
        (0.83, 0.090, "no evidence"),
    ],
)
def test_words_follow_from_gain_and_certainty(after, spread, word):
    scores = _scores(before={"roc_auc": (0.8, 0), **FLAT}, after={"roc_auc": (after, spread), **FLAT})
    verdict = _verdict(scores)
    assert verdict.word == word, verdict
    assert verdict.difference == pytest.approx(after - 0.8)
    assert verdict.p_hurts + verdict.p_same + verdict.p_helps == pytest.approx(1)
    assert (verdict.rows_needed is not None) == (word == "no evidence")


def test_a_real_but_tiny_gain_is_no_help():
    verdict = _verdict(_scores(before={"roc_auc": (0.8, 0)}, after={"roc_auc": (0.8035, 0.0022)}))
    assert verdict.p_holm < 0.05 and verdict.low > 0
    assert verdict.word == "no evidence" and "practically equal" in verdict.note


@pytest.mark.parametrize("guard", ["brier", "log_loss", "ece"])
def test_a_gain_that_costs_calibration_is_a_trade(guard):
    worse = {guard: (FLAT[guard][0] + 0.1, 0.01)}
    scores = _scores(before={"roc_auc": (0.8, 0), **FLAT}, after={"roc_auc": (0.83, 0.002), **FLAT, **worse})
    verdict = _verdict(scores)
    assert verdict.word == "trades" and f"{guard} is clearly worse" in verdict.note
    assert [name for name, g in verdict.guards.items() if g.broken] == [guard]


def test_a_worse_ranking_metric_beside_is_shown_and_does_not_forbid():
    beside = {"pr_auc": (0.6, 0.001)}
    scores = _scores(
        before={"roc_auc": (0.8, 0), **beside}, after={"roc_auc": (0.83, 0.002), "pr_auc": (0.5, 0.001)}
    )
    verdict = _verdict(scores)
    assert verdict.word == "helps" and verdict.guards["pr_auc"].high < 0


def test_a_gain_that_loses_a_fifth_of_the_rows_is_a_trade():
    scores = _scores(before={"roc_auc": (0.8, 0), **FLAT}, after={"roc_auc": (0.83, 0.002), **FLAT})
    assert _verdict(scores, share_kept={"before": 1.0, "after": 0.79}).word == "trades"
    assert _verdict(scores, share_kept={"before": 0.9, "after": 0.75}).word == "helps"


def test_broken_calibration_is_told_where_the_primary_metric_does_not_move():
    scores = _scores(
        before={"roc_auc": (0.8, 0), **FLAT},
        after={"roc_auc": (0.8, 0.001), **FLAT, "brier": (0.4, 0.01)},
    )
    verdict = _verdict(scores)
    assert verdict.word == "no difference" and "brier is clearly worse" in verdict.note


def test_a_threshold_that_gains_as_much_is_named():
    arms = {
        "before": {"balanced_accuracy": (0.6, 0), "roc_auc": (0.8, 0.01)},
        "after": {"balanced_accuracy": (0.75, 0.005), "roc_auc": (0.8, 0.01)},
    }
    tuned = {"before, tuned": {"balanced_accuracy": (0.75, 0)}}
    primary = ("balanced_accuracy",)
    assert _verdict(_scores(**arms, **tuned), primary=primary).word == "threshold only"
    tuned = {"before, tuned": {"balanced_accuracy": (0.65, 0)}}
    assert _verdict(_scores(**arms, **tuned), primary=primary).word == "helps"
    assert _verdict(_scores(**arms), primary=primary).word == "helps"


def test_help_that_random_dropping_gives_too_is_said_so():
    arms = {"before": {"roc_auc": (0.8, 0)}, "after": {"roc_auc": (0.83, 0.002)}}
    same = _verdict(_scores(**arms, **{"random drop": {"roc_auc": (0.83, 0)}}))
    assert same.word == "helps" and "at random cannot be told" in same.note
    assert _verdict(_scores(**arms, **{"random drop": {"roc_auc": (0.8, 0)}})).note == ""


def test_a_probe_at_chance_before_and_after_is_not_testable():
    verdict = _verdict(_scores(before={"roc_auc": (0.5, 0.02)}, after={"roc_auc": (0.51, 0.03)}))
    assert verdict.word == "not testable" and "guessing gives 0.5" in verdict.note
    # Lifted from chance is a gain all the same.
    scores = _scores(before={"roc_auc": (0.5, 0.02)}, after={"roc_auc": (0.8, 0.02)})
    assert _verdict(scores).word == "helps"


def test_too_few_rows_of_the_smaller_class_are_not_testable():
    scores = _scores(before={"roc_auc": (0.8, 0)}, after={"roc_auc": (0.9, 0.002)})
    assert _verdict(scores, counts=np.array([976, 24])).word == "not testable"
    assert _verdict(scores, counts=np.array([975, 25])).word == "helps"


def test_one_repeat_is_an_indication_at_most():
    scores = _scores(before={"roc_auc": (0.8, 0)}, after={"roc_auc": (0.83, 0.002)})
    verdict = _verdict(scores.filter(pl.col("repeat") == 0), repeats=1)
    assert verdict.word == "indication" and 'points to "helps"' in verdict.note and verdict.n_scores == 5


def test_losses_gain_by_falling_and_ropes_are_relative():
    arms = {
        "before": {"rmse": (100.0, 0), "r2": (0.5, 0.01)},
        "after": {"rmse": (95.0, 0.5), "r2": (0.6, 0.01)},
    }
    verdict = _verdict(_scores(**arms), task="regression", primary=("rmse",), counts=np.array([1000]))
    assert (
        verdict.word == "helps"
        and verdict.difference == pytest.approx(5)
        and verdict.rope == pytest.approx(1)
    )


def test_p_values_are_adjusted_over_all_questions_and_metrics():
    scores = _scores(
        full={"roc_auc": (0.83, 0.02), "accuracy": (0.8, 0.02)},
        a={"roc_auc": (0.8, 0), "accuracy": (0.78, 0.0)},
        b={"roc_auc": (0.81, 0), "accuracy": (0.79, 0)},
    )
    questions = [
        Question("a", "full", "s"),
        Question("b", "full", "t"),
        Question("c", "full", "u", obstacle="No."),
    ]
    found = judge(scores, questions, ["linear"], _facts(primary=("roc_auc", "accuracy")))
    assert [v.stage for v in found] == ["s", "s", "t", "t", "u", "u"]
    tested = sorted(found[:4], key=lambda v: v.p)
    assert [v.p_holm for v in tested] == pytest.approx(
        np.minimum(1, np.maximum.accumulate([v.p * k for v, k in zip(tested, (4, 3, 2, 1), strict=True)]))
    )
    assert all(v.word == "not testable" and v.note == "No." and np.isnan(v.p) for v in found[4:])


def test_scores_that_could_not_be_computed_are_left_out_in_pairs():
    scores = _scores(before={"roc_auc": (0.8, 0)}, after={"roc_auc": (0.83, 0.002)})
    holed = scores.with_columns(
        value=pl.when((pl.col("arm") == "after") & (pl.col("fold") == 2))
        .then(float("nan"))
        .otherwise("value")
    )
    assert _verdict(holed).n_scores == 20
    assert _verdict(scores.with_columns(value=pl.lit(float("nan")))).word == "not testable"


def _slices(**slices):
    """Make scores of slices; each maps arms to (mean, spread)."""
    lines = []
    for name, arms in slices.items():
        for arm, (mean, spread) in arms.items():
            for j, noise in enumerate(NOISE):
                lines.append(("linear", "roc_auc", name, arm, j // FOLDS, j % FOLDS, mean + spread * noise))
    return pl.DataFrame(lines, schema=SLICED, orient="row")


@pytest.mark.parametrize(
    ("after", "spread", "word"),
    [(0.77, 0.004, "trades"), (0.785, 0.002, "helps"), (0.77, 0.2, "helps"), (0.85, 0.004, "helps")],
    ids=["clear", "clear and small", "large and unclear", "a gain"],
)
def test_a_slice_that_clearly_loses_a_fiftieth_makes_a_trade(after, spread, word):
    scores = _scores(before={"roc_auc": (0.8, 0), **FLAT}, after={"roc_auc": (0.83, 0.002), **FLAT})
    slices = _slices(
        few={"before": (0.8, 0), "after": (after, spread)},
        most={"before": (0.8, 0), "after": (0.84, 0.01)},
    )
    (verdict,) = judge(scores, [Question("before", "after")], ["linear"], _facts(), slices)
    guard = verdict.guards["worst slice"]
    assert verdict.word == word and guard.broken == (word == "trades")
    if after < 0.8:
        assert guard.metric == "roc_auc where few"
        assert guard.difference == pytest.approx(after - 0.8)


def test_p_values_of_slices_are_adjusted_for_their_number():
    scores = _scores(before={"roc_auc": (0.8, 0), **FLAT}, after={"roc_auc": (0.83, 0.002), **FLAT})
    bad = {"before": (0.8, 0), "after": (0.77, 0.024)}
    good = {"before": (0.8, 0), "after": (0.8, 0.05)}
    ask = [Question("before", "after")], ["linear"], _facts()
    (alone,) = judge(scores, *ask, _slices(bad=bad))
    (many,) = judge(scores, *ask, _slices(bad=bad, **{f"s{k}": good for k in range(9)}))
    assert alone.guards["worst slice"].p < 0.05 and alone.word == "trades"
    assert many.guards["worst slice"].p == pytest.approx(min(1, 10 * alone.guards["worst slice"].p))
    assert many.word == "helps"


def test_a_slice_scored_in_few_folds_is_not_compared():
    scores = _scores(before={"roc_auc": (0.8, 0), **FLAT}, after={"roc_auc": (0.83, 0.002), **FLAT})
    slices = _slices(few={"before": (0.8, 0), "after": (0.7, 0.001)})
    holed = slices.with_columns(value=pl.when(pl.col("repeat") > 1).then(float("nan")).otherwise("value"))
    (verdict,) = judge(scores, [Question("before", "after")], ["linear"], _facts(), holed)
    assert "worst slice" not in verdict.guards and verdict.word == "helps"


def test_growing_training_parts_widen_intervals_and_ask_for_more_rows():
    scores = _scores(before={"roc_auc": (0.8, 0)}, after={"roc_auc": (0.83, 0.03)})
    random, timed = _verdict(scores), _verdict(scores, ratio=0.457)
    assert timed.high - timed.low > random.high - random.low and timed.p > random.p
    assert timed.p_same + timed.p_hurts > random.p_same + random.p_hurts
    # Six parts, of which five are tested: 29 rows are fewer than 5 in each.
    assert _verdict(scores, counts=np.array([971, 29])).word != "not testable"
    assert _verdict(scores, counts=np.array([971, 29]), ratio=0.457).word == "not testable"
