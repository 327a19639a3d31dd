"""How many near rows are of another class: imbalanced-learn's test of danger is the oracle."""

import numpy as np
import pytest
from imblearn.over_sampling import BorderlineSMOTE
from sklearn.neighbors import NearestNeighbors

from tilth.neighbors import Space
from tilth.neighbors.others import nearest_to_some, others_near


@pytest.mark.parametrize("m", [1, 5, 10])
def test_counts_are_those_behind_imbalanced_learns_danger(m: int) -> None:
    random = np.random.default_rng(m)
    X, y = random.normal(size=(300, 3)), random.integers(0, 3, 300)
    some = np.flatnonzero(y == 1)
    others, everyone = others_near(Space(), X, y, some, m)
    assert (everyone == m).all()
    search = NearestNeighbors(n_neighbors=m + 1).fit(X)
    sampler = BorderlineSMOTE()
    for kind, ours in (("danger", (2 * others >= m) & (others < m)), ("noise", others == m)):
        np.testing.assert_array_equal(sampler._in_danger_noise(search, X[some], 1, y, kind=kind), ours)


def test_a_row_is_not_its_own_neighbor_even_among_copies() -> None:
    X = np.zeros((6, 1))
    found = nearest_to_some(Space(), X, np.array([0, 5]), 2)
    assert all(row not in line for row, line in zip((0, 5), found.tolist(), strict=True))
    assert (found >= 0).all()


def test_rows_out_of_reach_are_not_counted() -> None:
    X = np.array([[0.0, np.nan], [1.0, np.nan], [np.nan, 1.0]])
    others, everyone = others_near(Space(), X, np.array([0, 1, 1]), np.array([0, 2]), 2)
    assert others.tolist() == [1, 0] and everyone.tolist() == [1, 0]
