"""Say which rows an epoch visits, and in which order: a function of seed and epoch alone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from tilth.errors import TilthWarning, nearest
from tilth.loaders.orders import (
    CONTIGUOUS,
    WITH_REPLACEMENT,
    Members,
    Order,
    Weighted,
    blocks_of,
    class_members,
    cut_out,
    group_members,
    permuted,
    shuffled_ranges,
)
from tilth.loaders.parameters import invalid
from tilth.loaders.shares import Share

# What a stream of random numbers is for: streams of different purposes must not share their bits.
_ORDER, _AUGMENT, _PIXELS, WINDOWS = 0, 1, 2, 3

BLOCK_ROWS = 65_536


class RowSampler(Sampler[int]):
    """Order the rows of each epoch, the same way in every process.

    The order depends on `random_state` and the epoch only, and never on torch's global generator.
    Under distributed training the processes share one common order. Of the orders ``"sequential"``,
    ``"blocks"`` and ``"grouped"`` each takes a stretch, so that rows that lie or belong together stay
    together; of the others every `world_size`-th row, so that the processes' batches of one step are together
    a batch of a single process.

    Parameters
    ----------
    n_rows : int
        How many rows there are; 0 is allowed.
    order : str, default "shuffle"
        ``"shuffle"`` visits each row once, every order of them being equally likely; ``"sequential"`` visits
        them as they lie. ``"blocks"`` permutes blocks of `block_rows` neighboring rows, and the rows inside
        each: each row once. It is faster to draw, and memory is read faster in it; where the rows lie in
        no order it is as good as ``"shuffle"``, but rows that lie in the same block stay near each other.
        ``"grouped"`` visits group after group of `groups`, in a random order, the rows of each together and
        permuted: each row once.
        ``"weighted"`` draws `n_rows` rows with replacement, by `weight`; ``"balanced"`` draws `n_rows` rows
        with replacement so that every class of `labels` is equally likely, and so is every row of a class;
        ``"balanced_groups"`` does so with `groups`.
    weight : array-like, shape (n_rows,), default None
        For ``"weighted"``: finite, not negative, not all 0.
    labels : Tensor, shape (n_rows,), default None
        For ``"balanced"``: one integer code per row.
    groups : array-like, shape (n_rows,), default None
        For ``"grouped"`` and ``"balanced_groups"``: what group each row belongs to, as numbers, texts, dates
        or anything else that is equal or not; numbers among texts are texts. Each row whose group is
        missing is a group of its own.
    block_rows : int, rows, at least 1, default 65,536
        For ``"blocks"``. The last block of the table may be smaller.
    drop_last : bool, default False
        Leave out the rows at the end of the order where `n_rows` is not a multiple of `world_size`.
    pad : bool, default True
        What happens there otherwise: True starts the order anew to fill up, so that all processes have
        equally many rows, as a ``DataLoader`` needs it, and fewer than `world_size` of them come twice. False
        gives every row to one process, so that shares differ by a row. Tilth's loaders do so and take as many
        steps in each process: one with a row less splits its last batch in two where it would have a batch
        less. Where there are fewer rows than processes, or batches of one row, rows come twice even there.
    random_state : int or None, default 0
        The seed, 0 or more. None takes a fresh one from the system, which only one process can do.
    rank, world_size : int, default None
        This process and how many there are; taken from ``torch.distributed`` where it is initialized, else 0
        and 1, with a `TilthWarning` if the environment has another WORLD_SIZE.

    Attributes
    ----------
    epoch : int
        The epoch under way or, before its first pass, the one to come.
    seed : int
        The seed in use.
    n_groups : int or None
        How many groups there are; None for orders that do not go by groups.
    with_replacement : bool
        Whether a row may come more than once per epoch by the order itself.

    Raises
    ------
    DataError
        If weights, labels or groups are missing or do not fit.
    InvalidParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> sampler = RowSampler(5, random_state=0)
    >>> sorted(sampler)
    [0, 1, 2, 3, 4]
    >>> families = RowSampler(6, "grouped", groups=["a", "b", "a", "c", "b", "a"]).rows(0)
    >>> ["abacba"[row] for row in families]
    ['b', 'b', 'c', 'a', 'a', 'a']
    """

    def __init__(
        self,
        n_rows: int,
        order: Order = "shuffle",
        *,
        weight: Any = None,
        labels: Tensor | None = None,
        groups: Any = None,
        block_rows: int = BLOCK_ROWS,
        drop_last: bool = False,
        pad: bool = True,
        random_state: int | None = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        known = get_args(Order)
        if order not in known:
            raise invalid(
                f"order={order!r} is not known{nearest(order, known)}. Use one of {', '.join(known)}."
            )
        if isinstance(block_rows, bool) or not isinstance(block_rows, int | np.integer) or block_rows < 1:
            raise invalid(f"block_rows={block_rows!r}: a whole number of rows, 1 or more, is needed.")
        self.n_rows = n_rows
        self.order = order
        self.block_rows = int(block_rows)
        self.drop_last = drop_last
        self.rank, self.world_size = _place_among_processes(rank, world_size)
        self.share = Share(n_rows, self.rank, self.world_size, drop_last, pad, order in CONTIGUOUS)
        self.seed = _seed(random_state, self.world_size)
        self.epoch = 0
        self.begun = False
        self.with_replacement = order in WITH_REPLACEMENT
        self.n_groups: int | None = None
        self._draw = self._drawing(weight, labels, groups)

    def __len__(self) -> int:
        return len(self.share)

    def __iter__(self) -> Iterator[int]:
        # A pass begins with its first row: frameworks make iterators that they throw away.
        yield from self.rows(self.begin()).tolist()

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
        if self.n_rows == 0:
            return torch.arange(0)
        if self.order == "blocks":
            # Numbers of the process's own, so that parts of blocks are not permuted alike in all.
            inside = self._generator(epoch, 1 + self.rank)
            return torch.from_numpy(shuffled_ranges(*self._pieces(epoch), inside))
        if self.order == "sequential":
            return self.share.of(torch.arange(self.n_rows))
        return self.share.of(self._draw(self._generator(epoch)))

    def blocks(self, epoch: int) -> list[tuple[int, int]]:
        """Return start and stop of each block of rows, in the order in which this process visits them.

        For the orders ``"blocks"`` and ``"sequential"``: `rows` holds the rows of one block after those of
        another, permuted inside each or not. Under distributed training the blocks at both ends of a share
        are cut.
        """
        if self.order not in ("blocks", "sequential"):
            raise invalid(f"blocks(): the order {self.order!r} is not one by blocks.")
        starts, sizes = self._pieces(epoch)
        return list(zip(starts.tolist(), (starts + sizes).tolist(), strict=True))

    def _pieces(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        generator = self._generator(epoch) if self.order == "blocks" else None
        return cut_out(*blocks_of(self.n_rows, self.block_rows, generator), self.share.spans())

    def _generator(self, epoch: int, *more: int) -> torch.Generator:
        return torch.Generator().manual_seed(stream_seed(self.seed, _ORDER, epoch, *more))

    def _drawing(
        self, weight: Any, labels: Tensor | None, groups: Any
    ) -> Callable[[torch.Generator], Tensor]:
        if self.order == "weighted":
            return Weighted(weight, self.n_rows)
        if self.order == "balanced":
            return class_members(labels, self.n_rows).evenly
        if self.order in ("grouped", "balanced_groups"):
            members: Members = group_members(groups, self.n_rows, self.order)
            self.n_groups = len(members)
            return members.together if self.order == "grouped" else members.evenly
        return self._shuffled

    def _shuffled(self, generator: torch.Generator) -> Tensor:
        # NumPy widens without waking other threads.
        return torch.from_numpy(permuted(self.n_rows, generator).astype(np.int64, copy=False))


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
    if rank is None and world_size is None and os.environ.get("WORLD_SIZE", "1") != "1":
        warnings.warn(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']} is set, but torch.distributed is not initialized: this "
            "process will see all rows. Make the loader after init_process_group, or pass rank and "
            "world_size: 0 and 1 where it is to see them all.",
            TilthWarning,
            stacklevel=2,
        )
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
