"""The rows a network learns from: inputs, targets and weights that cannot come apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tilth.errors import DataError


@dataclass(frozen=True)
class Rows:
    """Hold the inputs, targets and weights of the same rows.

    Attributes
    ----------
    X : Tensor of shape (n_rows, ...), float32
    target : Tensor of shape (n_rows,) or (n_rows, n_outputs), int64 or float32
    weight : Tensor of shape (n_rows,), float32
        Mean 1 over all rows given, so that a learning rate means the same for any unit of weight.
    """

    X: Tensor
    target: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.X)

    def select(self, positions: np.ndarray) -> Rows:
        """Return the rows at these positions."""
        index = torch.from_numpy(positions)
        return Rows(
            self.X.index_select(0, index),
            self.target.index_select(0, index),
            self.weight.index_select(0, index),
        )

    def to(self, device: torch.device) -> Rows:
        """Return the rows on another device."""
        return Rows(self.X.to(device), self.target.to(device), self.weight.to(device))

    @classmethod
    def of(cls, X: Any, y: Any = None, weight: Any = None) -> Rows:
        """Build rows from arrays or tensors, on the CPU; without `y` the inputs are their own target.

        Raises
        ------
        DataError
            Row counts differ, a value is not finite, a weight is negative, or all weights are 0.
        """
        X = as_tensor(X)
        target = X if y is None else _shared(y).cpu()
        target = target.float() if target.is_floating_point() else target.long()
        weight = torch.ones(len(X)) if weight is None else as_tensor(weight)
        if not len(X) == len(target) == len(weight):
            raise DataError(f"Rows do not match: X has {len(X)}, y {len(target)}, weight {len(weight)}.")
        for name, tensor in (("X", X), ("y", target), ("weight", weight)):
            if not torch.isfinite(tensor).all():
                raise DataError(
                    f"{name} holds NaN or infinite values (as float32); a network cannot learn from them. "
                    "Fill or scale them first."
                )
        if len(X) and not (weight.min() >= 0 and weight.sum() > 0):
            raise DataError("Weights must not be negative, and at least one must be above 0.")
        return cls(X, target, weight / weight.mean())


def as_tensor(values: Any) -> Tensor:
    """Return the values as a float32 tensor on the CPU."""
    return _shared(values).to("cpu", torch.float32)


def _shared(values: Any) -> Tensor:
    # torch warns of a read-only array, though nothing here writes to it.
    if isinstance(values, np.ndarray) and not values.flags.writeable:
        values = values.copy()
    return torch.as_tensor(values)
