"""Devices are found or refused, and feeds hand on every batch in order."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from tilth.errors import TilthError
from tilth.loaders import DeviceFeed, TableLoader, resolve_device
from tilth.loaders.table import _resting_place

gpu = pytest.mark.gpu
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def _present(monkeypatch: pytest.MonkeyPatch, *, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: cuda - 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(2, True, "cuda:1"), (0, True, "mps"), (0, False, "cpu"), (1, False, "cuda:0")],
)
def test_auto_takes_cuda_then_mps_then_cpu(monkeypatch, cuda, mps, expected):
    _present(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto") == torch.device(expected)


def test_an_absent_device_is_refused_by_name_and_says_what_is_there(monkeypatch):
    _present(monkeypatch, cuda=0, mps=False)
    with pytest.raises(TilthError, match=r"device='cuda:1' was asked for.*present: cpu"):
        resolve_device("cuda:1")
    with pytest.raises(TilthError, match="mps"):
        resolve_device(torch.device("mps"))


def test_a_device_number_beyond_the_last_is_refused(monkeypatch):
    _present(monkeypatch, cuda=2, mps=False)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(TilthError, match="there are 2 cuda devices"):
        resolve_device("cuda:2")


def test_a_word_that_is_no_device_is_refused():
    with pytest.raises(ValueError, match="'gpu' is not a device"):
        resolve_device("gpu")


def test_a_device_that_holds_no_data_is_refused():
    with pytest.raises(TilthError, match="meta"):
        resolve_device("meta")


def test_on_the_cpu_batches_pass_through_untouched():
    batches = [(torch.ones(2), torch.zeros(2)), (torch.ones(1), torch.zeros(1))]
    passed = list(DeviceFeed("cpu")(batches))
    assert all(a is b for a, b in zip(passed, batches, strict=True))


def test_a_feed_needs_a_batch_under_way():
    with pytest.raises(ValueError, match="ahead=0"):
        DeviceFeed("cpu", ahead=0)


@pytest.mark.parametrize(("free", "place"), [(799, "host"), (800, "device"), (0, "host")])
def test_a_table_rests_on_a_gpu_if_it_takes_at_most_half_of_the_free_memory(monkeypatch, free, place):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    tensors = (torch.zeros(80), torch.zeros(10, dtype=torch.int64))  # 400 bytes
    device = torch.device("cuda:0")
    assert _resting_place("auto", tensors, device) == place
    assert _resting_place("device", tensors, device) == "device"
    assert _resting_place("host", tensors, device) == "host"
    assert _resting_place("host", tensors, torch.device("cpu")) == "device"


class _Stream:
    """Stands for a CUDA stream, and writes down what is asked of it."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def record_event(self) -> str:
        self.log.append("sent")
        return "arrived"

    def wait_event(self, event: str) -> None:
        assert event == "arrived"
        self.log.append("waited")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("ahead", [1, 2])
def test_the_stream_runs_ahead_by_the_given_number_and_loses_no_batch(monkeypatch, count, ahead):
    log: list[str] = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: _Stream(log))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: _Stream(log))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    feed = DeviceFeed("cpu", ahead=ahead)
    received = []
    for (x,) in feed._streamed((torch.tensor([i]),) for i in range(count)):
        received.append(int(x))
        under_way = log.count("sent") - log.count("waited")
        assert under_way == min(ahead, count - len(received))
    assert received == list(range(count))


@gpu
@cuda
@pytest.mark.parametrize("place", ["device", "host"])
def test_batches_on_the_gpu_equal_those_on_the_cpu(place):
    X, y = torch.randn(10_000, 7), torch.arange(10_000)
    here = TableLoader(X, y, batch_size=256, device="cpu")
    there = TableLoader(X, y, batch_size=256, device="cuda", place=place)
    assert there.place == place
    assert there.pin_memory == (place == "host")
    for _ in range(2):
        for expected, found in zip(here, there, strict=True):
            assert all(part.is_cuda for part in found)
            assert all(torch.equal(a, b.cpu()) for a, b in zip(expected, found, strict=True))


@gpu
@cuda
@pytest.mark.parametrize("shuffle", [True, False])
def test_work_queued_on_a_batch_is_not_overwritten_by_later_copies(shuffle):
    X = torch.arange(200_000.0).reshape(-1, 2)
    loader = TableLoader(X, batch_size=500, device="cuda", place="host", shuffle=shuffle)
    sums = []
    for (x,) in loader:
        for _ in range(20):
            x = x + 1
        sums.append(x.sum(dtype=torch.float64))
    assert sum(s.item() for s in sums) == X.double().sum().item() + 20 * X.numel()


@gpu
@cuda
def test_augmentations_run_on_the_gpu_with_a_generator_of_the_gpu():
    def noise(batch, generator):
        assert batch[0].is_cuda and generator.device.type == "cuda"
        return (batch[0] + torch.randn(batch[0].shape, generator=generator, device=generator.device),)

    loader = TableLoader(torch.zeros(100, 3), batch_size=10, device="cuda", augment=noise)
    loader.set_epoch(0)
    first = [x.cpu() for (x,) in loader]
    loader.set_epoch(0)
    assert all(torch.equal(a, x.cpu()) for a, (x,) in zip(first, loader, strict=True))


@gpu
@cuda
def test_a_table_too_large_for_the_free_memory_rests_on_the_host(monkeypatch):
    X = torch.zeros(1000, 10)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * X.nbytes - 1, 2 * X.nbytes))
    assert TableLoader(X, device="cuda").place == "host"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * X.nbytes, 2 * X.nbytes))
    assert TableLoader(X, device="cuda").place == "device"
