"""An order of rows depends on seed and epoch alone and is shared out among processes."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from tilth.errors import DataError, TilthWarning
from tilth.loaders import RowSampler
from tilth.loaders.orders import Order
from tilth.loaders.sampler import augment_seed, stream_seed

counts = st.integers(0, 60)


@given(n=counts, epoch=st.integers(0, 10**6), seed=st.integers(0, 2**70))
@settings(max_examples=60, deadline=None)
def test_a_shuffle_is_a_permutation_and_repeats_for_the_same_seed_and_epoch(n, epoch, seed):
    sampler = RowSampler(n, random_state=seed)
    rows = sampler.rows(epoch)
    assert rows.dtype == torch.int64 and sorted(rows.tolist()) == list(range(n))
    assert torch.equal(rows, RowSampler(n, random_state=seed).rows(epoch))


def test_seeds_and_epochs_give_other_orders():
    orders = {
        tuple(RowSampler(50, random_state=seed).rows(epoch).tolist())
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


@given(n=counts, world_size=st.integers(1, 9), drop_last=st.booleans(), epoch=st.integers(0, 3))
@settings(max_examples=120, deadline=None)
def test_processes_get_equal_shares_that_cover_all_rows_but_for_padding(n, world_size, drop_last, epoch):
    shares = [
        RowSampler(n, drop_last=drop_last, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    rows = [share.rows(epoch).tolist() for share in shares]
    assert {len(r) for r in rows} == {len(shares[0])}
    met = [row for share in rows for row in share]
    if drop_last:
        assert len(set(met)) == len(met) == n // world_size * world_size
    else:
        assert set(met) == set(range(n)) and len(met) - n < world_size
    # Taken in turns, the shares are the order of a single process.
    turns = [row for step in zip(*rows, strict=True) for row in step]
    assert turns[:n] == RowSampler(n).rows(epoch).tolist()[: len(turns)]


def test_each_pass_is_a_new_epoch_and_a_set_epoch_is_next():
    sampler = RowSampler(20, random_state=1)
    passes = [list(sampler) for _ in range(3)]
    assert passes == [sampler.rows(epoch).tolist() for epoch in range(3)]
    sampler.set_epoch(1)
    assert list(sampler) == passes[1] and list(sampler) == passes[2]
    with pytest.raises(ValueError, match="numbered from 0"):
        sampler.set_epoch(-1)


@given(n=counts, block_rows=st.integers(1, 70), world_size=st.integers(1, 5), drop_last=st.booleans())
@settings(max_examples=150, deadline=None)
def test_blocks_are_visited_one_after_the_other_and_all_rows_of_each_met(
    n, block_rows, world_size, drop_last
):
    met = []
    for rank in range(world_size):
        sampler = RowSampler(
            n,
            "blocks",
            block_rows=block_rows,
            drop_last=drop_last,
            pad=False,
            rank=rank,
            world_size=world_size,
        )
        rows = sampler.rows(2).tolist()
        assert len(rows) == len(sampler)
        met += rows
        for start, stop in sampler.blocks(2):
            block, rows = rows[: stop - start], rows[stop - start :]
            assert sorted(block) == list(range(start, stop))
            assert start // block_rows == (stop - 1) // block_rows
        assert rows == []
    left = n % world_size if drop_last else 0
    assert len(set(met)) == n - left and (len(met) == n - left or n < world_size)


def test_blocks_come_in_every_order_and_so_do_their_rows():
    sampler = RowSampler(5, "blocks", block_rows=2)
    found = Counter(tuple(sampler.rows(epoch).tolist()) for epoch in range(4_800))
    assert len(found) == 6 * 2 * 2  # orders of the three blocks, of two of which there are two orders
    assert chisquare(list(found.values())).pvalue > 1e-4


def test_parts_of_equal_blocks_are_permuted_differently_in_every_process():
    shares = [
        RowSampler(4_000, "blocks", block_rows=2_000, rank=rank, world_size=2).rows(0) % 2_000
        for rank in range(2)
    ]
    assert not torch.equal(*shares)


def test_rows_in_order_are_blocks_in_order_and_other_orders_have_none():
    assert RowSampler(10, "sequential", block_rows=4).blocks(3) == [(0, 4), (4, 8), (8, 10)]
    second = RowSampler(10, "sequential", block_rows=4, rank=1, world_size=2)
    assert second.blocks(0) == [(5, 8), (8, 10)] and second.rows(0).tolist() == list(range(5, 10))
    for order in ("shuffle", "grouped"):
        with pytest.raises(ValueError, match=f"'{order}' is not one by blocks"):
            RowSampler(4, order, groups=[1, 1, 2, 2]).blocks(0)


@given(
    n=counts,
    world_size=st.integers(1, 6),
    order=st.sampled_from(["shuffle", "sequential", "blocks", "grouped"]),
    epoch=st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_without_padding_every_row_comes_once_over_all_processes(n, world_size, order, epoch):
    met = [
        row
        for rank in range(world_size)
        for row in RowSampler(
            n,
            order,
            groups=np.arange(n) % 7,
            block_rows=4,
            pad=False,
            rank=rank,
            world_size=world_size,
        ).rows(epoch)
    ]
    rows = [int(row) for row in met]
    assert set(rows) == set(range(n)) and (len(rows) == n or n < world_size)


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12), world_size=st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_processes_divide_at_most_one_group_at_each_border(sizes, world_size):
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    n, owners = len(groups), {}
    for rank in range(world_size):
        sampler = RowSampler(n, "grouped", groups=groups, pad=False, rank=rank, world_size=world_size)
        rows = sampler.rows(1).tolist()
        met = [group for group, _ in groupby(groups[rows].tolist())]
        assert len(set(met)) == len(met)
        for group in met:
            owners.setdefault(group, []).append(rank)
    if n >= world_size:
        assert sum(len(ranks) - 1 for ranks in owners.values()) <= world_size - 1


def test_an_order_tells_of_its_groups_and_whether_rows_come_again():
    told = {}
    for order in get_args(Order):
        sampler = RowSampler(4, order, weight=[1] * 4, labels=torch.arange(4), groups=["a", "a", None, None])
        told[order] = (sampler.n_groups, sampler.with_replacement)
    assert told == {
        "shuffle": (None, False),
        "sequential": (None, False),
        "blocks": (None, False),
        "weighted": (None, True),
        "balanced": (None, True),
        "grouped": (3, False),
        "balanced_groups": (3, True),
    }


@pytest.mark.parametrize("order", get_args(Order))
def test_an_order_repeats_by_seed_and_epoch_and_leaves_the_global_generators_alone(order):
    def drawn(epoch, seed=4):
        given = {"weight": torch.arange(1, 51), "labels": torch.arange(50) % 5, "groups": np.arange(50) % 5}
        return RowSampler(50, order, block_rows=7, random_state=seed, **given).rows(epoch).tolist()

    before = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    first = drawn(3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert drawn(3) == first
    others = [drawn(4), drawn(3, seed=5)]
    assert (first in others) == (order == "sequential")


@pytest.mark.parametrize("order", ["weighted", "balanced", "balanced_groups"])
def test_draws_with_replacement_are_shared_among_processes_too(order):
    settings = {"weight": torch.arange(11), "labels": torch.arange(11) % 3, "groups": list("abcabcabcab")}
    whole = RowSampler(11, order, **settings).rows(4)
    shares = [RowSampler(11, order, rank=r, world_size=2, **settings).rows(4) for r in range(2)]
    assert torch.stack(shares, 1).flatten()[:11].tolist() == whole.tolist()


@pytest.mark.parametrize("world_size", [1, 3])
@pytest.mark.parametrize("order", get_args(Order))
def test_no_rows_give_no_rows(order, world_size):
    labels = torch.tensor([], dtype=torch.int64)
    sampler = RowSampler(0, order, weight=[], labels=labels, groups=[], rank=0, world_size=world_size)
    assert len(sampler) == 0 and list(sampler) == []


def test_an_iterator_that_is_thrown_away_is_no_pass():
    sampler = RowSampler(20)
    iter(sampler)
    assert list(sampler) == sampler.rows(0).tolist()
    passing = iter(sampler)
    sampler.set_epoch(7)
    assert list(passing) == sampler.rows(7).tolist()


def test_draws_without_what_they_need_are_refused():
    with pytest.raises(DataError, match="no weight was given"):
        RowSampler(3, "weighted")
    with pytest.raises(DataError, match="all weights are 0"):
        RowSampler(3, "weighted", weight=[0, 0, 0])
    with pytest.raises(DataError, match="hold 3 rows, but the weight holds 2"):
        RowSampler(3, "weighted", weight=[1, 2])
    with pytest.raises(DataError, match="target is missing"):
        RowSampler(3, "balanced")
    with pytest.raises(DataError, match="not one label per row"):
        RowSampler(3, "balanced", labels=torch.rand(3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": "random"},
        {"block_rows": 0},
        {"block_rows": 2.0},
        {"block_rows": True},
        {"random_state": -1},
        {"random_state": 1.5},
        {"rank": 2, "world_size": 2},
        {"world_size": 0},
    ],
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError):
        RowSampler(3, **wrong)


def test_a_misspelled_order_is_told_the_nearest_one():
    with pytest.raises(ValueError, match="did you mean 'blocks'"):
        RowSampler(3, "block")


def test_a_fresh_seed_serves_one_process_only():
    assert RowSampler(3, random_state=None).seed != RowSampler(3, random_state=None).seed
    with pytest.raises(ValueError, match="random_state=None"):
        RowSampler(3, random_state=None, rank=0, world_size=2)


def test_rank_and_world_size_come_from_torch_distributed(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        sampler = RowSampler(3)
        assert (sampler.rank, sampler.world_size) == (0, 1)
        given = RowSampler(3, rank=1, world_size=2)
        assert (given.rank, given.world_size) == (1, 2)
    finally:
        torch.distributed.destroy_process_group()


def test_a_launched_process_without_its_group_is_told_that_it_sees_all_rows(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.warns(TilthWarning, match="WORLD_SIZE=2 is set, but torch.distributed is not initialized"):
        assert len(RowSampler(10)) == 10
    assert len(RowSampler(10, rank=0, world_size=1)) == 10  # asked for: no warning, which is an error here
    assert len(RowSampler(10, rank=1, world_size=2)) == 5
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert len(RowSampler(10)) == 10


def test_streams_for_orders_and_augmentations_do_not_share_seeds():
    orders = {stream_seed(seed, 0, epoch) for seed in range(10) for epoch in range(10)}
    noises = {augment_seed(s, e, b) for s in range(10) for e in range(10) for b in range(10)}
    assert len(orders) == 100 and len(noises) == 1000 and not orders & noises
