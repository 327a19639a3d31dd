"""Share one order of rows out among processes, so that each takes as many steps as the others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Say which places of a common order one process takes.

    Shares differ by at most one row, unless they are filled up or cut to the same length.

    Parameters
    ----------
    n_rows : int
        The places of the order, 0 or more.
    rank, world_size : int
        This process and how many there are.
    drop_last : bool
        Leave out the places at the end of the order that do not go round.
    pad : bool
        Where `drop_last` is False: start the order anew, so that all shares are equally long and fewer than
        `world_size` rows come twice. False gives each row to one process; only where there are fewer rows
        than processes they come twice all the same.
    contiguous : bool
        Take places that follow one another; False: every `world_size`-th.

    Examples
    --------
    >>> import torch
    >>> [Share(5, rank, 2, False, False, True).of(torch.arange(5)).tolist() for rank in range(2)]
    [[0, 1, 2], [3, 4]]
    """

    n_rows: int
    rank: int
    world_size: int
    drop_last: bool
    pad: bool
    contiguous: bool

    def __len__(self) -> int:
        whole, over = divmod(self.n_rows, self.world_size)
        return self.largest if self._equal else whole + (self.rank < over)

    @property
    def largest(self) -> int:
        """The rows of the process that has the most."""
        whole, over = divmod(self.n_rows, self.world_size)
        return whole if self.drop_last or not over else whole + 1

    @property
    def _equal(self) -> bool:
        return self.drop_last or self.pad or self.n_rows < self.world_size

    def steps(self, batch_size: int) -> int:
        """Return the batches that every process takes."""
        return self.largest // batch_size if self.drop_last else -(-self.largest // batch_size)

    def cuts(self, batch_size: int) -> list[slice]:
        """Return, batch by batch, which rows of the share it holds.

        A process whose rows fill one batch less than those of others splits its last one in two. It can,
        but for batches of one row: shares are to be padded for these.
        """
        rows, steps = len(self), self.steps(batch_size)
        if self.drop_last:
            rows = steps * batch_size
        edges = [*range(0, rows, batch_size), rows]
        if len(edges) == steps:
            edges.insert(-1, (edges[-2] + edges[-1] + 1) // 2)
        return [slice(start, stop) for start, stop in pairwise(edges)]

    def spans(self) -> list[tuple[int, int]]:
        """Return the places of a contiguous share: one range, or two where it starts the order anew."""
        whole, over = divmod(self.n_rows, self.world_size)
        start = self.rank * self.largest if self._equal else self.rank * whole + min(self.rank, over)
        start %= max(self.n_rows, 1)
        stop = start + len(self)
        if stop <= self.n_rows:
            return [(start, stop)]
        return [(start, self.n_rows), (0, stop - self.n_rows)]

    def of(self, order: Tensor) -> Tensor:
        """Return what the share holds of an order of all rows."""
        if self.world_size == 1:
            return order
        if self.contiguous:
            return torch.cat([order[start:stop] for start, stop in self.spans()])
        rows = len(self)
        stop = self.rank + (rows - 1) * self.world_size + 1 if rows else 0
        if stop > self.n_rows:
            order = order.repeat(-(-stop // self.n_rows))
        return order[self.rank : stop : self.world_size].contiguous()
