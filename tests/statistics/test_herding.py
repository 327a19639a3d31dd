"""Herding takes the row that brings the mean nearest, and beats a draw by chance."""

import numpy as np
import pytest

from tilth.statistics.herding import herd


def test_each_row_is_the_best_next_one():
    matrix = np.random.default_rng(0).normal(3, 1, size=(60, 4))
    chosen = herd(matrix, 20).tolist()
    mean, taken = matrix.mean(axis=0), []
    for row in chosen:
        left = [i for i in range(60) if i not in taken]
        apart = [np.linalg.norm(matrix[[*taken, i]].mean(axis=0) - mean) for i in left]
        assert row == left[int(np.argmin(apart))]
        taken.append(row)


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_is_nearer_than_by_chance(seed):
    random = np.random.default_rng(seed)
    matrix = random.standard_t(3, size=(500, 8))
    mean = matrix.mean(axis=0)
    drawn = [
        np.linalg.norm(matrix[random.choice(500, 50, replace=False)].mean(axis=0) - mean) for _ in range(200)
    ]
    assert np.linalg.norm(matrix[herd(matrix, 50)].mean(axis=0) - mean) < min(drawn)


def test_all_rows_may_be_asked_for():
    matrix = np.zeros((5, 2))
    assert sorted(herd(matrix, 5).tolist()) == [0, 1, 2, 3, 4]
