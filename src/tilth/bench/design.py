"""What is compared, and what all folds of a comparison share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.core import Stage
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

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Tell which rows have a label, shape (n_rows,)."""
        return np.isfinite(self.truth) if self.task == "regression" else self.truth >= 0

    def seed(self, repeat: int, fold: int) -> int:
        """Return the seed of one fold: the same for all arms, so that scores are paired."""
        word = hash_rows(self.random_state, np.array([repeat * 1_000_003 + fold], np.uint64))[0]
        return int(word >> np.uint64(33))
