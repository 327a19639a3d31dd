"""Weighted scales: a row of weight 2 counts exactly as two rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tilth.statistics.smooth import robust_spread

Vector = NDArray[np.float64]


def weighted_quantiles(values: Vector, weight: Vector, shares: tuple[float, ...]) -> Vector:
    """Return quantiles by the averaged inverse of the weighted distribution function.

    With equal weights the quantile at 0.5 is the usual median; with whole weights every quantile equals that
    of the rows repeated so often (NumPy's method ``averaged_inverted_cdf``).

    Parameters
    ----------
    values, weight : arrays of shape (n_rows,), finite, weights above 0
    shares : floats in (0, 1)

    Returns
    -------
    array of shape (len(shares),)

    Examples
    --------
    >>> weighted_quantiles(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 2.0]), (0.5,)).tolist()
    [5.5]
    """
    order = np.argsort(values, kind="stable")
    values, reached = values[order], np.cumsum(weight[order])
    goals = np.asarray(shares) * reached[-1]
    # Sums of fractional weights miss a goal they should meet by rounding: meet it within a few ulps.
    slack = 4 * np.finfo(np.float64).eps * reached[-1]
    low = np.searchsorted(reached, goals - slack, side="left")
    high = np.minimum(np.searchsorted(reached, goals + slack, side="right"), len(values) - 1)
    lower, upper = values[low], values[high]
    return np.where(lower == upper, lower, lower / 2 + upper / 2)


def weighted_median(values: Vector, weight: Vector) -> float:
    """Return the weighted median."""
    return float(weighted_quantiles(values, weight, (0.5,))[0])


def standard(values: Vector, weight: Vector) -> tuple[float, float]:
    """Return the mean and one over the standard deviation (0 for a constant)."""
    mean = float(np.average(values, weights=weight))
    deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=weight)))
    # The mean of n equal numbers is only right to n roundings; what lies within them is no spread.
    noise = len(values) * np.finfo(np.float64).eps * abs(mean)
    return mean, _inverse(deviation if deviation > noise else 0.0)


def robust(values: Vector, weight: Vector) -> tuple[float, float]:
    """Return the median and one over the interquartile range, or over half the range where that is 0."""
    first, median, third = weighted_quantiles(values, weight, (0.25, 0.5, 0.75))
    spread = robust_spread(first, third, values.min(), values.max())
    return float(median), _inverse(float(spread))


SCALES: dict[str, Callable[[Vector, Vector], tuple[float, float]]] = {"standard": standard, "robust": robust}


def _inverse(spread: float) -> float:
    """Return one over the spread; 0 where there is none, or too little to divide by."""
    return 1 / spread if spread > np.finfo(np.float64).tiny else 0.0
