"""The nearest rows of one's own group."""

from __future__ import annotations

import numpy as np

from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space

# Groups up to this many rows are compared pair by pair, all such groups at once.
SMALL = 256
# Pairs measured at once.
PAIRS = 1 << 20


def nearest_in_groups(
    space: Space, rows: np.ndarray, groups: np.ndarray | None, k: int, *, device: str = "cpu"
) -> np.ndarray:
    """Find for each row the `k` nearest other rows of its group, as `nearest` orders them.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    groups : ndarray of shape (n_rows,), int, optional
        None: all rows are one group.
    k : int, >= 1
    device : str
        For large groups; see `nearest`.

    Returns
    -------
    ndarray of shape (n_rows, k), int64
        -1 where a row has fewer neighbors within reach.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [1.2], [5.0]])
    >>> nearest_in_groups(Space(), rows, np.array([0, 0, 1, 0]), 2).tolist()
    [[1, 3], [0, 3], [-1, -1], [1, 0]]
    """
    if groups is None:
        return nearest(space, rows, rows, k, exclude_self=True, device=device)[1]
    out = np.full((len(rows), k), -1, dtype=np.int64)
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    for start, size in zip(starts[sizes > SMALL], sizes[sizes > SMALL], strict=True):
        own = order[start : start + size]
        found = nearest(space, rows[own], rows[own], k, exclude_self=True, device=device)[1]
        out[own] = np.where(found >= 0, own[found], -1)
    few = (sizes > 1) & (sizes <= SMALL)
    if few.any():
        sides = space.sides(rows, rows)
        masked = not (sides.q_present.all() and sides.r_present.all())
        # Each row's run of partners is its group's, without itself.
        runs = np.cumsum(sizes[few] ** 2)
        for first, last in _shares(runs):
            i, j = _pairs(order, starts[few][first:last], sizes[few][first:last])
            measures = sides.between(i, j, masked=masked)
            near = np.isfinite(measures)
            i, j, measures = i[near], j[near], measures[near]
            best = np.lexsort((j, measures, i))
            i, j = i[best], j[best]
            rank = np.arange(len(i)) - np.searchsorted(i, i)
            out[i[rank < k], rank[rank < k]] = j[rank < k]
    return out


def _shares(runs: np.ndarray) -> list[tuple[int, int]]:
    """Part groups so that each part has about `PAIRS` pairs; `runs` counts them up to each group."""
    part = runs // PAIRS
    bounds = np.append(np.flatnonzero(np.diff(part, prepend=-1)), len(runs))
    return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))


def _pairs(order: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all ordered pairs of different rows within each group."""
    size = np.repeat(sizes, sizes)
    start = np.repeat(starts, sizes)
    one = start + np.arange(len(start)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    i = np.repeat(one, size)
    j = np.repeat(start, size) + np.arange(len(i)) - np.repeat(np.cumsum(size) - size, size)
    return order[i[i != j]], order[j[i != j]]
