"""Decode the images of batches in worker processes, which share memory with the training loop.

Nothing here needs torch, so that worker processes need not import it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, Literal
from weakref import finalize

import cv2

from tilth.errors import DataError, TilthError
from tilth.loaders.decoding import Asked, Decoder, Failures, Made, UnderWay
from tilth.loaders.parameters import invalid
from tilth.loaders.shared import SharedArray

StartMethod = Literal["fork", "forkserver", "spawn"]

# Seconds that processes have to end by themselves before they are killed: a stage may wait forever.
GRACE = 5.0

_UNPICKLABLE = (pickle.PicklingError, AttributeError, TypeError, ValueError, RuntimeError)

# What a worker notes instead of a row while it is at none.
_IDLE = -1


class Workers:
    """Decode batches in worker processes, into shared memory, and copy each from there when it is finished.

    Processes start with the first batch. They end with `close`, with this object, or with the process that
    started them, however that ends.

    Parameters
    ----------
    decoder : Decoder
    workers : int, at least 1
    batch_size : int
    ahead : int
        How many batches are under way besides the one that is waited for.
    method : {"fork", "forkserver", "spawn"}
        How processes are started.
    """

    def __init__(
        self, decoder: Decoder, workers: int, batch_size: int, ahead: int, method: StartMethod
    ) -> None:
        self._decoder, self._workers = decoder, workers
        self._sent, self._owner = _sent(decoder), os.getpid()
        self._pixels = SharedArray((ahead + 1, batch_size, *decoder.pictures.size, 3), "uint8")
        self._doing = SharedArray((workers + 1,), "int64")  # each worker's row; and whether all are to stop
        self._doing.array[:-1] = _IDLE
        self._started: list[BaseProcess] = []
        self._pool = ProcessPoolExecutor(
            workers,
            _numbering(method, self._started),
            _initialize,
            (decoder, self._pixels, self._doing),
        )
        # Also at the interpreter's end, while there is still all that it takes.
        finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        if method == "fork":
            self._fork()

    def _fork(self) -> None:
        """Start the processes while OpenCV has no threads, as a fork would wait for them forever."""
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            self._pool.submit(int)
        finally:
            cv2.setNumThreads(threads)

    def serves(self, decoder: Decoder) -> bool:
        """Return whether all processes live, are of this process, and do what this decoder would do."""
        return (
            os.getpid() == self._owner
            and self._sent is not None
            and self._sent == _sent(decoder)
            and all(process.is_alive() for process in self._started)
        )

    def close(self) -> None:
        """End the processes: after the image that each is at, or by force where that lasts."""
        if os.getpid() != self._owner or sys.is_finalizing():
            return  # they are a forked process's parent's, or have ended with the interpreter
        self._doing.array[-1] = True
        force = threading.Timer(GRACE, _kill, (self._started,))
        force.start()
        try:
            self._pool.shutdown(cancel_futures=True)
        finally:
            force.cancel()
            force.join()

    def begun(self, number: int, asked: Asked, made: Made) -> UnderWay:
        """Begin a batch; those under way follow one another, and are not more than `ahead` plus one."""
        slot = number % len(self._pixels.array)
        with self._told_of_deaths():
            doing = [self._pool.submit(_fill, slot, cut, part) for cut, part in asked.parts(self._workers)]
        return UnderWay(number, asked, made, doing)

    def ended(self, batch: UnderWay) -> Failures:
        """Wait for a batch, copy it, and return for each image what kept it from being decoded."""
        with self._told_of_deaths():
            failures = batch.failures()
        pixels = self._pixels.array[batch.number % len(self._pixels.array)]
        for place, failure in enumerate(failures):
            if failure is None:
                batch.made.write(pixels[place], batch.made.array[place])
        return failures

    @contextmanager
    def _told_of_deaths(self) -> Iterator[None]:
        try:
            yield
        except (BrokenProcessPool, OSError) as error:
            # While one more is being started, the death of another closes what it is started with.
            if isinstance(error, OSError) and not _soon_ended(self._started):
                raise
            self.close()  # so that it is known how each of them ended
            raise self._death() from error

    def _death(self) -> TilthError:
        """Return an error that tells what the worker was at that died first; the others were ended then."""
        codes = [process.exitcode for process in self._started]  # None: it did not come to be started
        ended = [n for n, code in enumerate(codes) if code not in (None, 0, -signal.SIGTERM)]
        ended = ended or [n for n, code in enumerate(codes) if code]
        rows = [int(row) for row in self._doing.array[ended] if row != _IDLE]
        code = codes[ended[0]] if ended else None
        how = _how(code)
        if not rows and code is not None and code > 0:
            return TilthError(
                f"A worker process {how} before it came to an image; what it said stands above. Is all that "
                'begins training under `if __name__ == "__main__":`? Stages written in a notebook must '
                "move to a module, or be used with threads: workers=0."
            )
        if not rows:
            return TilthError(
                f"A worker process {how} while it was at no image. Where memory ran out, use fewer workers. "
                "The state of the loader resumes at the batch after the last one that it gave."
            )
        named = " or ".join(str(self._decoder.pictures.paths[row]) for row in rows)
        return DataError(
            f"A worker process {how} while it was at {named}. Where memory ran out, use fewer workers, or a "
            "smaller max_pixels; else leave the file out or write it anew, or look at the stages that change "
            "it. The state of the loader resumes at the batch after the last one that it gave."
        )


def checked_workers(workers: Any, stages: list[Any], method: Any) -> StartMethod:
    """Return how worker processes are to be started, or raise if that cannot be.

    None is a server that forks, on Linux: as it does nothing else, no fork takes along a lock that a thread
    at work holds.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise invalid(f"workers={workers!r}: a whole number of processes, or 0 for threads, is needed.")
    known = multiprocessing.get_all_start_methods()
    if method is not None and method not in known:
        raise invalid(f"multiprocessing_context={method!r}: None or one of {', '.join(known)} is needed.")
    chosen: StartMethod = method or ("forkserver" if sys.platform == "linux" else "spawn")
    for stage in stages if workers and chosen != "fork" else []:
        try:
            pickle.dumps(stage)
        except _UNPICKLABLE as error:
            raise DataError(
                f"augment: {stage!r} cannot be sent to worker processes ({error}). Define its class at the "
                "top of a module, without open files, locks or lambdas; or use "
                "multiprocessing_context='fork', or threads: workers=0."
            ) from error
    return chosen


def _sent(decoder: Decoder) -> tuple[int, bytes] | None:
    """Return what tells a decoder from another that workers were started with; None where nothing does."""
    settings = decoder.stages, decoder.scale, decoder.stretch, decoder.flip
    try:
        return id(decoder.pictures), pickle.dumps(settings)
    except _UNPICKLABLE:
        return None


def _numbering(method: StartMethod, started: list[BaseProcess]) -> Any:
    """Return a context that numbers the processes it makes, and keeps them to be asked how they ended."""
    context: Any = type(multiprocessing.get_context(method))()
    process_of = context.Process

    def numbered(*given: Any, **named: Any) -> BaseProcess:
        process = process_of(*given, **named)
        process.name = f"tilth-image-{len(started)}"
        started.append(process)
        return process

    context.Process = numbered
    if method == "forkserver":
        from multiprocessing import forkserver

        # The server imports this once, and not each worker anew. One that runs already stays as it is.
        before = forkserver._forkserver._preload_modules  # type: ignore[attr-defined]
        context.set_forkserver_preload([*before, *({__name__} - {*before})])
    return context


def _how(code: int | None) -> str:
    if code is None:
        return "ended"
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _soon_ended(processes: list[BaseProcess]) -> bool:
    """Return whether one of the processes that were started has ended, or does so within a moment."""
    begun = [process for process in processes if process.pid is not None]
    return bool(connection.wait([process.sentinel for process in begun], timeout=1.0))


def _kill(processes: list[BaseProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.kill()


class _Stopped(Exception):
    """The training loop no longer waits for this."""


class _Worker:
    """What a worker process holds."""

    def __init__(self, decoder: Decoder, pixels: SharedArray, doing: SharedArray) -> None:
        self._decoder, self._pixels, self._doing = decoder, pixels.array, doing.array
        self._number = int(multiprocessing.current_process().name.rpartition("-")[2])

    def fill(self, slot: int, cut: slice, part: Asked) -> Failures:
        """Decode a part of a batch into its place."""
        try:
            return self._decoder.fill(self._pixels[slot, cut], part, begin=self._begin)
        finally:
            self._doing[self._number] = _IDLE

    def _begin(self, row: int) -> None:
        self._doing[self._number] = row
        if self._doing[-1]:
            raise _Stopped


_worker: _Worker


def _initialize(decoder: Decoder, pixels: SharedArray, doing: SharedArray) -> None:
    global _worker
    # A terminal interrupts all processes at once, and the training loop ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork has the handlers of the training script
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)
    _worker = _Worker(decoder, pixels, doing)


def _fill(slot: int, cut: slice, part: Asked) -> Failures:
    return _worker.fill(slot, cut, part)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)
