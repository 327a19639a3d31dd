"""Doing one thing to each of many files on several threads: in order, in bounded memory, with a rate."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[str], None]

APART = 0.2
"""Seconds between two words of progress."""
TOGETHER = 16
"""The most items handed to a thread at once: handing over costs about as much as reading a header."""


_listener: ContextVar[Progress | None] = ContextVar("listener", default=None)


@contextmanager
def telling(progress: Progress | None) -> Iterator[None]:
    """Have what goes on inside the block told, though the stages between here and there pass nothing on."""
    before = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(before)


def listener() -> Progress | None:
    """Return who is told where nobody is named."""
    return _listener.get()


def nobody(word: str) -> None:
    """Hear, and do nothing: progress of parts that are told as a whole."""


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    most_ahead: int = 256,
    what: str = "images",
) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order.

    Parameters
    ----------
    work : callable
        Called on several threads at once. What it raises is raised here, at its place in the order.
    items : iterable
        Read in the caller's thread, and no more than `most_ahead` ahead of what was yielded.
    threads : int, at least 1, optional
        By default the number of cores this process may use. With 1, all is done in the caller's thread.
    progress : callable, optional
        Told ``1,234 of 50,000 images (812/s)`` at most five times a second, and at the end. By default who
        listens, as `telling` says.
    most_ahead : int
        The most results that are in memory besides the one yielded.
    what : str
        What the items are called, in the plural.

    Examples
    --------
    >>> list(each(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    threads = threads if threads is not None else cores()
    if threads < 1 or most_ahead < 1:
        raise ValueError(f"threads ({threads}) and most_ahead ({most_ahead}) must be at least 1.")
    progress = progress or listener()
    results = map(work, items) if threads == 1 else _ahead(work, items, threads, most_ahead)
    if progress is None:
        return results
    return told(results, len(items) if isinstance(items, Sized) else None, progress, what)


def _ahead(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, most_ahead: int
) -> Iterator[Result]:
    together = max(1, min(TOGETHER, most_ahead // (2 * threads)))
    source = iter(items)
    pending: deque[Future] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tilth-each")
    try:
        while True:
            while len(pending) < max(most_ahead // together, 1) and (some := list(islice(source, together))):
                pending.append(pool.submit(_some, work, some))
            if not pending:
                return
            results, error = pending.popleft().result()
            yield from results
            if error is not None:
                raise error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _some(work: Callable[[Any], Any], items: list) -> tuple[list, BaseException | None]:
    """Do a few items; where one fails, keep what was done before it."""
    done: list = []
    for item in items:
        try:
            done.append(work(item))
        except BaseException as error:
            return done, error
    return done, None


def told(results: Iterator[Result], total: int | None, tell: Progress, what: str) -> Iterator[Result]:
    """Yield the results, and tell now and then how many there were, and at what rate."""
    start = last = time.monotonic()
    count = 0

    def word() -> str:
        seconds = time.monotonic() - start
        of = "" if total is None else f" of {total:,}"
        return f"{count:,}{of} {what}" + (f" ({count / seconds:,.0f}/s)" if seconds > 0 else "")

    for result in results:
        count += 1
        now = time.monotonic()
        if now - last >= APART and count != total:
            last = now
            tell(word())
        yield result
    if count:
        tell(word())
