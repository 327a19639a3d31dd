"""The nearest rows of one's own group: pair by pair, or by the search, the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.neighbors import Space, grouped, nearest
from tilth.neighbors.grouped import nearest_in_groups


def one_by_one(space: Space, rows: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    out = np.full((len(rows), k), -1)
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        found = nearest(space, rows[own], rows[own], k, exclude_self=True)[1]
        out[own] = np.where(found >= 0, own[found], -1)
    return out


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 4), st.booleans())
def test_rows_of_small_groups_find_what_a_search_of_the_group_finds(
    seed: int, n_groups: int, k: int, gaps: bool
) -> None:
    random = np.random.default_rng(seed)
    rows = random.integers(0, 4, (40, 3)).astype(float)
    rows[random.random(rows.shape) < 0.3 * gaps] = np.nan
    groups = random.integers(0, n_groups, 40)
    space = Space(categorical=(False, False, True), mismatch=0.7)
    np.testing.assert_array_equal(
        nearest_in_groups(space, rows, groups, k), one_by_one(space, rows, groups, k)
    )


def test_large_and_small_groups_stand_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouped, "PAIRS", 64)  # several parts
    random = np.random.default_rng(0)
    rows, groups = random.normal(size=(900, 4)), random.integers(0, 60, 900)
    groups[random.random(900) < 0.4] = 77
    assert (np.bincount(groups) > grouped.SMALL).any()
    np.testing.assert_array_equal(
        nearest_in_groups(Space(), rows, groups, 5), one_by_one(Space(), rows, groups, 5)
    )


def test_without_groups_it_is_the_search() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 2))
    found = nearest_in_groups(Space(), rows, None, 3)
    np.testing.assert_array_equal(found, nearest(Space(), rows, rows, 3, exclude_self=True)[1])
