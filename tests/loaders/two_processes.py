"""What each of two processes does: ``python -m tests.loaders.two_processes RANK FOLDER``.

Every task runs in both processes at once and returns plain values, which are written to ``FOLDER/RANK.json``.
"""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from tests.loaders.pictures import folder_of
from tilth.errors import DataError, TilthWarning
from tilth.loaders import ImageLoader, RowSampler, StreamLoader, TableLoader

ROWS, IMAGES, BATCH = 1_001, 23, 50
ORDERS = ("shuffle", "sequential", "blocks", "grouped")
FEATURES = torch.arange(ROWS * 2.0).reshape(ROWS, 2)
GROUPS = np.arange(ROWS) // 9


def table(**settings: Any) -> TableLoader:
    given = {"batch_size": BATCH, "device": "cpu", "groups": GROUPS, "block_rows": 128, **settings}
    return TableLoader(FEATURES, torch.arange(ROWS), **given)


def stream(folder: Path, **settings: Any) -> StreamLoader:
    given = {"batch_size": BATCH, "device": "cpu", "buffer_rows": 200, "slice_rows": 25, **settings}
    return StreamLoader(folder / "rows.parquet", "row", **given)


def images(folder: Path, **settings: Any) -> ImageLoader:
    paths = [str(folder / f"{i:03}.png") for i in range(IMAGES)]
    given = {"size": 8, "batch_size": 4, "device": "cpu", "threads": 2, **settings}
    return ImageLoader(paths, np.arange(IMAGES), **given)


def every_loader(folder: Path) -> dict[str, Callable[[], Any]]:
    """Return how to make each loader whose rows come once per epoch."""
    made: dict[str, Callable[[], Any]] = {f"table {o}": lambda o=o: table(sampler=o) for o in ORDERS}
    made["stream shuffle"] = lambda: stream(folder)
    made["stream sequential"] = lambda: stream(folder, shuffle=False)
    made["images in threads"] = lambda: images(folder)
    made["images in workers"] = lambda: images(folder, workers=1)
    return made


def labels(batches: Iterator[tuple[torch.Tensor, ...]]) -> list[list[int]]:
    return [batch[1].tolist() for batch in batches]


def passes(folder: Path, rank: int) -> dict[str, Any]:
    """Return the rows of two epochs of each loader, which learns of its place from torch.distributed."""
    told = {}
    for name, make in every_loader(folder).items():
        loader = make()
        told[name] = {"length": len(loader), "epochs": [labels(loader) for _ in range(2)]}
    return told


def resumed(folder: Path, rank: int) -> dict[str, Any]:
    """Return what is left of an epoch after two batches, and what a new loader makes of the state."""
    told = {}
    for name, make in every_loader(folder).items():
        loader = make()
        passing = iter(loader)
        next(passing), next(passing)
        state = json.loads(json.dumps(loader.state_dict()))
        following = make()
        following.load_state_dict(state)
        told[name] = {"state": state, "left": labels(passing), "resumed": labels(following)}
    return told


def trained(folder: Path, rank: int, loader: Any, inputs: int) -> dict[str, Any]:
    """Return the losses of a linear model in two epochs of distributed training, and its weights."""
    torch.manual_seed(rank)  # not the same: DistributedDataParallel hands out those of the first process
    model = DistributedDataParallel(torch.nn.Linear(inputs, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses: list[list[float]] = []
    for _ in range(2):
        losses.append([])
        for X, *_ in loader:
            optimizer.zero_grad()
            scaled = torch.nn.functional.normalize(X.flatten(1), dim=1)
            loss = torch.nn.functional.mse_loss(model(scaled), scaled.sum(1, keepdim=True))
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    return {"losses": losses, "weights": [p.flatten().tolist() for p in model.parameters()]}


def trained_on_tables(folder: Path, rank: int) -> dict[str, Any]:
    return trained(folder, rank, table(sampler="blocks"), 2)


def trained_on_images_some_of_which_one_process_cannot_read(folder: Path, rank: int) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TilthWarning)
        loader = images(folder / "some", shuffle=False)
        return {**trained(folder, rank, loader, 3 * 64), "skipped": len(loader.skipped)}


def a_batch_that_one_process_cannot_read(folder: Path, rank: int) -> dict[str, Any]:
    """Return the batches that could be had, and the error that ends them."""
    met: list[list[int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TilthWarning)
        try:
            for _, y in images(folder / "none", shuffle=False):
                met.append(y.tolist())
        except DataError as error:
            return {"met": met, "error": str(error)}
    return {"met": met, "error": None}


class Rows(Dataset):
    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, row: int) -> int:
        return row


def a_sampler_in_a_dataloader(folder: Path, rank: int) -> dict[str, Any]:
    told = {}
    for order in ORDERS:
        sampler = RowSampler(ROWS, order, groups=GROUPS)
        told[order] = [batch.tolist() for batch in DataLoader(Rows(), BATCH, sampler=sampler)]
    return told


TASKS = (
    passes,
    resumed,
    trained_on_tables,
    trained_on_images_some_of_which_one_process_cannot_read,
    a_batch_that_one_process_cannot_read,
    a_sampler_in_a_dataloader,
)


def prepare(folder: Path) -> None:
    """Write what the processes read: images, some folders with broken ones, and a Parquet file."""
    import polars as pl

    frame = {"a": FEATURES[:, 0].numpy(), "b": FEATURES[:, 1].numpy(), "row": np.arange(ROWS)}
    pl.DataFrame(frame).write_parquet(folder / "rows.parquet", row_group_size=130)
    folder_of(folder, IMAGES)
    # In order, the first process has images 0 to 11 and the second 12 to 22.
    for name, broken in (("some", (13, 14, 20)), ("none", (16, 17, 18, 19))):
        (folder / name).mkdir()
        folder_of(folder / name, IMAGES)
        for number in broken:
            (folder / name / f"{number:03}.png").write_text("no image")


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=2,
        timeout=dt.timedelta(seconds=60),
    )
    told: dict[str, Any] = {}
    try:
        for task in TASKS:
            told[task.__name__] = task(folder, rank)
            torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()
    told["children"] = [child.name for child in multiprocessing.active_children()]
    (folder / f"{rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
