"""Rows that occur more than once: searched for once, and told apart afterwards."""

from __future__ import annotations

import numpy as np

_ODD = np.uint64(0x9E3779B97F4A7C15)


def distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each distinct row comes first, rising, and for every row which distinct one it is.

    Missing cells are alike. Rows are told apart by a hash of 64 bits; should two different rows ever share
    one, no row is said to be a copy.

    Returns
    -------
    first : ndarray of shape (n_distinct,), int64
    member_of : ndarray of shape (n_rows,), int64
    """
    with np.errstate(over="ignore"):
        hashed = np.zeros(len(rows), dtype=np.uint64)
        for column in rows.T:
            # Adding 0 turns -0 into 0; what a NaN holds does not count.
            bits = np.where(np.isnan(column), np.nan, column + 0.0).view(np.uint64)
            hashed = (hashed ^ bits) * _ODD
            hashed ^= hashed >> np.uint64(29)
    _, first, member_of = np.unique(hashed, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    first, member_of = np.sort(first), rank[member_of]
    for start in range(0, len(rows), 1 << 16):
        block = slice(start, start + (1 << 16))
        if not np.array_equal(rows[block], rows[first[member_of[block]]], equal_nan=True):
            return np.arange(len(rows)), np.arange(len(rows))
    return first, member_of


def told_apart(
    distances: np.ndarray, indices: np.ndarray, member_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the k nearest distinct rows into the k nearest rows, equal distances by index.

    A row among the k nearest is a copy of one of the k nearest distinct rows: whatever comes before that
    one has a copy that comes before the row.

    Parameters
    ----------
    distances, indices : ndarray of shape (n_query, k)
        Of distinct rows, numbered by where they come first; -1 where there is none.
    member_of : ndarray of shape (n_reference,)
        Which distinct row each row is.
    """
    n_query, k = indices.shape
    counts = np.bincount(member_of)
    members, starts = np.argsort(member_of, kind="stable"), np.cumsum(counts) - counts
    takes = np.where(indices >= 0, np.minimum(counts[indices], k), 0)
    # Where k rows are nearer, the rest is not needed; of equally near ones all may be.
    before = np.cumsum(takes, axis=1) - takes
    place = np.arange(k)
    begins = np.ones((n_query, k), dtype=bool)
    begins[:, 1:] = distances[:, 1:] != distances[:, :-1]
    nearer = np.take_along_axis(before, np.maximum.accumulate(np.where(begins, place, 0), axis=1), 1)
    takes[nearer >= k] = 0
    row, column = np.nonzero(takes)
    times = takes[row, column]
    step = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    found = members[np.repeat(starts[indices[row, column]], times) + step]
    far, row = np.repeat(distances[row, column], times), np.repeat(row, times)
    order = np.lexsort((found, far, row))
    row, far, found = row[order], far[order], found[order]
    rank = np.arange(row.size) - np.searchsorted(row, row)
    kept = rank < k
    out = np.full((n_query, k), np.inf), np.full((n_query, k), -1, dtype=np.int64)
    out[0][row[kept], rank[kept]], out[1][row[kept], rank[kept]] = far[kept], found[kept]
    return out


def without_self(distances: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take each row out of its own list of neighbors, and the last one where it is not in it."""
    own = indices == np.arange(len(indices))[:, None]
    own[:, -1] |= ~own.any(axis=1)
    shape = (len(indices), indices.shape[1] - 1)
    return distances[~own].reshape(shape), indices[~own].reshape(shape)
