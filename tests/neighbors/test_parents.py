"""Parents of made rows: rows made here on purpose, and imbalanced-learn's own, are the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.over_sampling import ADASYN, SMOTE, SVMSMOTE, BorderlineSMOTE

from tilth.neighbors import Space, nearest
from tilth.neighbors.parents import parents_of

EXACT = 1e-9


def tolerance(width: int, by: float = EXACT) -> np.ndarray:
    return np.full(width, by)


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(3, 60), st.integers(1, 5))
def test_rows_made_between_a_row_and_a_neighbor_are_given_back_to_both(seed, width, n, k) -> None:
    random = np.random.default_rng(seed)
    source = random.normal(size=(n, width))
    at = nearest(Space(), source, source, min(k, n - 1), exclude_self=True)[1]
    one = random.integers(0, n, 40)
    other = at[one, random.integers(0, at.shape[1], 40)]
    gap = random.uniform(0.01, 0.99, 40)
    made = source[one] + gap[:, None] * (source[other] - source[one])
    parents, share, told = parents_of(Space(), made, source, tolerance(width), k=k)
    assert told.all()
    assert (np.sort(parents, axis=1) == np.sort(np.column_stack([one, other]), axis=1)).all()
    np.testing.assert_allclose(np.where(parents[:, 0] == one, share, 1 - share), gap, atol=1e-6)


def test_rounded_numbers_are_no_obstacle_as_long_as_one_is_exact() -> None:
    random = np.random.default_rng(0)
    source = np.column_stack([random.normal(size=(50, 2)), random.integers(0, 50, 50)])
    one, other = random.integers(0, 50, 30), random.integers(0, 50, 30)
    made = source[one] + 0.3 * (source[other] - source[one])
    made[:, 2] = np.trunc(made[:, 2])
    exact = np.array([EXACT, EXACT, 1.0])
    parents, _, told = parents_of(Space(), made, source, exact, k=50)
    assert told.all()
    assert (np.sort(parents, axis=1) == np.sort(np.column_stack([one, other]), axis=1)).all()
    rounded = parents_of(Space(), made, source, tolerance(3), k=50)[2]
    apart = (one != other) & (source[one, 2] != source[other, 2])
    assert rounded[apart].mean() < 0.5 < apart.mean()


def test_in_one_dimension_the_nearest_two_around_a_row_are_taken() -> None:
    source = np.array([[0.0], [10.0], [11.0], [30.0]])
    parents, share, told = parents_of(Space(), np.array([[10.25], [10.0], [15.0]]), source, tolerance(1))
    assert parents.tolist() == [[1, 2], [1, 1], [2, 3]] and told.all()
    np.testing.assert_allclose(share, [0.25, 0, 4 / 19])


def test_a_row_on_no_line_goes_to_the_nearest_row_and_is_not_told() -> None:
    source = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    parents, share, told = parents_of(Space(), np.array([[1.0, 0.5], [3.0, 2.0]]), source, tolerance(2))
    assert parents.tolist() == [[0, 0], [1, 1]] and share.tolist() == [0, 0] and not told.any()


def test_a_row_outwards_of_two_goes_to_the_nearer_one_as_far_as_half_way() -> None:
    source = np.array([[0.0, 0.0], [4.0, 4.0]])
    parents, share, told = parents_of(
        Space(), np.array([[-1.0, -1.0], [5.0, 5.0], [-3.0, -3.0]]), source, tolerance(2)
    )
    assert told.tolist() == [True, True, False]
    assert parents[:2].tolist() == [[0, 1], [1, 0]] and share.tolist() == [0, 0, 0]


def test_categories_alone_and_one_row_alone_get_the_nearest() -> None:
    space = Space(categorical=(True, True))
    source = np.array([[0.0, 1.0], [2.0, 2.0]])
    parents, share, told = parents_of(space, np.array([[2.0, 1.0], [2.0, 2.0]]), source, tolerance(2, np.nan))
    assert parents.tolist() == [[0, 0], [1, 1]] and not told.any() and (share == 0).all()
    parents, _, told = parents_of(Space(), np.array([[1.0]]), np.array([[3.0]]), tolerance(1))
    assert parents.tolist() == [[0, 0]] and not told.any()


def test_gaps_leave_the_nearest_row_within_reach() -> None:
    source = np.array([[0.0, np.nan], [4.0, 1.0], [5.0, 1.0]])
    parents, _, told = parents_of(
        Space(), np.array([[np.nan, 1.0], [4.25, 1.0], [np.nan, np.nan]]), source, tolerance(2)
    )
    assert parents.tolist() == [[1, 1], [1, 2], [0, 0]] and told.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "sampler",
    [
        SMOTE(random_state=0),
        SMOTE(k_neighbors=9, random_state=0),
        ADASYN(random_state=0),
        BorderlineSMOTE(random_state=0),
        SVMSMOTE(random_state=0),
    ],
)
def test_nearly_all_rows_that_imbalanced_learn_makes_lie_on_the_line_of_their_parents(sampler) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(1200, 6)) * [1, 10, 1e-3, 5, 1, 1]
    y = (random.random(1200) < 0.1).astype(int)
    out, _ = sampler.fit_resample(X, y)
    rare, made = X[y == 1], out[1200:]
    unit = 256 * np.finfo(float).eps * np.abs(X).max(axis=0)
    parents, share, told = parents_of(Space(), made, rare, unit)
    assert len(made) > 500 and told.mean() > 0.99
    # Those that lie outwards apart, the share says where on the line.
    inside = told & (share > 0)
    one, other = rare[parents[inside, 0]], rare[parents[inside, 1]]
    np.testing.assert_allclose(made[inside], one + share[inside, None] * (other - one), atol=unit.max() * 10)
    assert inside.mean() > (0.3 if isinstance(sampler, SVMSMOTE) else 0.98)
