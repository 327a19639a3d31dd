"""Draw orders of rows: permuted in blocks or in groups, or drawn by weight or by class."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch import Generator, Tensor

from tilth.errors import DataError
from tilth.loaders.tensors import weight_tensor
from tilth.table.container import enter_column

Order = Literal["shuffle", "sequential", "blocks", "weighted", "balanced", "grouped", "balanced_groups"]

# Orders in which a row may come more than once per epoch.
WITH_REPLACEMENT = frozenset({"weighted", "balanced", "balanced_groups"})

# Orders of which a process takes a stretch: what lies together is read together, and stays together.
CONTIGUOUS = frozenset({"sequential", "blocks", "grouped"})

# Ranges shorter than this are shuffled all at once, by sorting, as a call for each would cost more.
SHORT = 1024


def permuted(n: int, generator: Generator) -> np.ndarray:
    """Return 0 to n - 1 in a random order, in half the bytes where they do: these are faster to shuffle."""
    narrow = torch.int32 if n < 2**31 else torch.int64
    return torch.randperm(n, generator=generator, dtype=narrow).numpy()


def shuffled_ranges(starts: np.ndarray, sizes: np.ndarray, generator: Generator) -> np.ndarray:
    """Return the numbers of each range, in turn, each range in a random order of its own."""
    total, places = int(sizes.sum()), np.cumsum(sizes) - sizes
    if total >= SHORT * len(sizes):
        rows = np.empty(total, np.int64)
        for start, size, place in zip(starts.tolist(), sizes.tolist(), places.tolist(), strict=True):
            np.add(permuted(size, generator), start, out=rows[place : place + size])
        return rows
    rows = np.arange(total) + np.repeat(starts - places, sizes)
    # Sorted by range and, within it, by what is left of 62 bits: too many for two to be equal.
    free = 62 - len(sizes).bit_length()
    keys = torch.randint(2**free, (total,), generator=generator).numpy()
    keys |= np.repeat(np.arange(len(sizes)) << free, sizes)
    return rows[np.argsort(keys)]


def blocks_of(n_rows: int, block_rows: int, generator: Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and sizes of the blocks of a table, in a random order if there is a generator."""
    starts = np.arange(0, n_rows, block_rows)
    if generator is not None:
        starts = starts[permuted(len(starts), generator)]
    return starts, np.minimum(n_rows - starts, block_rows)


def cut_out(
    starts: np.ndarray, sizes: np.ndarray, spans: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and sizes of the parts of ranges that lie in given stretches of them, end to end."""
    ends = np.cumsum(sizes)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for first, last in spans:
        low, high = np.maximum(ends - sizes, first), np.minimum(ends, last)
        met = low < high
        parts.append(((starts + low - ends + sizes)[met], (high - low)[met]))
    begun, counts = zip(*parts, strict=True)
    return np.concatenate(begun), np.concatenate(counts)


class Weighted:
    """Draw rows with replacement, each as often as its weight says."""

    def __init__(self, weight: Any, n_rows: int) -> None:
        if weight is None:
            raise DataError("sampler='weighted' draws rows by weight, but no weight was given. Pass weight.")
        self._cumulated = weight_tensor(weight).cpu().to(torch.float64).cumsum(0).numpy()
        if len(self._cumulated) != n_rows:
            raise DataError(f"features hold {n_rows} rows, but the weight holds {len(self._cumulated)}.")
        if n_rows and self._cumulated[-1] <= 0:
            raise DataError("sampler='weighted': all weights are 0, so no row can be drawn.")

    def __call__(self, generator: Generator) -> Tensor:
        total, count = self._cumulated[-1], len(self._cumulated)
        drawn = torch.rand(count, generator=generator, dtype=torch.float64).numpy() * total
        # Sorted, they are looked up as the sums lie in memory, several times as fast; permuting what was
        # found makes the rows independent again.
        drawn.sort()
        # Right of equal sums: rows of weight 0 add nothing to the sum and are never met. Rounding
        # may carry a draw up to the total itself, which belongs to the last row that adds to it.
        np.minimum(drawn, np.nextafter(total, 0), out=drawn)
        rows = np.searchsorted(self._cumulated, drawn, side="right")
        return torch.from_numpy(rows[permuted(count, generator)])


class Members:
    """The rows of each class or group, side by side."""

    def __init__(self, codes: Tensor) -> None:
        ordered, self._rows = torch.sort(codes, stable=True)
        self._sizes = torch.unique_consecutive(ordered, return_counts=True)[1]
        self._starts = self._sizes.cumsum(0) - self._sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def evenly(self, generator: Generator) -> Tensor:
        """Draw as many rows as there are: each class equally likely, and each of its rows."""
        # One number draws both: its whole part the class, what is left the row within the class.
        scaled = torch.rand(len(self._rows), generator=generator, dtype=torch.float64) * len(self)
        drawn = scaled.to(torch.int64)
        sizes = self._sizes[drawn]
        within = torch.minimum(((scaled - drawn) * sizes).to(torch.int64), sizes - 1)
        return self._rows[self._starts[drawn] + within]

    def together(self, generator: Generator) -> Tensor:
        """Return every row once: class after class in a random order, and so the rows of each."""
        order = permuted(len(self), generator)
        places = shuffled_ranges(self._starts.numpy()[order], self._sizes.numpy()[order], generator)
        return self._rows[torch.from_numpy(places)]


def class_members(labels: Tensor | None, n_rows: int) -> Members:
    """Return the rows of each class, checked."""
    if labels is None or labels.is_floating_point() or labels.ndim != 1:
        raise DataError(
            "sampler='balanced' makes the classes of the target equally likely, but the target is "
            f"{'missing' if labels is None else 'not one label per row'}. Pass labels as strings or integers."
        )
    if len(labels) != n_rows:
        raise DataError(f"features hold {n_rows} rows, but the target holds {len(labels)}.")
    return Members(labels.cpu())


def group_members(groups: Any, n_rows: int, order: str) -> Members:
    """Return the rows of each group, checked; each row whose group is missing is a group of its own."""
    if groups is None:
        raise DataError(f"sampler={order!r} goes by groups, but none were given. Pass groups.")
    if isinstance(groups, Tensor):
        groups = groups.detach().cpu()
        groups = (groups.double() if groups.is_floating_point() else groups).numpy()
    column = enter_column(groups, "groups")
    if len(column) != n_rows:
        raise DataError(f"features hold {n_rows} rows, but groups hold {len(column)}.")
    if column.dtype.is_signed_integer() and not column.null_count():
        return Members(torch.from_numpy(column.cast(pl.Int64).to_numpy().copy()))
    # A group goes by the number of its first row, and so does a row without one.
    row, group = pl.col("row").cast(pl.Int64), pl.col("group")
    first = pl.when(group.is_null()).then(row).otherwise(row.min().over(group))
    codes = column.alias("group").to_frame().with_row_index("row").select(first).to_series()
    return Members(torch.from_numpy(codes.to_numpy().copy()))
