"""The linear probe: logistic regression, or ridge."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils._param_validation import Interval
from threadpoolctl import get_cached_controller

from tilth.probes.inputs import Inputs
from tilth.probes.model import Matrix, Probe, Vector


class Linear(Probe):
    """Fit a logistic regression (L2, lbfgs) or a ridge regression on standardized, one-hot inputs.

    Gaps in numbers are filled with the median and marked by a column of their own; numbers and dates are
    standardized, while marks, booleans and categories stay 0 and 1.

    Parameters
    ----------
    task : {"auto", "classification", "regression"}, default "auto"
        "auto": strings, categories, booleans, and whole numbers of at most 20 distinct values are classes;
        all other numbers are values to regress.
    C : float > 0, default 1.0
        Inverse strength of the L2 penalty; ridge uses alpha = 1 / C.
    max_iter : int, default 1000
        Iterations of lbfgs at most (classification).
    max_categories : int >= 2, default 50
        One-hot columns per category column at most; the rarest levels share one.
    random_state : int, RandomState or None, default None
        Taken as every probe takes it; both solutions are deterministic and do not depend on it.

    Attributes
    ----------
    model_ : LogisticRegression or Ridge
        Its coefficients are in the order of `inputs_.names_`.
    n_iter_ : int
        Iterations of lbfgs; 1 for ridge, which is solved directly.

    Examples
    --------
    >>> X = np.array([[1.0], [2.0], [np.nan], [8.0], [9.0]])
    >>> Linear().fit(X, ["low", "low", "low", "high", "high"]).predict([[1.5], [8.5]]).tolist()
    ['low', 'high']
    """

    # Powers of ten, as scikit-learn's LogisticRegressionCV and RidgeCV try.
    grid: ClassVar[dict[str, list[Any]]] = {"C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Probe._parameter_constraints,
        "C": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_categories": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        task: str = "auto",
        C: float = 1.0,
        max_iter: int = 1000,
        max_categories: int = 50,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.task = task
        self.C = C
        self.max_iter = max_iter
        self.max_categories = max_categories
        self.random_state = random_state

    def _inputs(self) -> Inputs:
        return Inputs(max_categories=self.max_categories)

    def _learn(self, matrix: Matrix, target: NDArray[Any], weight: Vector | None) -> None:
        if self.task_ == "classification":
            model = LogisticRegression(C=self.C, max_iter=self.max_iter)
            # A step of lbfgs multiplies thin matrices: threads would wait for one another far longer than
            # they work.
            with get_cached_controller().limit(limits=1, user_api="blas"):
                self.model_ = model.fit(matrix, target, sample_weight=weight)
            self.n_iter_ = int(model.n_iter_.max())
        else:
            self.model_ = Ridge(alpha=1 / self.C).fit(matrix, target, sample_weight=weight)
            self.n_iter_ = 1

    def _answer(self, matrix: Matrix) -> Matrix:
        if self.task_ == "classification":
            return self.model_.predict_proba(matrix)
        return self.model_.predict(matrix)
