"""What one arm answers in a fold: a probe fitted on the rows prepared, decisions taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.design import Arm, Design
from tilth.bench.fitting import Fitted, certain, fitted
from tilth.bench.preparing import Ready, prepare, through
from tilth.core.prior import corrected
from tilth.table import ROW, Table


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


@dataclass(frozen=True)
class Judged:
    """Hold one probe as it was fitted in one fold for one arm, for those who want to look closer.

    Parameters
    ----------
    design : Design
    arm : Arm
    probe : str
    ready : Ready
        What was prepared; `decides` of it as it was learned for this probe.
    rows : DataFrame
        The test rows as they are: all columns, and `ROW`.
    truth, weight : ndarray of shape (n_rows,)
        Of all test rows; those of weight 0 do not count.
    answer : Answer
    fitted : Fitted
        Shared by arms that prepared the same rows; the stages in `ready` are the arm's own.
    """

    design: Design
    arm: Arm
    probe: str
    ready: Ready
    rows: pl.DataFrame
    truth: NDArray
    weight: NDArray[np.float64]
    answer: Answer
    fitted: Fitted

    @property
    def model(self) -> Any:
        """Return the fitted model; None where one class was left to learn from."""
        return self.fitted.model

    def through(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Bring raw rows, known or not, to where the fitted stages leave them: the features prepared."""
        return through(self.ready, frame.select([*self.design.table.features, ROW]))

    def says(self, X: pl.DataFrame) -> NDArray[np.float64]:
        """Return what the probe says of prepared features, as `Answer.raw`."""
        return self.fitted.says(X)


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
    return answered(design, arm, name, estimator, train, test, ready, seed)[1]


def answered(
    design: Design,
    arm: Arm,
    name: str,
    estimator: Any,
    train: Table,
    test: NDArray,
    ready: Ready,
    seed: int,
) -> tuple[Fitted, Answer]:
    """Fit one probe and return it with what it says of the test rows."""
    model = fitted(design, arm, name, estimator, ready, seed)
    raw = model.says(ready.X_test)
    if design.task == "regression":
        return model, Answer(raw, raw, raw)
    said = corrected(raw, design.labels.to_list(), ready.prepared.prior)
    if ready.decides is None:
        return model, Answer(raw, said, certain(raw.argmax(axis=1), raw.shape[1]))
    stage = ready.decides
    truth, inner, weight = held_out(design, arm, name, estimator, train, test, seed, stage.folds)
    stage.learn_decision(truth, inner, weight, design.labels.to_list())
    return model, Answer(raw, said, certain(stage.decide(said), said.shape[1]))


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
    """Return truth, probabilities and weight of the training rows that are held out in an inner fold.

    That is each of them; where rows go by time, all but the earliest.
    """
    inside = np.flatnonzero(~test & design.labeled)
    frame = design.table.frame.collect()
    inner = np.full(len(test), -1)
    inner[inside] = design.inner(inside, folds, seed)
    said = np.zeros((len(test), len(design.labels)))
    for part in range(folds):
        held = inner == part
        if not held.any():
            continue
        rest = train.with_frame(
            train.frame.filter(
                ~pl.col(ROW).is_in(frame[ROW].filter(pl.Series(design.beyond(held))).implode())
            )
        )
        ready = prepare(design, arm, rest, held)
        raw = fitted(design, arm, name, estimator, ready, seed).says(ready.X_test)
        said[held] = corrected(raw, design.labels.to_list(), ready.prepared.prior)
    counts = np.flatnonzero((inner >= 0) & (design.weight > 0))
    return design.truth[counts], said[counts], design.weight[counts]
