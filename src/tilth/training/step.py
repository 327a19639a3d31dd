"""What one batch does to a network: forward, backward, clip, change the weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tilth.training.inference import precision
from tilth.training.optimizers import Penalty, gradient_norm, make_optimizer, rate_share
from tilth.training.rows import Rows

if TYPE_CHECKING:
    from tilth.training.trainer import Trainer


class Step:
    """Change a trainer's network by one batch after the other, at the rate its schedule has for each.

    Parameters
    ----------
    trainer : Trainer
        Whose settings these are.
    device : torch.device
    total : int
        Steps that are planned.

    Attributes
    ----------
    rate : float
        Learning rate of the last step.
    """

    def __init__(self, trainer: Trainer, device: torch.device, total: int) -> None:
        self.trainer, self.device, self.total = trainer, device, total
        self.rate, self._done = 0.0, 0
        self._optimizer = make_optimizer(
            trainer.optimizer,
            trainer.network,
            learning_rate=trainer.learning_rate,
            weight_decay=trainer.weight_decay,
            momentum=trainer.momentum,
            device=device,
        )
        self._peaks = [group["lr"] for group in self._optimizer.param_groups]
        self._parameters = [p for p in trainer.network.parameters() if p.requires_grad]
        matrices = [p for p in self._parameters if p.ndim > 1] or self._parameters
        self._first, self._last = matrices[0], matrices[-1]
        self._penalty = Penalty(self._parameters, trainer.l1, trainer.l2)
        self._most = math.inf if trainer.clip_norm is None else trainer.clip_norm

    def __call__(self, place: int, batch: Rows) -> Tensor:
        """Train on a batch, the `place`-th of its epoch.

        Returns
        -------
        Tensor of shape (4,)
            Loss, and the norm before clipping of the gradient of the first matrix, the last, and all.
        """
        share = rate_share(self._done, self.total, self.trainer.warmup_share, self.trainer.schedule)
        self._done += 1
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            self.rate = group["lr"] = peak * share
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._backward(place, batch)
        self._penalty()
        first, last = gradient_norm(self._first), gradient_norm(self._last)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._most)
        self._optimizer.step()
        return torch.stack((loss.detach().float(), first, last, norm.float()))

    def output(self, X: Tensor) -> Tensor:
        """Return what the network makes of inputs, in float32."""
        with precision(self.device):
            made: Tensor = self.trainer.network(X)
        return made.float()

    def _backward(self, place: int, batch: Rows) -> Tensor:
        """Return the loss of a batch, and leave its gradients with the weights."""
        trainer, X, target = self.trainer, batch.X, batch.target
        if trainer.corrupt is not None:
            X, target = trainer.corrupt(X, target)
        if trainer.adversary is not None:
            trainer.network.eval()  # rows are moved against the network as it is used
            X = trainer.adversary.in_batch(lambda rows, to: trainer.loss(self.output(rows), to), X, target)
            trainer.network.train()
        if trainer.watch is not None:
            trainer.watch.before(place)
        output = self.output(X)
        loss = (trainer.loss(output, target) * batch.weight).mean()
        loss.backward()
        if trainer.watch is not None:
            trainer.watch.after(place, output.detach(), target, batch.weight)
        return loss
