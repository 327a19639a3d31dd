"""Feed images to a PyTorch training loop: decoded beside it, and eight bits a color until on the device."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tilth.errors import DataError, ImageError, TilthWarning
from tilth.images.each import cores
from tilth.images.opening import MAX_PIXELS
from tilth.loaders.decoding import DRAWS, Asked, Decoder, Made, Threads, UnderWay, copied
from tilth.loaders.device import Batch, DeviceFeed
from tilth.loaders.image_dataset import Fitting, ImageDataset
from tilth.loaders.normal import Lender, Normal, Normalize, written
from tilth.loaders.orders import Order
from tilth.loaders.parameters import invalid
from tilth.loaders.passes import Passes, batch_augmentations, named_order, several
from tilth.loaders.sampler import BLOCK_ROWS, pixel_seeds
from tilth.loaders.tensors import Floating
from tilth.loaders.workers import StartMethod, Workers, checked_workers
from tilth.statistics import hash_rows, uniform

# Batches that are decoded while one is in use; more, where they are so small that threads would wait.
AHEAD = 2


class ImageLoader(Passes):
    """Iterate over images in batches, on the device, in a new order each epoch.

    Threads, or worker processes, decode the images of the next batches while the model works: JPEG at the
    least scale that is large enough, every image straight to its size. Colors stay eight bits wide until
    they are on the device, where one step makes numbers of them; on the CPU the threads do that too. Every
    batch is ``(X,)``, ``(X, y)`` or ``(X, y, weight)``, X of shape (n, 3, height, width), and the caller's
    to keep and to change.

    The batches are a function of `random_state`, epoch and position alone: of neither the number of
    threads or workers nor of what came before; parts and flips are drawn by the row's id and the epoch.
    Epochs, states to resume from and distributed training are as in `TableLoader`.

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
    shuffle, drop_last, device, random_state, sampler, groups, block_rows, rank, world_size
        As in `TableLoader`. Where rows are drawn with replacement, an image is augmented anew each time.
    augment : callable, object with ``augment``, or a sequence of them, default ()
        Batch stages of which ``per_image`` is true are called in threads or workers, on the eight-bit pixels
        of each image, as ``augment_image(pixels, row=id, epoch=epoch, label=label)``. All are then called on
        each batch, normalized, on the device: see `TableLoader`.
    normalize : None, "imagenet" or (mean, std), default None
        X is ``(color / 255 - mean) / std``, with the three means and standard deviations of `scale.channels`,
        say, or those that networks trained on ImageNet expect. None: from 0 to 1.
    dtype : {"float32", "float16", "bfloat16"}, default "float32"
        The type of X, to which its numbers are rounded once. The two short ones take half the memory, and
        are what a network computes with under ``torch.autocast``.
    threads : int, at least 1, default None
        How many images are decoded at once, or put into the cache at once; None: one per core.
    workers : int, at least 0, default 0
        How many processes decode instead; 0: none, but the threads do. Decoders let each other run, so that
        threads do well with them. Processes are meant for stages that change images in Python code, which
        does not; and a decoder that crashes ends a worker, and not the training: an error names the file. A
        cache is shared by all. Workers begin with the first pass, stay from one whole pass to the next, and
        end with the loader, or when a pass ends early. A stage that was changed between passes is sent to
        new ones.
    multiprocessing_context : {"fork", "forkserver", "spawn"} or None, default None
        How processes are started, as ``multiprocessing`` names it. None: "forkserver" on Linux, elsewhere
        "spawn". Both need stages that can be pickled, and ``if __name__ == "__main__":`` in the script;
        "fork" needs neither, but can hang where threads of other libraries hold a lock.
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
    threads, num_workers : int
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
    DataError
        From a pass, if a worker process dies; the file that it was at is named.
    InvalidParameterError
        If a parameter is out of range.
    TilthError
        If the device is not present.

    Examples
    --------
    >>> import cv2, tempfile
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
        dtype: Floating = "float32",
        threads: int | None = None,
        workers: int = 0,
        multiprocessing_context: StartMethod | None = None,
        cache: Literal["memory", "disk"] | str | Path | None = None,
        unreadable: Literal["skip", "raise"] = "skip",
        channels_last: bool = True,
        max_pixels: int = MAX_PIXELS,
        progress: Callable[[str], None] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        sampler: Order | None = None,
        groups: Any = None,
        block_rows: int = BLOCK_ROWS,
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
        self._method = checked_workers(workers, self._per_image, multiprocessing_context)
        self.num_workers = workers
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
            dtype=dtype,
            cache=cache,
            max_pixels=max_pixels,
            threads=self.threads,
            progress=progress,
            shared=workers > 0,
            classes=classes,
        )
        self._ordered(
            order,
            target=self.dataset.tensors[0] if self.dataset.tensors else None,
            weight=weight,
            groups=groups,
            block_rows=block_rows,
            random_state=random_state,
            rank=rank,
            world_size=world_size,
        )
        self.classes_ = self.dataset.classes_
        self.scale = (float(scale[0]), float(scale[1])) if fit == "random" else None
        self.stretch, self.flip, self.unreadable = float(stretch), float(flip), unreadable
        self.skipped: dict[str, str] = {}
        self._ids = _ids(ids, len(self.dataset))
        self._normal = Normal(normalize, channels_last, self.device, self.dataset.dtype)
        self._feed = DeviceFeed(self.device)
        self._ahead = max(AHEAD, -(-2 * (workers or self.threads) // self.batch_size))
        shape = (self.batch_size, *self._normal.shape(*self.dataset.size))
        self._lend = Lender(shape, self._ahead + 2, self.dataset.dtype)
        self._idle: list[Workers] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_idle": []}  # processes are of the loader that started them

    def __repr__(self) -> str:
        height, width = self.dataset.size
        hands = f"{self.num_workers} workers" if self.num_workers else f"{self.threads} threads"
        return (
            f"ImageLoader({len(self.dataset)} images of {height} x {width}, {len(self)} batches of "
            f"{self.batch_size}, {self.sampler.order}, {hands}, batches on {self.device})"
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
        """Yield batches as they are decoded, and note which of the epoch's they are."""
        rows, cuts, ahead = self.sampler.rows(epoch), self.cuts(), self._ahead
        keys = self._keys(rows)
        under_way: deque[UnderWay] = deque()
        with self._hands() as hands:
            for number in range(start, len(cuts) + ahead):
                if number < len(cuts):
                    cut = cuts[number]
                    asked = Asked(rows[cut].numpy(), keys[cut], self._draws(keys[cut], epoch), epoch)
                    under_way.append(hands.begun(number, asked, self._memory()))
                if number < start + ahead or not under_way:
                    continue
                ended = under_way.popleft()
                batch = self._whole(ended, hands.ended(ended))
                if batch is not None:
                    numbers.append(ended.number)
                    yield batch

    @contextmanager
    def _hands(self) -> Iterator[Threads | Workers]:
        """Give what decodes; after a whole pass workers wait for the next one, else they end."""
        labels = self.dataset.tensors[0].numpy() if self.dataset.tensors else None
        decoder = Decoder(
            self.dataset.pictures,
            self._per_image,
            labels,
            self.classes_,
            self.scale,
            self.stretch,
            self.flip,
        )
        hands = self._workers(decoder) if self.num_workers else Threads(decoder, self.threads)
        try:
            yield hands
        except BaseException:
            hands.close()
            raise
        if isinstance(hands, Workers) and not self._idle:
            self._idle.append(hands)
        else:
            hands.close()

    def _workers(self, decoder: Decoder) -> Workers:
        """Return those of the pass before, unless what they do was changed since."""
        if self._idle:
            found = self._idle.pop()
            if found.serves(decoder):
                return found
            found.close()
        return Workers(decoder, self.num_workers, self.batch_size, self._ahead, self._method)

    def _memory(self) -> Made:
        """Return memory for a batch: of numbers, on the CPU, else of eight-bit pixels."""
        if self.device.type == "cpu":
            numbers = self._lend()
            return Made(numbers, written(numbers), self._normal.look_up)
        shape = (self.batch_size, *self.dataset.size, 3)
        # torch lends out pinned memory again itself, once the copies from it are done.
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=self.pin_memory)
        return Made(pixels, pixels.numpy(), copied)

    def _keys(self, rows: Tensor) -> np.ndarray:
        """Return what the randomness of each row of a pass is keyed by."""
        keys = self._ids[rows.numpy()]
        if self.sampler.with_replacement:
            # The same row may come again, and is to look different: its place in the common order tells.
            places = self.sampler.share.of(torch.arange(len(self.dataset))).numpy()
            with np.errstate(over="ignore"):
                keys = hash_rows(0, keys + hash_rows(0, places))
        return keys

    def _draws(self, keys: np.ndarray, epoch: int) -> np.ndarray:
        return np.stack(
            [uniform(seed, keys, epoch) for seed in pixel_seeds(self.sampler.seed, DRAWS)], axis=1
        )

    def _whole(self, job: UnderWay, failures: list[ImageError | None]) -> Batch | None:
        """Return a batch of the images that could be decoded, with what belongs to them; None without any."""
        images, rows = job.made.tensor[: len(job.asked)], torch.from_numpy(job.asked.rows)
        if any(failures):
            for error in filter(None, failures):
                self._skip(error)
            kept = torch.tensor([place for place, error in enumerate(failures) if error is None])
            if not len(kept):
                self._check_steps(len(rows))
                return None
            images, rows = images[kept], rows[kept]
        return (images, *[tensor.index_select(0, rows) for tensor in self.dataset.tensors])

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

    def _check_steps(self, images: int) -> None:
        if self.sampler.world_size > 1:
            told = f"None of the {images} images" if images > 1 else "Not even the only image"
            raise DataError(
                f"{told} of a batch could be decoded, so that this process would take a step less than the "
                "others. Leave such images out first, with prune.unreadable."
            )


def _ids(ids: Any, n_rows: int) -> np.ndarray:
    if ids is None:
        return np.arange(n_rows, dtype=np.uint64)
    told = np.asarray(ids)
    if told.shape != (n_rows,) or told.dtype.kind not in "iu":
        raise DataError(
            f"ids: one whole number for each of {n_rows} rows is needed, got {told.dtype}, {told.shape}."
        )
    return told.astype(np.uint64)
