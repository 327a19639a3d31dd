"""Models that fill one column from the others, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from tilth.errors import RecipeError, UnknownName
from tilth.stages.foreign import unfitted
from tilth.stages.reading import Reading
from tilth.statistics import Gaussian

# Histogram boosting of what the linear model leaves is stopped early, so its trees are small and many.
BOOSTING: dict[str, Any] = {"max_iter": 200, "max_leaf_nodes": 15, "n_iter_no_change": 5}
# Stopping early needs rows to judge by: of these a tenth.
_LEAST_ROWS, _LEAST_CLASS = 100, 10
# A model of k classes grows k trees an iteration: their number is held to this.
_MOST_TREES = 1000
# What is computed of a row alone or among others agrees to these decimals of a standard deviation.
_DECIMALS = 9


class Chain:
    """Learn and apply the models of the columns of a matrix, whose numbers are standardized.

    A model that takes gaps and categories (histogram boosting) sees categories as they are, gaps in numbers
    filled by the linear prediction, and the linear prediction of the cell itself: of numbers it learns what
    that leaves. None of these predictions is made from the cell, also where it is known: what is learned
    of known cells must hold for missing ones. Any other model sees categories as 0/1 columns, and gaps as
    filled so far.

    Parameters
    ----------
    reading : Reading
    gaussian : Gaussian
        Of the columns as ``reading.one_hot`` gives them; rare categories are unknown to it.
    """

    def __init__(self, reading: Reading, gaussian: Gaussian) -> None:
        self.reading = reading
        self.gaussian = gaussian
        # What stands for a column before anything is known of the row: the mean, or the first category.
        self.mode = np.where(reading.empty, np.nan, 0.0)
        # The place of each column of numbers among the wide ones.
        self._at = np.minimum(
            np.searchsorted(reading.source, np.arange(len(reading.columns))), len(reading.source) - 1
        )

    def learn(self, model: Any, source: np.ndarray, column: int, values: np.ndarray) -> Any:
        """Return `model`, fitted to tell `values` of a column from `source`; a number where it is constant.

        Parameters
        ----------
        source : ndarray of shape (n_rows, n_columns)
            Rows that have a value in `column`.
        values : ndarray of shape (n_rows,)
        """
        classes, counts = np.unique(values, return_counts=True)
        if len(classes) < 2:
            return float(classes[0]) if len(classes) else 0.0
        if not takes_gaps(model):
            plain = self._plain(source, column)
            return model.fit(plain, self._target(column, values)) if plain.shape[1] else 0.0
        features, linear = self._native(source, column)
        enough = len(values) >= _LEAST_ROWS
        if self.reading.categorical[column]:
            enough = enough and counts.min() >= _LEAST_CLASS
            rounds = max(10, _MOST_TREES // len(classes)) if len(classes) > 2 else _MOST_TREES
            model.set_params(max_iter=min(model.max_iter, rounds))
            target = self._target(column, values)
        else:
            target = values - linear[:, 0]
        others = self.reading.categorical[self._others(column)]
        marks = np.pad(others, (0, linear.shape[1]))
        model.set_params(categorical_features=marks if marks.any() else None)
        if model.early_stopping == "auto":
            model.set_params(early_stopping=bool(enough))
        return model.fit(features, target)

    def predict(self, model: Any, source: np.ndarray, column: int) -> np.ndarray:
        """Return what a learned model tells of a column, for rows of `source`.

        Returns
        -------
        ndarray of shape (n_rows,), float64
        """
        if isinstance(model, float):
            return np.full(len(source), model)
        if not takes_gaps(model):
            told = np.asarray(model.predict(self._plain(source, column)), dtype=np.float64)
            return told.reshape(len(source))
        features, linear = self._native(source, column)
        told = model.predict(features)
        return told.astype(np.float64) if self.reading.categorical[column] else told + linear[:, 0]

    def linear(self, matrix: np.ndarray) -> np.ndarray:
        """Return the matrix with its gaps filled by the linear model: the best category by its 0/1 column."""
        wide = self.gaussian.conditional_mean(self.reading.one_hot(matrix))
        wide[:, ~self.gaussian.known & self.reading.categorical[self.reading.source]] = -np.inf
        told = self.reading.narrow(wide)
        # The sample that was learned from may lack a column's few values.
        told = np.where(np.isnan(told), self.mode, told)
        return np.where(np.isnan(matrix), told, matrix)

    def _target(self, column: int, values: np.ndarray) -> np.ndarray:
        return values.astype(np.int64) if self.reading.categorical[column] else values

    def _native(self, source: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what a model that takes gaps sees, and of that the linear prediction of the column."""
        reading = self.reading
        wide = reading.one_hot(source)
        wide[:, reading.source == column] = np.nan
        told = rounded(self.gaussian.conditional_mean(wide))
        linear = told[:, (reading.source == column) & self.gaussian.known]
        number = ~reading.categorical
        seen = source.copy()
        seen[:, number] = np.where(np.isnan(source), told[:, self._at], source)[:, number]
        return np.hstack([seen[:, self._others(column)], linear]), linear

    def _plain(self, source: np.ndarray, column: int) -> np.ndarray:
        return self.reading.one_hot(source)[:, self._others(column)[self.reading.source]]

    def _others(self, column: int) -> np.ndarray:
        """Tell the other columns that had values among the rows learned from."""
        others = np.zeros(len(self.reading.columns), dtype=bool)
        others[self.reading.source[self.gaussian.known]] = True
        others[column] = False
        return others


def rounded(numbers: np.ndarray) -> np.ndarray:
    """Return predictions to the decimals that do not depend on which rows are computed at a time."""
    return np.round(numbers, _DECIMALS)


def takes_gaps(model: Any) -> bool:
    """Tell whether a model takes gaps and categories as they are."""
    return type(model).__name__.startswith("HistGradientBoosting")


def estimator_of(
    model: str, classifier: str | None, categorical: bool, params: Mapping[str, Any], random_state: int
) -> Any:
    """Return the unfitted scikit-learn estimator for a column of numbers or of categories.

    Raises
    ------
    UnknownName
        If scikit-learn has no estimator of this name.
    RecipeError
        If no classifier goes with a regressor, or the estimator does not take the parameters.
    """
    regressor = "HistGradientBoostingRegressor" if model == "boosting" else model
    kind = "classifier" if categorical else "regressor"
    name = (classifier or _twin(regressor)) if categorical else regressor
    known = _estimators(kind)
    if name not in known:
        raise UnknownName.among(f"{kind} of scikit-learn", name, known)
    # What is said of a model holds for its twin too, but not for another classifier.
    own = dict(params) if not categorical or classifier is None else {}
    try:
        base = known[name](**({**BOOSTING, **own} if model == "boosting" and _is_twin(name) else own))
    except TypeError as error:
        raise RecipeError(f"impute.iterative: {name} cannot be made with {own}: {error}.") from error
    return unfitted(base, random_state)


def _is_twin(name: str) -> bool:
    return name.startswith("HistGradientBoosting")


def _twin(regressor: str) -> str:
    """Return the classifier that goes with a regressor."""
    known, regressors = _estimators("classifier"), _estimators("regressor")
    if regressor not in regressors:
        raise UnknownName.among("regressor of scikit-learn", regressor, regressors)
    for ending, other in (("Regressor", "Classifier"), ("SVR", "SVC"), ("Ridge", "RidgeClassifier")):
        name = regressor.removesuffix(ending) + other
        if regressor.endswith(ending) and name in known:
            return name
    if ".linear_model." in regressors[regressor].__module__:
        return "LogisticRegression"
    raise RecipeError(
        f"impute.iterative: scikit-learn has no classifier like {regressor}, for the columns of categories. "
        "Name one (`classifier: LogisticRegression`), or choose other columns with `on`."
    )


@cache
def _estimators(kind: str) -> dict[str, Any]:
    from sklearn.utils.discovery import all_estimators

    return dict(all_estimators(type_filter=kind))
