"""Try imputers on cells that are known: hide them, have them filled, and measure how far off that is."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from sklearn.base import clone

from tilth.core.parameters import check, model_of, spoken
from tilth.core.stage import ColumnStage
from tilth.errors import StageError, TilthError, TilthWarning
from tilth.stages import stage
from tilth.stages.hiding import GROUPS, MECHANISMS, Known
from tilth.table import ROW, Table

Line = str | Mapping[str, Mapping[str, Any]]
"""A line of a recipe: the key of a stage, or that with its parameters."""

CLOSE = 0.01
"""The share of the loss that a simpler method may cost; one standard error alone gives more away."""

FAR_BEHIND = 3.0
"""Standard errors behind the best from which on a candidate is not tried again."""


@dataclass
class Trial:
    """Hold how far off each candidate was on hidden cells, and say which is to be chosen.

    The loss of a column is the root mean square error over the column's standard deviation for numbers
    and dates (NRMSE: the mean has 1), all held to their middle 98%, so that no single far value decides;
    and the share of wrong cells for categories. The loss of a method is the mean over the columns, each
    weighted by its missing cells, and then over the two mechanisms.

    Parameters
    ----------
    methods : list of str
        Recipe lines, the simplest first.
    columns : list of str
    numeric : ndarray of shape (n_columns,), bool
        Numbers and dates, against categories.
    weight : ndarray of shape (n_columns,)
        Missing cells of each column.
    off, cells : ndarray of shape (n_methods, 2, n_columns, GROUPS)
        Squared errors over the variance, or wrong cells, summed; and hidden cells.
    seconds, repeats : ndarray of shape (n_methods,)
        Time to learn and fill in all, and times tried.
    problems : dict of method to str
        What kept a method from being tried.
    """

    methods: list[str]
    columns: list[str]
    numeric: np.ndarray
    weight: np.ndarray
    off: np.ndarray
    cells: np.ndarray
    seconds: np.ndarray
    repeats: np.ndarray
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, methods: Sequence[str], known: Known) -> Trial:
        """Return a trial in which nothing was tried yet."""
        count, shape = len(methods), (len(methods), len(MECHANISMS), len(known.columns), GROUPS)
        return cls(
            list(methods),
            known.columns,
            known.numeric,
            known.weight,
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(count),
            np.zeros(count, np.int64),
        )

    def losses(self) -> np.ndarray:
        """Return the loss of each method; NaN where nothing could be measured."""
        return self._loss(self.off.sum(-1), self.cells.sum(-1))

    def error(self, one: int, other: int) -> float:
        """Return the standard error of the difference of two losses, by a delete-a-group jackknife."""
        both = [one, other]
        off, cells = self.off[both].sum(-1), self.cells[both].sum(-1)
        used = np.flatnonzero(self.cells[both].any((0, 1, 2)))
        left = [self._loss(off - self.off[both, ..., g], cells - self.cells[both, ..., g]) for g in used]
        away = np.array([a - b for a, b in left])
        if len(away) < 2 or np.isnan(away).any():
            return float("inf")
        return float(np.sqrt((len(away) - 1) / len(away) * np.square(away - away.mean()).sum()))

    @property
    def best(self) -> int:
        """Return the method of the smallest loss; the first where nothing could be measured."""
        losses = self.losses()
        return int(np.argmin(np.where(np.isnan(losses), np.inf, losses)))

    def chosen(self, errors: float = 1.0, close: float | None = CLOSE) -> int:
        """Return the first method whose loss is behind the smallest by so few standard errors, and so little.

        Parameters
        ----------
        errors : float
            Standard errors of the difference.
        close : float or None
            Share of the smallest loss; None: whatever the share.
        """
        losses, best = self.losses(), self.best
        behind = losses - losses[best]
        most = np.inf if close is None else close * losses[best]
        near = (i for i in range(best) if behind[i] <= min(most, errors * self.error(i, best)))
        return next(near, best)

    def contenders(self) -> list[int]:
        """Return the methods that may still turn out to be the best."""
        losses, best = self.losses(), self.best
        tried = [i for i, name in enumerate(self.methods) if name not in self.problems]
        return [i for i in tried if not losses[i] - losses[best] > FAR_BEHIND * self.error(i, best)]

    def summary(self) -> pl.DataFrame:
        """Return one line per method.

        Columns
        -------
        method, loss : its recipe line; its loss
        behind, error : how far its loss is from the smallest, and the standard error of that
        random, pattern : its loss on cells hidden in one way
        nrmse, accuracy : over numbers and dates; over categories
        repeats, chosen, problem
        """
        losses, best, chosen = self.losses(), self.best, self.chosen()
        off, cells = self.off.sum(-1), self.cells.sum(-1)
        rates = self._rates(off, cells)
        of_kind = [_mean(rates, self.weight * (cells > 0) * kind) for kind in (self.numeric, ~self.numeric)]
        told = {
            "method": self.methods,
            "loss": losses,
            "behind": losses - losses[best],
            "error": [0.0 if i == best else self.error(i, best) for i in range(len(losses))],
            **dict(zip(MECHANISMS, _mean(rates, self.weight * (cells > 0)).T, strict=True)),
            "nrmse": _mean_known(of_kind[0]),
            "accuracy": 1 - _mean_known(of_kind[1]),
            "repeats": self.repeats,
            "chosen": [i == chosen for i in range(len(losses))],
            "problem": pl.Series([self.problems.get(name) for name in self.methods], dtype=pl.String),
        }
        floats = pl.col(pl.Float64)
        return pl.DataFrame(told).with_columns(pl.when(floats.is_finite()).then(floats))

    def in_words(self, rows: int, chosen: int) -> str:
        """Say in one sentence what was tried on so many rows, and what came out."""
        losses, best = self.losses(), self.best
        tried = [i for i in range(len(losses)) if self.repeats[i]]
        if not tried or np.isnan(losses[chosen]):
            return f"Too few cells are known to try methods on: {self.methods[chosen]}, the first, is taken."
        cells = int(self.cells[chosen].sum())
        others = sorted((i for i in tried if i != chosen), key=lambda i: losses[i])
        told = ", ".join(f"{self.methods[i]} {losses[i]:.3f}" for i in others)
        why = ", simpler and within the error of the best" if chosen != best else ""
        return (
            f"Of {len(tried)} methods tried on {cells} hidden cells of {rows} rows, {self.methods[chosen]} "
            f"is taken, with a loss of {losses[chosen]:.3f} per cell{why}{f'; {told}' if told else ''}."
        )

    def by_column(self) -> pl.DataFrame:
        """Return one line per method, mechanism and column: ``method, hidden, column, cells, loss``."""
        off, cells = self.off.sum(-1), self.cells.sum(-1)
        rates = self._rates(off, cells)
        lines = [
            (method, mechanism, column, int(cells[i, j, k]), float(rates[i, j, k]))
            for i, method in enumerate(self.methods)
            for j, mechanism in enumerate(MECHANISMS)
            for k, column in enumerate(self.columns)
            if cells[i, j, k]
        ]
        schema = {
            "method": pl.String,
            "hidden": pl.String,
            "column": pl.String,
            "cells": pl.Int64,
            "loss": pl.Float64,
        }
        return pl.DataFrame(lines, schema=schema, orient="row")

    def _rates(self, off: np.ndarray, cells: np.ndarray) -> np.ndarray:
        rates = np.divide(np.maximum(off, 0.0), cells, out=np.zeros_like(off), where=cells > 0)
        return np.where(self.numeric, np.sqrt(rates), rates)

    def _loss(self, off: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Return the loss from sums of shape (n_methods, 2, n_columns)."""
        return _mean_known(_mean(self._rates(off, cells), self.weight * (cells > 0)))


def _mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return weighted means over the last axis; NaN where there is no weight."""
    total = weight.sum(-1)
    return np.divide((values * weight).sum(-1), total, out=np.full(total.shape, np.nan), where=total > 0)


def _mean_known(values: np.ndarray) -> np.ndarray:
    """Return means over the last axis of what is no NaN; NaN where nothing is."""
    return _mean(np.nan_to_num(values), (~np.isnan(values)).astype(float))


def compare(
    candidates: Sequence[ColumnStage],
    frame: pl.DataFrame,
    columns: Sequence[str],
    *,
    share: float = 0.1,
    repeats: int = 3,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> Trial:
    """Hide known cells, fill them by each candidate, and measure how far off they are.

    Each candidate learns from the rows with the hidden cells missing on top of the real gaps, and fills
    the same rows: what `fit_transform` would do. After a repeat, candidates that are clearly behind drop
    out, so the figures of all others are of the same cells. A candidate that cannot work on these rows
    is no contender; the trial says why.

    Parameters
    ----------
    candidates : sequence of ColumnStage
        The simplest first; not changed.
    frame : DataFrame
        With the row ids.
    columns : sequence of str
    share : float
        Of the cells that are hidden, per repeat and mechanism.
    repeats : int
        At most.
    seed : int
    tell : callable
        Told what is being tried.

    Raises
    ------
    TilthError
        If no candidate can work on these rows: that of the first.
    """
    known = Known(frame, columns, share, seed)
    trial = Trial.of([line_of(c) for c in candidates], known)
    running = list(range(len(candidates)))
    errors: list[TilthError] = []
    for repeat in range(repeats if known.columns else 0):
        hidden = known.hide(repeat)
        table = Table.of(known.without(hidden).select(*columns, ROW))
        for one in running:
            tell(trial.methods[one])
            start = time.perf_counter()
            try:
                filled = _filled(candidates[one], table)
            except (TilthError, pl.exceptions.PolarsError) as error:
                trial.problems[trial.methods[one]] = str(error).strip().partition("\n")[0]
                errors += [error] if isinstance(error, TilthError) else []
                continue
            trial.seconds[one] += time.perf_counter() - start
            trial.repeats[one] += 1
            trial.off[one] += known.off(filled, hidden)
            trial.cells[one] += known.count(hidden)
        running = trial.contenders()
        if len(running) < 2:
            break
    if candidates and len(trial.problems) == len(candidates) and errors:
        raise errors[0]
    return trial


def candidate(line: Line, **given: Any) -> ColumnStage:
    """Make the stage of a recipe line; it gets those of `given` that it has and the line does not say.

    Raises
    ------
    StageError
        If it is no column stage.
    """
    ((key, params),) = line.items() if isinstance(line, Mapping) and len(line) == 1 else ((line, {}),)
    made = stage(key, **params) if isinstance(key, str) else None
    if not isinstance(made, ColumnStage):
        raise StageError(f"{line!r} is no column stage to be tried. Name imputers, each as in a recipe.")
    known = model_of(type(made)).model_fields
    made.set_params(**{n: v for n, v in given.items() if n in known and n not in params})
    check(made)
    return made


def line_of(one: ColumnStage) -> str:
    """Return a stage as a line of a recipe: ``impute.iterative: {model: linear}``."""
    params = spoken(one)
    return f"{one.key}: {{{', '.join(f'{k}: {_word(v)}' for k, v in params.items())}}}" if params else one.key


def _word(value: Any) -> str:
    return value if isinstance(value, str) and value.isidentifier() else json.dumps(value, default=str)


def _filled(candidate: ColumnStage, table: Table) -> pl.DataFrame:
    made = clone(candidate)
    with warnings.catch_warnings():
        # What is fitted here is thrown away; the one that is chosen warns when it is fitted.
        warnings.simplefilter("ignore", TilthWarning)
        made.fit_table([table])
        return made.change(table.frame).collect()
