"""Say where a table rests while batches are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from tilth.loaders.device import free_bytes, free_host_bytes
from tilth.loaders.parameters import invalid

Place = Literal["auto", "device", "pinned", "host"]
Resting = Literal["device", "pinned", "host"]

# Beyond this share of the free memory of a GPU a table stays on the host: the model, its gradients
# and its activations need room too.
RESIDENT_SHARE = 0.5

# Page-locked memory is taken from everything else on the machine, and the table is copied into it.
PINNED_SHARE = 0.25

# Blocks that may be on the device at a time: on their way, in use, and put in order.
BLOCKS_THERE = 9

BY_BLOCKS = ("blocks", "sequential")


def resting_place(
    place: Place,
    tensors: Sequence[Tensor],
    device: torch.device,
    order: str = "shuffle",
    block_rows: int = 65_536,
) -> Resting:
    """Return where the tensors are to rest for batches on a device: as asked, or where they fit best.

    Raises
    ------
    InvalidParameterError
        If the place is not known, or is ``"pinned"`` where that would be of no use.
    """
    if place not in ("auto", "device", "pinned", "host"):
        raise invalid(f"place={place!r} is not known. Use one of auto, device, pinned, host.")
    if place == "pinned" and device.type != "cuda":
        raise invalid(
            "place='pinned' is for batches on CUDA, which copies from page-locked memory, but they are "
            f"wanted on {device}. Use place='auto'."
        )
    if place == "pinned" and order not in BY_BLOCKS:
        raise invalid(
            f"place='pinned' sends the table block by block, but the order {order!r} takes rows from all "
            "over it. Use sampler='blocks' or sampler='sequential', or place='host'."
        )
    if device.type == "cpu":
        return "device"
    if place != "auto":
        return place
    room = RESIDENT_SHARE * free_bytes(device)
    if sum(t.nbytes for t in tensors if t.device != device) <= room:
        return "device"
    rows, size = len(tensors[0]), sum(t.nbytes for t in tensors)
    block = size * min(block_rows / max(rows, 1), 1)
    pinned = order in BY_BLOCKS and size <= PINNED_SHARE * free_host_bytes() and BLOCKS_THERE * block <= room
    return "pinned" if device.type == "cuda" and pinned else "host"
