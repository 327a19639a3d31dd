"""What loaders have in common: passes that count epochs, know their place in one, and can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tilth.errors import DataError
from tilth.loaders.device import Batch, resolve_device
from tilth.loaders.orders import Order
from tilth.loaders.parameters import invalid
from tilth.loaders.sampler import BLOCK_ROWS, RowSampler, augment_seed

Augmentation = Callable[[Batch, torch.Generator], Batch]


class Passes:
    """Count epochs and batches, and change batches, for a loader that says where batches come from.

    A loader sets `dataset`, calls `_ordered`, and writes `_made`: the batches of an epoch, cut as `cuts`
    says.

    Under distributed training, without `drop_last`, every row comes exactly once per epoch over all
    processes, and every process takes equally many steps: shares differ by at most one row, and a process
    whose rows would fill one batch less splits its last batch in two. Only where that cannot be, with fewer
    rows than processes or ``batch_size=1``, fewer than `world_size` rows come twice. With `drop_last` every
    process takes equally many full batches.
    """

    num_workers = 0
    batch_sampler = None  # frameworks that know DataLoader ask for it; the loader cuts batches itself
    dataset: Any
    sampler: RowSampler

    def __init__(
        self, *, batch_size: int, drop_last: bool, device: str | torch.device, augment: Iterable[Augmentation]
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise invalid(f"batch_size={batch_size}: a whole number of rows, 1 or more, is needed.")
        self.batch_size = int(batch_size)
        self.drop_last = drop_last
        self.device = resolve_device(device)
        self._augment = list(augment)
        self._position = 0
        self._resumed = (0, 0)

    def _ordered(
        self,
        order: Order,
        *,
        target: Tensor | None,
        weight: Any,
        groups: Any = None,
        block_rows: int = BLOCK_ROWS,
        random_state: int | None,
        rank: int | None,
        world_size: int | None,
    ) -> None:
        """Set the order of the rows of `dataset`, which goes by target, weight or groups, or by none."""
        self.sampler = RowSampler(
            len(self.dataset),
            order,
            weight=weight if order == "weighted" else None,
            labels=target if order == "balanced" else None,
            groups=groups if order in ("grouped", "balanced_groups") else None,
            block_rows=block_rows,
            drop_last=self.drop_last,
            pad=self.batch_size == 1,  # one row cannot be split among two steps
            random_state=random_state,
            rank=rank,
            world_size=world_size,
        )

    def __len__(self) -> int:
        return self.sampler.share.steps(self.batch_size)

    def cuts(self) -> list[slice]:
        """Return which of the process's rows, ``sampler.rows(epoch)``, each batch of an epoch holds."""
        return self.sampler.share.cuts(self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # A pass begins with its first batch: frameworks make iterators that they throw away.
        start = self._next_position()
        self._resumed = (0, 0)
        epoch = self.sampler.begin()
        self._position = start
        yield from self._batches(epoch, start)

    @property
    def epoch(self) -> int:
        """The epoch under way or, before its first pass, the one to come."""
        return self.sampler.epoch

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass epoch `epoch`; counting goes on from there.

        Setting the epoch that `load_state_dict` resumes keeps the position in it.
        """
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return, in plain values, which batch is next: the epoch and the batches of it already handed out.

        It is the same in every process, and describes the pass that was begun last.
        """
        position = self._position if self.sampler.begun else self._next_position()
        done = self.sampler.begun and position >= len(self)
        return {
            "epoch": self.sampler.epoch + done,
            "position": 0 if done else position,
            "random_state": self.sampler.seed,
            **self._shape(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume: the next pass yields the batches that were left, with the seed of the state.

        Raises
        ------
        DataError
            If the state was saved by a loader of other rows, batches, order or processes.
        """
        for name, here in self._shape().items():
            if name in state and state[name] != here:
                raise DataError(
                    f"The state was saved with {name}={state[name]!r}, but this loader has {name}={here!r}. "
                    "Batches can be resumed only by a loader built the same way on the same rows."
                )
        missing = {"epoch", "position", "random_state", *self._shape()} - state.keys()
        if missing:
            kind = type(self).__name__
            raise DataError(f"This is not a state of {kind}: it lacks {', '.join(sorted(missing))}.")
        self.sampler.seed = state["random_state"]
        self.sampler.set_epoch(state["epoch"])
        self._resumed = (state["epoch"], state["position"])

    def _shape(self) -> dict[str, Any]:
        shape = {
            "n_rows": len(self.dataset),
            "batch_size": self.batch_size,
            "drop_last": self.drop_last,
            "order": self.sampler.order,
            "world_size": self.sampler.world_size,
        }
        if self.sampler.order == "blocks":
            shape["block_rows"] = self.sampler.block_rows
        if self.sampler.n_groups is not None:
            shape["n_groups"] = self.sampler.n_groups
        return shape

    def _next_position(self) -> int:
        epoch, position = self._resumed
        return position if not self.sampler.begun and epoch == self.sampler.epoch else 0

    def _made(self, epoch: int, start: int) -> Iterator[tuple[int, Batch]]:
        """Yield the batches of an epoch from number `start` on, on the device, each with its number."""
        raise NotImplementedError

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        generator = torch.Generator(self.device) if self._augment else None
        processes, rank, seed = self.sampler.world_size, self.sampler.rank, self.sampler.seed
        for position, batch in self._made(epoch, start):
            if generator is not None:
                generator.manual_seed(augment_seed(seed, epoch, position * processes + rank))
                for change in self._augment:
                    batch = change(batch, generator)
            self._position = position + 1
            yield batch
        self._position = len(self)  # batches at the end may have had nothing to yield


def named_order(sampler: Order | None, shuffle: bool) -> Order:
    """Return the order of rows that `sampler`, or `shuffle` where it is None, asks for."""
    if sampler not in (None, "sequential") and not shuffle:
        raise invalid(f"shuffle=False contradicts sampler={sampler!r}. Leave one of them out.")
    return sampler or ("shuffle" if shuffle else "sequential")


def several(augment: Any) -> list[Any]:
    """Return what a user gave to augment with as a list."""
    return list(augment) if isinstance(augment, list | tuple) else [augment]


def batch_augmentations(given: Iterable[Any]) -> list[Augmentation]:
    """Return what to call on each batch: objects, or their methods ``augment``."""
    found: list[Any] = [getattr(each, "augment", each) for each in given]
    for each in found:
        if not callable(each):
            raise invalid(f"augment: {each!r} is not callable and has no method augment(batch, generator).")
    return found
