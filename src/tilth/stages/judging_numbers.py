"""What models say of the numbers of rows that they did not see, and how sure they can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.errors import DataError
from tilth.stages.folds import folds_of
from tilth.stages.judging import STEP, chosen, out_of_fold
from tilth.statistics.residuals import capped, local_spread, standardized, trusted
from tilth.table import Table, kind_of

ROUNDING = 1e-9
"""Standard deviations of the target that a model is not held to."""


@dataclass(frozen=True)
class Expectation:
    """Hold what models that never saw a row expect of its value.

    Parameters
    ----------
    rows : ndarray of shape (n_judged,), int64
        Positions of the rows that were judged, in the order of their ids.
    given : ndarray of shape (n_judged,), float64
        Their values.
    expected : ndarray of shape (n_judged,), float64
        The values expected, by models fitted on other rows.
    spread : ndarray of shape (n_judged,), float64
        How far values such as the row's lie from what is expected of them: a standard deviation.
    why : str
        Why no row was judged; empty where rows were.
    probe : str
        Who judged.
    """

    rows: NDArray[np.int64]
    given: NDArray[np.float64]
    expected: NDArray[np.float64]
    spread: NDArray[np.float64]
    why: str = ""
    probe: str = ""

    @property
    def residual(self) -> NDArray[np.float64]:
        """Return how far the values lie above what is expected."""
        return self.given - self.expected


def judge_numbers(
    table: Table,
    columns: list[str],
    stage: str,
    *,
    probe: Any,
    folds: int | Literal["one"],
    repeats: int,
    looks: int,
    random_state: int,
) -> Expectation:
    """Ask for each row models that were fitted on other rows, none of its group, about its value.

    Parameters
    ----------
    table : Table
        With a target of numbers. Rows of weight 0, or without a value, are as if absent.
    columns : list of str
        What the models see.
    stage : str
        For messages.
    probe : str or estimator
        Who judges; see `tilth.stages.judging.chosen`. The loss is the mean absolute error, which a few
        wrong values do not decide.
    folds : int or 'one'
        Parts that are judged one after another; 'one': each row, or group, is a part of its own.
    repeats : int
        How often the rows are dealt out anew; what is expected are means.
    looks : int
        How often all are asked. From the second time on rows that lay far off the time before count for next
        to nothing: wrong values then mislead models less.
    random_state : int

    Returns
    -------
    Expectation
        Of no row where all are in one group or have the same value.
    """
    values, usable = _numbers(table, stage)
    weight, groups = table.role("weight"), table.role("group")
    if weight is not None:
        usable &= weight.to_numpy() > 0
    # Some models depend on the order of rows: all see the same one.
    order = np.argsort(table.ids, kind="stable")
    rows = order[usable[order]]
    some = None if groups is None else groups[rows]
    if why := _unjudged(values[rows], some):
        none = np.empty(0)
        return Expectation(np.empty(0, np.int64), none, none, none, why)
    # Models see standardized values: none depends on their unit then, and no square overflows.
    top = np.abs(values[rows]).max()
    shrunk = values[rows] / top
    scale = shrunk.std()
    target = (shrunk - shrunk.mean()) / scale
    inputs = table.frame.select(columns).collect()[rows]
    weights = None if weight is None else weight.to_numpy().astype(np.float64)[rows]
    parts, times = (len(rows), 1) if folds == "one" else (folds, repeats)
    dealings = [
        folds_of(table.ids[rows], parts, random_state + turn * STEP, groups=some) for turn in range(times)
    ]

    def asked(
        who: Any, what: NDArray[np.float64], fold: NDArray[np.int64], trust: Any
    ) -> NDArray[np.float64]:
        given = {"probe": who, "weight": trust, "random_state": random_state}
        return out_of_fold(inputs, what, fold, task="regression", **given)

    def mean(what: NDArray[np.float64], trust: Any) -> NDArray[np.float64]:
        return np.mean([asked(best, what, fold, trust) for fold in dealings], axis=0)

    def loss(answer: NDArray[np.float64]) -> float:
        return float(np.average(np.abs(target - answer), weights=weights))

    def around(expected: NDArray[np.float64], trust: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        residual = target - expected
        residual[np.abs(residual) < ROUNDING] = 0
        return residual, local_spread(residual, mean(capped(residual), trust))

    best, first = chosen(probe, lambda who: asked(who, target, dealings[0], weights), loss, "regression")
    more = (asked(best, target, fold, weights) for fold in dealings[1:])
    residual, spread = around(np.mean([first, *more], axis=0), weights)
    for _ in range(looks - 1):
        believed = trusted(standardized(residual, spread)) * (1.0 if weights is None else weights)
        # As much weight in all as before: with less, a penalty would weigh more.
        believed *= (len(rows) if weights is None else weights.sum()) / believed.sum()
        residual, spread = around(mean(target, believed), believed)
    unit = scale * top
    name = best if isinstance(best, str) else "linear" if isinstance(probe, str) else type(best).__name__
    return Expectation(rows, values[rows], values[rows] - residual * unit, spread * unit, probe=name)


def _numbers(table: Table, stage: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the values of the target, and which rows have one."""
    target = table.need("target", stage)
    if kind_of(target.dtype) != "numeric":
        raise DataError(
            f"{stage}: works on numbers, but the target '{target.name}' holds {target.dtype}. "
            "Use labels.clean for classes; turn dates and texts that are numbers into numbers first."
        )
    values = target.cast(pl.Float64).fill_nan(None)
    known = values.is_not_null().to_numpy()
    numbers = values.fill_null(0).to_numpy().copy()
    infinite = np.flatnonzero(~np.isfinite(numbers))
    if len(infinite):
        raise DataError(
            f"{stage}: the target '{target.name}' is infinite in {len(infinite)} rows, the first being row "
            f"{infinite[0]}. Mend or drop them."
        )
    return numbers, known


def _unjudged(values: NDArray[np.float64], groups: pl.Series | None) -> str:
    """Say why values cannot be judged."""
    if len(values) < 2:
        return f"{len(values)} rows have a value and a weight"
    if groups is not None and groups.null_count() == 0 and groups.n_unique() == 1:
        return "all rows are of one group"
    return f"all values are {values[0]:g}" if (values == values[0]).all() else ""
