"""Put principal components under a kernel in the place of columns."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from tilth.core.stage import Selection
from tilth.errors import DataError
from tilth.neighbors import Space
from tilth.neighbors.centers import k_center
from tilth.stages.reducing import Reducer
from tilth.statistics import Statistics
from tilth.statistics.components import by_share
from tilth.statistics.gram import Gram
from tilth.statistics.kernels import Features, Kernel, Name, by_median, in_landmarks, ridge_back
from tilth.statistics.passes import Passes

SEEN = 20
"""Rows among which each center is chosen."""


class ReduceKernelPca(Reducer):
    """Replace numbers and vectors by principal components of what a kernel sees in them: curved directions.

    Learns
        Some rows as landmarks; the principal components, over all rows, of the space that these span under
        the kernel (Nystroem). Exact where all rows are landmarks.
    New data
        The columns give way to ``kernel1``, ``kernel2`` ..., Float64, in the place of the first of them.
        `inverse_transform` gives back what a ridge regression, over the landmarks, tells of the columns.
    Training
        Same as new data.
    Weights
        Ignored.
    Cost
        O(rows x landmarks x (columns + landmarks)) in one pass, and O(landmarks^3); 'centers' adds
        O(landmarks^2 x columns) for distances. Acting: a kernel with each landmark per row.
    Scaling
        Exact for any partition: landmarks are drawn by seed and row id, and the rest is added up.

    Parameters
    ----------
    keep : int, at least 1, or float in (0, 1)
        So many components, or as many as explain more than this share of the variance in the space of the
        landmarks.
    kernel : {'rbf', 'laplacian', 'poly', 'cosine'}
        exp(-gamma |x - y|^2), the same of the sum of absolute differences, (gamma x.y + coef0)^degree, or the
        cosine of the angle between rows.
    gamma : float above 0, or 'auto'
        'auto': by the median distance m between landmarks (1 / (2 m^2) for 'rbf', 1 / m for 'laplacian'), and
        1 / columns for 'poly'. 'cosine' has none.
    degree : int, at least 1
        Of 'poly'.
    coef0 : float
        Of 'poly'.
    landmarks : int, at least 1
        So many rows, or all where there are fewer.
    choose : {'random', 'centers'}
        Landmarks are drawn by chance, or such that no row of a sample 20 times as large is far from all.
    scale : bool
        Center columns and divide them by their standard deviation first, so that all count alike.
    alpha : float above 0
        Ridge of the inverse: larger is smoother.
    random_state : int, at least 0
        Seed of the landmarks.
    on : selection, optional
        The columns; by default all numbers and vectors.

    Attributes
    ----------
    landmarks_ : ndarray of shape (n_landmarks, n_wide)
    weights_ : ndarray of shape (n_landmarks, n_components)
    eigenvalues_ : ndarray of shape (n_components,)
        Of the centered kernel matrix: the squares of each component, summed over the rows.
    mean_, scale_ : ndarray of shape (n_wide,)
        What is subtracted from columns, and divided by, where `scale` is True.
    gamma_ : float
    n_components_ : int

    Findings
        reduce.explained : how much of the variance in the space of the landmarks the components explain;
            score: the share.
        reduce.fewer : there are fewer components than were asked for; score: how many there are.

    Raises
        DataError : a cell is missing or infinite; numbers too large for the kernel.

    Source
        Schoelkopf, Smola and Mueller, "Nonlinear component analysis as a kernel eigenvalue problem", Neural
        Computation 10 (1998); Williams and Seeger, NIPS 2000. Peers: scikit-learn's ``KernelPCA``, with
        its inverse, where all rows are landmarks, and ``Nystroem`` with ``PCA``; equal to 1e-6 up to sign.

    Examples
    --------
    >>> import polars as pl
    >>> angle = np.linspace(0, 6, 60)
    >>> rows = pl.DataFrame({"x": np.cos(angle), "y": np.sin(angle)})
    >>> stage = ReduceKernelPca(keep=2, landmarks=60).fit(rows)
    >>> stage.transform(rows).columns
    ['kernel1', 'kernel2']
    """

    prefix: ClassVar = "kernel"
    finds: ClassVar = {
        "reduce.explained": "how much of the variance the components explain",
        "reduce.fewer": "there are fewer components than were asked for",
    }

    def __init__(
        self,
        *,
        keep: Annotated[int, Ge(1)] | Annotated[float, Gt(0), Lt(1)] = 10,
        kernel: Name = "rbf",
        gamma: Annotated[float, Gt(0)] | Literal["auto"] = "auto",
        degree: Annotated[int, Ge(1)] = 3,
        coef0: float = 1.0,
        landmarks: Annotated[int, Ge(1)] = 500,
        choose: Literal["random", "centers"] = "random",
        scale: bool = True,
        alpha: Annotated[float, Gt(0)] = 1.0,
        random_state: Annotated[int, Ge(0)] = 0,
        on: Selection = None,
    ) -> None:
        self.keep = keep
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.landmarks = landmarks
        self.choose = choose
        self.scale = scale
        self.alpha = alpha
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"keep": 3, "landmarks": 40},
            {"keep": 0.8, "kernel": "laplacian", "landmarks": 20, "choose": "centers", "scale": False},
            {"keep": 2, "kernel": "poly", "degree": 2, "coef0": 0.5, "landmarks": 30, "gamma": 0.1},
            {"keep": 2, "kernel": "cosine", "landmarks": 30},
        ]

    def learn_matrix(self, statistics: Statistics) -> int:
        """Learn landmarks, components and the way back."""
        self._learn_units(statistics)
        self.landmarks_ = self._landmarks(statistics)
        self.gamma_ = by_median(self.kernel, self.landmarks_) if self.gamma == "auto" else float(self.gamma)
        with np.errstate(over="ignore", invalid="ignore"):
            self._need_finite(self._kernel(self.landmarks_, self.landmarks_))
            features = Features.of(self._kernel, self.landmarks_)
            gram = statistics.gram(self.columns_, lambda rows: features(self._scaled(self.read(rows))))
        self._need_finite(gram.scatter)
        weights, eigenvalues, offsets = in_landmarks(features, gram)
        total = max(float(np.trace(gram.scatter)), np.finfo(float).tiny)
        shares = eigenvalues / total
        size = min(self.keep, len(shares)) if isinstance(self.keep, int) else by_share(shares, self.keep)
        self.n_components_ = size
        self.weights_, self.offsets_ = np.ascontiguousarray(weights[:, :size]), offsets[:size].copy()
        self.eigenvalues_ = eigenvalues[:size].copy()
        codes = self._kernel(self.landmarks_, self.landmarks_) @ self.weights_ - self.offsets_
        self.codes_, self.back_ = codes, ridge_back(self._kernel, codes, self.landmarks_, self.alpha)
        self._tell(float(shares[:size].sum()))
        return size

    def _learn_units(self, statistics: Statistics) -> None:
        width = self.dense_.width
        self.mean_, self.scale_ = np.zeros(width), np.ones(width)
        if self.scale:
            with np.errstate(over="ignore", invalid="ignore"):
                told = Passes(statistics.shards, self.columns_, self.read, width).moments()
                std = Gram(int(told.count[0]), told.mean, np.diag(told.deviations)).std()
            self._need_finite(told.deviations)
            self.mean_, self.scale_ = told.mean, np.where(std > 0, std, 1.0)

    def _need_finite(self, values: np.ndarray) -> None:
        if not np.isfinite(values).all():
            raise DataError(
                f"{self.key}: the numbers are too large for kernel '{self.kernel}'. Use scale=True, or put "
                "outliers.clip before it."
            )

    def _landmarks(self, statistics: Statistics) -> np.ndarray:
        """Return rows, in units of the columns' standard deviations."""
        several = self.landmarks * (SEEN if self.choose == "centers" else 1)
        rows = self._scaled(self.read(statistics.sample(self.columns_, several, self.random_state)))
        if self.choose == "centers" and len(rows) > self.landmarks:
            rows = rows[k_center(Space(), rows, self.landmarks)[0]]
        return np.ascontiguousarray(rows)

    @property
    def _kernel(self) -> Kernel:
        return Kernel(self.kernel, self.gamma_, float(self.degree), float(self.coef0))

    def _scaled(self, matrix: np.ndarray) -> np.ndarray:
        return np.asarray((matrix - self.mean_) / self.scale_)

    def _tell(self, share: float) -> None:
        size = self.n_components_
        several = "1 component explains" if size == 1 else f"{size} components explain"
        self.report(
            "reduce.explained",
            f"{several} {share:.1%} of the variance that kernel '{self.kernel}' sees through "
            f"{len(self.landmarks_)} landmarks.",
            share,
            columns=tuple(self.columns_),
        )
        if isinstance(self.keep, int) and size < self.keep:
            told = f"{self.keep} components were asked for, and {size} have any variance."
            self.report("reduce.fewer", told, float(size), severity="low")

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Return the components of rows."""
        return self._kernel(self._scaled(matrix), self.landmarks_) @ self.weights_ - self.offsets_

    def unproject(self, codes: np.ndarray) -> np.ndarray:
        """Return the rows that the regression tells from components."""
        return np.asarray(self._kernel(codes, self.codes_) @ self.back_ * self.scale_ + self.mean_)
