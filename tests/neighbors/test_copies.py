from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as arrays_of

from tilth.neighbors import Space, copies, nearest, search
from tilth.neighbors.copies import distinct, without_self

cells = st.sampled_from([-1.0, -0.0, 0.0, 1.0, np.nan])
tables = arrays_of(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=cells)


@given(rows=tables)
def test_distinct_rows_are_numbered_by_where_they_come_first(rows):
    first, member_of = distinct(rows)
    seen: dict = {}
    for place, row in enumerate(rows.tolist()):
        seen.setdefault(tuple(None if cell != cell else cell for cell in row), []).append(place)
    assert first.tolist() == [places[0] for places in seen.values()]
    for number, places in enumerate(seen.values()):
        assert np.flatnonzero(member_of == number).tolist() == places


@settings(max_examples=150, deadline=None)
@given(rows=tables, k=st.integers(1, 12), alone=st.booleans(), metric=st.sampled_from(["euclidean", "gower"]))
def test_searching_distinct_rows_once_changes_no_answer(rows, k, alone, metric):
    space, query = Space(metric), rows if alone else rows[::-3]
    found = nearest(space, query, rows, k, exclude_self=alone)
    kept = search.MOSTLY_DISTINCT
    search.MOSTLY_DISTINCT = 0.0
    try:
        expected = nearest(space, query, rows, k, exclude_self=alone)
    finally:
        search.MOSTLY_DISTINCT = kept
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_a_row_that_its_own_list_does_not_reach_loses_the_last():
    distances, indices = without_self(np.zeros((3, 2)), np.array([[0, 1], [0, 1], [0, 1]]))
    assert indices.tolist() == [[1], [0], [0]] and distances.shape == (3, 1)


def test_a_column_of_few_values_is_searched_once_for_each(monkeypatch):
    sizes = []
    original = search.Tiles.of
    monkeypatch.setattr(
        search.Tiles,
        "of",
        lambda self, rows, columns: sizes.append((rows, columns)) or original(self, rows, columns),
    )
    rows = np.random.default_rng(0).integers(0, 7, size=(5000, 1)).astype(float)
    distances, indices = nearest(Space(), rows, rows, 3, exclude_self=True)
    assert sizes == [(slice(0, 7), slice(0, 7))]
    assert (distances == 0).all() and (rows[indices[:, 0]] == rows).all()


def test_rows_whose_hashes_fall_together_are_not_taken_for_copies(monkeypatch):
    monkeypatch.setattr(copies, "_ODD", np.uint64(0))
    first, member_of = distinct(np.array([[1.0], [2.0], [1.0]]))
    assert first.tolist() == member_of.tolist() == [0, 1, 2]
