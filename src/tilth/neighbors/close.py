"""How near is too near: pairs of rows much nearer to each other than rows ordinarily are."""

from __future__ import annotations

import numpy as np

from tilth.neighbors.copies import distinct
from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space

ASKED = 500
"""Rows whose nearest neighbors say how far apart rows ordinarily are."""

NEAR = 0.1
"""The share of the ordinary distance within which rows are taken for copies."""

BY_CHANCE = 0.001
"""The share of rows that may be that near by chance: in few dimensions some are, so the radius is less."""

FARTHER = 8
CROWDED = 3.0
"""If the eighth neighbor speaks of a nearest distance so many times what is seen, most rows have a copy: on
real sets without copies it is 0.9 to 1.7 times."""

BELOW_MISMATCH = 0.9
"""Rows of different categories are never copies, however far apart rows are."""


def close_radius(space: Space, rows: np.ndarray, draws: np.ndarray) -> float:
    """Return the radius within which two rows are near copies of one another.

    A tenth of the median distance to the nearest other row, and less in few dimensions. If rows lie
    evenly in d dimensions, a nearest distance is at most e times its median with a chance of 1 - 2^(-e^d),
    about 0.69 e^d. Medians hold d and distance, so that copies, while they are few, do not count. Where most
    rows have some, the eighth neighbor says how far the nearest would be without them.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    draws : ndarray of shape (n_rows,)
        The rows of the smallest are asked.

    Returns
    -------
    float
        0 where there are fewer than three different rows.

    Source
    ------
    Facco et al., "Estimating the intrinsic dimension of datasets by a minimal neighborhood information",
    Scientific Reports 7, 2017: the ratio of the two nearest distances is Pareto distributed with shape d;
    here d is taken from its median.
    """
    first, member_of = distinct(np.asarray(rows, dtype=np.float64))
    if len(first) < 3:
        return 0.0
    # Of copies the smallest draw counts, so that the order of rows does not.
    least = np.full(len(first), np.inf)
    np.minimum.at(least, member_of, draws)
    asked = first[np.argsort(least, kind="stable")[:ASKED]]
    # The nearest is the row itself.
    far = nearest(space, rows[asked], rows[first], min(FARTHER + 1, len(first)))[0]
    usual, dimension = _ordinary(far, 1)
    if len(first) > FARTHER and np.isfinite(far).all():
        at_eighth, of_eighth = _ordinary(far, FARTHER // 2)
        without = at_eighth * (1 / FARTHER) ** (1 / of_eighth)
        if without > CROWDED * usual:
            usual, dimension = without, of_eighth
    if not np.isfinite(usual) or usual <= 0:
        return 0.0
    share = min(NEAR, (BY_CHANCE / np.log(2)) ** (1 / dimension))
    return float(min(share * usual, BELOW_MISMATCH * np.sqrt(space.mismatch)))


def _ordinary(far: np.ndarray, k: int) -> tuple[float, float]:
    """Return the median distance to neighbor 1, or 2 k, and the dimension from the ratio of 2 k to k."""
    apart = far[:, k] > 0
    ratio = float(np.median(far[apart, 2 * k] / far[apart, k])) if apart.any() else 1.0
    dimension = float(np.log(2) / np.log(ratio)) if ratio > 1 else np.inf
    return float(np.median(far[:, 1 if k == 1 else 2 * k])), dimension
