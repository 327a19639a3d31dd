"""Train a small network with embeddings on rows that a recipe prepares, in one process or in several.

    python recipes/network.py --epochs 5
    torchrun --nproc-per-node 2 recipes/network.py --device cpu

Under torchrun every process takes its share of one common order: each row comes once per epoch, and all take
equally many steps. The accuracy is that on the recipe's test rows, with the codes and classes of the training
rows.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tilth.loaders import TableLoader
from tilth.pipeline import RunResult, prepare
from tilth.recipes import Recipe

RECIPE = Path(__file__).with_name("network.yaml")


class Network(nn.Module):
    """Look up an embedding for each code, and put the numbers beside them."""

    def __init__(self, numbers: int, cardinalities: Sequence[int], classes: int) -> None:
        super().__init__()
        sizes = [min(16, 1 + count // 2) for count in cardinalities]
        self.looked_up = nn.ModuleList(map(nn.Embedding, cardinalities, sizes))
        self.rest = nn.Sequential(nn.Linear(numbers + sum(sizes), 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, X: Tensor, codes: Tensor) -> Tensor:
        found = [table(column) for table, column in zip(self.looked_up, codes.unbind(1), strict=True)]
        return self.rest(torch.cat([X, *found], dim=1))


def prepared() -> RunResult:
    """Carry out the recipe, and write nothing."""
    return prepare(Recipe.read(RECIPE), base=RECIPE.parent)


def loaders(rows: RunResult, **options: object) -> tuple[TableLoader, TableLoader]:
    """Return the training rows and, with the same codes and classes, the test rows."""
    train = rows.loader(**options)
    told = {"codes": train.codes_, "classes": train.classes_, "batch_size": 1024, **options}
    return train, rows.pipeline.loader(rows.test_before, training=False, **told)


def network_for(train: TableLoader) -> Network:
    """Return a network that takes the batches of a loader."""
    return Network(train.dataset.tensors[0].shape[1], train.cardinalities_, len(train.classes_))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ...")
    asked = parser.parse_args()
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1:
        torch.distributed.init_process_group("gloo")  # before the loaders, which ask it for their share
    train, test = loaders(prepared(), device=asked.device)
    torch.manual_seed(0)
    net: nn.Module = network_for(train).to(train.device)
    if processes > 1:
        net = DistributedDataParallel(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(asked.epochs):
        total, rows = torch.zeros((), device=train.device), 0
        for X, codes, y in train:
            loss = nn.functional.cross_entropy(net(X, codes), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, rows = total + loss.detach() * len(y), rows + len(y)
        print(f"process {train.sampler.rank}: {len(train)} steps, {rows} rows, loss {total / rows:.3f}")
    right = torch.zeros(2, device=test.device)
    with torch.no_grad():
        for X, codes, y in test:
            right += torch.tensor([(net(X, codes).argmax(1) == y).sum(), len(y)], device=test.device)
    if processes > 1:
        torch.distributed.all_reduce(right)
        torch.distributed.destroy_process_group()
    if train.sampler.rank == 0:
        print(f"accuracy {right[0] / right[1]:.3f} on {right[1]:.0f} test rows")


if __name__ == "__main__":
    main()
