"""Random directions, drawn by the names of columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilth.statistics.draws import key_of, uniform


def sparse_directions(names: Sequence[str], size: int, density: float, seed: int = 0) -> np.ndarray:
    """Draw directions of which most loadings are 0 and the others plus or minus one value.

    Parameters
    ----------
    names : sequence of str
        Of the columns: a column has the same loadings whichever others there are, and in whatever order.
    size : int
    density : float in (0, 1]
        The share of loadings that are not 0.
    seed : int

    Returns
    -------
    ndarray of shape (size, n_columns)
        Rows keep their squared length on average.

    Source
    ------
    Achlioptas, "Database-friendly random projections", JCSS 66 (2003), for a density of 1/3; Li, Hastie and
    Church, "Very sparse random projections", KDD 2006, for 1/sqrt(n_columns).

    Examples
    --------
    >>> one, two = sparse_directions(["a", "b"], 4, 0.5), sparse_directions(["b", "a"], 4, 0.5)
    >>> bool((one == two[:, ::-1]).all())
    True
    """
    draws = _draws(names, size, seed)
    value = 1.0 / np.sqrt(density * size)
    return np.where(draws < density / 2, value, np.where(draws < density, -value, 0.0))


def normal_directions(names: Sequence[str], size: int, seed: int = 0) -> np.ndarray:
    """Draw directions of normal loadings, by the names of columns, as `sparse_directions` does."""
    from scipy.special import ndtri

    # Draws are multiples of 2^-53; half of that keeps the quantile of the least one finite.
    made: np.ndarray = ndtri(_draws(names, size, seed) + 2.0**-54) / np.sqrt(size)
    return made


def _draws(names: Sequence[str], size: int, seed: int) -> np.ndarray:
    keys = key_of(names)
    return np.array([uniform(seed, keys, place) for place in range(size)]).reshape(size, len(keys))
