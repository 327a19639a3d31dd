"""All pairs of rows within a radius, found exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tilth.errors import DataError
from tilth.neighbors.copies import distinct
from tilth.neighbors.halves import Halves
from tilth.neighbors.space import Sides, Space

MOST_PAIRS = 1 << 24
"""Pairs that are returned at most: 400 MB of them."""

MOST_COMPARED = 1 << 34
"""Pairs that are looked at, some minutes' work: all there are of 185,000 rows."""

GUEST = 8
"""What it takes to hold a guest against a box, in comparisons."""


def within(
    space: Space, rows: np.ndarray, radius: float, *, block_bytes: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find all pairs of rows at most `radius` apart.

    Rows are parted in halves, again and again, where few lie near the cut, and only rows whose parts are
    near to each other are compared. That rests on what is true of every pair, so none is lost; what is left
    is measured as `nearest` measures it. For a radius that is small against the spread of the rows, time
    grows little faster than their number.

    Rows that are equal cell by cell (missing cells are alike) count as one: a copy is paired with the first
    of its copies and with no other row; whatever is near to it is near to that one. So a million copies
    make a million pairs, and groups of rows that hang together are the same as if all pairs were there.

    Parameters
    ----------
    space : Space
        How distance is measured.
    rows : ndarray of shape (n_rows, n_columns)
        Numbers and codes; NaN is a missing cell.
    radius : float, >= 0
    block_bytes : int, optional
        Memory for one block of comparisons, by default 8 MiB. Results do not depend on it.

    Returns
    -------
    i, j : ndarray of shape (n_pairs,), int64
        Rows of each pair, i < j; pairs rising by i, then j.
    distance : ndarray of shape (n_pairs,), float64

    Raises
    ------
    DataError
        See `Space.sides`; the radius is below 0 or no number; more than 16,777,216 pairs lie within it; or
        more may than can be compared in some minutes.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0], [0.1, 1.0], [5.0, 1.0], [0.0, 1.0]])
    >>> i, j, distance = within(Space(), rows, 0.5)
    >>> i.tolist(), j.tolist(), distance.tolist()
    ([0, 0], [1, 3], [0.1, 0.0])
    """
    if not (np.isfinite(radius) and radius >= 0):
        raise DataError(f"neighbors: the radius is {radius}; it must be finite and not below 0.")
    rows = np.asarray(rows, dtype=np.float64)
    first, member_of = distinct(rows)
    alone = first.size == len(rows)
    whole = rows if alone else rows[first]
    sides = space.sides(whole, whole)
    # Both sides are the same rows, held once.
    sides = replace(sides, r_numbers=sides.q_numbers, r_present=sides.q_present)
    i, j, far = _pairs(sides, radius, block_bytes or 8 << 20)
    if not alone:
        # A row without cells is out of everything's reach, its copies' as well.
        copies = np.flatnonzero((first[member_of] != np.arange(len(rows))) & ~np.isnan(rows).all(axis=1))
        i, j = np.concatenate([first[i], first[member_of[copies]]]), np.concatenate([first[j], copies])
        far = np.concatenate([far, np.zeros(copies.size)])
    order = np.lexsort((j, i))
    return i[order], j[order], far[order]


def groups_of(i: np.ndarray, j: np.ndarray, n_rows: int) -> np.ndarray:
    """Number the groups of rows that hang together by pairs, in the order of their first rows.

    Parameters
    ----------
    i, j : ndarray of shape (n_pairs,), int
    n_rows : int

    Returns
    -------
    ndarray of shape (n_rows,), int64
        A row without a pair is a group of its own.

    Examples
    --------
    >>> groups_of(np.array([0, 3]), np.array([3, 4]), 5).tolist()
    [0, 1, 2, 0, 0]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(i), np.bool_), (i, j)), shape=(n_rows, n_rows))
    _, group = connected_components(graph, directed=False)
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[group]


def _pairs(sides: Sides, radius: float, block_bytes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of distinct rows."""
    n_columns = sides.n_columns
    halves = Halves(sides, radius if sides.space.metric == "gower" else radius**2 / n_columns, block_bytes)
    step = max(block_bytes // (n_columns * 32), 1)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    compared = count = 0
    for owned, guests in halves:
        compared += len(owned) * (len(owned) // 2 + len(guests))
        if compared + GUEST * halves.filtered > MOST_COMPARED:
            raise _too_wide(radius, f"more than {MOST_COMPARED:.0e} pairs may lie within it")
        for i, j in halves.compare(owned, guests):
            for start in range(0, len(i), step):
                one, two = i[start : start + step], j[start : start + step]
                far = sides.distances(sides.between(one, two, masked=halves.masked), masked=halves.masked)
                near = far <= radius
                one, two = one[near], two[near]
                found.append((np.minimum(one, two), np.maximum(one, two), far[near]))
                count += len(one)
            if count > MOST_PAIRS:
                raise _too_wide(radius, f"more than {MOST_PAIRS:,} pairs lie within it")
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    i, j, far = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return i, j, far


def _too_wide(radius: float, what: str) -> DataError:
    return DataError(
        f"neighbors: a radius of {radius:g} is too wide for these rows: {what}. Choose a smaller radius, "
        "leave out columns whose cells are mostly missing or equal, or search a sample of the rows."
    )
