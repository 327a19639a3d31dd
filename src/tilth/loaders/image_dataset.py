"""Hold images by their paths, decoded one by one, for any PyTorch loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tilth.errors import DataError
from tilth.images.opening import MAX_PIXELS
from tilth.loaders.dataset import companions
from tilth.loaders.normal import Normal, Normalize, written
from tilth.loaders.parameters import invalid
from tilth.loaders.pixels import Pictures
from tilth.loaders.tensors import Floating, float_type

Fitting = Literal["crop", "squash", "pad", "random"]


class ImageDataset(Dataset):
    """Hold paths, target and weights; decode an image when it is asked for.

    A map-style dataset for those who bring their own ``DataLoader``; `ImageLoader` is faster. ``dataset[7]``
    is one image, normalized, never augmented, with its label; ``dataset[rows]``, with a list or tensor of
    rows, is a batch.

    Parameters
    ----------
    paths : sequence of str or Path, shape (n_rows,)
        Image files. What is missing, or holds no image, raises when it is asked for.
    target, weight, classes
        As in `TableDataset`.
    size : int or (int, int), pixels, default 224
        Height and width of every image.
    fit : {"crop", "squash", "pad", "random"}, default "crop"
        How an image of another shape fits: see `ImageLoader`. Rows taken by themselves are cropped from the
        center where ``"random"`` is asked for.
    normalize : None, "imagenet" or (mean, std), default None
        See `ImageLoader`.
    channels_last : bool, default True
        See `ImageLoader`.
    dtype : {"float32", "float16", "bfloat16"}, default "float32"
        See `ImageLoader`.
    cache, max_pixels, threads, progress
        See `ImageLoader`.
    shared : bool, default False
        Keep a ``cache="memory"`` where the workers of a ``DataLoader`` share it, however they are started.

    Attributes
    ----------
    paths : list of str or None
    tensors : tuple of Tensor
        ``()``, ``(y,)`` or ``(y, weight)``.
    classes_ : ndarray or None
        ``classes_[code]`` is the label; None where the target holds floats or codes.
    pictures : Pictures
        Where pixels come from.

    Raises
    ------
    DataError
        If lengths differ, or labels or weights do not fit: see `TableDataset`.
    InvalidParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> import cv2, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = cv2.imwrite(f"{folder}/red.png", np.full((40, 60, 3), (0, 0, 255), np.uint8))
    ...     X, y = ImageDataset([f"{folder}/red.png"], ["red"], size=32)[0]
    >>> X.shape, X.amax((1, 2)).tolist(), y.item()
    (torch.Size([3, 32, 32]), [1.0, 0.0, 0.0], 0)
    """

    def __init__(
        self,
        paths: Iterable[Any],
        target: Any = None,
        *,
        weight: Any = None,
        size: int | tuple[int, int] = 224,
        fit: Fitting = "crop",
        normalize: Normalize = None,
        channels_last: bool = True,
        dtype: Floating = "float32",
        cache: Literal["memory", "disk"] | str | Path | None = None,
        max_pixels: int = MAX_PIXELS,
        threads: int | None = None,
        progress: Callable[[str], None] | None = None,
        shared: bool = False,
        classes: Sequence[Any] | None = None,
    ) -> None:
        if fit not in ("crop", "squash", "pad", "random"):
            raise invalid(f"fit={fit!r} is not known. Use one of crop, squash, pad, random.")
        self.paths = _paths(paths)
        beside, self.classes_ = companions(len(self.paths), target, weight, classes, "paths name {} images")
        self.tensors = tuple(beside)
        self.size = _size(size)
        self.normalize, self.channels_last = normalize, channels_last
        self.dtype = float_type(dtype)
        self._normal = Normal(normalize, channels_last, torch.device("cpu"), self.dtype)
        self.pictures = Pictures(
            self.paths,
            self.size,
            fit,
            cache=cache,
            max_pixels=max_pixels,
            threads=threads,
            progress=progress,
            shared=shared,
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> tuple[Tensor, ...]:
        """Return one image for an int, a batch for a slice, a list or a tensor of rows.

        Raises
        ------
        ImageError
            If an image cannot be decoded.
        """
        index = np.arange(len(self))[rows.numpy() if isinstance(rows, Tensor) else rows]
        numbers = torch.empty((index.size, *self._normal.shape(*self.size)), dtype=self.dtype)
        out = written(numbers)
        for place, row in enumerate(np.atleast_1d(index)):
            self._normal.look_up(self.pictures.whole(int(row)), out[place])
        batch = [self._normal.viewed(numbers)]
        batch += [tensor[torch.from_numpy(np.atleast_1d(index))] for tensor in self.tensors]
        return tuple(part[0] for part in batch) if index.ndim == 0 else tuple(batch)


def _paths(paths: Iterable[Any]) -> list[str | None]:
    if isinstance(paths, str | PathLike):
        raise invalid(
            f"paths={str(paths)!r} is one path. Pass a list; tilth.read(folder) finds the images of a folder."
        )
    told: list[str | None] = []
    for place, path in enumerate(paths):
        if isinstance(path, str | PathLike):
            told.append(str(path))
        elif path is None or type(path).__name__ == "NAType" or path != path:  # as pandas says missing
            told.append(None)
        else:
            raise DataError(f"paths: number {place} is of type {type(path).__name__}, not a path.")
    return told


def _size(size: Any) -> tuple[int, int]:
    told = (size, size) if isinstance(size, int | np.integer) else size
    if (
        not isinstance(told, tuple | list)
        or len(told) != 2
        or not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in told)
    ):
        raise invalid(f"size={size!r}: a whole number of pixels, 1 or more, or (height, width), is needed.")
    return int(told[0]), int(told[1])
