"""How closely categories, or a category and a number, go together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def table_of(one: Codes, two: Codes) -> NDArray[np.int64]:
    """Count the pairs of two categories over the rows that have both; levels that do not occur are left out.

    Parameters
    ----------
    one, two : ndarray of shape (n_rows,), int64
        Codes from 0; below 0: missing.

    Returns
    -------
    ndarray of shape (n_levels, n_levels_of_two), int64
    """
    known = (one >= 0) & (two >= 0)
    rows, i = np.unique(one[known], return_inverse=True)
    columns, j = np.unique(two[known], return_inverse=True)
    counts = np.bincount(i * len(columns) + j, minlength=len(rows) * len(columns))
    return counts.reshape(len(rows), len(columns))


def tschuprow(table: NDArray[np.int64], correct: bool = True) -> float:
    """Return Tschuprow's T: 1 only where each level of one goes with one level of the other, both ways.

    Cramer's V is also 1 where one category merely refines the other, a city its country.

    Parameters
    ----------
    table : ndarray of shape (n_levels, n_levels_of_two), int64
        Counts, with no empty row or column.
    correct : bool
        Take off what chance adds: two columns of names, no two alike, go together by nature.

    Source
    ------
    Bergsma, "A bias-correction for Cramer's V and Tschuprow's T", J. Korean Stat. Soc. 42 (2013). Uncorrected
    it is ``scipy.stats.contingency.association(table, method='tschuprow')``.

    Examples
    --------
    >>> round(tschuprow(np.diag([5, 5, 5])), 3), round(tschuprow(np.array([[5, 5, 0], [0, 0, 9]])), 3)
    (1.0, 0.828)
    """
    n = int(table.sum())
    if n < 2 or min(table.shape) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float(((table - expected) ** 2 / expected).sum() / n)
    levels = np.array(table.shape, dtype=np.float64)
    if correct:
        phi = max(0.0, phi - float(np.prod(levels - 1)) / (n - 1))
        levels -= (levels - 1) ** 2 / (n - 1)
    room = float(np.prod(levels - 1))
    # With a level per row nothing is left to tell by.
    return min(1.0, float(np.sqrt(phi / np.sqrt(room)))) if room > 1e-9 else 0.0


def correlation_ratio(values: NDArray[np.float64], codes: Codes) -> float:
    """Return eta: the root of the share of a number's variance that lies between the levels of a category.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), float64
        NaN where missing.
    codes : ndarray of shape (n_rows,), int64
        Codes from 0; below 0: missing.

    Examples
    --------
    >>> correlation_ratio(np.array([1.0, 1.0, 5.0, 5.0]), np.array([0, 0, 1, 1]))
    1.0
    """
    known = (codes >= 0) & ~np.isnan(values)
    values, codes = values[known], codes[known]
    if len(values) < 2 or (values == values[0]).all():
        return 0.0
    # Neither squares of tiny numbers nor sums of huge ones are numbers.
    values = values / np.abs(values).max()
    values = values - values.mean()
    counts, sums = np.bincount(codes), np.bincount(codes, values)
    between = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
    return float(np.sqrt(min(1.0, between / float((values**2).sum()))))


def pearson(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Return Pearson's r over the rows that have both, NaN being missing; 0 where one does not vary."""
    known = ~np.isnan(one) & ~np.isnan(two)
    one, two = one[known], two[known]
    if len(one) < 2 or (one == one[0]).all() or (two == two[0]).all():
        return 0.0
    one, two = one / np.abs(one).max(), two / np.abs(two).max()
    return float(np.clip(np.corrcoef(one, two)[0, 1], -1.0, 1.0))


def ranked(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ranks of each column from -1 to 1, ties at their mean; NaN stays, and is not ranked.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns), float64

    Examples
    --------
    >>> ranked(np.array([[3.0], [np.nan], [1.0], [9.0]])).ravel().tolist()
    [0.0, nan, -1.0, 1.0]
    """
    from scipy.stats import rankdata

    ranks = rankdata(matrix, axis=0, nan_policy="omit")
    count = (~np.isnan(matrix)).sum(axis=0)
    out: NDArray[np.float64] = (2 * ranks - count - 1) / np.maximum(count - 1, 1)
    return out
