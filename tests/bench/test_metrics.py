"""Every metric against scikit-learn, or against figures worked by hand where it has none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from tilth.bench import metrics as ours
from tilth.errors import UnknownName

RNG = np.random.default_rng(0)
ROWS = 300
WEIGHT = RNG.uniform(0.1, 3, ROWS)
TWO = RNG.integers(0, 2, ROWS)
THREE = RNG.integers(0, 3, ROWS)
# Rounded, so that ties occur.
SAID = np.round(np.clip(RNG.normal(0.4 + 0.2 * TWO, 0.25), 0, 1), 2)
PAIR = np.column_stack([1 - SAID, SAID])
TRIPLE = RNG.dirichlet(np.ones(3), ROWS) * 0.5 + 0.5 * np.eye(3)[THREE] * 0.4 + 0.1
TRIPLE /= TRIPLE.sum(1, keepdims=True)
VALUES = RNG.normal(size=ROWS) * 10
GUESSES = VALUES + RNG.normal(size=ROWS)


@pytest.mark.parametrize(
    ("mine", "peer"),
    [
        (ours.roc_auc, lambda w: sk.roc_auc_score(TWO, SAID, sample_weight=w)),
        (ours.average_precision, lambda w: sk.average_precision_score(TWO, SAID, sample_weight=w)),
        (ours.log_loss, lambda w: sk.log_loss(TWO, PAIR, sample_weight=w)),
        (ours.brier, lambda w: sk.brier_score_loss(TWO, SAID, sample_weight=w)),
        (ours.accuracy, lambda w: sk.accuracy_score(TWO, PAIR.argmax(1), sample_weight=w)),
        (ours.balanced_accuracy, lambda w: sk.balanced_accuracy_score(TWO, PAIR.argmax(1), sample_weight=w)),
        (
            ours.worst_recall,
            lambda w: sk.recall_score(TWO, PAIR.argmax(1), average=None, sample_weight=w).min(),
        ),
    ],
)
@pytest.mark.parametrize("weight", [np.ones(ROWS), WEIGHT])
def test_two_class_metrics_equal_scikit_learn(mine, peer, weight):
    assert mine(TWO, PAIR, weight) == pytest.approx(peer(weight), rel=1e-12)


@pytest.mark.parametrize("weight", [np.ones(ROWS), WEIGHT])
def test_several_class_metrics_equal_scikit_learn(weight):
    each = [sk.roc_auc_score(c == THREE, TRIPLE[:, c], sample_weight=weight) for c in range(3)]
    assert ours.roc_auc(THREE, TRIPLE, weight) == pytest.approx(np.mean(each), rel=1e-12)
    assert ours.log_loss(THREE, TRIPLE, weight) == pytest.approx(
        sk.log_loss(THREE, TRIPLE, sample_weight=weight), rel=1e-12
    )
    squares = ((TRIPLE - np.eye(3)[THREE]) ** 2).sum(1)
    assert ours.brier(THREE, TRIPLE, weight) == pytest.approx(np.average(squares, weights=weight))


@pytest.mark.parametrize("weight", [np.ones(ROWS), WEIGHT])
def test_regression_metrics_equal_scikit_learn(weight):
    assert ours.rmse(VALUES, GUESSES, weight) == pytest.approx(
        sk.root_mean_squared_error(VALUES, GUESSES, sample_weight=weight)
    )
    assert ours.mae(VALUES, GUESSES, weight) == pytest.approx(
        sk.mean_absolute_error(VALUES, GUESSES, sample_weight=weight)
    )
    assert ours.r2(VALUES, GUESSES, weight) == pytest.approx(
        sk.r2_score(VALUES, GUESSES, sample_weight=weight)
    )


def test_a_sure_wrong_answer_has_a_finite_loss_as_in_scikit_learn():
    truth, answer = np.array([0, 1]), np.array([[0.0, 1.0], [0.5, 0.5]])
    assert ours.log_loss(truth, answer, np.ones(2)) == pytest.approx(sk.log_loss(truth, answer), rel=1e-9)


def test_calibration_error_equals_bins_worked_by_hand():
    # 30 rows, 15 bins of two: said .0, .0, .1, .1 ...; only the last bin is wrong, by 1.
    said = np.repeat(np.arange(15) / 15, 2)
    truth = np.zeros(30, dtype=int)
    answer = np.column_stack([1 - said, said])
    assert ours.calibration_error(truth, answer, np.ones(30)) == pytest.approx(said.mean())
    half = np.full(30, 0.5)
    assert ours.calibration_error(np.arange(30) % 2, np.column_stack([half, half]), np.ones(30)) == 0


def test_calibration_error_of_distinct_scores_equals_sorted_blocks():
    order = np.argsort(RNG.permutation(ROWS))
    said = (order + 0.5) / ROWS
    blocks = np.array_split(np.argsort(said), 15)
    expected = sum(abs((said[b] - TWO[b]).sum()) for b in blocks) / ROWS
    answer = np.column_stack([1 - said, said])
    assert ours.calibration_error(TWO, answer, np.ones(ROWS)) == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_whole_weights_count_like_repeated_rows_and_order_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    truth, times = rng.integers(0, 2, 40), rng.integers(1, 4, 40)
    truth[:2] = 0, 1
    said = np.round(rng.random(40), 1)
    answer = np.column_stack([1 - said, said])
    turn = rng.permutation(40)
    for metric in (m for m in ours.metrics_of("binary") if m.ideal is None):
        weighted = metric.score(truth, answer, times.astype(float))
        rows = np.repeat(np.arange(40), times)
        assert metric.score(truth[rows], answer[rows], np.ones(len(rows))) == pytest.approx(weighted), (
            metric.name
        )
        assert metric.score(truth[turn], answer[turn], times[turn] * 1.0) == pytest.approx(weighted), (
            metric.name
        )


@pytest.mark.parametrize("weight", [np.ones(ROWS), WEIGHT])
def test_calibration_slope_equals_an_unpenalized_logistic_regression_on_the_log_odds(weight):
    odds = 3 * RNG.normal(size=ROWS) + 0.5
    truth = (RNG.random(ROWS) < 1 / (1 + np.exp(-odds / 2))).astype(int)
    said = 1 / (1 + np.exp(-odds))
    peer = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(
        odds[:, None], truth, sample_weight=weight
    )
    answer = np.column_stack([1 - said, said])
    assert ours.calibration_slope(truth, answer, weight) == pytest.approx(peer.coef_[0, 0], rel=1e-4)
    intercept = ours.calibration_intercept(truth, answer, weight)
    moved = 1 / (1 + np.exp(-odds - intercept))
    assert np.average(moved, weights=weight) == pytest.approx(np.average(truth, weights=weight))


def test_calibration_lines_that_do_not_exist_are_no_numbers():
    certain = np.eye(2)[TWO]
    constant = np.full((ROWS, 2), 0.5)
    assert np.isnan(ours.calibration_slope(TWO, certain, WEIGHT))
    assert np.isnan(ours.calibration_slope(TWO, constant, WEIGHT))
    assert np.isnan(ours.calibration_intercept(np.zeros(ROWS, dtype=int), PAIR, WEIGHT))
    assert ours.calibration_intercept(np.arange(ROWS) % 2, constant, np.ones(ROWS)) == pytest.approx(
        0, abs=1e-12
    )


def test_nearer_to_the_ideal_is_a_gain():
    slope = ours.METRICS["calibration_slope"]
    assert slope.gain(np.array([0.5, 1.5]), np.array([0.9, 1.1])).tolist() == pytest.approx([0.4, 0.4])


def test_a_class_without_test_rows_is_left_out_of_means_and_of_two_classes_gives_nothing():
    missing = np.where(THREE == 2, 0, THREE)
    assert 0 <= ours.roc_auc(missing, TRIPLE, WEIGHT) <= 1
    assert 0 <= ours.balanced_accuracy(missing, TRIPLE, WEIGHT) <= 1
    assert np.isnan(ours.roc_auc(np.zeros(ROWS, dtype=int), PAIR, WEIGHT))
    assert np.isnan(ours.average_precision(np.zeros(ROWS, dtype=int), PAIR, WEIGHT))


@pytest.mark.parametrize(
    "metric", [m for m in ours.METRICS.values() if m.ideal is None], ids=lambda m: m.name
)
def test_gains_above_zero_are_better_for_every_metric(metric):
    regression = metric.tasks == ("regression",)
    truth = VALUES if regression else TWO
    perfect = VALUES if regression else np.eye(2)[TWO]
    poor = np.zeros(ROWS) if regression else np.eye(2)[1 - TWO]
    good, bad = metric.score(truth, perfect, WEIGHT), metric.score(truth, poor, WEIGHT)
    assert metric.gain(np.array([bad]), np.array([good]))[0] > 0


def test_the_primary_metric_follows_from_the_task_or_is_named():
    assert ours.primary_of("binary", "auto") == ("roc_auc",)
    assert ours.primary_of("multiclass", "auto") == ("log_loss", "balanced_accuracy")
    assert ours.primary_of("regression", "auto") == ("rmse",)
    assert ours.primary_of("binary", "brier") == ("brier",)
    with pytest.raises(UnknownName, match="roc_auc"):
        ours.primary_of("binary", "roc_auk")
    with pytest.raises(UnknownName):
        ours.primary_of("regression", "roc_auc")


def test_a_relative_rope_is_a_share_of_the_score_before():
    assert ours.METRICS["rmse"].half_width(20.0) == pytest.approx(0.2)
    assert ours.METRICS["roc_auc"].half_width(0.9) == 0.005


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 40))
def test_f1_and_average_precision_equal_scikit_learn_on_any_answers(seed, classes, rows):
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    # Few levels, so that ties and classes nobody names occur.
    answer = random.integers(1, 4, (rows, classes)).astype(float)
    answer /= answer.sum(axis=1, keepdims=True)
    weight = random.uniform(0.1, 3, rows)
    average = "binary" if classes == 2 else "macro"
    peer = sk.f1_score(truth, answer.argmax(1), average=average, sample_weight=weight, zero_division=0.0)
    assert ours.f1(truth, answer, weight) == pytest.approx(peer, abs=1e-12)
    if classes == 2:
        said = ours.average_precision(truth, answer, weight)
        if truth.any():
            peer = sk.average_precision_score(truth, answer[:, 1], sample_weight=weight)
            assert said == pytest.approx(peer, abs=1e-12)
        else:
            assert np.isnan(said)


def test_rows_without_weight_have_no_precision():
    truth, said = np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1])
    answer = np.column_stack([1 - said, said])
    weight = np.array([0.0, 1.0, 0.0])
    assert ours.average_precision(truth, answer, weight) == 1.0
    assert np.isnan(ours.average_precision(truth, answer, np.array([1.0, 0.0, 0.0])))
