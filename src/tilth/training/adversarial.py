"""Inputs moved, within a small distance, to where a network errs most: to train on, or to test with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tilth.errors import UnknownName

METHODS = ("fgsm", "pgd")


class Adversary:
    """Move inputs by at most `epsilon` in every number, up the gradient of the loss.

    Parameters
    ----------
    method : {"fgsm", "pgd"}, default "pgd"
        "fgsm": one step of `epsilon` along the sign of the gradient. "pgd": `steps` smaller ones from a
        random place, each brought back within `epsilon`.
    epsilon : float >= 0, default 0.1
        In the unit of the inputs: of standardized columns, in standard deviations.
    steps : int >= 1, default 10
        Steps of "pgd", each of 2.5 * `epsilon` / `steps`.
    columns : sequence of int, optional
        Inputs (positions on the second axis) that may be moved, such as the numeric columns of a table: a
        category that is a fifth of another is none. By default all.
    bounds : (float, float), optional
        Least and largest value that an input may take, such as those of a pixel.
    share : float in (0, 1], default 0.5
        Share of the rows of a training batch that are moved; the first ones, since batches are shuffled.

    References
    ----------
    Goodfellow, Shlens, Szegedy: Explaining and harnessing adversarial examples, ICLR 2015 (FGSM); Madry et
    al.: Towards deep learning models resistant to adversarial attacks, ICLR 2018 (PGD).

    Examples
    --------
    >>> slope = torch.tensor([[1.0, -2.0]])
    >>> Adversary("fgsm", epsilon=0.1).moved(lambda X: (X * slope).sum(1), torch.zeros(1, 2)).tolist()
    [[0.10000000149011612, -0.10000000149011612]]
    """

    def __init__(
        self,
        method: str = "pgd",
        epsilon: float = 0.1,
        steps: int = 10,
        columns: Sequence[int] | None = None,
        bounds: tuple[float, float] | None = None,
        share: float = 0.5,
    ) -> None:
        if method not in METHODS:
            raise UnknownName.among("method", method, METHODS)
        if epsilon < 0 or steps < 1 or not 0 < share <= 1:
            raise ValueError(
                f"epsilon ({epsilon}) must not be negative, steps ({steps}) at least 1, and share ({share}) "
                "above 0 and at most 1."
            )
        self.method, self.epsilon, self.steps = method, epsilon, steps
        self.columns, self.bounds, self.share = columns, bounds, share

    def moved(self, losses: Callable[[Tensor], Tensor], X: Tensor) -> Tensor:
        """Return the inputs moved to where their losses are larger; gradients of weights are left alone.

        Parameters
        ----------
        losses : callable
            From inputs to one loss per row.
        X : Tensor of shape (n_rows, ...), float
        """
        if not self.epsilon or not len(X):
            return X
        free = torch.ones_like(X) if self.columns is None else torch.zeros_like(X)
        if self.columns is not None:
            free[:, list(self.columns)] = 1
        if self.method == "fgsm":
            return self._step(losses, X, X, free, self.epsilon)
        moved = self._within(X, X + self.epsilon * (2 * torch.rand_like(X) - 1) * free)
        for _ in range(self.steps):
            moved = self._step(losses, X, moved, free, 2.5 * self.epsilon / self.steps)
        return moved

    def in_batch(self, losses: Callable[[Tensor, Tensor], Tensor], X: Tensor, target: Tensor) -> Tensor:
        """Return the inputs of a training batch, with its share of rows moved.

        Parameters
        ----------
        losses : callable
            From inputs and targets to one loss per row.
        X : Tensor of shape (n_rows, ...), float
        target : Tensor of shape (n_rows, ...)
        """
        count = max(1, round(self.share * len(X)))
        moved = self.moved(lambda rows: losses(rows, target[:count]), X[:count])
        return torch.cat([moved, X[count:]])

    def _step(
        self, losses: Callable[[Tensor], Tensor], X: Tensor, at: Tensor, free: Tensor, size: float
    ) -> Tensor:
        with torch.enable_grad():
            at = at.detach().requires_grad_()
            (slope,) = torch.autograd.grad(losses(at).sum(), at)
        return self._within(X, at.detach() + size * slope.sign() * free)

    def _within(self, X: Tensor, moved: Tensor) -> Tensor:
        moved = torch.minimum(torch.maximum(moved, X - self.epsilon), X + self.epsilon)
        return moved if self.bounds is None else moved.clamp(*self.bounds)
