"""Batches of images that lie in memory as bytes: changed one by one, anew each epoch, and normalized."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilth.images.each import each
from tilth.statistics import hash_rows
from tilth.training.rows import Rows

Change = Callable[[NDArray[np.uint8], int, int, Any], NDArray[np.uint8]]
"""Takes an image, the id of its row, the epoch and the label, and returns an image of the same shape."""


@dataclass(frozen=True)
class Channels:
    """Normalize images by what their channels are like.

    Parameters
    ----------
    mean, std : ndarray of shape (3,)
        In levels of 255.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> Channels:
        """Measure images of shape (n, height, width, 3)."""
        levels = np.arange(256)
        counts = [np.bincount(pixels[..., c].ravel(), minlength=256) for c in range(3)]
        mean = np.array([np.average(levels, weights=c) for c in counts])
        std = np.sqrt([np.average((levels - m) ** 2, weights=c) for m, c in zip(mean, counts, strict=True)])
        # A channel of one level stays what it is: rounding must not be blown up.
        return cls(mean.astype(np.float32), np.maximum(std, 1.0).astype(np.float32))

    def tensor(self, pixels: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
        """Return images as a network takes them: (n, 3, height, width), channels last in memory."""
        given = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2)
        mean, std = (torch.from_numpy(part).to(device).reshape(1, 3, 1, 1) for part in (self.mean, self.std))
        return given.float().sub_(mean).div_(std)


class Images:
    """Draw batches from images that lie in memory.

    Orders are keyed by seed, row id and epoch, so that a row more or less does not change the order of the
    others.

    Parameters
    ----------
    pixels : ndarray of shape (n, height, width, 3), uint8
    target : Tensor of shape (n,)
        Class codes or values.
    weight : Tensor of shape (n,)
        Mean 1.
    ids : ndarray of shape (n,), uint64
    channels : Channels
    training, validation : ndarray of int
        Places of the rows to train on, and of those kept aside.
    batch_size : int
        A last batch of a single row is dropped, because batch normalization cannot use it.
    change : callable, optional
        Changes single images of the training rows; see `Change`.
    labels : sequence, optional
        The label of each row, as `change` gets it.
    device : torch.device
    random_state : int
    threads : int or None
        Threads that change images.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        target: Tensor,
        weight: Tensor,
        ids: NDArray[np.uint64],
        channels: Channels,
        training: NDArray[np.int64],
        validation: NDArray[np.int64],
        *,
        batch_size: int,
        device: torch.device,
        change: Change | None = None,
        labels: Sequence[Any] | None = None,
        random_state: int = 0,
        threads: int | None = 1,
    ) -> None:
        self.pixels, self.target, self.weight, self.ids = pixels, target, weight, ids
        self.channels, self.training, self.batch_size = channels, training, batch_size
        self.device, self.change, self.labels = device, change, labels
        self.random_state, self.threads = random_state, threads
        self.steps = len(training) // batch_size + (len(training) % batch_size > 1)
        self.validation = self._rows(validation, pixels[validation]) if len(validation) else None

    def batches(self, epoch: int) -> Iterator[Rows]:
        """Yield the rows in an order drawn for the epoch."""
        words = hash_rows(self.random_state, self.ids[self.training], epoch)
        order = self.training[np.argsort(words, kind="stable")]
        for start in range(0, len(order), self.batch_size):
            at = order[start : start + self.batch_size]
            if len(at) < 2:
                return
            pixels = self.pixels[at]
            if self.change is not None:
                pixels = np.stack(list(each(partial(self._changed, epoch), at, threads=self.threads)))
            yield self._rows(at, pixels)

    def _changed(self, epoch: int, place: int) -> NDArray[np.uint8]:
        assert self.change is not None
        label = None if self.labels is None else self.labels[place]
        return self.change(self.pixels[place], int(self.ids[place]), epoch, label)

    def _rows(self, at: NDArray[np.int64], pixels: NDArray[np.uint8]) -> Rows:
        index = torch.from_numpy(at)
        return Rows(
            self.channels.tensor(pixels, self.device),
            self.target.index_select(0, index).to(self.device),
            self.weight.index_select(0, index).to(self.device),
        )
