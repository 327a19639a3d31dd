"""Stages that tests send to worker processes: apart, so that these need not import what the tests do."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from tilth.loaders.pixels import Pictures

AT = 13
"""The row at which something happens."""


class Plain:
    per_image = True

    def augment(self, batch, generator):
        return batch


class Shifted(Plain):
    """Makes pixels depend on all that a stage is told, and on what `by` is in the process that runs it."""

    def __init__(self, by=1):
        self.by = by

    def augment_image(self, pixels, *, row, epoch, label=None):
        return pixels + np.uint8((row * 7 + epoch * 3 + hash(label) % 5 + self.by) % 256)


class Happening(Plain):
    """Lets something happen at one row, while the mark is not there."""

    key = "augment.happening"

    def __init__(self, what, mark=None):
        self.what, self.mark = what, mark

    def augment_image(self, pixels, *, row, epoch, label=None):
        if row == AT and not (self.mark and Path(self.mark).exists()):
            happen(self.what)
        return pixels


class Told(Plain):
    """Makes the pixels tell of the process."""

    def augment_image(self, pixels, *, row, epoch, label=None):
        pixels[:] = 255 if "torch" in sys.modules else 0
        return pixels


class Fragile(Pictures):
    """A decoder that crashes at one row."""

    def whole(self, row):
        if row == AT:
            happen("SIGSEGV")
        return super().whole(row)


def happen(what):
    if what.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[what])
    if what == "leave":
        os._exit(3)
    if what == "wait":
        time.sleep(100)
    raise ZeroDivisionError("one by zero")


def put(shared, place, value):
    shared.array[place] = value
