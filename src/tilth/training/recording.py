"""Record how a training goes, from a sample of its batches, at hardly any cost."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilth.training.layers import LAYERS
from tilth.training.scores import score

EVERY = 8
"""Steps from one that is looked at to the next: looking costs microseconds a layer, and a step is short."""
WINDOW = 4
"""Looks after which a unit that no gradient reached in any of them counts as idle."""
MOST_KEPT = 2**22
"""Numbers of output kept of an epoch, to score it; what comes after is not scored."""


class Recorder:
    """Look on while a network is trained, as a `Watch`: gradients, scores, and units that stand idle.

    Losses and gradient norms come from every step, as the trainer has them anyway; a score per epoch comes
    from the outputs of its own batches (dropout on); which units get a gradient is looked at in every eighth
    step. Nothing of the training is changed, down to the last bit.

    Parameters
    ----------
    keep : bool, default False
        Keep a copy of the network as it is before training.

    Attributes
    ----------
    begun : nn.Module or None
        That copy.
    steps : list of ndarray of shape (n_steps, 4)
        Of each epoch: loss, and norm of the gradient of the first matrix, of the last one, and of all.
    scores, validation_scores : list of float
        Of each epoch: accuracy, or the share of variance explained; NaN where outputs and targets do not
        tell which.
    idle : list of float
        Share of the units of the worst hidden layer that no gradient reached, over each window of looks.
    """

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep
        self.begun: nn.Module | None = None
        self.steps: list[NDArray[np.float64]] = []
        self.scores: list[float] = []
        self.validation_scores: list[float] = []
        self.idle: list[float] = []
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []
        self._numbers = self._step = self._looks = 0

    def begin(self, network: nn.Module) -> None:
        """Find the hidden layers; keep a copy of the network, if asked to."""
        if self.keep:
            self.begun = copy.deepcopy(network)
        layers = [module for module in network.modules() if isinstance(module, LAYERS)]
        weights = [layer.weight for layer in layers if layer.weight.requires_grad]
        self._hidden = weights[:-1]
        # Where all units are dead, the last layer's weight gets no gradient, but its bias does.
        self._last = list(layers[-1].parameters()) if layers else []
        self._reached: list[Tensor] = []

    def before(self, place: int) -> None:
        """Nothing is to be done before a batch."""

    def after(self, place: int, output: Tensor, target: Tensor, weight: Tensor) -> None:
        """Keep the outputs, and in every eighth step look which units a gradient reached."""
        if self._numbers < MOST_KEPT:
            self._kept.append((output, target, weight))
            self._numbers += output.numel()
        if self._step % EVERY == 0 and self._hidden:
            self._look()
        self._step += 1

    def trained(self, number: int, steps: NDArray[np.float64]) -> None:
        """Score the epoch."""
        self.steps.append(steps)
        self.scores.append(score(*(torch.cat(part) for part in zip(*self._kept, strict=True))))
        self._kept, self._numbers = [], 0

    def validated(self, output: Tensor, target: Tensor, weight: Tensor) -> None:
        """Score the rows kept aside."""
        self.validation_scores.append(score(output, target, weight))

    def end(self) -> None:
        """Let go of the network."""
        self._close()
        self._hidden, self._last, self._kept = [], [], []

    def _look(self) -> None:
        if any(each.grad is None for each in (*self._hidden, *self._last)):
            return
        reached = [weight.grad.flatten(1).any(dim=1) for weight in self._hidden if weight.grad is not None]
        # Where nothing at all comes back, the loss is at its floor, and no unit is to blame.
        back = torch.stack([each.grad.any() for each in self._last if each.grad is not None]).any()
        reached = [units | ~back for units in reached]
        self._reached = (
            [a | b for a, b in zip(self._reached, reached, strict=True)] if self._reached else reached
        )
        self._looks += 1
        if self._looks == WINDOW:
            self._close()

    def _close(self) -> None:
        if self._reached:
            self.idle.append(max(1 - float(units.float().mean()) for units in self._reached))
        self._reached, self._looks = [], 0
