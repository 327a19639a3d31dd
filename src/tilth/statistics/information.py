"""How much categories, or numbers in bins, tell of a target, and how much that is beyond chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def binned(values: NDArray[np.float64], bins: int) -> Codes:
    """Cut numbers into bins of about as many rows each; equal numbers share a bin.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), float64
        NaN where missing.
    bins : int

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Codes from 0; missing cells are the last.

    Examples
    --------
    >>> binned(np.array([5.0, 1.0, 2.0, np.nan, 9.0]), 2).tolist()
    [1, 0, 0, 2, 1]
    """
    known = ~np.isnan(values)
    distinct = np.unique(values[known])
    if len(distinct) <= bins:
        edges = distinct[1:]
    else:
        shares = np.arange(1, bins) / bins
        edges = np.quantile(values[known], shares, method="higher")
        # Where most values are the smallest, that one has a bin of its own.
        edges = np.unique(np.maximum(edges, distinct[1]))
    codes = np.searchsorted(edges, values, side="right")
    return np.where(known, codes, len(edges) + 1).astype(np.int64)


def mutual_information(
    columns: Codes, target: Codes, weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the mutual information of each column with the target, in nats.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns), int64
        Codes from 0.
    target : ndarray of shape (n_rows,), int64
        Codes from 0.
    weight : ndarray of shape (n_rows,), optional

    Returns
    -------
    ndarray of shape (n_columns,), float64

    Examples
    --------
    >>> both = np.array([0, 0, 1, 1])
    >>> mutual_information(np.column_stack([both, [0, 1, 0, 1]]), both).round(3).tolist()
    [0.693, 0.0]
    """
    classes = int(target.max(initial=0)) + 1
    found = np.zeros(columns.shape[1])
    for place in range(columns.shape[1]):
        levels = int(columns[:, place].max(initial=0)) + 1
        counts = np.bincount(columns[:, place] * classes + target, weight, minlength=levels * classes)
        share = counts.reshape(levels, classes) / max(counts.sum(), 1e-300)
        apart = share.sum(axis=1)[:, None] * share.sum(axis=0)
        there = share > 0
        found[place] = (share[there] * np.log(share[there] / apart[there])).sum()
    return np.maximum(found, 0.0)


def beyond_chance(
    information: NDArray[np.float64], rows: int, levels: Codes, classes: int
) -> NDArray[np.float64]:
    """Return mutual information in standard deviations above what chance gives, whatever the levels are.

    Twice the information times the rows is about chi-squared where nothing is told; its cube root is about
    normal.

    Parameters
    ----------
    information : ndarray of shape (n_columns,)
        In nats.
    rows : int
    levels : ndarray of shape (n_columns,), int64
        Levels of each column that occur.
    classes : int
        Levels of the target that occur.

    Source
    ------
    Wilson and Hilferty, "The distribution of chi-square", PNAS 17 (1931).

    Examples
    --------
    >>> beyond_chance(np.array([0.0, 0.05, 0.5]), 100, np.array([3, 3, 3]), 2).round(1).tolist()
    [-2.7, 2.5, 8.4]
    """
    free = np.maximum((levels - 1) * (classes - 1), 0).astype(np.float64)
    spread = 2 / (9 * np.maximum(free, 1.0))
    z = (np.cbrt(2 * rows * information / np.maximum(free, 1.0)) - (1 - spread)) / np.sqrt(spread)
    return np.where(free > 0, z, 0.0)
