"""Designs that go by time: each block of rows is tested by what was learned from earlier ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.core import Finding
from tilth.errors import ColumnError, DataError
from tilth.table import ROW, Table

Codes = NDArray[np.int64]
UNKNOWN = -1
"""The place in time of a row that has none: before all others."""
SHIFT = 0.5
"""Repeats move all blocks earlier, by up to this share of a block."""

FINDS = {
    "bench.time_order": "rows were tested by what was learned from earlier ones",
    "bench.time_unknown": "rows without a time were learned from and never tested",
}


def times_of(table: Table, time: Any, folds: int) -> tuple[Codes, list[Finding]]:
    """Return each row's place in time, from 0; rows of one moment share it, -1 where it is missing.

    Parameters
    ----------
    table : Table
    time : str or array-like of shape (n_rows,)
        The name of a column, or dates or numbers.
    folds : int

    Raises
    ------
    DataError
        Neither dates nor numbers, as many as there are rows, or fewer moments than blocks.
    """
    column = _column(table, time)
    who = f"Column '{time}'" if isinstance(time, str) else "time"
    if len(column) != table.height:
        raise DataError(f"time has {len(column)} values, but the table has {table.height} rows.")
    if not (column.dtype.is_temporal() or column.dtype.is_numeric()):
        raise DataError(
            f"{who} is {column.dtype}: rows are ordered by dates or numbers. Write dates as 2024-12-31, so "
            "that they are read as such."
        )
    column = column.fill_nan(None) if column.dtype.is_float() else column
    moments = column.n_unique() - bool(column.null_count())
    if moments <= folds:
        raise DataError(
            f"{who} holds {moments} moments, and {folds} blocks, each with earlier rows to learn from, need "
            f"at least {folds + 1}. Ask for fewer folds."
        )
    places = column.rank("dense").cast(pl.Int64) - 1
    message = (
        f"{who} orders the rows: each of {folds} blocks was tested by what was learned from earlier rows, "
        "and repeats move the blocks."
    )
    findings = [Finding("bench.time_order", message, float(moments), n_rows=table.height, stage="bench")]
    if unknown := column.null_count():
        message = f"{unknown:,} of {table.height:,} rows have no time: they were learned from, never tested."
        share = unknown / table.height
        findings.append(
            Finding("bench.time_unknown", message, share, "medium", n_rows=unknown, stage="bench")
        )
    return places.fill_null(UNKNOWN).to_numpy(), findings


def forward(time: Codes, folds: int, repeat: int = 0, repeats: int = 1) -> Codes:
    """Return in which block each row is tested; -1 for the first rows, and for those after the last block.

    The rows are cut into ``folds + 1`` parts of the same size, of which the first is only learned from.
    Repeats move the cuts earlier, evenly up to half a part, so that no two test the same blocks.

    Parameters
    ----------
    time : ndarray of shape (n_rows,), int64
        Rows of one moment are never parted.
    folds : int
        Blocks.
    repeat, repeats : int

    Examples
    --------
    >>> forward(np.arange(8), folds=3).tolist()
    [-1, -1, 0, 0, 1, 1, 2, 2]
    """
    known = time >= 0
    _, moment, size = np.unique(time[known], return_inverse=True, return_counts=True)
    middle = (np.cumsum(size) - size / 2)[moment]
    width = known.sum() / (folds + 1)
    cuts = width * (np.arange(1, folds + 2) - SHIFT * repeat / repeats)
    block = np.searchsorted(cuts, middle, side="right") - 1
    block[block == folds] = -1
    if repeat == 0:
        block[middle >= cuts[-1]] = folds - 1
    found = np.full(len(time), -1, np.int64)
    found[known] = block
    return found


def earlier(time: Codes, units: Codes, test: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the rows that may be learned from: before all test rows, and no group or copy of one of them."""
    return (time < time[test].min()) & ~np.isin(units, units[test])


def _column(table: Table, time: Any) -> pl.Series:
    if not isinstance(time, str):
        return pl.Series("time", time)
    frame = table.frame.collect()
    if time not in frame.columns:
        raise ColumnError.missing([time], [c for c in frame.columns if c != ROW], "time")
    return frame[time]
