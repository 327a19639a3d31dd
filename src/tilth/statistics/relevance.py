"""Which values of a numeric target matter because they are rare, and how many rows are to have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Points = list[tuple[float, float]]
"""Values, rising, and the relevance of each, from 0 to 1."""


def box_points(
    values: np.ndarray, whisker: float = 1.5, extremes: Literal["both", "low", "high"] = "both"
) -> Points:
    """Return points of relevance by the box plot: 1 from the whiskers' ends outwards, 0 at the median.

    A whisker ends at the value farthest out that is no farther from the box than `whisker` times its height.
    Where all values beyond the box lie beyond it, it ends at the nearest of these. A side without values
    beyond its whisker has relevance 0.

    Source
    ------
    Ribeiro, "Utility-based regression", PhD thesis, University of Porto (2011), section 3.3.

    Examples
    --------
    >>> box_points(np.array([1.0, 2.0, 3.0, 4.0, 20.0]))
    [(1.0, 0.0), (3.0, 0.0), (4.0, 1.0)]
    """
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
    reach = whisker * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    points = [(float(median), 0.0)]
    for side, sign in (("low", -1.0), ("high", 1.0)):
        out = sign * values[sign * (values - (first if sign < 0 else third)) > reach]
        end = float((sign * inside).max(initial=sign * median))
        if len(out) and extremes in ("both", side):
            point = (sign * (end if end > sign * median else float(out.min())), 1.0)
        else:
            point = (float(sign * (sign * values).max()), 0.0)
        if point[0] != median:
            points.append(point)
    return sorted(points)


def relevance(values: np.ndarray, points: Points) -> np.ndarray:
    """Return the relevance of values: from point to point along a monotone cubic, flat at every point.

    Beyond the first and the last point it stays what it is there.

    Source
    ------
    Ribeiro (2011), section 3.3: piecewise cubic Hermite interpolation with derivatives of 0.

    Examples
    --------
    >>> relevance(np.array([-5.0, 0.0, 1.0, 2.0, 9.0]), [(0.0, 0.0), (2.0, 1.0)]).tolist()
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    x, height = np.array(points, dtype=np.float64).reshape(-1, 2).T
    at = np.clip(np.searchsorted(x, values, side="right") - 1, 0, max(len(x) - 2, 0))
    after = np.minimum(at + 1, len(x) - 1)
    width = np.where(x[after] > x[at], x[after] - x[at], 1.0)
    t = np.clip((values - x[at]) / width, 0.0, 1.0)
    return height[at] + (height[after] - height[at]) * t * t * (3 - 2 * t)


@dataclass(frozen=True)
class Bumps:
    """Hold runs of values, from low to high, in which all are rare or none is.

    Parameters
    ----------
    of : ndarray of shape (n,), int64
        The bump of each value.
    rare : ndarray of shape (n_bumps,), bool
    low, high : ndarray of shape (n_bumps,), float64
        The smallest and the largest value of each.
    """

    of: np.ndarray
    rare: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def part(cls, values: np.ndarray, scores: np.ndarray, threshold: float) -> Bumps:
        """Part values where their relevance crosses the threshold.

        Examples
        --------
        >>> bumps = Bumps.part(np.array([1.0, 9.0, 5.0, 4.0]), np.array([0.9, 0.7, 0.0, 0.1]), 0.5)
        >>> bumps.of.tolist(), bumps.rare.tolist(), bumps.low.tolist()
        ([0, 2, 1, 1], [True, False, True], [1.0, 4.0, 9.0])
        """
        order = np.argsort(values, kind="stable")
        rare = scores[order] >= threshold
        begins = np.diff(rare, prepend=~rare[:1])
        of = np.empty(len(values), dtype=np.int64)
        of[order] = np.cumsum(begins) - 1
        ends = np.roll(begins, -1)
        return cls(of, rare[begins], values[order][begins], values[order][ends])

    @property
    def counts(self) -> np.ndarray:
        """Count the values of each bump."""
        return np.bincount(self.of, minlength=len(self.rare))


def wanted_rows(
    counts: np.ndarray, rare: np.ndarray, amount: Literal["balance", "extreme"], drop: bool
) -> np.ndarray:
    """Return how many rows each bump is to have.

    Parameters
    ----------
    counts : ndarray of shape (n_bumps,), int64
    rare : ndarray of shape (n_bumps,), bool
        Rare bumps never lose rows, others never gain any.
    amount : {'balance', 'extreme'}
        As many in each bump as there are on average; or the more, the fewer there are: in proportion to
        1 / count, all together as many as before.
    drop : bool
        Let the others lose rows; at least one stays.

    Source
    ------
    Branco, Torgo and Ribeiro, "SMOGN: a pre-processing approach for imbalanced regression", PMLR 74 (2017).

    Examples
    --------
    >>> counts, rare = np.array([10, 80, 30]), np.array([True, False, True])
    >>> [wanted_rows(counts, rare, amount, True).tolist() for amount in ("balance", "extreme")]
    [[40, 40, 40], [82, 10, 30]]
    """
    if amount == "balance":
        wanted = np.full(len(counts), counts.sum() / len(counts))
    else:
        wanted = counts.sum() / counts / (1 / counts).sum()
    wanted = np.maximum(np.round(wanted), 1).astype(np.int64)
    fewer = np.minimum(wanted, counts) if drop else counts
    return np.where(rare, np.maximum(wanted, counts), fewer)
