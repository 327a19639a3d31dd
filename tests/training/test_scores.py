"""Scores, errors and the best constant answer are those of scikit-learn and of arithmetic."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, r2_score

from tilth.training import cross_entropy, squared_error
from tilth.training.scores import binary_cross_entropy, dummy, fitting_loss, score, score_error

GENERATOR = torch.Generator().manual_seed(0)
WEIGHT = torch.rand(50, generator=GENERATOR) + 0.1
LOGITS = torch.randn(50, 3, generator=GENERATOR)
CODES = torch.randint(0, 3, (50,), generator=GENERATOR)
VALUES = torch.randn(50, generator=GENERATOR)


def test_classes_are_scored_by_weighted_accuracy():
    expected = accuracy_score(CODES, LOGITS.argmax(1), sample_weight=WEIGHT)
    assert score(LOGITS, CODES, WEIGHT) == pytest.approx(expected)


def test_shares_of_classes_count_by_the_largest():
    shares = 0.8 * torch.nn.functional.one_hot(CODES, 3) + 0.2 / 3
    assert score(LOGITS, shares, WEIGHT) == pytest.approx(score(LOGITS, CODES, WEIGHT))


@pytest.mark.parametrize("shape", [(50,), (50, 1)])
def test_one_logit_is_scored_by_its_sign(shape):
    target = (CODES > 0).long()
    logit = LOGITS[:, 0].reshape(shape)
    expected = accuracy_score(target, LOGITS[:, 0] > 0, sample_weight=WEIGHT)
    assert score(logit, target, WEIGHT) == pytest.approx(expected)


def test_values_are_scored_by_weighted_r2():
    made = VALUES + 0.5 * LOGITS[:, 0]
    expected = r2_score(VALUES, made, sample_weight=WEIGHT)
    assert score(made[:, None], VALUES, WEIGHT) == pytest.approx(expected, rel=1e-5)


def test_what_cannot_be_scored_is_nan():
    assert math.isnan(score(LOGITS, VALUES, WEIGHT))
    assert math.isnan(score(VALUES, torch.ones(50), WEIGHT))
    assert math.isnan(score(LOGITS, CODES, torch.zeros(50)))


def test_the_loss_is_found_by_target_and_outputs():
    assert fitting_loss(LOGITS, CODES) is cross_entropy
    assert fitting_loss(LOGITS[:, :1], CODES) is binary_cross_entropy
    assert fitting_loss(LOGITS[:, 0], CODES) is binary_cross_entropy
    assert fitting_loss(LOGITS[:, :1], VALUES) is squared_error


def test_binary_cross_entropy_is_that_of_two_logits():
    target = (CODES > 0).long()
    two = torch.stack([torch.zeros(50), LOGITS[:, 0]], dim=1)
    expected = cross_entropy(two, target)
    torch.testing.assert_close(binary_cross_entropy(LOGITS[:, 0], target), expected)
    torch.testing.assert_close(binary_cross_entropy(LOGITS[:, :1], target), expected)


def test_the_best_constant_answer_of_classes_is_their_frequencies():
    shares = np.bincount(CODES, weights=WEIGHT.double()) / WEIGHT.double().sum().item()
    expected = log_loss(CODES, np.tile(shares, (50, 1)), sample_weight=WEIGHT)
    loss, best = dummy(cross_entropy, CODES, WEIGHT, 3)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert best == pytest.approx(shares.max(), rel=1e-5)
    assert dummy(binary_cross_entropy, (CODES > 0).long(), torch.ones(50), 1)[0] > 0
    assert dummy(cross_entropy, torch.zeros(50, dtype=torch.int64), WEIGHT, 3) == (0.0, pytest.approx(1))


def test_the_best_constant_answer_of_values_is_their_mean():
    loss, best = dummy(squared_error, VALUES, torch.ones(50), 1)
    assert (loss, best) == (pytest.approx(VALUES.var(correction=0).item(), rel=1e-5), 0.0)


def test_of_a_loss_of_ones_own_no_constant_answer_is_known():
    assert all(math.isnan(each) for each in dummy(lambda o, t: o.sum(1), CODES, WEIGHT, 3))


def test_errors_of_scores_are_those_of_a_sample():
    ones = torch.ones(50)
    share = score(LOGITS, CODES, ones)
    assert score_error(LOGITS, CODES, ones) == pytest.approx(math.sqrt(share * (1 - share) / 50))
    sure = torch.nn.functional.one_hot(CODES, 3).float()
    assert score_error(sure, CODES, ones) == pytest.approx(math.sqrt(0.25 / 50 / 50))
    made = VALUES + 0.5 * LOGITS[:, 0]
    errors = (made - VALUES).square()
    expected = errors.std().item() / math.sqrt(50) / VALUES.var(correction=0).item()
    assert score_error(made, VALUES, ones) == pytest.approx(expected, rel=1e-5)
    assert score_error(LOGITS, VALUES, ones) == 0.0
