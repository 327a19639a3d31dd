"""Images as arrays of one size: from their files, from memory, or from a memory-mapped file built once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from tilth.errors import DataError, ImageError
from tilth.images.cache import cache_folder, file_keys
from tilth.images.decode import decode, decoded_to, resized
from tilth.images.each import each
from tilth.images.facts import facts
from tilth.images.opening import MAX_PIXELS
from tilth.loaders.shared import SharedArray

Fit = Literal["crop", "squash", "pad"]

# Part of every key: pixels that were decoded another way are not those that are asked for.
VERSION = 1

# Random parts are cut from cached images this much larger than what is asked for.
MARGIN = 8 / 7

zeros = partial(np.zeros, dtype=np.uint8)


def decoded(
    paths: Sequence[str | None],
    height: int,
    width: int,
    *,
    fit: Fit = "crop",
    threads: int | None = None,
    cache: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    memory: Callable[[tuple[int, ...]], np.ndarray] = zeros,
) -> tuple[np.ndarray, list[str | None]]:
    """Decode images to one size, in threads, into one array.

    Parameters
    ----------
    paths : sequence of str or None
        Image files, opened as they are named; None counts as missing.
    height, width : int, pixels, at least 1
        The size of every image in the array.
    fit : {"crop", "squash", "pad"}, default "crop"
        How an image of another shape fits: its largest central part of that shape, the whole image
        with its sides scaled apart, or the whole image between black bars.
    threads : int, at least 1, default None
        How many images are decoded at once; None: one per core.
    cache : path of a folder, default None
        Where the pixels are kept as a memory-mapped file of ``len(paths) * height * width * 3`` bytes,
        found again by the names, sizes and times of change of the images, in this order. None keeps the
        pixels in memory. Nothing is ever deleted from the folder; a build that was killed leaves a part of a
        file in a folder `.pixels-...`, which may be deleted by hand.
    progress : callable, default None
        Told ``1,234 of 50,000 images (812/s)``.
    max_pixels : int, default 100,000,000
        Images of more pixels count as too large.
    memory : callable
        Returns an array of a shape, of eight-bit zeros, for the pixels where there is no `cache`.

    Returns
    -------
    pixels : ndarray of uint8, shape (len(paths), height, width, 3)
        Red, green and blue; read-only where memory-mapped. An image that cannot be decoded is black.
    problems : list of str or None
        Why an image could not be decoded (see `ImageError`); None where it could.

    Raises
    ------
    DataError
        If the memory or the folder cannot hold the pixels.
    """
    shape = (len(paths), height, width, 3)
    if cache is None:
        _check_room(shape, _memory(), "memory")
        pixels = memory(shape)
        return pixels, _fill(pixels, paths, fit, max_pixels, threads, progress)
    home = Path(cache) / f"pixels-{_key(paths, height, width, fit, max_pixels)}"
    if not home.exists():
        _build(home, shape, lambda pixels: _fill(pixels, paths, fit, max_pixels, threads, progress))
    problems: list[str | None] = [None] * len(paths)
    for place, reason in json.loads((home / "problems.json").read_text(encoding="utf-8")).items():
        problems[int(place)] = reason
    # Mapped whether or not there are bytes to map: an empty file has none.
    mode: Literal["r"] | None = "r" if all(shape) else None
    return np.load(home / "pixels.npy", mmap_mode=mode, allow_pickle=False), problems


def _fill(
    pixels: np.ndarray,
    paths: Sequence[str | None],
    fit: Fit,
    max_pixels: int,
    threads: int | None,
    progress: Callable[[str], None] | None,
) -> list[str | None]:
    _, height, width, _ = pixels.shape

    def one(i: int) -> str | None:
        try:
            decoded_to(named(paths[i]), height, width, fit=fit, out=pixels[i], max_pixels=max_pixels)
        except ImageError as error:
            pixels[i] = 0
            return error.reason
        return None

    return list(each(one, range(len(paths)), threads=threads, progress=progress))


def _build(home: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], list[str | None]]) -> None:
    """Build the folder beside its place and move it there whole, so that no half of it is ever found."""
    home.parent.mkdir(parents=True, exist_ok=True)
    _check_room(shape, shutil.disk_usage(home.parent).free, str(home.parent))
    made = Path(tempfile.mkdtemp(prefix=".pixels-", dir=home.parent))
    try:
        if all(shape):
            pixels = np.lib.format.open_memmap(made / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
            problems = fill(pixels)
            pixels.flush()
        else:
            np.save(made / "pixels.npy", np.zeros(shape, np.uint8))
            problems = []
        told = {i: reason for i, reason in enumerate(problems) if reason is not None}
        (made / "problems.json").write_text(json.dumps(told), encoding="utf-8")
        try:
            made.rename(home)
        except OSError:
            if not home.exists():  # else another process was first, with the same pixels
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _memory() -> int:
    """Return the bytes of memory of this machine; where it does not tell, more than any."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**63


def _check_room(shape: tuple[int, ...], room: int, where: str) -> None:
    needed = int(np.prod(shape, dtype=np.int64))
    if needed > room:
        remedy = "a folder as the cache" if where == "memory" else "another folder"
        raise DataError(
            f"{where}: {shape[0]} images of {shape[1]} x {shape[2]} pixels take {needed / 1e9:.1f} GB, but "
            f"there are {room / 1e9:.1f} GB. Choose {remedy}, or a smaller size, or no cache."
        )


def _key(paths: Sequence[str | None], height: int, width: int, fit: str, max_pixels: int) -> str:
    digest = hashlib.blake2b(f"{VERSION} {height} {width} {fit} {max_pixels}".encode(), digest_size=16)
    for key in file_keys(paths):
        digest.update(f"\n{key}".encode())
    return digest.hexdigest()


def named(path: str | None) -> str:
    """Return the path, or raise that there is none."""
    if path is None:
        raise ImageError("an image without a path", "missing", "leave the row out with prune.unreadable")
    return path


class Pictures:
    """Give the pixels of one image after another, at one size, whole or a part; for any number of threads.

    Sent to another process, it maps the file of its cache there again.

    Parameters
    ----------
    paths : list of str or None
    size : (int, int), pixels
        Height and width.
    fit : {"crop", "squash", "pad", "random"}
        ``"random"``: `part` is going to be asked for.
    cache : None, "memory", "disk" or path of a folder
        Decode from the files each time, or once. ``"disk"`` is a folder in Tilth's own cache folder.
    max_pixels, threads, progress
        As in `decoded`.
    shared : bool, default False
        Keep a cache in memory where processes that are started with it share it.
    """

    def __init__(
        self,
        paths: list[str | None],
        size: tuple[int, int],
        fit: Literal["crop", "squash", "pad", "random"],
        *,
        cache: Literal["memory", "disk"] | str | Path | None = None,
        max_pixels: int = MAX_PIXELS,
        threads: int | None = None,
        progress: Callable[[str], None] | None = None,
        shared: bool = False,
    ) -> None:
        self.paths, self.size, self.max_pixels = paths, size, max_pixels
        self.fit: Fit = "crop" if fit == "random" else fit
        self._home: np.ndarray | SharedArray | Path | None = None
        self._kept: np.ndarray | None = None
        self._aspects: list[float | None] | None = None
        self._problems: list[str | None] = []
        if cache is None:
            return
        height, width = [round(n * MARGIN) for n in size] if fit == "random" else size
        pixels, self._problems = decoded(
            paths,
            height,
            width,
            # Whole, with its sides scaled apart: any part can be cut, and put back into shape.
            fit="squash" if fit == "random" else self.fit,
            threads=threads,
            cache=None if cache == "memory" else _folder(cache),
            progress=progress,
            max_pixels=max_pixels,
            memory=self._shared if shared else zeros,
        )
        if isinstance(pixels, np.memmap):
            self._home = Path(str(pixels.filename))
        elif self._home is None:
            self._home = pixels
        self._keep(pixels)
        if fit == "random":
            told = facts(paths, max_pixels=max_pixels, threads=threads)
            self._aspects = (told["width"] / told["height"]).to_list()

    def _shared(self, shape: tuple[int, ...]) -> np.ndarray:
        self._home = SharedArray(shape, np.uint8)
        return self._home.array

    def _keep(self, pixels: np.ndarray) -> None:
        pixels.flags.writeable = False
        self._kept = pixels.view(np.ndarray)  # images are taken from it faster than from a memory map

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        home = self._home
        if isinstance(home, Path):
            self._keep(np.load(home, mmap_mode="r", allow_pickle=False))
        elif home is not None:
            self._keep(home.array if isinstance(home, SharedArray) else home)

    def whole(self, row: int) -> np.ndarray:
        """Return an image as `fit` says; it may be read-only.

        Raises
        ------
        ImageError
            If the image cannot be decoded.
        """
        (kept, aspect), (height, width) = self._recalled(row), self.size
        if kept is None:
            return decoded_to(named(self.paths[row]), *self.size, fit=self.fit, max_pixels=self.max_pixels)
        if aspect is None:
            return kept
        tall, broad = min(1.0, aspect * height / width), min(1.0, width / height / aspect)
        return _cut(kept, ((1 - tall) / 2, (1 - broad) / 2, tall, broad), self.size)

    def part(self, row: int, area: float, stretched: float, down: float, right: float) -> np.ndarray:
        """Return a part of an image, scaled to the size.

        Parameters
        ----------
        row : int
        area : float, in (0, 1]
            The share of the image that the part covers. Less, where the part would not fit into the image.
        stretched : float, above 0
            How much wider the part is than the shape of `size`.
        down, right : float, in [0, 1)
            How far down and right it lies.

        Raises
        ------
        ImageError
            If the image cannot be decoded.
        """
        height, width = self.size
        shape = width / height * stretched
        pixels, aspect = self._recalled(row)
        if pixels is None or aspect is None:
            # The least scale at which no part of this area and shape is smaller than what is asked for.
            side = ceil(max(height * (shape / area) ** 0.5, width / (shape * area) ** 0.5))
            pixels = decode(named(self.paths[row]), side=side, max_pixels=self.max_pixels)
            aspect = pixels.shape[1] / pixels.shape[0]
        tall, broad = (area * aspect / shape) ** 0.5, (area * shape / aspect) ** 0.5
        fitting = max(tall, broad, 1.0)
        tall, broad = tall / fitting, broad / fitting
        return _cut(pixels, (down * (1 - tall), right * (1 - broad), tall, broad), self.size)

    def _recalled(self, row: int) -> tuple[np.ndarray | None, float | None]:
        """Return the kept pixels, if there are, and the shape of what parts are cut from, width to height."""
        if self._kept is None:
            return None, None
        problem = self._problems[row]
        if problem is not None:
            raise ImageError(named(self.paths[row]), problem)
        return self._kept[row], self._aspects[row] if self._aspects else None


def _folder(cache: str | Path) -> str | Path:
    if cache != "disk":
        return cache
    base = cache_folder()
    if base is None:
        raise DataError(
            "cache='disk': caches are switched off (TILTH_CACHE is empty). Name a folder instead."
        )
    return base / "pixels"


def _cut(pixels: np.ndarray, part: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """Return the part (top, left, height, width, as shares of the whole) of an image at a size."""
    high, wide = pixels.shape[:2]
    tall, broad = max(1, round(part[2] * high)), max(1, round(part[3] * wide))
    top, left = min(round(part[0] * high), high - tall), min(round(part[1] * wide), wide - broad)
    piece = pixels[top : top + tall, left : left + broad]
    if (tall, broad) == size:
        return piece
    if tall > 2 * size[0] or broad > 2 * size[1]:
        return resized(piece, *size)
    # Shrinking by less than a half, two neighbors each way are enough, and several times faster than areas.
    return cv2.resize(piece, size[::-1], interpolation=cv2.INTER_LINEAR)
