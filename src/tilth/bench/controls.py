"""Data and stages whose worth is known: what the bench is tested by."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.core import ColumnStage, RowPlan, RowStage
from tilth.core.stage import Selection
from tilth.statistics import uniform
from tilth.table import ROW, Table

WIDTH = 12
STRENGTH = 0.6
"""Half the distance between the two classes, in standard deviations: an area of 0.80 for the best model."""


class Nothing(ColumnStage):
    """Change nothing."""


class Blur(ColumnStage):
    """Add measurement noise to numbers, keyed by row: less of it is a true gain, as much again is none.

    Parameters
    ----------
    spread : float
        Standard deviation of the noise.
    random_state : int
    """

    handles: ClassVar = ("numeric",)

    def __init__(self, *, spread: float = 0.5, random_state: int = 0, on: Selection = None) -> None:
        self.spread = spread
        self.random_state = random_state
        self.on = on

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Add the noise."""
        return frame.with_columns(
            pl.col(name) + self.spread * _noise(self.random_state, place)
            for place, name in enumerate(self.columns_)
        )


class AddNoise(ColumnStage):
    """Append columns that know nothing.

    Parameters
    ----------
    count : int
    random_state : int
    """

    def __init__(self, *, count: int = 20, random_state: int = 0) -> None:
        self.count = count
        self.random_state = random_state

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Append them."""
        return frame.with_columns(
            _noise(self.random_state, place).alias(f"noise{place}") for place in range(self.count)
        )


class DropAtRandom(RowStage):
    """Drop a share of the rows, whatever they are.

    Parameters
    ----------
    share : float
    random_state : int
    """

    def __init__(self, *, share: float = 0.1, random_state: int = 0) -> None:
        self.share = share
        self.random_state = random_state

    def plan(self, table: Table) -> RowPlan:
        """Drop them."""
        return RowPlan((uniform(self.random_state, table.ids) >= self.share).astype(np.int64))


class FlipLabels(RowStage):
    """Turn a share of the labels, 0 and 1, into the other: a true harm.

    Parameters
    ----------
    share : float
    random_state : int
    """

    needs_target: ClassVar = True

    def __init__(self, *, share: float = 0.2, random_state: int = 0) -> None:
        self.share = share
        self.random_state = random_state

    def plan(self, table: Table) -> RowPlan:
        """Flip them."""
        y = table.need("target", "FlipLabels")
        hit = pl.Series(uniform(self.random_state, table.ids) < self.share)
        label = pl.select(pl.when(hit).then(1 - y)).to_series()
        return RowPlan(np.ones(table.height, np.int64), label=label)


class Repair(ColumnStage):
    """Take known errors, cells that are a million too large, out again: a true gain."""

    handles: ClassVar = ("numeric",)

    def __init__(self, *, on: Selection = None) -> None:
        self.on = on

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Subtract the error where there is one."""
        wrong = lambda name: pl.when(pl.col(name) > ERROR / 2).then(pl.col(name) - ERROR)
        return frame.with_columns(wrong(name).otherwise(name) for name in self.columns_)


ERROR = 1e6


def two_classes(
    rows: int, seed: int, strength: float = STRENGTH, rare: float = 0.5, width: int = WIDTH
) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Draw two classes of normal rows that differ in the mean of every feature.

    Parameters
    ----------
    rows, seed : int
    strength : float
        Half the distance between the classes.
    rare : float
        Share of the second class.
    width : int
        Features.
    """
    random = np.random.default_rng(seed)
    y = (random.random(rows) < rare).astype(np.int64)
    X = random.normal(size=(rows, width)) + 2 * strength / np.sqrt(width) * y[:, None]
    return pl.DataFrame(X, schema=[f"x{j}" for j in range(width)], orient="row"), y


def with_errors(X: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Make a share of the cells wrong: a million too large."""
    hit = np.random.default_rng(seed).random(X.shape) < share
    return pl.DataFrame(X.to_numpy() + ERROR * hit, schema=X.columns, orient="row")


def _noise(seed: int, place: int) -> pl.Expr:
    """Draw normal numbers, keyed by (seed, place, row)."""

    def drawn(ids: pl.Series) -> pl.Series:
        from scipy.special import ndtri

        drawn: Any = ndtri(np.clip(uniform(seed, ids.to_numpy(), place), 2.0**-53, 1 - 2.0**-53))
        return pl.Series(drawn)

    return pl.col(ROW).map_batches(drawn, return_dtype=pl.Float64)
