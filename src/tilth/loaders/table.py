"""Feed a table to a PyTorch training loop, at the speed of the gather itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from tilth.loaders.dataset import TableDataset
from tilth.loaders.device import Batch, DeviceFeed, free_bytes
from tilth.loaders.gather import HostGather, ahead
from tilth.loaders.parameters import invalid
from tilth.loaders.passes import Passes, batch_augmentations, named_order, several
from tilth.loaders.sampler import Order

# Rows are gathered for several batches at once, as many as make a block of about this size: large enough that
# handing it to a thread costs nothing, small enough to be in the cache still when the batches are used.
BLOCK_BYTES = 2 * 2**20

# Beyond this share of the free memory of a GPU a table stays on the host: the model, its gradients
# and its activations need room too.
RESIDENT_SHARE = 0.5


class TableLoader(Passes):
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
        if place not in ("auto", "device", "host"):
            raise invalid(f"place={place!r} is not known. Use one of auto, device, host.")
        order = named_order(sampler, shuffle)
        super().__init__(
            batch_size=batch_size,
            drop_last=drop_last,
            device=device,
            augment=batch_augmentations(several(augment)),
        )
        spent = order == "weighted"
        rows = TableDataset(features, target, weight=None if spent else weight, classes=classes)
        self.place = _resting_place(place, rows.tensors, self.device)
        self.dataset = rows.to(self.device if self.place == "device" else torch.device("cpu"))
        self._ordered(
            order,
            target=rows.tensors[1] if len(rows.tensors) > 1 else None,
            weight=weight,
            random_state=random_state,
            rank=rank,
            world_size=world_size,
        )
        self.classes_ = rows.classes_
        self._feed = DeviceFeed(self.device)

    def __repr__(self) -> str:
        return (
            f"TableLoader({len(self.dataset)} rows, {len(self)} batches of {self.batch_size}, "
            f"{self.sampler.order}, table on the {self.place}, batches on {self.device})"
        )

    @property
    def pin_memory(self) -> bool:
        """Whether batches pass through pinned memory on their way to the device."""
        return self.place == "host" and self._feed.pins

    def _made(self, epoch: int, start: int) -> Iterator[tuple[int, Batch]]:
        batches = self._gathered(epoch, start)
        return enumerate(self._feed(batches) if self.place == "host" else batches, start)

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
