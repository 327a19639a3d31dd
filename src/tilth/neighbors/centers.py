"""Few rows such that no other is far from all of them."""

from __future__ import annotations

import numpy as np

from tilth.errors import DataError
from tilth.neighbors.arrays import NumpyArrays
from tilth.neighbors.space import Space
from tilth.neighbors.tiles import Tiles


def k_center(
    space: Space, rows: np.ndarray, size: int, given: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose centers one after another, each the row that is farthest from those chosen before.

    The farthest row is then at most twice as far from its center as for the best choice of so many centers.
    The first rows are the first centers; of rows equally far the first is taken.

    Parameters
    ----------
    space : Space
        A row out of reach of all centers is farther than any other.
    rows : ndarray of shape (n_rows, n_columns)
    size : int, from 1 to n_rows
    given : int, from 1 to size
        So many rows, the first, are centers before any is chosen.

    Returns
    -------
    centers : ndarray of shape (size,), int64
        In the order they were chosen.
    center_of : ndarray of shape (n_rows,), int64
        The place in `centers` of the nearest one.
    distances : ndarray of shape (n_rows,), float64
        To it; infinity for a row out of reach of all.

    Source
    ------
    Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 38
    (1985).

    Examples
    --------
    >>> centers, center_of, distances = k_center(Space(), np.array([[0.0], [1.0], [9.0]]), 2)
    >>> centers.tolist(), center_of.tolist(), distances.tolist()
    ([0, 2], [0, 0, 1], [0.0, 1.0, 0.0])
    """
    n_rows = len(rows)
    if not 1 <= size <= n_rows:
        raise DataError(f"neighbors: {size} centers of {n_rows} rows; ask for 1 to {n_rows}.")
    if not 1 <= given <= size:
        raise DataError(f"neighbors: {given} of {size} centers are given; give 1 to {size}.")
    sides = space.sides(rows, rows)
    masked = not sides.q_present.all()
    arrays = NumpyArrays()
    tiles = Tiles(sides, masked=masked, arrays=arrays, dtype="float64")
    everything = slice(0, n_rows)
    centers = np.zeros(size, dtype=np.int64)
    measures = tiles.of(slice(0, 1), everything)[0].copy()
    center_of = np.zeros(n_rows, dtype=np.int64)
    # A center is no center's again, even where copies leave no row to choose that lies elsewhere.
    measures[0] = -np.inf
    for place in range(1, size):
        new = place if place < given else int(measures.argmax())
        centers[place] = new
        line = tiles.of(slice(new, new + 1), everything)[0]
        nearer = line < measures
        np.copyto(measures, line, where=nearer)
        center_of[nearer] = place
        measures[new], center_of[new] = -np.inf, place
    exact = np.concatenate(
        [
            sides.between(part, centers[center_of[part]], masked=masked)
            for part in np.array_split(np.arange(n_rows), max(n_rows * sides.n_columns >> 20, 1))
        ]
    )
    exact[centers] = 0.0
    return centers, center_of, sides.distances(exact, masked=masked)
