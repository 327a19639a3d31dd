"""Thresholds, alignment and temperature: each does what its paper says, on rows where one can see it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as peer_loss

from tilth.statistics.pseudo import alignment, cuts, log_loss, normalized, temperature, tempered

MASS = st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=20).map(np.array)


def test_the_temperature_brings_overconfident_answers_to_their_accuracy():
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 4000)
    honest = np.where(truth[:, None] == np.arange(2), 0.7, 0.3)
    flipped = np.where(random.random(4000) < 0.3, 1 - truth, truth)
    sure = tempered(honest, 0.25)
    heat = temperature(sure, flipped)
    assert heat == pytest.approx(4, rel=0.2)
    assert log_loss(tempered(sure, heat), flipped) < log_loss(sure, flipped)


def test_the_loss_is_that_of_scikit_learn():
    random = np.random.default_rng(1)
    answers, truth, weight = normalized(random.random((50, 3))), random.integers(0, 3, 50), random.random(50)
    assert log_loss(answers, truth, weight) == pytest.approx(
        peer_loss(truth, answers, sample_weight=weight, labels=range(3))
    )


def test_flexible_thresholds_are_those_of_the_paper():
    # Class 0 passes 0.9 in 6 of the 6 rows expected, class 1 in 2 of 4: b = 1 / 2, and b / (2 - b) = 1 / 3.
    confidence = np.array([0.95] * 6 + [0.95] * 2 + [0.6] * 2)
    guess = np.array([0] * 6 + [1] * 4)
    shares = np.array([0.6, 0.4])
    assert cuts(confidence, guess, shares, 0.9, "flexible").tolist() == [0.9, 0.5]
    found = cuts(np.where(confidence == 0.6, [0.95] * 9 + [0.6], confidence), guess, shares, 0.9, "flexible")
    np.testing.assert_allclose(found, [0.9, 0.9 * 0.75 / 1.25])


def test_a_rare_class_that_is_found_as_often_as_expected_keeps_its_threshold():
    confidence, guess = np.full(100, 0.95), np.where(np.arange(100) < 5, 1, 0)
    assert cuts(confidence, guess, np.array([0.95, 0.05]), 0.9, "flexible").tolist() == [0.9, 0.9]


def test_quantiles_take_the_same_share_of_each_class():
    random = np.random.default_rng(2)
    guess = np.repeat([0, 1], [300, 60])
    confidence = np.where(guess == 0, random.uniform(0.8, 1, 360), random.uniform(0.3, 0.6, 360))
    cut = cuts(confidence, guess, np.array([0.5, 0.5]), 0.75, "quantile")
    taken = confidence >= cut[guess]
    assert [taken[guess == 0].mean(), taken[guess == 1].mean()] == [0.25, 0.25]


def test_one_threshold_is_for_all_and_a_class_without_a_guess_has_one():
    assert cuts(np.array([0.5]), np.array([0]), np.ones(3) / 3, 0.8, "absolute").tolist() == [0.8] * 3
    assert cuts(np.array([0.5]), np.array([0]), np.ones(3) / 3, 0.8, "quantile").tolist() == [0.5, 1.0, 1.0]


@given(MASS, st.floats(0.1, 10))
@settings(max_examples=80)
def test_the_temperature_leaves_the_order_of_classes_and_zeros(mass, heat):
    answers = normalized(mass)
    cooled = tempered(answers, heat)
    empty = answers.sum(axis=1) == 0
    assert not cooled[empty].any()
    np.testing.assert_allclose(cooled[~empty].sum(axis=1), 1)
    top = np.take_along_axis(cooled, answers.argmax(axis=1)[:, None], 1)[:, 0]
    np.testing.assert_allclose(top, cooled.max(axis=1))


@given(MASS, st.tuples(*[st.floats(0.01, 1)] * 3))
@settings(max_examples=80)
def test_alignment_makes_the_mean_what_is_asked(mass, shares):
    answers, shares = normalized(mass + 1e-3), np.array(shares) / sum(shares)
    mean = (answers * alignment(answers, shares)).mean(axis=0)
    np.testing.assert_allclose(mean, shares, rtol=1e-9)


@given(MASS, st.floats(0, 1), st.sampled_from(["flexible", "quantile", "absolute"]))
@settings(max_examples=80)
def test_no_class_is_asked_for_more_than_what_is_set(mass, threshold, how):
    answers = normalized(mass)
    cut = cuts(answers.max(axis=1), answers.argmax(axis=1), np.ones(3) / 3, threshold, how)
    assert cut.shape == (3,)
    assert (cut >= 0).all()
    assert (cut <= (threshold if how != "quantile" else 1.0)).all()
