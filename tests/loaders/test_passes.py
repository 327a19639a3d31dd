"""Passes count epochs, cut each into equally many batches per process, and resume only what fits."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.errors import DataError
from tilth.loaders.passes import Passes, batch_augmentations, named_order, several


class Rows(Passes):
    """A loader of row numbers."""

    def __init__(
        self,
        count=20,
        order="shuffle",
        *,
        batch_size=3,
        drop_last=False,
        augment=(),
        random_state=5,
        rank=None,
        world_size=None,
        **by,
    ):
        super().__init__(batch_size=batch_size, drop_last=drop_last, device="cpu", augment=augment)
        self.dataset = range(count)
        by = {"target": None, "weight": None, **by}
        self._ordered(order, random_state=random_state, rank=rank, world_size=world_size, **by)

    def _made(self, epoch, start):
        rows = self.sampler.rows(epoch)
        for number, cut in list(enumerate(self.cuts()))[start:]:
            yield number, (rows[cut],)


def stream(batches):
    return [part.tolist() for (part,) in batches]


@given(
    count=st.integers(0, 60),
    world_size=st.integers(1, 5),
    batch_size=st.integers(2, 9),
    order=st.sampled_from(["shuffle", "sequential", "blocks", "grouped"]),
    block_rows=st.integers(1, 20),
)
@settings(max_examples=200, deadline=None)
def test_every_row_comes_once_over_all_processes_in_as_many_steps_each(
    count, world_size, batch_size, order, block_rows
):
    given = {"groups": np.arange(count) // 3, "block_rows": block_rows, "batch_size": batch_size}
    for epoch in range(2):
        shares = [Rows(count, order, rank=rank, world_size=world_size, **given) for rank in range(world_size)]
        for share in shares:
            share.set_epoch(epoch)
        taken = [stream(share) for share in shares]
        assert {len(batches) for batches in taken} == {len(shares[0])}
        rows = [row for batches in taken for batch in batches for row in batch]
        assert all(1 <= len(batch) <= batch_size for batches in taken for batch in batches)
        if count < world_size:
            assert set(rows) == set(range(count))
        else:
            assert sorted(rows) == list(range(count))


def test_batches_of_one_row_come_equally_often_in_every_process():
    taken = [stream(Rows(5, batch_size=1, rank=rank, world_size=2)) for rank in range(2)]
    assert [len(batches) for batches in taken] == [3, 3]
    assert {row for batches in taken for (row,) in batches} == set(range(5))


def test_one_step_of_all_processes_is_a_batch_of_a_single_one():
    alone = stream(Rows(60, batch_size=12))
    shares = [stream(Rows(60, batch_size=4, rank=rank, world_size=3)) for rank in range(3)]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert sorted(whole) == sorted(row for part in parts for row in part)


def test_an_iterator_that_is_thrown_away_is_no_pass():
    batches = Rows()
    iter(batches)
    assert batches.epoch == 0
    first = stream(batches)
    passing = iter(batches)
    batches.sampler.set_epoch(0)  # as Lightning does, between iter and next
    assert stream(passing) == first

    next(again := iter(batches))
    state = batches.state_dict()
    rest = stream(again)
    resumed = Rows()
    resumed.load_state_dict(state)
    iter(resumed)
    assert resumed.state_dict() == state
    assert stream(resumed) == rest


def test_what_was_resumed_is_resumed_once():
    batches = Rows()
    next(iter(batches))
    state = batches.state_dict()
    batches.set_epoch(0)
    whole = stream(batches)
    resumed = Rows()
    resumed.load_state_dict(state)
    assert stream(resumed) == whole[1:]
    resumed.set_epoch(0)
    assert stream(resumed) == whole


@pytest.mark.parametrize("stop", range(8))
@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("order", ["blocks", "grouped", "balanced_groups"])
def test_a_state_saved_in_mid_epoch_resumes_with_the_same_batches(order, world_size, stop):
    given = {"groups": list("abcdeabcdefghijkabcd"), "block_rows": 6, "world_size": world_size}
    for rank in range(world_size):
        batches = Rows(20, order, rank=rank, **given)
        stop = min(stop, len(batches))
        passing = iter(batches)
        for _ in range(stop):
            next(passing)
        state = json.loads(json.dumps(batches.state_dict()))
        rest, following = stream(passing), stream(batches)
        resumed = Rows(20, order, rank=rank, **{**given, "random_state": 0})
        resumed.load_state_dict(state)
        assert (stream(resumed) if rest else []) == rest
        assert stream(resumed) == following


@pytest.mark.parametrize(
    ("saved", "here", "told"),
    [
        ({"count": 21}, {}, "n_rows=21, but this loader has n_rows=20"),
        ({"batch_size": 4}, {}, "batch_size=4, but this loader has batch_size=3"),
        ({"drop_last": True}, {}, "drop_last=True"),
        ({"rank": 0, "world_size": 2}, {}, "world_size=2, but this loader has world_size=1"),
        ({"rank": 1, "world_size": 2}, {"rank": 1, "world_size": 3}, "world_size=2.*world_size=3"),
        ({}, {"order": "blocks"}, "order='shuffle', but this loader has order='blocks'"),
        ({"order": "blocks"}, {"order": "blocks", "block_rows": 7}, "block_rows=65536.*block_rows=7"),
        (
            {"order": "grouped", "groups": [0] * 20},
            {"order": "grouped", "groups": [0, 1] * 10},
            "n_groups=1.*n_groups=2",
        ),
    ],
)
def test_a_state_of_another_shape_is_refused_and_says_why(saved, here, told):
    state = Rows(**saved).state_dict()
    loader = Rows(**here)
    with pytest.raises(DataError, match=told):
        loader.load_state_dict(state)
    assert loader.epoch == 0 and loader.sampler.seed == 5


def test_a_state_serves_every_process_and_where_the_order_has_no_blocks_any_size_of_them():
    state = Rows(20, world_size=2, rank=0, block_rows=7).state_dict()
    Rows(20, world_size=2, rank=1, block_rows=9).load_state_dict(state)
    with pytest.raises(DataError, match="not a state of Rows: it lacks n_rows, position"):
        Rows().load_state_dict(
            {k: v for k, v in Rows().state_dict().items() if k not in ("position", "n_rows")}
        )


def test_augmentations_are_seeded_by_the_batch_and_not_by_those_before_it():
    def noise(batch, generator):
        return (batch[0] + torch.rand(len(batch[0]), generator=generator),)

    shares = [Rows(batch_size=4, augment=[noise], rank=rank, world_size=2) for rank in range(2)]
    whole = [stream(share) for share in shares]
    drawn = [[value % 1 for value in batches[0]] for batches in whole]
    assert not np.allclose(*drawn)
    next(iter(resumed := Rows(batch_size=4, augment=[noise], rank=1, world_size=2)))
    state = resumed.state_dict()
    resumed = Rows(batch_size=4, augment=[noise], rank=1, world_size=2)
    resumed.load_state_dict(state)
    assert stream(resumed) == whole[1][1:]


def test_frameworks_find_no_batch_sampler_and_no_workers():
    assert Rows().batch_sampler is None and Rows().num_workers == 0


def test_the_name_of_an_order_may_not_contradict_shuffle():
    assert [named_order(None, True), named_order(None, False)] == ["shuffle", "sequential"]
    assert [named_order("blocks", True), named_order("sequential", False)] == ["blocks", "sequential"]
    for order in ("shuffle", "blocks", "grouped", "balanced_groups"):
        with pytest.raises(ValueError, match="shuffle=False contradicts"):
            named_order(order, False)


def test_augmentations_are_callables_or_have_a_method():
    class Stage:
        def augment(self, batch, generator):
            return batch

    stage = Stage()
    assert batch_augmentations(several(stage)) == [stage.augment]
    assert batch_augmentations(several([abs, stage])) == [abs, stage.augment]
    with pytest.raises(ValueError, match="augment: 3 is not callable"):
        batch_augmentations([3])


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True, None])
def test_batches_that_hold_no_whole_number_of_rows_are_refused(batch_size):
    with pytest.raises(ValueError, match="batch_size="):
        Rows(batch_size=batch_size)
