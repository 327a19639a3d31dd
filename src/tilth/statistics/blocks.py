"""Sums over rows, taken block by block: in threads, and the same whatever their number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import reduce
from operator import add
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import get_cached_controller

T = TypeVar("T")

NUMBERS = 1 << 20
"""About so many numbers make a block: few enough to stay near the processor, enough for its products."""
ROWS = (256, 65_536)
"""A block has no fewer and no more rows."""
LANES = 16
"""Into so many groups the blocks are shared out, one for a thread at a time."""


def blocks_of(rows: int, width: int, numbers: int = NUMBERS) -> list[slice]:
    """Cut rows into blocks of about so many numbers; into at least one, which may be empty.

    Examples
    --------
    >>> [part.stop - part.start for part in blocks_of(12_000, 200)]
    [5242, 5242, 1516]
    """
    least, most = ROWS
    # Products of blocks with fewer rows than columns would cost more than reading them.
    step = min(max(numbers // max(width, 1), width, least), most)
    return [slice(start, min(start + step, rows)) for start in range(0, max(rows, 1), step)]


def summed(work: Callable[[Sequence[slice]], T], blocks: Sequence[slice], *, threads: int | None = None) -> T:
    """Return the sum of what `work` makes of blocks that follow one another.

    How the blocks are shared out, and in which order sums are added, depends on no thread.

    Parameters
    ----------
    work : callable
        Gets some blocks; what it returns can be added. It is called in threads, with one thread of linear
        algebra in each.
    blocks : sequence of slice
        At least one.
    threads : int, optional
        By default as many as linear algebra would use.
    """
    lanes = [[blocks[i] for i in lane] for lane in np.array_split(np.arange(len(blocks)), LANES) if lane.size]
    with _threads(len(lanes), threads) as each:
        total: T = reduce(add, each(work, lanes))
        return total


def added(parts: Sequence[T]) -> T:
    """Return the sum of parts, neighbors first, then their sums: rounding grows little with their number.

    Examples
    --------
    >>> added(["a", "b", "c", "d", "e"])
    'abcde'
    """
    while len(parts) > 1:
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [reduce(add, pair) for pair in pairs]
    return parts[0]


def put(work: Callable[[slice], np.ndarray], blocks: Sequence[slice], out: np.ndarray) -> np.ndarray:
    """Write what `work` makes of each block to its rows of `out`, in threads, and return `out`."""

    def write(block: slice) -> None:
        out[block] = work(block)

    with _threads(len(blocks), None) as each:
        for _ in each(write, blocks):
            pass
    return out


@contextmanager
def _threads(tasks: int, threads: int | None) -> Iterator[Callable[..., Iterable[Any]]]:
    """Offer a `map` that works in threads, where there is more than one task."""
    if tasks == 1 or threads == 1:
        yield map
        return
    blas = get_cached_controller().select(user_api="blas")
    threads = threads or max((pool["num_threads"] for pool in blas.info()), default=1)
    with blas.limit(limits=1), ThreadPoolExecutor(threads) as pool:
        yield pool.map
