"""Order the rows of a stream: slices are permuted, and rows exactly within windows of many slices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from tilth.loaders.orders import permuted
from tilth.loaders.parameters import invalid
from tilth.loaders.sampler import WINDOWS, RowSampler, stream_seed

Result = TypeVar("Result")

# The bytes of a window by default: two of them are held at a time, the one in use and the one to come.
WINDOW_BYTES = 128 * 2**20

# By default a window mixes so many slices, or fewer where these would be smaller than `_SMALLEST` rows:
# Parquet is compressed in pages, and a slice costs as much as the whole pages that it lies in.
_MIXED, _FEWEST, _SMALLEST = 32, 8, 8192


@dataclass(frozen=True)
class Window:
    """Slices that are in memory together.

    Parameters
    ----------
    number : int
        The place of the window in its epoch and process.
    slices : list of (int, int)
        Start and stop of each slice, in rows of the source.
    """

    number: int
    slices: list[tuple[int, int]]

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.slices)

    def reads(self, most: int) -> list[tuple[int, int]]:
        """Return the slices by their place in the source; what touches is read at once, up to `most` rows."""
        reads: list[tuple[int, int]] = []
        for start, stop in sorted(self.slices):
            if reads and reads[-1][1] == start and stop - reads[-1][0] <= most:
                reads[-1] = (reads[-1][0], stop)
            else:
                reads.append((start, stop))
        return reads


class WindowSampler(RowSampler):
    """Order rows by windows: the slices of the source are permuted, and rows exactly within each window.

    Parameters
    ----------
    n_rows : int
    shuffle : bool
        False keeps rows in their order.
    slice_rows : int
        Rows that are read together.
    buffer_rows : int
        Rows of a window at most, `slice_rows` or more.
    drop_last, pad, random_state, rank, world_size
        See `RowSampler`.

    Examples
    --------
    >>> sampler = WindowSampler(8, shuffle=True, slice_rows=2, buffer_rows=4)
    >>> [window.slices for window in sampler.windows(0)]
    [[(2, 4), (4, 6)], [(6, 8), (0, 2)]]
    >>> sampler.rows(0).tolist()
    [5, 2, 3, 4, 1, 6, 0, 7]
    """

    def __init__(
        self, n_rows: int, *, shuffle: bool, slice_rows: int, buffer_rows: int, **processes: Any
    ) -> None:
        order: Any = "blocks" if shuffle else "sequential"
        super().__init__(n_rows, order, block_rows=slice_rows, **processes)
        self.shuffle = shuffle
        self.buffer_rows = buffer_rows
        self.most_slices = buffer_rows // slice_rows

    def windows(self, epoch: int) -> list[Window]:
        """Return the windows of this process in that epoch, all of about as many slices."""
        slices = self.blocks(epoch)
        count = -(-len(slices) // self.most_slices)
        edges = [len(slices) * i // max(count, 1) for i in range(count + 1)]
        return [Window(i, slices[edges[i] : edges[i + 1]]) for i in range(count)]

    def within(self, epoch: int, window: Window) -> np.ndarray | None:
        """Return the order of the rows of a window, as it is read; None leaves them as they are."""
        if not self.shuffle:
            return None
        seed = stream_seed(self.seed, WINDOWS, epoch, self.rank, window.number)
        return permuted(len(window), torch.Generator().manual_seed(seed))

    def rows(self, epoch: int) -> Tensor:
        """Return the rows of this process in that epoch, int64 of shape (len(self),)."""
        parts = [np.empty(0, np.int64)]
        for window in self.windows(epoch):
            rows = np.concatenate([np.arange(start, stop) for start, stop in window.reads(len(window))])
            order = self.within(epoch, window)
            parts.append(rows if order is None else rows[order])
        return torch.from_numpy(np.concatenate(parts))


def window_sizes(row_bytes: int, buffer_rows: int | None, slice_rows: int | None) -> tuple[int, int]:
    """Return the rows of a window and those of a slice: as given, checked, or by the bytes of a row."""
    for name, given in (("buffer_rows", buffer_rows), ("slice_rows", slice_rows)):
        whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
        if given is not None and (not whole or given < 1):
            raise invalid(f"{name}={given!r}: a whole number of rows, 1 or more, is needed.")
    buffer = int(buffer_rows or max(WINDOW_BYTES // row_bytes, slice_rows or 1))
    part = int(slice_rows or max(buffer // _MIXED, min(_SMALLEST, buffer // _FEWEST), 1))
    if part > buffer:
        raise invalid(
            f"buffer_rows={buffer} is less than slice_rows={part}: a window holds one slice or more. "
            "For a shuffle worth the name it holds dozens."
        )
    return buffer, part


def read_ahead(
    read: Callable[[Window, threading.Event], Result], windows: Sequence[Window]
) -> Generator[Result, None, None]:
    """Yield what is read for each window, while a thread reads the next one.

    The thread ends with the iterator: `read` is told by the event to leave off, and what it raises is
    raised here.
    """
    left = threading.Event()
    pool = ThreadPoolExecutor(1, thread_name_prefix="tilth-stream")
    try:
        coming = [pool.submit(read, window, left) for window in windows[:1]]
        for number in range(1, len(windows) + 1):
            held = coming.pop().result()
            coming = [pool.submit(read, window, left) for window in windows[number : number + 1]]
            yield held
    finally:
        left.set()
        pool.shutdown(cancel_futures=True)
