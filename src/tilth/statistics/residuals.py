"""Which residuals are too large for chance, where some places are noisier than others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import false_discovery_control

Vector = NDArray[np.float64]

NORMAL = 1.4826
"""A normal standard deviation, in medians of the absolute values."""
FAR = 3.0
"""So many spreads off, a value is too far to teach anything."""
LEAST = 0.2
"""No local spread is smaller than this share of the typical one: a place may look quiet by chance."""


def typical(residual: NDArray[np.floating]) -> float:
    """Return the standard deviation of the residuals' bulk.

    That is 1.4826 times the median of their absolute values; where more than half of them are 0, 1.2533
    times the mean: both are the standard deviation of normal ones.

    Parameters
    ----------
    residual : ndarray of shape (n_rows,), float64
        At least one.

    Examples
    --------
    >>> typical(np.array([-1.0, 1.0, -1.0, 1.0, 50.0])), typical(np.zeros(3))
    (1.4826, 0.0)
    """
    size = np.abs(residual)
    return NORMAL * float(np.median(size)) or float(np.sqrt(np.pi / 2) * size.mean())


def capped(residual: Vector) -> Vector:
    """Return the absolute residuals, cut at 3 typical ones: what a model of the spread learns from."""
    return np.minimum(np.abs(residual), FAR * typical(residual))


def local_spread(residual: Vector, expected: Vector) -> Vector:
    """Return a standard deviation for each row, from the size that a model expects of its residual.

    The sizes expected are shrunk toward the mean by the slope of the true sizes on them, cut to 0..1: a
    model that tells nothing about them gives all rows the same spread.

    Parameters
    ----------
    residual : ndarray of shape (n_rows,), float64
    expected : ndarray of shape (n_rows,), float64
        What a model that did not see the row says of its `capped` residual.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        Such that the residuals divided by it have a `typical` one of 1; 0 where all residuals are 0.

    Examples
    --------
    >>> told = local_spread(np.array([1.0, -1.0, 1.0, 9.0, -9.0, 9.0]), np.array([1.0, 1, 1, 9, 9, 9]))
    >>> (told / told[0]).round(1).tolist()
    [1.0, 1.0, 1.0, 6.1, 6.1, 6.1]
    """
    scale = typical(residual)
    if scale == 0:
        return np.zeros(len(residual))
    size = capped(residual)
    away = expected - expected.mean()
    square = float(away @ away)
    slope = float(np.clip(away @ (size - size.mean()) / square, 0, 1)) if square > 0 else 0.0
    spread = np.maximum(size.mean() + slope * away, LEAST * scale)
    return np.asarray(spread * typical(residual / spread))


def standardized(residual: Vector, spread: Vector | float) -> Vector:
    """Return how many spreads off each row is; 0 where the residual is."""
    return np.divide(residual, spread, out=np.zeros(len(residual)), where=residual != 0)


def trusted(off: Vector) -> Vector:
    """Return how far a row counts for a model that is fitted again: not at all beyond 3 spreads, nearly.

    Examples
    --------
    >>> trusted(np.array([-2.9, 3.1])).tolist()
    [1.0, 1e-06]
    """
    # Not 0: all rows of a fold may be far off, and nothing can be learned from no weight.
    return np.where(np.abs(off) > FAR, 1e-6, 1.0)


def false_discoveries(off: Vector, level: float) -> NDArray[np.bool_]:
    """Flag rows too far off for normal chance, such that at most a share `level` of the flags is wrong.

    Parameters
    ----------
    off : ndarray of shape (n_rows,), float64
        Residuals in spreads.
    level : float

    Source
    ------
    Benjamini and Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995), on two-sided normal
    tails; carried out by ``scipy.stats.false_discovery_control``.

    Examples
    --------
    >>> false_discoveries(np.array([0.3, -6.0, 1.9, 0.1]), 0.05).tolist()
    [False, True, False, False]
    """
    return np.asarray(false_discovery_control(2 * ndtr(-np.abs(off))) <= level)
