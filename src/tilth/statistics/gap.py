"""How far the mean of some rows lies from that of the others, with its interval and p-value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, hypergeom, t

Vector = NDArray[np.float64]

CONFIDENCE = 0.95
LEAST_CLUSTERS = 5
"""With fewer clusters on a side, what differs between them cannot be told from what differs inside. Clusters
of unequal weight count as fewer of equal weight (Kish)."""


@dataclass(frozen=True)
class Gap:
    """Hold the means of rows inside and outside of a part, and their difference.

    Parameters
    ----------
    inside, outside : float
        Means.
    inside_low, inside_high, outside_low, outside_high : float
        95 % intervals of the two.
    low, high : float
        95 % interval of ``inside - outside``.
    p_value : float
        One-sided, of a mean inside that is no larger than that outside.
    """

    inside: float
    outside: float
    inside_low: float
    inside_high: float
    outside_low: float
    outside_high: float
    low: float
    high: float
    p_value: float

    @property
    def difference(self) -> float:
        """Return how much larger the mean inside is."""
        return self.inside - self.outside


def gap(
    values: Vector,
    inside: NDArray[np.bool_],
    cluster: NDArray[np.int64] | None = None,
    weight: Vector | None = None,
) -> Gap:
    """Compare the mean of the rows inside with that of the rows outside.

    Zeros and ones are compared exactly: Fisher's one-sided test, Wilson's intervals, and Newcombe's for the
    difference. All else by Student's t with a variance of its own on either side (Welch). With clusters the
    variances are those of the sums per cluster, for rows of one cluster are right or wrong together; with
    weights they are those of weighted means.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), float64
    inside : ndarray of shape (n_rows,), bool
        At least one row inside and one outside.
    cluster : ndarray of shape (n_rows,), int64, optional
        With fewer than `LEAST_CLUSTERS` on a side nothing is claimed: intervals are infinite, p is 1.
    weight : ndarray of shape (n_rows,), float64, optional
        Above 0; only their ratios count.

    References
    ----------
    Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine
    17, 1998, method 10. Bell and McCaffrey, "Bias reduction in standard errors for linear regression with
    multi-stage samples", Survey Methodology 28, 2002 (CR2).

    Examples
    --------
    >>> told = gap(np.repeat([1.0, 0.0, 1.0, 0.0], [15, 5, 20, 60]), np.arange(100) < 20)
    >>> round(told.difference, 2), round(told.low, 2), round(told.high, 2), round(told.p_value, 5)
    (0.5, 0.26, 0.66, 6e-05)
    """
    shares = bool(np.isin(values, (0.0, 1.0)).all())
    if weight is not None and (weight == weight[0]).all():
        weight = None
    clustered = cluster is not None and len(np.unique(cluster)) < len(values)
    if shares and not clustered and weight is None:
        return _shares(values, inside)
    weight = np.ones(len(values)) if weight is None else weight
    cluster = np.arange(len(values)) if cluster is None else cluster
    least = LEAST_CLUSTERS if clustered else 2
    pull = np.empty(len(values))  # of each row on the difference
    sides: list[tuple[float, float, float]] = []
    for side, sign in ((inside, 1.0), (~inside, -1.0)):
        part = weight[side] / weight[side].sum()
        mean = float(np.average(values[side], weights=part))
        _, place = np.unique(cluster[side], return_inverse=True)
        share = np.bincount(place, part)
        many = float(1 / (share**2).sum())
        if shares and np.ptp(values[side]) == 0:
            # Rows that are all alike still tell no more of others than their clusters do: plus four.
            pull[side] = sign * np.sqrt(2 * (many + 2)) / (many + 4) ** 1.5 / np.sqrt(side.sum())
            error = float(np.sqrt((pull[side] ** 2).sum()))
        else:
            # A cluster draws the mean towards itself, by its share (Bell and McCaffrey).
            drawn = np.sqrt(np.maximum(1 - share, 1e-12))[place]
            pull[side] = sign * part * (values[side] - mean) / drawn
            error = _error(pull[side], place)
        sides.append((mean, error, many))
    (first, error1, many1), (second, error2, many2) = sides
    if min(many1, many2) < least - 1e-9:
        return Gap(first, second, -np.inf, np.inf, -np.inf, np.inf, -np.inf, np.inf, 1.0)
    error, free = float(np.hypot(error1, error2)), _welch(error1, error2, many1 - 1, many2 - 1)
    if np.isin(cluster[inside], cluster[~inside]).any():
        # A cluster on both sides: its rows differ less between the sides than strangers would.
        error, free = _error(pull, np.unique(cluster, return_inverse=True)[1]), min(many1, many2) - 1
    edge1, edge2, edge = (
        float(t.ppf(0.5 + CONFIDENCE / 2, of)) * by
        for of, by in ((many1 - 1, error1), (many2 - 1, error2), (free, error))
    )
    between = first - second
    lowest, most = (0.0, 1.0) if shares else (-np.inf, np.inf)
    return Gap(
        inside=first,
        outside=second,
        inside_low=max(first - edge1, lowest),
        inside_high=min(first + edge1, most),
        outside_low=max(second - edge2, lowest),
        outside_high=min(second + edge2, most),
        low=max(between - edge, -most),
        high=min(between + edge, most),
        p_value=float(t.sf(between / error, free)) if error > 0 else float(between <= 0),
    )


def _shares(values: Vector, inside: NDArray[np.bool_]) -> Gap:
    count, others = int(inside.sum()), int((~inside).sum())
    yes, rest = int(values[inside].sum()), int(values[~inside].sum())
    first, second = yes / count, rest / others
    (low1, high1), (low2, high2) = (
        binomtest(some, of).proportion_ci(CONFIDENCE, method="wilson")
        for some, of in ((yes, count), (rest, others))
    )
    below = float(np.hypot(first - low1, high2 - second))
    above = float(np.hypot(high1 - first, second - low2))
    between = first - second
    p_value = float(hypergeom.sf(yes - 1, count + others, yes + rest, count))
    return Gap(first, second, low1, high1, low2, high2, between - below, between + above, p_value)


def _error(pull: Vector, place: NDArray[np.int64]) -> float:
    """Return the standard error of the sum of what rows pull, by the sums of their clusters."""
    return float(np.sqrt((np.bincount(place, pull) ** 2).sum()))


def _welch(error1: float, error2: float, free1: float, free2: float) -> float:
    whole = error1**4 / free1 + error2**4 / free2
    return (error1**2 + error2**2) ** 2 / whole if whole > 0 else free1 + free2
