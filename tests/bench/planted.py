"""Stages and data with known worth, for controls; and spies that write down what they were shown."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from tilth.core import ColumnStage, RowPlan, RowStage
from tilth.statistics import Statistics, uniform
from tilth.table import ROW, Table

SEEN: list[tuple[str, np.ndarray]] = []
"""What spies saw, in this process: (who, row ids or weights)."""


class NoOp(ColumnStage):
    """Change nothing."""


class Spy(ColumnStage):
    """Write down the rows that are learned from."""

    def learn(self, statistics: Statistics) -> None:
        SEEN.append(("column stage", pl.concat(statistics.shards).collect()[ROW].to_numpy()))


class RowSpy(RowStage):
    """Write down the rows that may be changed, and keep them all."""

    def plan(self, table: Table) -> RowPlan:
        SEEN.append(("row stage", table.ids))
        return RowPlan.keep_all(table.height)


class FlipLabels(RowStage):
    """Turn a share of two-class labels into the other class: a harm."""

    needs_target: ClassVar = True

    def __init__(self, *, share: float = 0.2, random_state: int = 0) -> None:
        self.share = share
        self.random_state = random_state

    def plan(self, table: Table) -> RowPlan:
        y = table.y
        hit = uniform(self.random_state, table.ids) < self.share
        return RowPlan(
            np.ones(len(y), np.int64), label=pl.select(pl.when(pl.Series(hit)).then(1 - y)).to_series()
        )


class DropRandom(RowStage):
    """Drop a share of the rows at random: no help."""

    def __init__(self, *, share: float = 0.1, random_state: int = 0) -> None:
        self.share = share
        self.random_state = random_state

    def plan(self, table: Table) -> RowPlan:
        return RowPlan((uniform(self.random_state, table.ids) >= self.share).astype(np.int64))


class DropWrong(RowStage):
    """Drop the rows whose label is known to be wrong: feature ``wrong`` says so."""

    def plan(self, table: Table) -> RowPlan:
        return RowPlan((~table.X()["wrong"].to_numpy()).astype(np.int64))


class DropUnsure(RowStage):
    """Drop the tenth of the rows whose label an out-of-fold model believes least."""

    needs_target: ClassVar = True

    def plan(self, table: Table) -> RowPlan:
        return RowPlan((~unsure(table.X().to_numpy(), table.y.to_numpy())).astype(np.int64))


class Oversample(RowStage):
    """Repeat the rows of class 1."""

    needs_target: ClassVar = True

    def __init__(self, *, times: int = 8) -> None:
        self.times = times

    def plan(self, table: Table) -> RowPlan:
        return RowPlan(np.where(table.y.to_numpy() == 1, self.times, 1))


class Weigh(RowStage):
    """Give rows of odd id three times the weight."""

    def plan(self, table: Table) -> RowPlan:
        return RowPlan(np.ones(table.height, np.int64), weight=1.0 + 2 * (table.ids % 2))


class Loses(ColumnStage):
    """Drop test rows: forbidden."""

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.head(30)


class Turns(ColumnStage):
    """Reverse the rows: forbidden."""

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.reverse()


class Adds(ColumnStage):
    """Add the column ``made``."""

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(pl.lit(1.0).alias("made"))


class Needs(ColumnStage):
    """Work on the column ``made`` only."""

    def __init__(self, *, on: str = "made") -> None:
        self.on = on


class Recorder(ClassifierMixin, BaseEstimator):
    """Write down the weights it is given; answer by the prior."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Recorder:
        SEEN.append(("weight", np.array([]) if sample_weight is None else np.asarray(sample_weight)))
        self.classes_, counts = np.unique(y, return_counts=True)
        self.prior_ = counts / counts.sum()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.tile(self.prior_, (len(X), 1))


def unsure(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mark the tenth of the rows whose label an out-of-fold model believes least."""
    said = cross_val_predict(LogisticRegression(), X, y, cv=3, method="predict_proba")[np.arange(len(y)), y]
    return said < np.quantile(said, 0.1)


def gaussian(
    rows: int, seed: int = 0, width: int = 8, strength: float = 0.5
) -> tuple[pl.DataFrame, np.ndarray]:
    """Make two classes that differ in the mean of every feature."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    X = rng.normal(size=(rows, width)) + strength * y[:, None] / np.sqrt(width) * 2
    return pl.DataFrame({f"x{j}": X[:, j] for j in range(width)}), y
