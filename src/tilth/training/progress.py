"""Say how far a training is: a line on stderr now and then."""

from __future__ import annotations

import math
import sys
import time

from tilth.training.trainer import Epoch

SECONDS = 1.0
"""Least time between two lines."""


class Progress:
    """Print a line after an epoch, at most one in a second, and the last one always.

    Parameters
    ----------
    what : str
        What is trained: the line begins with it.
    epochs : int
        How many there are at most.
    """

    def __init__(self, what: str, epochs: int) -> None:
        self.what, self.epochs = what, epochs
        self._begin = self._told = time.monotonic()
        self._last = ""

    def __call__(self, number: int, epoch: Epoch) -> None:
        """Take note of an epoch."""
        now = time.monotonic()
        aside = (
            "" if math.isnan(epoch.validation_loss) else f", {epoch.validation_loss:.5g} on rows kept aside"
        )
        self._last = (
            f"{self.what}: epoch {number + 1} of at most {self.epochs}, loss {epoch.train_loss:.5g}{aside}, "
            f"{now - self._begin:.1f} s"
        )
        if now - self._told >= SECONDS:
            self._told = now
            self.close()

    def close(self) -> None:
        """Print the last line, unless it was printed."""
        if self._last:
            print(self._last, file=sys.stderr, flush=True)
        self._last = ""
