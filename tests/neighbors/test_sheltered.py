"""Sheltered rows: what is told is true for every pair measured, and nearly all that is true is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.neighbors import Space, nearest
from tilth.neighbors import sheltered as module
from tilth.neighbors.sheltered import sheltered


def truly(space: Space, rows: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Measure all pairs: are k others of the own class nearer than any row of another class?"""
    sides = space.sides(rows, rows)
    i, j = np.indices((len(rows), len(rows))).reshape(2, -1)
    masked = not sides.q_present.all()
    apart = sides.between(i, j, masked=masked).reshape(len(rows), len(rows))
    own = codes[:, None] == codes
    limit = np.where(own, np.inf, apart).min(axis=1)
    np.fill_diagonal(apart, np.inf)
    return np.where(own, apart < limit[:, None], False).sum(axis=1) >= k


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 60),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 10_000),
    st.sampled_from([0, 0.2]),
)
def test_no_row_is_told_sheltered_that_is_not(rows: int, width: int, k: int, seed: int, gaps: float) -> None:
    random = np.random.default_rng(seed)
    # Few different values: ties and copies are many.
    matrix = random.integers(0, 4, (rows, width)) * random.choice([1.0, 1e-6, 1e6])
    matrix = np.where(random.random(matrix.shape) < gaps, np.nan, matrix)
    codes = random.integers(0, 3, rows)
    told = sheltered(Space(), matrix, codes, np.arange(rows), k)
    assert not (told & ~truly(Space(), matrix, codes, k)).any()


@pytest.mark.parametrize("gaps", [0, 0.1])
def test_nearly_all_rows_that_are_sheltered_are_told(gaps: float) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(600, 6)) + (np.arange(600) < 60)[:, None]
    matrix[:, 5] = random.integers(0, 3, 600)
    matrix = np.where(random.random(matrix.shape) < gaps, np.nan, matrix)
    codes = (np.arange(600) < 60).astype(int)
    space = Space(categorical=(False,) * 5 + (True,))
    told, true = sheltered(space, matrix, codes, np.arange(600), 3), truly(space, matrix, codes, 3)
    assert not (told & ~true).any()
    assert (told & true).sum() > 0.95 * true.sum() > 0


def test_a_large_offset_costs_no_certainty_about_what_is_told() -> None:
    random = np.random.default_rng(1)
    matrix = 1e9 + random.normal(size=(300, 3))
    codes = (random.random(300) < 0.2).astype(int)
    told = sheltered(Space(), matrix, codes, np.arange(300), 2)
    assert not (told & ~truly(Space(), matrix, codes, 2)).any()


def test_tiles_and_blocks_of_any_size_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    matrix = random.normal(size=(500, 4))
    codes = (matrix[:, 0] > 0.8).astype(int)
    whole = sheltered(Space(), matrix, codes, np.arange(500), 3)
    monkeypatch.setattr(module, "FIRST", 512)
    monkeypatch.setattr(module, "WIDEST", 64)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4096)
    parts = sheltered(Space(), matrix, codes, np.arange(500), 3)
    true = truly(Space(), matrix, codes, 3)
    assert not ((whole | parts) & ~true).any()
    assert min(whole.sum(), parts.sum()) > 0.9 * true.sum()


def test_what_is_told_agrees_with_the_neighbors_found() -> None:
    random = np.random.default_rng(3)
    matrix = random.normal(size=(400, 5))
    codes = (matrix[:, 0] + random.normal(0, 0.3, 400) > 1).astype(int)
    found = nearest(Space(), matrix, matrix, 3, exclude_self=True)[1]
    alike = (codes[found] == codes[:, None]).all(axis=1)
    told = sheltered(Space(), matrix, codes, np.arange(400), 3)
    assert alike[told].all()
    assert told.sum() > 0.9 * alike.sum()


def test_a_class_too_small_or_alone_is_not_told_of() -> None:
    matrix = np.arange(6.0)[:, None]
    assert not sheltered(Space(), matrix, np.zeros(6, int), np.arange(6), 1).any()
    assert not sheltered(Space(), matrix, np.array([0, 0, 0, 0, 0, 1]), np.array([5]), 1).any()
    assert sheltered(Space(), matrix, np.zeros(6, int), np.empty(0, int), 1).shape == (0,)
