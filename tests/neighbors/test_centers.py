"""Centers are Gonzalez's: the farthest row next, and no worse than twice the best choice."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.neighbors.peers import all_pairs
from tilth.errors import DataError
from tilth.neighbors import Space
from tilth.neighbors.centers import k_center


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=9), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_the_radius_is_at_most_twice_the_best(rows, size):
    rows = np.array(rows)
    size = min(size, len(rows))
    centers, center_of, distances = k_center(Space(), rows, size)
    far = all_pairs(rows, rows, (False, False))
    assert len(set(centers.tolist())) == size
    np.testing.assert_allclose(distances, far[centers].min(axis=0), atol=1e-7)
    np.testing.assert_allclose(distances, far[np.arange(len(rows)), centers[center_of]], atol=1e-12)
    best = min(far[list(some)].min(axis=0).max() for some in combinations(range(len(rows)), size))
    assert distances.max() <= 2 * best + 1e-7


def test_centers_are_those_of_the_plain_loop():
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 4))
    rows[random.random(rows.shape) < 0.1] = np.nan
    rows[:, 3] = random.integers(0, 3, 300)
    coded = (False, False, False, True)
    far = all_pairs(rows, rows, coded)
    expected = [0]
    while len(expected) < 40:
        expected.append(int(far[expected].min(axis=0).argmax()))
    centers, _, distances = k_center(Space(categorical=coded), rows, 40)
    assert centers.tolist() == expected
    np.testing.assert_allclose(distances, far[expected].min(axis=0), atol=1e-9)


def test_copies_are_centers_only_where_nothing_else_is_left():
    rows = np.array([[1.0], [1.0], [1.0], [5.0]])
    assert k_center(Space(), rows, 2)[0].tolist() == [0, 3]
    centers, center_of, distances = k_center(Space(), rows, 4)
    assert sorted(centers.tolist()) == [0, 1, 2, 3]
    assert centers[center_of].tolist() == [0, 1, 2, 3]
    assert not distances.any()


def test_a_row_out_of_reach_is_infinitely_far():
    rows = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 3.0]])
    assert k_center(Space(), rows, 1)[2].tolist() == [0.0, np.sqrt(2), np.inf]
    assert k_center(Space(), rows, 2)[0].tolist() == [0, 2]


@pytest.mark.parametrize("size", [0, 3])
def test_more_centers_than_rows_are_an_error(size):
    with pytest.raises(DataError, match="ask for 1 to 2"):
        k_center(Space(), np.ones((2, 1)), size)


def test_rows_that_are_centers_already_are_kept_and_the_farthest_from_all_of_them_comes_next():
    rows = np.array([[0.0], [10.0], [4.0], [20.0], [1.0]])
    assert k_center(Space(), rows, 4, given=2)[0].tolist() == [0, 1, 3, 2]
    with pytest.raises(DataError, match="3 of 2 centers are given"):
        k_center(Space(), rows, 2, given=3)
