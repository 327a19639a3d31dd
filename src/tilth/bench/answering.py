"""What one arm answers in a fold: rows prepared inside the training part, a probe fitted, decisions taken."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from tilth.bench.design import MODEL, Arm, Design
from tilth.bench.folds import assign, fingerprint
from tilth.bench.pictures import files_print, images_of
from tilth.core import BatchStage, DecisionStage, Prepared, flow
from tilth.core.prior import corrected
from tilth.errors import DataError, StageError, listed
from tilth.probes import PROBES, Inputs, probe
from tilth.statistics import hash_rows
from tilth.table import ROW, Table


class RowsChanged(StageError):
    """A pipeline changed the rows it is tested on, so its scores would mean nothing."""


@dataclass(frozen=True)
class Ready:
    """Hold the two sides of a fold as one arm prepared them: features, training target and weight.

    Training rows that are left without a label are in `prepared`, and no longer here. `images` are the
    features that hold paths of images, `batch` the stages that act on training batches, which get to see
    `labels` as the table has them and the `ids` of the rows.
    """

    X: pl.DataFrame
    target: NDArray
    labels: pl.Series
    ids: NDArray[np.uint64]
    images: list[str]
    batch: list[BatchStage]
    weight: NDArray[np.float64] | None
    X_test: pl.DataFrame
    prepared: Prepared
    decides: DecisionStage | None


@dataclass(frozen=True)
class Answer:
    """Hold what a probe says of the test rows.

    Parameters
    ----------
    raw : ndarray of shape (n_rows, n_classes) or (n_rows,)
        As it was fitted: probabilities, or values.
    said : ndarray of the same shape
        Probabilities turned back to the class frequencies that rows had before stages changed them.
    decided : ndarray of shape (n_rows, n_classes) or (n_rows,)
        1 for the class decided for: by the threshold that a stage chose, or else the most probable one as the
        probe was fitted, which is what its ``predict`` gives.
    """

    raw: NDArray[np.float64]
    said: NDArray[np.float64]
    decided: NDArray[np.float64]


def prepare(design: Design, arm: Arm, train: Table, test: NDArray) -> Ready:
    """Fit clones of the stages on the training part; the test part only passes through column stages."""
    stages = [(name, clone(stage)) for name, stage in arm.stages]
    frame = design.table.frame.collect().filter(pl.Series(test))
    frozen = fingerprint(frame), files_print(frame, design.images)
    prepared = flow.fit(stages, train)
    # Stages see neither target nor weight nor group of the test rows, so they cannot change them.
    out = flow.apply(stages, frame.lazy().select([*design.table.features, ROW])).collect()
    ids = out[ROW] if ROW in out.columns else None
    now = fingerprint(frame), files_print(frame, design.images)
    if now != frozen or ids is None or not ids.equals(frame[ROW]):
        raise RowsChanged(
            f"The '{arm.name}' arm changed the test rows: {frame.height} rows went in, {out.height} out, "
            "or their order or content, or that of their files, changed. A column stage must keep rows as "
            "they are; use a row stage, which acts on training rows only."
        )
    names = prepared.table.features
    absent = [name for name in names if name not in out.columns]
    if absent:
        raise StageError(
            f"The '{arm.name}' arm makes columns {absent} of the training rows, but not of the test rows. "
            "A column stage must do the same to both."
        )
    labeled = _labeled(prepared.table, arm.name)
    weight = labeled.role("weight")
    decides = [stage for _, stage in stages if isinstance(stage, DecisionStage)]
    return Ready(
        labeled.X(),
        _codes(design, labeled),
        labeled.need("target", "bench"),
        labeled.ids,
        images_of(prepared.table),
        [stage for _, stage in stages if isinstance(stage, BatchStage) and not stage.on_rows],
        None if weight is None else weight.cast(pl.Float64).to_numpy(),
        out.select(names),
        prepared,
        decides[-1] if decides else None,
    )


def _labeled(table: Table, arm: str) -> Table:
    """Return the rows that have a label: no probe learns from others."""
    target = table.need("target", "bench")
    if not target.null_count():
        return table
    if target.null_count() == len(target):
        raise DataError(f"The '{arm}' arm has no labeled rows left in a training part. Label more rows.")
    return table.with_frame(table.frame.filter(pl.col(target.name).is_not_null())).collect()


def _codes(design: Design, table: Table) -> NDArray:
    """Return the training target as class codes, or as values."""
    target = table.need("target", "bench")
    if design.task == "regression":
        return target.cast(pl.Float64).to_numpy()
    place = dict(zip(design.labels.to_list(), range(len(design.labels)), strict=True))
    codes = target.cast(pl.String).replace_strict(place, default=None, return_dtype=pl.Int64)
    if codes.null_count():
        strange = target.filter(codes.is_null())[0]
        raise StageError(f"bench: a stage made the label {strange!r}, which is none of the target's classes.")
    return codes.to_numpy()


def answer(
    design: Design,
    arm: Arm,
    name: str,
    estimator: Any,
    train: Table,
    test: NDArray,
    ready: Ready,
    seed: int,
) -> Answer:
    """Fit one probe and return what it says of the test rows."""
    raw = _fitted(design, arm, name, estimator, ready, seed)
    if design.task == "regression":
        return Answer(raw, raw, raw)
    said = corrected(raw, design.labels.to_list(), ready.prepared.prior)
    if ready.decides is None:
        return Answer(raw, said, certain(raw.argmax(axis=1), raw.shape[1]))
    stage = ready.decides
    truth, inner, weight = held_out(design, arm, name, estimator, train, test, seed, stage.folds)
    stage.learn_decision(truth, inner, weight, design.labels.to_list())
    return Answer(raw, said, certain(stage.decide(said), said.shape[1]))


def held_out(
    design: Design,
    arm: Arm,
    name: str,
    estimator: Any,
    train: Table,
    test: NDArray,
    seed: int,
    folds: int,
) -> tuple[NDArray, NDArray[np.float64], NDArray[np.float64]]:
    """Return truth, probabilities and weight of the training rows, each row held out in an inner fold."""
    inside = np.flatnonzero(~test & design.labeled)
    frame = design.table.frame.collect()
    ids = design.table.ids[inside]
    inner = np.full(len(test), -1)
    inner[inside] = assign(design.strata[inside], design.units[inside], ids, folds, seed, 0)
    said = np.zeros((len(test), len(design.labels)))
    for part in range(folds):
        held = inner == part
        if not held.any():
            continue
        rest = train.with_frame(
            train.frame.filter(~pl.col(ROW).is_in(frame[ROW].filter(pl.Series(held)).implode()))
        )
        ready = prepare(design, arm, rest, held)
        raw = _fitted(design, arm, name, estimator, ready, seed)
        said[held] = corrected(raw, design.labels.to_list(), ready.prepared.prior)
    counts = inside[design.weight[inside] > 0]
    return design.truth[counts], said[counts], design.weight[counts]


def certain(decided: NDArray, classes: int) -> NDArray[np.float64]:
    """Return certain answers: 1 for the class decided for."""
    return np.eye(classes)[decided]


def made(name: str, estimator: Any, **params: Any) -> Any:
    """Return the probe: by its name, with these parameters, or the estimator as it was given."""
    return probe(name, **params) if estimator is None and name in PROBES else estimator


def augments(model: Any) -> bool:
    """Tell whether batch stages reach the training of a model."""
    return bool(getattr(model, "augments", False))


def _fitted(
    design: Design, arm: Arm, name: str, estimator: Any, ready: Ready, seed: int
) -> NDArray[np.float64]:
    """Fit one probe and return probabilities of all classes for the test rows, or values."""
    target, weight = ready.target, ready.weight
    regression = design.task == "regression"
    if not regression and len(np.unique(target)) == 1:
        return certain(np.full(ready.X_test.height, target[0]), len(design.labels))
    given: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
    if name == MODEL or estimator is not None:
        model = clone(arm.model if name == MODEL and arm.model is not None else estimator)
        free = {k: seed for k, v in model.get_params().items() if k.endswith("random_state") and v is None}
        model.set_params(**free)
    else:
        model = made(name, None, task="regression" if regression else "classification", random_state=seed)
    X, X_test = (_seen_by(model, arm, frame, ready.images) for frame in (ready.X, ready.X_test))
    train_matrix: Any = X
    test_matrix: Any = X_test
    if getattr(model, "reads_images", False):
        if model.image is None:
            model.set_params(image=ready.images[0])
        # By the ids, rows that two arms share are drawn alike in both.
        train_matrix = X.with_columns(pl.Series(ROW, ready.ids))
    elif name == MODEL and not augments(model):
        # A model of the user's may take numbers only: what its pipeline left as text or gaps is encoded.
        inputs = Inputs(scale=None).fit(X)
        train_matrix, test_matrix = inputs.transform(X), inputs.transform(X_test)
        if given and not has_fit_parameter(model, "sample_weight"):
            warnings.warn(
                f"{type(model).__name__} takes no sample_weight: weights were not used.", stacklevel=2
            )
            given = {}
    if augments(model) and ready.batch:
        given["augment"] = [_reseeded(stage, seed) for stage in ready.batch]
        train_matrix = X.with_columns(pl.Series(ROW, ready.ids))
        model.fit(train_matrix, target if regression else ready.labels, **given)
    else:
        model.fit(train_matrix, target, **given)
    if regression:
        return np.asarray(model.predict(test_matrix), dtype=np.float64)
    if not hasattr(model, "predict_proba"):
        raise DataError(
            f"{type(model).__name__} gives no probabilities, which the bench scores. "
            "Wrap it in sklearn.calibration.CalibratedClassifierCV."
        )
    answer = np.zeros((X_test.height, len(design.labels)))
    classes = np.asarray(model.classes_)
    if "augment" in given:
        place = {label: code for code, label in enumerate(design.labels)}
        classes = np.array([place[label] for label in pl.Series(classes.tolist()).cast(pl.String)])
    answer[:, classes.astype(np.int64)] = model.predict_proba(test_matrix)
    return answer


def _seen_by(model: Any, arm: Arm, frame: pl.DataFrame, images: list[str]) -> pl.DataFrame:
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
            f"{who}: the '{arm.name}' arm leaves no column of images to look at. Where embed.images "
            "makes numbers of it, keep it: embed.images: {keep: true}."
        )
    left = frame.drop(images)
    if images and left.width == 0:
        raise DataError(
            f"{who}: the '{arm.name}' arm has no columns but paths of images ({listed(images)}), which it "
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
