"""Which rows a made row was made of: the two on whose line it lies."""

from __future__ import annotations

import numpy as np

from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space

ROUNDS = (8, 64, 512)
"""Nearest rows among which the farther parent is looked for, and again, among more, where it is not found."""
OUTWARD = -0.5
"""How far from its parent a row may lie on the side away from the other one, as SVM-SMOTE makes some."""
CELLS = 1 << 22
PAIRS = 1 << 18
"""Candidates searched for, and pairs looked at, at once."""


def parents_of(
    space: Space, made: np.ndarray, source: np.ndarray, tolerance: np.ndarray, *, k: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the two source rows on whose line each made row lies; where there are none, the nearest row.

    Where several pairs would do, as in one dimension, that of the nearest rows is taken. A row outwards of
    a pair is given to the nearer one.

    Parameters
    ----------
    space : Space
        How near rows are.
    made : ndarray of shape (n_made, n_columns)
    source : ndarray of shape (n_source, n_columns)
        At least one row.
    tolerance : ndarray of shape (n_columns,)
        How far from the line a number may lie by rounding; NaN for a column that is no number, and is not
        asked.
    k : int
        Among how many nearest rows of the one parent the other was chosen. Of two such parents at least one
        is among the k + 1 nearest of a row between them.

    Returns
    -------
    parents : ndarray of shape (n_made, 2), int64
        Twice the same where there is one.
    share : ndarray of shape (n_made,), float64
        That of the second, from 0 to 1.
    told : ndarray of shape (n_made,), bool
        The row lies on the line of its parents, or its numbers are those of its one parent.

    Examples
    --------
    >>> source = np.array([[0.0, 0.0], [4.0, 4.0], [9.0, 1.0]])
    >>> made = np.array([[1.0, 1.0], [7.0, 0.0]])
    >>> parents, share, told = parents_of(Space(), made, source, np.full(2, 1e-9))
    >>> parents.tolist(), share.tolist(), told.tolist()
    ([[0, 1], [2, 2]], [0.25, 0.0], [True, False])
    """
    parents, share = np.zeros((len(made), 2), np.int64), np.zeros(len(made))
    told = np.zeros(len(made), dtype=bool)
    asked = np.flatnonzero(~np.isnan(tolerance))
    # In units of the tolerance; the columns that tell most first.
    power = np.nan_to_num(np.nanstd(source[:, asked], axis=0) / tolerance[asked])
    asked = asked[np.argsort(-power, kind="stable")]
    numbers, rows = made[:, asked] / tolerance[asked], source[:, asked] / tolerance[asked]
    for place, wide in enumerate(min(wide, len(source)) for wide in ROUNDS):
        left = np.flatnonzero(~told)
        step = max(CELLS // wide, 1)
        for start in range(0, len(left), step):
            these = left[start : start + step]
            at = nearest(space, made[these], source, wide)[1]
            if place == 0:
                # Out of reach of all: the first row is as good as any.
                parents[these] = np.maximum(at[:, :1], 0)
            part = max(PAIRS // ((k + 3) * wide), 1)
            for first in range(0, len(these) if asked.size else 0, part):
                some = slice(first, first + part)
                found = _on_lines(numbers[these[some]], rows, at[some], min(k + 3, wide))
                hit = these[some][found[2]]
                parents[hit], share[hit], told[hit] = found[0][found[2]], found[1][found[2]], True
        if wide == len(source):
            break
    return parents, share, told


def _on_lines(
    made: np.ndarray, source: np.ndarray, at: np.ndarray, few: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do the same for rows in units of the tolerance.

    One parent is among the first few candidates, the other is any that comes after it. By the two columns
    that tell most, three rows lie on a line where the ways to two of them span hardly any area; what is left
    is held against all columns.

    Parameters
    ----------
    at : ndarray of shape (n_made, n_candidates), int64
        Candidates, the nearest first; -1 for none.
    few : int
    """
    n_made, many = at.shape
    parents, share = np.repeat(at[:, :1], 2, axis=1), np.zeros(n_made)
    told = np.zeros(n_made, dtype=bool)
    ways = source[:, :2][at] - made[:, None, :2]
    ways[at < 0] = np.nan
    row, one = np.nonzero((ways[:, :few] == 0).all(axis=2))
    same = (source[at[row, one]] == made[row]).all(axis=1)
    row, one = row[same][::-1], one[same][::-1]  # the nearest last, so that it stays
    parents[row], told[row] = at[row, one, None], True
    lengths = np.abs(ways).sum(axis=2)
    area = ways[:, :few, None, 0] * ways[:, None, :, -1]
    area -= ways[:, :few, None, -1] * ways[:, None, :, 0]
    room = lengths[:, :few, None] + lengths[:, None, :]
    good = np.abs(area) <= 2 * room
    good &= np.arange(few)[:, None] < np.arange(many)
    good[told] = False
    row, one, other = np.nonzero(good)
    step = max(PAIRS // source.shape[1], 1)
    best = np.full(n_made, np.inf)
    for start in range(0, len(row), step):
        r, i, j = (part[start : start + step] for part in (row, one, other))
        gap, off = _fit(made[r], source[at[r, i]], source[at[r, j]])
        hit = (off <= 1) & (gap >= OUTWARD) & (gap <= 1)
        r, i, j, gap = r[hit], i[hit], j[hit], gap[hit]
        # Between two rows rather than outwards of them, and of near rows rather than of far ones.
        worth = (gap < 0) * 2.0 * many**2 + j * many + i
        order = np.lexsort((-worth, r))  # the best of each row last, so that it stays
        order = order[worth[order] < best[r[order]]]
        r, i, j = r[order], i[order], j[order]
        best[r], parents[r] = worth[order], np.column_stack([at[r, i], at[r, j]])
        share[r], told[r] = np.clip(gap[order], 0.0, 1.0), True
    return parents, share, told


def _fit(row: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far from `one` to `other` rows lie, and how far the worst number is off the line.

    Rows that miss a number, and pairs of equal rows, lie on no line.
    """
    way = other - one
    length = np.einsum("ij,ij->i", way, way)
    gap = np.einsum("ij,ij->i", row - one, way) / np.where(length > 0, length, 1.0)
    off = np.abs(row - (one + gap[:, None] * way)).max(axis=1)
    return gap, np.where(length > 0, off, np.inf)
