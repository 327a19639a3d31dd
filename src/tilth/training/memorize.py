"""Whether a network could learn a handful of rows by heart: the first test of one that does not learn."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tilth.training.rows import Rows

ROWS = 64
STEPS = 200
RATES = (1e-3, 1e-2)
ENOUGH = 0.05
"""Share of the simplest answer's loss below which the rows are known by heart."""


def memorized(
    make: Callable[[], nn.Module],
    rows: Rows,
    loss: Callable[[Tensor, Tensor], Tensor],
    start: Callable[[Rows], float],
) -> float:
    """Return the least loss that Adam reaches on a few rows, as a share of that of the best constant answer.

    Dropout is off. Rows that are alike are taken once: they may have different targets, and then nobody can.

    Parameters
    ----------
    make : callable
        Returns the network to begin with, anew each time, on the rows' device.
    rows : Rows
        The first 64 that differ are taken.
    loss : callable
    start : callable
        From rows to the loss of the best constant answer.

    Returns
    -------
    float
        NaN where the rows all have one target, or fewer than 2 differ.
    """
    few = _different(rows)
    constant = start(few)
    if len(few.X) < 2 or not constant > 0:
        return math.nan
    best = math.inf
    for rate in RATES:
        best = min(best, _least(make(), few, loss, rate, ENOUGH * constant))
        if best <= ENOUGH * constant:
            break
    return best / constant


def _least(
    network: nn.Module, rows: Rows, loss: Callable[[Tensor, Tensor], Tensor], rate: float, goal: float
) -> float:
    network.train()
    for module in network.modules():
        if "Dropout" in type(module).__name__:
            module.eval()
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=rate)
    best = math.inf
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        now = loss(network(rows.X).float(), rows.target).mean()
        now.backward()
        optimizer.step()
        # Reading the number makes a GPU wait, so it is not read at every step.
        if step % 10 == 9:
            value = now.item()
            if not math.isfinite(value):
                break
            best = min(best, value)
            if best <= goal:
                break
    return best


def _different(rows: Rows) -> Rows:
    """Return the first rows that differ from those before them, at equal weight."""
    flat = rows.X.reshape(len(rows.X), -1)
    seen: dict[bytes, int] = {}
    for place, row in enumerate(flat.cpu().numpy()):
        seen.setdefault(row.tobytes(), place)
        if len(seen) == ROWS:
            break
    at = torch.tensor(list(seen.values()), device=rows.X.device, dtype=torch.int64)
    few = rows.X.index_select(0, at), rows.target.index_select(0, at)
    return Rows(*few, torch.ones(len(at), device=rows.X.device))
