"""Networks small enough to train in seconds, and how their weights begin."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tilth.errors import UnknownName
from tilth.training.runtime import seeded

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
GAINS = {"tanh": nn.init.calculate_gain("tanh"), "leaky_relu": nn.init.calculate_gain("leaky_relu", 0.01)}
"""Gains that are not ReLU's, which the others are close to."""
INITIALIZATIONS = ("he", "xavier")


class Dropout(nn.Module):
    """Silence a random share of the units in training, as `torch.nn.Dropout` does, but with cheap dice.

    On a CPU torch draws one Bernoulli number a unit, which takes longer than the layer's own arithmetic in a
    small network; here four units share one 64-bit draw, so `share` is exact to 2**-16.

    Parameters
    ----------
    share : float in [0, 1)
        Share of units set to 0; the others are scaled by 1 / (1 - share).
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"dropout is {share}; it must be at least 0 and below 1.")
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Return the values, in training with a share of them silenced."""
        if not self.training:
            return values
        if values.device.type != "cpu":
            return nn.functional.dropout(values, self.share)
        bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = bits.view(torch.int16)[: values.numel()] >= round(self.share * 2**16) - 2**15
        return values * kept.view(values.shape).to(values.dtype).mul_(1 / (1 - self.share))


def initialize(
    network: nn.Module, random_state: int = 0, activation: str = "relu", initialization: str = "he"
) -> nn.Module:
    """Start every linear and convolutional layer with He or Xavier weights and zero biases, in place.

    Parameters
    ----------
    network : nn.Module
    random_state : int, default 0
        Seed; torch's global random state is left as it was.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "tanh"}, default "relu"
        What follows the hidden layers: sets the gain of "he" (ELU, GELU and SiLU are close to ReLU and share
        its gain). The last layer feeds no activation, so its gain is 1.
    initialization : {"he", "xavier"}, default "he"
        Normal weights of variance gain**2 / inputs (He, Kaiming), or 2 / (inputs + outputs) (Xavier, Glorot),
        which keeps gradients as well as values of a linear or tanh layer about as large as they are.

    Returns
    -------
    nn.Module
        The same network.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers, ICCV 2015, equation 10. Glorot, Bengio: Understanding
    the difficulty of training deep feedforward neural networks, AISTATS 2010, equation 12.
    """
    _activation(activation)
    if initialization not in INITIALIZATIONS:
        raise UnknownName.among("initialization", initialization, INITIALIZATIONS)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    with seeded(random_state):
        for layer in layers:
            if initialization == "xavier":
                nn.init.xavier_normal_(layer.weight)
            else:
                gain = 1.0 if layer is layers[-1] else GAINS.get(activation, math.sqrt(2))
                nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def mlp(
    inputs: int,
    outputs: int,
    hidden: Sequence[int] = (256, 256),
    activation: str = "relu",
    dropout: float = 0.1,
    batch_norm: bool = True,
    random_state: int = 0,
    initialization: str = "he",
) -> nn.Sequential:
    """Build a multilayer perceptron: linear, batch norm, activation, dropout for each hidden layer.

    Parameters
    ----------
    inputs, outputs : int
        Columns in; logits or values out.
    hidden : sequence of int, default (256, 256)
        Units of each hidden layer; empty for a linear model.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "tanh"}, default "relu"
    dropout : float in [0, 1), default 0.1
        Share of hidden units silenced in training.
    batch_norm : bool, default True
        Normalize each hidden unit over the batch.
    random_state : int, default 0
        Seed of the weights.
    initialization : {"he", "xavier"}, default "he"

    Returns
    -------
    nn.Sequential
        Initialized, on the CPU, float32.

    Examples
    --------
    >>> sum(p.numel() for p in mlp(3, 2, hidden=(4,), batch_norm=False).parameters())
    26
    """
    activate = _activation(activation)
    layers: list[nn.Module] = []
    width = inputs
    with seeded(random_state):  # torch draws weights as it builds a layer
        for units in hidden:
            # A bias before batch normalization would be subtracted again.
            layers.append(nn.Linear(width, units, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(units))
            layers.append(activate())
            if dropout > 0:
                layers.append(Dropout(dropout))
            width = units
        layers.append(nn.Linear(width, outputs))
    network = nn.Sequential(*layers)
    initialize(network, random_state, activation, initialization)
    return network


def _activation(name: str) -> Callable[[], nn.Module]:
    if name not in ACTIVATIONS:
        raise UnknownName.among("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
