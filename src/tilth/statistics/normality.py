"""How close values are to a normal distribution, told by their quantiles alone."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

PLACES = 100
"""Quantiles that are compared."""

SHARES = (np.arange(PLACES) + 0.5) / PLACES
"""The probabilities at which they are taken."""


def normal_quantiles(places: int = PLACES) -> np.ndarray:
    """Return the middle quantiles of so many equal parts of a normal distribution."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / places) for i in range(places)])


def normality(quantiles: np.ndarray) -> np.ndarray:
    """Return the correlation of quantiles with those of a normal distribution, per column.

    1 for a normal distribution whatever its mean and deviation, 0.98 for an even one, 0.91 for an exponential
    one; Filliben (1975, "The probability plot correlation coefficient test for normality"). The quantiles of
    a monotone function are that function of the quantiles, so forms can be compared without the values.

    Parameters
    ----------
    quantiles : ndarray of shape (n_places, n_columns)
        The middle ones of so many equal parts, such as those at `SHARES`.

    Returns
    -------
    ndarray of shape (n_columns,)
        0 where all quantiles are equal, missing or infinite.

    Examples
    --------
    >>> even = SHARES[:, None]
    >>> normality(np.hstack([normal_quantiles()[:, None] * 5 - 3, even, -np.log(1 - even)])).round(2).tolist()
    [1.0, 0.98, 0.91]
    """
    normal = normal_quantiles(len(quantiles))
    # Divided by their largest, so that squares of very large or very small values stay in range.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        centered = quantiles - np.median(quantiles, axis=0)
        centered = centered / np.abs(centered).max(axis=0, initial=0.0)
        centered = centered - centered.mean(axis=0)
        found = normal @ centered / np.sqrt((normal @ normal) * (centered**2).sum(axis=0))
    return np.asarray(np.where(np.isfinite(found), found, 0.0))
