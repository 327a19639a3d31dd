"""Fitting and applying a list of stages: the one place where the three kinds meet."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from tilth.core import plan as plans
from tilth.core import prior as priors
from tilth.core.batch import BatchStage
from tilth.core.finding import Finding
from tilth.core.ledger import Ledger
from tilth.core.stage import ColumnStage, PlanningStage, Stage
from tilth.errors import DataError, TilthWarning
from tilth.table import Table

Named = Sequence[tuple[str, Stage]]


@dataclass
class Prepared:
    """Hold what fitting made of the training rows.

    Parameters
    ----------
    table : Table
        The prepared training rows.
    rows : ndarray of int or None
        The source position of each prepared row, -1 for a fresh one; None: the same rows.
    touched : set of str
        The columns that a stage changed.
    prior : dict of class to float
        By what probabilities are multiplied to undo what stages did to class frequencies; see `prior`.
    """

    table: Table
    rows: np.ndarray | None = None
    touched: set[str] = field(default_factory=set)
    ledger: Ledger = field(default_factory=Ledger)
    findings: list[Finding] = field(default_factory=list)
    prior: priors.Prior = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table) -> Prepared:
        """Begin with rows that no stage has seen."""
        return cls(table, ledger=Ledger(rows_in=table.height))

    def branch(self) -> Prepared:
        """Return a copy that can be fitted further, while this one stays as it is."""
        ledger = replace(self.ledger, fresh=dict(self.ledger.fresh))
        return replace(self, touched=set(self.touched), ledger=ledger, findings=list(self.findings))


def fit(stages: Named, table: Table, progress: Callable[[str], None] | None = None) -> Prepared:
    """Fit the stages in order; after a row stage, later stages learn from the rows that are left.

    Parameters
    ----------
    stages : sequence of (name, Stage)
    table : Table
        The training rows; not changed.
    progress : callable, optional
        Told the name of each stage before it is fitted.
    """
    done = Prepared.of(table)
    for name, stage in stages:
        if progress is not None:
            progress(name)
        fit_next(name, stage, done)
    done.ledger.rows_out = done.table.height
    return done


def fit_next(name: str, stage: Stage, done: Prepared) -> None:
    """Fit one more stage on the rows as those before it left them; updates `done`."""
    if isinstance(stage, ColumnStage):
        _fit_columns(name, stage, done)
    elif isinstance(stage, PlanningStage) and stage.on_rows:
        _fit_rows(name, stage, done)
    elif isinstance(stage, BatchStage):
        stage.fit_table(done.table)
    done.findings += stage.findings_


def apply(stages: Named, frame: pl.LazyFrame, *, training: bool = False) -> pl.LazyFrame:
    """Add the fitted column stages to the query; row and batch stages cannot be reached from here.

    Parameters
    ----------
    training : bool
        The rows are those that were learned from.
    """
    for _, stage in stages:
        if isinstance(stage, ColumnStage):
            frame = stage.change_training(frame) if training else stage.change(frame)
    return frame


def replay(stages: Named, table: Table, ledger: Ledger) -> Table:
    """Bring the rows that were fitted on to where fitting left them: columns by stages, rows by the ledger.

    Raises
    ------
    DataError
        If `table` has another number of rows than were fitted on.
    """
    if table.height != ledger.rows_in:
        raise DataError(
            f"The pipeline was fitted on {ledger.rows_in} rows, and these are {table.height}: "
            "they cannot be its training rows. Pass the rows given to fit, or training=False for other rows."
        )
    for name, stage in stages:
        if isinstance(stage, ColumnStage):
            table = table.with_frame(stage.change_training(table.frame))
        elif isinstance(stage, PlanningStage) and stage.on_rows:
            table = ledger.replay_stage(name, table)
    return table


def fused(stages: Named) -> bool:
    """Tell whether the column stages are expressions only, so that the query works row by row."""
    return all(stage.fused for _, stage in stages if isinstance(stage, ColumnStage))


def _fit_columns(name: str, stage: ColumnStage, done: Prepared) -> None:
    before = done.table
    stage.fit_table([before])
    _warn_of_copies(name, stage, done)
    after = stage.change_training(before.frame)
    if not stage.fused:
        # Later statistics would carry out the costly step again and again.
        after = after.collect().lazy()
    done.table = before.with_frame(after)
    done.touched |= set(stage.columns_)
    had, has = before.schema.names(), done.table.schema.names()
    gone = [c for c in had if c not in has]
    kept = [c for c in stage.columns_ if c in has]
    cells = {c: stage.cells_.get(c, 0) for c in kept} if stage.partial else dict.fromkeys(kept, before.height)
    done.ledger.record_columns(name, cells, [c for c in has if c not in had], gone)


def _warn_of_copies(name: str, stage: ColumnStage, done: Prepared) -> None:
    if not (stage.cross_fits and stage.columns_) or done.rows is None or done.table.roles.group is not None:
        return
    known = done.rows[done.rows >= 0]
    copies = len(done.rows) - len(np.unique(known))
    if copies:
        warnings.warn(
            f"{name}: {copies} rows were repeated or made of others by a stage before it, so that a row's "
            "label can reach the row through its copies. Put the stage that adds rows behind it, or name a "
            "group column.",
            TilthWarning,
            stacklevel=2,
        )


def _fit_rows(name: str, stage: PlanningStage, done: Prepared) -> None:
    before = done.table.collect()
    plan = stage.fit_table(before)
    after = plans.apply(plan, before, name, seed=int(getattr(stage, "random_state", 0)))
    done.ledger.record_rows(name, plan, before, after)
    if stage.shifts_prior and getattr(stage, "correct_prior", True):
        done.prior = priors.product(done.prior, priors.shift(before, after))
    sources = plan.sources
    if done.rows is not None:
        sources = np.where(sources < 0, -1, done.rows[sources])
    done.table, done.rows = after, sources
