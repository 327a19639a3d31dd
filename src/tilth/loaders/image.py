"""Feed images to a PyTorch training loop: decoded in threads, eight bits a color until on the device."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from tilth.errors import DataError, ImageError, StageError, TilthWarning
from tilth.images.each import cores
from tilth.images.opening import MAX_PIXELS
from tilth.loaders.device import Batch, DeviceFeed
from tilth.loaders.image_dataset import Fitting, ImageDataset
from tilth.loaders.normal import Lender, Normal, Normalize
from tilth.loaders.parameters import invalid
from tilth.loaders.passes import Passes, batch_augmentations, named_order, several
from tilth.loaders.sampler import Order, pixel_seeds
from tilth.statistics import hash_rows, uniform

# Batches that are decoded while one is in use; more, where they are so small that threads would wait.
AHEAD = 2

# Images handed to a thread at once: handing over costs some hundredths of decoding one.
TOGETHER = 8


class ImageLoader(Passes):
    """Iterate over images in batches, on the device, in a new order each epoch.

    Threads decode the images of the next batches while the model works: JPEG at the least scale that
    is large enough, every image straight to its size. Colors stay eight bits wide until they are on the
    device, where one step makes numbers of them; on the CPU the threads do that too. Every batch is
    ``(X,)``, ``(X, y)`` or ``(X, y, weight)``, X float32 of shape (n, 3, height, width), and the caller's to
    keep and to change.

    The batches are a function of `random_state`, epoch and position alone: of neither the number of
    threads nor of what came before; parts and flips are drawn by the row's id and the epoch. Epochs, states
    to resume from and distributed training are as in `TableLoader`.

    Images that cannot be decoded are left out of their batch, which is smaller then: labels and weights
    stay with their images, and nothing else is put in their place, so that no image counts twice. The
    first raises a `TilthWarning`, and all stand in `skipped`. A batch with no image left is not
    yielded; under distributed training, where processes must take as many steps each, it raises.

    Parameters
    ----------
    paths : sequence of str or Path, shape (n_rows,)
        Image files.
    target, weight, classes
        As in `TableLoader`.
    ids : array of uint64, shape (n_rows,), default None
        What randomness is keyed by: `Table.ids`. None: the position.
    size : int or (int, int), pixels, default 224
        Height and width of every image.
    fit : {"crop", "squash", "pad", "random"}, default "crop"
        How an image of another shape fits: its largest central part of that shape; the whole image with its
        sides scaled apart; the whole image between black bars; or a random part, drawn anew each epoch.
    scale : (float, float), shares of the image's area, default (0.35, 1.0)
        Between what bounds the area of a random part lies, if ``fit="random"``.
    stretch : float, at least 1, default 4/3
        How many times as wide, or as narrow, as the shape of `size` a random part may be; 1: never. With
        images of 256 x 256, ``size=224, scale=(49/64, 49/64), stretch=1`` cuts parts that need no scaling.
    flip : float, probability, default 0.0
        How often an image is mirrored, left to right.
    batch_size : int, images, at least 1, default 64
    shuffle, drop_last, device, random_state, sampler, rank, world_size
        As in `TableLoader`. Where rows are drawn with replacement, an image is augmented anew each time.
    augment : callable, object with ``augment``, or a sequence of them, default ()
        Batch stages of which ``per_image`` is true are called in the threads, on the eight-bit pixels of each
        image, as ``augment_image(pixels, row=id, epoch=epoch, label=label)``. All are then called on each
        batch, normalized, on the device: see `TableLoader`.
    normalize : None, "imagenet" or (mean, std), default None
        X is ``(color / 255 - mean) / std``, with the three means and standard deviations of `scale.channels`,
        say, or those that networks trained on ImageNet expect. None: from 0 to 1.
    threads : int, at least 1, default None
        How many images are decoded at once; None: one per core.
    cache : None, "memory", "disk" or path of a folder, default None
        Decode every image once, when the loader is made, and keep its pixels: in memory, or in a
        memory-mapped file of 150 kB per image of 224 x 224, which the next loader of the same files, size and
        fit finds again. ``"disk"`` takes Tilth's own cache folder, which ``TILTH_CACHE`` names. Random parts
        are cut from kept images a seventh larger than `size`, so that small parts are less sharp than without
        a cache. Nothing is deleted from the folder.
    unreadable : {"skip", "raise"}, default "skip"
        What becomes of an image that cannot be decoded.
    channels_last : bool, default True
        X lies in memory pixel after pixel (``torch.channels_last``), as decoders write it and convolutions
        on GPUs like it; False: channel after channel.
    max_pixels : int, default 100,000,000
        Images of more pixels are not decoded.
    progress : callable, default None
        Told how far the cache is.

    Attributes
    ----------
    classes_ : ndarray or None
        ``classes_[code]`` is the label; None where the target holds floats or codes.
    dataset : ImageDataset
    sampler : RowSampler
        The order of rows.
    device : torch.device
    threads : int
    skipped : dict of path to reason
        The images met so far that could not be decoded.

    Raises
    ------
    DataError
        If the data does not fit, or a cache does not fit its place.
    ImageError
        From a pass, if ``unreadable="raise"``: with the path and the reason.
    StageError
        From a pass, if a stage fails on an image; the file is named.
    InvalidParameterError
        If a parameter is out of range.
    TilthError
        If the device is not present.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [f"{folder}/{i}.png" for i in range(5)]
    ...     done = [cv2.imwrite(path, np.full((40, 60, 3), 51 * i, np.uint8)) for i, path in enumerate(paths)]
    ...     loader = ImageLoader(paths, list("abbab"), size=32, batch_size=2, device="cpu")
    ...     colors = [round(x.mean().item(), 1) for X, y in loader for x in X]
    >>> len(loader), loader.classes_.tolist(), sorted(colors)
    (3, ['a', 'b'], [0.0, 0.2, 0.4, 0.6, 0.8])
    """

    dataset: ImageDataset

    def __init__(
        self,
        paths: Iterable[Any],
        target: Any = None,
        *,
        weight: Any = None,
        ids: Any = None,
        size: int | tuple[int, int] = 224,
        fit: Fitting = "crop",
        scale: tuple[float, float] = (0.35, 1.0),
        stretch: float = 4 / 3,
        flip: float = 0.0,
        batch_size: int = 64,
        shuffle: bool = True,
        drop_last: bool = False,
        device: str | torch.device = "auto",
        random_state: int | None = 0,
        augment: Any = (),
        normalize: Normalize = None,
        threads: int | None = None,
        cache: Literal["memory", "disk"] | str | Path | None = None,
        unreadable: Literal["skip", "raise"] = "skip",
        channels_last: bool = True,
        max_pixels: int = MAX_PIXELS,
        progress: Callable[[str], None] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        sampler: Order | None = None,
        classes: Sequence[Any] | None = None,
    ) -> None:
        if unreadable not in ("skip", "raise"):
            raise invalid(f"unreadable={unreadable!r} is not known. Use skip or raise.")
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise invalid(f"scale={scale!r}: two shares of the area, the smaller one first, are needed.")
        if not 1 <= stretch < np.inf:
            raise invalid(f"stretch={stretch!r}: 1 or more is needed.")
        if not 0 <= flip <= 1:
            raise invalid(f"flip={flip!r}: a probability, from 0 to 1, is needed.")
        self.threads = cores() if threads is None else threads
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1:
            raise invalid(f"threads={threads!r}: a whole number of threads, 1 or more, is needed.")
        order = named_order(sampler, shuffle)
        stages = several(augment)
        self._per_image = [stage for stage in stages if getattr(stage, "per_image", False)]
        super().__init__(
            batch_size=batch_size, drop_last=drop_last, device=device, augment=batch_augmentations(stages)
        )
        self.dataset = ImageDataset(
            paths,
            target,
            weight=None if order == "weighted" else weight,
            size=size,
            fit=fit,
            normalize=normalize,
            channels_last=channels_last,
            cache=cache,
            max_pixels=max_pixels,
            threads=self.threads,
            progress=progress,
            classes=classes,
        )
        self._ordered(
            order,
            target=self.dataset.tensors[0] if self.dataset.tensors else None,
            weight=weight,
            random_state=random_state,
            rank=rank,
            world_size=world_size,
        )
        self.classes_ = self.dataset.classes_
        self.scale = (float(scale[0]), float(scale[1])) if fit == "random" else None
        self.stretch, self.flip, self.unreadable = float(stretch), float(flip), unreadable
        self.skipped: dict[str, str] = {}
        self._ids = _ids(ids, len(self.dataset))
        self._normal = Normal(normalize, channels_last, self.device)
        self._feed = DeviceFeed(self.device)
        self._ahead = max(AHEAD, -(-2 * self.threads // self.batch_size))
        self._lend = Lender((self.batch_size, *self._normal.shape(*self.dataset.size)), self._ahead + 2)

    def __repr__(self) -> str:
        height, width = self.dataset.size
        return (
            f"ImageLoader({len(self.dataset)} images of {height} x {width}, {len(self)} batches of "
            f"{self.batch_size}, {self.sampler.order}, {self.threads} threads, batches on {self.device})"
        )

    @property
    def pin_memory(self) -> bool:
        """Whether batches pass through pinned memory on their way to the device."""
        return self._feed.pins

    def _made(self, epoch: int, start: int) -> Iterator[tuple[int, Batch]]:
        numbers: deque[int] = deque()
        batches = self._decoded(epoch, start, numbers)
        on_host = self.device.type == "cpu"
        for pixels, *rest in self._feed(batches):
            X = self._normal.viewed(pixels) if on_host else self._normal(pixels)
            yield numbers.popleft(), (X, *rest)

    def _decoded(self, epoch: int, start: int, numbers: deque[int]) -> Iterator[Batch]:
        """Yield batches as the threads leave them, and note which of the epoch's they are."""
        size, rows = self.batch_size, self.sampler.rows(epoch)
        keys = self._keys(rows)
        ahead = self._ahead
        under_way: deque[_Job] = deque()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="tilth-image")
        try:
            for number in range(start, len(self) + ahead):
                cut = slice(number * size, (number + 1) * size)
                if number < len(self):
                    under_way.append(self._begun(pool, number, rows[cut], keys[cut], self._memory(), epoch))
                if number < start + ahead or not under_way:
                    continue
                job = under_way.popleft()
                batch = self._ended(job)
                if batch is not None:
                    numbers.append(job.number)
                    yield batch
        finally:
            pool.shutdown(cancel_futures=True)

    def _memory(self) -> Tensor:
        """Return memory for a batch: of numbers, on the CPU, else of eight-bit pixels."""
        if self.device.type == "cpu":
            return self._lend()
        shape = (self.batch_size, *self.dataset.size, 3)
        # torch lends out pinned memory again itself, once the copies from it are done.
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self.pin_memory)

    def _keys(self, rows: Tensor) -> np.ndarray:
        """Return what the randomness of each row of a pass is keyed by."""
        keys = self._ids[rows.numpy()]
        if self.sampler.order in ("weighted", "balanced"):
            # The same row may come again, and is to look different: its place in the common order tells.
            places = np.arange(len(rows)) * self.sampler.world_size + self.sampler.rank
            with np.errstate(over="ignore"):
                keys = hash_rows(0, keys + hash_rows(0, places))
        return keys

    def _begun(
        self, pool: ThreadPoolExecutor, number: int, rows: Tensor, keys: np.ndarray, made: Tensor, epoch: int
    ) -> _Job:
        draws = np.stack([uniform(seed, keys, epoch) for seed in pixel_seeds(self.sampler.seed, 5)], axis=1)
        out, several_rows = made.numpy(), rows.tolist()
        together = max(1, min(TOGETHER, len(rows) // self.threads))
        cuts = [slice(i, i + together) for i in range(0, len(rows), together)]
        parts = [
            pool.submit(self._fill, out[cut], several_rows[cut], keys[cut], draws[cut], epoch) for cut in cuts
        ]
        return _Job(number, rows, made[: len(rows)], parts)

    def _ended(self, job: _Job) -> Batch | None:
        failed = [error for part in job.parts for error in part.result()]
        pixels, rows = job.made, job.rows
        if any(failed):
            for error in filter(None, failed):
                self._skip(error)
            kept = torch.tensor([place for place, error in enumerate(failed) if error is None])
            if not len(kept):
                self._check_steps(job)
                return None
            pixels, rows = pixels[kept], rows[kept]
        return (pixels, *[tensor.index_select(0, rows) for tensor in self.dataset.tensors])

    def _fill(
        self, out: np.ndarray, rows: list[int], keys: np.ndarray, draws: np.ndarray, epoch: int
    ) -> list[ImageError | None]:
        """Write some images of a batch, in a thread; return for each what kept it from being decoded."""
        told: list[ImageError | None] = []
        for place, (row, drawn) in enumerate(zip(rows, draws.tolist(), strict=True)):
            try:
                pixels = self._pixels(row, *drawn)
            except ImageError as error:
                told.append(error)
                continue
            for stage in self._per_image:
                pixels = self._changed(stage, pixels, row, int(keys[place]), epoch)
            if out.dtype == np.uint8:
                out[place] = pixels
            else:
                self._normal.look_up(pixels, out[place])
            told.append(None)
        return told

    def _pixels(
        self, row: int, mirror: float, area: float, wide: float, down: float, right: float
    ) -> np.ndarray:
        pictures = self.dataset.pictures
        if self.scale is None:
            pixels = pictures.whole(row)
        else:
            low, high = self.scale
            stretched = self.stretch ** (2 * wide - 1)
            pixels = pictures.part(row, low + (high - low) * area, stretched, down, right)
        return cv2.flip(pixels, 1) if mirror < self.flip else pixels

    def _changed(self, stage: Any, pixels: np.ndarray, row: int, key: int, epoch: int) -> np.ndarray:
        label: Any = None
        if self.dataset.tensors:
            label = self.dataset.tensors[0][row].tolist()
            label = label if self.classes_ is None else self.classes_[label]
        own = np.require(pixels, requirements=["C", "W"])  # what is kept in a cache is not its to change
        path, name = self.dataset.paths[row], getattr(stage, "key", type(stage).__name__)
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

    def _skip(self, error: ImageError) -> None:
        if self.unreadable == "raise":
            raise error
        if not self.skipped:
            warnings.warn(
                f"{error} It is left out of its batch, and so will others be: see the loader's `skipped`. "
                "prune.unreadable leaves them out of the data, and unreadable='raise' stops at the first.",
                TilthWarning,
                stacklevel=2,
            )
        self.skipped[error.path] = error.reason

    def _check_steps(self, job: _Job) -> None:
        if self.sampler.world_size > 1:
            raise DataError(
                f"None of the {len(job.rows)} images of a batch could be decoded, so that this process would "
                "take a step less than the others. Leave such images out first, with prune.unreadable."
            )


@dataclass
class _Job:
    """A batch under way."""

    number: int
    rows: Tensor
    made: Tensor
    parts: list[Future[list[ImageError | None]]]


def _ids(ids: Any, n_rows: int) -> np.ndarray:
    if ids is None:
        return np.arange(n_rows, dtype=np.uint64)
    told = np.asarray(ids)
    if told.shape != (n_rows,) or told.dtype.kind not in "iu":
        raise DataError(
            f"ids: one whole number for each of {n_rows} rows is needed, got {told.dtype}, {told.shape}."
        )
    return told.astype(np.uint64)
