"""Little's test: are cells missing completely at random?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tilth.statistics.gaussian import Gaussian, patterns_of

# A column of which the others leave no larger share of the variance is a linear function of them.
_LEAST_SHARE = 1e-5


@dataclass(frozen=True)
class LittleTest:
    """Hold the outcome of Little's test.

    Parameters
    ----------
    statistic : float
        Larger the more the means of rows with different patterns of gaps differ.
    degrees_of_freedom : int
        0 where there is nothing to compare: a single pattern.
    p_value : float
        How often cells that are missing completely at random differ as much; 1 where there is nothing
        to compare.
    patterns : int
        Patterns of gaps that were compared.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    patterns: int


def little_test(matrix: np.ndarray) -> LittleTest:
    """Test whether cells are missing completely at random (MCAR), by the means of each pattern of gaps.

    Columns without two different values, and columns that are a linear function of others, are left
    out: they cannot tell more. The p-value allows for few rows per pattern, and tends to that of
    chi-squared as rows grow. Means of a pattern's rows are taken as normal: with heavy tails test ranks,
    or leave out patterns of few rows, which keeps the test valid.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns), float64
        Cells that are not finite are missing.

    Source
    ------
    Little, "A test of missing completely at random for multivariate data with missing values", JASA
    (1988), equation 5 with the covariance on n - 1 degrees of freedom. For few rows per pattern: Pillai's
    beta approximation for the trace, which the statistic is where no cell is missing; the tests
    simulate its level.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 2))
    >>> rows[:60, 1] = np.nan
    >>> little_test(rows).p_value > 0.05
    True
    >>> rows[:60, 0] += 1.0
    >>> little_test(rows).p_value < 0.001
    True
    """
    values = np.where(np.isfinite(matrix), matrix, np.nan).astype(np.float64)
    values = values[:, _varying(values)]
    gaussian = _fitted(values)
    chosen = _independent(gaussian.covariance)
    if len(chosen) < values.shape[1]:
        values = values[:, chosen]
        gaussian = _fitted(values)
    missing = np.isnan(values)
    values, missing = values[~missing.all(axis=1)], missing[~missing.all(axis=1)]
    number = patterns_of(missing)
    sizes = np.bincount(number)
    if len(sizes) < 2:
        return LittleTest(0.0, 0, 1.0, len(sizes))
    order = np.argsort(number, kind="stable")
    means = np.add.reduceat(values[order], np.cumsum(sizes) - sizes, axis=0) / sizes[:, None]
    distances = gaussian.mahalanobis(means)
    statistic = float(sizes @ distances) * (len(values) - 1) / len(values)
    patterns_with = (~np.isnan(means)).sum(axis=0)
    free = int(patterns_with.sum()) - values.shape[1]
    # A column that one pattern alone has is compared with nothing.
    total = int(((~missing).sum(axis=0) - 1)[patterns_with > 1].sum())
    return LittleTest(statistic, free, _p_value(statistic, free, total), len(sizes))


def _p_value(statistic: float, free: int, total: int) -> float:
    """Return the chance of a larger statistic, of which the largest possible is `total`."""
    from scipy.stats import beta

    if free < 1 or total <= free:  # every pattern is one row: their means are what all else is judged by
        return 1.0
    return float(beta.sf(min(statistic / total, 1.0), free / 2, (total - free) / 2))


def _fitted(values: np.ndarray) -> Gaussian:
    return Gaussian.of(values, tolerance=1e-8, max_iter=1000)


def _varying(values: np.ndarray) -> np.ndarray:
    there = ~np.isnan(values)
    least = np.min(values, axis=0, initial=np.inf, where=there)
    most = np.max(values, axis=0, initial=-np.inf, where=there)
    varying: np.ndarray = least < most
    return varying


def _independent(covariance: np.ndarray) -> list[int]:
    """Return the columns, from the first on, that are no linear function of those before."""
    chosen: list[int] = []
    for column in range(len(covariance)):
        across = covariance[chosen, column]
        told = across @ np.linalg.lstsq(covariance[np.ix_(chosen, chosen)], across)[0] if chosen else 0.0
        if covariance[column, column] - told > _LEAST_SHARE * covariance[column, column]:
            chosen.append(column)
    return chosen
