"""A given number of rows that stand for all: one for each cluster."""

from __future__ import annotations

import numpy as np


def representatives(rows: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster rows by k-means, and choose of each cluster the row that is nearest to its center.

    Where the rows have fewer different places than clusters are asked for, rows that are as near to their
    center as those chosen are taken too, the first ones first.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns), float64
        Without gaps. Starts are drawn by position: sort the rows where results must not depend on order.
    count : int, from 1 to n_rows
    seed : int

    Returns
    -------
    chosen : ndarray of shape (n_rows,), bool
        Exactly `count` of them.
    distances : ndarray of shape (n_rows,), float64
        To the center of the row's cluster.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [2.0], [8.0], [9.0], [10.0]])
    >>> chosen, distances = representatives(rows, 2, 0)
    >>> np.flatnonzero(chosen).tolist(), distances.tolist()
    ([1, 4], [1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    """
    from sklearn.cluster import KMeans

    places = len(np.unique(rows, axis=0))
    model = KMeans(min(count, places), n_init=1, random_state=seed % 2**32)
    member_of = model.fit_predict(rows)
    distances = np.sqrt(np.square(rows - model.cluster_centers_[member_of]).sum(axis=1))
    order = np.lexsort((distances, member_of))
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows)) - np.searchsorted(member_of[order], member_of[order])
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[np.lexsort((distances, rank))[:count]] = True
    return chosen, distances
