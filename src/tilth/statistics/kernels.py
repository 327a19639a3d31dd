"""Kernels of rows with landmarks, and principal components in the space that a kernel spans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tilth.statistics.components import signed
from tilth.statistics.gram import Gram

Name = Literal["rbf", "laplacian", "poly", "cosine"]

TINY = 1e-12
"""Share of the largest eigenvalue below which a direction of the landmarks is only rounding."""


@dataclass(frozen=True)
class Kernel:
    """Compare rows by a kernel.

    Parameters
    ----------
    name : {'rbf', 'laplacian', 'poly', 'cosine'}
        exp(-gamma |x - y|^2), the same of the sum of absolute differences, (gamma x.y + coef0)^degree, or the
        cosine of the angle between rows.
    gamma : float
    degree, coef0 : float
        Of 'poly'.

    Examples
    --------
    >>> Kernel("rbf", 1.0)(np.array([[0.0]]), np.array([[0.0], [1.0]])).round(3).tolist()
    [[1.0, 0.368]]
    """

    name: Name
    gamma: float
    degree: float = 3.0
    coef0: float = 1.0

    def __call__(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the kernel of each row with each of the others."""
        from sklearn.metrics.pairwise import pairwise_kernels

        if not len(rows):
            return np.empty((0, len(others)))

        told = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}
        return np.asarray(pairwise_kernels(rows, others, metric=self.name, filter_params=True, **told))


def by_median(name: Name, rows: np.ndarray) -> float:
    """Return the gamma at which rows that are as far apart as the median are alike by about 0.6 or 0.4.

    1 / (2 m^2) for 'rbf' and 1 / m for 'laplacian', with m the median distance of two different rows; one
    divided by the number of columns for other kernels, as scikit-learn has it.

    Source
    ------
    Garreau, Jitkrittum and Kanagawa, "Large sample analysis of the median heuristic", arXiv
    1707.07269 (2017).

    Examples
    --------
    >>> by_median("rbf", np.array([[0.0], [1.0], [2.0]]))
    0.5
    """
    from scipy.spatial.distance import pdist

    if name not in ("rbf", "laplacian"):
        return 1.0 / max(int(rows.shape[1]), 1)
    apart = pdist(rows, "euclidean" if name == "rbf" else "cityblock")
    apart = apart[apart > 0]
    if not len(apart):
        return 1.0
    median = float(np.median(apart))
    return 1.0 / (2.0 * median * median) if name == "rbf" else 1.0 / median


@dataclass(frozen=True, eq=False)
class Features:
    """Map rows to the space that landmarks span under a kernel: products there are those of the kernel.

    Where all rows are landmarks that is exact; otherwise it is the Nystroem approximation.

    Parameters
    ----------
    kernel : Kernel
    landmarks : ndarray of shape (n_landmarks, n_columns)
    root : ndarray of shape (n_landmarks, n_features)
        Kernels with the landmarks times this are the features.

    Source
    ------
    Williams and Seeger, "Using the Nystroem method to speed up kernel machines", NIPS 2000.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [3.0]])
    >>> kernel = Kernel("rbf", 0.5)
    >>> features = Features.of(kernel, rows)(rows)
    >>> np.allclose(features @ features.T, kernel(rows, rows))
    True
    """

    kernel: Kernel
    landmarks: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, kernel: Kernel, landmarks: np.ndarray) -> Features:
        """Learn the space of some landmarks."""
        values, vectors = np.linalg.eigh(kernel(landmarks, landmarks))
        kept = values > TINY * max(values[-1], 0.0)
        if not kept.any():
            kept[-1] = True
            values = np.ones(len(values))
        return cls(kernel, landmarks, vectors[:, kept] / np.sqrt(values[kept]))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of rows."""
        return np.asarray(self.kernel(rows, self.landmarks) @ self.root)


def in_landmarks(features: Features, gram: Gram) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return principal components of features as weights of landmarks, their eigenvalues, and offsets.

    Parameters
    ----------
    features : Features
    gram : Gram
        Of the features of all rows.

    Returns
    -------
    weights : ndarray of shape (n_landmarks, n_components)
        The largest weight of each is positive.
    eigenvalues : ndarray of shape (n_components,)
        Of the centered kernel matrix of all rows, falling; those that are only rounding are left out, except
        the first.
    offsets : ndarray of shape (n_components,)
        What the mean row is projected to: subtracted from projections.
    """
    values, vectors = np.linalg.eigh(gram.scatter)
    values, vectors = values[::-1].clip(min=0.0), vectors[:, ::-1]
    # A root of a value that is small next to the first would be mostly rounding.
    kept = np.arange(len(values)) < max(int((values > 1e-10 * values[0]).sum()), 1)
    weights = signed((features.root @ vectors[:, kept]).T).T
    back = np.linalg.pinv(features.root)
    return weights, values[kept], gram.mean @ (back @ weights)


def ridge_back(
    kernel: Callable[[np.ndarray, np.ndarray], np.ndarray], codes: np.ndarray, rows: np.ndarray, alpha: float
) -> np.ndarray:
    """Return weights that tell rows from their codes, by kernel ridge regression.

    Source
    ------
    Bakir, Weston and Schoelkopf, "Learning to find pre-images", NIPS 2003; as scikit-learn's ``KernelPCA``
    with ``fit_inverse_transform=True`` has it.
    """
    products = kernel(codes, codes)
    products[np.diag_indices_from(products)] += alpha
    return np.linalg.solve(products, rows)
