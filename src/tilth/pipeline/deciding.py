"""What stands between a model and what a pipeline says: class frequencies, and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from sklearn.base import clone

from tilth.core import DecisionStage, Stage, apply, fit
from tilth.core.prior import Prior, corrected, names_of
from tilth.errors import StageError
from tilth.pipeline.model import fit_model, inputs
from tilth.stages.folds import folds_of
from tilth.table import Table


@dataclass(frozen=True)
class Decisions:
    """Hold what stands between a model and what a pipeline says.

    Parameters
    ----------
    prior : dict of class to float
        What stages did to class frequencies; see `tilth.core.prior`.
    stage : DecisionStage, optional
        The fitted stage that decides; None: the model itself does.
    """

    prior: Prior = field(default_factory=dict)
    stage: DecisionStage | None = None

    def probabilities(self, model: Any, X: Any) -> np.ndarray:
        """Return the model's probabilities at the class frequencies that the rows came with."""
        answer = np.asarray(model.predict_proba(X))
        return corrected(answer, names_of(model.classes_), self.prior) if self.prior else answer

    def predict(self, model: Any, X: Any) -> np.ndarray:
        """Return one class or value per row."""
        if self.stage is None:
            return np.asarray(model.predict(X))
        return np.asarray(model.classes_[self.stage.decide(self.probabilities(model, X))])


def decisions_of(
    named: Sequence[tuple[str, Stage]], prior: Prior, model: Any, fitted: Any, table: Table
) -> Decisions:
    """Let the last stage that decides learn from probabilities for rows that the model was not fitted on.

    Parameters
    ----------
    named : sequence of (name, Stage)
        The fitted stages.
    prior : dict of class to float
    model, fitted : estimator
        As it was given, and fitted on all rows.
    table : Table
        The training rows as they came.

    Raises
    ------
    StageError
        The model gives no probabilities, or a fold lacks a class.
    """
    deciding = [(name, stage) for name, stage in named if isinstance(stage, DecisionStage)]
    if not deciding:
        return Decisions(prior)
    name, stage = deciding[-1]
    if not hasattr(fitted, "predict_proba"):
        raise StageError(
            f"{name}: chooses by class probabilities, and {type(model).__name__} gives none. "
            "Wrap it in sklearn.calibration.CalibratedClassifierCV, or leave this stage out."
        )
    classes = names_of(fitted.classes_)
    place = {label: at for at, label in enumerate(classes)}
    table = table.collect()
    target = table.need("target", name).cast(pl.String)
    truth = target.replace_strict(place, default=-1, return_dtype=pl.Int64).to_numpy()
    folds = folds_of(table.ids, stage.folds, stage.random_state, truth, table.role("group"))
    answer = np.full((table.height, len(classes)), np.nan)
    frame = table.frame.collect()
    for fold in range(stage.folds):
        held = (folds == fold) & (truth >= 0)
        if not held.any():
            continue
        parts = [(n, clone(s)) for n, s in named if not isinstance(s, DecisionStage)]
        done = fit(parts, table.with_frame(frame.filter(pl.Series(folds != fold)).lazy()))
        part = fit_model(clone(model), done.table)
        asked = table.with_frame(apply(parts, frame.filter(pl.Series(held)).lazy()))
        said = Decisions(done.prior).probabilities(part, inputs(part, asked))
        answer[held] = 0.0
        answer[np.ix_(held, [place[c] for c in names_of(part.classes_)])] = said
    known = truth >= 0
    weight = table.role("weight")
    mass = np.ones(table.height) if weight is None else weight.cast(pl.Float64).fill_null(0.0).to_numpy()
    stage.learn_decision(truth[known], answer[known], mass[known], classes)
    return Decisions(prior, stage)
