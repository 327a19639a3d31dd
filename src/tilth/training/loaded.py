"""Batches of a loader of the user's: looked at once, then trained on, epoch after epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tilth.errors import DataError
from tilth.training.rows import Rows

SAMPLE = 4096
"""Training rows kept to measure with."""
CELLS = 2**26
"""Numbers they have at most: a quarter of a gigabyte."""
MOST_ASIDE = 20_000
"""Rows kept aside that are kept in memory."""


def batch_of(batch: Any, device: torch.device) -> Rows:
    """Return a batch as rows on a device.

    Raises
    ------
    DataError
        It is not (X, y) or (X, y, weight), or their rows do not match.
    """
    parts = list(batch) if isinstance(batch, list | tuple) else []
    if len(parts) not in (2, 3):
        held = f"{len(parts)} parts" if parts else f"a {type(batch).__name__}"
        raise DataError(f"A batch must be (X, y) or (X, y, weight); the loader gave {held}.")
    if not all(isinstance(part, Tensor | np.ndarray) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise DataError(f"A batch must hold tensors (X, y, weight); the loader gave {kinds}.")
    X, target, *rest = (torch.as_tensor(part).to(device) for part in parts)
    X = X.float()
    target = target.float() if target.is_floating_point() else target.long()
    weight = rest[0].float() if rest else torch.ones(len(X), device=device)
    if not len(X) == len(target) == len(weight):
        raise DataError(f"Rows of a batch do not match: X {len(X)}, y {len(target)}, weight {len(weight)}.")
    if bool((weight < 0).any()):
        raise DataError("A batch holds negative weights; they must be 0 or above.")
    return Rows(X, target, weight)


class Loaded:
    """Give the batches of a loader as a `Source`.

    Parameters
    ----------
    loader : iterable of batches
        It can be gone through again and again, as a DataLoader, a TableLoader or a list.
    validation : iterable of batches, or None
    device : torch.device

    Attributes
    ----------
    steps : int
        Batches of two rows or more in the first pass.
    rows : int
        Rows of the first pass.
    sample : Rows
        Its first rows.
    validation : Rows or None

    Raises
    ------
    DataError
        It gives nothing, can be gone through only once, or its batches are no rows to train on.
    """

    def __init__(self, loader: Iterable[Any], validation: Iterable[Any] | None, device: torch.device) -> None:
        if iter(loader) is loader:
            raise DataError(
                "The loader can be gone through only once (it is an iterator). Give a DataLoader, a "
                "TableLoader or a list of batches."
            )
        self.loader, self.device = loader, device
        self._scale, self.rows, self.steps = 1.0, 0, 0
        self.sample = self._look()
        self.validation = None if validation is None else self._aside(validation)

    def batches(self, epoch: int) -> Iterator[Rows]:
        """Yield the loader's batches; those of one row are left out, as batch normalization wants it."""
        for batch in self.loader:
            rows = batch_of(batch, self.device)
            if len(rows) > 1:
                yield self._weighed(rows)

    def _weighed(self, rows: Rows) -> Rows:
        return rows if self._scale == 1 else Rows(rows.X, rows.target, rows.weight * self._scale)

    def _look(self) -> Rows:
        """Go through the loader until the sample is full; count on where the length is not known."""
        kept: list[Rows] = []
        held = seen = 0
        total = 0.0
        length = len(self.loader) if isinstance(self.loader, Sized) else None
        most = SAMPLE
        for batch in self.loader:
            rows = batch_of(batch, self.device)
            self.steps += len(rows) > 1
            self.rows += len(rows)
            total += float(rows.weight.sum())
            seen += len(rows)
            if held < most:
                most = min(SAMPLE, max(2, CELLS // max(1, rows.X[:1].numel())))
                kept.append(Rows(*(part[: most - held] for part in (rows.X, rows.target, rows.weight))))
                held += len(kept[-1])
            elif length is not None:
                # The rest is as long as batches so far say.
                self.rows = round(length * seen / (self.steps or 1))
                self.steps = length
                break
        if self.steps == 0 or not total > 0:
            raise DataError(
                "The loader gives nothing to train on: no batch of 2 rows or more, or no weight above 0."
            )
        mean = total / seen
        self._scale = 1.0 if mean == 1 else 1 / mean
        return self._weighed(_joined(kept))

    def _aside(self, validation: Iterable[Any]) -> Rows:
        kept: list[Rows] = []
        held = 0
        for batch in validation:
            kept.append(batch_of(batch, self.device))
            held += len(kept[-1])
            if held >= MOST_ASIDE:
                break
        if not held or not float(sum(rows.weight.sum() for rows in kept)) > 0:
            raise DataError("The validation loader gives no rows with a weight above 0.")
        return _joined(kept)


def _joined(parts: list[Rows]) -> Rows:
    return Rows(
        torch.cat([rows.X for rows in parts]),
        torch.cat([rows.target for rows in parts]),
        torch.cat([rows.weight for rows in parts]),
    )
