"""How many of a row's nearest rows are of another class."""

from __future__ import annotations

import numpy as np

from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space


def nearest_to_some(
    space: Space, rows: np.ndarray, some: np.ndarray, k: int, *, device: str = "cpu"
) -> np.ndarray:
    """Find the `k` nearest of all other rows, for some of the rows.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    some : ndarray of shape (n_some,), int64
        Positions in `rows`.
    k : int, >= 1

    Returns
    -------
    ndarray of shape (n_some, k), int64
        -1 where there are fewer within reach.
    """
    found = nearest(space, rows[some], rows, k + 1, device=device)[1]
    # A row is among its own k + 1 nearest, unless its copies fill them: then the last one goes.
    own = found == some[:, None]
    own[:, -1] |= ~own.any(axis=1)
    return found[~own].reshape(len(some), k)


def others_near(
    space: Space, rows: np.ndarray, labels: np.ndarray, some: np.ndarray, m: int, *, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Count the rows of another class among the `m` nearest of some rows, and all there are of these.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    labels : ndarray of shape (n_rows,), int
    some : ndarray of shape (n_some,), int64
        Positions in `rows`.
    m : int, >= 1

    Returns
    -------
    others, all : ndarray of shape (n_some,), int64
        `all` is `m`, but for rows that have fewer within reach.

    Examples
    --------
    >>> rows, labels = np.array([[0.0], [1.0], [1.5], [9.0]]), np.array([0, 0, 1, 1])
    >>> others, everyone = others_near(Space(), rows, labels, np.array([0, 1]), 2)
    >>> others.tolist(), everyone.tolist()
    ([1, 1], [2, 2])
    """
    found = nearest_to_some(space, rows, some, m, device=device)
    there = found >= 0
    return (there & (labels[found] != labels[some][:, None])).sum(axis=1), there.sum(axis=1)
