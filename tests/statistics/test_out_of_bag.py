"""Out-of-bag values are those of scikit-learn's trees, fitted one by one."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tilth.statistics import uniform
from tilth.statistics.out_of_bag import out_of_bag


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(200, 3))
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    target = (np.nan_to_num(matrix[:, 0]) + random.normal(0, 0.3, 200) > 0).astype(int)
    return matrix, target, np.arange(200, dtype=np.uint64) * 7


@pytest.mark.parametrize("numeric", [False, True])
def test_values_are_the_mean_over_trees_that_did_not_see_the_row(rows, numeric):
    matrix, target, keys = rows
    target = target + np.nan_to_num(matrix[:, 1]) if numeric else target
    target = (target - target.mean()) / target.std() if numeric else target
    weight = np.linspace(0.5, 2, 200)
    kind = DecisionTreeRegressor if numeric else DecisionTreeClassifier
    right = np.full((25, 200), np.nan)
    for number in range(25):
        # A Poisson draw, by walking up its distribution.
        draw, times, share, until = uniform(3, keys, epoch=number), np.zeros(200, int), np.exp(-1), np.exp(-1)
        for step in range(1, 15):
            times[draw >= until] = step
            share /= step
            until += share
        out = times == 0
        tree = kind(max_features="sqrt", random_state=number)
        tree.fit(matrix[~out].astype(np.float32), target[~out], sample_weight=times[~out] * weight[~out])
        answer = tree.predict(matrix[out].astype(np.float32))
        error = (answer - target[out]) ** 2 / np.mean((target[:, None] - target) ** 2)
        right[number, out] = 1 - error if numeric else answer == target[out]
    found = out_of_bag(matrix, target, keys, trees=25, seed=3, weight=weight)
    np.testing.assert_allclose(found, np.nanmean(right, axis=0), rtol=1e-9)


def test_a_third_of_the_rows_is_out_of_each_bag(rows):
    matrix, target, keys = rows
    known = np.isfinite(out_of_bag(matrix, target, keys, trees=1))
    assert known.mean() == pytest.approx(np.exp(-1), abs=0.1)
    assert np.isfinite(out_of_bag(matrix, target, keys, trees=60)).all()


def test_units_of_a_numeric_target_do_not_count(rows):
    matrix, _, keys = rows
    target = np.nan_to_num(matrix[:, 0]) ** 2
    one, two = (out_of_bag(matrix, t, keys, trees=20) for t in (target, 1024 * target))
    np.testing.assert_array_equal(one, two)


def test_rows_of_one_key_are_in_the_bag_together_or_out_of_it(rows):
    """A row that has a copy in the bag is answered for by its copy; where they share a key it is not."""
    random = np.random.default_rng(1)
    matrix = np.repeat(random.normal(size=(100, 3)), 2, axis=0)
    target = np.repeat(random.integers(0, 2, 100), 2)
    keys = np.arange(200, dtype=np.uint64)
    apart, together = (out_of_bag(matrix, target, k, trees=100) for k in (keys, keys // 2))
    assert apart.mean() > 0.7
    assert together.mean() == pytest.approx(0.5, abs=0.1)
