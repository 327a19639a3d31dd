"""What a network's hidden layers answer to rows: silent and saturated units, large numbers and weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tilth.training.inference import rows_at_once

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Modules whose weight holds one row per unit."""
RECTIFIED = (nn.ReLU, nn.ReLU6, nn.Threshold, nn.Hardswish)
"""Units that can fall silent: 0 with a gradient of 0."""
BOUNDED: dict[type[nn.Module], tuple[float, float]] = {
    nn.Tanh: (-1.0, 1.0),
    nn.Sigmoid: (0.0, 1.0),
    nn.Hardtanh: (-1.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
}
"""Units whose gradient vanishes at both ends, and where these are."""
OTHERS = (nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus)
NEAR = 0.01
"""Share of the way between the ends within which a unit counts as saturated."""


@dataclass(frozen=True)
class Layers:
    """What the hidden layers answer, each figure of the worst layer; 0 where the network has none.

    Attributes
    ----------
    silent : float
        Share of units that answer 0 to every row.
    saturated : float
        Share of answers within a hundredth of an end of the unit's range.
    activation : float
        Mean absolute answer.
    weight : float
        Largest absolute weight of a linear or convolutional layer.
    seen : int
        Layers of activations that could be looked into; functions that are no modules cannot.
    """

    silent: float
    saturated: float
    activation: float
    weight: float
    seen: int


def look_into(network: nn.Module, X: Tensor) -> Layers:
    """Pass rows through a network in evaluation mode, and look into its layers.

    Parameters
    ----------
    network : nn.Module
    X : Tensor of shape (n_rows, ...)
        On the network's device.
    """
    found: dict[tuple[int, ...], _Seen] = {}
    activations = [m for m in network.modules() if isinstance(m, (*RECTIFIED, *BOUNDED, *OTHERS))]
    handles = [module.register_forward_hook(_hook(found)) for module in activations]
    network.eval()
    try:
        with torch.inference_mode():
            for part in X.split(rows_at_once(X)):
                network(part)
    finally:
        for handle in handles:
            handle.remove()
    weights = [module.weight for module in network.modules() if isinstance(module, LAYERS)]
    largest = max((float(weight.detach().abs().max()) for weight in weights if weight.numel()), default=0.0)
    seen = list(found.values())
    return Layers(
        max((each.silent() for each in seen), default=0.0),
        max((each.saturated / each.count for each in seen), default=0.0),
        max((each.sum / each.count for each in seen), default=0.0),
        largest,
        len(seen),
    )


class _Seen:
    """What one module answered so far."""

    def __init__(self) -> None:
        self.active: Tensor | None = None
        self.sum = self.saturated = 0.0
        self.count = 0

    def silent(self) -> float:
        return 0.0 if self.active is None else 1 - float(self.active.float().mean())


def _hook(found: dict[tuple[int, ...], _Seen]) -> Callable[[nn.Module, Any, Tensor], None]:
    def look(module: nn.Module, inputs: Any, output: Tensor) -> None:
        # One module may stand behind several layers.
        seen = found.setdefault((id(module), *output.shape[1:]), _Seen())
        seen.sum += float(output.abs().double().sum())
        seen.count += output.numel()
        if isinstance(module, RECTIFIED):
            active = _by_unit(output != 0)
            seen.active = active if seen.active is None else seen.active | active
        elif ends := next((ends for kind, ends in BOUNDED.items() if isinstance(module, kind)), None):
            low, high = ends
            margin = NEAR * (high - low) / 2
            seen.saturated += float(((output < low + margin) | (output > high - margin)).sum())

    return look


def _by_unit(active: Tensor) -> Tensor:
    """Return which units answered at all: channels of images, the last axis of sequences, columns."""
    unit = 1 if active.ndim in (2, 4, 5) else active.ndim - 1
    return active.movedim(unit, 0).flatten(1).any(dim=1)
