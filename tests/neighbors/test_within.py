"""All pairs within a radius: those of plain loops, no more and no less."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from tests.neighbors.peers import all_pairs
from tilth.errors import DataError
from tilth.neighbors import Space, groups_of, halves, nearest, within
from tilth.neighbors.copies import distinct

KINDS = {
    "numbers": lambda rng, n: rng.standard_normal((n, 3)),
    "far": lambda rng, n: 1e9 + rng.standard_normal((n, 2)),
    "integers": lambda rng, n: rng.integers(-2, 3, (n, 3)).astype(float),
    "skewed": lambda rng, n: np.exp(3 * rng.standard_normal((n, 2))),
    "codes": lambda rng, n: rng.integers(0, 4, (n, 3)).astype(float),
    "rare": lambda rng, n: (rng.random((n, 3)) < 0.1).astype(float),
}


def rows_of(kinds, n, gaps, seed):
    rng = np.random.default_rng(seed)
    parts = [KINDS[kind](rng, n) for kind in kinds]
    rows = np.hstack(parts)
    rows[rng.random(rows.shape) < gaps] = np.nan
    categorical = [k in ("codes", "rare") for k, part in zip(kinds, parts, strict=True) for _ in part.T]
    return rows, tuple(categorical)


@pytest.fixture
def small_parts(monkeypatch):
    """Part rows down to a few, so that few rows walk every path."""
    monkeypatch.setattr(halves, "LEAF", 4)


@pytest.mark.usefixtures("small_parts")
class TestAgainstLoops:
    """Nothing is lost, whatever the columns."""

    @settings(max_examples=120, deadline=None)
    @given(
        kinds=st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3),
        n=st.integers(1, 60),
        gaps=st.sampled_from([0.0, 0.05, 0.4]),
        seed=st.integers(0, 2**16),
        metric=st.sampled_from(["euclidean", "gower"]),
        mismatch=st.sampled_from([0.0, 0.25, 1.0]),
        quantile=st.floats(0, 1),
        block_bytes=st.sampled_from([1, 1 << 10, None]),
    )
    def test_pairs_are_those_of_plain_loops(
        self, kinds, n, gaps, seed, metric, mismatch, quantile, block_bytes
    ):
        rows, categorical = rows_of(kinds, n, gaps, seed)
        rows = rows[distinct(rows)[0]]
        widths = None
        if metric == "gower":
            known = np.where(np.isnan(rows).all(axis=0), 0.0, rows)
            widths = tuple((np.nanmax(known, axis=0) - np.nanmin(known, axis=0)).tolist())
        expected = all_pairs(rows, rows, categorical, mismatch, widths)
        upper = np.triu(np.isfinite(expected), 1)
        # At a distance that occurs, so that ties with the radius are walked.
        found = np.sort(expected[upper])
        radius = float(found[int(quantile**2 * (len(found) - 1))]) if found.size else 1.0
        space = Space(metric, categorical, mismatch, widths)
        i, j, distance = within(space, rows, radius, block_bytes=block_bytes)
        clear = np.abs(expected - radius) > 1e-9 * (1 + radius)
        told = np.zeros(expected.shape, bool)
        told[i, j] = True
        assert np.array_equal(told[clear], (upper & (expected <= radius))[clear])
        np.testing.assert_allclose(distance, expected[i, j], rtol=1e-9, atol=1e-12)
        assert (distance <= radius).all() and (i < j).all()
        assert np.array_equal(np.lexsort((j, i)), np.arange(len(i)))

    @pytest.mark.parametrize("metric", ["euclidean", "gower"])
    @pytest.mark.parametrize("gaps", [0.0, 0.1])
    def test_the_nearest_row_is_among_the_pairs_with_the_same_distance(self, metric, gaps):
        rows, categorical = rows_of(["numbers", "codes", "skewed"], 800, gaps, 3)
        space = Space(metric, categorical)
        far, at = nearest(space, rows, rows, 1, exclude_self=True)
        radius = float(np.quantile(far, 0.7))
        i, j, distance = within(space, rows, radius)
        both = np.concatenate([distance, distance])
        best = np.full(len(rows), np.inf)
        np.minimum.at(best, np.concatenate([i, j]), both)
        assert np.array_equal(best, np.where(far[:, 0] <= radius, far[:, 0], np.inf))
        assert at.shape == (800, 1)


@pytest.mark.parametrize("radius", [0.05, 0.3])
def test_pairs_of_numbers_are_those_of_scikit_learn(radius):
    rows = np.random.default_rng(0).standard_normal((4000, 3))
    i, j, distance = within(Space(), rows, radius)
    graph = NearestNeighbors(radius=radius).fit(rows).radius_neighbors_graph(mode="distance").tocoo()
    upper = graph.row < graph.col
    order = np.lexsort((graph.col[upper], graph.row[upper]))
    assert np.array_equal(i, graph.row[upper][order]) and np.array_equal(j, graph.col[upper][order])
    np.testing.assert_allclose(distance, graph.data[upper][order], rtol=1e-9)
    assert len(i) > 10


class TestCopies:
    """Equal rows make one pair each."""

    def test_a_copy_is_paired_with_the_first_of_its_copies_only(self):
        rows = np.array([[5.0], [1.0], [1.1], [1.0], [1.0], [1.1]])
        i, j, distance = within(Space(), rows, 0.2)
        assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(1, 2), (1, 3), (1, 4), (2, 5)]
        np.testing.assert_allclose(distance, [0.1, 0, 0, 0])

    def test_many_copies_make_no_more_pairs_than_rows(self):
        rows = np.repeat([[0.0, np.nan], [1.0, 3.0]], 20_000, axis=0)
        i, j, distance = within(Space(), rows, 0.0)
        assert len(i) == 39_998 and set(i.tolist()) == {0, 20_000} and not distance.any()
        assert groups_of(i, j, len(rows)).tolist() == [0] * 20_000 + [1] * 20_000

    def test_rows_without_cells_are_out_of_reach_of_their_copies(self):
        i, _, _ = within(Space(), np.full((3, 2), np.nan), 1.0)
        assert i.size == 0

    @settings(max_examples=60, deadline=None)
    @given(
        n=st.integers(1, 40),
        seed=st.integers(0, 999),
        gaps=st.sampled_from([0.0, 0.2]),
        radius=st.floats(0, 2),
    )
    def test_groups_are_those_of_all_pairs(self, n, seed, gaps, radius):
        rows, categorical = rows_of(["integers"], n, gaps, seed)
        i, j, _ = within(Space(), rows, radius)
        far = all_pairs(rows, rows, categorical)
        a, b = np.nonzero(np.triu(far <= radius, 1))
        assert np.array_equal(groups_of(i, j, n), groups_of(a, b, n))


@pytest.mark.usefixtures("small_parts")
def test_the_order_of_rows_changes_no_pair():
    rows, categorical = rows_of(["numbers", "codes"], 600, 0.05, 1)
    turn = np.random.default_rng(0).permutation(len(rows))
    i, j, distance = within(Space("gower", categorical), rows, 0.05)
    a, b, again = within(Space("gower", categorical), rows[turn], 0.05)
    pairs = {
        (*sorted(p), d) for *p, d in zip(turn[a].tolist(), turn[b].tolist(), again.tolist(), strict=True)
    }
    assert pairs == set(zip(i.tolist(), j.tolist(), distance.tolist(), strict=True)) and len(i) > 5


class TestTooWide:
    """A radius that would take all memory or hours ends with a word of what to do."""

    def test_too_many_pairs(self, monkeypatch):
        monkeypatch.setattr(import_module("tilth.neighbors.within"), "MOST_PAIRS", 1000)
        with pytest.raises(DataError, match=r"more than 1,000 pairs lie within it. Choose a smaller radius"):
            within(Space(), np.random.default_rng(0).random((200, 2)), 5.0)

    def test_too_many_comparisons(self, monkeypatch):
        monkeypatch.setattr(import_module("tilth.neighbors.within"), "MOST_COMPARED", 1000)
        with pytest.raises(DataError, match="pairs may lie within it"):
            within(Space(), np.random.default_rng(0).random((200, 2)), 5.0)


@pytest.mark.parametrize("radius", [-0.1, np.inf, np.nan])
def test_a_radius_that_is_none(radius):
    with pytest.raises(DataError, match="radius"):
        within(Space(), np.zeros((2, 1)), radius)


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows_have_no_pairs(n):
    i, j, distance = within(Space(), np.zeros((n, 2)), 1.0)
    assert len(i) == len(j) == len(distance) == 0
    assert groups_of(i, j, n).tolist() == [0] * n


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12))
def test_groups_are_numbered_by_their_first_rows(n, pairs):
    pairs = [(a % n, b % n) for a, b in pairs]
    i, j = (np.array(side, np.int64) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    group = groups_of(i, j, n)
    expected = list(range(n))
    for _ in range(n):
        for a, b in pairs:
            expected[a] = expected[b] = min(expected[a], expected[b])
    order = list(dict.fromkeys(expected))
    assert group.tolist() == [order.index(e) for e in expected]
