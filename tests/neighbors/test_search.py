from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as arrays_of
from sklearn.metrics.pairwise import nan_euclidean_distances
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from tests.neighbors.peers import all_pairs, lowest
from tilth.errors import DataError
from tilth.neighbors import Space, nearest, search
from tilth.neighbors.arrays import TorchArrays

MIXED = (False, True, False, True)


def rows_of(n: int, d: int, share: float = 0.0, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(n, d))
    rows[generator.random((n, d)) < share] = np.nan
    return rows


def mixed_of(n: int, share: float = 0.15, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(n, 4))
    rows[:, [1, 3]] = generator.integers(0, 4, size=(n, 2))
    rows[generator.random((n, 4)) < share] = np.nan
    return rows


@pytest.fixture(params=["numpy", "torch"])
def engine(request, monkeypatch):
    """Run on NumPy, and on torch as on a device without float64 of its own."""
    if request.param == "torch":
        monkeypatch.setattr(search, "arrays_on", lambda device: TorchArrays("cpu"))
    return request.param


@pytest.mark.parametrize(("n", "k"), [(50, 3), (900, 10), (2500, 40)])
def test_plain_distances_are_those_of_scikit_learn(engine, n, k):
    rows, query = rows_of(n, 6), rows_of(70, 6, seed=1)
    expected, at = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows).kneighbors(query)
    distances, indices = nearest(Space(), query, rows, k)
    np.testing.assert_allclose(distances, expected, rtol=1e-6)
    np.testing.assert_array_equal(indices, at)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_masked_distances_are_those_of_scikit_learn(engine, share):
    rows, query = rows_of(1500, 5, share), rows_of(60, 5, share, seed=1)
    pairs = nan_euclidean_distances(query, rows)
    expected, at = lowest(np.where(np.isnan(pairs), np.inf, pairs), 8)
    distances, indices = nearest(Space(), query, rows, 8)
    np.testing.assert_allclose(distances, expected, atol=1e-6)
    differ = indices != at
    # scikit-learn's rounding may tell equal ones apart; ours are then in order of the index.
    np.testing.assert_allclose(pairs[np.nonzero(differ)[0], indices[differ]], expected[differ], atol=1e-6)


@pytest.mark.parametrize("mismatch", [0.0, 0.5, 1.0, 7.0])
def test_mixed_distances_are_those_of_a_plain_loop(engine, mismatch):
    rows, query = mixed_of(400), mixed_of(40, seed=1)
    query[0, 1] = 99.0  # a code that no reference row has
    expected, at = lowest(all_pairs(query, rows, MIXED, mismatch), 6)
    distances, indices = nearest(Space(categorical=MIXED, mismatch=mismatch), query, rows, 6)
    np.testing.assert_allclose(distances, expected, atol=1e-9)
    np.testing.assert_array_equal(indices, at)


@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("widths", [None, (2.0, 0.0, 0.5, 0.0)])
def test_gower_distances_are_those_of_a_plain_loop(engine, share, widths):
    rows, query = mixed_of(400, share), mixed_of(40, share, seed=1)
    used = np.nanmax(rows, axis=0) - np.nanmin(rows, axis=0) if widths is None else widths
    expected, at = lowest(all_pairs(query, rows, MIXED, 1.0, used), 6)
    distances, indices = nearest(Space("gower", MIXED, widths=widths), query, rows, 6)
    np.testing.assert_allclose(distances, expected, atol=1e-9)
    np.testing.assert_array_equal(indices, at)


@pytest.mark.parametrize("metric", ["euclidean", "gower"])
def test_more_categorical_columns_than_a_byte_counts(engine, metric):
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 2, size=(60, 300)).astype(float)
    space = Space(metric, (True,) * 300)
    distances, _ = nearest(space, rows, rows, 3, exclude_self=True)
    share = (rows[:, None] != rows[None]).mean(axis=2)
    np.fill_diagonal(share, np.inf)
    expected, _ = lowest(share if metric == "gower" else np.sqrt(share * 300), 3)
    np.testing.assert_allclose(distances, expected, rtol=1e-12)


cells = st.one_of(st.integers(-2, 2).map(float), st.just(np.nan))


@settings(max_examples=60, deadline=None)
@given(
    rows=arrays_of(np.float64, st.tuples(st.integers(1, 90), st.just(4)), elements=cells),
    k=st.integers(1, 12),
    metric=st.sampled_from(["euclidean", "gower"]),
    categorical=st.sampled_from([(), MIXED]),
    block_bytes=st.sampled_from([1, 3000, None]),
    alone=st.booleans(),
)
def test_ties_gaps_and_copies_are_as_when_all_pairs_are_measured(
    rows, k, metric, categorical, block_bytes, alone
):
    space = Space(metric, categorical, widths=(1.0, 1.0, 2.0, 1.0))
    distances, indices = nearest(space, rows, rows, k, exclude_self=alone, block_bytes=block_bytes)
    pairs = all_pairs(
        rows, rows, categorical or (False,) * 4, 1.0, space.widths if metric == "gower" else None
    )
    if alone:
        np.fill_diagonal(pairs, np.inf)
    expected, at = lowest(pairs, k)
    np.testing.assert_allclose(distances[:, : at.shape[1]], expected, atol=1e-12)
    np.testing.assert_array_equal(indices[:, : at.shape[1]], at)
    assert np.isinf(distances[:, at.shape[1] :]).all()
    assert (indices[:, at.shape[1] :] == -1).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), order=st.permutations(range(40)))
def test_order_of_the_reference_changes_the_numbering_only(seed, order):
    rows = rows_of(40, 3, 0.2, seed)
    order = np.array(order)
    distances, indices = nearest(Space(), rows, rows, 5)
    again, renumbered = nearest(Space(), rows, rows[order], 5)
    np.testing.assert_array_equal(again, distances)
    tied = (distances[:, 1:] == distances[:, :-1]).any(axis=1)
    sixth = nearest(Space(), rows, rows, 6)[0]
    tied |= sixth[:, 5] == sixth[:, 4]
    np.testing.assert_array_equal(order[renumbered[~tied]], indices[~tied])


@pytest.mark.parametrize("metric", ["euclidean", "gower"])
def test_a_row_alone_has_the_same_neighbors_to_the_bit(metric):
    rows = mixed_of(300)
    space = Space(metric, MIXED)
    distances, indices = nearest(space, rows, rows, 5)
    for row in range(0, 300, 29):
        one, at = nearest(space, rows[row : row + 1], rows, 5)
        np.testing.assert_array_equal(one[0], distances[row])
        np.testing.assert_array_equal(at[0], indices[row])


def test_copies_are_at_distance_zero_lower_index_first(engine):
    rows = np.repeat(rows_of(30, 5) * 1e6 + 1 / 3, 40, axis=0)
    distances, indices = nearest(Space(), rows, rows, 3, exclude_self=True)
    assert (distances == 0).all()
    first = np.arange(len(rows)) // 40 * 40
    for row in (0, 1, 2, 39, 40, 1199):
        copies = [first[row] + i for i in range(4) if first[row] + i != row][:3]
        assert indices[row].tolist() == copies


def test_zeros_and_ones_tie_by_the_thousand(engine):
    rows = (np.random.default_rng(0).random((1200, 9)) < 0.3).astype(float)
    distances, indices = nearest(Space(), rows[:50], rows, 9)
    squares = (rows[:50, None] != rows[None]).sum(axis=2)
    expected, at = lowest(squares.astype(float), 9)
    np.testing.assert_array_equal(indices, at)
    np.testing.assert_allclose(distances**2, expected, atol=1e-12)


def test_a_large_offset_costs_no_digits(engine):
    noise = np.round(rows_of(800, 4), 3)
    expected, at = nearest(Space(), noise, noise, 4, exclude_self=True)
    distances, indices = nearest(Space(), noise + 1e8, noise + 1e8, 4, exclude_self=True)
    np.testing.assert_allclose(distances, expected, atol=1e-6)
    assert (indices == at).mean() > 0.99  # rounding to the offset makes and breaks ties


@pytest.mark.parametrize("spread", [1e-120, 1e-3, 1e12, 1e30, 1e60])
@pytest.mark.parametrize("width", [3, 200])
def test_columns_and_rows_of_any_size_are_measured(engine, spread, width):
    rows = rows_of(400, width)
    rows[::7] *= spread
    distances, indices = nearest(Space(), rows, rows, 5, exclude_self=True)
    pairs = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2))
    np.fill_diagonal(pairs, np.inf)
    expected, at = lowest(pairs, 5)
    np.testing.assert_allclose(distances, expected, rtol=1e-12, atol=1e-250)
    np.testing.assert_array_equal(indices, at)


def test_constant_columns_change_nothing(engine):
    rows = rows_of(200, 3, 0.1)
    wide = np.hstack([rows, np.full((200, 2), 1e7)])
    np.testing.assert_allclose(
        nearest(Space("gower"), wide, wide, 4)[0],
        lowest(all_pairs(wide, wide, (False,) * 5, 1.0, np.nanmax(wide, 0) - np.nanmin(wide, 0)), 4)[0],
        atol=1e-12,
    )
    flat = np.full((30, 2), 3.0)
    assert nearest(Space(), flat, flat, 2)[1].tolist() == [[0, 1]] * 30


def test_rows_that_share_no_column_are_out_of_reach(engine):
    rows = np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, np.nan], [np.nan, np.nan]])
    distances, indices = nearest(Space(), rows, rows, 3, exclude_self=True)
    assert indices.tolist() == [[2, -1, -1], [-1, -1, -1], [0, -1, -1], [-1, -1, -1]]
    assert distances[0].tolist() == [np.sqrt(2 * 4.0), np.inf, np.inf]


def test_fewer_reference_rows_than_asked_for_end_in_none():
    distances, indices = nearest(Space(), rows_of(3, 2), rows_of(2, 2), 4)
    assert np.isfinite(distances[:, :2]).all() and np.isinf(distances[:, 2:]).all()
    assert (indices[:, 2:] == -1).all()
    assert nearest(Space(), rows_of(3, 2), rows_of(0, 2), 2)[1].tolist() == [[-1, -1]] * 3
    assert nearest(Space(), rows_of(0, 2), rows_of(3, 2), 2)[0].shape == (0, 2)


def test_tiles_and_threads_do_not_change_the_answer(monkeypatch):
    rows = mixed_of(700)
    space = Space(categorical=MIXED)
    distances, indices = nearest(space, rows, rows, 12)
    monkeypatch.setattr(search, "COLUMNS", 90)
    for threads in (1, 3):
        with threadpool_limits(threads):
            again, at = nearest(space, rows, rows, 12, block_bytes=20_000)
        np.testing.assert_array_equal(again, distances)
        np.testing.assert_array_equal(at, indices)


def test_only_doubtful_rows_are_searched_again(monkeypatch):
    seen = []
    original = search._Search._measure_all
    monkeypatch.setattr(
        search._Search,
        "_measure_all",
        lambda self, tiles, rows, block: seen.extend(rows) or original(self, tiles, rows, block),
    )
    rows = rows_of(1500, 8, 0.1)
    nearest(Space(), rows, rows, 5)
    assert len(seen) < 15
    rows[700:760] = rows[3]
    nearest(Space(), rows, rows, 5)
    assert {3, 700, 759} <= set(seen)


def test_memory_stays_within_a_few_blocks():
    import tracemalloc

    rows = rows_of(3000, 10, 0.1)
    nearest(Space(), rows[:10], rows, 5)
    tracemalloc.start()
    nearest(Space(), rows, rows, 5, block_bytes=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All pairs would be 36 MB in float32 and 72 MB in float64.
    assert peak < 20e6


@pytest.mark.parametrize(
    ("query", "reference", "space", "told"),
    [
        (np.ones((2, 3)), np.ones((2, 2)), Space(), "same columns"),
        (np.ones((2, 0)), np.ones((2, 0)), Space(), "at least one"),
        (np.ones(3), np.ones((2, 3)), Space(), "shape"),
        (np.array([[1.0, np.inf]]), np.ones((2, 2)), Space(), "row 0, column 1"),
        (np.ones((2, 2)), np.array([[1.0, 1e200]]), Space(), "1e\\+200"),
        (np.ones((2, 2)), np.ones((2, 2)), Space(categorical=(True,)), "categorical"),
        (np.ones((2, 2)), np.ones((2, 2)), Space("gower", widths=(1.0, -1.0)), "widths"),
        (np.ones((2, 2)), np.ones((2, 2)), Space(mismatch=-1.0), "mismatch"),
    ],
)
def test_what_cannot_be_measured_is_a_clear_error(query, reference, space, told):
    with pytest.raises(DataError, match=told):
        nearest(space, query, reference, 1)


def test_wrong_questions_are_clear_errors():
    with pytest.raises(DataError, match="at least 1"):
        nearest(Space(), rows_of(3, 2), rows_of(3, 2), 0)
    with pytest.raises(DataError, match="row for row"):
        nearest(Space(), rows_of(3, 2), rows_of(4, 2), 1, exclude_self=True)


def test_inputs_are_not_written_to():
    rows = mixed_of(50)
    kept = rows.copy()
    nearest(Space("gower", MIXED), rows, rows, 3)
    np.testing.assert_array_equal(rows, kept)
