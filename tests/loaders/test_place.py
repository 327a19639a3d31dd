"""A table rests where it fits and where that serves the order of its rows."""

from __future__ import annotations

import pytest
import torch

from tilth.loaders.place import resting_place

CUDA = torch.device("cuda:0")
TABLE = (torch.zeros(80), torch.zeros(80, dtype=torch.uint8))  # 400 bytes


def memory(monkeypatch, *, device, host):
    monkeypatch.setattr("tilth.loaders.place.free_bytes", lambda _: device)
    monkeypatch.setattr("tilth.loaders.place.free_host_bytes", lambda: host)


@pytest.mark.parametrize(
    ("device", "host", "order", "place"),
    [
        (800, 0, "shuffle", "device"),
        (800, 10**9, "blocks", "device"),
        (799, 10**9, "shuffle", "host"),
        (799, 1600, "blocks", "pinned"),
        (799, 1600, "sequential", "pinned"),
        (799, 1599, "blocks", "host"),
        (799, 1600, "grouped", "host"),
        (360, 1600, "blocks", "pinned"),  # nine blocks of 20 bytes
        (359, 1600, "blocks", "host"),
        (0, 0, "blocks", "host"),
    ],
)
def test_auto_takes_the_device_then_pinned_memory_where_the_order_is_by_blocks_then_the_host(
    monkeypatch, device, host, order, place
):
    memory(monkeypatch, device=device, host=host)
    assert resting_place("auto", TABLE, CUDA, order, block_rows=4) == place


def test_what_is_on_the_device_already_needs_no_room_there(monkeypatch):
    memory(monkeypatch, device=0, host=0)
    assert resting_place("auto", TABLE, TABLE[0].device) == "device"
    meta = tuple(tensor.to("meta") for tensor in TABLE)
    assert resting_place("auto", meta, torch.device("meta")) == "device"
    assert resting_place("auto", TABLE, torch.device("meta")) == "host"


def test_only_cuda_copies_from_pinned_memory(monkeypatch):
    memory(monkeypatch, device=799, host=10**9)
    assert resting_place("auto", TABLE, torch.device("mps"), "blocks", 4) == "host"
    for device in ("mps", "cpu"):
        with pytest.raises(ValueError, match=f"place='pinned'.*on {device}"):
            resting_place("pinned", TABLE, torch.device(device), "blocks")


@pytest.mark.parametrize("place", ["device", "pinned", "host"])
def test_a_place_that_was_asked_for_is_taken(monkeypatch, place):
    memory(monkeypatch, device=0, host=0)
    assert resting_place(place, TABLE, CUDA, "blocks") == place
    if place != "pinned":
        assert resting_place(place, TABLE, torch.device("cpu")) == "device"


def test_a_pinned_table_is_refused_where_rows_come_from_all_over_it():
    with pytest.raises(ValueError, match=r"order 'shuffle'.*sampler='blocks'.*place='host'"):
        resting_place("pinned", TABLE, CUDA, "shuffle")


def test_an_empty_table_has_a_place(monkeypatch):
    memory(monkeypatch, device=0, host=0)
    assert resting_place("auto", (torch.zeros(0, 3),), CUDA, "blocks") == "device"


def test_a_place_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"place='ram'.*auto, device, pinned, host"):
        resting_place("ram", TABLE, CUDA)
