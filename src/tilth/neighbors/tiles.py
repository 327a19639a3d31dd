"""Measures of many pairs at once, as matrix products: fast, and wrong by no more than is stated."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tilth.neighbors.arrays import Arrays
from tilth.neighbors.space import Sides

# Numbers beyond this many typical lengths are cut, so that sums of their squares stay finite.
REACH = {"float32": 2.0**40, "float64": 2.0**400}


class Tiles:
    """Measure blocks of query rows against blocks of reference rows.

    With missing cells as 0 and a mask m of those present, the sum of squared differences over what two
    rows share is m_q . r^2 + q^2 . m_r - 2 q . r: one product of matrices laid side by side, to which
    complete columns add their squared lengths. The count of shared cells is another product. Codes are
    compared one column at a time, in the smallest integers there are.

    Parameters
    ----------
    sides : Sides
    masked : bool
        Give the mean over shared columns, not the sum.
    arrays : Arrays
    dtype : {'float32', 'float64'}
    """

    def __init__(self, sides: Sides, *, masked: bool, arrays: Arrays, dtype: str) -> None:
        self.sides, self.masked, self.arrays = sides, masked, arrays
        self.dtype = np.dtype(dtype)
        self.gower = sides.space.metric == "gower"
        center = _means(sides.r_numbers, sides.r_present)
        q, r = ((x - center) / sides.widths for x in (sides.q_numbers, sides.r_numbers))
        self.n_numbers = q.shape[1]
        self.holed = np.asarray(~(sides.q_present.all(axis=0) & sides.r_present.all(axis=0)))
        if not self.gower:
            q, r = np.nan_to_num(q, copy=False), np.nan_to_num(r, copy=False)
        # A power of two, so that scaling by it is exact.
        heavy = np.sqrt(sides.space.mismatch) if sides.q_codes.shape[1] else 0.0
        self.unit = 1.0 if self.gower else _power_of_two(max(_typical(r), heavy))
        self.weight = sides.space.mismatch / self.unit**2
        q, r = q / self.unit, r / self.unit
        self.lengths = np.nansum(np.abs(q), axis=1) if self.gower else np.sqrt((q * q).sum(axis=1))
        self.reach = REACH[dtype]
        q, r = np.clip(q, -self.reach, self.reach), np.clip(r, -self.reach, self.reach)
        left, right = self._features(q, r)
        self.inner = left.shape[1] + (self.n_numbers if self.gower else 0)
        self.left, self.right = self._put(left), self._put(right.T)
        none: Any = None
        self.q_mask, self.r_mask = self._masks() if masked else (none, none)
        self.q_numbers, self.r_numbers = (self._put(q), self._put(r.T)) if self.gower else (none, none)
        self.q_codes, self.r_codes = arrays.put(sides.q_codes), arrays.put(sides.r_codes.T)
        few, many = int(sides.q_present.sum(axis=1).min()), int(sides.r_present.sum(axis=1).min())
        # Shared columns of any pair are no fewer than this.
        self.least_shared = few + many - sides.n_columns
        self.q_counts = sides.q_present.sum(axis=1)
        self.r_least = many

    def _put(self, array: np.ndarray) -> Any:
        return self.arrays.put(array.astype(self.dtype, copy=False))

    def _features(self, q: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lay out what the sum is a product of."""
        sides = self.sides
        holed, whole = self.holed[: self.n_numbers], ~self.holed[: self.n_numbers]
        gaps = np.flatnonzero(self.holed[self.n_numbers :]) + self.n_numbers
        n_whole_codes = self.holed.size - self.n_numbers - gaps.size
        ones_q, ones_r = np.ones((len(q), 1)), np.ones((len(r), 1))
        left = [sides.q_present[:, gaps] * self.weight, ones_q]
        right = [sides.r_present[:, gaps], np.full((len(r), 1), self.weight * n_whole_codes)]
        if not self.gower:
            qm, rm = sides.q_present[:, : self.n_numbers], sides.r_present[:, : self.n_numbers]
            q2, r2 = q * q, r * r
            left += [-2 * q, qm[:, holed], q2[:, holed], ones_q, q2[:, whole].sum(axis=1, keepdims=True)]
            right += [r, r2[:, holed], rm[:, holed], r2[:, whole].sum(axis=1, keepdims=True), ones_r]
        return np.hstack(left, dtype=self.dtype), np.hstack(right, dtype=self.dtype)

    def _masks(self) -> tuple[Any, Any]:
        """Lay out what the count of shared columns is a product of."""
        n_whole = int((~self.holed).sum())
        left = np.hstack([self.sides.q_present[:, self.holed], np.ones((len(self.sides.q_present), 1))])
        right = np.hstack(
            [self.sides.r_present[:, self.holed], np.full((len(self.sides.r_present), 1), n_whole)]
        )
        return self._put(left), self._put(right.T)

    def again(self, arrays: Arrays) -> Tiles:
        """Return the same tiles with other room to write to, for another thread."""
        twin = copy.copy(self)
        twin.arrays = arrays
        return twin

    @property
    def cell_bytes(self) -> int:
        """Count the bytes that one pair takes."""
        rooms = 1 + self.masked + self.gower
        return rooms * self.dtype.itemsize + 2 * bool(self.sides.q_codes.shape[1])

    def of(self, rows: slice, columns: slice) -> Any:
        """Measure query rows against reference rows: (n_rows, n_columns), infinity where out of reach.

        The array is written over by the next call.
        """
        arrays, lib = self.arrays, self.arrays.lib
        left = self.left[rows]
        shape = (left.shape[0], columns.stop - columns.start)
        tile = arrays.room("sum", shape, self.dtype)
        lib.matmul(left, self.right[:, columns], out=tile)
        if self.gower:
            self._add_differences(tile, rows, columns)
        if self.q_codes.shape[1] and self.weight:
            self._take_matches(tile, rows, columns)
        if self.masked:
            count = arrays.room("other", shape, self.dtype)
            lib.matmul(self.q_mask[rows], self.r_mask[:, columns], out=count)
            if self.least_shared < 1:
                apart = count == 0
                tile[apart] = np.inf
                count[apart] = 1
            lib.divide(tile, count, out=tile)
        return tile

    def _add_differences(self, tile: Any, rows: slice, columns: slice) -> None:
        """Add |q - r| of each number; where either is missing, nothing."""
        arrays, lib = self.arrays, self.arrays.lib
        apart = arrays.room("other", tuple(tile.shape), self.dtype)
        nothing = self._put(np.zeros(1))
        for place in range(self.n_numbers):
            lib.subtract(self.q_numbers[rows, place, None], self.r_numbers[None, place, columns], out=apart)
            lib.abs(apart, out=apart)
            if self.holed[place]:
                lib.fmax(apart, nothing, out=apart)
            lib.add(tile, apart, out=tile)

    def _take_matches(self, tile: Any, rows: slice, columns: slice) -> None:
        """Take back the mismatches, counted for all shared codes, where codes are equal."""
        lib = self.arrays.lib
        n_codes = self.q_codes.shape[1]
        # Counted in bytes, 255 columns at a time.
        for start in range(0, n_codes, 255):
            equal = self.arrays.room("equal", tuple(tile.shape), np.uint8)
            equal[:] = 0
            for place in range(start, min(start + 255, n_codes)):
                same = self.arrays.equal(self.q_codes[rows, place, None], self.r_codes[None, place, columns])
                lib.add(equal, same, out=equal)
            part = self.arrays.room("other", tuple(tile.shape), self.dtype)
            lib.multiply(equal, self._put(np.full(1, self.weight)), out=part)
            lib.subtract(tile, part, out=tile)

    def bound(self, rows: np.ndarray | slice, measures: np.ndarray) -> np.ndarray:
        """Return the highest value that a tile can show for pairs whose true measure is at most `measures`.

        The terms of a sum are no larger than the lengths of its rows. A row within reach of the query is
        no longer than the query and the way to it, so rows that are far away do not loosen the bound.
        Twice the textbook bound of a product in floating point is taken.

        Parameters
        ----------
        rows : ndarray of shape (n,), int, or slice
            Query rows.
        measures : ndarray of shape (n,), float64
        """
        measures = measures / self.unit**2
        n_columns = self.sides.n_columns
        total = measures * n_columns if self.masked else measures
        length = self.lengths[rows]
        other = length + (total if self.gower else np.sqrt(total))
        codes = 2 * self.weight * (n_columns - self.n_numbers)
        terms = (length + other if self.gower else length**2 + other**2) + codes
        share = np.maximum(self.q_counts[rows] + self.r_least - n_columns, 1) if self.masked else 1
        limits = np.finfo(self.dtype)
        error = (self.inner + 10) * (limits.eps * (terms + total) + 64 * limits.tiny) / share
        high = (measures + error) * (1 + 4 * limits.eps)
        return np.where(other < self.reach, high, np.inf)


def _means(numbers: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the middle of each column, near enough to take a large offset off."""
    known = present[:, : numbers.shape[1]]
    count = np.maximum(known.sum(axis=0), 1)
    return np.sum(numbers / count, axis=0, where=known)


def _typical(numbers: np.ndarray) -> float:
    """Return the typical length of a row; 0 where all are 0."""
    lengths = np.sqrt((numbers * numbers).sum(axis=1))
    lengths = lengths[lengths > 0]
    return float(np.median(lengths)) if lengths.size else 0.0


def _power_of_two(near: float) -> float:
    return float(2.0 ** np.round(np.log2(near))) if near > 0 else 1.0
