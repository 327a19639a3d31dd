"""Rows that are typical of the parts that the data falls into."""

from __future__ import annotations

import numpy as np

from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space

NEAREST = 20
"""Rows near a row that tell how typical it is, at most."""
MOST_PARTS = 500
FEW_PARTS = 50
"""Up to so many parts are found by k-means on all rows, more of them on small batches."""
LEAST_ROWS = 5
"""A smaller part is asked last: its rows are as likely odd as typical."""


def typical(
    rows: np.ndarray, known: np.ndarray, size: int, random_state: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the most typical row of each part of the data in which none is known yet.

    The rows fall into as many parts as rows are known and chosen. The largest parts without a known row come
    first, then those with the fewest known; of each the row is chosen whose neighbors are nearest.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        Complete.
    known : ndarray of shape (n_rows,), bool
    size : int
        Rows to choose; fewer where fewer are unknown.
    random_state : int
        Of k-means.

    Returns
    -------
    chosen : ndarray of shape (n_chosen,), int64
    part : ndarray of shape (n_rows,), int64
    apart : ndarray of shape (n_rows,), float64
        The mean distance to the nearest rows; 0 for a row alone.

    Source
    ------
    Hacohen, Dekel and Weinshall, "Active learning on a budget: opposite strategies suit high and low
    budgets", ICML 2022 (TypiClust).

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [2.0], [9.0], [10.0], [11.0], [12.0], [13.0]])
    >>> typical(rows, np.arange(8) < 1, 1, 0)[0].tolist()
    [4]
    """
    import sklearn.cluster

    count = len(rows)
    parts = min(int(known.sum()) + size, MOST_PARTS, len(np.unique(rows, axis=0)))
    # Half of what a part holds, so that another part's rows do not count.
    k = max(min(NEAREST, count // (2 * parts)), 1)
    around = nearest(Space(), rows, rows, k, exclude_self=True)[0]
    reached = np.isfinite(around)
    total = np.where(reached, around, 0.0).sum(axis=1)
    apart = total / np.maximum(reached.sum(axis=1), 1)
    kind = sklearn.cluster.KMeans if parts <= FEW_PARTS else sklearn.cluster.MiniBatchKMeans
    part = kind(parts, n_init=1, random_state=random_state).fit_predict(rows).astype(np.int64)
    of_known, of_all = np.bincount(part[known], minlength=parts), np.bincount(part, minlength=parts)
    left = np.bincount(part[~known], minlength=parts)
    turns = np.lexsort((-of_all, of_known, of_all < LEAST_ROWS))
    # Once around all parts, then once more: the turn of a row, and its part's place in it.
    order = np.flatnonzero(~known)
    order = order[np.lexsort((order, apart[order], part[order]))]
    first = np.cumsum(left) - left
    turn = np.arange(len(order)) - first[part[order]]
    place = np.empty(parts, np.int64)
    place[turns] = np.arange(parts)
    chosen = order[np.lexsort((place[part[order]], turn))][:size]
    return chosen, part, apart
