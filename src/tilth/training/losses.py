"""Losses that answer one number per row, so that row weights can be applied to any of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Return minus the log-likelihood of each row's class, or its mean over the shares of classes.

    Parameters
    ----------
    output : Tensor of shape (n_rows, n_classes)
        Logits.
    target : Tensor of shape (n_rows,), int64, or (n_rows, n_classes), float32
        Class codes from 0; or shares of the classes, as `augment.mixup` makes them.

    Returns
    -------
    Tensor of shape (n_rows,)
        Nats.
    """
    return functional.cross_entropy(output, target, reduction="none")


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Return each row's squared error, averaged over its outputs.

    Parameters
    ----------
    output : Tensor of shape (n_rows,) or (n_rows, n_outputs)
    target : Tensor of shape (n_rows,) or (n_rows, n_outputs)

    Returns
    -------
    Tensor of shape (n_rows,)
        The target's unit, squared.
    """
    errors = torch.square(output - target.reshape(output.shape))
    return errors.flatten(1).mean(dim=1) if errors.ndim > 1 else errors


def log_shares(output: Tensor, source: Tensor, n_columns: int) -> Tensor:
    """Return the logarithm of the softmax over the outputs of each column.

    Parameters
    ----------
    output : Tensor of shape (n_rows, n_outputs)
        Logits.
    source : Tensor of shape (n_outputs,), int64
        The column that each output belongs to.
    n_columns : int

    Returns
    -------
    Tensor of shape (n_rows, n_outputs)
        Nats.
    """
    rows = source.expand(len(output), -1)
    empty = output.new_zeros(len(output), n_columns)
    with torch.no_grad():
        top = empty.scatter_reduce(1, rows, output, "amax", include_self=False).gather(1, rows)
    raised = (output - top).exp()
    return output - top - empty.index_add(1, source, raised).log().gather(1, rows)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
}
