"""Few rows whose mean is that of all."""

from __future__ import annotations

import numpy as np


def herd(matrix: np.ndarray, size: int) -> np.ndarray:
    """Choose rows one after another, each such that the mean of those chosen comes nearest to that of all.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns)
        Without missing cells.
    size : int, up to n_rows

    Returns
    -------
    ndarray of shape (size,), int64
        In the order they were chosen; of rows that are equally good, the first. No row is chosen twice.

    Source
    ------
    Welling, "Herding dynamical weights to learn", ICML 2009, in the form of Rebuffi et al., "iCaRL:
    incremental classifier and representation learning", CVPR 2017, algorithm 4, which takes any rows.

    Examples
    --------
    >>> herd(np.array([[0.0], [1.0], [4.0], [7.0]]), 3).tolist()
    [2, 1, 3]
    """
    # About the mean of all, so that what is to be reached is 0.
    centered = matrix - matrix.mean(axis=0)
    length = np.einsum("ij,ij->i", centered, centered)
    total, chosen = np.zeros(matrix.shape[1]), np.empty(size, dtype=np.int64)
    for place in range(size):
        # What |total + x|^2 depends on x by.
        chosen[place] = (length + 2 * (centered @ total)).argmin()
        total += centered[chosen[place]]
        length[chosen[place]] = np.inf
    return chosen
