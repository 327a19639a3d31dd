"""How dense the values of a target lie, and weights that make up for it."""

from __future__ import annotations

import numpy as np

FINE = 32
"""Points of the grid in one bandwidth: a density read from it errs by less than a thousandth of its peak."""
REACH = 6
"""Bandwidths beyond which a kernel counts for nothing: 2e-8 of its peak."""
LEAST_WEIGHT = 1e-6


def rule_of_thumb(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the bandwidth that is best for normal values: 1.06 standard deviations times n ** (-1/5).

    The number n of weighted rows is Kish's effective one, (sum of weights)^2 / sum of squared weights.

    Source
    ------
    Silverman, "Density Estimation for Statistics and Data Analysis" (1986), equation 3.28.
    """
    mean = np.average(values, weights=weights)
    deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return float(1.06 * deviation * effective ** (-1 / 5))


def kernel_density(values: np.ndarray, weights: np.ndarray, bandwidth: float) -> np.ndarray:
    """Estimate the density at each value by a Gaussian kernel.

    Values are shared out to the two nearest points of a grid, of which only those points are held that got
    some; between points the density is read off the straight line.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
    weights : ndarray of shape (n,), float64
        At least one above 0.
    bandwidth : float, > 0
        The standard deviation of the kernel.

    Returns
    -------
    ndarray of shape (n,), float64

    Examples
    --------
    >>> kernel_density(np.array([0.0, 0.0, 9.0]), np.ones(3), 1.0).round(4).tolist()
    [0.266, 0.266, 0.133]
    """
    # Numbers up to 2^53 are told apart by 1.
    bandwidth = max(bandwidth, 1e-12 * float(np.ptp(values)))
    place = (values - values.min()) / bandwidth * FINE
    low = np.floor(place)
    above = place - low
    points, at = np.unique(np.concatenate([low, low + 1]), return_inverse=True)
    mass = np.bincount(at, np.concatenate([weights * (1 - above), weights * above]))
    summed = np.zeros(len(points))
    for step in range(-REACH * FINE, REACH * FINE + 1):
        there = np.searchsorted(points, points + step)
        met = np.append(points, np.nan)[there] == points + step
        summed[met] += mass[there[met]] * np.exp(-0.5 * (step / FINE) ** 2)
    n = len(values)
    height = summed[at[:n]] * (1 - above) + summed[at[n:]] * above
    return np.asarray(height / (weights.sum() * bandwidth * np.sqrt(2 * np.pi)))


def smoothed_counts(values: np.ndarray, weights: np.ndarray, bins: int, width: float) -> np.ndarray:
    """Return how much weight lies around each value: in its bin, the bins beside it counting by a Gaussian.

    Parameters
    ----------
    values, weights : ndarray of shape (n,), float64
    bins : int
        Parts of equal width of the range.
    width : float, > 0
        The kernel's standard deviation, in bins.

    Source
    ------
    Yang, Zha, Chen, Wang and Katabi, "Delving into deep imbalanced regression", ICML 2021, equation 1.
    """
    from scipy.ndimage import gaussian_filter1d

    bin_of = in_parts(values, bins)
    mass = np.bincount(bin_of, weights, minlength=bins)
    return np.asarray(gaussian_filter1d(mass, width, mode="constant")[bin_of])


def in_parts(values: np.ndarray, parts: int) -> np.ndarray:
    """Return in which of so many parts of equal width of the range each value lies."""
    low, high = values.min(), values.max()
    if not high > low:
        return np.zeros(len(values), np.int64)
    return np.asarray(np.minimum(((values - low) / (high - low) * parts).astype(np.int64), parts - 1))


def dense_weights(density: np.ndarray, alpha: float) -> np.ndarray:
    """Return 1 less `alpha` times the density, which is first brought to the range from 0 to 1.

    Parameters
    ----------
    density : ndarray of shape (n,), float64
    alpha : float, >= 0
        0 weighs all alike; from 1 on the values that lie densest get next to nothing, a millionth.

    Source
    ------
    Steininger, Kobs, Davidson, Krause and Hotho, "Density-based weighting for imbalanced regression",
    Machine Learning 110 (2021), equations 2 to 4.

    Examples
    --------
    >>> dense_weights(np.array([0.2, 0.4, 0.6]), 1.0).round(6).tolist()
    [1.0, 0.5, 1e-06]
    """
    low, high = density.min(), density.max()
    brought = (density - low) / (high - low) if high > low else np.zeros(len(density))
    return np.asarray(np.maximum(1 - alpha * brought, LEAST_WEIGHT))
