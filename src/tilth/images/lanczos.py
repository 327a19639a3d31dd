"""Shrink many pictures of one shape at once by Lanczos' filter, to the very pixels of Pillow."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

REACH = 3.0
"""Lobes of the filter, in pixels of the smaller picture."""
_BITS = 22
"""Weights are whole multiples of 2 to the minus so many."""
_LARGE = 1 << 19
"""Pixels: a larger picture is left to Pillow, whose loops skip weights that are 0."""


def resampled(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return pictures at another size.

    Parameters
    ----------
    grey : ndarray of shape (n, high, wide), uint8
    height, width : int, pixels

    Returns
    -------
    ndarray of shape (n, height, width), float64
        Whole numbers from 0 to 255: what ``Image.resize`` of Pillow gives with ``Resampling.LANCZOS``, called
        for the rows and then for the columns. (Called once, it may begin with the columns: by its version
        and the sizes. Then the rounding in between makes some pixels differ by a level or two.)
    """
    high, wide = grey.shape[1:]
    if high * wide > _LARGE:
        by = Image.Resampling.LANCZOS
        small = [Image.fromarray(one).resize((width, high), by).resize((width, height), by) for one in grey]
        return np.stack([np.asarray(one, dtype=np.float64) for one in small])
    values = grey.astype(np.float64)
    if wide != width:
        values = _rounded(values @ _weights(wide, width).T)
    if high != height:
        values = _rounded(_weights(high, height) @ values)
    return values


def _rounded(values: np.ndarray) -> np.ndarray:
    values += 0.5
    np.floor(values, out=values)
    return np.clip(values, 0, 255, out=values)


@lru_cache(maxsize=1024)
def _weights(before: int, after: int) -> np.ndarray:
    """Return how much of each pixel goes into each pixel of another length: (after, before)."""
    scale = before / after
    wide = max(scale, 1.0)
    center = (np.arange(after) + 0.5) * scale
    # Pillow counts the pixels from here to there, cut off towards 0.
    first = np.maximum(np.trunc(center - REACH * wide + 0.5), 0)
    last = np.minimum(np.trunc(center + REACH * wide + 0.5), before)
    place = np.arange(before)
    x = (place - center[:, None] + 0.5) / wide
    weights = np.where(np.abs(x) < REACH, np.sinc(x) * np.sinc(x / REACH), 0.0)
    weights[(place < first[:, None]) | (place >= last[:, None])] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    whole = np.trunc(weights * (1 << _BITS) + np.copysign(0.5, weights))
    whole /= 1 << _BITS
    whole.flags.writeable = False
    return whole
