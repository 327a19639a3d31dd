"""Turn categories into what they tell of the target."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError, listed
from tilth.statistics import Statistics
from tilth.statistics.folding import fold_by_hash
from tilth.statistics.levels import Levels, as_level, slot_of
from tilth.table import ROW
from tilth.table.container import free_name

MOST_COLUMNS = 10_000
"""Columns the stage makes at most: beyond, the table would no longer fit in memory."""

MANY_SINGLE = 0.1
"""Share of the rows that are alone in their level, from which on that is reported."""


class EncodeTarget(ColumnStage):
    """Replace each level of a column by the mean target of its rows, learned from other rows than the one.

    Learns
        Weight, mean and spread of the target in each fold and level of each column. For two classes the
        target is 1 for the second one, in their order; for more there is a value for each class. Levels are
        told apart as text: 1 and 1.0 are the same.
    Training
        The rows that were learned from get the means of the other folds, so that no value depends on the
        row's own label, nor on one of its group: `fit_transform` is not `fit` and `transform`. Folds are
        drawn by seed and row id, or group where the table has groups; they stay the same in any order and
        partition, and a loader that takes the rows again gives the same values. Copies and made rows are
        rows of their own: put stages that add rows behind this one, or name groups; a pipeline warns of it.
    New data
        The means of all rows. Two classes and numbers: one Float64 column of the same name; several
        classes: one for each, ``<name>=<class>``, in its place.
    Weights
        A row of weight 2 counts as two rows. Rows without a label or of weight 0 take no part.
    Cost
        One scan; memory grows with folds x levels x classes. Acting is one lookup per cell.
    Scaling
        Exact for any partition, to rounding (Chan's merge).

    Parameters
    ----------
    smooth : 'auto' or float, at least 0
        How far the means of small levels are drawn to the mean of all rows: a number adds as many rows of
        that mean to each level; 'auto' adds as many as the variance within the level, against that of all
        rows, asks for (empirical Bayes). The label of a level of one row is not drawn by 'auto'.
    folds : int, at least 2
        Parts that get their values from one another.
    task : {'auto', 'classification', 'regression'}
        How the target is read. 'auto': numbers with fractions, or of more than 20 distinct values, as
        numbers; all else as classes.
    rare_rows : int, at least 1
        Levels of fewer rows get the mean of all rows.
    unseen : {'mean', 'null', 'error'}
        A level that was not there at fit: the mean of all rows, missing, or an error.
    missing : {'level', 'null'}
        Missing cells are a level like any other (where there were none at fit: the mean of all rows); or
        they stay missing.
    random_state : int
        Seed of the folds.
    on : selection, optional
        The columns; by default all categorical ones. Numbers that are names, such as zip codes, may be
        named.

    Findings
        encoding.alone : many rows are alone in their level, so that its mean is one label.
        encoding.one_fold : all rows lie in one fold, and get the mean of all as there is no other.
        encoding.one_value : the target has one value, so the columns tell nothing.

    Raises
        DataError : no row has a label, the target is neither classes nor finite numbers, more than 10,000
        columns would be made, the groups that were there at fit are not given for the training rows, or,
        with unseen='error', a level is unseen.

    Source
        Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes in classification
        and prediction problems", SIGKDD Explorations 3 (2001), equations 3 to 6. Peer: scikit-learn's
        ``TargetEncoder``; the tests compare new and training rows, given the same folds, to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"city": ["Rome", "Rome", "Oslo", "Oslo"] * 3})
    >>> stage = EncodeTarget(smooth=2.0).fit(X, [9.5, 7.5, 1.0, 3.0] * 3)
    >>> stage.transform(pl.DataFrame({"city": ["Rome", "Oslo", "Bonn"]}))["city"].to_list()
    [7.6875, 2.8125, 5.25]
    """

    handles: ClassVar = ("categorical", "boolean", "numeric")
    takes: ClassVar = ("categorical",)
    finds: ClassVar = {
        "encoding.alone": "many rows are alone in their level",
        "encoding.one_fold": "all rows lie in one fold",
        "encoding.one_value": "the target has one value",
    }
    needs_target: ClassVar = True
    cross_fits = True

    def __init__(
        self,
        *,
        smooth: Literal["auto"] | Annotated[float, Ge(0)] = "auto",
        folds: Annotated[int, Ge(2)] = 5,
        task: Literal["auto", "classification", "regression"] = "auto",
        rare_rows: Annotated[int, Ge(1)] = 1,
        unseen: Literal["mean", "null", "error"] = "mean",
        missing: Literal["level", "null"] = "level",
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.smooth = smooth
        self.folds = folds
        self.task = task
        self.rare_rows = rare_rows
        self.unseen = unseen
        self.missing = missing
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"smooth": 10.0, "folds": 3, "missing": "null", "on": "categorical | boolean | numeric"},
            {"smooth": 0.0, "rare_rows": 8, "unseen": "null", "random_state": 1},
            {"task": "classification", "unseen": "error"},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn the means of the levels: of all rows, and without each fold."""
        self.classes_: list[str] = []
        self.levels_: dict[str, list[str]] = {}
        self.means_: dict[str, np.ndarray] = {}
        self.names_: dict[str, list[str]] = {}
        self.group_ = statistics.group
        if not self.columns_:
            return
        numbers = self._read_target(statistics)
        values = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        found = statistics.levels(self.columns_, None if numbers else values, self.folds, self.random_state)
        self.levels_ = found.names
        for name in self.columns_:
            means = found.means(name, self.smooth, self.rare_rows)
            means[:, -2] = np.nan if self.missing == "null" else means[:, -2]
            means[:, -1] = np.nan if self.unseen == "null" else means[:, -1]
            self.means_[name] = means
        self._name(statistics.schema.names())
        self._tell(found)

    def _read_target(self, statistics: Statistics) -> bool:
        """Tell whether the target is numbers, and learn its classes where it is not."""
        from tilth.probes.target import encode_classes, read_target, read_values, task_of

        target = statistics.target or ""
        values = statistics.counts([target]).tables[target]["value"]
        if not len(values):
            raise DataError(f"encode.target: no row has a label in '{target}'. Label some, or leave it out.")
        told = read_target(values)
        if len(values) == 1:
            self.report("encoding.one_value", f"The target '{target}' has one value only.", 0.0)
        if self.task == "regression" or (self.task == "auto" and task_of(told) == "regression"):
            read_values(told)
            return True
        if len(values) > 1:
            encode_classes(told)
        ordered = values.cast(pl.String) if values.dtype == pl.Categorical else values
        text = ordered.sort().to_frame("class").select(as_level("class", ordered.dtype))
        self.classes_ = text.to_series().to_list()
        return False

    def _name(self, taken: list[str]) -> None:
        many = len(self.classes_) > 2
        width = len(self.columns_) * len(self.classes_)
        if many and width > MOST_COLUMNS:
            raise DataError(
                f"encode.target: {len(self.columns_)} columns and {len(self.classes_)} classes would make "
                f"{width} columns, more than {MOST_COLUMNS}. Choose fewer with `on`, or task='regression'."
            )
        taken = [c for c in taken if c not in self.columns_ or not many]
        for column in self.columns_:
            self.names_[column] = [] if many else [column]
            for label in self.classes_ if many else ():
                name = free_name(f"{column}={label}", taken)
                self.names_[column].append(name)
                taken.append(name)

    def _tell(self, found: Levels) -> None:
        for name in self.columns_:
            rows = found.spread[name].rows
            alone, count = int((rows[:, :-1].sum(axis=0) == 1).sum()), int(rows.sum())
            if alone >= MANY_SINGLE * count:
                self.report(
                    "encoding.alone",
                    f"'{name}': {alone} of {count} labeled rows are alone in their level: what they tell of "
                    "the target is chance. Levels of one row can be given the mean of all rows.",
                    alone / count,
                    severity="medium",
                    columns=(name,),
                    n_rows=alone,
                    remedy={"encode.target": {"rare_rows": 2}},
                )
        if (rows.sum(axis=1) > 0).sum() < 2:
            what = f"group in '{self.group_}'" if self.group_ else "row id"
            self.report(
                "encoding.one_fold",
                f"All labeled rows lie in one fold by their {what}: as training rows they all get the mean "
                "of all rows. More rows or groups, or another random_state, part them.",
                float(count),
                severity="high",
            )

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Replace levels by the means of all rows."""
        return self._encoded(frame, None)

    def change_training(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Replace levels by the means of the folds that a row is not in."""
        if self.group_ and self.columns_ and self.group_ not in frame.collect_schema():
            raise DataError(
                f"encode.target: was fitted with the groups of '{self.group_}', which says what training "
                "rows may learn from. Pass the same groups with the training rows."
            )
        return self._encoded(frame, fold_by_hash(self.folds, self.random_state, ROW, self.group_))

    def _encoded(self, frame: pl.LazyFrame, fold: pl.Expr | None) -> pl.LazyFrame:
        if not self.columns_:
            return frame
        schema = frame.collect_schema()
        places = {c: free_name(f"__slot__{c}", schema.names()) for c in self.columns_}
        which = free_name("__fold__", schema.names())
        without = pl.lit(0) if fold is None else fold + 1
        slots = [self._slot(c, schema[c]).alias(place) for c, place in places.items()]
        slotted = frame.with_columns(*slots, without.cast(pl.UInt32).alias(which))
        return slotted.select(e for c in schema.names() for e in self._means(c, pl.col(which), places.get(c)))

    def _means(self, name: str, which: pl.Expr, place: str | None) -> list[pl.Expr]:
        if place is None:
            return [pl.col(name)]
        means = self.means_[name]
        cell = which * means.shape[1] + pl.col(place)
        return [
            pl.lit(pl.Series(means[:, :, j].ravel(), nan_to_null=True)).gather(cell).alias(made)
            for j, made in enumerate(self.names_[name])
        ]

    def _slot(self, name: str, dtype: pl.DataType) -> pl.Expr:
        text = as_level(name, dtype)
        if self.unseen == "error":
            text = text.map_batches(self._refuse(name), return_dtype=pl.String, is_elementwise=True)
        return slot_of(text, self.levels_[name])

    def _refuse(self, name: str) -> Any:
        known = self.levels_[name]

        def check(text: pl.Series) -> pl.Series:
            strange = text.filter(~text.is_in(known)).drop_nulls().unique().sort()
            if len(strange):
                raise DataError(
                    f"encode.target: column '{name}' holds {listed(map(repr, strange.to_list()), 5)}, which "
                    "was not there at fit. Use unseen='mean' or 'null', mend the cells, or fit again."
                )
            return text

        return check
