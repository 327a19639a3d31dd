"""Looks closer at fitted probes while a comparison runs: which looks are asked for, what they come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tilth.bench.arms import FoldResult, Probing
from tilth.bench.design import Design
from tilth.bench.explain import Explanation
from tilth.bench.importance import LOOK as SHUFFLED
from tilth.bench.importance import Importance, groups_of, importance_table
from tilth.bench.robustness import Challenges
from tilth.bench.robustness_result import Robustness, robustness_of
from tilth.bench.verdicts import Facts
from tilth.bench.worse import rows_of, slice_table
from tilth.table import Table

Asked = bool | Sequence[str] | Mapping[str, Any]


def looks(table: Table, explain: Asked, robustness: bool) -> tuple[Probing, ...]:
    """Return what is to be called with every fitted probe.

    Parameters
    ----------
    table : Table
    explain : bool, sequence of str, or mapping of name to selection
        As in `compare`.
    robustness : bool

    Raises
    ------
    ColumnError, DataError
        `explain` selects no feature, or too many without a name.
    """
    asked: list[Probing] = []
    if explain is not False:
        asked.append(Importance(groups_of(table, explain)))
    if robustness:
        asked.append(Challenges())
    return tuple(asked)


def explanation(
    results: Sequence[FoldResult], design: Design, facts: Facts, slices: pl.DataFrame
) -> Explanation:
    """Sum up which columns matter, and in which slices after is worse."""
    lines = [line for r in results for line in r.probed if line["look"] == SHUFFLED]
    rows = rows_of(design.slices, design.labeled)
    importance = importance_table(lines, design.folds, design.ratio)
    return Explanation(importance, slice_table(slices, rows, facts))


def withstood(results: Sequence[FoldResult], facts: Facts) -> Robustness:
    """Sum up how before and after fare on rows made worse."""
    return robustness_of([line for r in results for line in r.probed if line["look"] != SHUFFLED], facts)
