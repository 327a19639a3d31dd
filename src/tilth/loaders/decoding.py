"""Decode the images of batches under way: what a thread or a worker process does, and the threads that do it.

Nothing here needs torch, so that worker processes need not import it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tilth.errors import ImageError, StageError
from tilth.loaders.pixels import Pictures

if TYPE_CHECKING:
    from torch import Tensor

# Images handed to a thread or a process at once: handing over costs some hundredths of decoding one.
TOGETHER = 8

# How many random numbers are drawn for each image: what `Decoder.pixels` takes besides the row.
DRAWS = 5

Failures = list[ImageError | None]
Write = Callable[[np.ndarray, np.ndarray], None]


@dataclass
class Made:
    """What the images of a batch become.

    Parameters
    ----------
    tensor : Tensor
        As long as a batch may be.
    array : ndarray
        The same memory.
    write : callable
        ``write(pixels, array[i])`` makes an image of the batch of pixels.
    """

    tensor: Tensor
    array: np.ndarray
    write: Write


@dataclass
class Asked:
    """The images of a batch, or of a part of one, and what their randomness is keyed by.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
    keys : ndarray of uint64, shape (n,)
        The rows' ids, for the stages.
    draws : ndarray of float64, shape (n, DRAWS)
        From 0 to 1, for parts and flips.
    epoch : int
    """

    rows: np.ndarray
    keys: np.ndarray
    draws: np.ndarray
    epoch: int

    def __len__(self) -> int:
        return len(self.rows)

    def parts(self, hands: int) -> Iterator[tuple[slice, Asked]]:
        """Cut into parts for so many threads or processes; yield the place of each, and the part."""
        together = max(1, min(TOGETHER, len(self) // hands))
        for start in range(0, len(self), together):
            cut = slice(start, start + together)
            yield cut, Asked(self.rows[cut], self.keys[cut], self.draws[cut], self.epoch)


@dataclass
class UnderWay:
    """A batch that is being decoded."""

    number: int
    asked: Asked
    made: Made
    parts: list[Future[Failures]]

    def failures(self) -> Failures:
        """Wait until all is done, and return for each image what kept it from being decoded."""
        return [failure for part in self.parts for failure in part.result()]


def copied(pixels: np.ndarray, out: np.ndarray) -> None:
    """Write pixels as they are."""
    out[:] = pixels


class Decoder:
    """Decode one image after another, cut it, mirror it and let stages change it.

    Parameters
    ----------
    pictures : Pictures
    stages : list of object
        Those whose ``augment_image`` is called on each image.
    labels : ndarray, shape (n_rows,), or None
        What the stages are told of each row.
    scale, stretch, flip
        See `ImageLoader`. `scale` is None where whole images are asked for.
    """

    def __init__(
        self,
        pictures: Pictures,
        stages: list[Any],
        labels: np.ndarray | None,
        classes: np.ndarray | None,
        scale: tuple[float, float] | None,
        stretch: float,
        flip: float,
    ) -> None:
        self.pictures, self.stages = pictures, stages
        self.labels, self.classes = labels, classes
        self.scale, self.stretch, self.flip = scale, stretch, flip

    def fill(
        self,
        out: np.ndarray,
        asked: Asked,
        write: Write = copied,
        begin: Callable[[int], None] = lambda row: None,
    ) -> Failures:
        """Write some images of a batch; return for each what kept it from being decoded.

        Parameters
        ----------
        out : ndarray, shape (len(asked), ...)
        asked : Asked
        write : callable
            ``write(pixels, out[i])``.
        begin : callable
            Told each row before work on it begins.
        """
        failures: Failures = []
        for place, (row, drawn) in enumerate(zip(asked.rows.tolist(), asked.draws.tolist(), strict=True)):
            begin(row)
            try:
                pixels = self.pixels(row, *drawn)
            except ImageError as error:
                failures.append(error)
                continue
            for stage in self.stages:
                pixels = self._changed(stage, pixels, row, int(asked.keys[place]), asked.epoch)
            write(pixels, out[place])
            failures.append(None)
        return failures

    def pixels(
        self, row: int, mirror: float, area: float, wide: float, down: float, right: float
    ) -> np.ndarray:
        """Return an image, whole or a part, mirrored or not, as the draws say."""
        if self.scale is None:
            pixels = self.pictures.whole(row)
        else:
            low, high = self.scale
            stretched = self.stretch ** (2 * wide - 1)
            pixels = self.pictures.part(row, low + (high - low) * area, stretched, down, right)
        return cv2.flip(pixels, 1) if mirror < self.flip else pixels

    def _changed(self, stage: Any, pixels: np.ndarray, row: int, key: int, epoch: int) -> np.ndarray:
        label: Any = None
        if self.labels is not None:
            label = self.labels[row].tolist()
            label = label if self.classes is None else self.classes[label]
        own = np.require(pixels, requirements=["C", "W"])  # what is kept in a cache is not its to change
        path, name = self.pictures.paths[row], getattr(stage, "key", type(stage).__name__)
        try:
            changed = stage.augment_image(own, row=key, epoch=epoch, label=label)
        except Exception as error:
            raise StageError(
                f"{name}: {path} could not be changed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(changed, np.ndarray):
            raise StageError(f"{name}: {path} was changed to {type(changed).__name__}; pixels are needed.")
        if changed.shape != pixels.shape or changed.dtype != np.uint8:
            raise StageError(
                f"{name}: {path} was changed to {changed.dtype} of shape {changed.shape}, but the images of "
                f"a batch must stay uint8 of shape {pixels.shape}."
            )
        return changed


class Threads:
    """Decode batches in threads of this process, straight into the memory that is handed out.

    Parameters
    ----------
    decoder : Decoder
    threads : int, at least 1
    """

    def __init__(self, decoder: Decoder, threads: int) -> None:
        self._decoder, self._threads = decoder, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tilth-image")

    def close(self) -> None:
        """End the threads, once each has done the few images that it is at."""
        if not sys.is_finalizing():  # else they have ended with the interpreter
            self._pool.shutdown(cancel_futures=True)

    def begun(self, number: int, asked: Asked, made: Made) -> UnderWay:
        """Begin a batch."""
        fill, parts = self._decoder.fill, asked.parts(self._threads)
        doing = [self._pool.submit(fill, made.array[cut], part, made.write) for cut, part in parts]
        return UnderWay(number, asked, made, doing)

    def ended(self, batch: UnderWay) -> Failures:
        """Wait for a batch, and return for each image what kept it from being decoded."""
        return batch.failures()
