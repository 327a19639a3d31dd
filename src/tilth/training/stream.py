"""Batches of rows that need not fit into memory: read a bounded number at a time, shuffled, by row id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
import torch

from tilth.errors import DataError
from tilth.loaders import TableLoader
from tilth.statistics import hash_rows, uniform
from tilth.statistics.windows import Window, windows
from tilth.training.rows import Rows
from tilth.training.runtime import pick_device

SHARE_ASIDE = 0.1
MOST_ASIDE = 5_000
"""Rows kept aside: a share of all, and no more than tell a percent of an error."""
MOST_AT_START = 20_000
MOST_IN_WINDOW = 4096
WINDOWS_IN_BUFFER = 8


class Stream:
    """Read rows a buffer at a time, and hand them to a loader that shuffles and batches them.

    Where all rows fit into the buffer they are read once, in the order of draws from (seed, row id): what is
    trained does not depend on how the rows are parted or ordered. Beyond that each epoch reads the rows
    again, windows of successive rows in an order drawn anew; as many windows as fill the buffer are shuffled
    together. The rows kept aside, and those of the start, are the same for any partition even then; the
    batches are not.

    Eight bytes per row are held beside the buffer: the draws, for which row ids are read only once.

    Parameters
    ----------
    shards : sequence of LazyFrame
        The rows, in one part or many.
    columns : sequence of str
        What `read` gets.
    read : callable
        Makes a matrix of shape (n_rows, width) of some rows, each for itself. NaN is handed on.
    width : int
    id_column : str
    weight : str, optional
        The column of row weights.
    batch_size : int
    buffer_rows : int
        Most rows held at a time, those kept aside and those of the start not counted.
    random_state : int
    device : str

    Attributes
    ----------
    rows : int
        All rows.
    start : ndarray of shape (n_start, width), float32
        A sample of the training rows, to begin from.
    validation : Rows or None
    steps : int
        Batches per epoch; where the rows do not fit into the buffer, at most so many.

    Raises
    ------
    DataError
        No row has a weight above 0.
    """

    def __init__(
        self,
        shards: Sequence[pl.LazyFrame],
        columns: Sequence[str],
        read: Callable[[pl.DataFrame], np.ndarray],
        width: int,
        *,
        id_column: str,
        weight: str | None = None,
        batch_size: int = 256,
        buffer_rows: int = 100_000,
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        self.columns, self.read, self.width = list(columns), read, width
        self.id_column, self.weight = id_column, weight
        self.batch_size, self.buffer_rows, self.random_state = batch_size, buffer_rows, random_state
        self.device = pick_device(device)
        self.windows = windows(shards, max(1, min(MOST_IN_WINDOW, buffer_rows // WINDOWS_IN_BUFFER)))
        self.rows = sum(window.rows for window in self.windows)
        self._draws = self._drawn(shards)
        ends = np.cumsum([window.rows for window in self.windows])
        # By identity: windows hold queries, which cannot be compared.
        self._places = {id(w): slice(end - w.rows, end) for w, end in zip(self.windows, ends, strict=True)}
        self._mean_weight = self._weighed()
        aside = min(round(SHARE_ASIDE * self.rows), MOST_ASIDE, buffer_rows)
        begin = min(self.rows - aside, MOST_AT_START, buffer_rows)
        whole = self.rows <= buffer_rows
        self._last_aside, upper = (-1.0, 1.0) if whole else self._draws_at(aside, aside + begin)
        held = self._gather(self.windows, -1.0, upper)
        self.start, self._resident = held[aside : aside + begin, :width], None
        self.validation = self._on_device(held[:aside])
        training = self.rows - aside
        self.steps = training // batch_size + (training % batch_size > 1)
        if whole:
            self._resident = self._loader(held[aside:])
        else:
            self.steps += len(self._buffers(0))

    def batches(self, epoch: int) -> Iterator[Rows]:
        """Yield the batches of an epoch, in an order that depends on the seed and the epoch alone."""
        if self._resident is not None:
            yield from self._batched(self._resident, epoch)
            return
        for number, buffer in enumerate(self._buffers(epoch), start=epoch * len(self.windows)):
            # Within the call, so that a buffer is given up before the next is filled.
            yield from self._batched(self._loader(self._gather(buffer, self._last_aside, 1.0)), number)

    def _batched(self, loader: TableLoader, number: int) -> Iterator[Rows]:
        loader.set_epoch(number)
        for (batch,) in loader:
            if len(batch) > 1:
                yield self._as_rows(batch)

    def _loader(self, block: np.ndarray) -> TableLoader:
        return TableLoader(
            torch.from_numpy(block),
            batch_size=self.batch_size,
            device=self.device,
            random_state=self.random_state,
        )

    def _as_rows(self, batch: torch.Tensor) -> Rows:
        if self.weight is None:
            return Rows(batch, batch, batch.new_ones(len(batch)))
        X = batch[:, : self.width]
        return Rows(X, X, batch[:, self.width])

    def _on_device(self, block: np.ndarray) -> Rows | None:
        rows = self._as_rows(torch.from_numpy(block).to(self.device))
        return rows if len(block) and rows.weight.sum() > 0 else None

    def _weighed(self) -> float:
        if self.weight is None:
            return 1.0
        total = sum(float(w.read([self.weight]).to_series().sum()) for w in self.windows)
        if not total > 0:
            raise DataError(f"Weight '{self.weight}' is 0 in all rows. At least one must be above 0.")
        return total / self.rows

    def _drawn(self, shards: Sequence[pl.LazyFrame]) -> np.ndarray:
        """Return the draw of every row, in the order of the shards."""
        ids = [s.select(self.id_column).collect(engine="streaming").to_series().to_numpy() for s in shards]
        return uniform(self.random_state, np.concatenate(ids))

    def _draws_at(self, *counts: int) -> list[float]:
        """Return the largest of the `count` smallest draws, for each count; -1 for none."""
        smallest = np.sort(self._draws)
        return [float(smallest[count - 1]) if count else -1.0 for count in counts]

    def _buffers(self, epoch: int) -> list[list[Window]]:
        """Deal the windows out, in an order drawn for the epoch, so that no buffer holds too many rows."""
        order = np.argsort(hash_rows(self.random_state, np.arange(len(self.windows)), epoch), kind="stable")
        buffers: list[list[Window]] = []
        held = self.buffer_rows
        for window in (self.windows[place] for place in order):
            if held + window.rows > self.buffer_rows:
                buffers.append([])
                held = 0
            buffers[-1].append(window)
            held += window.rows
        return buffers

    def _gather(self, parts: Sequence[Window], low: float, high: float) -> np.ndarray:
        """Return the rows of these windows whose draw lies above `low` and up to `high`, by rising draws."""
        draws = np.concatenate([np.empty(0), *(self._draws[self._places[id(window)]] for window in parts)])
        chosen = np.flatnonzero((draws > low) & (draws <= high))
        place = np.full(len(draws), -1)
        place[chosen[np.argsort(draws[chosen], kind="stable")]] = np.arange(len(chosen))
        out = np.empty((len(chosen), self.width + (self.weight is not None)), np.float32)
        first = 0
        for window in parts:
            at = place[first : first + window.rows]
            first += window.rows
            if (at < 0).all():
                continue
            wanted = [*self.columns, *([self.weight] if self.weight is not None else [])]
            rows = window.read(wanted).filter(pl.Series(at >= 0))
            out[at[at >= 0], : self.width] = self.read(rows.select(self.columns))
            if self.weight is not None:
                out[at[at >= 0], self.width] = rows[self.weight].to_numpy() / self._mean_weight
        return out
