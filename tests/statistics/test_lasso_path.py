"""The lasso's path: what enters first."""

import numpy as np
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from tilth.statistics.lasso_path import first_columns


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(80, 30))
    return X, X[:, 3] * 3 - X[:, 7] * 2 + X[:, 20] + random.normal(size=80)


def test_the_first_columns_are_those_of_the_lasso_with_as_many() -> None:
    X, y = made()
    found = first_columns(X, np.arange(30), y[:, None], None, 3)
    scaled = StandardScaler().fit_transform(X)
    alphas = np.geomspace(5, 0.01, 200)
    path = (np.flatnonzero(Lasso(alpha=a).fit(scaled, y).coef_) for a in alphas)
    assert set(found) == set(next(chosen for chosen in path if len(chosen) == 3)) == {3, 7, 20}


def test_a_category_enters_once_with_the_first_of_its_levels() -> None:
    X, y = made()
    source = np.array([0, 0, 0, 0, 1, 1, 1, 1, *range(2, 24)])
    found = first_columns(X, source, y[:, None], None, 3)
    assert found.tolist()[:2] == [0, 1]
    assert len(set(found)) == 3


def test_several_targets_take_turns_and_a_constant_one_none() -> None:
    X, _ = made()
    targets = np.column_stack([X[:, 5], np.ones(80), X[:, 9]])
    assert set(first_columns(X, np.arange(30), targets, None, 2)) == {5, 9}


def test_a_row_of_weight_two_counts_as_two() -> None:
    X, y = made()
    weight = np.random.default_rng(1).integers(1, 4, 80)
    twice = first_columns(np.repeat(X, weight, axis=0), np.arange(30), np.repeat(y, weight)[:, None], None, 8)
    assert first_columns(X, np.arange(30), y[:, None], weight.astype(float), 8).tolist() == twice.tolist()


def test_columns_that_do_not_vary_never_enter() -> None:
    assert first_columns(np.ones((9, 2)), np.arange(2), np.arange(9.0)[:, None], None, 2).tolist() == []
