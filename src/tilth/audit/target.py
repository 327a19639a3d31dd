"""Checks of the target and of how many rows there are to learn it from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from tilth.audit.column import Column
from tilth.core.finding import Finding, Severity
from tilth.probes.target import task_of
from tilth.stages.column import shown
from tilth.table import Table

FINDS = {
    "target.missing": "rows have no label",
    "target.one_class": "the target has one value, so there is nothing to learn",
    "target.imbalance": "one class is much rarer than another",
    "target.rare_class": "a class has too few rows to be learned and judged",
    "rows.few": "there are few rows, or few for so many columns",
}

IMBALANCED = 0.2
FEW_ROWS = 200
FEW_PER_COLUMN = 5
FEW_OF_A_CLASS = 10


def is_classes(target: Column) -> bool:
    """Tell whether the target poses a classification, in the way the probes decide it."""
    if not target.series.dtype.is_numeric() or target.filled == 0:
        return True
    return task_of(target.series.drop_nulls().to_numpy()) == "classification"


def target(target: Column) -> Iterator[Finding]:
    """Find rows without a label, and what is odd about the classes."""
    name, rows = target.name, target.rows
    if missing := rows - target.filled:
        message = f"The target '{name}' is missing in {missing} of {rows} rows: they cannot be learned from."
        # Numbers are not guessed at: rows without one are for a person to fill or to leave out.
        remedy: dict | None = {"labels.pseudo": {}} if target.distinct > 1 and is_classes(target) else None
        mask = target.series.is_null()
        yield target.finding("target.missing", message, missing / rows, "high", mask=mask, remedy=remedy)
    if target.distinct <= 1:
        message = f"The target '{name}' has {target.distinct or 'no'} value: there is nothing to learn."
        yield target.finding("target.one_class", message, 1.0, "high")
        return
    if not is_classes(target):
        return
    counts = target.counts["count"].to_numpy()
    rarest, ratio = target.counts.row(-1), float(counts[-1] / counts[0])
    if ratio < 0.5:
        share = rarest[1] / target.filled
        message = (
            f"The target '{name}' is imbalanced: {shown(rarest[0])} has {rarest[1]} rows ({share:.1%}), "
            f"{shown(target.counts.row(0)[0])} has {counts[0]}."
        )
        severity: Severity = "high" if ratio < 0.02 else "medium" if ratio < IMBALANCED else "info"
        yield target.finding(
            "target.imbalance", message, 1 - ratio, severity, remedy={"balance.threshold": {}}
        )
    rare = target.counts.filter(pl.col("count") < FEW_OF_A_CLASS)
    if rare.height:
        told = ", ".join(f"{shown(v)} ({n})" for v, n in rare.head(5).iter_rows())
        mask = target.series.is_in(rare["value"].implode())
        message = (
            f"The target '{name}' has {rare.height} classes with fewer than {FEW_OF_A_CLASS} rows: {told}."
        )
        yield target.finding(
            "target.rare_class", message, float(rare["count"].sum()) / rows, "medium", mask=mask
        )


def rows(table: Table) -> Iterator[Finding]:
    """Find tables with few rows: scores on them are uncertain."""
    height, width = table.height, len(table.features)
    if height < FEW_ROWS:
        message = f"There are {height} rows: differences between models will mostly be chance."
        yield Finding(
            "rows.few", message, float(np.clip(1 - height / FEW_ROWS, 0, 1)), "medium", stage="audit.rows"
        )
    elif height < FEW_PER_COLUMN * width:
        message = f"There are {height} rows for {width} columns: fewer than {FEW_PER_COLUMN} rows per column."
        score = 1 - height / (FEW_PER_COLUMN * width)
        yield Finding("rows.few", message, score, "medium", stage="audit.rows")
