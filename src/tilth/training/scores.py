"""How good outputs are, in words that do not depend on the loss; and what the simplest answer would score."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tilth.training.losses import LOSSES, cross_entropy, squared_error

Loss = Callable[[Tensor, Tensor], Tensor]
ROUNDING = 1e-12


def binary_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Return minus the log-likelihood of each row's class, 0 or 1, from one logit a row.

    Parameters
    ----------
    output : Tensor of shape (n_rows,) or (n_rows, 1)
    target : Tensor of shape (n_rows,) or (n_rows, 1)
    """
    told = target.to(output.dtype).reshape(output.shape)
    losses = functional.binary_cross_entropy_with_logits(output, told, reduction="none")
    return losses.flatten(1).mean(dim=1) if losses.ndim > 1 else losses


def fitting_loss(output: Tensor, target: Tensor) -> Loss:
    """Return the loss that outputs and targets of these shapes and types call for.

    Class codes and an output a class: cross-entropy; codes of 0 and 1 and one output: binary cross-entropy;
    all other targets: squared error.
    """
    if target.is_floating_point():
        return squared_error
    return cross_entropy if output.ndim > 1 and output.shape[1] > 1 else binary_cross_entropy


def kind_of(output: Tensor, target: Tensor) -> str:
    """Return what outputs say of targets: "classes", "logit", "values", or "other" where nobody can tell."""
    if target.is_floating_point():
        same = output.numel() == target.numel()
        return "values" if same else "other"
    if target.ndim == 1 and output.ndim == 2 and output.shape[1] > 1:
        return "classes"
    return "logit" if output.numel() == target.numel() else "other"


def score(output: Tensor, target: Tensor, weight: Tensor) -> float:
    """Return the accuracy, or the share of the target's variance that is explained; NaN for neither.

    Parameters
    ----------
    output, target, weight : Tensor
        Of the same rows. Shares of classes, as mixup makes them, count by the largest.
    """
    if target.is_floating_point() and target.ndim == 2 and output.shape == target.shape and _shares(target):
        target = target.argmax(1)
    kind = kind_of(output, target)
    weight = weight.double()
    total = weight.sum()
    if kind == "other" or not total > 0:
        return math.nan
    if kind == "values":
        wide = target.double().reshape(len(target), -1)
        mean = (wide * weight[:, None]).sum(0) / total
        spread = ((wide - mean).square().mean(1) * weight).sum()
        error = ((output.double().reshape(wide.shape) - wide).square().mean(1) * weight).sum()
        return float(1 - error / spread) if spread > 0 else math.nan
    said = output.argmax(1) if kind == "classes" else (output.reshape(target.shape) > 0).long()
    hit = (said == target).double().reshape(len(target), -1).mean(1)
    return float((hit * weight).sum() / total)


def score_error(output: Tensor, target: Tensor, weight: Tensor) -> float:
    """Return the standard error of the score, as the rows are a sample; 0 where it cannot be told.

    Of an accuracy that of a share, of no less than half a row; of variance explained that of the mean of
    the squared errors, over the variance.
    """
    rows = float(weight.double().sum().square() / weight.double().square().sum().clamp_min(1e-300))
    told = score(output, target, weight)
    if not math.isfinite(told) or rows < 2:
        return 0.0
    if kind_of(output, target) != "values":
        return math.sqrt(max(told * (1 - told), 0.25 / rows) / rows)
    wide = target.double().reshape(len(target), -1)
    errors = (output.double().reshape(wide.shape) - wide).square().mean(1)
    variance = float((wide - wide.mean(0)).square().mean())
    return float(errors.std()) / math.sqrt(rows) / variance if variance > 0 else 0.0


def dummy(loss: Loss, target: Tensor, weight: Tensor, width: int) -> tuple[float, float]:
    """Return loss and score of the best constant answer: class frequencies, or the mean; NaN where unknown.

    Parameters
    ----------
    loss : callable
        One of ours: of another loss the best constant is not known.
    target, weight : Tensor
    width : int
        Outputs a row, for class codes.
    """
    share = weight.double() / weight.double().sum()
    if loss is squared_error and target.is_floating_point():
        wide = target.double().reshape(len(target), -1)
        mean = (wide * share[:, None]).sum(0)
        return float(((wide - mean).square().mean(1) * share).sum()), 0.0
    if loss in (cross_entropy, binary_cross_entropy) and not target.is_floating_point():
        classes = max(width, 2)
        seen = torch.zeros(classes, dtype=torch.float64, device=share.device)
        seen = seen.index_add(0, target.reshape(-1).clamp(0, classes - 1), share)
        entropy = float(-(seen * seen.clamp_min(1e-300).log()).sum())
        return (entropy if entropy > ROUNDING else 0.0), float(seen.max())
    return math.nan, math.nan


def _shares(target: Tensor) -> bool:
    return bool((target >= 0).all()) and bool(((target.sum(1) - 1).abs() < 1e-3).all())


NAMED: dict[str, Loss] = {**LOSSES, "binary_cross_entropy": binary_cross_entropy}
"""Losses by name."""
