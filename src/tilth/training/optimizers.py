"""How weights are changed by their gradients, by which rate at which step, and what holds them small."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tilth.errors import UnknownName

OPTIMIZERS = ("adamw", "sgd", "rmsprop")
SCHEDULES = ("cosine", "constant")
MOMENTUM = {"adamw": 0.9, "sgd": 0.9, "rmsprop": 0.0}
"""What each optimizer's momentum is by default; AdamW's is the first of its betas."""

Making = Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]


def make_optimizer(
    optimizer: str | Making,
    network: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    momentum: float | None,
    device: torch.device,
) -> torch.optim.Optimizer:
    """Make an optimizer of a network's weights; weight decay is decoupled from the gradient in all.

    Parameters
    ----------
    optimizer : {"adamw", "sgd", "rmsprop"} or callable
        A callable takes the parameters and returns the optimizer; the other settings are then its own.
    network : nn.Module
    learning_rate : float
    weight_decay : float
    momentum : float or None
        None: 0.9 for AdamW (its first beta) and SGD, 0 for RMSprop.
    device : torch.device
        Where the weights lie.
    """
    parameters = network.parameters()
    if not isinstance(optimizer, str):
        return optimizer(parameters)
    momentum = MOMENTUM[optimizer] if momentum is None else momentum
    if optimizer == "adamw":
        return torch.optim.AdamW(
            parameters,
            lr=learning_rate,
            betas=(momentum, 0.999),
            weight_decay=weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )
    # torch adds the decay of these two to the gradient, where RMSprop would scale it away.
    if optimizer == "sgd":
        made: torch.optim.Optimizer = torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum)
    else:
        made = torch.optim.RMSprop(parameters, lr=learning_rate, momentum=momentum)
    if weight_decay:
        made.register_step_pre_hook(_Decay(weight_decay))
    return made


class _Decay:
    """Shrink the weights by the rate times the decay before a step, as AdamW does."""

    def __init__(self, share: float) -> None:
        self.share = share

    @torch.no_grad()
    def __call__(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            torch._foreach_mul_(weights, 1 - group["lr"] * self.share)


def check_optimizer(
    optimizer: str | Making, schedule: str, momentum: float | None, l1: float, l2: float
) -> None:
    """Refuse words that name nothing and numbers out of their range.

    Raises
    ------
    UnknownName
    ValueError
    """
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        raise UnknownName.among("optimizer", optimizer, OPTIMIZERS)
    if schedule not in SCHEDULES:
        raise UnknownName.among("schedule", schedule, SCHEDULES)
    if momentum is not None and not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}; it must be at least 0 and below 1.")
    if l1 < 0 or l2 < 0:
        raise ValueError(f"l1 is {l1} and l2 is {l2}; penalties must not be negative.")


class Penalty:
    """Add the gradient of a penalty on weight matrices: l1 times their sum of absolutes, l2 half of squares.

    Biases and the scales of normalizations are left alone.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
    l1, l2 : float, at least 0
    """

    def __init__(self, parameters: Iterable[nn.Parameter], l1: float, l2: float) -> None:
        self.matrices = [p for p in parameters if p.ndim > 1] if l1 or l2 else []
        self.l1, self.l2 = l1, l2

    @torch.no_grad()
    def __call__(self) -> None:
        """Add it to the gradients that are there."""
        for matrix in self.matrices:
            if matrix.grad is not None:
                if self.l1:
                    matrix.grad.add_(matrix.sign(), alpha=self.l1)
                if self.l2:
                    matrix.grad.add_(matrix, alpha=self.l2)


def rate_share(step: int, total: int, warmup_share: float, schedule: str = "cosine") -> float:
    """Return the share of the peak rate at a step: up a line, then down half a cosine, or on as it is.

    Parameters
    ----------
    step, total : int
        The step from 0, and how many are planned.
    warmup_share : float in [0, 1)
    schedule : {"cosine", "constant"}
    """
    warmup = warmup_share * total
    if step < warmup:
        return (step + 1) / (math.floor(warmup) + 1)
    if schedule == "constant":
        return 1.0
    # A source may have counted a few steps too many, or one too few.
    done = min(1.0, (step - warmup) / max(1.0, total - warmup))
    return 0.5 * (1 + math.cos(math.pi * done))


def gradient_norm(parameter: nn.Parameter) -> Tensor:
    """Return the norm of a parameter's gradient; 0 where it has none."""
    if parameter.grad is None:
        return torch.zeros((), device=parameter.device)
    return torch.linalg.vector_norm(parameter.grad).float()
