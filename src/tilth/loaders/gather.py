"""Gather rows on the host: in blocks, ahead of their use, with two plain threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

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

    def __call__(self, rows: np.ndarray | slice) -> list[Tensor]:
        """Return the rows of each tensor: those of an int64 array, all in range, or of a slice."""
        return [self._copy(array, dtype, rows) for array, dtype in zip(self.arrays, self.types, strict=True)]

    def _copy(self, array: np.ndarray, dtype: torch.dtype, rows: np.ndarray | slice) -> Tensor:
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        made = torch.empty((count, *array.shape[1:]), dtype=dtype, pin_memory=self.pinned)
        if isinstance(rows, slice):
            np.copyto(_numbers(made), array[rows])
        else:
            # "clip" only because "raise" would gather into a buffer first and copy that.
            np.take(array, rows, axis=0, out=_numbers(made), mode="clip")
        return made


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


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.view(_SAME_SIZE[tensor.element_size()]).numpy()
