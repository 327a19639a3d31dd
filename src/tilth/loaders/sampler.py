"""Say which rows an epoch visits, and in which order: a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from tilth.errors import DataError
from tilth.loaders.parameters import invalid
from tilth.loaders.tensors import weight_tensor

Order = Literal["shuffle", "sequential", "weighted", "balanced"]

# What a stream of random numbers is for: streams of different purposes must not share their bits.
_ORDER, _AUGMENT, _PIXELS = 0, 1, 2


class RowSampler(Sampler[int]):
    """Order the rows of each epoch, the same way in every process.

    The order depends on `random_state` and the epoch only, and never on torch's global generator.
    Under distributed training each process takes every `world_size`-th row of one common order,
    as many as every other process.

    Parameters
    ----------
    n_rows : int
        How many rows there are; 0 is allowed.
    order : {"shuffle", "sequential", "weighted", "balanced"}, default "shuffle"
        ``"shuffle"`` and ``"sequential"`` visit each row once. ``"weighted"`` draws `n_rows` rows with
        replacement, by `weight`; ``"balanced"`` draws `n_rows` rows with replacement so that every
        class of `labels` is equally likely, and so is every row of a class.
    weight : array-like, shape (n_rows,), default None
        For ``"weighted"``: finite, not negative, not all 0.
    labels : Tensor, shape (n_rows,), default None
        For ``"balanced"``: one integer code per row.
    drop_last : bool, default False
        What happens where `n_rows` is not a multiple of `world_size`: True leaves out the rows at the
        end of the order, False starts the order anew to fill up, so that a few rows come twice.
    random_state : int or None, default 0
        The seed, 0 or more. None takes a fresh one from the system, which only one process can do.
    rank, world_size : int, default None
        This process and how many there are; taken from ``torch.distributed`` where it is initialized,
        else 0 and 1.

    Attributes
    ----------
    epoch : int
        The epoch under way or, before its first pass, the one to come.
    seed : int
        The seed in use.

    Raises
    ------
    DataError
        If weights or labels are missing or do not fit.
    InvalidParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> sampler = RowSampler(5, random_state=0)
    >>> sorted(sampler)
    [0, 1, 2, 3, 4]
    """

    def __init__(
        self,
        n_rows: int,
        order: Order = "shuffle",
        *,
        weight: Any = None,
        labels: Tensor | None = None,
        drop_last: bool = False,
        random_state: int | None = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        if order not in get_args(Order):
            raise invalid(f"order={order!r} is not known. Use one of {', '.join(get_args(Order))}.")
        self.n_rows = n_rows
        self.order = order
        self.drop_last = drop_last
        self.rank, self.world_size = _place_among_processes(rank, world_size)
        self.seed = _seed(random_state, self.world_size)
        self.epoch = 0
        self.begun = False
        if order == "weighted":
            self._cumulated = _cumulated(weight, n_rows)
        if order == "balanced":
            self._members, self._starts, self._sizes = _classes(labels, n_rows)

    def __len__(self) -> int:
        if self.drop_last:
            return self.n_rows // self.world_size
        return -(-self.n_rows // self.world_size)

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows(self.begin()).tolist())

    def begin(self) -> int:
        """Begin a pass and return its epoch: the one that was set, else the one after the last pass."""
        if self.begun:
            self.epoch += 1
        self.begun = True
        return self.epoch

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass epoch `epoch`; counting goes on from there."""
        if epoch < 0:
            raise invalid(f"set_epoch({epoch}): epochs are numbered from 0.")
        self.epoch = int(epoch)
        self.begun = False

    def rows(self, epoch: int) -> Tensor:
        """Return the rows of this process in that epoch, int64 of shape (len(self),)."""
        rows = self._common(epoch)
        if self.world_size == 1:
            return rows
        total = len(self) * self.world_size
        if total > self.n_rows:
            rows = rows.repeat(-(-total // self.n_rows))
        return rows[self.rank : total : self.world_size].contiguous()

    def _common(self, epoch: int) -> Tensor:
        n = self.n_rows
        if self.order == "sequential" or n == 0:
            return torch.arange(n)
        generator = torch.Generator().manual_seed(stream_seed(self.seed, _ORDER, epoch))
        if self.order == "shuffle":
            # Half the bytes are faster to shuffle, and NumPy widens them without waking other threads.
            narrow = torch.int32 if n < 2**31 else torch.int64
            order = torch.randperm(n, generator=generator, dtype=narrow)
            return torch.from_numpy(order.numpy().astype(np.int64, copy=False))
        uniform = torch.rand(n, generator=generator, dtype=torch.float64)
        if self.order == "weighted":
            total = self._cumulated[-1]
            # Right of equal sums: rows of weight 0 add nothing to the sum and are never met. Rounding
            # may carry a draw up to the total itself, which belongs to the last row that adds to it.
            below = torch.nextafter(total, torch.zeros((), dtype=torch.float64))
            return torch.searchsorted(self._cumulated, (uniform * total).clamp_(max=below), right=True)
        # One number draws both: its whole part the class, what is left the row within the class.
        scaled = uniform * len(self._sizes)
        drawn = scaled.to(torch.int64)
        sizes = self._sizes[drawn]
        within = torch.minimum(((scaled - drawn) * sizes).to(torch.int64), sizes - 1)
        return self._members[self._starts[drawn] + within]


def stream_seed(*key: int) -> int:
    """Mix a seed, a purpose and counters into the seed of one stream of random numbers."""
    seed, *place = key
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)[0])


def augment_seed(seed: int, epoch: int, batch: int) -> int:
    """Return the seed of the augmentations of one batch, counted over all processes."""
    return stream_seed(seed, _AUGMENT, epoch, batch)


@cache
def pixel_seeds(seed: int, count: int) -> tuple[int, ...]:
    """Return seeds of what is drawn for each image by itself."""
    return tuple(stream_seed(seed, _PIXELS, i) for i in range(count))


def _place_among_processes(rank: int | None, world_size: int | None) -> tuple[int, int]:
    distributed = torch.distributed
    if rank is None and world_size is None and distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    rank, world_size = rank or 0, 1 if world_size is None else world_size
    if world_size < 1 or not 0 <= rank < world_size:
        raise invalid(f"rank={rank}, world_size={world_size}: ranks are 0 to world_size - 1.")
    return rank, world_size


def _seed(random_state: int | None, world_size: int) -> int:
    if random_state is None:
        if world_size > 1:
            raise invalid(
                "random_state=None: every process would order rows its own way. Pass one number to all."
            )
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer) or random_state < 0:
        raise invalid(f"random_state={random_state!r}: a whole number of 0 or more, or None, is needed.")
    return int(random_state)


def _cumulated(weight: Any, n_rows: int) -> Tensor:
    if weight is None:
        raise DataError("sampler='weighted' draws rows by weight, but no weight was given. Pass weight.")
    cumulated = weight_tensor(weight).cpu().to(torch.float64).cumsum(0)
    if len(cumulated) != n_rows:
        raise DataError(f"features hold {n_rows} rows, but the weight holds {len(cumulated)}.")
    if n_rows and cumulated[-1] <= 0:
        raise DataError("sampler='weighted': all weights are 0, so no row can be drawn.")
    return cumulated


def _classes(labels: Tensor | None, n_rows: int) -> tuple[Tensor, Tensor, Tensor]:
    if labels is None or labels.is_floating_point() or labels.ndim != 1:
        raise DataError(
            "sampler='balanced' makes the classes of the target equally likely, but the target is "
            f"{'missing' if labels is None else 'not one label per row'}. Pass labels as strings or integers."
        )
    if len(labels) != n_rows:
        raise DataError(f"features hold {n_rows} rows, but the target holds {len(labels)}.")
    ordered, members = torch.sort(labels.cpu(), stable=True)
    sizes = torch.unique_consecutive(ordered, return_counts=True)[1]
    return members, sizes.cumsum(0) - sizes, sizes
