"""Rows parted in halves, again and again, so that only rows that may be near each other are compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tilth.neighbors.space import Sides

LEAF = 256
"""Rows that are compared with each other rather than parted further."""

SAMPLE = 256
"""Rows that choose where to part."""

MOST_COLUMNS = 64
"""Columns tried for a place to part."""

USEFUL = 0.99
"""A cut that leaves more than this share of the comparisons is not worth making."""

FEW = 1 / 32
"""Where fewer pairs are left, they are measured one by one."""

# Rounding of a sum of many terms, with room to spare; what is measured in the end decides.
SLACK = 1 + 1e-9


class Halves:
    """Walk over all pairs of rows that may be within a radius, and lose none that is.

    A part of the rows owns its rows, and has guests: rows of other parts that may be near to one of its
    own. A pair is compared in one part, by the row that is owned there. What a guest is apart from the box
    around the owned rows, summed over columns, is no more than it is apart from any of them: a guest beyond
    the radius leaves. A row whose cell is missing where the part is cut may be near to both sides.

    Parameters
    ----------
    sides : Sides
        Rows against themselves.
    budget : float
        What a shared column may add to the sum of differences, on average.
    block_bytes : int
        Memory for one block of comparisons.

    Attributes
    ----------
    filtered : int
        How many guests were held against a box so far.
    """

    def __init__(self, sides: Sides, budget: float, block_bytes: int) -> None:
        self.sides, self.block_bytes = sides, block_bytes
        self.gower = sides.space.metric == "gower"
        n_numbers = len(sides.widths)
        self.cells: NDArray[np.float64] = np.empty((len(sides.q_present), sides.n_columns))
        self.cells[:, :n_numbers] = sides.q_numbers
        self.cells[:, n_numbers:] = np.where(sides.q_present[:, n_numbers:], sides.q_codes, np.nan)
        self.masked = not sides.q_present.all()
        self.coded = np.arange(self.cells.shape[1]) >= n_numbers
        self.widths = np.concatenate([sides.widths, np.ones(self.coded.sum())])
        # No pair shares more columns than either of its rows has.
        self.most = sides.q_present.sum(axis=1) * budget * SLACK
        allowed = budget * sides.n_columns * SLACK
        number = allowed * self.widths if self.gower else np.full(len(self.widths), np.sqrt(allowed))
        code = 0.0 if sides.space.mismatch > allowed else np.inf
        self.reach = np.where(self.coded, code, number)
        self.tried = self._spread_most()
        self.filtered = 0

    def _spread_most(self) -> np.ndarray:
        """Return the columns that tell most rows apart, at most `MOST_COLUMNS`."""
        n_columns = self.cells.shape[1]
        if n_columns <= MOST_COLUMNS or not len(self.cells):
            return np.arange(n_columns)
        some = self._sample(np.arange(len(self.cells)))
        apart = np.fmax(self._costs(np.abs(some - some[::-1])), 0.0)
        return np.sort(np.argsort(-apart.mean(axis=0), kind="stable")[:MOST_COLUMNS])

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give parts that need no more parting: their rows, and their guests."""
        waiting = [(np.arange(len(self.cells)), np.empty(0, np.int64))]
        while waiting:
            owned, guests = waiting.pop()
            if guests.size:
                guests = self._near(guests, *self._box(owned))
            cut = self._choose(owned) if len(owned) > LEAF else None
            if cut is None:
                if len(owned) > 1 or guests.size:
                    yield owned, guests
                continue
            column, last = cut
            value = self.cells[owned, column]
            left, right, gone = owned[value <= last], owned[value > last], owned[np.isnan(value)]
            near = right[value[value > last] - last <= self.reach[column]]
            waiting.append((right, np.concatenate([guests, gone])))
            waiting.append((left, np.concatenate([guests, near, gone])))
            if gone.size:
                waiting.append((gone, guests))

    def _choose(self, owned: np.ndarray) -> tuple[int, float] | None:
        """Return the column to cut and the last value on its left, or None where no cut helps.

        Of a part cut into shares l and r, with a share f of guests for the left and m missing in the
        column, l (l + f + m) + r (r + m) + m m of the comparisons are left.
        """
        values = np.sort(self._sample(owned)[:, self.tried], axis=0)
        count = len(values)
        there = count - np.isnan(values).sum(axis=0)
        best, chosen = USEFUL, None
        for place, column in enumerate(self.tried):
            known = values[: there[place], place]
            if not known.size or known[0] == known[-1]:
                continue
            # Equal values stay on one side.
            at = known.searchsorted(known[known.size // 16 :: max(known.size // 16, 1)], side="left")
            at = at[at > 0]
            if not at.size:
                at = known.searchsorted(known[-1:], side="left")
            near = known.searchsorted(known[at - 1] + self.reach[column], side="right") - at
            left, right = at / count, (known.size - at) / count
            missing = 1 - known.size / count
            work = left * (left + near / count + missing) + right * (right + missing) + missing**2
            least = int(np.argmin(work))
            if work[least] < best:
                best, chosen = float(work[least]), (int(column), float(known[at[least] - 1]))
        return chosen

    def _sample(self, rows: np.ndarray) -> np.ndarray:
        return self.cells[rows[:: max(len(rows) // SAMPLE, 1)]]

    def _box(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest value of each column; no bound where a cell is missing."""
        low, high = np.full(self.cells.shape[1], np.inf), np.full(self.cells.shape[1], -np.inf)
        for part in self._blocks(rows):
            # A missing cell makes both NaN.
            cells = self.cells[part]
            low, high = np.minimum(low, cells.min(axis=0)), np.maximum(high, cells.max(axis=0))
        return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)

    def _near(self, rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return which rows may be near to one in a box."""
        kept = []
        self.filtered += len(rows)
        for part in self._blocks(rows):
            cells = self.cells[part]
            beyond = np.fmax(np.fmax(low - cells, cells - high), 0.0)
            kept.append(part[self._costs(beyond).sum(axis=1) <= self.most[part]])
        return np.concatenate(kept)

    def _costs(self, apart: np.ndarray) -> np.ndarray:
        """Return what cells that are so far apart add to the sum."""
        numbers, codes = apart[:, ~self.coded], apart[:, self.coded]
        numbers = numbers / self.widths[~self.coded] if self.gower else numbers * numbers
        return np.hstack([numbers, (codes > 0) * self.sides.space.mismatch])

    def _blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        step = max(self.block_bytes // (8 * self.cells.shape[1]), 1)
        for start in range(0, len(rows), step):
            yield rows[start : start + step]

    def compare(self, owned: np.ndarray, guests: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give the pairs of a part that may be within the radius, in blocks.

        Differences are summed column by column, the telling ones first, until few pairs are left.
        """
        others = np.concatenate([owned, guests])
        theirs = np.ascontiguousarray(self.cells[others].T)
        order = self._telling(owned, others)
        step = max(self.block_bytes // (24 * len(others)), 1)
        for start in range(0, len(owned), step):
            rows = owned[start : start + step]
            # Of two owned rows, the later one is compared.
            place = np.arange(start, start + len(rows))
            row, other = self._survivors(rows, others, theirs, order)
            later = other > place[row]
            yield rows[row[later]], others[other[later]]

    def _telling(self, owned: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Order the columns by how far rows are apart in them."""
        some, more = self._sample(owned), self._sample(others)[::-1]
        count = min(len(some), len(more))
        apart = np.fmax(self._costs(np.abs(some[:count] - more[:count])), 0.0)
        return np.argsort(-apart.mean(axis=0), kind="stable")

    def _survivors(
        self, rows: np.ndarray, others: np.ndarray, theirs: np.ndarray, order: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs, by place, of which the sum over some columns is within what is allowed."""
        own, most = self.cells[rows], self.most[others]
        total, apart = np.zeros((len(rows), len(others))), np.empty((len(rows), len(others)))
        for turn, column in enumerate(order):
            np.abs(np.subtract(own[:, column, None], theirs[column], out=apart), out=apart)
            if self.coded[column]:
                np.multiply(apart > 0, self.sides.space.mismatch, out=apart)
            elif self.gower:
                np.divide(apart, self.widths[column], out=apart)
            else:
                np.multiply(apart, apart, out=apart)
            if self.masked:
                np.fmax(apart, 0.0, out=apart)
            total += apart
            if turn % 2 or turn + 1 == len(order):
                within = total <= most
                if turn + 1 == len(order) or np.count_nonzero(within) <= FEW * within.size:
                    break
        row, other = np.nonzero(within)
        return row, other
