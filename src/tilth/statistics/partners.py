"""Draws of other rows and of shares: one arithmetic for NumPy and torch, in one pass over all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pools:
    """Hold which rows may stand in for one another: those of the same code.

    Parameters
    ----------
    order : array or Tensor of shape (n_rows,), int64
        The rows, sorted by code.
    first, size, rank : array or Tensor of shape (n_rows,), int64
        Where a row's pool begins in `order`, how many rows it has, and the row's own place among them.
    """

    order: Any
    first: Any
    size: Any
    rank: Any

    @classmethod
    def of(cls, codes: Any, order: Any, xp: Any) -> Pools:
        """Put rows of the same code in a pool.

        Parameters
        ----------
        codes : array or Tensor of shape (n_rows,), int64
        order : array or Tensor of shape (n_rows,), int64
            Sorts `codes`; its order within a code decides which draw means which row.
        xp : module
            NumPy or torch.
        """
        ranked = codes[order]
        first = xp.searchsorted(ranked, codes)
        size = xp.searchsorted(ranked, codes, side="right") - first
        return cls(order, first, size, xp.argsort(order) - first)

    def others(self, draws: Any, xp: Any) -> Any:
        """Return for each draw another row of the pool, all alike likely; the row itself if it is alone.

        Parameters
        ----------
        draws : array or Tensor of shape (n_rows,) or (n_rows, n_draws), in [0, 1)

        Returns
        -------
        array or Tensor of the shape of `draws`, int64

        Examples
        --------
        >>> import numpy as np
        >>> pools = Pools.of(np.array([7, 5, 7, 7]), np.array([1, 0, 2, 3]), np)
        >>> pools.others(np.array([[0.0, 0.9]] * 4), np).tolist()
        [[2, 3], [1, 1], [3, 0], [0, 2]]
        """
        shape = (-1, *[1] * (draws.ndim - 1))
        first, size, rank = (part.reshape(shape) for part in (self.first, self.size, self.rank))
        steps = xp.asarray(draws * (size - 1), dtype=xp.int64)
        return self.order[first + (rank + 1 + steps) % size]


def symmetric_beta(alpha: float, draws: Any, xp: Any) -> Any:
    """Turn uniform draws into draws of Beta(alpha, alpha), exactly, without rejecting any.

    With gammas written as ``G(a) = G(a + 1) U ** (1 / a)``, the logit of Beta(a, a) is that of Beta(a + 1,
    a + 1) and the logarithm of a ratio of uniforms; and Beta(b, b) with b > 1/2 is Ulrich's
    ``(1 + sqrt(1 - U ** (2 / (2 b - 1))) cos(2 pi V)) / 2``.

    Parameters
    ----------
    alpha : float, > 0
    draws : array or Tensor of shape (4, ...), in [0, 1)
    xp : module
        NumPy or torch.

    Returns
    -------
    array or Tensor of shape (...), in [0, 1]

    Source
    ------
    Devroye, "Non-Uniform Random Variate Generation", Springer 1986, IX.3 (the gamma's boost) and
    IX.4 (Ulrich). The tests compare with SciPy's distribution.

    Examples
    --------
    >>> import numpy as np
    >>> float(symmetric_beta(0.2, np.full(4, 0.5), np).round(3))
    0.104
    """
    one, two, radius, angle = draws
    below = 1 - 2.0**-23  # beyond it the logit of float32 is infinite
    swing = xp.sqrt(-xp.expm1(xp.log1p(-radius) * 2 / (2 * alpha + 1))) * xp.cos(angle * 6.283185307179586)
    logit = 2 * xp.arctanh(xp.clip(swing, -below, below)) + (xp.log1p(-one) - xp.log1p(-two)) / alpha
    return (1 + xp.tanh(logit / 2)) / 2
