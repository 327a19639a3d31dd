"""Directions of columns that tell of a target, from merged sums alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tilth.statistics.components import signed
from tilth.statistics.gram import Gram

ROUNDING = 1e-8
"""Share of the largest variance below which a direction is not told from rounding."""
NO_SPREAD = 1e-12
"""Share of the variance within classes up to which it is nothing but rounding: each class is one point."""


@dataclass(frozen=True, eq=False)
class Directions:
    """Hold directions, and the columns as the numbers along them tell them best.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_columns,), float64
        Columns are read as (x - mean) / scale.
    weights : ndarray of shape (n_columns, n_directions), float64
        What the columns so read are multiplied by.
    loadings : ndarray of shape (n_directions, n_columns), float64
        What the numbers are multiplied by to get them back, by least squares.
    shares : ndarray of shape (n_directions,), float64
        What each direction tells of the target: the share of its variance over the rows that lies between
        the classes, or the share of the target's variance.
    shrinkage : float
        How far the covariance within classes was drawn towards a multiple of the identity.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    loadings: np.ndarray
    shares: np.ndarray
    shrinkage: float = 0.0


def discriminants(gram: Gram, classes: int, size: int, shrinkage: float | Literal["auto"]) -> Directions:
    """Return the directions along which classes lie farthest apart, in units of their spread.

    Where each class is one point, the units are those of the spread of all rows.

    Parameters
    ----------
    gram : Gram
        Of the columns, and after them a 0/1 column for each class.
    classes : int
    size : int
        Directions at most; there are no more than one less than classes.
    shrinkage : float in [0, 1], or 'auto'
        Of the covariance within classes, of columns in units of their standard deviation.

    Source
    ------
    Fisher (1936), Rao (1948). 'auto': Chen, Wiesel, Eldar and Hero, "Shrinkage algorithms for MMSE covariance
    estimation", IEEE Trans. Signal Process. 58 (2010), equation 23, as scikit-learn's ``OAS`` has it.
    """
    width = gram.width - classes
    scale = np.where(gram.std() > 0, gram.std(), 1.0)[:width]
    counts = gram.mean[width:] * gram.rows
    total = gram.scatter[:width, :width] / np.outer(scale, scale) / gram.rows
    away = gram.scatter[:width, width:] / scale[:, None] / np.sqrt(counts * gram.rows)
    # Each column of `away` is a class's mean, from the mean of all, weighted by the root of its share.
    between = away @ away.T
    within = total - between
    if np.trace(within) <= NO_SPREAD * np.trace(total):
        within = total
    if shrinkage == "auto":
        shrinkage = oas(within, gram.rows)
    middle = np.trace(within) / width
    shrunk = (1 - shrinkage) * within
    shrunk[np.diag_indices(width)] += shrinkage * middle
    spread, axes = np.linalg.eigh(shrunk)
    known = spread > max(ROUNDING * spread[-1], np.finfo(np.float64).tiny)
    whitened = axes[:, known] / np.sqrt(spread[known])
    # The few classes span all there is: the small side is decomposed.
    left, apart, _ = np.linalg.svd(whitened.T @ away, full_matrices=False)
    some = apart[: classes - 1] ** 2 > ROUNDING * (apart[:1] ** 2).sum()
    weights = signed((whitened @ left[:, : classes - 1][:, some]).T)[:size].T
    variance = np.einsum("ij,ik,kj->j", weights, total, weights)
    explained = np.einsum("ij,ik,kj->j", weights, between, weights)
    return Directions(
        gram.mean[:width], scale, weights, _loadings(total, weights), explained / variance, float(shrinkage)
    )


def oas(covariance: np.ndarray, rows: int) -> float:
    """Return how far a covariance is best drawn towards a multiple of the identity.

    Examples
    --------
    >>> round(oas(np.diag([1.0, 2.0, 3.0]), 50), 3)
    0.49
    """
    width = len(covariance)
    alpha, middle = float((covariance**2).mean()), float(np.trace(covariance)) / width
    room = (rows + 1) * (alpha - middle**2 / width)
    return 1.0 if room <= 0 else float(min(1.0, (alpha + middle**2) / room))


def partial_least_squares(gram: Gram, targets: int, size: int) -> Directions:
    """Return the directions whose numbers covary most with the targets, each uncorrelated with those before.

    Parameters
    ----------
    gram : Gram
        Of the columns, and after them the targets.
    targets : int
    size : int
        Directions at most.

    Source
    ------
    Dayal and MacGregor, "Improved PLS algorithms", J. Chemometrics 11 (1997), algorithm 2, which needs no
    more than products of columns. Equal to scikit-learn's ``PLSRegression`` at convergence.
    """
    width = gram.width - targets
    deviation = gram.std(1)
    scale = np.where(deviation > 0, deviation, 1.0)
    products = gram.scatter / np.outer(scale, scale)
    own, shared = products[:width, :width], products[:width, width:]
    whole, first = float(np.trace(products[width:, width:])), float(np.linalg.norm(shared))
    vectors: list[np.ndarray] = []
    loadings: list[np.ndarray] = []
    shares: list[float] = []
    while len(vectors) < size and np.linalg.norm(shared) > ROUNDING * max(first, np.finfo(np.float64).tiny):
        turn = np.linalg.eigh(shared.T @ shared)[1][:, -1]
        weight = shared @ turn
        weight = signed(weight[None] / np.linalg.norm(weight))[0]
        vector = weight.copy()
        for before, loading in zip(vectors, loadings, strict=True):
            vector -= (loading @ weight) * before
        length = float(vector @ own @ vector)
        if length <= ROUNDING * gram.rows * np.finfo(np.float64).eps:
            break
        loading, answer = own @ vector / length, shared.T @ vector / length
        shared = shared - length * np.outer(loading, answer)
        vectors.append(vector)
        loadings.append(loading)
        shares.append(length * float(answer @ answer) / whole)
    shape = (len(vectors), width)
    return Directions(
        gram.mean[:width],
        scale[:width],
        np.array(vectors).reshape(shape).T,
        np.array(loadings).reshape(shape),
        np.array(shares),
    )


def _loadings(total: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what gives the columns back from the numbers with the smallest squared error."""
    shared = weights.T @ total
    found: np.ndarray = np.linalg.lstsq(shared @ weights, shared, rcond=None)[0]
    return found
