"""Devices are found or refused, free memory is counted, and feeds hand on every batch in order and whole."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tilth.errors import TilthError
from tilth.loaders import DeviceFeed, resolve_device
from tilth.loaders import device as module
from tilth.loaders.device import BEHIND, free_bytes, free_host_bytes


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


def test_what_torch_holds_unused_on_a_gpu_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 60)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert free_bytes(torch.device("cuda:0")) == 140
    assert free_bytes(torch.device("cpu")) == 0


def written(root: Path, files: dict[str, object]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


MEMORY = {"proc/meminfo": "MemTotal: 4000 kB\nMemFree: 100 kB\nMemAvailable:   2000 kB"}
OWN = {
    "proc/self/cgroup": "0::/batch/job",
    "sys/fs/cgroup/batch/memory.max": 900_000,
    "sys/fs/cgroup/batch/memory.current": 500_000,
    "sys/fs/cgroup/batch/job/memory.max": "max",
    "sys/fs/cgroup/batch/job/memory.current": 100,
}
OLDER = {
    "proc/self/cgroup": "3:cpu:/\n4:hugetlb,memory:/docker/1f\n0::/",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": 700_000,
    "sys/fs/cgroup/memory/memory.usage_in_bytes": 600_000,
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 7\ntotal_inactive_file 50",
    "sys/fs/cgroup/cpu/memory.limit_in_bytes": 1,
    "sys/fs/cgroup/cpu/memory.usage_in_bytes": 1,
}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 2_048_000),
        (OWN, 400_000),
        (OWN | {"sys/fs/cgroup/batch/memory.stat": "anon 1\ninactive_file 300"}, 400_300),
        (OWN | {"sys/fs/cgroup/batch/job/memory.max": 60}, 0),
        (OLDER, 100_050),
    ],
)
def test_memory_is_free_within_the_limits_of_the_groups_of_a_process(tmp_path, monkeypatch, files, free):
    written(tmp_path, MEMORY | files)
    monkeypatch.setattr(module, "SYSTEM", tmp_path)
    assert free_host_bytes() == free


def test_where_free_memory_is_not_told_half_of_all_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SYSTEM", tmp_path)
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 6, "SC_PAGE_SIZE": 100}.__getitem__)
    assert free_host_bytes() == 300
    monkeypatch.delattr("os.sysconf")
    assert free_host_bytes() == 0


def test_this_machine_has_free_memory():
    assert 0 < free_host_bytes() < 2**50


class Cuda:
    """Stands for CUDA: a copy is done only when its event is waited for, and what is not copied is NaN."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.streams: list[Stream] = []
        self.within: list[Stream] = []
        self.model = Stream(self)
        self.copies: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.done = self.asked_to_wait = 0
        self.recorded: list[int] = []
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream(self))
        monkeypatch.setattr(torch.cuda, "stream", self.entered)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.model)
        monkeypatch.setattr(torch.cuda, "Event", lambda blocking: Event(self))
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor.clone())
        monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device, non_blocking: self.sent(tensor))
        monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: self.used(tensor, stream))

    @contextmanager
    def entered(self, stream):
        self.within.append(stream)
        yield
        self.within.pop()

    def sent(self, pinned: torch.Tensor) -> torch.Tensor:
        assert self.within, "a copy was not queued on a stream of its own"
        there = torch.full_like(pinned, torch.nan)
        self.copies.append((there, pinned))
        return there

    def used(self, tensor: torch.Tensor, stream) -> None:
        assert stream is self.model
        self.recorded.append(id(tensor))

    def finish(self, count: int) -> None:
        for there, pinned in self.copies[self.done : count]:
            there.copy_(pinned)
        self.done = max(self.done, count)


class Stream:
    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        cuda.streams.append(self)

    def record_event(self, event):
        assert self.cuda.within == [self]
        event.copies = len(self.cuda.copies)
        return event

    def wait_event(self, event) -> None:
        assert self is self.cuda.model
        self.cuda.finish(event.copies)


class Event:
    copies = 0

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda

    def synchronize(self) -> None:
        self.cuda.asked_to_wait += 1
        assert self.copies <= self.cuda.done, "the loop waited for a copy that the model has not asked for"


@pytest.fixture
def cuda(monkeypatch):
    module._side_stream.cache_clear()
    yield Cuda(monkeypatch)
    module._side_stream.cache_clear()


def numbered(count: int):
    """Yield batches that hold their number."""
    for number in range(count):
        yield torch.full((3,), float(number)), torch.tensor([float(number)])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 20])
@pytest.mark.parametrize("ahead", [1, 2])
def test_the_stream_runs_ahead_by_the_given_number_and_loses_no_batch(cuda, count, ahead):
    received = []
    for x, y in DeviceFeed("cpu", ahead=ahead)._streamed(numbered(count)):
        assert x.tolist() == [len(received)] * 3
        assert y.tolist() == [len(received)]
        assert cuda.recorded[-2:] == [id(x), id(y)]
        received.append(x)
        assert len(cuda.copies) == 2 * min(len(received) + ahead, count)
    assert len(received) == count
    assert cuda.asked_to_wait == max(count - BEHIND, 0)


def test_all_passes_use_one_stream_so_that_its_memory_serves_them_all(cuda):
    for _ in range(3):
        list(DeviceFeed("cpu")._streamed(numbered(2)))
    assert len(cuda.streams) == 2  # the model's, and the one for copies


def test_a_pass_that_is_left_sends_no_more_and_ends_what_makes_the_batches(cuda):
    ended = []

    def made():
        try:
            yield from numbered(20)
        finally:
            ended.append(True)

    feed = DeviceFeed("cpu")
    for number, _ in enumerate(feed._streamed(made())):
        if number == 3:
            break
    assert ended == [True]
    assert len(cuda.copies) == 2 * (4 + feed.ahead)
    assert [x.tolist() for x, y in feed._streamed(numbered(2))] == [[0.0] * 3, [1.0] * 3]


def test_an_error_in_making_a_batch_is_raised_at_most_so_many_batches_early(cuda):
    def made():
        yield from numbered(5)
        raise TilthError("batch 5")

    received = []
    with pytest.raises(TilthError, match="batch 5"):
        for x, _ in DeviceFeed("cpu", ahead=2)._streamed(made()):
            received.append(x)
    assert [x[0].item() for x in received] == [0, 1, 2]
