"""Mean and scatter against NumPy, for any partition, type, layout and device."""

from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilth.statistics import Gram, Statistics
from tilth.statistics import gram as module
from tilth.statistics.blocks import blocks_of, summed
from tilth.statistics.gram import projected

MATRICES = arrays(np.float64, st.tuples(st.integers(0, 30), st.integers(1, 4)), elements=st.floats(-1e3, 1e3))


def correlated(rows=3000, width=12, mean=5.0, dtype=np.float64):
    random = np.random.default_rng(0)
    made = random.normal(size=(rows, 3)) @ random.normal(size=(3, width)) + random.normal(size=(rows, width))
    return (made + mean).astype(dtype)


@given(MATRICES, st.lists(st.integers(0, 30), max_size=6), st.sampled_from([0.0, 1e6]), st.randoms())
def test_merged_parts_equal_numpy_in_any_partition_and_order(matrix, cuts, offset, random):
    matrix = matrix + offset
    parts = np.split(matrix, sorted(min(c, len(matrix)) for c in cuts))
    random.shuffle(parts)
    merged = reduce(add, map(Gram.of, parts), Gram.empty(matrix.shape[1]))
    assert merged.rows == len(matrix)
    if len(matrix):
        np.testing.assert_allclose(merged.mean, matrix.mean(axis=0), rtol=1e-12, atol=1e-9)
        off = matrix - matrix.mean(axis=0)
        np.testing.assert_allclose(merged.scatter, off.T @ off, rtol=1e-9, atol=1e-4 if offset else 1e-7)
        np.testing.assert_array_equal(merged.scatter, merged.scatter.T)
    else:
        assert not merged.mean.any() and not merged.scatter.any()


def test_one_row_parts_keep_their_weight():
    matrix = correlated(200, mean=1e6)
    merged = reduce(add, (Gram.of(matrix[i : i + 1]) for i in range(200)))
    np.testing.assert_allclose(merged.mean, matrix.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(merged.covariance(), np.cov(matrix.T), rtol=1e-8)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_many_blocks_and_threads_equal_numpy(monkeypatch, order, dtype):
    monkeypatch.setattr(module, "CACHED", 1 << 10)
    monkeypatch.setattr("tilth.statistics.blocks.ROWS", (16, 100))
    matrix = np.asarray(correlated(mean=300.0, dtype=dtype), order=order)
    before = matrix.copy()
    found = Gram.of(matrix)
    np.testing.assert_array_equal(matrix, before)
    exact = np.cov(matrix.astype(np.float64).T)
    np.testing.assert_allclose(
        found.covariance(), exact, rtol=0, atol=exact.max() * (1e-12 if dtype is np.float64 else 1e-6)
    )
    np.testing.assert_allclose(
        found.mean, matrix.mean(axis=0, dtype=np.float64), rtol=1e-14 if dtype is np.float64 else 1e-8
    )
    again = Gram.of(matrix)
    np.testing.assert_array_equal(found.scatter, again.scatter)


def test_single_precision_keeps_the_digits_of_rows_far_from_zero():
    matrix = correlated(mean=1e4, dtype=np.float32)
    exact = np.cov(matrix.astype(np.float64).T)
    np.testing.assert_allclose(Gram.of(matrix).covariance(), exact, rtol=0, atol=1e-6 * exact.max())
    naive = matrix.T @ matrix / len(matrix) - np.outer(matrix.mean(axis=0), matrix.mean(axis=0))
    assert np.abs(naive - exact).max() > 1e-2 * exact.max()  # what centering is for


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_torch_gives_the_same(dtype):
    matrix = correlated(500, mean=50.0).astype(dtype)
    here, there = (
        Gram.of(matrix),
        Gram.of(matrix, device="cpu:0"),
    )  # to torch, a device; to us, none of NumPy's
    rtol = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(there.scatter, here.scatter, rtol=0, atol=rtol * here.scatter.max())
    np.testing.assert_allclose(there.mean, here.mean, rtol=rtol)
    weights = np.random.default_rng(1).normal(size=(12, 3))
    one, two = (projected(matrix, here.mean, weights, device=d) for d in ("cpu", "cpu:0"))
    # In single precision each library adds up in its own order: eight units in the last place of the largest.
    atol = 8 * np.finfo(np.float32).eps * np.abs(one).max() if dtype is np.float32 else 1e-9
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=atol)
    assert Gram.of(matrix[:0], device="cpu:0").rows == 0


def test_constant_columns_have_no_deviation_but_tiny_ones_do():
    matrix = np.column_stack([np.full(1000, 0.1), 1e-9 * np.arange(1000), 1e6 + np.arange(1000)])
    std = Gram.of(matrix).std()
    assert std[0] == 0
    np.testing.assert_allclose(std[1:], matrix[:, 1:].std(axis=0), rtol=1e-9)


def test_statistics_read_shards_block_by_block():
    matrix = correlated(500)
    frame = pl.DataFrame(matrix, schema=[f"x{i}" for i in range(12)])
    shards = [frame[:0].lazy(), frame[:1].lazy(), frame[1:].lazy()]
    read = lambda rows: rows.to_numpy(writable=True)
    found = Statistics(shards).gram(["x3", "x1"], read)
    np.testing.assert_allclose(found.covariance(), np.cov(matrix[:, [3, 1]].T), rtol=1e-10)


@given(st.integers(0, 10**6), st.integers(1, 10**5))
def test_blocks_cover_all_rows_once(rows, width):
    blocks = blocks_of(rows, width)
    assert blocks[0].start == 0 and blocks[-1].stop == rows
    assert all(one.stop == two.start for one, two in pairwise(blocks))
    assert len(blocks) == 1 or min(block.stop - block.start for block in blocks[:-1]) >= 256


def test_sums_are_the_same_whatever_the_threads():
    values = np.random.default_rng(0).normal(size=100_000)
    blocks = blocks_of(len(values), 1, 1000)
    total = lambda part: sum(values[block].sum() for block in part)
    assert len(blocks) > 16
    assert summed(total, blocks, threads=1) == summed(total, blocks, threads=3) == summed(total, blocks)
