"""Find the device to train on, and bring batches to it before they are needed."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from tilth.errors import TilthError
from tilth.loaders.parameters import invalid

Batch = tuple[Tensor, ...]

# Where the system tells of its memory.
SYSTEM = Path("/")

# So many batches may have been handed out whose copies are unfinished.
BEHIND = 4


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device to use, checked to be there.

    Parameters
    ----------
    device : str or torch.device, default "auto"
        ``"auto"`` takes the current CUDA device, else MPS, else the CPU. Any name that torch knows
        (``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``) asks for that device and no other.

    Returns
    -------
    torch.device
        With its index where the device type has several, so that ``"cuda"`` becomes ``cuda:0``.

    Raises
    ------
    TilthError
        If the device is not present.
    InvalidParameterError
        If the name is not that of a device.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        named = torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _how_many(kind)))
    else:
        try:
            named = torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise invalid(
                f"device={device!r} is not a device. Use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
            ) from error
    present = _how_many(named.type)
    if not present:
        found = [kind for kind in ("cuda", "mps", "cpu") if _how_many(kind)]
        raise TilthError(
            f"device='{named}' was asked for, but no such device is present (present: {', '.join(found)}). "
            "Use device='auto' to take the best one that is."
        )
    if named.type == "cpu":
        return torch.device("cpu")
    if named.index is not None and named.index >= present:
        raise TilthError(
            f"device='{named}' was asked for, but there are {present} {named.type} devices, numbered from 0."
        )
    if named.type == "cuda" and named.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return named


def _how_many(kind: str) -> int:
    if kind == "cpu":
        return 1
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    if kind == "meta":  # known to torch everywhere, but it holds no data
        return 0
    backend = getattr(torch, kind, None)
    return backend.device_count() if backend is not None and backend.is_available() else 0


def free_bytes(device: torch.device) -> int:
    """Return the bytes that are free on a GPU; 0 where the device cannot tell.

    On CUDA, what torch holds but does not use counts as free: the next tensor takes it.
    """
    if device.type == "cuda":
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + idle
    if device.type == "mps" and hasattr(torch.mps, "recommended_max_memory"):
        return max(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory(), 0)
    return 0


def free_host_bytes() -> int:
    """Return the bytes of memory that this process may still take; 0 where the system does not tell.

    On Linux that is what the kernel calls available, within the limits of the control groups that the
    process is in, which is how containers are limited; elsewhere half of the machine's memory.
    """
    available = re.search(r"^MemAvailable:\s+(\d+) kB", _text(SYSTEM / "proc/meminfo"), re.MULTILINE)
    if available:
        return max(min([int(available[1]) * 1024, *_left_in_groups()]), 0)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 0


def _left_in_groups() -> Iterator[int]:
    """Yield what is left of the memory of each control group that limits it, of either version."""
    for line in _text(SYSTEM / "proc/self/cgroup").splitlines():
        _, kinds, place = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        home = SYSTEM / "sys/fs/cgroup" / ("memory" if kinds else "")
        names = ("limit_in_bytes", "usage_in_bytes") if kinds else ("max", "current")
        # Pages of files that were not used lately are given up when memory is wanted.
        idle = re.compile(rf"^{'total_' if kinds else ''}inactive_file (\d+)", re.MULTILINE)
        group = home / place.lstrip("/")
        # A container may see itself at the top, and none of the folders on the way to its own.
        for folder in [each for each in [group, *group.parents] if each.is_relative_to(home)]:
            limit, taken = (_text(folder / f"memory.{name}").strip() for name in names)
            if limit.isdigit() and taken.isdigit():
                found = idle.search(_text(folder / "memory.stat"))
                yield int(limit) - int(taken) + (int(found[1]) if found else 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class DeviceFeed:
    """Bring batches to the device ahead of their use.

    On CUDA each batch is copied from pinned memory on a stream of its own, `ahead` batches before the model
    asks for it, so that copies run while the model computes: tensors that are pinned already, and parts of
    them, as they are, others by way of pinned memory. Nothing waits for the model's work; only where copies
    are slower than everything else does the loop wait until an earlier one is done, so that no more than
    ``ahead + 5`` batches are on their way to a loop that does nothing with them. An error in making a batch
    is raised when it is made, up to `ahead` batches before its turn.

    On other devices each batch is moved when it is asked for; on the CPU the batches pass through untouched,
    at no cost.

    Parameters
    ----------
    device : str or torch.device, default "auto"
        Where the batches go; see `resolve_device`.
    ahead : int, batches, default 2
        How many batches are under way while one is in use. Only CUDA uses it.

    Examples
    --------
    >>> feed = DeviceFeed("cpu")
    >>> [x.sum().item() for (x,) in feed([(torch.ones(2),), (torch.ones(3),)])]
    [2.0, 3.0]
    """

    def __init__(self, device: str | torch.device = "auto", *, ahead: int = 2) -> None:
        if ahead < 1:
            raise invalid(f"DeviceFeed: ahead={ahead}, but at least 1 batch has to be under way.")
        self.device = resolve_device(device)
        self.ahead = ahead

    @property
    def pins(self) -> bool:
        """Whether batches pass through pinned memory: a batch made there saves one copy."""
        return self.device.type == "cuda"

    def __call__(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the same batches, in the same order, on the device."""
        if self.device.type == "cpu":
            return iter(batches)
        if self.pins:
            return self._streamed(batches)
        return (tuple([part.to(self.device) for part in batch]) for batch in batches)

    def _streamed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        stream = _side_stream(self.device)
        under_way: deque[tuple[Batch, torch.cuda.Event]] = deque()
        handed: deque[torch.cuda.Event] = deque()
        for batch in batches:
            under_way.append(self._send(batch, stream))
            if len(under_way) > self.ahead:
                yield self._receive(*under_way.popleft(), handed)
        while under_way:
            yield self._receive(*under_way.popleft(), handed)

    def _send(self, batch: Batch, stream: torch.cuda.Stream) -> tuple[Batch, torch.cuda.Event]:
        # torch's pinned allocator hands a block out again only after the copies from it are done,
        # so the pinned batch may be let go of as soon as its copy is queued.
        pinned = [part.pin_memory() if part.device.type == "cpu" else part for part in batch]
        with torch.cuda.stream(stream):
            sent = tuple([part.to(self.device, non_blocking=True) for part in pinned])
            # Who waits for it sleeps: the core is wanted by the threads that make the next batches.
            return sent, stream.record_event(torch.cuda.Event(blocking=True))

    def _receive(self, sent: Batch, arrived: torch.cuda.Event, handed: deque[torch.cuda.Event]) -> Batch:
        now = torch.cuda.current_stream(self.device)
        now.wait_event(arrived)
        for part in sent:
            part.record_stream(now)  # its memory belongs to the side stream until the model is done with it
        handed.append(arrived)
        if len(handed) > BEHIND:
            # A loop ahead of the copies would queue all of them, each with memory of its own on the device.
            handed.popleft().synchronize()
        return sent


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream for copies to a device: always the same, since memory stays with its stream."""
    return torch.cuda.Stream(device)
