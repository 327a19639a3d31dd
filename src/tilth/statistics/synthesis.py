"""Rows made of others: how many of each, where between two rows, and which category most have."""

from __future__ import annotations

import numpy as np


def apportion(total: int, weights: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Share a number of rows out by weight, so that the parts sum to it exactly.

    Each part is its share rounded down, and the largest remainders get one more; among equal ones `draws`
    decide.

    Parameters
    ----------
    total : int, >= 0
    weights : ndarray of shape (n,), float64
        At least one above 0.
    draws : ndarray of shape (n,), uint64

    Returns
    -------
    ndarray of shape (n,), int64

    Examples
    --------
    >>> apportion(7, np.array([1.0, 2.0, 0.0]), np.array([5, 3, 1])).tolist()
    [2, 5, 0]
    """
    share: np.ndarray = total * (weights / weights.sum())
    # A share that is whole but for rounding is whole.
    near = np.round(share)
    share = np.where(np.abs(share - near) < 1e-9 * np.maximum(near, 1), near, share)
    parts: np.ndarray = np.floor(share).astype(np.int64)
    remainder = np.where(weights > 0, share - parts, -1.0)
    parts[np.lexsort((draws, -remainder))[: total - parts.sum()]] += 1
    return parts


def between(one: np.ndarray, other: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Return one + gap * (other - one), and `one` where either is no finite number.

    For gaps from 0 to 1 rounding leads beyond neither end; two equal numbers give the same again.
    A gap below 0 leads away from the other.

    Parameters
    ----------
    one, other : ndarray of shape (n,), float64
    gap : ndarray of shape (n,), float64

    Examples
    --------
    >>> between(np.array([0.0, 1.0, np.nan]), np.array([4.0, np.inf, 1.0]), np.full(3, 0.25)).tolist()
    [1.0, 1.0, nan]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        made: np.ndarray = other - one
        made *= gap
        made += one
        if not np.isfinite(made).all():
            # The difference of two large numbers may be beyond the largest, where its parts are not.
            made = np.where(np.isfinite(made), made, (1 - gap) * one + gap * other)
            made = np.where(np.isfinite(made), made, one)
    inside = gap >= 0
    np.maximum(made, np.minimum(one, other), out=made, where=inside & (made < one) & (made < other))
    np.minimum(made, np.maximum(one, other), out=made, where=inside & (made > one) & (made > other))
    return made


def leading(codes: np.ndarray, voters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order the voters of each ballot by how many of them have their code, and count those in the lead.

    Where several codes have most votes, each has as many voters among those in the lead.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,), int
        Below 0: no vote.
    voters : ndarray of shape (n_ballots, n_voters), int64
        Rows; -1 for none.

    Returns
    -------
    ordered : ndarray of shape (n_ballots, n_voters), int64
        Rows, those in the lead first.
    count : ndarray of shape (n_ballots,), int64
        Rows in the lead; 0 where nobody votes.

    Examples
    --------
    >>> ordered, count = leading(np.array([7, 8, 7, -1]), np.array([[0, 1, 2], [1, 3, -1], [3, -1, -1]]))
    >>> [row[:n].tolist() for row, n in zip(ordered, count)]
    [[0, 2], [1], []]
    """
    votes = np.where(voters >= 0, codes[voters], -1)
    same = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    same[votes < 0] = 0
    most = same.max(axis=1, initial=0)
    order = np.argsort(-same, axis=1, kind="stable")
    count = np.where(most > 0, (same == most[:, None]).sum(axis=1), 0)
    return np.take_along_axis(voters, order, axis=1), count


def value_difference(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return categories as numbers whose Euclidean distance is the value difference metric.

    Two categories are as far apart as the frequencies of classes among the rows that have them: the sum of
    their squared differences.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns)
        NaN is a missing cell.
    labels : ndarray of shape (n_rows,), int
        Codes of classes from 0.

    Returns
    -------
    ndarray of shape (n_rows, n_columns * n_classes), float64
        NaN where the cell is missing. Of two classes one column says as much as two.

    Source
    ------
    Stanfill and Waltz, "Toward memory-based reasoning", CACM 29 (1986); the form without weights and with
    exponent 2 of Wilson and Martinez, "Improved heterogeneous distance functions", JAIR 6 (1997),
    equation 8.

    Examples
    --------
    >>> codes, labels = np.array([[0.0], [0.0], [1.0], [np.nan]]), np.array([0, 1, 1, 0])
    >>> value_difference(codes, labels).round(3).ravel().tolist()
    [0.707, 0.707, 1.414, nan]
    """
    n_classes = int(labels.max(initial=0)) + 1
    wide = []
    for column in codes.T:
        known = np.flatnonzero(~np.isnan(column))
        levels, place = np.unique(column[known], return_inverse=True)
        counts = np.bincount(place * n_classes + labels[known], minlength=len(levels) * n_classes)
        counts = counts.reshape(len(levels), n_classes)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        told = np.full((len(codes), 1 if n_classes == 2 else n_classes), np.nan)
        told[known] = (np.sqrt(2) * share[:, 1:] if n_classes == 2 else share)[place]
        wide.append(told)
    return np.hstack(wide) if wide else np.empty((len(codes), 0))


def sparsity(rows: np.ndarray) -> float:
    """Return how sparse a cluster is: mean distance between its rows ** exponent / their number.

    The exponent is that of imbalanced-learn, which grows with the rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns), float64
        Complete, at least two.

    Source
    ------
    Douzas, Bacao and Last, "Improving imbalanced learning through a heuristic oversampling method based on
    k-means and SMOTE", Information Sciences 465 (2018), section 3.2, where the exponent is the number of
    columns.
    """
    from scipy.spatial.distance import cdist

    n_rows = len(rows)
    total = sum(cdist(part, rows).sum() for part in np.array_split(rows, max(n_rows**2 >> 20, 1)))
    exponent = np.log(n_rows) / np.log(1.6)
    return float((total / (n_rows * (n_rows - 1))) ** (exponent**1.8 * 0.16) / n_rows)


def smoothing(n_rows: int, n_columns: int) -> float:
    """Return the width of the noise of a smoothed bootstrap, in standard deviations of the class.

    Source
    ------
    Menardi and Torelli, "Training and assessing classification rules with imbalanced data", Data Mining and
    Knowledge Discovery 28 (2014), section 3.2: the width that is best for normally distributed numbers.
    """
    return float((4 / ((n_columns + 2) * n_rows)) ** (1 / (n_columns + 4)))


def normal(draws: np.ndarray) -> np.ndarray:
    """Turn draws from [0, 1) into normal ones.

    Parameters
    ----------
    draws : ndarray of shape (n,), float64
        Multiples of 2^-53, as `tilth.statistics.uniform` gives them.
    """
    from scipy.special import ndtri

    # At 0 the normal distribution has no end.
    made: np.ndarray = ndtri(np.maximum(draws, 2.0**-54))
    return made
