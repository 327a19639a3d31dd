"""Processes share an order: each place once, and as many steps for each."""

from __future__ import annotations

from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler

from tilth.loaders.shares import Share

counts, worlds, sizes = st.integers(0, 70), st.integers(1, 9), st.integers(1, 12)


def shares(n, world_size, *, drop_last=False, pad=False, contiguous=False):
    return [Share(n, rank, world_size, drop_last, pad, contiguous) for rank in range(world_size)]


def batches(share, batch_size):
    rows = share.of(torch.arange(share.n_rows)).tolist()
    assert len(rows) == len(share) <= share.largest
    return [rows[cut] for cut in share.cuts(batch_size)]


@given(n=counts, world_size=worlds, batch_size=sizes, contiguous=st.booleans())
@settings(max_examples=400, deadline=None)
def test_every_place_comes_once_and_every_process_takes_as_many_steps(n, world_size, batch_size, contiguous):
    pad = batch_size == 1
    given_out = [batches(s, batch_size) for s in shares(n, world_size, pad=pad, contiguous=contiguous)]
    (steps,) = {len(taken) for taken in given_out}
    assert steps == ceil(ceil(n / world_size) / batch_size)
    assert all(1 <= len(batch) <= batch_size for taken in given_out for batch in taken)
    places = [place for taken in given_out for batch in taken for place in batch]
    assert set(places) == set(range(n))
    if n >= world_size and not pad:
        assert len(places) == n
    else:
        assert len(places) - n < world_size


@given(n=counts, world_size=worlds, batch_size=sizes, contiguous=st.booleans(), pad=st.booleans())
@settings(max_examples=200, deadline=None)
def test_without_the_last_batches_all_are_full_and_no_place_comes_twice(
    n, world_size, batch_size, contiguous, pad
):
    given_out = [
        batches(s, batch_size) for s in shares(n, world_size, drop_last=True, pad=pad, contiguous=contiguous)
    ]
    assert {len(taken) for taken in given_out} == {n // world_size // batch_size}
    assert all(len(batch) == batch_size for taken in given_out for batch in taken)
    places = [place for taken in given_out for batch in taken for place in batch]
    assert len(set(places)) == len(places)


@given(n=st.integers(1, 70), world_size=worlds, drop_last=st.booleans())
@settings(max_examples=150, deadline=None)
def test_padded_shares_in_turns_are_those_of_torch(n, world_size, drop_last):
    for rank, share in enumerate(shares(n, world_size, drop_last=drop_last, pad=True)):
        peer = DistributedSampler(range(n), world_size, rank, shuffle=False, drop_last=drop_last)
        assert share.of(torch.arange(n)).tolist() == list(peer)


@given(n=counts, world_size=worlds, drop_last=st.booleans(), pad=st.booleans())
@settings(max_examples=200, deadline=None)
def test_contiguous_shares_are_stretches_one_after_the_other(n, world_size, drop_last, pad):
    several = shares(n, world_size, drop_last=drop_last, pad=pad, contiguous=True)
    assert max(len(share) for share in several) - min(len(share) for share in several) <= 1
    places = [place for share in several for place in share.of(torch.arange(n)).tolist()]
    assert places == [i % n for i in range(len(places))]
    for share in several:
        told = [place for start, stop in share.spans() for place in range(start, stop)]
        assert told == share.of(torch.arange(n)).tolist()


def test_a_process_one_row_short_of_a_batch_splits_its_last_one():
    first, second = shares(21, 2)
    assert [cut.stop - cut.start for cut in first.cuts(5)] == [5, 5, 1]
    assert [cut.stop - cut.start for cut in second.cuts(5)] == [5, 3, 2]


@pytest.mark.parametrize("contiguous", [True, False])
def test_billions_of_rows_are_shared_without_counting_them(contiguous):
    share = Share(10**13 + 1, 6, 7, False, False, contiguous)
    assert share.steps(2**40) == 2 and [cut.start for cut in share.cuts(2**40)] == [0, 2**40]
    assert share.spans() == [(10**13 + 1 - len(share), 10**13 + 1)]
