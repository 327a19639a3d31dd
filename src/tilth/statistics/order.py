"""Whether values follow an order of rows: are neighbors more alike than by chance?"""

from __future__ import annotations

import numpy as np

DRAWS = 499
"""Permutations: the smallest p value is 0.002."""


def alike(values: np.ndarray, classes: bool, seed: int = 0) -> tuple[float, float]:
    """Say how much more alike neighbors are than rows in a random order, and how likely chance does that.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        In the order in question: class codes from 0, or numbers (their ranks count).
    classes : bool
    seed : int
        Of the permutations.

    Returns
    -------
    excess : float
        1: sorted; 0: as by chance; below 0: neighbors differ. For classes the share of neighbors of the same
        class, between what chance gives and all; for numbers von Neumann's ratio, as the autocorrelation of
        the ranks.
    p_value : float
        Two-sided, of permutations.

    Source
    ------
    Wald and Wolfowitz, "An exact test for randomness" (1943), and Bartels, "The rank version of von Neumann's
    ratio test for randomness" (1982).
    """
    rows = len(values)
    if rows < 3:
        return 0.0, 1.0
    random = np.random.default_rng(seed)
    values = np.unique(values, return_inverse=True)[1] if classes else _ranks(values)
    apart = _changes if classes else _squares
    seen, drawn = apart(values), np.array([apart(random.permutation(values)) for _ in range(DRAWS)])
    usual = drawn.mean()
    if usual == 0:
        return 0.0, 1.0
    least = len(np.unique(values)) - 1 if classes else apart(np.sort(values))
    excess = (usual - seen) / max(usual - least, 1e-12)
    beyond = np.abs(drawn - usual) >= abs(seen - usual) - 1e-9
    return float(np.clip(excess, -1, 1)), float((1 + beyond.sum()) / (DRAWS + 1))


def _changes(values: np.ndarray) -> float:
    return float((values[1:] != values[:-1]).sum())


def _squares(values: np.ndarray) -> float:
    return float((np.diff(values) ** 2).sum())


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values))
