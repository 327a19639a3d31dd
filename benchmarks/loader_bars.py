"""Measure TableLoader against PyTorch's own loader and against a bare gather loop.

    python benchmarks/loader_bars.py [--quick]

1,000,000 rows of 50 float32 features and an int64 label, batches of 1,024, shuffled, on the CPU. A
measurement is one whole epoch, and the permutation is part of it for all three: each draws a new one.
Candidates take turns; a bar is the ratio of medians over the rounds. On a machine too busy to finish them
in time, rounds are cut to one turn each; the number of epochs is printed. First the candidates are checked
to hand out the same rows: every row once, each with its own label.

The default loader needs seconds per epoch. With --quick it is timed on its start (permutation, first batch)
and on 100 further batches, and the epoch is the start plus the time per batch for all the other batches.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from statistics import median

import torch
from torch.utils.data import DataLoader, TensorDataset

from tilth.loaders import TableLoader

ROWS, WIDTH, BATCH = 1_000_000, 50, 1024
GOAL_COLLATE, GOAL_BARE = 60.0, 0.85
QUICK_BATCHES = 100

Bar = tuple[str, float, float, bool]


def loader_bars(quick: bool) -> list[Bar]:
    """Return (name, value, goal, ok) for both bars; larger values are better."""
    X, y = _table(ROWS)
    checked = 50_000 if quick else ROWS
    for name, batches in _candidates(X[:checked], y[:checked]).items():
        _check_rows(name, batches(), checked)

    candidates = _candidates(X, y)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    slow_rounds, fast_turns = (3, 5) if quick else (5, 5)
    enough = time.perf_counter() + (20 if quick else 120)
    for name in ("tilth", "bare"):
        _epoch(candidates[name]())  # memory and threads are warm before the first round
    for _ in range(slow_rounds):
        slow = candidates["collate"]()
        seconds["collate"].append(_extrapolated(slow) if quick else _epoch(slow))
        for _ in range(fast_turns):
            for name in ("tilth", "bare"):
                seconds[name].append(_epoch(candidates[name]()))
            if time.perf_counter() > enough:
                break

    typical = {name: median(each) for name, each in seconds.items()}
    for name, each in seconds.items():
        spread = (max(each) - min(each)) / typical[name]
        rate = ROWS / typical[name] / 1e6
        print(f"{name:8} {rate:7.2f} M rows/s  median of {len(each)} epochs, spread {spread:.0%}")
    return [
        _bar("loader.table/collate", typical["collate"] / typical["tilth"], GOAL_COLLATE),
        _bar("loader.table/bare", typical["bare"] / typical["tilth"], GOAL_BARE),
    ]


def _bar(name: str, value: float, goal: float) -> Bar:
    return name, round(value, 2), goal, value >= goal


def _table(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(rows, WIDTH, generator=generator)
    X[:, 0] = torch.arange(rows)  # names the row: whole numbers are exact in float32 up to 2**24
    return X, torch.arange(rows) % 10


def _candidates(X: torch.Tensor, y: torch.Tensor) -> dict[str, Callable[[], Iterable]]:
    generator = torch.Generator().manual_seed(0)

    def bare() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(X), generator=generator)
        for i in range(0, len(X), BATCH):
            yield X.index_select(0, order[i : i + BATCH]), y.index_select(0, order[i : i + BATCH])

    collate = DataLoader(TensorDataset(X, y), batch_size=BATCH, shuffle=True)
    tilth = TableLoader(X, y, batch_size=BATCH, device="cpu")
    return {"collate": lambda: collate, "tilth": lambda: tilth, "bare": bare}


def _check_rows(name: str, batches: Iterable, rows: int) -> None:
    parts = [(X[:, 0].to(torch.int64), y) for X, y in batches]
    seen, labels = (torch.cat(column) for column in zip(*parts, strict=True))
    if not torch.equal(seen.sort().values, torch.arange(rows)) or not torch.equal(labels, seen % 10):
        raise SystemExit(f"{name}: an epoch did not hand out every row once with its label")


def _epoch(batches: Iterable) -> float:
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def _extrapolated(loader: DataLoader) -> float:
    start = time.perf_counter()
    batches = iter(loader)
    next(batches)
    begun = time.perf_counter()
    for _ in range(QUICK_BATCHES):
        next(batches)
    per_batch = (time.perf_counter() - begun) / QUICK_BATCHES
    return begun - start + per_batch * (len(loader) - 1)


def main() -> int:
    """Print one line per bar and return 1 where one misses."""
    bars = loader_bars("--quick" in sys.argv[1:])
    for name, value, goal, ok in bars:
        print(f"BAR {name} {value} {goal} {'ok' if ok else 'MISS'}")
    return 0 if all(ok for *_, ok in bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
