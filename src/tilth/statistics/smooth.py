"""The smooth clip: values pressed into bounds, so that far ones stay in order but no longer far."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import polars as pl

Values = TypeVar("Values", np.ndarray, pl.Expr)

# A power of two whose square is finite and exact: beyond it, every size is the bound to the last bit.
FAR = 2.0**300


def smooth_clip(values: Values, limit: float = 3.0) -> Values:
    """Return x / sqrt(1 + (x / limit)^2): values within (-limit, limit), near 0 as they were.

    Parameters
    ----------
    values : ndarray or polars expression of floats
        Infinities become the bounds.
    limit : float, > 0

    Examples
    --------
    >>> smooth_clip(np.array([0.01, 3.0, 1e9, np.inf])).round(2).tolist()
    [0.01, 2.12, 3.0, 3.0]
    """
    # Multiplied, not divided: Polars rounds the division of one row and of many rows differently.
    part = (values * (1 / limit)).clip(-FAR, FAR)
    pressed: Values = part / (part * part + 1) ** 0.5 * limit
    return pressed


def smooth_unclip(values: pl.Expr, limit: float = 3.0) -> pl.Expr:
    """Return what `smooth_clip` makes these values of; the bounds and what lies beyond become infinite."""
    part = (values * (1 / limit)).clip(-1.0, 1.0)
    return part / ((1 - part) * (1 + part)).sqrt() * limit


def robust_spread(first: np.ndarray, third: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the interquartile range, or half the range where that is 0.

    Parameters
    ----------
    first, third, low, high : ndarray of shape (n_columns,)
        Quartiles, smallest and largest value.
    """
    spread: np.ndarray = np.where(third > first, third - first, (high - low) / 2)
    return spread
