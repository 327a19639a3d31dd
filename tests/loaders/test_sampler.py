"""An order of rows depends on seed and epoch alone and is shared out among processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.errors import DataError
from tilth.loaders import RowSampler
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


def test_weighted_draws_follow_the_weights_and_never_meet_a_zero():
    weight = torch.tensor([0.0, 1.0, 0.0, 3.0, 4.0, 0.0] * 5_000)
    sampler = RowSampler(len(weight), "weighted", weight=weight)
    rows = torch.cat([sampler.rows(epoch) for epoch in range(4)])
    share = torch.bincount(rows % 6, minlength=6) / len(rows)
    assert len(rows) == 4 * len(weight)
    # 120,000 draws: the standard error of each share is below 0.0015.
    np.testing.assert_allclose(share, [0, 1 / 8, 0, 3 / 8, 1 / 2, 0], atol=0.006)
    assert share[[0, 2, 5]].sum() == 0


def test_the_largest_draw_ends_on_the_last_row_with_weight(monkeypatch):
    sampler = RowSampler(4, "weighted", weight=[1.0, 2.0, 0.0, 0.0])
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.full((n,), 1.0, dtype=torch.float64))
    assert sampler.rows(0).tolist() == [1, 1, 1, 1]


def test_balanced_draws_make_classes_equal_and_rows_equal_within_them():
    labels = torch.tensor([7] * 9_000 + [2] * 900 + [5] * 100)[
        torch.randperm(10_000, generator=torch.Generator().manual_seed(0))
    ]
    sampler = RowSampler(len(labels), "balanced", labels=labels)
    rows = torch.cat([sampler.rows(epoch) for epoch in range(9)])
    drawn = labels[rows]
    for label in (2, 5, 7):
        # 90,000 draws: standard error 0.0016.
        assert abs((drawn == label).float().mean() - 1 / 3) < 0.008
    rare = torch.bincount(rows[drawn == 5], minlength=len(labels))[labels == 5]
    assert rare.min() > 0.75 * rare.float().mean() and rare.max() < 1.25 * rare.float().mean()


def test_the_largest_balanced_draw_ends_on_the_last_row_of_the_last_class(monkeypatch):
    sampler = RowSampler(4, "balanced", labels=torch.tensor([1, 0, 1, 0]))
    almost = float(np.nextafter(1.0, 0.0))
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.full((n,), almost, dtype=torch.float64))
    assert sampler.rows(0).tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("order", ["weighted", "balanced"])
def test_draws_with_replacement_are_shared_among_processes_too(order):
    settings = {"weight": torch.rand(11)} if order == "weighted" else {"labels": torch.arange(11) % 3}
    whole = RowSampler(11, order, **settings).rows(4)
    shares = [RowSampler(11, order, rank=r, world_size=2, **settings).rows(4) for r in range(2)]
    assert torch.stack(shares, 1).flatten()[:11].tolist() == whole.tolist()


@pytest.mark.parametrize("order", ["shuffle", "sequential", "weighted", "balanced"])
def test_no_rows_give_no_rows(order):
    sampler = RowSampler(0, order, weight=[], labels=torch.tensor([], dtype=torch.int64))
    assert len(sampler) == 0 and list(sampler) == []


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
        {"random_state": -1},
        {"random_state": 1.5},
        {"rank": 2, "world_size": 2},
        {"world_size": 0},
    ],
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError):
        RowSampler(3, **wrong)


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


def test_streams_for_orders_and_augmentations_do_not_share_seeds():
    orders = {stream_seed(seed, 0, epoch) for seed in range(10) for epoch in range(10)}
    noises = {augment_seed(s, e, b) for s in range(10) for e in range(10) for b in range(10)}
    assert len(orders) == 100 and len(noises) == 1000 and not orders & noises
