"""Rows at the border between classes, and rows that the border does not need."""

from __future__ import annotations

import numpy as np

from tilth.neighbors.arrays import NumpyArrays
from tilth.neighbors.editing import neighbors_of
from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space
from tilth.neighbors.tiles import Tiles


def tomek_links(space: Space, rows: np.ndarray, codes: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Find pairs of rows of different classes that are each other's nearest neighbor.

    Of two linked rows at least one is not of the largest class: only these are looked for, and the
    neighbors of what they find.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    codes : ndarray of shape (n_rows,), int
        The class of each row.
    device : str
        See `nearest`.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        The row each is linked with; -1 for none.

    Source
    ------
    Tomek, "Two modifications of CNN", IEEE Transactions on Systems, Man, and Cybernetics 6 (1976).

    Examples
    --------
    >>> rows, codes = np.array([[0.0], [0.1], [0.9], [1.0]]), np.array([0, 0, 0, 1])
    >>> tomek_links(Space(), rows, codes).tolist()
    [-1, -1, 3, 2]
    """
    link = np.full(len(rows), -1, dtype=np.int64)
    asked = np.flatnonzero(codes != np.bincount(codes).argmax())
    if len(rows) < 2 or not asked.size:
        return link
    near = np.full(len(rows), -1, dtype=np.int64)
    near[asked] = neighbors_of(space, rows, asked, 1, device)[:, 0]
    found = near[asked]
    apart = (found >= 0) & (codes[found] != codes[asked])
    one, other = asked[apart], found[apart]
    more = np.unique(other[near[other] < 0])
    if more.size:
        near[more] = neighbors_of(space, rows, more, 1, device)[:, 0]
    mutual = near[other] == one
    link[one[mutual]], link[other[mutual]] = other[mutual], one[mutual]
    return link


def apart(space: Space, rows: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Measure the distance of rows `i` to rows `j`: (n_pairs,)."""
    sides = space.sides(rows[i], rows[j])
    masked = not (sides.q_present.all() and sides.r_present.all())
    pairs = np.arange(len(i))
    return sides.distances(sides.between(pairs, pairs, masked=masked), masked=masked)


def condensed(
    space: Space, rows: np.ndarray, own: np.ndarray, others: np.ndarray, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Choose rows of a class so that, of them and another class, the nearest tells the class of each met.

    The rows of the class are met one after another; one that is nearer to the other class than to the rows
    chosen so far is chosen too. The first always is.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    own : ndarray of shape (n_own,), int
        Positions of the rows of the class, in the order they are met.
    others : ndarray of shape (n_others,), int
        Positions of the rows of the other class.
    device : str
        Where the nearest of the other class are looked for; see `nearest`.

    Returns
    -------
    chosen : ndarray of shape (n_own,), bool
    lead : ndarray of shape (n_own,), float64
        How much nearer the nearest row chosen is than the nearest of the other class.

    Source
    ------
    Hart, "The condensed nearest neighbor rule", IEEE Transactions on Information Theory 14 (1968).
    """
    chosen = np.zeros(len(own), dtype=bool)
    chosen[0] = True
    sides = space.sides(rows[own], rows[own])
    masked = not sides.q_present.all()
    tiles = Tiles(sides, masked=masked, arrays=NumpyArrays(), dtype="float64")
    to_others = nearest(space, rows[own], rows[others], 1, device=device)[0][:, 0]
    measures, to_own, place = np.full(len(own), np.inf), np.full(len(own), np.inf), 0
    while True:
        shown = tiles.of(slice(place, place + 1), slice(place, len(own)))[0]
        # Products choose the rows that may have come nearer; what they differ by is measured.
        row = np.full(len(shown), place)
        nearer = place + np.flatnonzero(shown <= tiles.bound(row, measures[place:]))
        measured = sides.between(nearer, np.full(len(nearer), place), masked=masked)
        measures[nearer] = np.minimum(measures[nearer], measured)
        to_own[nearer] = sides.distances(measures[nearer], masked=masked)
        wrong = np.flatnonzero(to_others[place + 1 :] < to_own[place + 1 :])
        if not wrong.size:
            return chosen, _lead(to_others, to_own)
        place += 1 + int(wrong[0])
        chosen[place] = True


def beyond_one(
    space: Space, rows: np.ndarray, own: np.ndarray, others: np.ndarray, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the first row of a class, and all that are nearer to another class than to it.

    The rest say nothing about the border (Kubat and Matwin 1997).

    Parameters
    ----------
    own, others, device
        As for `condensed`, which returns the same.
    """
    to_first = nearest(space, rows[own], rows[own[:1]], 1, device=device)[0][:, 0]
    to_others = nearest(space, rows[own], rows[others], 1, device=device)[0][:, 0]
    chosen = to_others < to_first
    chosen[0] = True
    return chosen, _lead(to_others, to_first)


def _lead(to_others: np.ndarray, to_own: np.ndarray) -> np.ndarray:
    """Return the difference of two distances; NaN where either is out of reach."""
    there = np.isfinite(to_others) & np.isfinite(to_own)
    return np.subtract(to_others, to_own, out=np.full(len(to_own), np.nan), where=there)
