"""A value's share of the column that lies below it, read off learned quantiles, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

_BLOCK = 1 << 15
"""Values worked on at a time: a block and what is made of it stay in the cache."""

_FEW = 1 << 14
"""Values up to which a binary search is faster than building the grid."""

_TAIL = 1e-7
"""Shares nearer to 0 or 1 are held there by the normal scores, as scikit-learn does: they stay finite."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Map values to shares in [0, 1] by linear interpolation between quantiles.

    A value that several quantiles have in common gets the middle of their shares; the lowest gets 0 and the
    highest 1, however many share them. Values beyond get 0 and 1.

    Parameters
    ----------
    quantiles : ndarray of shape (n_quantiles,), float64
        Rising, finite, at equal steps from share 0 to share 1.

    Examples
    --------
    >>> Ranking(np.array([0.0, 1.0, 1.0, 1.0, 5.0])).shares(np.array([-3.0, 0.5, 1.0, 3.0, 5.0])).tolist()
    [0.0, 0.125, 0.5, 0.875, 1.0]
    """

    quantiles: np.ndarray

    def shares(self, values: np.ndarray) -> np.ndarray:
        """Return the share of each value; NaN stays."""
        at, base, slope, tied = self._lines
        known = at[1:]
        # What lies beyond goes next to the bounds: infinity would spoil what it is multiplied with.
        least, most = np.nextafter(known[0], -np.inf), np.nextafter(known[-1], np.inf)
        grid = self._grid if len(values) > _FEW else None
        out = np.empty(len(values))
        for start in range(0, len(values), _BLOCK):
            block = np.maximum(values[start : start + _BLOCK], least)
            np.minimum(block, most, out=block)
            place = np.searchsorted(known, block, side="right") if grid is None else grid.places(block)
            here = at.take(place)
            share = np.subtract(block, here, out=out[start : start + _BLOCK])
            share *= slope.take(place)
            share += base.take(place)
            if tied is not None:
                np.copyto(share, tied.take(place), where=block == here)
        if grid is None:
            # A binary search puts NaN behind all others; nothing is known of it.
            out[np.isnan(values)] = np.nan
        return out

    @cached_property
    def _lines(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """Return where each line begins, its share there, its slope, and the share at just that value.

        Line 0 is below all quantiles, line i at or above the i-th different one. The last is None where no
        quantiles are equal.
        """
        at, first, often = np.unique(self.quantiles, return_index=True, return_counts=True)
        shares = np.linspace(0.0, 1.0, len(self.quantiles))
        low, high = shares[first], shares[first + often - 1]
        with np.errstate(over="ignore"):
            # Two values next to one another have none between them that an infinite slope could spoil.
            slope = np.minimum((low[1:] - high[:-1]) / np.diff(at), np.finfo(np.float64).max)
        middle = (low + high) / 2
        middle[-1], middle[0] = 1.0, 0.0
        base, tied = np.append(0.0, high), np.append(0.0, middle)
        return (
            np.append(at[0], at),
            base,
            np.concatenate([[0.0], slope, [0.0]]),
            None if (tied == base).all() else tied,
        )

    @cached_property
    def _grid(self) -> _Grid:
        at, base, _, _ = self._lines
        return _Grid.of(at[1:], np.append(np.diff(base)[1:], 0.0))

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Return the normal quantile of each value's share, within those of 1e-7 and 1 - 1e-7; NaN stays."""
        from scipy.special import ndtri

        shares = self.shares(values)
        low, high = ndtri(_TAIL), ndtri(1 - _TAIL)
        for start in range(0, len(shares), _BLOCK):
            block = shares[start : start + _BLOCK]
            np.clip(ndtri(block, out=block), low, high, out=block)
        return shares

    def of_shares(self, shares: np.ndarray) -> np.ndarray:
        """Return the value at each share, held to [0, 1]; NaN stays."""
        last = len(self.quantiles) - 1
        place = np.clip(shares, 0.0, 1.0) * last
        below = np.minimum(np.nan_to_num(place).astype(np.intp), max(last - 1, 0))
        low = self.quantiles[below]
        step = self.quantiles[np.minimum(below + 1, last)] - low
        out: np.ndarray = low + step * (place - below)
        # At the step's end rounding could miss what several quantiles have in common.
        return np.where(place - below == 1, self.quantiles[np.minimum(below + 1, last)], out)

    def of_scores(self, scores: np.ndarray) -> np.ndarray:
        """Return the value at each normal score: the lowest and the highest where a score was held."""
        from scipy.special import ndtr

        shares = ndtr(scores)
        # Held scores stand for the bounds, and a little more than rounding counts as held.
        shares = np.where(
            shares <= _TAIL * (1 + 1e-6), 0.0, np.where(1 - shares <= _TAIL * (1 + 1e-6), 1.0, shares)
        )
        return self.of_shares(shares)


@dataclass(frozen=True)
class _Grid:
    """Tell between which of many known values a value lies, mostly by one comparison.

    A value's cell comes from its size by a rising function. Where a cell holds one known value or none, one
    comparison tells the place. Where it holds several, it is cut into finer cells by even steps; where one of
    these holds several still, a binary search tells. The function is the one of three that leaves the fewest
    values to it: even steps from end to end, even steps within the middle 98%, or steps that double, by the
    bits of the number.
    """

    known: np.ndarray
    ends: np.ndarray
    by_bits: bool
    origin: float
    step: float
    before: np.ndarray
    finer: _Finer | None = None

    @classmethod
    def of(cls, known: np.ndarray, mass: np.ndarray) -> _Grid:
        """Build the grid for known values, of which each is followed by a mass of values up to the next."""
        size = 1 << max(8, int(np.ceil(np.log2(len(known)))) + 4)
        tail = len(known) // 100
        bits = _bits(known)
        made = [
            cls._made(known, False, known[0], known[-1], size),
            cls._made(known, False, known[tail], known[-1 - tail], size),
            cls._made(known, True, float(bits[0]), float(bits[-1]), size),
        ]
        return min(made, key=lambda grid: grid._cost(known, mass))

    def _cost(self, known: np.ndarray, mass: np.ndarray) -> float:
        """Return about what values cost beyond one comparison: a fine cell 1, a search several times that."""
        if self.finer is None:
            return 0.0
        cut = self.finer.row[self.cells(known)] > 0
        return float(mass[cut].sum() + 10 * mass[self.searched(known)].sum())

    @classmethod
    def _made(cls, known: np.ndarray, by_bits: bool, low: float, high: float, size: int) -> _Grid:
        # Past the last known value stands infinity: no value is above it.
        bare = cls(
            known, np.append(known, np.inf), by_bits, low, _step(low, high, size), np.zeros(size, np.intp)
        )
        cells = bare.cells(known)
        counts = np.bincount(cells, minlength=size)
        before = np.cumsum(counts) - counts
        finer = _Finer.of(known, cells, counts, before) if counts.max() > 1 else None
        return replace(bare, before=before, finer=finer)

    def cells(self, values: np.ndarray) -> np.ndarray:
        """Return the cell of each value: never a lower one for a larger value."""
        keys = _bits(values).astype(np.float64) if self.by_bits else values
        with np.errstate(over="ignore", invalid="ignore"):
            away = keys - self.origin
            away *= self.step
        # fmax and fmin, unlike clip, turn NaN into a number, which can be cast.
        np.fmax(away, 0.0, out=away)
        np.fmin(away, len(self.before) - 1.0, out=away)
        found: np.ndarray = away.astype(np.intp)
        return found

    def places(self, values: np.ndarray) -> np.ndarray:
        """Return how many of the known values are at most as large as each value."""
        cell = self.cells(values)
        place = self.before.take(cell)
        finer = self.finer
        if finer is not None:
            row = finer.row.take(cell)
            several = np.flatnonzero(row)
            fine = finer.cells(values[several], row[several])
            place[several] = finer.before.take(fine)
        place += self.ends.take(place) <= values
        if finer is not None and finer.crowded is not None:
            last = several[finer.crowded.take(fine)]
            place[last] = np.searchsorted(self.known, values[last], side="right")
        return place

    def searched(self, values: np.ndarray) -> np.ndarray:
        """Return which values are left to a binary search."""
        left = np.zeros(len(values), bool)
        if self.finer is not None and self.finer.crowded is not None:
            row = self.finer.row[self.cells(values)]
            several = np.flatnonzero(row)
            left[several] = self.finer.crowded[self.finer.cells(values[several], row[several])]
        return left


@dataclass(frozen=True)
class _Finer:
    """Cut those cells of a grid that hold several known values, each from its first to its last.

    `row` tells for each cell of the grid where what is known of its cut stands; 0 where it is not cut.
    """

    row: np.ndarray
    origin: np.ndarray
    step: np.ndarray
    first: np.ndarray
    last: np.ndarray
    before: np.ndarray
    crowded: np.ndarray | None

    @classmethod
    def of(cls, known: np.ndarray, cells: np.ndarray, counts: np.ndarray, before: np.ndarray) -> _Finer:
        """Cut the cells with counts above 1, given how many known values lie before each."""
        cut = np.flatnonzero(counts > 1)
        row = np.zeros(len(counts), np.intp)
        row[cut] = np.arange(1, len(cut) + 1)
        low, high = known[before[cut]], known[before[cut] + counts[cut] - 1]
        size = 8 * counts[cut]
        first = np.cumsum(size) - size
        # Row 0 stands for cells that are not cut.
        made = cls(
            row, np.append(0.0, low), np.append(0.0, _step(low, high, size)), np.append(0, first),
            np.append(0.0, size - 1.0), np.empty(0, np.intp), None,
        )  # fmt: skip
        inside = row[cells] > 0
        fine = np.bincount(made.cells(known[inside], row[cells[inside]]), minlength=int(size.sum()))
        lower = np.cumsum(fine) - fine
        lower += np.repeat(before[cut] - (np.cumsum(counts[cut]) - counts[cut]), size)
        return replace(made, before=lower, crowded=fine > 1 if fine.max() > 1 else None)

    def cells(self, values: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return the fine cell of each value within the cut of its cell."""
        with np.errstate(over="ignore", invalid="ignore"):
            away = values - self.origin.take(row)
            away *= self.step.take(row)
        np.fmax(away, 0.0, out=away)
        np.fmin(away, self.last.take(row), out=away)
        found: np.ndarray = away.astype(np.intp)
        found += self.first.take(row)
        return found


def _step(low: Any, high: Any, size: Any) -> Any:
    """Return how many cells there are to one unit, of a size from low to high; 0 where these are equal."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        step = np.minimum((size - 1.0) / np.subtract(high, low), 1e300)
    return np.where(np.greater(high, low), step, 0.0)


def _bits(values: np.ndarray) -> np.ndarray:
    """Return whole numbers that rise with the values, by equal steps within each power of two."""
    word = (values + 0.0).view(np.int64)  # + 0.0: the two zeros are equal
    rising: np.ndarray = word ^ ((word >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))
    return rising
