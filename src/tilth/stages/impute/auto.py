"""Choose the imputer that recovers the known cells of these data best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le
from pydantic import Field
from sklearn.utils.validation import check_is_fitted

from tilth.core.parameters import spoken
from tilth.core.stage import ColumnStage, Selection
from tilth.stages.imputing import FINDS
from tilth.stages.trial import candidate, compare
from tilth.statistics import Statistics
from tilth.table import ROW, Table

CANDIDATES: tuple[str | dict[str, Any], ...] = (
    "impute.simple",
    {"impute.simple": {"numeric": "mean"}},
    {"impute.iterative": {"model": "linear"}},
    "impute.neighbors",
    "impute.iterative",
)
"""What is tried unless other methods are named: the simplest first."""


class ImputeAuto(ColumnStage):
    """Fill missing cells by the method that recovers hidden ones best.

    Learns
        In a sample, known cells are hidden: some at random, and some by laying the gaps of a row over the
        row most like it. Each candidate learns from what is left and fills them. A column's loss is the
        root mean square error over its standard deviation (numbers and dates, held to their middle 98%),
        or the share of wrong cells (categories); a candidate's is the mean over the columns, weighted by
        their missing cells, and over both ways of hiding. The smallest loss wins; an earlier, simpler
        candidate is taken where it is behind by less than one standard error and 1% of the loss. It then
        learns from all rows.
    New data
        As the chosen method does it.
    Training
        As the chosen method does it.
    Weights
        Ignored.
    Cost
        Each candidate is fitted on the sample up to `repeats` times; those clearly behind drop out early.
        Then the chosen one is fitted on all rows.
    Scaling
        The choice rests on a sample, the same for any partition; the rest as the chosen method.

    The recipe of a fitted pipeline names the chosen method in place of this stage, so what was found out
    once is not found out anew, perhaps differently, on other rows.

    Parameters
    ----------
    candidates : list of str or dict, optional
        Recipe lines of the stages to try, the simplest first: ``["impute.simple", {"impute.iterative":
        {"model": "linear"}}]``. By default the median, the mean, chained equations of linear models, the
        nearest neighbors, and chained equations of boosted trees.
    max_rows : int, >= 1
        Rows to try on, a sample by `random_state`.
    repeats : int, >= 1
        Times that cells are hidden, at most.
    share : float, > 0, <= 0.5
        Of the known cells that are hidden at random, and of the rows over which gaps are laid.
    indicator : bool
        Add a boolean column ``<name>_missing`` for each column that had missing cells at fit.
    random_state : int
        For the sample, for what is hidden, and for candidates that draw.
    on : selection, optional
        The columns; by default all numeric, categorical, boolean and datetime ones.

    Attributes
    ----------
    chosen_ : dict
        The recipe line of the chosen method.
    stage_ : ColumnStage
        The chosen method, fitted.
    trials_ : DataFrame
        A line per candidate: its loss, how far that is behind the smallest with the standard error, the
        loss by the way of hiding, NRMSE, accuracy, and seconds (null once loaded from a bundle).
    by_column_ : DataFrame
        The losses column by column.

    Findings
        impute.choice : which method was chosen, and how far off the methods were.
        missing.filled : a column had missing cells.
        missing.all : a column had no value at all.

    Raises
        TilthError : no candidate can work on these rows, or the chosen one cannot on all of them.
        StageError : a candidate is no column stage.

    Source
        Jarrett et al., "HyperImpute" (ICML 2022), choose column by column by hidden cells. The rule of one
        standard error: Breiman et al., "Classification and Regression Trees" (1984).

    Examples
    --------
    >>> import polars as pl
    >>> from tilth.stages import stage
    >>> rows = pl.DataFrame({"a": [float(i % 7) for i in range(60)]}).with_columns(b=pl.col("a") * 2)
    >>> rows = rows.with_columns(pl.when(pl.int_range(60) % 5 > 0).then("b").alias("b"))
    >>> auto = stage("impute.auto", candidates=["impute.simple", {"impute.iterative": {"model": "linear"}}])
    >>> filled = auto.fit_transform(rows)
    >>> auto.chosen_
    {'impute.iterative': {'model': 'linear'}}
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {"impute.choice": "which method was chosen, and how far off the methods were"} | FINDS
    fused: ClassVar = False
    partial: ClassVar = True
    scaling: ClassVar = "sample"

    def __init__(
        self,
        *,
        candidates: Annotated[list[str | dict[str, dict[str, Any]]], Field(min_length=1)] | None = None,
        max_rows: Annotated[int, Ge(1)] = 2000,
        repeats: Annotated[int, Ge(1)] = 3,
        share: Annotated[float, Gt(0), Le(0.5)] = 0.1,
        indicator: bool = False,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.candidates = candidates
        self.max_rows = max_rows
        self.repeats = repeats
        self.share = share
        self.indicator = indicator
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        simple: list[Any] = ["impute.simple", {"impute.simple": {"numeric": "mean"}}]
        linear = {"impute.iterative": {"model": "linear"}}
        return [
            {"candidates": [*simple, linear], "repeats": 1},
            {"candidates": [linear, "impute.neighbors"], "repeats": 2, "max_rows": 60, "indicator": True},
        ]

    def fit_table(self, shards: Sequence[Table]) -> Self:
        """Try the candidates, and fit the one that is chosen on all rows."""
        super().fit_table(shards)
        self.stage_ = self.concrete().fit_table(shards)
        self.cells_ = self.stage_.cells_
        for found in self.stage_.findings_:
            if found.kind in self.finds:
                self._add(replace(found, stage=self.key))
        return self

    def learn(self, statistics: Statistics) -> None:
        """Try the candidates on a sample."""
        makers = [candidate(line, random_state=self.random_state) for line in self.candidates or CANDIDATES]
        rows = statistics.sample([*self.columns_, ROW], self.max_rows, self.random_state)
        trial = compare(
            makers, rows, self.columns_, share=self.share, repeats=self.repeats, seed=self.random_state
        )
        chosen = trial.chosen()
        best = makers[chosen]
        self.chosen_ = {best.key: spoken(best)}
        self.scores_, self.by_column_ = trial.summary(), trial.by_column()
        # Wall-clock time is no knowledge of the data: it is not saved, and two fits differ in it.
        self._seconds = trial.seconds
        if self.columns_:
            self.report(
                "impute.choice",
                trial.in_words(rows.height, chosen),
                float(np.nan_to_num(trial.losses()[chosen])),
                columns=tuple(trial.columns),
                remedy={best.key: spoken(self.concrete())},
            )

    def concrete(self) -> ColumnStage:
        """Return the method that was chosen, not fitted, with the own columns and indicator."""
        if not hasattr(self, "chosen_"):
            return self
        return candidate(self.chosen_, on=self.on, indicator=self.indicator)

    @property
    def trials_(self) -> pl.DataFrame:
        """Return one line per method, with the seconds it took."""
        check_is_fitted(self)
        seconds = getattr(self, "_seconds", [None] * self.scores_.height)
        return self.scores_.with_columns(pl.Series("seconds", seconds, dtype=pl.Float64))

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Fill the gaps as the chosen method does."""
        return self.stage_.change(frame)
