"""Typical rows: one in the middle of each part in which none is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.neighbors.typical import typical


def blobs(count: int = 60, parts: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of parts far from each other, and which part each is of."""
    of = np.arange(count) % parts
    return np.random.default_rng(0).normal(size=(count, 2)) + 50 * np.stack([of, of % 2], axis=1), of


def test_one_row_of_each_part_is_chosen_before_a_second():
    rows, of = blobs()
    chosen, _, _ = typical(rows, np.zeros(60, bool), 4, 0)
    assert sorted(of[chosen]) == [0, 1, 2, 3]


def test_a_part_that_is_known_comes_last():
    rows, of = blobs()
    known = (of == 2) & (np.arange(60) < 10)
    chosen, part, _ = typical(rows, known, 3, 0)
    assert not np.isin(part[chosen], part[known]).any()


def test_the_row_chosen_is_the_one_whose_neighbors_are_nearest():
    rows, _ = blobs()
    chosen, part, apart = typical(rows, np.zeros(60, bool), 4, 0)
    for row in chosen:
        assert apart[row] == apart[part == part[row]].min()


def test_the_largest_part_is_first():
    rows = np.concatenate([np.arange(30.0) / 100, 100 + np.arange(10.0) / 100])[:, None]
    chosen, _, _ = typical(rows, np.zeros(40, bool), 2, 0)
    assert chosen[0] < 30 <= chosen[1]


@pytest.mark.parametrize("rows", [np.zeros((1, 2)), np.zeros((5, 1)), np.arange(3.0)[:, None]])
def test_few_and_equal_rows_are_chosen_once_each(rows: np.ndarray):
    chosen, _, apart = typical(rows, np.zeros(len(rows), bool), 10, 0)
    assert sorted(chosen) == list(range(len(rows)))
    assert np.isfinite(apart).all()


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5), st.booleans()), min_size=1, max_size=25),
    st.integers(1, 8),
)
@settings(max_examples=40)
def test_no_known_row_is_chosen_and_none_twice(lines, size):
    rows = np.array([line[:2] for line in lines], dtype=float)
    known = np.array([line[2] for line in lines])
    chosen, _, _ = typical(rows, known, size, 0)
    assert len(chosen) == min(size, int((~known).sum()))
    assert len(set(chosen.tolist())) == len(chosen)
    assert not known[chosen].any()
