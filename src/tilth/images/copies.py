"""Which pictures are copies of one another: the same bytes, or the same picture encoded or resized anew."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from tilth.images.hashes import SIDE, STEPS, near_parts, rings, unpacked
from tilth.neighbors import groups_of

RADIUS = 8
"""Bits in which the hashes of copies may differ."""
APART = 0.06
"""How far apart copies may be: see `Copies`."""
FIRST, BLUR = 0.9, 0.3
"""What shrinking leaves of a cosine at least: of the slowest ring, and of the others."""
LEVELS = 6.0
"""Levels of 255 by which the mean luma, and each of 16 means of color, may differ."""
FLAT = 2.0
"""Levels: a picture that varies by less tells too little to be a near copy."""
FLOOR = (FLAT * STEPS * SIDE) ** 2
MOST = 1 << 22
"""Near copies in pairs that are told one by one; of more, chains are followed."""
BLOCK = 1 << 16
"""Pairs compared at a time."""


@dataclass(frozen=True)
class Copies:
    """Hold which rows show the same picture.

    Two pictures are near copies if their perceptual hashes differ in few bits, and their thumbnails confirm
    it. Shrinking and encoding take away fine detail and leave the rest in place: so the cosines of both
    thumbnails must be the same but for one factor per ring of frequencies, to within a share of what the
    picture varies. Other pictures that merely look alike, as shirts do, have the same coarse shape, and
    differ in what is finer.

    Parameters
    ----------
    unit : ndarray of shape (n_rows,), int64
        Rows of one unit are the same: byte for byte, or to hash and thumbnail. A file that cannot be read is
        a unit of its own.
    exact : ndarray of shape (n_rows,), int64
        Rows of one code are the same byte for byte.
    i, j : ndarray of shape (n_pairs,), int64
        Pairs of units that are near copies.
    apart : ndarray of shape (n_pairs,), float64
        What is left unexplained of the one by the other, as a share: 0 to `threshold`.
    """

    unit: np.ndarray
    exact: np.ndarray
    i: np.ndarray
    j: np.ndarray
    apart: np.ndarray

    @classmethod
    def find(
        cls, properties: pl.DataFrame, *, radius: int | None = RADIUS, threshold: float = APART
    ) -> Copies:
        """Find copies.

        Parameters
        ----------
        properties : DataFrame
            Of `tilth.images.properties.properties`: digest, phash, thumbnail; null where there is none.
        radius : int or None
            Bits in which the hashes of a pair that is compared may differ; None: only exact copies.
        threshold : float
            The share up to which what is left unexplained confirms a copy.
        """
        code = lambda *columns: pl.struct(*columns).rank("dense").cast(pl.Int64) - 1
        told = properties.select("digest", "phash", "thumbnail").with_row_index("row")
        # A file that cannot be read is a row of its own.
        alone = pl.when(pl.col("digest").is_null()).then(pl.col("row"))
        told = told.with_columns(code(alone, "digest").alias("exact"))
        seen = pl.col("thumbnail").is_not_null()
        if radius is not None:
            told = told.with_columns(
                code(
                    pl.when(~seen | pl.Series(_flat(told["thumbnail"]))).then("exact"), "phash", "thumbnail"
                ).alias("unit")
            )
        else:
            told = told.with_columns(pl.col("exact").alias("unit"))
        unit, exact = told["unit"].to_numpy(), told["exact"].to_numpy()
        nothing = np.empty(0, np.int64)
        if radius is None:
            return cls(unit, exact, nothing, nothing, np.empty(0))
        ours = told.unique("unit", keep="first", maintain_order=True).filter(seen)
        pairs, apart = confirmed(ours["thumbnail"], ours["phash"].to_numpy(), radius, threshold)
        ends = ours["unit"].to_numpy()[pairs]
        if len(pairs) > MOST:
            # Too many to be told one by one: what hangs together is one unit.
            return cls(
                groups_of(ends[:, 0], ends[:, 1], int(unit.max()) + 1)[unit],
                exact,
                nothing,
                nothing,
                np.empty(0),
            )
        return cls(unit, exact, ends[:, 0], ends[:, 1], apart)

    def together(self) -> np.ndarray:
        """Number the sets of rows that hang together, chains followed, in the order of their first rows."""
        count = int(self.unit.max(initial=-1)) + 1
        _, first, number = np.unique(
            groups_of(self.i, self.j, count)[self.unit], return_index=True, return_inverse=True
        )
        rank = np.empty(first.size, np.int64)
        rank[np.argsort(first)] = np.arange(first.size)
        return rank[number]


def _flat(thumbnails: pl.Series) -> np.ndarray:
    """Tell which thumbnails vary too little; null ones do not."""
    flat = np.zeros(len(thumbnails), bool)
    spectra, _ = unpacked(thumbnails.drop_nulls())
    flat[thumbnails.is_not_null().to_numpy()] = _energy(spectra) < FLOOR
    return flat


def _energy(spectra: np.ndarray) -> np.ndarray:
    """Sum the squares of all cosines but the mean."""
    out = np.empty(len(spectra), np.float32)
    for at in range(0, len(spectra), BLOCK):
        out[at : at + BLOCK] = np.square(spectra[at : at + BLOCK, 1:], dtype=np.float32).sum(axis=1)
    return out


def confirmed(
    thumbnails: pl.Series, hashes: np.ndarray, radius: int, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs of pictures whose hashes are near and whose thumbnails say the same.

    Parameters
    ----------
    thumbnails : Series of binary, of length n
    hashes : ndarray of shape (n,), uint64
    radius : int, bits
    threshold : float

    Returns
    -------
    pairs : ndarray of shape (n_pairs, 2), int64
    apart : ndarray of shape (n_pairs,), float64
    """
    spectra, tints = unpacked(thumbnails)
    energy, mean = _energy(spectra), spectra[:, 0].astype(np.float32)
    ends = np.cumsum([0, *map(len, rings())])
    parts = [slice(a, b) for a, b in pairwise(ends)][1:]
    found, told, count = [np.empty((0, 2), np.int64)], [np.empty(0)], 0
    together = np.arange(len(hashes))
    for some in near_parts(hashes, radius):
        if count > MOST:
            some = some[together[some[:, 0]] != together[some[:, 1]]]
        i, j = some.T
        least = np.minimum(energy[i], energy[j])
        # What is cheap to ask first: most pairs end here.
        some = some[(np.abs(mean[i] - mean[j]) <= LEVELS * STEPS * SIDE) & (least >= FLOOR)]
        for at in range(0, len(some), BLOCK):
            pairs = some[at : at + BLOCK]
            limit = threshold**2 * (np.minimum(*energy[pairs.T]) + FLOOR)
            left = np.zeros(len(pairs), np.float32)
            for number, part in enumerate(parts):
                x, y = (spectra[side, part].astype(np.float32) for side in pairs.T)
                left += _left(x, y, BLUR if number else FIRST)
                good = left <= limit
                pairs, limit, left = pairs[good], limit[good], left[good]
            shades = np.abs(tints[pairs[:, 0]].astype(np.int16) - tints[pairs[:, 1]]).max(axis=1)
            found.append(pairs[shades <= LEVELS])
            told.append(threshold * np.sqrt(left / limit, dtype=np.float64)[shades <= LEVELS])
            count += len(found[-1])
            if count > MOST and len(found[-1]):
                # Images that hang together already need not be compared: time and memory stay bounded.
                i, j = np.concatenate(found).T
                together = groups_of(i, j, len(hashes))
    return np.concatenate(found), np.concatenate(told)


def _left(x: np.ndarray, y: np.ndarray, least: float) -> np.ndarray:
    """Return the squares that are left of the weaker once the stronger, times a factor, is taken away."""
    xx, yy, xy = (np.einsum("ij,ij->i", a, b) for a, b in ((x, x), (y, y), (x, y)))
    strong, weak = np.maximum(xx, yy), np.minimum(xx, yy)
    factor = np.clip(xy / np.maximum(strong, 1.0), least, 1.0)
    left: np.ndarray = np.maximum(weak - 2 * factor * xy + factor**2 * strong, 0.0)
    return left


def groups(properties: pl.DataFrame, *, radius: int | None = RADIUS, threshold: float = APART) -> np.ndarray:
    """Number the sets of pictures that are copies of one another, chains followed.

    Parameters
    ----------
    properties : DataFrame
    radius : int or None
    threshold : float
        As `Copies.find`.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        In the order of their first rows; a row without a copy, or unreadable, is a set of its own.
    """
    return Copies.find(properties, radius=radius, threshold=threshold).together()
