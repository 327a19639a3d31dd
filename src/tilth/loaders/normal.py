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

# OpenCV knows neither, NumPy only one; both move them as integers of their size.
SHORT = (torch.float16, torch.bfloat16)


class Normal:
    """Turn eight-bit colors into floating-point numbers: ``(color / 255 - mean) / std``, channel by channel.

    Parameters
    ----------
    normalize : None, "imagenet" or (mean, std)
        Mean and standard deviation of red, green and blue, where 0 is black and 1 is full. None: 0 and 1.
    channels_last : bool
        How images lie in memory: pixel after pixel, as decoders write them, or channel after channel.
    device : torch.device
        Where the numbers are computed.
    dtype : torch.float32, torch.float16 or torch.bfloat16, default torch.float32
        What they are computed as float32 and then rounded to.
    """

    def __init__(
        self,
        normalize: Normalize,
        channels_last: bool,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        mean, std = _checked(normalize)
        self.channels_last, self.device, self.dtype = channels_last, device, dtype
        scale, shift = 1 / (255 * std), -mean / std
        # On the host each number is looked up, 256 colors being few, or computed where that is faster.
        self._table = written(torch.from_numpy(np.arange(256)[:, None] * scale + shift).float().to(dtype))
        self._matrix = np.column_stack([np.diag(scale), shift])
        shape = (3,) if channels_last else (3, 1, 1)
        self._scale = torch.tensor(scale, dtype=torch.float32, device=device).reshape(shape)
        self._shift = torch.tensor(shift, dtype=torch.float32, device=device).reshape(shape)

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape in which `look_up` writes an image."""
        return (height, width, 3) if self.channels_last else (3, height, width)

    def look_up(self, pixels: np.ndarray, out: np.ndarray) -> None:
        """Write the numbers of an image, on the host, into an array that `written` gave."""
        if self.channels_last and self.dtype == torch.float32:
            cv2.transform(pixels.astype(np.float32, order="C"), self._matrix, dst=out)
            return
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
        if self.device.type == "cuda":  # one kernel casts, multiplies, adds and rounds
            numbers = torch.empty(pixels.shape, dtype=self.dtype, device=pixels.device)
            torch.addcmul(self._shift, pixels, self._scale, out=numbers)
        else:
            numbers = torch.addcmul(self._shift, pixels.to(torch.float32), self._scale).to(self.dtype)
        return self.viewed(numbers)


def written(tensor: Tensor) -> np.ndarray:
    """Return the memory of a tensor of numbers as an array for `Normal.look_up`; of pixels, as they are."""
    return tensor.view(torch.int16).numpy() if tensor.dtype in SHORT else tensor.numpy()


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
    dtype : torch.float32, torch.float16 or torch.bfloat16, default torch.float32
    """

    def __init__(self, shape: tuple[int, ...], most: int, dtype: torch.dtype = torch.float32) -> None:
        self.shape, self.most, self.dtype = shape, most, dtype
        self._waiting: list[np.ndarray] = []

    def __call__(self) -> Tensor:
        """Return a tensor that is not filled."""
        kind = np.int16 if self.dtype in SHORT else np.float32
        memory = self._waiting.pop() if self._waiting else np.empty(self.shape, kind)
        lent = memory.view()  # torch holds this very array as long as the tensor's memory is in use
        finalize(lent, _take_back, self._waiting, self.most, memory).atexit = False
        return torch.from_numpy(lent).view(self.dtype)


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
