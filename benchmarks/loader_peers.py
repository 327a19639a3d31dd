"""What a table can be read with: Tilth's loader, and each peer as its own documentation would have it.

A candidate is a function that returns one epoch: batches of (X, y), every row once. Peers that are no part of
PyTorch may not be installed; `peers` says which are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, TensorDataset

from tilth.loaders import TableLoader

Batches = Iterable[tuple[Tensor, Tensor]]
Candidate = Callable[[], Batches]

BATCH, BLOCK_ROWS = 1024, 65_536
THREADS = 2


def peers() -> dict[str, str | None]:
    """Return the versions of the peers that are no part of PyTorch; None where one is not installed."""
    found: dict[str, str | None] = {}
    for package in ("torchdata", "ray", "datasets"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def candidates(X: Tensor, y: Tensor) -> dict[str, Candidate]:
    """Return all that this process can read with; Ray Data, which takes others along, is in `loader_ray`."""
    found = {
        "tilth": TableLoader(X, y, batch_size=BATCH, device="cpu"),
        "tilth blocks": TableLoader(
            X, y, batch_size=BATCH, device="cpu", sampler="blocks", block_rows=BLOCK_ROWS
        ),
        "tilth dataset": by_lists(TableLoader(X, y, device="cpu").dataset),
        "TensorDataset": DataLoader(TensorDataset(X, y), batch_size=BATCH, shuffle=True),
        "__getitems__": DataLoader(Gathered(X, y), batch_size=BATCH, shuffle=True, collate_fn=as_it_is),
    }
    if peers()["torchdata"]:
        found |= nodes(Gathered(X, y))
    if peers()["datasets"]:
        found["HF datasets"] = hugging_face(X, y)
    reused = {name: (lambda batches=batches: batches) for name, batches in found.items()}
    return reused | {"index_select": lambda: bare(X, y), "slicing": lambda: sliced(X, y)}


class Gathered(Dataset):
    """Tensors of which PyTorch's loader asks a whole batch at once."""

    def __init__(self, X: Tensor, y: Tensor) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.X[row], self.y[row]

    def __getitems__(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        return self.at(torch.tensor(rows))

    def at(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows as a batch."""
        return self.X.index_select(0, rows), self.y.index_select(0, rows)


def as_it_is(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Collate nothing: the batch is one."""
    return batch


def by_lists(dataset: Dataset) -> DataLoader:
    """Return PyTorch's loader of a dataset that takes the rows of a batch as a list."""
    return DataLoader(dataset, sampler=BatchSampler(RandomSampler(dataset), BATCH, False), batch_size=None)


def bare(X: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches by the shortest loop that gathers them."""
    order = torch.randperm(len(X))
    for i in range(0, len(X), BATCH):
        yield X.index_select(0, order[i : i + BATCH]), y.index_select(0, order[i : i + BATCH])


def sliced(X: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches by the loop that is mostly written by hand."""
    order = torch.randperm(len(X))
    for i in range(0, len(X), BATCH):
        rows = order[i : i + BATCH]
        yield X[rows], y[rows]


class TensorBatches(Sampler):
    """Draw the rows of a batch as a tensor, which is split from one permutation."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return -(-self.rows // BATCH)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.randperm(self.rows).split(BATCH))


def nodes(data: Gathered) -> dict[str, Batches]:
    """Return the chains that torchdata offers; to the first two, the usual ones, the bar is held."""
    from torchdata.nodes import Loader, Mapper, ParallelMapper, SamplerWrapper

    def lists() -> SamplerWrapper:
        return SamplerWrapper(BatchSampler(RandomSampler(data), BATCH, False))

    def tensors() -> SamplerWrapper:
        return SamplerWrapper(TensorBatches(len(data)))

    return {
        "nodes lists": Loader(Mapper(lists(), data.__getitems__)),
        "nodes threads": Loader(ParallelMapper(tensors(), data.at, num_workers=THREADS, method="thread")),
        "nodes tensors": Loader(Mapper(tensors(), data.at)),
        # Handed to the threads by sixteens: found by trying, no default.
        "nodes prebatch": Loader(
            ParallelMapper(tensors(), data.at, num_workers=THREADS, method="thread", prebatch=16)
        ),
    }


def hugging_face(X: Tensor, y: Tensor) -> Batches:
    """Return PyTorch's loader of an Arrow table in memory, of lists of one length, read as tensors."""
    import pyarrow as pa

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    here, path = Path(__file__).resolve().parent, sys.path[:]
    try:  # the installed package, not benchmarks/datasets.py
        sys.path[:] = [folder for folder in path if Path(folder).resolve() != here]
        import datasets
    finally:
        sys.path[:] = path

    lists = pa.FixedSizeListArray.from_arrays(pa.array(X.numpy().reshape(-1)), X.shape[1])
    table = datasets.Dataset(pa.table({"X": lists, "y": y.numpy()})).with_format("torch")
    return Pairs(by_lists(table))


class Pairs:
    """Name the parts of batches by their place."""

    def __init__(self, batches: Iterable[dict[str, Tensor]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((batch["X"], batch["y"]) for batch in self.batches)

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]


def table(rows: int, width: int) -> tuple[Tensor, Tensor]:
    """Return normal numbers and labels; the first feature is the row's number, the label its last digit."""
    X = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
    X[:, 0] = torch.arange(rows)  # whole numbers are exact in float32 up to 2**24
    return X, torch.arange(rows) % 10


def check(name: str, batches: Batches, X: Tensor) -> None:
    """Stop unless an epoch hands out every row once, whole, with its label, in batches of the right size."""
    parts = list(batches)
    sizes = [len(y) for _, y in parts]
    rows = torch.cat([x for x, _ in parts])
    labels = torch.cat([y for _, y in parts])
    order = rows[:, 0].to(torch.int64)
    if not torch.equal(order.sort().values, torch.arange(len(X))) or not torch.equal(rows, X[order]):
        raise SystemExit(f"{name}: an epoch did not hand out every row once")
    if labels.dtype != torch.int64 or not torch.equal(labels, order % 10):
        raise SystemExit(f"{name}: labels did not stay with their rows")
    if sum(size != BATCH for size in sizes) > 1:
        raise SystemExit(f"{name}: batches are not of {BATCH} rows: {sorted(set(sizes))}")


def copied(X: Tensor, y: Tensor) -> Candidate:
    """Return what copies the whole table to other memory, and gives it as one batch: nothing is faster."""
    there = [np.empty_like(part.numpy()) for part in (X, y)]

    def epoch() -> Batches:
        for made, part in zip(there, (X, y), strict=True):
            np.copyto(made, part.numpy())
        return [(X, y)]

    return epoch
