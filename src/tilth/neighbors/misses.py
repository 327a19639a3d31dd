"""Rows of one class by how near they come to another: NearMiss."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tilth.neighbors.arrays import NumpyArrays
from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space
from tilth.neighbors.tiles import Tiles

# Bytes of one block of pairs.
BLOCK_BYTES = 32 << 20


def near_misses(
    space: Space,
    rows: np.ndarray,
    own: np.ndarray,
    others: np.ndarray,
    keep: int,
    k: int,
    version: Literal[1, 2, 3],
    device: str = "cpu",
) -> tuple[np.ndarray, np.ndarray, int]:
    """Choose rows of a class by their mean distance to rows of another.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    own : ndarray of shape (n_own,), int
        Positions of the rows to choose from; of equally good ones the first is taken.
    others : ndarray of shape (n_others,), int
        Positions of the rows of the other class.
    keep : int
        How many to choose.
    k : int
        To how many of the others.
    version : {1, 2, 3}
        1: those nearest to their `k` nearest others. 2: those nearest to their `k` farthest others.
        3: of the rows that are among the `k` nearest of some other row, those farthest from their `k`
        nearest; where these are fewer than `keep`, with more neighbors, until they are enough.
    device : str
        See `nearest`.

    Returns
    -------
    chosen : ndarray of shape (n_own,), bool
    distances : ndarray of shape (n_own,), float64
        The mean distance of each row; infinity where it has no cell in common with any other.
    k : int
        The neighbors that version 3 had to look at.

    Source
    ------
    Mani and Zhang, "kNN approach to unbalanced data distributions: a case study involving information
    extraction", ICML 2003 workshop on learning from imbalanced datasets.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])
    >>> near_misses(Space(), rows, np.arange(3), np.array([3, 4]), 1, 1, 1)[0].tolist()
    [False, False, True]
    """
    some = min(k, len(others))
    if version == 2:
        distances = _farthest(space, rows[own], rows[others], some)
    else:
        distances = _mean(nearest(space, rows[own], rows[others], some, device=device)[0])
    chosen = np.zeros(len(own), dtype=bool)
    if version != 3:
        chosen[np.argsort(distances, kind="stable")[:keep]] = True
        return chosen, distances, k
    among = np.arange(len(own))
    while True:
        found = nearest(space, rows[others], rows[own], min(k, len(own)), device=device)[1]
        met = np.unique(found[found >= 0])
        if len(met) >= keep:
            among = met
            break
        if k >= len(own):
            # Some are out of reach of all the others: they come last.
            distances = np.where(np.isin(among, met), distances, -np.inf)
            break
        k = min(2 * k, len(own))
    chosen[among[np.argsort(-distances[among], kind="stable")[:keep]]] = True
    return chosen, np.where(np.isneginf(distances), np.inf, distances), k


def _mean(distances: np.ndarray) -> np.ndarray:
    """Return the mean of the distances that are finite; infinity where none is."""
    there = np.isfinite(distances)
    total = np.where(there, distances, 0.0).sum(axis=1)
    count = there.sum(axis=1)
    return np.divide(total, count, out=np.full(len(distances), np.inf), where=count > 0)


def _farthest(space: Space, query: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
    """Return the mean distance to the `k` farthest reference rows."""
    sides = space.sides(query, reference)
    masked = not (sides.q_present.all() and sides.r_present.all())
    tiles = Tiles(sides, masked=masked, arrays=NumpyArrays(), dtype="float64")
    far = np.empty((len(query), k))
    step = max(BLOCK_BYTES // (tiles.cell_bytes * len(reference)), 1)
    for start in range(0, len(query), step):
        block = np.arange(start, min(start + step, len(query)))
        tile = tiles.of(slice(start, start + len(block)), slice(0, len(reference)))
        # Out of reach is not far.
        tile[np.isinf(tile)] = -np.inf
        found = np.argpartition(tile, -k, axis=1)[:, -k:]
        measures = sides.between(np.repeat(block, k), found.ravel(), masked=masked)
        far[block] = sides.distances(measures, masked=masked).reshape(len(block), k)
    return _mean(far)
