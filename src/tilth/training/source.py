"""Where the batches of each epoch come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from tilth.training.rows import Rows


class Source(Protocol):
    """Give the batches of each epoch, and the rows kept aside, on the device that trains.

    Attributes
    ----------
    validation : Rows or None
        Kept aside to tell when to stop; None trains for all epochs.
    steps : int
        Batches in an epoch, or a few more where they cannot be counted before: the schedule's length.
    """

    validation: Rows | None
    steps: int

    def batches(self, epoch: int) -> Iterator[Rows]:
        """Yield the batches of an epoch, each of two rows or more; epochs are asked for in turn."""


class Resident:
    """Draw batches from rows that lie on the device whole.

    Parameters
    ----------
    training : Rows
    validation : Rows or None
    batch_size : int
        A last batch of a single row is dropped, because batch normalization cannot use it.
    random_state : int
        Seed of the orders.
    """

    def __init__(
        self, training: Rows, validation: Rows | None, batch_size: int, random_state: int = 0
    ) -> None:
        self.training, self.validation, self.batch_size = training, validation, batch_size
        self.steps = len(training) // batch_size + (len(training) % batch_size > 1)
        self._order = torch.Generator().manual_seed(random_state)

    def batches(self, epoch: int) -> Iterator[Rows]:
        """Yield the rows in a new order, drawn as the epochs come."""
        rows = self.training
        permutation = torch.randperm(len(rows), generator=self._order).to(rows.X.device)
        for batch in permutation.split(self.batch_size):
            if len(batch) > 1:
                yield Rows(
                    rows.X.index_select(0, batch),
                    rows.target.index_select(0, batch),
                    rows.weight.index_select(0, batch),
                )
