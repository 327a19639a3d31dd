"""What a row is worth by the trees that did not see it: Data-OOB."""

from __future__ import annotations

import math

import numpy as np

from tilth.statistics.draws import uniform

# How often a row is drawn into a bag: Poisson of mean 1, which n draws with replacement from n rows come to.
_UNTIL = np.cumsum([math.exp(-1) / math.factorial(times) for times in range(15)])


def out_of_bag(
    matrix: np.ndarray,
    target: np.ndarray,
    keys: np.ndarray,
    *,
    trees: int,
    seed: int = 0,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Return for each row how well trees that did not see it answer with its label, in the mean.

    How often a row is in the bag of a tree is drawn by `seed` and the row's key: rows of one key are in
    or out together. Each tree chooses its splits among the root of the number of columns.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns)
        NaN is a missing cell.
    target : ndarray of shape (n_rows,)
        Codes of classes (whole numbers), or numbers (floats). A tree's answer counts 1 where it is the
        class of the row, else 0; for numbers 1 - (answer - target)^2 / s, s being the mean of (a - b)^2 over
        all pairs of rows: 1 for the number itself, 0 in the mean for that of a row drawn by chance.
    keys : ndarray of shape (n_rows,), uint64
    trees : int
    seed : int
    weight : ndarray of shape (n_rows,), optional
        What rows count for trees.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        NaN for a row that was in the bag of all trees.

    Source
    ------
    Kwon and Zou, "Data-OOB: out-of-bag estimate as a simple and efficient data value", ICML 2023, equation 2;
    with Poisson draws as in Oza and Russell, "Online bagging and boosting", AISTATS 2001.
    """
    from joblib import Parallel, delayed

    matrix = np.asarray(matrix, dtype=np.float32)
    if target.dtype.kind == "f":
        # Trees stop where the variance is small, in the target's own units.
        target = (target - target.mean()) / (target.std() or 1.0)
    told = [delayed(_tree)(matrix, target, keys, weight, seed, number) for number in range(trees)]
    total, times = np.zeros(len(target)), np.zeros(len(target), dtype=np.int64)
    # Trees let other threads run, and their answers are added in their own order.
    for out, right in Parallel(n_jobs=-1, prefer="threads", return_as="generator")(told):
        total[out] += right
        times[out] += 1
    values: np.ndarray = np.divide(total, times, out=np.full(len(target), np.nan), where=times > 0)
    return values


def _tree(
    matrix: np.ndarray,
    target: np.ndarray,
    keys: np.ndarray,
    weight: np.ndarray | None,
    seed: int,
    number: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows out of the bag of one tree, and how well it answers for them."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    drawn = np.searchsorted(_UNTIL, uniform(seed, keys, epoch=number), side="right")
    bag, out = np.flatnonzero(drawn), np.flatnonzero(drawn == 0)
    if not (len(bag) and len(out)):
        return np.empty(0, np.int64), np.empty(0)
    counts = drawn[bag] if weight is None else drawn[bag] * weight[bag]
    numeric = target.dtype.kind == "f"
    kind = DecisionTreeRegressor if numeric else DecisionTreeClassifier
    model = kind(max_features="sqrt", random_state=number).fit(matrix[bag], target[bag], sample_weight=counts)
    answer = model.predict(matrix[out])
    if not numeric:
        return out, (answer == target[out]).astype(np.float64)
    return out, 1 - np.square(answer - target[out]) / 2
