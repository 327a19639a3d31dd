"""The boosting probe: histogram gradient boosting, which reads gaps and categories natively."""

from __future__ import annotations

import math
import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.utils._param_validation import Interval
from threadpoolctl import get_cached_controller

from tilth.errors import TilthWarning
from tilth.probes.inputs import Inputs
from tilth.probes.model import Matrix, Probe, Vector

# Rows that binning looks at: scikit-learn's own number.
BINNED_ROWS = 200_000


class Boosting(Probe):
    """Fit scikit-learn's histogram gradient boosting on raw numbers, gaps and category codes.

    Nothing is scaled or filled: the trees learn on which side a gap belongs, and split categories by sets.

    Parameters
    ----------
    task : {"auto", "classification", "regression"}, default "auto"
        "auto": strings, categories, booleans, and whole numbers of at most 20 distinct values are classes;
        all other numbers are values to regress.
    learning_rate : float > 0, default 0.05
    max_iter : int, default 300
        Rounds at most; each adds one tree, or one per class.
    max_leaf_nodes : int >= 2, default 31
        Leaves per tree.
    validation_share : float in (0, 1), default 0.15
        Share of the rows kept aside to tell when to stop, stratified by class.
    patience : int, default 20
        Rounds without a better validation loss before boosting stops.
    max_categories : int in [2, 255], default 255
        Levels per category column at most; the rarest levels share one.
    n_jobs : int or None, default 1
        Threads; one leaves the cores to other folds, and two on a busy core wait for each other. None for one
        per core.
    random_state : int, RandomState or None, default None
        Seed of the inner split; None takes a new one each time.
    min_samples_leaf : int >= 1, default 20
        Rows that a leaf must hold.
    l2_regularization : float >= 0, default 0
        L2 penalty on the values of leaves.

    Attributes
    ----------
    model_ : HistGradientBoostingClassifier or HistGradientBoostingRegressor
    n_iter_ : int
        Rounds run.

    Warns
    -----
    TilthWarning
        Too few rows, or a class of one row, for a stratified inner split: all rounds are run.

    Examples
    --------
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> Boosting(random_state=0).fit(X, X[:, 0] > 99).predict([[3.0], [180.0]]).tolist()
    [False, True]
    """

    # 4 to 8 leaves do for most data: Hastie, Tibshirani and Friedman (2009), 10.11. A higher rate gets
    # further in the rounds there are.
    grid: ClassVar[dict[str, list[Any]]] = {"learning_rate": [0.05, 0.15], "max_leaf_nodes": [6, 31]}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Probe._parameter_constraints,
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left")],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
        "l2_regularization": [Interval(Real, 0, None, closed="left")],
        "validation_share": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "max_categories": [Interval(Integral, 2, 255, closed="both")],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        task: str = "auto",
        learning_rate: float = 0.05,
        max_iter: int = 300,
        max_leaf_nodes: int = 31,
        validation_share: float = 0.15,
        patience: int = 20,
        max_categories: int = 255,
        n_jobs: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.0,
    ) -> None:
        self.task = task
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.validation_share = validation_share
        self.patience = patience
        self.max_categories = max_categories
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization

    def _inputs(self) -> Inputs:
        return Inputs(encoding="ordinal", fill=False, scale=None, max_categories=self.max_categories)

    def _learn(self, matrix: Matrix, target: NDArray[Any], weight: Vector | None) -> None:
        classification = self.task_ == "classification"
        kind = HistGradientBoostingClassifier if classification else HistGradientBoostingRegressor
        model = kind(
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            early_stopping=self._can_split(target),
            validation_fraction=self.validation_share,
            n_iter_no_change=self.patience,
            categorical_features=self.inputs_.categorical_,
            random_state=self._seed(),
        )
        # No split can use a column of fewer known values than a leaf must hold, but binning breaks where the
        # rows it looks at hold none of them.
        known = np.isfinite(matrix).sum(axis=0)
        matrix[:, known < self.min_samples_leaf * max(1.0, len(matrix) / BINNED_ROWS)] = 0
        with get_cached_controller().limit(limits=self.n_jobs, user_api="openmp"):
            self.model_ = model.fit(matrix, target, sample_weight=weight)
        self.n_iter_ = int(model.n_iter_)

    def _can_split(self, target: NDArray[Any]) -> bool:
        """Return whether an inner split with every class on both sides exists; warn where it does not."""
        aside = math.ceil(self.validation_share * len(target))
        left = len(target) - aside
        if self.task_ == "classification":
            enough = np.bincount(target).min() > 1 and min(aside, left) >= len(self.classes_)
        else:
            enough = left >= 1
        if not enough:
            warnings.warn(
                f"Boosting: {len(target)} rows, or their rarest class, are too few for an inner split; all "
                f"{self.max_iter} rounds are run without early stopping.",
                TilthWarning,
                stacklevel=4,
            )
        return bool(enough)

    def _answer(self, matrix: Matrix) -> Matrix:
        with get_cached_controller().limit(limits=self.n_jobs, user_api="openmp"):
            if self.task_ == "classification":
                return self.model_.predict_proba(matrix)
            return self.model_.predict(matrix)
