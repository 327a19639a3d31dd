"""A loader hands out every row once per epoch, the same way whenever, wherever and however it is asked."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from tilth.errors import DataError
from tilth.loaders import TableLoader

ROWS = 103
X = torch.arange(ROWS * 3.0).reshape(ROWS, 3)
y = torch.arange(ROWS)


def loader(**settings):
    return TableLoader(X, y, **{"batch_size": 10, "device": "cpu", "random_state": 5, **settings})


def stream(batches):
    return [tuple(part.tolist() for part in batch) for batch in batches]


def noise(batch, generator):
    features, *rest = batch
    return (features + torch.rand(features.shape, generator=generator), *rest)


class Jitter:
    def augment(self, batch, generator):
        return noise(batch, generator)


@given(
    rows=st.integers(0, 40),
    batch_size=st.integers(1, 45),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
    weighted=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_every_row_comes_once_with_its_own_label_and_weight(rows, batch_size, drop_last, shuffle, weighted):
    weight = torch.arange(rows) * 2.0 if weighted else None
    batches = TableLoader(
        X[:rows],
        y[:rows],
        weight=weight,
        batch_size=batch_size,
        drop_last=drop_last,
        shuffle=shuffle,
        device="cpu",
    )
    peer = DataLoader(TensorDataset(X[:rows], y[:rows]), batch_size=batch_size, drop_last=drop_last)
    for _ in range(2):
        seen = list(batches)
        assert len(seen) == len(batches) == len(peer)
        assert all(len(labels) == batch_size for _, labels, *_ in seen[:-1])
        met = []
        for features, labels, *weights in seen:
            assert torch.equal(features, X[labels])
            assert [w.tolist() for w in weights] == ([(labels * 2).tolist()] if weighted else [])
            met += labels.tolist()
        assert len(set(met)) == len(met) == (len(batches) * batch_size if drop_last else rows)


def test_without_shuffling_batches_equal_those_of_a_dataloader():
    peer = DataLoader(TensorDataset(X, y), batch_size=10)
    for ours, theirs in zip(loader(shuffle=False), peer, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_unlabeled_batches_hold_the_features_alone():
    (first,) = next(iter(TableLoader(X, batch_size=10, device="cpu")))
    assert first.shape == (10, 3)


def test_epochs_differ_and_the_same_seed_and_epoch_repeat():
    one, other = loader(), loader()
    epochs = [stream(one) for _ in range(3)]
    assert epochs == [stream(other) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert stream(loader(random_state=6)) != epochs[0]


def test_set_epoch_decides_the_next_pass_and_counting_goes_on():
    batches = loader()
    epochs = [stream(batches) for _ in range(3)]
    batches.set_epoch(1)
    assert batches.epoch == 1
    assert [stream(batches), stream(batches)] == epochs[1:]


def test_a_pass_that_was_left_is_followed_by_a_new_epoch():
    batches, whole = loader(), loader()
    epochs = [stream(whole) for _ in range(2)]
    next(iter(batches))
    assert stream(batches) == epochs[1]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_changed_in_place_does_not_change_the_table(shuffle):
    before = X.clone()
    for features, labels in loader(shuffle=shuffle):
        features.zero_()
        labels.zero_()
    assert torch.equal(X, before) and torch.equal(y, torch.arange(ROWS))


@pytest.mark.parametrize("block", [1, 2 * 12 * 10, 3 * 20 * 10 + 7, 2**20])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shuffle": False},
        {"drop_last": True},
        {"augment": noise},
        {"sampler": "blocks", "block_rows": 17},
        {"rank": 1, "world_size": 2, "shuffle": False},
    ],
)
def test_the_size_of_blocks_changes_no_batch(monkeypatch, block, settings):
    expected = [stream(batches) for batches in [loader(**settings)] for _ in range(2)]
    monkeypatch.setattr("tilth.loaders.table.BLOCK_BYTES", block)
    assert [stream(batches) for batches in [loader(**settings)] for _ in range(2)] == expected


@pytest.mark.parametrize("shuffle", [True, False])
def test_changing_the_next_batch_in_place_leaves_an_earlier_graph_valid(shuffle):
    weight = torch.zeros(3, requires_grad=True)
    loss = torch.zeros(())
    for features, _ in loader(shuffle=shuffle):
        features.mul_(2)
        features += weight  # a batch may take part in autograd in place, too
        loss = loss + (features @ (weight + 1)).sum()
    loss.backward()
    assert torch.allclose(weight.grad, 2 * X.sum(0) + ROWS)


def test_the_global_generators_are_neither_read_nor_moved():
    batches = loader(augment=noise)
    before = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    first = stream(batches)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(99)
        batches.set_epoch(0)
        assert stream(batches) == first


@pytest.mark.parametrize("stop", [0, 1, 4, 10, 11])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"augment": Jitter()},
        {"shuffle": False},
        {"sampler": "balanced"},
        {"sampler": "blocks", "block_rows": 16},
        {"codes": [1]},
    ],
)
def test_a_state_saved_in_mid_epoch_resumes_with_the_same_batches(stop, settings):
    batches = loader(**settings)
    stream(batches)
    passing = iter(batches)
    for _ in range(stop):
        next(passing)
    state = json.loads(json.dumps(batches.state_dict()))
    rest = stream(passing)
    following = stream(batches)
    assert len(rest) == 11 - stop

    resumed = loader(**{**settings, "random_state": 0})
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert resumed.epoch == (2 if stop == 11 else 1)
    found = stream(resumed) if rest else []
    assert found == rest
    assert stream(resumed) == following


def test_setting_the_resumed_epoch_keeps_the_position_and_another_drops_it():
    batches = loader()
    passing = iter(batches)
    next(passing)
    state = batches.state_dict()
    rest = stream(passing)
    resumed = loader()
    resumed.load_state_dict(state)
    resumed.set_epoch(0)
    assert stream(resumed) == rest
    resumed.load_state_dict(state)
    resumed.set_epoch(1)
    assert resumed.state_dict()["position"] == 0
    assert stream(resumed) == stream(batches)


def test_a_set_epoch_after_a_left_pass_is_what_the_state_describes():
    batches = loader()
    next(iter(batches))
    assert (batches.state_dict()["epoch"], batches.state_dict()["position"]) == (0, 1)
    batches.set_epoch(7)
    assert (batches.state_dict()["epoch"], batches.state_dict()["position"]) == (7, 0)


def test_the_state_of_another_loader_is_refused_and_says_why():
    state = loader().state_dict()
    with pytest.raises(DataError, match="batch_size=10, but this loader has batch_size=9"):
        loader(batch_size=9).load_state_dict(state)
    with pytest.raises(DataError, match="order='shuffle'"):
        loader(shuffle=False).load_state_dict(state)
    with pytest.raises(DataError, match="lacks epoch"):
        loader().load_state_dict({k: v for k, v in state.items() if k != "epoch"})


@pytest.mark.parametrize("sampler", ["shuffle", "sequential", "blocks", "grouped"])
@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_take_as_many_batches_each_and_cover_the_rows(world_size, drop_last, sampler):
    chosen = {"sampler": sampler, "drop_last": drop_last, "block_rows": 13, "groups": y // 9}
    shares = [loader(rank=r, world_size=world_size, **chosen) for r in range(world_size)]
    met = [[labels for _, labels in stream(share)] for share in shares]
    assert {len(share) for share in shares} == {len(batches) for batches in met} == {len(met[0])}
    rows = [row for share in met for batch in share for row in batch]
    if drop_last:
        assert {len(batch) for share in met for batch in share} == {10}
        assert len(set(rows)) == len(rows) == len(shares[0]) * 10 * world_size
    else:
        assert sorted(rows) == list(range(ROWS))


@pytest.mark.parametrize("rows", [ROWS, 2])
@pytest.mark.parametrize("sampler", ["sequential", "blocks"])
def test_shares_that_begin_the_order_anew_hold_the_rows_of_their_sampler(rows, sampler):
    chosen = {"batch_size": 1, "sampler": sampler, "block_rows": 9, "device": "cpu"}
    for rank in range(4):
        share = TableLoader(X[:rows], y[:rows], rank=rank, world_size=4, **chosen)
        met = [int(label) for _, label in share]
        assert met == share.sampler.rows(0).tolist() and len(met) == -(-rows // 4)


def test_processes_augment_with_noise_of_their_own_and_may_share_one_state():
    shares = [loader(rank=r, world_size=2, augment=noise) for r in range(2)]
    first = [next(iter(share)) for share in shares]
    drawn = [features - X[labels] for features, labels in first]
    assert not torch.allclose(drawn[0], drawn[1])
    assert shares[0].state_dict() == shares[1].state_dict()


def test_augmentations_are_called_in_turn_on_the_device_with_its_generator():
    calls = []

    def double(batch, generator):
        calls.append((batch[0].device, generator.device))
        return (batch[0] * 2, batch[1])

    def plus_one(batch, generator):
        return (batch[0] + 1, batch[1])

    features, labels = next(iter(loader(augment=[double, plus_one])))
    assert torch.equal(features, X[labels] * 2 + 1)
    assert calls == [(torch.device("cpu"), torch.device("cpu"))]


def test_augmentations_differ_by_batch_and_epoch_and_repeat_by_seed():
    batches = loader(augment=Jitter(), shuffle=False)
    epochs = [torch.cat([features for features, _ in batches]) - X for _ in range(2)]
    assert not torch.allclose(epochs[0], epochs[1])
    assert not torch.allclose(epochs[0][:10], epochs[0][10:20])
    again = torch.cat([features for features, _ in loader(augment=noise, shuffle=False)]) - X
    assert torch.equal(again, epochs[0])


def test_what_an_augmentation_returns_is_what_is_yielded():
    batch = next(iter(loader(augment=lambda batch, generator: {"x": batch[0]})))
    assert set(batch) == {"x"}


def test_a_weighted_draw_spends_the_weight():
    weight = (y < 5).float()
    batches = list(loader(sampler="weighted", weight=weight))
    assert all(len(batch) == 2 for batch in batches)
    assert {int(label) for _, labels in batches for label in labels} == {0, 1, 2, 3, 4}
    unlabeled = TableLoader(X, weight=weight, sampler="weighted", device="cpu")
    assert len(next(iter(unlabeled))) == 1


def test_a_balanced_draw_evens_out_named_classes():
    labels = np.where(np.arange(4000) < 100, "rare", "common")
    batches = TableLoader(torch.zeros(4000, 1), labels, sampler="balanced", device="cpu")
    assert batches.classes_.tolist() == ["common", "rare"]
    share = torch.cat([codes for _, codes in batches]).float().mean()
    assert abs(share - 0.5) < 0.05  # 4,000 draws: standard error 0.008


def test_a_frame_with_string_labels_trains_a_plain_torch_model():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(2000, 4)), columns=list("abcd"))
    labels = np.where(frame["a"] + frame["b"] > 0, "yes", "no")
    batches = TableLoader(frame, labels, batch_size=100, device="cpu")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(5):
        for features, codes in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(features), codes).backward()
            optimizer.step()
    with torch.no_grad():
        hits = torch.cat([model(f).argmax(1) == c for f, c in batches])
    assert hits.float().mean() > 0.97


@pytest.fixture
def pinned(monkeypatch):
    """The path of a pinned table, with the CPU in the place of the GPU."""
    copies = []

    def pin(tensor):
        copies.append(tensor.clone())
        return copies[-1]

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr("tilth.loaders.table.resting_place", lambda *args: "pinned")
    return copies


@pytest.mark.parametrize("sampler", ["blocks", "sequential"])
@pytest.mark.parametrize("block_rows", [7, 10, 30, 64, 200])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"drop_last": True},
        {"augment": noise},
        {"rank": 0, "world_size": 3},
        {"rank": 2, "world_size": 3},
        {"codes": [0, 2]},
        {"batch_size": 45},
    ],
)
def test_a_pinned_table_gives_the_same_batches(pinned, monkeypatch, sampler, block_rows, settings):
    settings = {"sampler": sampler, "block_rows": block_rows, **settings}
    there = loader(**settings)
    monkeypatch.setattr("tilth.loaders.table.resting_place", lambda *args: "device")
    here = loader(**settings)
    assert (there.place, here.place) == ("pinned", "device")
    assert len(pinned) == len(there.dataset.tensors)
    for _ in range(2):
        assert stream(there) == stream(here)
    left = iter(here)
    next(left)
    there.load_state_dict(here.state_dict())
    assert stream(there) == stream(left)


def test_blocks_come_one_after_the_other_and_are_shuffled_inside():
    batches = loader(sampler="blocks", block_rows=20, batch_size=20)
    epochs = [[labels for _, labels in batches] for _ in range(2)]
    for epoch in epochs:
        met = torch.cat(epoch)
        assert sorted(met.tolist()) == list(range(ROWS))
        runs = torch.unique_consecutive(met // 20)
        assert len(runs) == 6 and runs.tolist() != sorted(runs.tolist())
    assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))


def test_the_rows_of_a_group_come_together_and_groups_are_not_in_the_batch():
    groups = np.array(["ann", "bob", "cid"])[np.arange(ROWS) % 3]
    batches = list(loader(sampler="grouped", groups=groups))
    assert {len(batch) for batch in batches} == {2}
    assert len(torch.unique_consecutive(torch.cat([labels for _, labels in batches]) % 3)) == 3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_numbers_are_as_torch_rounds_them_and_targets_stay_as_they_are(dtype):
    numbers = np.random.default_rng(0).normal(size=(ROWS, 3))
    target, weight = np.linspace(0, 1, ROWS), np.ones(ROWS)
    batches = TableLoader(numbers, target, weight=weight, dtype=dtype, shuffle=False, device="cpu")
    ((features, *beside),) = list(batches)
    expected = torch.from_numpy(numbers).float().to(getattr(torch, dtype))
    assert torch.equal(features, expected) and features.dtype == expected.dtype
    assert [part.dtype for part in beside] == [torch.float32, torch.float32]


def test_the_attributes_that_training_frameworks_look_at_are_there():
    batches = loader(drop_last=True)
    assert (batches.batch_size, batches.drop_last, batches.num_workers, batches.pin_memory) == (
        10,
        True,
        0,
        False,
    )
    assert len(batches.dataset) == ROWS and len(batches.sampler) == ROWS
    epochs = [stream(batches) for _ in range(3)]
    batches.sampler.set_epoch(1)  # as Lightning does
    assert stream(batches) == epochs[1]
    assert "103 rows, 10 batches of 10" in repr(batches)


def test_no_rows_give_no_batches():
    for chosen in ({}, {"shuffle": False}, {"drop_last": True}, {"world_size": 2, "rank": 1}):
        empty = TableLoader(X[:0], y[:0], device="cpu", **chosen)
        assert len(empty) == 0 and list(empty) == []
    assert list(TableLoader(pd.DataFrame({"a": []}), [], device="cpu")) == []


def test_inputs_stay_as_they_are():
    frame = pd.DataFrame({"a": [3.0, 1.0], "b": [1, 2]}, index=[5, 5])
    labels = pd.Series(["x", "y"], index=[5, 5])
    frame_before, labels_before = frame.copy(), labels.copy()
    list(TableLoader(frame, labels, batch_size=1, device="cpu", augment=lambda b, g: (b[0].mul_(0), b[1])))
    pd.testing.assert_frame_equal(frame, frame_before)
    pd.testing.assert_series_equal(labels, labels_before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"batch_size": True},
        {"place": "ram"},
        {"augment": 3},
        {"sampler": "groups"},
        {"sampler": "weighted", "shuffle": False},
        {"dtype": "float8"},
        {"codes": "city"},
        {"place": "pinned", "sampler": "blocks"},
        {"block_rows": 0},
    ],
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("sampler", "sampler|order")):
        loader(**wrong)


def test_importing_the_room_does_not_import_torch():
    program = (
        "import sys, tilth.loaders as room; assert 'torch' not in sys.modules;"
        "assert 'TableLoader' in dir(room);"
        "room.TableLoader; assert 'torch' in sys.modules; assert not hasattr(room, 'Nothing')"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
