"""What may look on while a network is trained."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


class Watch(Protocol):
    """See what the trainer does, and change nothing: no weight, no gradient, no random number."""

    def begin(self, network: nn.Module) -> None:
        """Training begins; the network lies on its device."""

    def before(self, place: int) -> None:
        """A training batch, the `place`-th of its epoch, is about to pass through the network."""

    def after(self, place: int, output: Tensor, target: Tensor, weight: Tensor) -> None:
        """It has passed; its gradients, not yet clipped, are with the weights."""

    def trained(self, number: int, steps: NDArray[np.float64]) -> None:
        """An epoch's batches are through.

        Parameters
        ----------
        number : int
        steps : ndarray of shape (n_steps, 4)
            Loss, and norm of the gradient of the first matrix, of the last one, and of all weights.
        """

    def validated(self, output: Tensor, target: Tensor, weight: Tensor) -> None:
        """The rows kept aside have passed through the network after the epoch just trained."""

    def end(self) -> None:
        """Training is over, the best weights are restored; or it broke off."""
