"""Feed a table to a PyTorch training loop, at the speed of the gather itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tilth.errors import DataError
from tilth.loaders.dataset import TableDataset
from tilth.loaders.device import Batch, DeviceFeed, free_bytes, resolve_device
from tilth.loaders.gather import HostGather, ahead
from tilth.loaders.parameters import invalid
from tilth.loaders.sampler import Order, RowSampler, augment_seed

# Rows are gathered for several batches at once, as many as make a block of about this size: large enough that
# handing it to a thread costs nothing, small enough to be in the cache still when the batches are used.
BLOCK_BYTES = 2 * 2**20

# Beyond this share of the free memory of a GPU a table stays on the host: the model, its gradients
# and its activations need room too.
RESIDENT_SHARE = 0.5


class TableLoader:
    """Iterate over a table in batches, on the device, in a new order each epoch.

    Used like ``DataLoader(TensorDataset(X, y), batch_size, shuffle=True)``, of which it has `dataset`,
    `batch_size`, `drop_last`, `sampler`, `num_workers`, `pin_memory` and its length in batches. Every
    batch is a tuple of tensors on the device, ``(X,)``, ``(X, y)`` or ``(X, y, weight)``, that the caller may
    change. Batches are cut from blocks of gathered rows, so that keeping one keeps a block of about 2 MiB.

    One permutation is drawn per epoch, from `random_state` and the epoch alone; torch's global generator is
    neither read nor moved. On the host a thread gathers the next blocks while the model works. Every ``for``
    over the loader is a new epoch, counted from 0, or from the one given to `set_epoch`.

    Under distributed training every process takes its share of the one common order, the same number
    of batches in each: see `RowSampler`.

    Parameters
    ----------
    features : tensor, array or frame, shape (n_rows, ...)
        Tensors keep their type; arrays and frames become float32. NaN and infinities are handed on. See
        `TableDataset`.
    target : tensor, array, series or list, shape (n_rows,), default None
        Floats stay floats, labels become int64 codes. See `TableDataset`.
    weight : array-like, shape (n_rows,), default None
        The third part of each batch. With ``sampler="weighted"`` it is spent on drawing the rows and is not
        in the batch, so that it does not count twice.
    batch_size : int, rows, at least 1, default 1024
    shuffle : bool, default True
        False visits the rows in their order.
    drop_last : bool, default False
        Leave out the last batch where it is not full.
    device : str or torch.device, default "auto"
        Where batches are wanted: see `resolve_device`.
    random_state : int or None, default 0
        The seed of orders and augmentations. None takes a fresh one from the system.
    augment : callable, object with ``augment``, or a sequence of them, default ()
        Called in turn on each batch, on the device, as ``augment(batch, generator)``; returns the batch to go
        on with. The ``torch.Generator`` lives on the device and is seeded by seed, epoch and the
        batch's position, so that a batch is augmented alike whether or not those before it were made.
    place : {"auto", "device", "host"}, default "auto"
        Where the table rests. ``"device"`` gathers on the device; ``"host"`` gathers on the host, on CUDA
        into pinned memory, and sends batches ahead of their use. ``"auto"`` takes the device if the table
        needs at most half of the memory that is free there. On the CPU all three are the same.
    rank, world_size : int, default None
        This process and how many there are; by default from ``torch.distributed``, else 0 and 1.
    sampler : {"shuffle", "sequential", "weighted", "balanced"}, default None
        The order of rows by name: see `RowSampler`. None: as `shuffle` says.
    classes : sequence, default None
        The labels in the order of their codes; for validation data, the training loader's `classes_`.

    Attributes
    ----------
    classes_ : ndarray or None
        ``classes_[code]`` is the label; None where the target holds floats or codes.
    dataset : TableDataset
        The rows, where they rest.
    sampler : RowSampler
        The order of rows.
    device : torch.device
    place : {"device", "host"}
        Where the table rests.

    Raises
    ------
    DataError
        If the data does not fit: see `TableDataset` and `RowSampler`.
    InvalidParameterError
        If a parameter is out of range.
    TilthError
        If the device is not present.

    Examples
    --------
    >>> loader = TableLoader(torch.arange(10.0).reshape(5, 2), list("abbab"), batch_size=2, device="cpu")
    >>> len(loader), loader.classes_.tolist()
    (3, ['a', 'b'])
    >>> sorted(x[0].item() for X, y in loader for x in X)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """

    num_workers = 0

    def __init__(
        self,
        features: Any,
        target: Any = None,
        *,
        weight: Any = None,
        batch_size: int = 1024,
        shuffle: bool = True,
        drop_last: bool = False,
        device: str | torch.device = "auto",
        random_state: int | None = 0,
        augment: Any = (),
        place: Literal["auto", "device", "host"] = "auto",
        rank: int | None = None,
        world_size: int | None = None,
        sampler: Order | None = None,
        classes: Sequence[Any] | None = None,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise invalid(f"batch_size={batch_size}: a whole number of rows, 1 or more, is needed.")
        if place not in ("auto", "device", "host"):
            raise invalid(f"place={place!r} is not known. Use one of auto, device, host.")
        if sampler not in (None, "sequential") and not shuffle:
            raise invalid(f"shuffle=False contradicts sampler={sampler!r}. Leave one of them out.")
        order = sampler or ("shuffle" if shuffle else "sequential")
        spent = order == "weighted"
        self.batch_size = int(batch_size)
        self.drop_last = drop_last
        self.device = resolve_device(device)
        rows = TableDataset(features, target, weight=None if spent else weight, classes=classes)
        self.sampler = RowSampler(
            len(rows),
            order,
            weight=weight if spent else None,
            labels=rows.tensors[1] if order == "balanced" and len(rows.tensors) > 1 else None,
            drop_last=drop_last,
            random_state=random_state,
            rank=rank,
            world_size=world_size,
        )
        self.place = _resting_place(place, rows.tensors, self.device)
        self.dataset = rows.to(self.device if self.place == "device" else torch.device("cpu"))
        self.classes_ = rows.classes_
        self._feed = DeviceFeed(self.device)
        self._augment = _augmentations(augment)
        self._position = 0
        self._resumed = (0, 0)

    def __len__(self) -> int:
        rows = len(self.sampler)
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def __repr__(self) -> str:
        return (
            f"TableLoader({len(self.dataset)} rows, {len(self)} batches of {self.batch_size}, "
            f"{self.sampler.order}, table on the {self.place}, batches on {self.device})"
        )

    def __iter__(self) -> Iterator[Batch]:
        start = self._next_position()
        epoch = self.sampler.begin()
        self._position = start
        return self._batches(epoch, start)

    @property
    def pin_memory(self) -> bool:
        """Whether batches pass through pinned memory on their way to the device."""
        return self.place == "host" and self._feed.pins

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
        missing = {"epoch", "position", "random_state", *self._shape()} - state.keys()
        if missing:
            raise DataError(f"This is not a state of a TableLoader: it lacks {', '.join(sorted(missing))}.")
        for name, here in self._shape().items():
            if state[name] != here:
                raise DataError(
                    f"The state was saved with {name}={state[name]!r}, but this loader has {name}={here!r}. "
                    "Batches can be resumed only by a loader built the same way on the same rows."
                )
        self.sampler.seed = state["random_state"]
        self.sampler.set_epoch(state["epoch"])
        self._resumed = (state["epoch"], state["position"])

    def _shape(self) -> dict[str, Any]:
        return {
            "n_rows": len(self.dataset),
            "batch_size": self.batch_size,
            "drop_last": self.drop_last,
            "order": self.sampler.order,
            "world_size": self.sampler.world_size,
        }

    def _next_position(self) -> int:
        epoch, position = self._resumed
        return position if not self.sampler.begun and epoch == self.sampler.epoch else 0

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        batches = self._gathered(epoch, start)
        if self.place == "host":
            batches = self._feed(batches)
        if not self._augment:
            for position, batch in enumerate(batches, start + 1):
                self._position = position
                yield batch
            return
        generator = torch.Generator(self.device)
        processes, rank, seed = self.sampler.world_size, self.sampler.rank, self.sampler.seed
        for position, batch in enumerate(batches, start):
            generator.manual_seed(augment_seed(seed, epoch, position * processes + rank))
            for change in self._augment:
                batch = change(batch, generator)
            self._position = position + 1
            yield batch

    def _gathered(self, epoch: int, start: int) -> Iterator[Batch]:
        size, stop = self.batch_size, min(len(self) * self.batch_size, len(self.sampler))
        row_bytes = sum(tensor[:1].nbytes for tensor in self.dataset.tensors)
        block = size * max(BLOCK_BYTES // max(row_bytes * size, 1), 1)
        cuts = [slice(first, min(first + block, stop)) for first in range(start * size, stop, block)]
        for parts in self._blocks(epoch, cuts):
            for batch in zip(*[part.split(size) for part in parts], strict=True):
                # As .data, batches of a block do not share autograd's count of in-place changes.
                yield tuple([part.data for part in batch])

    def _blocks(self, epoch: int, cuts: list[slice]) -> Iterator[list[Tensor]]:
        tensors = self.dataset.tensors
        in_place = self.sampler.order == "sequential" and self.sampler.world_size == 1
        rows = None if in_place else self.sampler.rows(epoch)
        if tensors[0].device.type == "cpu":
            wanted: list[Any] = cuts if rows is None else [rows[cut].numpy() for cut in cuts]
            yield from ahead(HostGather(tensors, pinned=self.pin_memory), wanted)
        elif rows is None:
            for cut in cuts:
                yield [tensor[cut].clone() for tensor in tensors]
        else:
            rows = rows.to(tensors[0].device)
            for cut in cuts:
                yield [tensor.index_select(0, rows[cut]) for tensor in tensors]


def _resting_place(place: str, tensors: Sequence[Tensor], device: torch.device) -> Literal["device", "host"]:
    if device.type == "cpu":
        return "device"
    if place == "auto":
        needed = sum(t.nbytes for t in tensors if t.device != device)
        return "device" if needed <= RESIDENT_SHARE * free_bytes(device) else "host"
    return "device" if place == "device" else "host"


def _augmentations(augment: Any) -> list[Callable[[Batch, torch.Generator], Batch]]:
    several = augment if isinstance(augment, list | tuple) else [augment]
    found: list[Any] = [getattr(each, "augment", each) for each in several]
    for each in found:
        if not callable(each):
            raise invalid(f"augment: {each!r} is not callable and has no method augment(batch, generator).")
    return found
