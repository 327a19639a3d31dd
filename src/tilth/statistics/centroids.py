"""Class centers, and how near a row is to each: a classifier for a handful of rows."""

from __future__ import annotations

import numpy as np


class Centroids:
    """Learn the center of each class, shrunken toward the center of all, and the spread of each column.

    With few rows a class's mean is mostly chance: each column's distance from the mean of all is made
    smaller by `shrink` of its standard errors, and columns in which no class stands out count no longer.

    Parameters
    ----------
    shrink : float, at least 0
        0 keeps the means as they are.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    centers_ : ndarray of shape (n_classes, n_columns)
    spread_ : ndarray of shape (n_columns,)
        The standard deviation within classes; where each class has one row, that of all rows.

    Source
    ------
    Tibshirani et al., "Diagnosis of multiple cancer types by shrunken centroids of gene expression", PNAS 99
    (2002); the centers are those of ``sklearn.neighbors.NearestCentroid(shrink_threshold=shrink)``, and the
    classes, with empirical priors. Its probabilities are squares of these, normalized: they lack the half
    before the squared distance.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> Centroids(shrink=0.0).fit(rows, np.array([0, 0, 1, 1])).predict_proba(np.array([[2.0]])).round(2)
    array([[1., 0.]])
    """

    def __init__(self, shrink: float = 0.5) -> None:
        self.shrink = shrink

    def fit(self, rows: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None = None) -> Centroids:
        """Learn centers and spread.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
            Finite.
        labels : ndarray of shape (n_rows,)
        sample_weight : ndarray of shape (n_rows,), optional
            Above 0: a row of weight 2 counts as two rows.
        """
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight
        self.classes_, codes = np.unique(labels, return_inverse=True)
        count = len(self.classes_)
        mass = np.bincount(codes, weight, count)
        one_hot = (codes[:, None] == np.arange(count)) * weight[:, None]
        means = one_hot.T @ rows / mass[:, None]
        total = mass.sum()
        mean = weight @ rows / total
        within = weight @ np.square(rows - means[codes])
        around = weight @ np.square(rows - mean)
        free = total - count
        # Without a second row in any class nothing is known of the spread within one.
        known = len(rows) > count and free > 0
        self.spread_ = np.sqrt(within / free if known else around / total)
        usual = float(np.median(self.spread_))
        error = np.sqrt(np.maximum(1 / mass - 1 / total, 0.0))[:, None] * (self.spread_ + usual)
        apart = means - mean
        self.centers_ = mean + np.sign(apart) * np.maximum(np.abs(apart) - self.shrink * error, 0.0)
        self.prior_ = mass / total
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return the probability of each class: normal, independent columns of one spread in all classes."""
        told = self.spread_ > 0
        scaled = np.divide(1.0, self.spread_, out=np.zeros(len(told)), where=told)
        at, to = rows * scaled, self.centers_ * scaled
        near = at @ to.T - np.square(to).sum(axis=1) / 2 + np.log(self.prior_)
        near = np.exp(near - near.max(axis=1, keepdims=True))
        shares: np.ndarray = near / near.sum(axis=1, keepdims=True)
        return shares
