"""TableLoader beside every loader of tables that a user would pick, and beside the copy limit.

1,000,000 rows of 50 float32 features and an int64 label, batches of 1,024, on the CPU, read by all
candidates in one run, in turns. A measurement is one whole epoch, and the permutation is part of it. First
every candidate is checked to hand out the same rows: each once, whole, with its own label. A bar is a ratio
of medians. Slow candidates get one turn a round, and with --quick they are timed on their start and on 100
further batches: an epoch is the start, plus the time per batch for all the other batches.

The bar over torchdata.nodes is held to the faster one of two usual chains: lists of rows (BatchSampler) and
a Mapper, and tensors of rows and a ParallelMapper of two threads. Other chains stand beside them. Ray Data
draws from a shuffle buffer of 10,240 rows, which mixes neighbors only; its epochs in order stand beside. A
peer that is not installed is named, and its bar is not measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from torch import Tensor

from bars import Bar
from loader_peers import BATCH, Batches, Candidate, candidates, check, copied, peers, table
from loader_ray import NAMES, ray_seconds

ROWS, WIDTH = 1_000_000, 50
SLOW = ("TensorDataset", "__getitems__", "HF datasets", "nodes lists", "tilth dataset")
EXTRAPOLATED = 100
"""Batches that tell how long the others of a slow epoch take."""

# What is faster, as how many times what: the fastest of the candidates named, if there are several.
GOALS: dict[str, tuple[str, tuple[str, ...], float]] = {
    "loader.table/TensorDataset": ("tilth", ("TensorDataset",), 75.0),
    "loader.table/index_select": ("tilth", ("index_select",), 0.9),
    "loader.blocks/TensorDataset": ("tilth blocks", ("TensorDataset",), 110.0),
    "loader.table/torchdata.nodes": ("tilth", ("nodes lists", "nodes threads"), 2.0),
    "loader.table/ray": ("tilth", ("ray shuffled",), 4.0),
}


def table_bars(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Return the bars and the figures."""
    X, y = table(ROWS, WIDTH)
    checked = 50_000 if quick else ROWS
    for name, epoch in candidates(X[:checked], y[:checked]).items():
        check(name, epoch(), X[:checked])
    for name, installed in peers().items():
        if installed is None:
            print(f"{name}: not installed, not measured")
    seconds = timed(X, y, quick)
    typical = {name: median(each) for name, each in seconds.items()}
    figures: dict[str, Any] = {"rows": ROWS, "batch": BATCH, "peers": peers()}
    for name in sorted(typical, key=typical.__getitem__):
        figures[name] = told(name, seconds[name], typical)
    return bars(typical), figures


def bars(typical: dict[str, float]) -> list[Bar]:
    """Return the bars of which both sides were measured."""
    found = []
    for name, (ours, theirs, goal) in GOALS.items():
        if not set(theirs) <= typical.keys():
            print(f"{name}: not measured")
            continue
        value = round(min(typical[peer] for peer in theirs) / typical[ours], 2)
        found.append(Bar(name, value, goal, value >= goal))
    return found


def told(name: str, seconds: list[float], typical: dict[str, float]) -> dict[str, Any]:
    """Print how fast a candidate was, and return it."""
    of, size = typical[name], ROWS * (WIDTH * 4 + 8)
    figures = {
        "epochs": len(seconds),
        "seconds": round(of, 4),
        "spread": round((max(seconds) - min(seconds)) / of, 2),
        "M rows/s": round(ROWS / of / 1e6, 3),
        "GB/s": round(size / of / 1e9, 3),
        "tilth is x": round(of / typical["tilth"], 2),
        "tilth blocks is x": round(of / typical["tilth blocks"], 2),
    }
    print(
        f"{name:15} {figures['M rows/s']:7.2f} M rows/s, {figures['GB/s']:6.2f} GB/s; tilth is "
        f"{figures['tilth is x']:6.2f} x as fast, by blocks {figures['tilth blocks is x']:6.2f} x; "
        f"median of {len(seconds)} epochs, spread {figures['spread']:.0%}"
    )
    return figures


def timed(X: Tensor, y: Tensor, quick: bool) -> dict[str, list[float]]:
    """Return the seconds of each candidate's epochs."""
    rounds, turns, ray_epochs, enough = (3, 3, 5, 12) if quick else (5, 5, 3, 240)
    them = candidates(X, y) | {"copy": copied(X, y)}
    has_ray = peers()["ray"] is not None
    seconds: dict[str, list[float]] = {name: [] for name in [*them, *(NAMES if has_ray else ())]}
    slow, fast = (
        {name: them[name] for name in them if (name in SLOW) == is_slow} for is_slow in (True, False)
    )
    for each in fast.values():
        full(each)  # memory and threads are warm before the first round
    end = time.perf_counter() + enough
    for number in range(rounds):
        # Ray's start takes seconds, so that --quick starts it once.
        if has_ray and not (quick and number):
            for name, found in ray_seconds(ROWS, WIDTH, ray_epochs).items():
                seconds[name] += found
        take_turns(slow, 1, extrapolated if quick else full, seconds)
        take_turns(fast, turns, full, seconds)
        if time.perf_counter() > end:
            break
    return seconds


def take_turns(
    them: dict[str, Candidate],
    turns: int,
    measure: Callable[[Candidate], float],
    seconds: dict[str, list[float]],
) -> None:
    """Measure candidates in turns, each time beginning with another one."""
    names = list(them)
    for turn in range(turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(measure(them[name]))


def full(candidate: Candidate) -> float:
    """Return the seconds of an epoch."""
    start = time.perf_counter()
    met = sum(len(y) for _, y in candidate())
    seconds = time.perf_counter() - start
    if met != ROWS:
        raise SystemExit(f"an epoch gave {met} of {ROWS} rows")
    return seconds


def extrapolated(candidate: Candidate) -> float:
    """Return the seconds that an epoch would take, by its start and its first batches."""
    start = time.perf_counter()
    batches: Batches = candidate()
    coming = iter(batches)
    next(coming)
    begun = time.perf_counter()
    for _ in range(EXTRAPOLATED):
        next(coming)
    per_batch = (time.perf_counter() - begun) / EXTRAPOLATED
    return begun - start + per_batch * (-(-ROWS // BATCH) - 1)
