"""Which columns enter the path of the lasso first."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

LONGEST = 8
"""Steps of the path for each column wanted: columns leave it again, and some enter as several."""


def first_columns(
    matrix: NDArray[np.float64],
    source: NDArray[np.int64],
    targets: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    size: int,
) -> NDArray[np.int64]:
    """Return the first columns to enter the lasso's path, those of several targets by their turn.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_wide), float64
        Without gaps. Columns are centered and brought to one norm here.
    source : ndarray of shape (n_wide,), int64
        The column that each of them is part of: a category enters with the first of its levels.
    targets : ndarray of shape (n_rows, n_targets), float64
    weight : ndarray of shape (n_rows,), optional
    size : int

    Returns
    -------
    ndarray of shape (n_first,), int64
        At most `size`, the first one first.

    Source
    ------
    Efron et al., "Least angle regression", Ann. Stat. 32 (2004); computed by scikit-learn's ``lars_path``.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = random.normal(size=(50, 4))
    >>> first_columns(X, np.arange(4), (X @ [0.0, 3.0, 0.0, 1.0])[:, None], None, 2).tolist()
    [1, 3]
    """
    share = np.full(len(matrix), 1 / len(matrix)) if weight is None else weight / weight.sum()
    root = np.sqrt(share)[:, None]
    matrix, targets = (root * (values - share @ values) for values in (matrix, targets))
    norm = np.sqrt((matrix**2).sum(axis=0))
    some = norm > 1e-12
    if not some.any():
        return np.zeros(0, np.int64)
    matrix, source = matrix[:, some] / norm[some], source[some]
    turns: dict[int, tuple[int, float, int]] = {}
    for number, target in enumerate(targets.T):
        if not (target**2).sum() > 0:
            continue
        alphas, path = _path(matrix, target / np.sqrt((target**2).sum()), source, size)
        entered = (path != 0).argmax(axis=1)
        for place in np.flatnonzero((path != 0).any(axis=1)):
            turn = (int(entered[place]), -float(alphas[entered[place] - 1]), number)
            column = int(source[place])
            turns[column] = min(turns.get(column, turn), turn)
    order = sorted(turns, key=lambda column: (turns[column], column))
    return np.array(order[:size], dtype=np.int64)


def _path(
    matrix: NDArray[np.float64], target: NDArray[np.float64], source: NDArray[np.int64], size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Follow the path until enough columns have entered it: the penalties, and the coefficients at each."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import lars_path

    for steps in (size + 1, LONGEST * size):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            alphas, _, path = lars_path(matrix, target, method="lasso", max_iter=steps)
        if len(np.unique(source[(path != 0).any(axis=1)])) >= size or len(alphas) <= steps:
            break
    return alphas, path
