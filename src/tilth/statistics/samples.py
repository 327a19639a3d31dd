"""Two samples against one another: are they of one kind, and by how much do they differ?"""

from __future__ import annotations

import numpy as np

EXACT = 1_000_000
"""Pairs of rows up to which the Kolmogorov-Smirnov p value is exact; beyond them the limit law serves."""

LEAST = 5.0
"""Expected cells of a table below which a category is put together with other rare ones."""

BINS = 10


def ks(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the Kolmogorov-Smirnov distance of two samples of numbers, and its p value."""
    from scipy.stats import ks_2samp

    method = "exact" if len(one) * len(other) <= EXACT else "asymp"
    found = ks_2samp(one, other, method=method)
    return float(found.statistic), float(found.pvalue)


def chi_square(one: np.ndarray, other: np.ndarray) -> float:
    """Return the p value of Pearson's chi-squared for two samples of categories, given as counts per level.

    Levels of which fewer than `LEAST` are expected in either sample are counted as one.
    """
    from scipy.stats import chi2_contingency

    table = np.stack([one, other]).astype(float)
    table = table[:, table.sum(axis=0) > 0]
    smaller = table.sum(axis=1).min() / max(table.sum(), 1)
    rare = table.sum(axis=0) * smaller < LEAST
    if rare.any():
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def psi(one: np.ndarray, other: np.ndarray) -> float:
    """Return the population stability index of two samples, given as counts per level.

    The sum of ``(q - p) * log(q / p)`` over levels. Half a row stands in for none: the index would be
    infinite.
    """
    counts = np.stack([one, other]).astype(float)
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] == 0 or (counts.sum(axis=1) == 0).any():
        return 0.0
    counts = np.maximum(counts, 0.5)
    p, q = counts / counts.sum(axis=1, keepdims=True)
    return float(((q - p) * np.log(q / p)).sum())


def binned(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count two samples of numbers in the tenths of the first; missing ones are one more part."""
    known = one[np.isfinite(one)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else known
    counts = []
    for values in (one, other):
        there = np.isfinite(values)
        inside = np.bincount(np.searchsorted(edges, values[there], side="left"), minlength=len(edges) + 1)
        counts.append(np.append(inside, (~there).sum()))
    return counts[0], counts[1]


def auc_error(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Return the area under the ROC curve and its standard error by DeLong's method.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
    positive : ndarray of shape (n_rows,), bool
        At least two of each kind.

    Source
    ------
    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", Biometrics 44, 1988; by mid-ranks as in Sun and Xu, IEEE Signal Processing
    Letters 21, 2014.
    """
    from scipy.stats import rankdata

    ranks = rankdata(scores)
    up, down = scores[positive], scores[~positive]
    many, few = len(up), len(down)
    # For each row of one kind, the share of the other kind that it beats.
    beats = (ranks[positive] - rankdata(up)) / few
    beaten = 1 - (ranks[~positive] - rankdata(down)) / many
    error = np.sqrt(beats.var(ddof=1) / many + beaten.var(ddof=1) / few)
    return float(beats.mean()), float(error)
