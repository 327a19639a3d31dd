"""A probe fitted on the rows that an arm prepared, and asked about any others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from tilth.bench.design import MODEL, Arm, Design
from tilth.bench.preparing import Ready
from tilth.bench.sameness import digest_array
from tilth.core import BatchStage
from tilth.errors import DataError, listed
from tilth.probes import PROBES, Inputs, probe
from tilth.probes.model import Probe
from tilth.statistics import hash_rows
from tilth.table import ROW


@dataclass(frozen=True)
class Fitted:
    """Hold a fitted probe.

    Parameters
    ----------
    model : estimator or None
        None where one class was left to learn from: then that is what it says.
    places : ndarray of int
        The code of each of the model's classes; empty for a regression.
    classes : int
        How many classes there are; 0 for a regression.
    arm : str
    images : list of str
        The features that hold paths of images.
    inputs : Inputs or None
        What makes numbers of the features for a model of the user's.
    """

    model: Any
    places: NDArray[np.int64]
    classes: int
    arm: str
    images: list[str]
    inputs: Inputs | None = None

    def says(self, X: pl.DataFrame) -> NDArray[np.float64]:
        """Return probabilities of all classes, or values, for prepared features."""
        if self.model is None:
            return certain(np.full(X.height, self.places[0]), self.classes)
        matrix: Any = _seen_by(self.model, self.arm, X, self.images)
        if self.inputs is not None:
            matrix = self.inputs.transform(matrix)
        if not self.classes:
            return np.asarray(self.model.predict(matrix), dtype=np.float64)
        said = np.zeros((X.height, self.classes))
        said[:, self.places] = self.model.predict_proba(matrix)
        return said


def certain(decided: NDArray, classes: int) -> NDArray[np.float64]:
    """Return certain answers: 1 for the class decided for."""
    return np.eye(classes)[decided]


def made(name: str, estimator: Any, **params: Any) -> Any:
    """Return the probe: by its name, with these parameters, or the estimator as it was given."""
    return probe(name, **params) if estimator is None and name in PROBES else estimator


def either(estimator: Any) -> bool:
    """Tell whether a probe reads columns or images, and has not been told which."""
    return isinstance(estimator, Probe) and not estimator.reads_images and hasattr(estimator, "image")


def augments(model: Any) -> bool:
    """Tell whether batch stages reach the training of a model."""
    return bool(getattr(model, "augments", False))


def fitted(design: Design, arm: Arm, name: str, estimator: Any, ready: Ready, seed: int) -> Fitted:
    """Fit one probe on what an arm prepared."""
    target, weight = ready.target, ready.weight
    regression = design.task == "regression"
    classes = len(design.labels)
    if not regression and len(np.unique(target)) == 1:
        return Fitted(None, target[:1].astype(np.int64), classes, arm.name, ready.images)
    given: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
    asked = asked_of(arm, name, estimator)
    if asked is not None:
        model = clone(asked)
        free = {k: seed for k, v in model.get_params().items() if k.endswith("random_state") and v is None}
        model.set_params(**free)
        if isinstance(model, Probe) and model.task == "auto":
            # Codes of many classes would look like numbers.
            model.set_params(task="regression" if regression else "classification")
        if either(model) and ready.images and set(ready.X.columns) <= set(ready.images):
            model.set_params(image=ready.images[0])
    else:
        model = made(name, None, task="regression" if regression else "classification", random_state=seed)
    X = _seen_by(model, arm.name, ready.X, ready.images)
    matrix: Any = X
    inputs = None
    if getattr(model, "reads_images", False):
        if model.image is None:
            model.set_params(image=ready.images[0])
        # By the ids, rows that two arms share are drawn alike in both.
        matrix = X.with_columns(pl.Series(ROW, ready.ids))
    elif name == MODEL and not augments(model):
        # A model of the user's may take numbers only: what its pipeline left as text or gaps is encoded.
        inputs = Inputs(scale=None).fit(X)
        matrix = inputs.transform(X)
        if given and not has_fit_parameter(model, "sample_weight"):
            warnings.warn(
                f"{type(model).__name__} takes no sample_weight: weights were not used.", stacklevel=2
            )
            given = {}
    if augments(model) and ready.batch:
        given["augment"] = [_reseeded(stage, seed) for stage in ready.batch]
        matrix = X.with_columns(pl.Series(ROW, ready.ids))
        model.fit(matrix, target if regression else ready.labels, **given)
    else:
        model.fit(matrix, target, **given)
    if regression:
        return Fitted(model, np.empty(0, np.int64), 0, arm.name, ready.images, inputs)
    if not hasattr(model, "predict_proba"):
        raise DataError(
            f"{type(model).__name__} gives no probabilities, which the bench scores. "
            "Wrap it in sklearn.calibration.CalibratedClassifierCV."
        )
    places = np.asarray(model.classes_)
    if "augment" in given:
        place = {label: code for code, label in enumerate(design.labels)}
        places = np.array([place[label] for label in pl.Series(places.tolist()).cast(pl.String)])
    return Fitted(model, places.astype(np.int64), classes, arm.name, ready.images, inputs)


def what_it_sees(arm: Arm, name: str, estimator: Any, ready: Ready) -> tuple[Any, ...] | None:
    """Return what a probe's answer depends on within one fold, as a key: the same key, the same answer.

    Returns
    -------
    tuple or None
        None where nobody can say whether two inputs are the same: a stage decides by inner folds, which
        depend on all stages, batch stages hold what they have learned, or columns hold Python objects.
    """
    asked = asked_of(arm, name, estimator)
    model = made(name, None) if asked is None else asked
    if ready.decides is not None or (ready.batch and augments(model)):
        return None
    frames = ready.print
    if frames is None:
        return None
    looks = getattr(model, "reads_images", False) or either(model)
    ids = digest_array(ready.ids) if looks else ""
    known = digest_array(ready.target), digest_array(ready.weight), ids, tuple(ready.images)
    return name, id(asked), *frames, *known, tuple(sorted(ready.prepared.prior.items()))


def asked_of(arm: Arm, name: str, estimator: Any) -> Any:
    """Return the estimator that is asked for; None: the probe of this name."""
    return arm.model if name == MODEL and arm.model is not None else estimator


def _seen_by(model: Any, arm: str, frame: pl.DataFrame, images: Sequence[str]) -> pl.DataFrame:
    """Return the columns that a model can read.

    Raises
    ------
    DataError
        There are none.
    """
    who = type(model).__name__
    if getattr(model, "reads_images", False):
        if images or model.image is not None:
            return frame
        raise DataError(
            f"{who}: the '{arm}' arm leaves no column of images to look at. Where embed.images "
            "makes numbers of it, keep it: embed.images: {keep: true}."
        )
    left = frame.drop(images)
    if images and left.width == 0:
        raise DataError(
            f"{who}: the '{arm}' arm has no columns but paths of images ({listed(images)}), which it "
            "cannot read. Make numbers of them by embed.images, or judge by the probes cnn and transfer."
        )
    return left


def _reseeded(stage: BatchStage, seed: int) -> BatchStage:
    """Return the stage with draws of its own for each fold: they vary like all else that is drawn."""
    params = stage.get_params(deep=False)
    if not isinstance(params.get("random_state"), int):
        return stage
    word = hash_rows(params["random_state"], np.array([seed], np.uint64))[0]
    return clone(stage).set_params(random_state=int(word >> np.uint64(33)))
