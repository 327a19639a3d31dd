"""Feed a PyTorch training loop from Parquet files that are larger than memory."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tilth.errors import TilthWarning
from tilth.loaders.codes import Asked, beside_codes
from tilth.loaders.device import Batch, DeviceFeed
from tilth.loaders.gather import HostGather, in_batches
from tilth.loaders.parquet import Source
from tilth.loaders.passes import Passes, batch_augmentations, several
from tilth.loaders.stream_dataset import Change, StreamDataset
from tilth.loaders.tensors import Floating
from tilth.loaders.windows import Window, WindowSampler, read_ahead, window_sizes

# Rows are gathered for several batches at once, as many as make a block of about this size.
BLOCK_BYTES = 2 * 2**20

# A slice costs reading its row group: one of more bytes than this, and of more slices, is warned of.
LARGE_GROUP = 64 * 2**20
_SLICES_OF_A_GROUP = 16


class StreamLoader(Passes):
    """Iterate over Parquet files in batches, on the device, in a new order each epoch, in bounded memory.

    The batches are those of `TableLoader`, ``(X[, codes][, y][, weight])``, but the rows stay on the disk.
    The source is cut into slices of `slice_rows` rows. Each epoch permutes all slices; as many as
    `buffer_rows` rows hold are read together, as a window, and the rows of a window are shuffled exactly. A
    thread reads the next window while one is in use, so that two are in memory; with the default sizes and
    what PyTorch and Polars need themselves, a process stays under 1 GB.

    Every batch is a function of `random_state`, the epoch and its position: it is the same however many files
    or row groups hold the rows. A pass that is resumed jumps to its window. Under distributed training each
    process takes, and reads, a stretch of the common order of slices; every row comes once, in equally many
    steps: see `Passes`.

    Rows cannot be drawn by weight or class, nor kept together by group, as this needs all of them at hand:
    `TableLoader` has a `sampler` for that.

    **How well it shuffles.** A batch holds rows of `places` slices, from anywhere in the source. With the
    defaults that is about 32; where all rows fit into a window, the shuffle is exact. What differs from place
    to place, such as the share of a class in files that are sorted by it, scatters more from batch to batch
    than in an exact shuffle: in the worst case, where all rows of a slice are alike, ``1 / shuffle_quality``
    times as much. A larger `buffer_rows` or a smaller `slice_rows` makes it less. Files that are shuffled
    already lose nothing.

    **What a slice costs.** Parquet is read by row groups, and decompressed by pages of up to about 1 MB per
    column. So a slice costs as much as what it lies in, in time and, while it is read, in memory. Row groups
    of 50,000 to 150,000 rows suit, such as ``frame.sink_parquet(path, row_group_size=100_000)`` writes. Of
    files whose groups are large and hold many slices, a warning tells.

    Parameters
    ----------
    source : path, sequence of paths, or LazyFrame
        A Parquet file, a folder of them (all ``.parquet`` files in it and further down, sorted by path), a
        pattern such as ``"data/part-*.parquet"``, or several of these. Or a LazyFrame whose slices are cheap:
        a ``polars.scan_parquet``, also of remote files, with row-by-row steps on it.
    target : str, default None
        The column of labels. Floats stay floats; every other label is encoded as int64 codes. The classes are
        learned by a query over this column alone where `classes` does not name them.
    weight : str, default None
        The column of weights, the last part of each batch. Needs a target.
    columns : sequence of str, default None
        The features, in the order of X. Default: all columns but target and weight, as they are after
        `change`.
    change : callable, default None
        ``change(frame: LazyFrame) -> LazyFrame``, such as the column stages of a fitted pipeline. It is
        called on each stretch of rows after that is cut out, and has to go row by row: same rows, same order,
        and no result that depends on other rows. Where it is given, classes and categories that are to be
        learned cost a pass over the source; pass `classes`, and `codes` as a mapping, to spare it.
    codes : sequence of str, or mapping of str to sequence, default None
        Columns that leave X and become one int64 tensor of codes, for embeddings; a mapping gives the
        categories of each in the order of their codes. See `TableLoader`.
    dtype : {"float32", "float16", "bfloat16"}, default "float32"
        The type of X.
    batch_size : int, rows, at least 1, default 1024
    shuffle : bool, default True
        False visits the rows in their order.
    drop_last : bool, default False
        Leave out the last batch where it is not full.
    device : str or torch.device, default "auto"
        Where batches are wanted: see `resolve_device`. On CUDA they are sent ahead of their use.
    random_state : int or None, default 0
        The seed of orders and augmentations. None takes a fresh one from the system.
    augment : callable, object with a method ``augment``, or list of these, default ()
        Changes each batch, on the device, as ``augment(batch, generator)``: see `TableLoader`.
    buffer_rows : int, rows, at least `slice_rows`, default None
        The rows of a window. None: as many as make 128 MiB as tensors.
    slice_rows : int, rows, at least 1, default None
        The rows that are read together. None: a 32nd of a window; for wide tables, where this would be less
        than 8,192 rows, up to an 8th.
    rank, world_size : int, default None
        This process and how many there are; by default from ``torch.distributed``, else 0 and 1.
    classes : sequence, default None
        The labels in the order of their codes; for validation data, the training loader's `classes_`.
    row_index : str, default None
        The name of a column to add before `change`: the position of each row in the source, as UInt64. It is
        no feature.

    Attributes
    ----------
    classes_ : ndarray or None
        ``classes_[code]`` is the label; None where the target holds floats.
    codes_ : dict of str to ndarray
        ``codes_[name][code - 1]`` is the category; code 0 is what is missing or not among them.
    cardinalities_ : list of int
        For each coded column, how many codes there are.
    columns_ : list of str
        The columns of X, in their order.
    dataset : StreamDataset
        The rows, which are read when asked for.
    sampler : WindowSampler
        The order of rows.
    buffer_rows, slice_rows : int
        The sizes in use.
    device : torch.device

    Raises
    ------
    DataError
        If files or columns are missing or do not fit, labels are missing, or, in an epoch, rows cannot be
        read: the message names the file and the rows.
    StageError
        If `change` fails, or changes the number of rows.
    InvalidParameterError
        If a parameter is out of range.
    TilthError
        If the device is not present.

    Examples
    --------
    >>> import polars as pl, tempfile
    >>> file = tempfile.mkdtemp() + "/towns.parquet"
    >>> towns = pl.DataFrame({"size": [1.0, 2.0, 3.0, 4.0, 5.0], "coast": list("abbab")})
    >>> towns.write_parquet(file)
    >>> loader = StreamLoader(file, "coast", batch_size=2, device="cpu")
    >>> len(loader), loader.classes_.tolist(), loader.shuffle_quality
    (3, ['a', 'b'], 1.0)
    >>> sorted(x[0].item() for X, y in loader for x in X)
    [1.0, 2.0, 3.0, 4.0, 5.0]
    """

    sampler: WindowSampler
    dataset: StreamDataset

    def __init__(
        self,
        source: Source,
        target: str | None = None,
        *,
        weight: str | None = None,
        columns: Sequence[str] | None = None,
        change: Change | None = None,
        codes: Asked = None,
        dtype: Floating = "float32",
        batch_size: int = 1024,
        shuffle: bool = True,
        drop_last: bool = False,
        device: str | torch.device = "auto",
        random_state: int | None = 0,
        augment: Any = (),
        buffer_rows: int | None = None,
        slice_rows: int | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        classes: Sequence[Any] | None = None,
        row_index: str | None = None,
    ) -> None:
        asked = several(augment)
        super().__init__(
            batch_size=batch_size,
            drop_last=drop_last,
            device=device,
            augment=batch_augmentations(beside_codes(asked) if codes else asked),
        )
        self.dataset = StreamDataset(
            source,
            target,
            weight=weight,
            columns=columns,
            change=change,
            codes=codes,
            dtype=dtype,
            classes=classes,
            row_index=row_index,
        )
        self.buffer_rows, self.slice_rows = window_sizes(self.dataset.row_bytes, buffer_rows, slice_rows)
        self._warn_of_large_groups()
        self.sampler = WindowSampler(
            len(self.dataset),
            shuffle=shuffle,
            slice_rows=self.slice_rows,
            buffer_rows=self.buffer_rows,
            drop_last=drop_last,
            pad=self.batch_size == 1,  # one row cannot be split among two steps
            random_state=random_state,
            rank=rank,
            world_size=world_size,
        )
        self.classes_ = self.dataset.classes_
        self.codes_, self.cardinalities_ = self.dataset.codes_, self.dataset.cardinalities_
        self.columns_ = self.dataset.columns_
        self._feed = DeviceFeed(self.device)

    def _warn_of_large_groups(self) -> None:
        group = self.dataset.rows.group_rows
        times = group // self.slice_rows
        costly = group * self.dataset.row_bytes > LARGE_GROUP and times > _SLICES_OF_A_GROUP
        if costly and len(self.dataset) > self.buffer_rows:
            warnings.warn(
                f"StreamLoader: the files hold row groups of up to {group} rows, and a slice of "
                f"{self.slice_rows} rows costs reading all of its group: an epoch reads them about {times} "
                "times. Write them anew, polars.scan_parquet(path).sink_parquet(other, "
                "row_group_size=100_000), or raise slice_rows.",
                TilthWarning,
                stacklevel=3,
            )

    def __repr__(self) -> str:
        files, windows = len(self.dataset.rows.files), len(self.sampler.windows(0))
        origin = "a query" if not files else f"{files} file{'s' * (files > 1)}"
        order = f"from {self.places} places or more" if self.sampler.shuffle else "in order"
        if self.shuffle_quality == 1:
            order = "in an exact shuffle"
        order += f", {windows} window{'s' * (windows != 1)} of up to {self.buffer_rows} rows"
        return (
            f"StreamLoader({len(self.dataset)} rows of {origin}, {len(self)} batches of {self.batch_size} "
            f"{order}, batches on {self.device})"
        )

    @property
    def pin_memory(self) -> bool:
        """Whether batches pass through pinned memory on their way to the device."""
        return self._feed.pins

    @cached_property
    def places(self) -> int:
        """How many slices, each from another place of the source, the rows of a batch are mixed from."""
        return min((len(window.slices) for window in self.sampler.windows(0)), default=0)

    @property
    def shuffle_quality(self) -> float:
        """How near the shuffle is to an exact one in the worst case, that all rows of a slice are alike.

        It is the scatter of batch means (their standard deviation) under an exact shuffle, divided by the
        scatter under this one: 1 is an exact shuffle, and at 0.25 the share of a class scatters four times as
        much from batch to batch. Two rows of a batch come from the same one of all slices too often by ``r``,
        and ``1 / sqrt(1 + (batch_size - 1) r)`` is what remains, as in samples drawn by clusters (Kish's
        design effect). 0 without shuffling.
        """
        if not self.sampler.shuffle:
            return 0.0
        slices = -(-len(self.dataset) // self.slice_rows)
        places = min(max(self.places, 1), slices)
        if places >= slices:
            return 1.0
        same = (slices - places) / (places * (slices - 1))
        return (1 + (self.batch_size - 1) * same) ** -0.5

    def _shape(self) -> dict[str, Any]:
        shape = super()._shape()
        return shape | {"buffer_rows": self.buffer_rows} if self.sampler.shuffle else shape

    def _made(self, epoch: int, start: int) -> Iterator[tuple[int, Batch]]:
        cuts = self.cuts()[start:]
        if not cuts:
            return iter(())
        blocks = self._feed(self._gathered(epoch, cuts[0].start, cuts[-1].stop))
        return enumerate(in_batches(blocks, [cut.stop - cut.start for cut in cuts]), start)

    def _gathered(self, epoch: int, first: int, last: int) -> Iterator[Batch]:
        """Yield blocks of the process's rows from number `first` to `last`, in the order of the epoch."""
        wanted: list[Window] = []
        spans: list[tuple[int, int]] = []
        place = 0
        for window in self.sampler.windows(epoch):
            span = (max(first - place, 0), min(last - place, len(window)))
            place += len(window)
            if span[0] < span[1]:
                wanted.append(window)
                spans.append(span)
        block = max(BLOCK_BYTES // self.dataset.row_bytes, 1)
        with closing(read_ahead(partial(self._read, epoch), wanted)) as windows:
            for start, stop in spans:
                tensors, order = next(windows)
                gather = HostGather(tensors, pinned=self._feed.pins)
                for a in range(start, stop, block):
                    cut = slice(a, min(a + block, stop))
                    yield tuple(gather(cut if order is None else order[cut]))

    def _read(
        self, epoch: int, window: Window, left: threading.Event
    ) -> tuple[list[Tensor], np.ndarray | None]:
        """Read a window, in a thread, and draw the order of its rows; leave off where nobody waits for it."""
        held: list[Tensor] = []
        place = 0
        for start, stop in window.reads(max(self.slice_rows, self.buffer_rows // 4)):
            if left.is_set():
                break
            parts = self.dataset.tensors(start, stop)
            if not held:
                held = [torch.empty((len(window), *part.shape[1:]), dtype=part.dtype) for part in parts]
            for whole, part in zip(held, parts, strict=True):
                whole[place : place + len(part)] = part
            place += stop - start
        return held, self.sampler.within(epoch, window)
