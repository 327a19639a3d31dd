"""All that is known of one training row: what stages found in it, did to it, and made of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from tilth.core import Finding
from tilth.errors import DataError
from tilth.table import ROW, Table

if TYPE_CHECKING:
    from tilth.pipeline.pipeline import Pipeline

WHY = pl.Schema(
    {
        "stage": pl.String,
        "what": pl.String,
        "column": pl.String,
        "reason": pl.String,
        "score": pl.Float64,
        "before": pl.String,
        "after": pl.String,
    }
)


def why(pipeline: Pipeline, table: Table, findings: Sequence[Finding], place: int) -> pl.DataFrame:
    """Tell of one training row what was found, what was done to it, and how its cells changed.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted on `table`.
    table : Table
    findings : sequence of Finding
        Those that name the row, among the first 1,000 rows of each, are told.
    place : int
        The row, from 0.

    Returns
    -------
    DataFrame
        ``stage, what, column, reason, score, before, after``; `what` is the code of a finding, what the
        ledger says was done (dropped, relabeled, weighted, repeated, added, grouped), or "cell" for a cell
        that a column stage changes, as it would in a new row.

    Raises
    ------
    DataError
        There is no such row.
    """
    if not 0 <= place < table.height:
        raise DataError(f"There is no row {place}: the training rows are 0 to {table.height - 1}.")
    row = table.frame.slice(place, 1).collect()
    known = int(row[ROW][0])
    told: list[dict[str, Any]] = [
        {"stage": f.stage, "what": f.kind, "column": ", ".join(f.columns) or None}
        | {"reason": f.message, "score": f.score}
        for f in findings
        if known in f.rows
    ]
    events = pipeline.ledger_.events.filter(pl.col("row") == known)
    for event in events.to_dicts():
        told.append({k: event[k] for k in ("stage", "reason", "score", "before", "after")})
        told[-1]["what"] = str(event["action"])
    cells = pipeline.explain(row.select(table.features)).to_dicts()
    told += [{"what": "cell", **cell} for cell in cells]
    return pl.DataFrame([{name: line.get(name) for name in WHY} for line in told], schema=WHY)
