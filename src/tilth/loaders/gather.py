"""Bring rows into the order of an epoch, many batches at once, and cut the batches from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from tilth.loaders.device import Batch

Item = TypeVar("Item")
Result = TypeVar("Result")

# Rows are moved, not computed with, so that every type can travel as integers of its size:
# NumPy has no bfloat16 and no float8.
_SAME_SIZE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class HostGather:
    """Copy chosen rows of tensors on the CPU into new tensors, pinned if asked.

    NumPy's ``take`` runs in the thread that calls it and lets other threads run. torch's ``index_select``
    splits every call among threads that then wait for each other, which costs a time slice per call as
    soon as another process wants the cores.
    """

    def __init__(self, tensors: Sequence[Tensor], *, pinned: bool = False) -> None:
        self.arrays = [_numbers(tensor) for tensor in tensors]
        self.types = [tensor.dtype for tensor in tensors]
        self.pinned = pinned

    def __call__(self, rows: np.ndarray | slice) -> Batch:
        """Return the rows of each tensor: those of an int64 array, all in range, or of a slice."""
        parts = zip(self.arrays, self.types, strict=True)
        return tuple([self._copy(array, dtype, rows) for array, dtype in parts])

    def _copy(self, array: np.ndarray, dtype: torch.dtype, rows: np.ndarray | slice) -> Tensor:
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        made = torch.empty((count, *array.shape[1:]), dtype=dtype, pin_memory=self.pinned)
        if isinstance(rows, slice):
            np.copyto(_numbers(made), array[rows])
        else:
            # "clip" only because "raise" would gather into a buffer first and copy that.
            np.take(array, rows, axis=0, out=_numbers(made), mode="clip")
        return made


def gathered(tensors: Sequence[Tensor], rows: Tensor | slice) -> Batch:
    """Copy chosen rows of tensors on the device they are on: those that a tensor names, or a slice."""
    if isinstance(rows, slice):
        return tuple([tensor[rows].clone() for tensor in tensors])
    return tuple([tensor.index_select(0, rows) for tensor in tensors])


class _Job:
    """One item to work on, in line for the thread until the caller takes it over."""

    def __init__(self, pool: ThreadPoolExecutor, work: Callable[[Any], Any], item: Any) -> None:
        self.work, self.item = work, item
        self.future: Future[Any] = pool.submit(work, item)

    def take_over(self) -> None:
        """Do the work here and now, unless the thread has begun it."""
        if self.future.cancel():
            self.future = Future()
            self.future.set_result(self.work(self.item))


def ahead(work: Callable[[Item], Result], items: Sequence[Item], depth: int = 6) -> Iterator[Result]:
    """Yield the work on each item in turn, while a thread works on the `depth` items that come next.

    What the thread has not begun when it is needed, the caller does; and while the thread finishes what
    is needed, the caller does what comes after. So both work, and waiting, which costs as much as
    gathering a block, is rare. The thread ends with the iterator.
    """
    if len(items) < 2:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="tilth-gather")
    try:
        coming = iter(items)
        line = deque(_Job(pool, work, item) for item in islice(coming, depth))
        while line:
            job = line.popleft()
            job.take_over()
            for later in line:
                if job.future.done():
                    break
                later.take_over()
            line.extend(_Job(pool, work, item) for item in islice(coming, 1))
            yield job.future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def stretches(cuts: Sequence[slice], count: int) -> list[slice]:
    """Return what `count` batches at a time have in common: the rows from the first to the last of them."""
    parts = [cuts[i : i + count] for i in range(0, len(cuts), count)]
    return [slice(part[0].start, part[-1].stop) for part in parts]


def in_batches(groups: Iterable[Sequence[Tensor]], sizes: Iterable[int]) -> Iterator[Batch]:
    """Cut groups of rows that follow one another into batches of the given sizes.

    A batch within a group is a view of it; one that begins in a group and ends in another is put together.
    Rows that are left at the end are dropped.
    """
    due = iter(sizes)
    missing = next(due, 0)
    begun: list[Batch] = []
    for parts in groups:
        left, lengths = len(parts[0]), []
        while missing and left >= missing:
            lengths.append(missing)
            left -= missing
            missing = next(due, 0)
        pieces = zip(*[part.split([*lengths, left]) for part in parts], strict=True)
        for piece in islice(pieces, len(lengths)):
            if begun:
                yield tuple([torch.cat(column) for column in zip(*begun, piece, strict=True)])
                begun = []
            else:
                # As .data, batches of a group do not share autograd's count of in-place changes.
                yield tuple([part.data for part in piece])
        if left and missing:
            begun.append(next(pieces))
            missing -= left


def whole_blocks(
    tensors: Sequence[Tensor], rows: Tensor | None, blocks: Sequence[tuple[int, int]], wanted: slice
) -> Iterator[Batch]:
    """Yield block after block of a table as it lies, and with each where its rows go, for `arranged`.

    Nothing is gathered: a block is a view of the table, so that it can be copied to a device in one go.

    Parameters
    ----------
    tensors : sequence of Tensor
        The table.
    rows : Tensor of int64, or None
        The rows in the order in which they are visited, those of one block after those of another. None: as
        they lie in the blocks, and blocks come cut to what is wanted.
    blocks : sequence of (int, int)
        Start and stop of each block, in the order in which they are visited.
    wanted : slice
        The places in the order, counted over all blocks, that are wanted.
    """
    before = 0
    for start, stop in blocks:
        first, last = max(wanted.start - before, 0), min(wanted.stop - before, stop - start)
        if first >= last:
            pass
        elif rows is None:
            yield tuple([tensor[start + first : start + last] for tensor in tensors])
        else:
            inside = rows[before + first : before + last] - start
            yield (*[t[start:stop] for t in tensors], inside.to(_narrow(stop - start)))
        before += stop - start


def arranged(blocks: Iterable[Batch]) -> Iterator[Batch]:
    """Bring the rows of each block into their order, on whatever device the block is."""
    for *parts, inside in blocks:
        yield gathered(parts, inside)


def _narrow(count: int) -> torch.dtype:
    return torch.int32 if count < 2**31 else torch.int64


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.view(_SAME_SIZE[tensor.element_size()]).numpy()
