"""How many dimensions rows fill, and how much columns repeat one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

EXACT = 1e-10
"""Variance of a standardized column below which nothing is left of it: five digits of its spread."""


class TwoNN(NamedTuple):
    """Hold an intrinsic dimension.

    Parameters
    ----------
    dimension, low, high : float
        The estimate and its interval; NaN where nothing can be told, infinity where all ratios are 1.
    rows : int
        Rows whose ratio was used, those in the tail among them.
    """

    dimension: float
    low: float
    high: float
    rows: int


def two_nn(distances: np.ndarray, *, discard: float = 0.1, confidence: float = 0.95) -> TwoNN:
    """Estimate the intrinsic dimension from the distances to the two nearest other rows.

    If rows lie evenly in d dimensions where their two nearest neighbors are, the logarithm of the ratio of
    the two distances is exponential with rate d, whatever the density. The largest ratios come from places
    that are not even, so that of them only the number counts (the exponential is censored). Rows that have a
    copy are left out; drop copies before distances are taken, for a copy also makes the two neighbors of
    another row equally far.

    Parameters
    ----------
    distances : ndarray of shape (n_rows, at least 2)
        Rising.
    discard : float, from 0, below 1
        Share of the rows, those of the largest ratios, that count as beyond all others.
    confidence : float, between 0 and 1
        Of the interval, which takes rows as independent. Neighbors share neighbors, so that it is a little
        too narrow.

    Source
    ------
    Facco et al., "Estimating the intrinsic dimension of datasets by a minimal neighborhood information",
    Scientific Reports 7 (2017); the likelihood instead of the line through the distribution, as in Denti et
    al., "The generalized ratios intrinsic dimension estimator", Scientific Reports 12 (2022), here with the
    tail censored (Epstein and Sobel, 1953). In many dimensions a sample is too thin for any such estimate,
    which then is too low: compare with that of independent columns.

    Examples
    --------
    >>> from tilth.neighbors import Space, nearest
    >>> angle, height = np.random.default_rng(0).random((2, 1000))
    >>> roll = np.column_stack([angle * np.cos(9 * angle), angle * np.sin(9 * angle), height])
    >>> round(two_nn(nearest(Space(), roll, roll, 2, exclude_self=True)[0]).dimension, 1)
    2.0
    """
    from scipy.stats import chi2

    ratios = np.sort(_log_ratios(distances, 1))
    rows = len(ratios)
    kept = rows - int(discard * rows)
    if kept < 2:
        return TwoNN(np.nan, np.nan, np.nan, rows)
    total = float(ratios[:kept].sum() + (rows - kept) * ratios[kept - 1])
    if total == 0:
        return TwoNN(np.inf, np.inf, np.inf, rows)
    outside = (1 - confidence) / 2
    low, high = (float(q) / (2 * total) for q in chi2.ppf([outside, 1 - outside], 2 * kept))
    return TwoNN((kept - 1) / total, low, high, rows)


def dimension_at(distances: np.ndarray, k: int) -> float:
    """Estimate the intrinsic dimension from the distances to neighbors `k` and 2 `k`: at a coarser scale.

    Noise fills all dimensions nearby, and a bent surface more than its own from afar: an estimate that
    stays as `k` doubles is one to believe.

    Parameters
    ----------
    distances : ndarray of shape (n_rows, at least 2 k)
        Rising.
    k : int, >= 1

    Source
    ------
    Denti et al. (2022), equation 10 with n1 = k and n2 = 2 k: the zero of the score.
    """
    from scipy.optimize import brentq

    ratios = _log_ratios(distances, k)
    if len(ratios) < 2:
        return float("nan")
    if not ratios.any():
        return float("inf")
    total = float(ratios.sum())

    def score(d: float) -> float:
        grown = np.expm1(np.minimum(d * ratios, 500.0))
        # Where the ratio is 1 the term is its limit.
        term = np.divide(ratios, grown, out=np.full(len(ratios), 1 / d), where=grown > 0) + ratios
        return len(ratios) / d + (k - 1) * float(term.sum()) - (2 * k - 1) * total

    first = len(ratios) / total
    low, high = first / 2, first * 2
    while score(low) < 0:
        low /= 2
    while score(high) > 0:
        high *= 2
    return float(brentq(score, low, high))


def _log_ratios(distances: np.ndarray, k: int) -> np.ndarray:
    near, far = distances[:, k - 1], distances[:, 2 * k - 1]
    apart = (near > 0) & np.isfinite(far)
    ratios: np.ndarray = np.log(far[apart] / near[apart])
    return ratios


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Hold the variances along the principal axes of rows.

    Parameters
    ----------
    values : ndarray of shape (min(n_rows, n_columns),), float64
        Falling; none below 0.
    columns : int

    Examples
    --------
    >>> flat = np.random.default_rng(0).normal(size=(500, 2)) @ np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> spectrum = Spectrum.of(flat)
    >>> spectrum.rank, spectrum.condition, round(spectrum.participation, 1)
    (2, inf, 1.8)
    """

    values: np.ndarray
    columns: int

    @classmethod
    def of(cls, rows: np.ndarray) -> Spectrum:
        """Take the axes of a matrix without gaps; standardize it first, or units decide."""
        apart = rows - rows.mean(axis=0) if len(rows) else rows
        # The smaller of the two products has all eigenvalues that are not 0.
        product = apart @ apart.T if len(rows) < rows.shape[1] else apart.T @ apart
        values = np.linalg.eigvalsh(product)[::-1] / max(len(rows) - 1, 1)
        return cls(np.maximum(values, 0.0), rows.shape[1])

    @property
    def rank(self) -> int:
        """Count the axes along which rows differ, beyond rounding."""
        return int((self.values > EXACT * self.values.max(initial=0.0)).sum())

    @property
    def condition(self) -> float:
        """Return the largest over the smallest standard deviation; infinity where the latter is 0.

        Of standardized columns it is the largest condition index (Belsley, Kuh and Welsch, 1980), which is
        called strong from 30 on.
        """
        if self.rank < self.columns or not self.columns:
            return float("inf")
        return float(np.sqrt(self.values[0] / self.values[self.columns - 1]))

    @property
    def participation(self) -> float:
        """Return the participation ratio: as many equal variances would be spread as widely."""
        squares = float((self.values**2).sum())
        return float(self.values.sum()) ** 2 / squares if squares > 0 else 0.0

    def needed(self, share: float) -> int:
        """Count the axes, the widest first, that hold this share of the variance."""
        held = np.cumsum(self.values)
        return int(np.searchsorted(held, share * held[-1] * (1 - 1e-12)) + 1) if held.size else 0


@dataclass(frozen=True, eq=False)
class Inflation:
    """Hold how well each column is told by a linear combination of the others.

    Parameters
    ----------
    factors : ndarray of shape (n_columns,)
        Variance inflation factors, 1 / (1 - R^2): 1 where the others tell nothing, infinity where they tell
        everything. NaN for a constant column.
    weights : ndarray of shape (n_columns, n_columns)
        Row `j` tells column `j`: the weight of each other column, all of them standardized. Where a column is
        told exactly, other combinations may tell it as well; this one is in terms of columns to its left
        if it can be.
    spare : tuple of int
        The columns that those to their left tell exactly: without them none is told exactly.
    """

    factors: np.ndarray
    weights: np.ndarray
    spare: tuple[int, ...] = ()

    @classmethod
    def of(cls, rows: np.ndarray) -> Inflation:
        """Regress each column of a matrix without gaps on all others at once.

        The factors are the diagonal of the inverse correlation matrix. A column that has a part in a
        direction of no variance is told exactly; for the others the pseudoinverse holds.

        Examples
        --------
        >>> a, b, c = np.random.default_rng(0).normal(size=(3, 200))
        >>> told = Inflation.of(np.column_stack([a, b, c, a + b]))
        >>> (told.factors == np.inf).tolist(), told.spare, sorted(told.partners(3))
        ([True, True, False, True], (3,), [0, 1])
        """
        width = rows.shape[1]
        unit, varies = standardized(rows)
        factors, weights = np.full(width, np.nan), np.zeros((width, width))
        at = np.flatnonzero(varies)
        if not at.size:
            return cls(factors, weights)
        unit = unit[:, at]
        correlation = unit.T @ unit / len(rows)
        values, axes = np.linalg.eigh(correlation)
        exact = values <= EXACT * values[-1]
        inverse = (axes[:, ~exact] / values[~exact]) @ axes[:, ~exact].T
        tied = (axes[:, exact] ** 2).sum(axis=1) > EXACT
        factors[at] = np.where(tied, np.inf, np.diag(inverse))
        part = np.zeros_like(inverse)
        part[~tied] = -inverse[~tied] / np.diag(inverse)[~tied, None]
        spare: list[int] = []
        if tied.any():
            part[np.ix_(tied, tied)], spare = _exactly(correlation[np.ix_(tied, tied)])
        np.fill_diagonal(part, 0.0)
        weights[np.ix_(at, at)] = part
        return cls(factors, weights, tuple(int(at[tied][j]) for j in spare))

    def partners(self, column: int, most: int = 5, share: float = 0.1) -> list[int]:
        """Return the columns that tell one, the heaviest first: those above a share of the heaviest."""
        weight = np.abs(self.weights[column])
        order = np.argsort(-weight, kind="stable")[:most]
        return [int(j) for j in order if weight[j] > share * weight.max() and weight[j] > 0]


def _exactly(correlation: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Tell columns, each of which the others tell exactly, and which are told by those to their left.

    Sweeping a column regresses all others on it, so that each is told by the ones before.
    """
    width = len(correlation)
    swept, free, told = correlation.copy(), [], []
    for j in range(width):
        if swept[j, j] <= EXACT * width:
            told.append(j)
            continue
        free.append(j)
        pivot = swept[j, j]
        row, column = swept[j] / pivot, swept[:, j] / pivot
        swept = swept - pivot * np.outer(column, row)
        swept[j], swept[:, j], swept[j, j] = row, -column, 1 / pivot
    weights = np.zeros((width, width))
    for j in told:
        weights[j, free] = swept[free, j]
    for j in free:
        # Solve the dependence in which this column weighs most for it.
        k = max(told, key=lambda k: abs(weights[k, j]), default=j)
        if k != j and weights[k, j] != 0:
            weights[j, free] = -weights[k, free] / weights[k, j]
            weights[j, k], weights[j, j] = 1 / weights[k, j], 0.0
    weights[np.abs(weights) < np.sqrt(EXACT)] = 0.0
    return weights, told


class Concentration(NamedTuple):
    """Hold how much distances still tell.

    Parameters
    ----------
    contrast : float
        (farthest - nearest) / nearest of a row's distances to the others: the median over rows.
    variation : float
        Standard deviation over mean of all distances.
    """

    contrast: float
    variation: float


def concentration(rows: np.ndarray, asked: int = 500) -> Concentration:
    """Measure how much the distances between rows differ: the less, the less nearest neighbors mean.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        Without gaps, columns on one scale. Copies of a row are not counted as its nearest.
    asked : int
        Rows, the first ones, whose distances to all others are taken.

    Source
    ------
    Beyer et al., "When is 'nearest neighbor' meaningful?", ICDT 1999; Francois, Wertz and Verleysen, "The
    concentration of fractional distances", IEEE TKDE 19 (2007), for the relative variance.
    """
    apart = rows - rows.mean(axis=0) if len(rows) else rows
    some = apart[:asked]
    lengths = (apart**2).sum(axis=1)
    squares = lengths[: len(some), None] + lengths - 2 * some @ apart.T
    # What is as small as the rounding of the products is a copy.
    blank = squares <= 1e-12 * (lengths[: len(some), None] + lengths)
    distances = np.sqrt(np.where(blank, np.nan, squares))
    distances = distances[(~blank).sum(axis=1) >= 2]
    if not distances.size:
        return Concentration(float("nan"), float("nan"))
    near, far = np.nanmin(distances, axis=1), np.nanmax(distances, axis=1)
    return Concentration(
        float(np.median((far - near) / near)), float(np.nanstd(distances) / np.nanmean(distances))
    )


def hubness(indices: np.ndarray, rows: int) -> float:
    """Return the skewness of how often rows are among the nearest of others: above 1 there are hubs.

    Parameters
    ----------
    indices : ndarray of shape (n_rows, k)
        The nearest rows of each; -1 where there is none.
    rows : int
        How many there are to be near to.

    Source
    ------
    Radovanovic, Nanopoulos and Ivanovic, "Hubs in space", JMLR 11 (2010), equation 1.
    """
    often = np.bincount(indices[indices >= 0].ravel(), minlength=rows).astype(np.float64)
    apart = often - often.mean()
    spread = float(np.sqrt((apart**2).mean()))
    return float((apart**3).mean() / spread**3) if spread > 0 else 0.0


def standardized(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns with mean 0 and variance 1, and which of them vary; those that do not are 0.

    Numbers as far as floats reach are taken, and a column whose spread is lost in the digits of its values
    counts as constant.
    """
    if not len(rows):
        return np.zeros(rows.shape), np.zeros(rows.shape[1], bool)
    largest = np.abs(rows).max(axis=0)
    apart = rows / np.where(largest > 0, largest, 1.0)
    apart = apart - apart.mean(axis=0)
    spread = np.sqrt((apart**2).mean(axis=0))
    varies = spread > 1e-12
    return np.where(varies, apart, 0.0) / np.where(varies, spread, 1.0), varies
