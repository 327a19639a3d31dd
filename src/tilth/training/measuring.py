"""Measure a network that was trained: how it answers, what its layers look like, what it could learn."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tilth.training.inference import precision, rows_at_once
from tilth.training.layers import LAYERS, look_into
from tilth.training.memorize import memorized
from tilth.training.recording import Recorder
from tilth.training.rows import Rows
from tilth.training.scores import Loss, dummy, score, score_error
from tilth.training.trainer import Epoch
from tilth.training.vitals import Columns, Vitals, recorded

ROWS = 2048
"""Rows that layers are looked into with."""


def measure(
    network: nn.Module,
    training: Rows,
    validation: Rows | None,
    loss: Loss,
    recorder: Recorder,
    history: Sequence[Epoch],
    *,
    clip_norm: float | None,
    rows: int | None = None,
    names: Sequence[str] = (),
    begun: nn.Module | None = None,
    memorize: bool = True,
) -> Vitals:
    """Return the numbers of a training that its health is judged by.

    Parameters
    ----------
    network : nn.Module
        As training left it. It is looked at in evaluation mode.
    training, validation : Rows
        On its device; of the training rows a sample will do.
    loss : callable
    recorder : Recorder
        That looked on.
    history : sequence of Epoch
    clip_norm : float or None
    rows : int, optional
        How many training rows there are, where `training` is a sample.
    names : sequence of str
        Of the columns.
    begun : nn.Module, optional
        The network as it was before training.
    memorize : bool, default True
        Try whether that can learn a few rows by heart.
    """
    made = _outputs(network, training.X)
    vitals = Vitals(
        **recorded(recorder, history, clip_norm),
        layers=look_into(network, training.X[:ROWS]),
        matrices=sum(isinstance(module, LAYERS) for module in network.modules()),
        train_loss=_mean(loss(made, training.target), training.weight),
        train_score=score(made, training.target, training.weight),
        rows=len(training) if rows is None else rows,
        columns=Columns.of(training.X.cpu().numpy(), names),
    )
    width = made.shape[1] if made.ndim > 1 else 1
    constant, constant_score = dummy(loss, training.target, training.weight, width)
    vitals = replace(vitals, dummy_loss=constant, dummy_score=constant_score)
    if validation is not None and len(validation):
        vitals = replace(vitals, **_aside(network, training, validation, loss, width))
    if begun is not None:
        before = look_into(copy.deepcopy(begun), training.X[:ROWS])
        vitals = replace(vitals, saturated_before=before.saturated)
    if begun is not None and memorize and vitals.columns is not None and not vitals.columns.missing:
        vitals = replace(
            vitals,
            memorized=memorized(
                lambda: copy.deepcopy(begun), training, loss, lambda few: _constant(loss, few, width)
            ),
        )
    return vitals


def _aside(network: nn.Module, training: Rows, validation: Rows, loss: Loss, width: int) -> dict[str, Any]:
    said = _outputs(network, validation.X)
    return {
        "validation_loss": _mean(loss(said, validation.target), validation.weight),
        "validation_score": score(said, validation.target, validation.weight),
        "validation_error": score_error(said, validation.target, validation.weight),
        "validation_dummy": _constant(loss, validation, width),
        "validation_rows": len(validation),
    }


def _constant(loss: Loss, rows: Rows, width: int) -> float:
    return dummy(loss, rows.target, rows.weight, width)[0]


def _outputs(network: nn.Module, X: Tensor) -> Tensor:
    network.eval()
    with torch.inference_mode(), precision(X.device):
        return torch.cat([network(part).float() for part in X.split(rows_at_once(X))])


def _mean(losses: Tensor, weight: Tensor) -> float:
    total = float(weight.sum())
    return float((losses.double() * weight).sum()) / total if total > 0 else math.nan
