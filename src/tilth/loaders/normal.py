"""From eight-bit colors to the numbers that a network takes: one multiplication and one addition each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from weakref import finalize

import cv2
import numpy as np
import torch
from torch import Tensor

from tilth.loaders.parameters import invalid

Normalize = Literal["imagenet"] | tuple[Sequence[float], Sequence[float]] | None

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normal:
    """Turn eight-bit colors into float32: ``(color / 255 - mean) / std``, channel by channel.

    Parameters
    ----------
    normalize : None, "imagenet" or (mean, std)
        Mean and standard deviation of red, green and blue, where 0 is black and 1 is full. None: 0 and 1.
    channels_last : bool
        How images lie in memory: pixel after pixel, as decoders write them, or channel after channel.
    device : torch.device
        Where the numbers are computed.
    """

    def __init__(self, normalize: Normalize, channels_last: bool, device: torch.device) -> None:
        mean, std = _checked(normalize)
        self.channels_last, self.device = channels_last, device
        scale, shift = 1 / (255 * std), -mean / std
        # 256 colors are few: on the host each number is looked up, at the speed of writing it.
        self._table = (np.arange(256)[:, None] * scale + shift).astype(np.float32)
        shape = (3,) if channels_last else (3, 1, 1)
        self._scale = torch.tensor(scale, dtype=torch.float32, device=device).reshape(shape)
        self._shift = torch.tensor(shift, dtype=torch.float32, device=device).reshape(shape)

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape in which `look_up` writes an image."""
        return (height, width, 3) if self.channels_last else (3, height, width)

    def look_up(self, pixels: np.ndarray, out: np.ndarray) -> None:
        """Write the numbers of an image, on the host."""
        if self.channels_last:
            cv2.LUT(pixels, self._table[None], dst=out)
            return
        for channel, plane in enumerate(cv2.split(pixels)):
            cv2.LUT(plane, self._table[None, :, channel], dst=out[channel])

    def viewed(self, numbers: Tensor) -> Tensor:
        """Return a batch of what `look_up` wrote as (n, 3, height, width)."""
        return numbers.permute(0, 3, 1, 2) if self.channels_last else numbers

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return pixels, (n, height, width, 3) on the device, as numbers, (n, 3, height, width)."""
        if not self.channels_last:
            pixels = pixels.permute(0, 3, 1, 2).contiguous()
        if self.device.type != "cuda":
            pixels = pixels.to(torch.float32)
        # On CUDA one kernel casts, multiplies and adds.
        return self.viewed(torch.addcmul(self._shift, pixels, self._scale))


class Lender:
    """Lend tensors of one shape, and lend the memory of one again once nobody holds it any more.

    Memory that was used before is several times faster to write than memory that the system must find
    first. A tensor may be kept, changed and cut as any other: its memory comes back when the last tensor
    or array that shares it is gone.

    Parameters
    ----------
    shape : tuple of int
    most : int
        How many tensors' memory waits at most.
    """

    def __init__(self, shape: tuple[int, ...], most: int) -> None:
        self.shape, self.most = shape, most
        self._waiting: list[np.ndarray] = []

    def __call__(self) -> Tensor:
        """Return a float32 tensor that is not filled."""
        memory = self._waiting.pop() if self._waiting else np.empty(self.shape, np.float32)
        lent = memory.view()  # torch holds this very array as long as the tensor's memory is in use
        finalize(lent, _take_back, self._waiting, self.most, memory).atexit = False
        return torch.from_numpy(lent)


def _take_back(waiting: list[np.ndarray], most: int, memory: np.ndarray) -> None:
    if len(waiting) < most:
        waiting.append(memory)


def _checked(normalize: Any) -> tuple[np.ndarray, np.ndarray]:
    told: Any = normalize
    if isinstance(normalize, str):
        told = IMAGENET if normalize == "imagenet" else None
    elif normalize is None:
        told = (0, 0, 0), (1, 1, 1)
    try:
        mean, std = (np.broadcast_to(np.asarray(part, np.float64), 3) for part in told)
        fine = bool(np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all())
    except (TypeError, ValueError):
        fine = False
    if not fine:
        raise invalid(
            f"normalize={normalize!r}: None, 'imagenet' or (mean, std) is needed, each three numbers "
            "between 0 (black) and 1, and std above 0."
        )
    return mean, std
