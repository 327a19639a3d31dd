"""Fingerprints of what pictures look like, hashes that are near each other, and who is a copy of whom."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from math import ceil

import cv2
import numpy as np
import polars as pl

from tilth.images.lanczos import resampled

SIDE = 32
"""Pictures are shrunk to so many pixels a side before their cosines are taken."""
RINGS = (0.0, 0.5, 4.0, 7.0, 10.0)
"""Frequencies, in half waves per picture, that part the cosines of a thumbnail."""
TINT = 4
"""Side of the two planes of color of a thumbnail, in pixels."""
STEPS = 4
"""Cosines are kept in fourths of a level."""
NOISE = 1e-6
"""Shares of cosines below this are rounding, and count as 0."""
QUARTER = 16
"""Bits by which hashes are put into buckets: there are four such parts of a hash."""
PIECE = 1 << 17
"""Pairs looked at in one piece, which bounds memory."""


def fingerprints(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
    """Return the hashes and thumbnails of pictures of one shape, in one pass.

    Parameters
    ----------
    pixels : ndarray of shape (n, height, width, 3) or (n, height, width), uint8

    Returns
    -------
    phashes, dhashes : ndarray of shape (n,), uint64
        See `phash` and `dhash`.
    thumbnails : list of bytes
        See `unpacked`.
    """
    grey = pixels if pixels.ndim == 3 else np.stack([cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pixels])
    small = resampled(grey, SIDE, SIDE)
    waves = cosines(ceil(RINGS[-1]), SIDE)
    kept = (waves @ small @ waves.T).reshape(len(small), -1)[:, np.concatenate(rings())]
    spectra = np.rint(kept * STEPS).astype("<i2", order="C").view(np.uint8)
    tints = np.full((len(small), 2 * TINT * TINT), 128, np.uint8)
    if pixels.ndim == 4:
        for place, one in enumerate(pixels):
            few = cv2.resize(one, (TINT, TINT), interpolation=cv2.INTER_AREA)
            tints[place] = cv2.cvtColor(few, cv2.COLOR_RGB2YCrCb)[:, :, :0:-1].transpose(2, 0, 1).ravel()
    thumbs = [one.tobytes() for one in np.concatenate([spectra, tints], axis=1)]
    return _phashes(small), _dhashes(resampled(grey, 8, 9)), thumbs


def unpacked(thumbnails: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return what thumbnails hold.

    Parameters
    ----------
    thumbnails : Series of binary, without nulls

    Returns
    -------
    spectra : ndarray of shape (n, n_waves), int16
        The slowest cosines of the luma, in fourths of a level, ring by ring as `rings` lists them; of all
        cosines the sum of squares is that of the levels of 32 x 32 pixels.
    tints : ndarray of shape (n, 32), uint8
        4 x 4 pixels of blue against luma, then of red; 128 is none.
    """
    both = np.frombuffer(b"".join(thumbnails.to_list()), np.uint8)
    both = both.reshape(-1, 2 * sum(map(len, rings())) + 2 * TINT * TINT)
    cut = both.shape[1] - 2 * TINT * TINT
    return np.ascontiguousarray(both[:, :cut]).view("<i2"), both[:, cut:]


@cache
def rings() -> tuple[np.ndarray, ...]:
    """Return for each ring of frequencies where its cosines are among those by rows and columns."""
    along = np.arange(ceil(RINGS[-1]))
    far = np.hypot(along[:, None], along).ravel()
    return tuple(np.flatnonzero((far >= a) & (far < b)) for a, b in pairwise(RINGS))


def phash(grey: np.ndarray) -> int:
    """Hash the lowest frequencies of a picture: a bit is set where a cosine's share is above the median.

    The picture is shrunk to 32 x 32 by Lanczos' filter; of its cosine transform the 8 x 8 lowest
    frequencies count, the mean included. What is nothing but rounding (as all of a flat picture is) counts
    as 0.

    Parameters
    ----------
    grey : ndarray of shape (height, width), uint8

    Returns
    -------
    int
        64 bits, the first frequency the highest bit.

    Source
    ------
    Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010). Peer: ``phash`` of
    the package ``ImageHash``, which gives the same bits but for shares that are equal up to rounding.
    """
    return int(_phashes(resampled(grey[None], SIDE, SIDE))[0])


def dhash(grey: np.ndarray) -> int:
    """Hash the slopes of a picture: a bit is set where a pixel is brighter than its left neighbor.

    Parameters
    ----------
    grey : ndarray of shape (height, width), uint8

    Returns
    -------
    int
        64 bits, the upper left pixel the highest bit.

    Source
    ------
    Peer: ``dhash`` of the package ``ImageHash``, which gives the same bits but where neighbors are equal to
    rounding.
    """
    return int(_dhashes(resampled(grey[None], 8, 9))[0])


def _phashes(small: np.ndarray) -> np.ndarray:
    # Here, all cosines are of one height: the mean counts twice what it does among those of `cosines`.
    waves = cosines(8, SIDE) * np.where(np.arange(8) == 0, np.sqrt(2), 1.0)[:, None]
    low = (waves @ small @ waves.T).reshape(len(small), 64)
    low[np.abs(low) < NOISE] = 0.0
    return _packed(low > np.median(low, axis=1, keepdims=True))


def _dhashes(small: np.ndarray) -> np.ndarray:
    return _packed((small[:, :, 1:] > small[:, :, :-1]).reshape(len(small), 64))


def _packed(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


@cache
def cosines(count: int, length: int) -> np.ndarray:
    """Return the slowest cosines over so many pixels, each of sum of squares 1: (count, length)."""
    waves = np.cos(np.pi * np.arange(count)[:, None] * (2 * np.arange(length) + 1) / (2 * length))
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    waves.flags.writeable = False
    return waves


def near(hashes: np.ndarray, radius: int) -> np.ndarray:
    """Find all pairs of hashes that differ in at most `radius` bits; see `near_parts`.

    Parameters
    ----------
    hashes : ndarray of shape (n,), uint64
    radius : int, 0 to 64 bits

    Returns
    -------
    ndarray of shape (n_pairs, 2), int64
        Places in `hashes`, rising; the first of a pair comes first.

    Examples
    --------
    >>> near(np.array([0b1100, 0, 0b1101], dtype=np.uint64), 2).tolist()
    [[0, 1], [0, 2]]
    """
    parts = [np.empty((0, 2), np.int64), *near_parts(hashes, radius)]
    pairs = np.concatenate(parts)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def near_parts(hashes: np.ndarray, radius: int) -> Iterator[np.ndarray]:
    """Find all pairs of hashes that differ in few bits, some pairs at a time.

    Hashes are put into buckets by each quarter of their bits. Two that differ in at most `radius` bits
    differ in at most a quarter of that in one of them: only buckets as near as that are compared.

    Parameters
    ----------
    hashes : ndarray of shape (n,), uint64
    radius : int, 0 to 64 bits

    Yields
    ------
    ndarray of shape (n_pairs, 2), int64
        As `near`, in any order; no pair comes twice.

    Source
    ------
    Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012.
    """
    hashes = np.ascontiguousarray(hashes, dtype=np.uint64)
    parts = [(hashes >> np.uint64(QUARTER * at)) & np.uint64(0xFFFF) for at in range(4)]
    # Were each part of a pair farther apart than it may be, all of it would be beyond the radius.
    most = [radius // 4 - (at > radius % 4) for at in range(4)]
    for at, part in enumerate(parts):
        order = np.argsort(part, kind="stable")
        bucket, ordered = part[order].astype(np.int64), hashes[order]
        sizes = np.bincount(bucket, minlength=1 << QUARTER)
        starts = np.cumsum(sizes) - sizes
        for mask in _masks(most[at]):
            for i, j in _meetings(bucket, mask, sizes, starts):
                few = _bits(ordered[i] ^ ordered[j]) <= radius
                i, j = order[i[few]], order[j[few]]
                for earlier in range(at):
                    new = _bits(parts[earlier][i] ^ parts[earlier][j]) > most[earlier]
                    i, j = i[new], j[new]
                if len(i):
                    yield np.column_stack([np.minimum(i, j), np.maximum(i, j)])


def _bits(values: np.ndarray) -> np.ndarray:
    """Count the bits that are set."""
    return pl.Series(values).bitwise_count_ones().to_numpy()


@cache
def _masks(most: int) -> tuple[int, ...]:
    """List the numbers of 16 bits of which at most so many are set: 0 first."""
    return tuple(mask for mask in range(1 << QUARTER) if mask.bit_count() <= most)


def _meetings(
    bucket: np.ndarray, mask: int, sizes: np.ndarray, starts: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs whose buckets differ by a mask; hashes are in the order of their buckets."""
    other = bucket ^ mask
    begin, count = starts[other], sizes[other]
    if mask == 0:
        # Within a bucket, each meets those behind it.
        behind = np.arange(len(bucket)) + 1
        begin, count = behind, begin + count - behind
    else:
        count = np.where(bucket < other, count, 0)
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    for low in range(0, total, PIECE):
        high = min(low + PIECE, total)
        first, last = np.searchsorted(ends, (low, high - 1), side="right")
        some = slice(int(first), int(last) + 1)
        times = count[some].copy()
        times[0] -= low - (ends[first] - count[first])
        times[-1] -= ends[last] - high
        row = np.repeat(np.arange(some.start, some.stop), times)
        yield row, np.arange(low, high) + np.repeat((begin - ends + count)[some], times)
