"""What the probes share: reading the table and the target, and scikit-learn's manners."""

from __future__ import annotations

from abc import abstractmethod
from inspect import signature
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from tilth.errors import DataError, listed
from tilth.probes.frame import as_frame
from tilth.probes.pictures import image_columns
from tilth.probes.target import encode_classes, read_target, read_values, task_of
from tilth.table import ROW

Matrix = NDArray[np.floating]
Vector = NDArray[np.float64]


def _classifies(model: Probe) -> bool:
    return getattr(model, "task_", model.task) != "regression"


class Probe(BaseEstimator):
    """Judge a table: a classifier or regressor that reads mixed, gappy columns as they are.

    A probe gives its `Inputs`, learns from the matrix they make, and answers for it; the rest is here. Rows
    of weight 0 are left out before anything is learned. Columns of paths of images are left out too, but by
    a probe that reads images, which reads nothing else.

    Attributes
    ----------
    reads_images : bool
    augments : bool
        Its ``fit`` takes batch stages, and trains with them.
    grid : dict of parameter to list
        Settings that a bench tries where it is asked to tune, as scikit-learn's ``ParameterGrid`` reads them;
        what the probe was given is tried beside them.
    task_ : {"classification", "regression"}
    classes_ : array of shape (n_classes,)
        Sorted; classification only.
    inputs_ : Inputs or ImageColumn
    n_features_in_ : int
    feature_names_in_ : array of str, shape (n_features_in_,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "task": [StrOptions({"auto", "classification", "regression"})],
        "random_state": ["random_state"],
    }

    task: str
    random_state: int | np.random.RandomState | None
    reads_images: ClassVar[bool] = False
    augments: bool = False
    grid: ClassVar[dict[str, list[Any]]] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A probe that was saved before some parameter was there did what the parameter's default does.
        given = signature(type(self)).parameters.items()
        super().__setstate__(
            {name: each.default for name, each in given if each.default is not each.empty} | state
        )

    @abstractmethod
    def _inputs(self) -> Any:
        """Return the unfitted way from this probe's frame to its matrix, or to paths of images."""

    @abstractmethod
    def _learn(self, *given: Any, **more: Any) -> None:
        """Learn from the matrix, the target (class codes as int64, or values as float64), and the weight."""

    @abstractmethod
    def _answer(self, matrix: Any) -> Matrix:
        """Return class probabilities (n_rows, n_classes) or values (n_rows,), for at least one row."""

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from a table and its target.

        Parameters
        ----------
        X : Polars DataFrame or LazyFrame, pandas DataFrame, or array-like of shape (n_rows, n_columns)
            Numbers, booleans, strings, categories, dates; gaps welcome.
        y : array-like or Series of shape (n_rows,)
            Classes of any type, or numbers; no gaps.
        sample_weight : array-like of shape (n_rows,), optional
            At least 0. A row of weight 0 is as if absent.

        Raises
        ------
        DataError
            Rows that do not match, no rows, one class only, gaps or infinities in the target, or weights that
            are negative or all 0.
        ColumnError
            A column of a type that no probe reads.
        """
        return self._fit(X, y, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: ArrayLike | None, augment: Any = None) -> Self:
        """Fit. Where `augment` is given, `_learn` gets the batch stages in it, and the ids of the rows."""
        self._validate_params()
        if y is None:
            raise DataError("requires y to be passed, but the target y is None: a probe learns a target.")
        frame, values = as_frame(X), read_target(y)
        if not frame.height == len(values):
            raise DataError(f"Rows do not match: X has {frame.height}, y {len(values)}.")
        weight = _read_weight(sample_weight, len(values))
        if weight is not None and not weight.all():
            kept = weight > 0
            frame, values, weight = frame.filter(pl.Series(kept)), values[kept], weight[kept]
        ids = frame[ROW].to_numpy() if ROW in frame.columns else np.arange(frame.height, dtype=np.uint64)
        frame = frame.drop(ROW, strict=False)
        if len(values) == 0 or frame.width == 0:
            raise DataError(
                f"Nothing to learn from: found array with {frame.height} sample(s) and {frame.width} "
                f"feature(s) (shape=({frame.height}, {frame.width})) while a minimum of 1 is required."
            )
        self.task_ = task_of(values) if self.task == "auto" else self.task
        target: NDArray[Any]
        if self.task_ == "classification":
            self.classes_, target = encode_classes(values)
        else:
            target = read_values(values)
            self.__dict__.pop("classes_", None)  # of an earlier fit
        self.n_features_in_ = frame.width
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        readable = self._readable(frame)
        self.inputs_ = self._inputs().fit(readable, weight)
        more = {} if augment is None else {"ids": ids, "augment": augment}
        self._learn(self.inputs_.transform(frame), target, weight, **more)
        return self

    def _readable(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the columns that the probe can read."""
        if self.reads_images:
            return frame
        left = frame.drop(image_columns(frame))
        if left.width == 0:
            raise DataError(
                f"{type(self).__name__}: the only columns are paths of images ({listed(frame.columns)}), "
                "which it cannot read. Make numbers of them by embed.images, or use the probes cnn and "
                "transfer."
            )
        return left

    def predict(self, X: Any) -> NDArray[Any]:
        """Return one class or value per row, in order.

        Parameters
        ----------
        X : table with the columns of fitting, in any order

        Returns
        -------
        array of shape (n_rows,)
        """
        answer = self._answers(X)
        return self.classes_[answer.argmax(axis=1)] if self.task_ == "classification" else answer

    @available_if(_classifies)
    def predict_proba(self, X: Any) -> Matrix:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : table with the columns of fitting, in any order

        Returns
        -------
        array of shape (n_rows, n_classes)
        """
        return self._answers(X)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy, or R2 for a regression.

        Parameters
        ----------
        X : table with the columns of fitting, in any order
        y : array-like or Series of shape (n_rows,)
        sample_weight : array-like of shape (n_rows,), optional
        """
        predicted, values = self.predict(X), read_target(y)
        measure = accuracy_score if self.task_ == "classification" else r2_score
        return float(measure(values, predicted, sample_weight=sample_weight))

    def _answers(self, X: Any) -> Matrix:
        check_is_fitted(self)
        frame = as_frame(X).drop(ROW, strict=False)
        if isinstance(X, np.ndarray) and frame.width != self.n_features_in_:
            raise DataError(
                f"X has {frame.width} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input. The columns of an array have no names to find them by."
            )
        matrix = self.inputs_.transform(frame)
        if len(matrix):
            return self._answer(matrix)
        return np.empty((0, len(self.classes_)) if self.task_ == "classification" else 0)

    def _seed(self) -> int:
        """Return one whole number for `random_state`, without touching NumPy's global state."""
        if isinstance(self.random_state, np.random.RandomState):
            return int(self.random_state.randint(2**31 - 1))
        if self.random_state is None:
            return int(np.random.default_rng().integers(2**31 - 1))
        return int(self.random_state)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Before fitting, "auto" shows as a classifier: scikit-learn's splitters then stratify a target of
        # classes, and do not stratify a continuous one all the same.
        if _classifies(self):
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        tags.target_tags.required = True
        tags.input_tags = InputTags(two_d_array=True, string=True, categorical=True, allow_nan=True)
        return tags


def _read_weight(sample_weight: ArrayLike | None, rows: int) -> Vector | None:
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (rows,):
        raise DataError(f"sample_weight.shape == {weight.shape}, expected {(rows,)}: one weight per row.")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise DataError(
            "Sample weights must be finite and not negative, and not all zero. Mend them or leave them out."
        )
    return weight
