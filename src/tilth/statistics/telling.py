"""How much one column tells of another, on rows it did not learn from."""

from __future__ import annotations

import numpy as np

PRIOR = 1.0
"""What the classes of all rows count for, in rows, beside those of one level: no guess is certain."""

LEAVES = 256
LEAST = 3
"""Rows in a leaf: fewer, and a tree remembers rows."""

SHARES = (0.0, 0.02)
"""Shares of the rows in a leaf: a rare class needs small leaves, and wrong labels are learned by them."""


def skill(guess: np.ndarray, truth: np.ndarray, naive: np.ndarray) -> float:
    """Return which share of the uncertainty a guess takes away; 0: no more than the naive guess does.

    Parameters
    ----------
    guess, naive : ndarray of shape (n_rows, n_classes) or (n_rows,)
        Probabilities: the share of the log loss. Values: the share of the squared error.
    truth : ndarray of shape (n_rows,)
        Codes from 0, or values.
    """
    if guess.ndim == 2:
        place = np.arange(len(truth))
        tiny = np.finfo(float).tiny
        loss, worst = (-np.log(np.maximum(p[place, truth], tiny)).mean() for p in (guess, naive))
    else:
        loss, worst = (((g - truth) ** 2).mean() for g in (guess, naive))
    return 0.0 if worst <= 0 else float(1 - loss / worst)


def naive_guess(truth: np.ndarray, fold: np.ndarray, n_classes: int) -> np.ndarray:
    """Return for each row the shares of the classes, or the mean (0 classes), of the other folds."""
    return by_level(np.zeros(len(truth), np.int64), truth, fold, n_classes)


def by_level(level: np.ndarray, truth: np.ndarray, fold: np.ndarray, n_classes: int) -> np.ndarray:
    """Guess each row from the rows of its level in the other folds, drawn towards all rows of these.

    Parameters
    ----------
    level : ndarray of shape (n_rows,), int64
        Codes from 0.
    truth : ndarray of shape (n_rows,)
        Class codes from 0, or values where `n_classes` is 0.
    fold : ndarray of shape (n_rows,), int64

    Returns
    -------
    ndarray of shape (n_rows, n_classes) or (n_rows,)
    """
    folds, levels = int(fold.max()) + 1, int(level.max()) + 1
    cell = fold * levels + level
    if n_classes:
        flat = np.bincount(cell * n_classes + truth, minlength=folds * levels * n_classes)
        sums = flat.reshape(folds, levels, n_classes).astype(float)
    else:
        sums = np.bincount(cell, weights=truth, minlength=folds * levels).reshape(folds, levels, 1)
    counts = np.bincount(cell, minlength=folds * levels).reshape(folds, levels, 1).astype(float)
    sums, counts = sums.sum(axis=0) - sums, counts.sum(axis=0) - counts
    rows = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # One row of each class beside them all, so that a class unseen in the other folds is not impossible.
    overall = sums.sum(axis=1, keepdims=True)
    overall = (overall + 1) / (rows + n_classes) if n_classes else overall / rows
    guess = (sums + PRIOR * overall) / (counts + PRIOR)
    told: np.ndarray = guess[fold, level]
    return told if n_classes else told[:, 0]


def parts(values: np.ndarray, count: int) -> np.ndarray:
    """Cut numbers into parts of about as many rows; equal numbers in one part, missing ones in the last."""
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], np.arange(1, count) / count)) if known.any() else values[:0]
    return np.where(known, np.searchsorted(edges, values, side="right"), len(edges) + 1).astype(np.int64)


def by_tree(
    values: np.ndarray, truth: np.ndarray, fold: np.ndarray, n_classes: int, share: float = 0.0
) -> np.ndarray:
    """Guess each row from a number by a tree that is grown on the other folds: it finds where to cut.

    Parameters and result as in `by_level`; missing numbers are below all others. `share` of the rows, and at
    least three, are in a leaf.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    made = DecisionTreeClassifier if n_classes else DecisionTreeRegressor
    # Ranks, so that no number is too large for a tree; equal numbers share one.
    rank = np.unique(np.where(np.isfinite(values), values, -np.inf), return_inverse=True)[1][:, None]
    rank = rank.astype(np.float32)  # which a tree would make of them: there are fewer than 2^24
    guess = naive_guess(truth, fold, n_classes)
    for number in np.unique(fold):
        inside = fold == number
        if inside.all():
            continue
        least = max(LEAST, int(share * (~inside).sum()))
        tree = made(max_leaf_nodes=LEAVES, min_samples_leaf=least, random_state=0)
        known = np.ascontiguousarray(truth[~inside], np.int64 if n_classes else np.float64)
        leaf = tree.fit(rank[~inside], known, check_input=False).apply(rank, check_input=False)
        guess[inside] = by_level(leaf, truth, inside.astype(np.int64), n_classes)[inside]
    return guess
