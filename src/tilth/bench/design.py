"""What is compared, and what all folds of a comparison share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.chaining import earlier, forward
from tilth.bench.folds import assign
from tilth.bench.slices import Slices
from tilth.core import Stage
from tilth.errors import DataError
from tilth.pipeline import Pipeline
from tilth.probes.pictures import Shelf
from tilth.statistics import hash_rows
from tilth.table import Table

RANDOM_DROP = "random drop"
TUNED = "before, tuned"
UNCORRECTED = "{arm}, uncorrected"
"""The arm whose probabilities are left at the class frequencies that stages made."""
MODEL = "model"


@dataclass(frozen=True)
class Arm:
    """Name a list of stages and, if there is one, the model that ends it.

    Parameters
    ----------
    name : str
    stages : tuple of (name, Stage)
    model : estimator, optional
    """

    name: str
    stages: tuple[tuple[str, Stage], ...] = ()
    model: Any = None

    @classmethod
    def of(cls, name: str, given: Any) -> Arm:
        """Read what a user passes: nothing, a pipeline, or what a pipeline can be made of.

        Raises
        ------
        StageError
            Anything else.
        """
        if given is None:
            return cls(name)
        # A frozen pipeline is a step that stays as it is fitted; its stages are not to be fitted anew.
        if not isinstance(given, Pipeline):
            given = Pipeline(list(given) if isinstance(given, Sequence) else [given])
        # What only reports changes nothing, and need not be fitted in every fold.
        acting = tuple((named, stage) for named, stage in given.stages_named() if stage.acts)
        return cls(name, acting, given.model)


@dataclass(frozen=True)
class Design:
    """Hold what all folds share, fixed before the first is run.

    Parameters
    ----------
    table : Table
        All rows, in memory.
    task : {'binary', 'multiclass', 'regression'}
    truth : ndarray of shape (n_rows,)
        Class codes, or values; -1 or NaN where the label is missing.
    labels : Series
        Each class as text, in the order of its code; empty for a regression.
    weight : ndarray of shape (n_rows,)
        How much a row counts in a test.
    units, strata : ndarray of shape (n_rows,), int64
    fold_of : ndarray of shape (n_repeats, n_rows), int64
        -1 for a row without a label: it is never tested.
    probes : tuple of (name, estimator or None)
        None: made by name.
    primary : tuple of str
    folds, random_state : int
    images : tuple of str
        The features that hold paths of images.
    shelf : Shelf
        What was made of the images, once for all folds.
    time : ndarray of shape (n_rows,), int64, optional
        The place of each row in time, -1 where it is unknown; None: rows are tested in any order.
    slices : Slices
        Parts of the rows that are scored by themselves, too.
    clean : ndarray of shape (n_rows,), optional
        Labels known to be right, as `truth`; -1 or NaN where nobody knows.
    grids : mapping of probe to tuple of settings, optional
        The settings that inner folds choose from, per probe that is tuned; None: nothing is.
    test : ndarray of shape (n_rows,), bool, optional
        The rows kept for testing, where there is one fixed test set: `folds` is 1, and repeats are training
        seeds; None: rows are tested in folds.
    """

    table: Table
    task: str
    truth: NDArray
    labels: pl.Series
    weight: NDArray[np.float64]
    units: NDArray[np.int64]
    strata: NDArray[np.int64]
    fold_of: NDArray[np.int64]
    probes: tuple[tuple[str, Any], ...]
    primary: tuple[str, ...]
    folds: int
    random_state: int
    images: tuple[str, ...] = ()
    shelf: Shelf = field(default_factory=Shelf)
    time: NDArray[np.int64] | None = None
    slices: Slices = field(default_factory=Slices)
    clean: NDArray | None = None
    grids: Mapping[str, tuple[Mapping[str, Any], ...]] | None = None
    test: NDArray[np.bool_] | None = None

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Tell which rows have a label, shape (n_rows,)."""
        return np.isfinite(self.truth) if self.task == "regression" else self.truth >= 0

    def seed(self, repeat: int, fold: int) -> int:
        """Return the seed of one fold: the same for all arms, so that scores are paired."""
        word = hash_rows(self.random_state, np.array([repeat * 1_000_003 + fold], np.uint64))[0]
        return int(word >> np.uint64(33))

    def rows(self, keep: NDArray[np.bool_]) -> Design:
        """Return the design of some of its rows; who is tested when stays as it is."""
        return replace(
            self,
            table=self.table.with_frame(self.table.frame.collect().filter(pl.Series(keep)).lazy()),
            truth=self.truth[keep],
            weight=self.weight[keep],
            units=self.units[keep],
            strata=self.strata[keep],
            fold_of=self.fold_of[:, keep],
            time=None if self.time is None else self.time[keep],
            slices=self.slices.rows(keep),
            clean=None if self.clean is None else self.clean[keep],
            test=None if self.test is None else self.test[keep],
        )

    def within(self, repeat: int, fold: int) -> Design:
        """Return what a fold may see: its test rows and, where rows go by time, only earlier ones besides.

        Where they do, and where there is one fixed test set, groups and copies of test rows are left out of
        what is learned from; elsewhere they are in the test part themselves.
        """
        test = self.fold_of[repeat] == fold
        if self.test is not None:
            return self.rows(test | ~(self.test | np.isin(self.units, self.units[self.test])))
        if self.time is None:
            return self
        return self.rows(test | earlier(self.time, self.units, test))

    def inner(self, inside: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
        """Give the rows `inside` inner folds, drawn as the outer ones are; -1: never held out."""
        if self.time is not None:
            return forward(self.time[inside], folds)
        return assign(self.strata[inside], self.units[inside], self.table.ids[inside], folds, seed, 0)

    def beyond(self, held: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark the rows that must not be learned from while these are held out."""
        return held if self.time is None else ~earlier(self.time, self.units, held)

    @property
    def ratio(self) -> float | None:
        """Return the mean of test over training rows where rows go by time; None: 1 / (folds - 1)."""
        if self.time is None:
            return None
        shares = []
        for fold_of in self.fold_of:
            for fold in range(self.folds):
                test = fold_of == fold
                learned = earlier(self.time, self.units, test) & self.labeled
                shares.append(test.sum() / max(int(learned.sum()), 1))
        return float(np.mean(shares))

    def need_parts(self) -> None:
        """Raise where, by time, a test part is empty or has nothing to learn from.

        Raises
        ------
        DataError
        """
        if self.time is None:
            return
        for fold_of in self.fold_of:
            for fold in range(self.folds):
                test = fold_of == fold
                if not test.any() or not (earlier(self.time, self.units, test) & self.labeled).any():
                    raise DataError(
                        f"Of {self.folds} blocks in time, number {fold + 1} is empty, or no labeled row is "
                        "earlier: many rows are of one moment. Ask for fewer folds."
                    )
