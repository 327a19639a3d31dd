"""Feed a table to a PyTorch training loop, at the speed of the gather itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from tilth.loaders.codes import Asked, beside_codes
from tilth.loaders.dataset import TableDataset
from tilth.loaders.device import Batch, DeviceFeed
from tilth.loaders.gather import HostGather, ahead, arranged, gathered, in_batches, stretches, whole_blocks
from tilth.loaders.orders import Order
from tilth.loaders.passes import Passes, batch_augmentations, named_order, several
from tilth.loaders.place import Place, resting_place
from tilth.loaders.sampler import BLOCK_ROWS
from tilth.loaders.tensors import Floating

# Rows are gathered for several batches at once, as many as make a block of about this size. On the host:
# large enough that handing it to a thread costs nothing, small enough to be in the cache still when the
# batches are used. On a device: large enough that it works longer than it takes to tell it what to do.
BLOCK_BYTES = 2 * 2**20
DEVICE_BLOCK_BYTES = 32 * 2**20


class TableLoader(Passes):
    """Iterate over a table in batches, on the device, in a new order each epoch.

    Used like ``DataLoader(TensorDataset(X, y), batch_size, shuffle=True)``, of which it has `dataset`,
    `batch_size`, `drop_last`, `sampler`, `num_workers`, `pin_memory` and its length in batches. Every
    batch is a tuple of tensors on the device, ``(X,)``, ``(X, y)`` or ``(X, y, weight)``, with the codes
    after X where columns are coded, that the caller may change. Batches are cut from blocks of gathered rows,
    so that keeping one keeps a block: about 2 MiB, or 32 MiB of a table that rests on a GPU.

    One permutation is drawn per epoch, from `random_state` and the epoch alone; torch's global generator is
    neither read nor moved. On the host a thread gathers the next blocks while the model works. Every ``for``
    over the loader is a new epoch, counted from 0, or from the one given to `set_epoch`.

    Under distributed training every process takes its share of the one common order and equally many
    batches; every row comes once per epoch over all processes, unless rows are drawn with replacement: see
    `Passes` and `RowSampler`.

    Parameters
    ----------
    features : tensor, array or frame, shape (n_rows, ...)
        Tensors keep their type; arrays and frames become `dtype`. NaN and infinities are handed on. See
        `TableDataset`.
    target : tensor, array, series or list, shape (n_rows,), default None
        Floats stay floats, labels become int64 codes. See `TableDataset`.
    weight : array-like, shape (n_rows,), default None
        The third part of each batch. With ``sampler="weighted"`` it is spent on drawing the rows and is not
        in the batch, so that it does not count twice.
    groups : array-like, shape (n_rows,), default None
        What group each row belongs to, for the orders ``"grouped"`` and ``"balanced_groups"``. It is not in
        the batch.
    codes : list of names or mapping of name to sequence, default None
        Columns that leave X and become whole numbers, for ``torch.nn.Embedding``: the second part of each
        batch, int64 of shape (n_rows, number of coded columns). 0 is what is missing or not among the
        categories. For validation data, the training loader's `codes_`. See `TableDataset`.
    dtype : {"float32", "float16", "bfloat16"}, default "float32"
        The type of X where it is made of an array or a frame: see `TableDataset`.
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
        batch's position, so that a batch is augmented alike whether or not those before it were made. Tilth's
        own batch stages see a batch without its codes, which stay the row's own also where rows are mixed;
        any other callable sees all of it.
    place : {"auto", "device", "pinned", "host"}, default "auto"
        Where the table rests; the batches are the same. ``"device"`` gathers on the device; ``"host"``
        gathers on the host, on CUDA into pinned memory, and sends rows ahead of their use. ``"pinned"``, for
        the orders ``"blocks"`` and ``"sequential"`` on CUDA, rests in page-locked memory, from where whole
        blocks are sent ahead and put in order on the device, which holds up to 9 of them. ``"auto"`` takes
        the device if the table needs at most half of the memory that is free there; else pinned memory if
        that serves the order and the table needs at most a quarter of the free memory of the host; else the
        host. On the CPU all are the same, but ``"pinned"`` is refused.
    rank, world_size : int, default None
        This process and how many there are; by default from ``torch.distributed``, else 0 and 1.
    sampler : str, default None
        The order of rows by name: ``"shuffle"``, ``"sequential"``, ``"blocks"``, ``"weighted"``,
        ``"balanced"``, ``"grouped"`` or ``"balanced_groups"``: see `RowSampler`. None: as `shuffle` says.
    block_rows : int, rows, at least 1, default 65,536
        For ``sampler="blocks"``: blocks of neighboring rows are permuted, and the rows inside each, which is
        faster than permuting all. Also what is sent at a time where the table is pinned.
    classes : sequence, default None
        The labels in the order of their codes; for validation data, the training loader's `classes_`.

    Attributes
    ----------
    classes_ : ndarray or None
        ``classes_[code]`` is the label; None where the target holds floats or codes.
    codes_ : dict of name to ndarray
        ``codes_[name][code - 1]`` is the category of a coded column.
    cardinalities_ : list of int
        How many codes each coded column has, 0 among them.
    dataset : TableDataset
        The rows, where they rest.
    sampler : RowSampler
        The order of rows.
    device : torch.device
    place : {"device", "pinned", "host"}
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
        groups: Any = None,
        codes: Asked = None,
        dtype: Floating = "float32",
        batch_size: int = 1024,
        shuffle: bool = True,
        drop_last: bool = False,
        device: str | torch.device = "auto",
        random_state: int | None = 0,
        augment: Any = (),
        place: Place = "auto",
        rank: int | None = None,
        world_size: int | None = None,
        sampler: Order | None = None,
        block_rows: int = BLOCK_ROWS,
        classes: Sequence[Any] | None = None,
    ) -> None:
        order = named_order(sampler, shuffle)
        beside = None if order == "weighted" else weight
        rows = TableDataset(features, target, weight=beside, codes=codes, dtype=dtype, classes=classes)
        self.classes_, self.codes_, self.cardinalities_ = rows.classes_, rows.codes_, rows.cardinalities_
        stages = several(augment)
        super().__init__(
            batch_size=batch_size,
            drop_last=drop_last,
            device=device,
            augment=batch_augmentations(beside_codes(stages) if self.codes_ else stages),
        )
        self.dataset = rows
        self._ordered(
            order,
            target=rows.tensors[1 + bool(self.codes_)] if target is not None else None,
            weight=weight,
            groups=groups,
            block_rows=block_rows,
            random_state=random_state,
            rank=rank,
            world_size=world_size,
        )
        self.place = resting_place(place, rows.tensors, self.device, order, self.sampler.block_rows)
        self.dataset = rows.pin_memory() if self.place == "pinned" else rows.to(self._home)
        self._feed = DeviceFeed(self.device)

    def __repr__(self) -> str:
        return (
            f"TableLoader({len(self.dataset)} rows, {len(self)} batches of {self.batch_size}, "
            f"{self.sampler.order}, table on the {self.place}, batches on {self.device})"
        )

    @property
    def pin_memory(self) -> bool:
        """Whether batches pass through pinned memory on their way to the device."""
        return self.place != "device" and self._feed.pins

    @property
    def _home(self) -> torch.device:
        return self.device if self.place == "device" else torch.device("cpu")

    def _made(self, epoch: int, start: int) -> Iterator[tuple[int, Batch]]:
        cuts = self.cuts()[start:]
        if not cuts:
            return iter(())
        groups = self._pinned(epoch, cuts) if self.place == "pinned" else self._gathered(epoch, cuts)
        return enumerate(in_batches(groups, [cut.stop - cut.start for cut in cuts]), start)

    def _pinned(self, epoch: int, cuts: Sequence[slice]) -> Iterable[Batch]:
        rows = None if self.sampler.order == "sequential" else self.sampler.rows(epoch)
        wanted = slice(cuts[0].start, cuts[-1].stop)
        sent = self._feed(whole_blocks(self.dataset.tensors, rows, self.sampler.blocks(epoch), wanted))
        return sent if rows is None else arranged(sent)

    def _gathered(self, epoch: int, cuts: Sequence[slice]) -> Iterable[Batch]:
        tensors = self.dataset.tensors
        on_host = self._home.type == "cpu"
        row_bytes = sum(tensor[:1].nbytes for tensor in tensors)
        at_once = (BLOCK_BYTES if on_host else DEVICE_BLOCK_BYTES) // max(row_bytes * self.batch_size, 1)
        parts = stretches(cuts, max(at_once, 1))
        wanted = self._rows(epoch, parts)
        if on_host:
            found = ahead(HostGather(tensors, pinned=self.pin_memory), wanted)
            return self._feed(found) if self.place == "host" else found
        return (gathered(tensors, rows) for rows in wanted)

    def _rows(self, epoch: int, parts: Sequence[slice]) -> list[Any]:
        """Return which rows each part of the order holds: a slice of the table where that will do."""
        spans = self.sampler.share.spans()
        if self.sampler.order == "sequential" and len(spans) == 1:
            first = spans[0][0]
            return [slice(first + part.start, first + part.stop) for part in parts]
        rows = self.sampler.rows(epoch)
        if self._home.type == "cpu":
            return [rows[part].numpy() for part in parts]
        rows = rows.to(self._home)
        return [rows[part] for part in parts]
