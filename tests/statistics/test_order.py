"""Neighbors that are alike."""

import numpy as np
import pytest

from tilth.statistics.order import alike


def test_sorted_values_are_all_alike_and_random_ones_are_not():
    rng = np.random.default_rng(0)
    codes, values = rng.integers(0, 4, 400), rng.normal(size=400)
    assert alike(np.sort(codes), True)[0] == pytest.approx(1)
    assert alike(np.sort(values), False)[0] == pytest.approx(1)
    assert abs(alike(codes, True)[0]) < 0.15 and abs(alike(values, False)[0]) < 0.15
    assert alike(np.arange(400) % 2, True)[0] < -0.9


def test_p_values_are_uniform_without_an_order():
    rng = np.random.default_rng(0)
    for classes in (True, False):
        draws = [rng.integers(0, 3, 80) if classes else rng.normal(size=80) for _ in range(200)]
        found = np.array([alike(d, classes, seed)[1] for seed, d in enumerate(draws)])
        assert 0.02 <= (found <= 0.1).mean() <= 0.18


def test_the_excess_of_ranks_is_their_autocorrelation():
    values = np.cumsum(np.random.default_rng(0).normal(size=500))
    ranks = np.argsort(np.argsort(values))
    assert alike(values, False)[0] == pytest.approx(np.corrcoef(ranks[1:], ranks[:-1])[0, 1], abs=0.02)


def test_constant_and_very_short_values_say_nothing():
    assert alike(np.zeros(50), True) == (0, 1)
    assert alike(np.array([1.0, 2.0]), False) == (0, 1)


def test_the_same_seed_gives_the_same_answer():
    codes = np.random.default_rng(0).integers(0, 2, 100)
    assert alike(codes, True, 3) == alike(codes, True, 3)
