"""What an image is like, in a few numbers: one decode at reduced scale per file tells them all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from threadpoolctl import get_cached_controller

from tilth.errors import ImageError
from tilth.images.decode import MAX_PIXELS, content, decoded_from, resized
from tilth.images.each import Progress
from tilth.images.facts import quiet
from tilth.images.hashes import fingerprints
from tilth.images.remembered import remembered

SIDE = 128
"""In pixels: images are measured with their shorter side reduced to this; smaller ones as they are."""
CHUNK = 32
"""Files that one thread measures at a time."""
HALVED = 16
"""In pixels: images of shorter sides are not looked at at half their scale."""
LEAST_CONTRAST = 3.0
"""In levels of grey: where the standard deviation is less, nothing is said of sharpness."""
ROUNDING = 1e-9
"""Of shares that are added up."""
VERSION = "6"
"""Of what the numbers mean: a cache of another version is not read."""

SCHEMA = pl.Schema(
    {
        "problem": pl.String,
        "width": pl.Int32,
        "height": pl.Int32,
        "aspect": pl.Float32,
        "bytes": pl.Int64,
        "brightness": pl.Float32,
        "dark": pl.Float32,
        "bright": pl.Float32,
        "contrast": pl.Float32,
        "entropy": pl.Float32,
        "sharpness": pl.Float32,
        "saturation": pl.Float32,
        "color": pl.Float32,
        "red": pl.Float32,
        "green": pl.Float32,
        "blue": pl.Float32,
        "digest": pl.String,
        "phash": pl.UInt64,
        "dhash": pl.UInt64,
        "thumbnail": pl.Binary,
    }
)
"""What is told of each file, besides its path."""


def properties(
    paths: Sequence[str | Path | None],
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    cache: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> pl.DataFrame:
    """Measure images, one line each, in the order given.

    Parameters
    ----------
    paths : sequence of str or Path
        The files. One that is given twice is measured once.
    threads : int, optional
        How many decode at a time; by default as many as there are cores.
    progress : callable, optional
        Told how many are done, as a text.
    cache : bool
        Remember what was measured, by path, size and time of change.
    max_pixels : int
        Images of more pixels are not decoded; their `problem` is 'too large'.

    Returns
    -------
    DataFrame
        ``path`` and the columns of `SCHEMA`; where there is a `problem`, a reason of `ImageError`, what could
        not be measured is null.
    """
    # What was not decoded under one cap may be under another.
    version = VERSION if max_pixels == MAX_PIXELS else f"{VERSION}-{max_pixels}"
    # Files are many: one thread each does more than several that share a small matrix.
    with quiet(), get_cached_controller().limit(limits=1, user_api="blas"):
        return remembered(
            lambda some: _lines(some, max_pixels),
            [None if path is None else str(path) for path in paths],
            SCHEMA,
            name="properties",
            version=version,
            threads=threads,
            progress=progress,
            cache=cache,
            together=CHUNK,
        )


def _lines(paths: list[str], max_pixels: int) -> list[dict[str, Any]]:
    """Measure some files: those that are of one shape at once, for that is faster."""
    lines: list[dict[str, Any]] = []
    alike: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
    for at, path in enumerate(paths):
        line: dict[str, Any] = dict.fromkeys(SCHEMA)
        lines.append(line)
        try:
            pixels = _read(path, line, max_pixels)
        except ImageError as error:
            line["problem"] = error.reason
            continue
        alike.setdefault(pixels.shape, []).append((at, pixels))
    for images in alike.values():
        stack = np.stack([pixels for _, pixels in images])
        told = measure(stack)
        told |= dict(zip(("phash", "dhash", "thumbnail"), fingerprints(stack), strict=True))
        columns = [values if isinstance(values, list) else values.tolist() for values in told.values()]
        for (at, _), values in zip(images, zip(*columns, strict=True), strict=True):
            lines[at].update(zip(told, values, strict=True))
    return lines


def _read(path: str, line: dict[str, Any], max_pixels: int) -> np.ndarray:
    """Return an image at the size at which it is measured; what the file tells goes into its line."""
    data = content(path, path)
    if isinstance(data, bytes):
        line["bytes"] = len(data)
        line["digest"] = hashlib.blake2b(data, digest_size=16).hexdigest()
    else:
        with Path(path).open("rb") as file:
            line["digest"] = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            line["bytes"] = file.tell()
    pixels, (height, width) = decoded_from(data, path, side=SIDE, mode="stored", max_pixels=max_pixels)
    line.update(width=width, height=height, aspect=width / height)
    shorter = min(pixels.shape[:2])
    if shorter > SIDE:
        pixels = resized(pixels, *(max(SIDE, round(n * SIDE / shorter)) for n in pixels.shape[:2]))
    return pixels


def measure(pixels: np.ndarray) -> dict[str, Any]:
    """Return the numbers of images of one shape.

    Parameters
    ----------
    pixels : array of uint8, shape (images, height, width, 3), or (images, height, width) where they are grey

    Returns
    -------
    dict of name to array of shape (images,), or to a list where a number may be missing
    """
    count, _, width = pixels.shape[:3]
    if pixels.ndim == 3:
        luma, chroma = pixels, np.zeros((count, 1), np.uint8)
    else:
        luma = cv2.cvtColor(pixels.reshape(-1, width, 3), cv2.COLOR_RGB2GRAY).reshape(pixels.shape[:3])
        planes = np.ascontiguousarray(np.moveaxis(pixels, 3, 0)).reshape(3, count, -1)
        means = planes.mean(axis=2, dtype=np.float64) / 255
        chroma = planes.max(axis=0) - planes.min(axis=0)
    share = _shares(luma)
    upto = np.cumsum(share, axis=1)
    levels = np.arange(256) / 255
    mean = share @ levels
    tint = _shares(chroma)
    return {
        "brightness": mean,
        # The least level that so many of the pixels do not exceed.
        "dark": (upto < 0.99 - ROUNDING).sum(axis=1) / 255,
        "bright": (upto < 0.05 - ROUNDING).sum(axis=1) / 255,
        "contrast": np.sqrt(np.maximum(share @ levels**2 - mean**2, 0)),
        "entropy": -(share * np.log2(share, out=np.zeros_like(share), where=share > 0)).sum(axis=1),
        "sharpness": [None if np.isnan(one) else one for one in sharpness(luma).tolist()],
        "saturation": tint @ levels,
        "color": (np.cumsum(tint, axis=1) < 0.99 - ROUNDING).sum(axis=1) / 255,
        **dict(zip(("red", "green", "blue"), (mean,) * 3 if pixels.ndim == 3 else means, strict=True)),
    }


def sharpness(luma: np.ndarray) -> np.ndarray:
    """Return how fine the details of images are against all their edges, whatever the contrast.

    The root of the mean squared Laplacian over that of the mean squared slope, both freed from what rounding
    to whole levels adds; the smaller one of those at the scale given and at half of it, for noise and traces
    of JPEG hide at half the scale what they hide at the full one. About 1.2 to 2 for sharp images of any
    kind and size, above 2 for noise, and below 0.8 after a Gaussian blur of 1.5 pixels.

    Parameters
    ----------
    luma : array of uint8, shape (images, height, width)

    Returns
    -------
    array of shape (images,)
        NaN where a side is shorter than 3 pixels, or all is so alike that nothing can be said.
    """
    height, width = luma.shape[1:]
    if min(height, width) < 3:
        return np.full(len(luma), np.nan)
    values = luma.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    found = _fineness(values, 1 / 12)
    if min(height, width) >= HALVED:
        even = values[:, : height // 2 * 2, : width // 2 * 2]
        halved = (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
        found = np.minimum(found, _fineness(halved, 1 / 48))
    return np.where(_power(values) < LEAST_CONTRAST**2, np.nan, found)


def _fineness(values: np.ndarray, rounding: float) -> np.ndarray:
    """Return the Laplacian against the slope at one scale; `rounding` is the variance it adds to a pixel."""
    inner = values[:, 1:-1, 1:-1]
    bend = values[:, :-2, 1:-1] + values[:, 2:, 1:-1] + values[:, 1:-1, :-2] + values[:, 1:-1, 2:] - 4 * inner
    slope = _power(np.diff(values, axis=2)) + _power(np.diff(values, axis=1))
    # Rounding adds the sum of squared weights: 20 to the Laplacian, 2 to each difference.
    left = np.maximum(_power(bend) - 20 * rounding, 0), np.maximum(slope - 4 * rounding, 0) + rounding
    return np.sqrt(left[0] / left[1])


def _power(values: np.ndarray) -> np.ndarray:
    return np.einsum("nhw,nhw->n", values, values, dtype=np.float32) / np.float32(values[0].size)


def _shares(values: np.ndarray) -> np.ndarray:
    """Return the share of the pixels at each of the 256 levels, for each image."""
    count = len(values)
    values = values.reshape(count, -1)
    counts = [np.bincount(one, minlength=256) for one in values]
    return np.stack(counts) / values.shape[1]
