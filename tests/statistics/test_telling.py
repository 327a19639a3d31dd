"""What one column tells of another."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, r2_score

from tilth.statistics.telling import by_level, by_tree, naive_guess, parts, skill


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    return rng.integers(0, 5, 400), rng.integers(0, 3, 400), rng.integers(0, 4, 400)


def test_skill_is_the_share_of_the_log_loss_and_r2(drawn):
    level, truth, fold = drawn
    guess, naive = by_level(level, truth, fold, 3), naive_guess(truth, fold, 3)
    expected = 1 - log_loss(truth, guess) / log_loss(truth, naive)
    assert skill(guess, truth, naive) == pytest.approx(expected)
    values = np.random.default_rng(1).normal(size=400)
    told = by_level(level, values, fold, 0)
    mean = np.full(400, values.mean())
    assert skill(told, values, mean) == pytest.approx(r2_score(values, told))


def test_a_guess_comes_from_the_other_folds_alone(drawn):
    level, truth, fold = drawn
    guess = by_level(level, truth, fold, 3)
    for row in (0, 7, 99):
        others = (fold != fold[row]) & (level == level[row])
        rest = truth[fold != fold[row]]
        prior = (np.bincount(rest, minlength=3) + 1) / (len(rest) + 3)
        expected = (np.bincount(truth[others], minlength=3) + prior) / (others.sum() + 1)
        np.testing.assert_allclose(guess[row], expected)
    np.testing.assert_allclose(guess.sum(axis=1), 1)


def test_a_tree_finds_the_cut_that_parts_miss():
    rng = np.random.default_rng(0)
    values = rng.normal(size=600)
    truth, fold = (values > 0.1).astype(int), rng.integers(0, 5, 600)
    naive = naive_guess(truth, fold, 2)
    assert skill(by_tree(values, truth, fold, 2), truth, naive) > 0.97
    assert skill(by_level(parts(values, 8), truth, fold, 2), truth, naive) < 0.9


def test_parts_hold_equal_numbers_together_and_gaps_apart():
    values = np.array([1.0, 1.0, 2.0, np.nan, 3.0, np.inf])
    cut = parts(values, 3)
    assert cut[0] == cut[1] and cut[3] == cut[5] and cut[3] > cut[4]
    assert len(np.unique(parts(np.full(4, np.nan), 3))) == 1


def test_one_class_and_constant_values_tell_nothing():
    zeros, fold = np.zeros(20, np.int64), np.arange(20) % 4
    assert skill(by_level(zeros, zeros, fold, 1), zeros, naive_guess(zeros, fold, 1)) == pytest.approx(0)
    constant = np.ones(20)
    assert skill(by_level(zeros, constant, fold, 0), constant, naive_guess(constant, fold, 0)) == 0
