"""Principal components of a covariance, and how many of them to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tilth.errors import DataError

DRAWS = 100
"""Random covariances that chance is told from, up to `SMALL` columns."""
LEAST_DRAWS = 20
SMALL = 200
LEVEL = 0.95
"""A component stands out where its variance is above this quantile of chance's."""
TINY = 1e-15
"""Share of the first variance below which another is not told from rounding."""
TIE = 1e-6
"""Loadings so close to the largest count as equal to it, when a component's sign is fixed."""


@dataclass(frozen=True, eq=False)
class Components:
    """Hold directions of falling variance that do not covary.

    Parameters
    ----------
    vectors : ndarray of shape (n_components, n_columns), float64
        Of length 1; the largest loading of each is positive.
    variances : ndarray of shape (n_components,), float64
        Falling.
    total : float
        The variance of all columns together, which these may be only a part of.

    Source
    ------
    Signs are fixed as scikit-learn's ``svd_flip`` does by loadings; of loadings that are equal but for
    rounding, the first is positive.

    Examples
    --------
    >>> found = Components.of(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> found.variances.round(6).tolist(), (found.vectors[0] ** 2).round(6).tolist()
    ([3.0, 1.0], [0.5, 0.5])
    """

    vectors: np.ndarray
    variances: np.ndarray
    total: float

    @classmethod
    def of(cls, covariance: np.ndarray) -> Components:
        """Return all components of a covariance."""
        variances, vectors = np.linalg.eigh(covariance)
        return cls(signed(vectors.T[::-1]), variances[::-1].clip(min=0.0), float(np.trace(covariance)))

    def first(self, size: int) -> Components:
        """Return the first components."""
        return replace(self, vectors=self.vectors[:size].copy(), variances=self.variances[:size].copy())

    @property
    def shares(self) -> np.ndarray:
        """Return the share of the whole variance that each explains; 0 where nothing varies."""
        return self.variances / self.total if self.total > 0 else np.zeros(len(self.variances))

    def rank(self, rounding: float) -> int:
        """Count components whose variance is told from that of rounding.

        Parameters
        ----------
        rounding : float
            The smallest share of the first variance that another can have.
        """
        return int((self.variances > rounding * self.variances[:1].sum()).sum())


def signed(vectors: np.ndarray) -> np.ndarray:
    """Return vectors, one a row, with the sign that makes the largest loading of each positive."""
    sizes = np.abs(vectors)
    first = (sizes >= (1 - TIE) * sizes.max(axis=1, keepdims=True)).argmax(axis=1)
    turned = vectors[np.arange(len(vectors)), first] < 0
    return np.where(turned[:, None], -vectors, vectors)


def by_share(shares: np.ndarray, wanted: float) -> int:
    """Return how many components explain more than a share; all, where none do.

    Examples
    --------
    >>> by_share(np.array([0.6, 0.3, 0.1]), 0.8)
    2
    """
    return min(int(np.searchsorted(np.cumsum(shares), wanted, side="right")) + 1, len(shares))


def by_likelihood(variances: np.ndarray, rows: int) -> int:
    """Return the likeliest number of components, by Laplace's approximation of the evidence.

    Parameters
    ----------
    variances : ndarray of shape (n_columns,)
        Of all components, falling; at least two.
    rows : int
        At least as many as there are columns.

    Source
    ------
    Minka, "Automatic choice of dimensionality for PCA", NIPS 2000. Equal to scikit-learn's
    ``n_components='mle'``, with which the tests compare.

    Examples
    --------
    >>> by_likelihood(np.array([9.0, 8.0, 1.1, 1.0, 0.9]), 1000)
    2
    """
    from scipy.special import gammaln

    width = len(variances)
    # What is not told from rounding counts as the least that is: equal variances have no direction.
    values = np.maximum(variances, TINY * variances[0])
    logs, ranks = np.log(values), np.arange(1, width)
    gaps = np.log(np.maximum(values[:, None] - values, TINY * values[:, None]))
    above = np.triu(np.ones((width, width), dtype=bool), 1)
    rest = np.maximum(np.cumsum(variances[::-1])[::-1][1:] / (width - ranks), TINY * variances[0])
    # Sums over pairs of a component that is kept and one of less variance, for each number of them; what
    # stands for the inverse variance of the second depends on whether it is kept.
    curvature = np.cumsum(np.where(above, gaps, 0.0).sum(axis=1))[:-1]
    curvature += np.cumsum(np.where(above, gaps - logs[:, None] - logs, 0.0).sum(axis=0))[:-1]
    from_rest = (
        np.log(np.maximum(values[:, None] - rest, TINY * values[:, None])) - logs[:, None] - np.log(rest)
    )
    kept = np.arange(width)[:, None] < ranks
    curvature += (width - ranks) * np.where(kept, from_rest, 0.0).sum(axis=0)
    directions = width * ranks - ranks * (ranks + 1) / 2.0
    curvature += directions * np.log(rows)
    turns = (width - ranks + 1) / 2.0
    told = (
        np.cumsum(gammaln(turns) - np.log(np.pi) * turns - np.log(2.0))
        - np.cumsum(logs)[:-1] * rows / 2.0
        - np.log(rest) * rows * (width - ranks) / 2.0
        + np.log(2.0 * np.pi) * (directions + ranks) / 2.0
        - curvature / 2.0
        - ranks * np.log(rows) / 2.0
    )
    varied = variances[:-1] > TINY * variances[0]
    return int(np.where(varied, told, -np.inf).argmax()) + 1


def by_chance(variances: np.ndarray, columns: np.ndarray, rows: int, seed: int = 0) -> int:
    """Return how many of the first components have more variance than chance gives them.

    Chance is a normal distribution whose columns have the variances of the data, and do not covary. The
    covariance of a sample of it is drawn at once (a Wishart matrix, by Bartlett's decomposition), so that the
    cost does not grow with the rows: as exact as drawing the rows.

    Parameters
    ----------
    variances : ndarray of shape (n_components,)
        Falling.
    columns : ndarray of shape (n_columns,)
        The variance of each column.
    rows : int
    seed : int

    Returns
    -------
    int
        0 where not even the first one stands out.

    Source
    ------
    Horn, "A rationale and test for the number of factors in factor analysis", Psychometrika 30 (1965); the
    95th percentile instead of the mean: Glorfeld, Educational and Psychological Measurement 55 (1995). That
    each column keeps its variance, as it does when its values are permuted: Buja and Eyuboglu, "Remarks on
    parallel analysis", Multivariate Behavioral Research 27 (1992). Bartlett, Proceedings of the Royal Society
    of Edinburgh 53 (1933). The tests compare with drawing rows and with permuting them.

    Examples
    --------
    >>> by_chance(np.array([1.9, 1.05, 1.0, 0.05]), np.ones(4), 100)
    1
    """
    varied = columns > 0
    width, free = int(varied.sum()), rows - 1
    if not width or free < 1:
        return 0
    draws = int(np.clip(DRAWS * (SMALL / width) ** 2, LEAST_DRAWS, DRAWS))
    generator = np.random.default_rng(seed)
    by_column = np.sqrt(columns[varied])
    size = min(width, free, len(variances))
    drawn = np.empty((draws, size))
    for turn in range(draws):
        root = _wishart_root(generator, width, free)
        root *= (by_column / np.sqrt(np.square(root).sum(axis=1)))[:, None]
        short = root if root.shape[0] >= root.shape[1] else root.T
        drawn[turn] = np.linalg.eigvalsh(short.T @ short)[::-1][:size]
    above = variances[:size] > np.quantile(drawn, LEVEL, axis=0)
    return int(size if above.all() else np.argmin(above))


def _wishart_root(generator: np.random.Generator, width: int, free: int) -> np.ndarray:
    """Draw a matrix whose product with its transpose is Wishart with `free` degrees of freedom."""
    if free < width:
        return generator.standard_normal((width, free))
    root = np.tril(generator.standard_normal((width, width)), -1)
    np.fill_diagonal(root, np.sqrt(generator.chisquare(free - np.arange(width))))
    return root


Keep = int | float | Literal["all", "mle", "parallel"]


def how_many(keep: Keep, found: Components, columns: np.ndarray, rows: int, seed: int = 0) -> int:
    """Return how many of the components found are to be kept; 0 where 'parallel' sees none stand out.

    Parameters
    ----------
    keep : int, float, 'all', 'mle' or 'parallel'
        So many; as many as explain more than this share; all; see `by_likelihood`; see `by_chance`.
    found : Components
    columns : ndarray of shape (n_columns,)
        The variance of each column.
    rows : int
    seed : int
        Of 'parallel'.

    Raises
    ------
    DataError
        'mle' for fewer rows than columns.
    """
    if keep == "parallel":
        return by_chance(found.variances, columns, rows, seed)
    if keep == "mle":
        if rows < len(columns):
            raise DataError(
                f"keep='mle' needs at least as many rows as columns: n_samples={rows}, columns: "
                f"{len(columns)}. Use keep='parallel', or a count or share."
            )
        return by_likelihood(found.variances, rows) if len(columns) > 1 else 1
    if keep == "all":
        return len(found.variances)
    return keep if isinstance(keep, int) else by_share(found.shares, float(keep))


Products = Callable[[np.ndarray], np.ndarray]
"""Return the product of the scatter matrix and some vectors, shape (n_columns, n_vectors)."""


def by_sketch(
    products: Products, width: int, size: int, *, total: float, rows: int, passes: int = 4, seed: int = 0
) -> Components:
    """Return the first components of a scatter matrix that is only multiplied with, never made.

    Subspace iteration from random directions, then the Nystroem approximation of what they span.

    Parameters
    ----------
    products : callable
    width : int
        Columns.
    size : int
        Vectors, some more than the components that are wanted.
    total : float
        The trace of the covariance.
    rows : int
    passes : int, at least 2
        How often products are asked for.
    seed : int

    Source
    ------
    Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53 (2011), algorithms 4.4
    and 5.5.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((50, 2)) @ [[3.0, 3.0, 0.0], [0.0, 0.0, 1.0]]
    >>> rows -= rows.mean(axis=0)
    >>> found = by_sketch(lambda v: rows.T @ (rows @ v), 3, 2, total=1.0, rows=50)
    >>> np.allclose(found.variances, np.linalg.svd(rows)[1][:2] ** 2 / 49)
    True
    """
    size = min(size, width)
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, size)))[0]
    made = products(basis)
    for _ in range(passes - 1):
        basis = np.linalg.qr(made)[0]
        made = products(basis)
    inner = basis.T @ made
    values, turn = np.linalg.eigh((inner + inner.T) / 2)
    # Directions in which there is nothing but rounding would be divided by it.
    kept = values > width * np.finfo(np.float64).eps * values[-1]
    if not kept.any():
        return Components(np.eye(size, width), np.zeros(size), total)
    left, singular, _ = np.linalg.svd((made @ turn[:, kept]) / np.sqrt(values[kept]), full_matrices=False)
    return Components(signed(left.T), singular**2 / max(rows - 1, 1), total)
