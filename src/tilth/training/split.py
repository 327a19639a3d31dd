"""The inner split: the rows kept aside, out of the training rows, to tell when to stop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def inner_split(
    target: NDArray[np.generic], share: float, random_state: int, stratified: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split row positions into training and validation, each in ascending order.

    Stratified, each class gives its share to within one row, and a class of a single row stays in training: a
    model cannot be judged on a class it never saw.

    Parameters
    ----------
    target : array of shape (n_rows,) or (n_rows, n_outputs)
        Classes, where `stratified`; otherwise only its length is used.
    share : float in [0, 0.5]
        Share of rows to validate on.
    random_state : int
        Seed; NumPy's global state is neither read nor changed.
    stratified : bool, default False
        Keep the proportions of the classes.

    Returns
    -------
    training, validation : arrays of int64
        Disjoint; together they are all rows.

    Examples
    --------
    >>> training, validation = inner_split(np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]), 0.25, 0, stratified=True)
    >>> np.bincount(np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])[validation]).tolist()
    [1, 1]
    """
    if not 0 <= share <= 0.5:
        raise ValueError(f"share is {share}; it must lie between 0 and 0.5.")
    rows = len(target)
    order = np.random.default_rng(random_state).permutation(rows)
    if stratified:
        _, codes, counts = np.unique(target, return_inverse=True, return_counts=True)
        order = order[np.argsort(codes[order], kind="stable")]
        order = order[counts[codes[order]] > 1]
    # Systematic sampling: every (1/share)-th row of the class-sorted order; no class can dodge it.
    steps = np.floor(np.arange(len(order) + 1) * share + 0.5 * (share > 0))
    validation = np.sort(order[np.diff(steps) > 0])
    kept = np.ones(rows, dtype=bool)
    kept[validation] = False
    return np.flatnonzero(kept), validation
