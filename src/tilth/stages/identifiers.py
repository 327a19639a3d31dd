"""Columns that name the rows, or what several rows belong to, rather than describe them."""

from __future__ import annotations

import numpy as np
import polars as pl

from tilth.stages.column import Column, sentences, shown
from tilth.stages.dates import dates
from tilth.stages.names import around_number, machine_of

MANY_KEYS = 50
"""Names that machines made of what rows belong to: of fewer, they are categories."""

FEW_ROWS_FOR_AN_ID = 20
NAMES = 0.99
"""From this share of different values on, texts name the rows."""

NO_REPEATS = 20
"""Values drawn from a range would meet so often by chance, and none do: they were given out, one to a row."""


def names_rows(column: Column) -> str:
    """Say how numbers or texts name the rows, one each, as the rest of a sentence; empty: they do not.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.Series("id", range(30))
    >>> names_rows(Column("id", "numeric", rows, rows.to_numpy()))
    'has another whole number in each row, in the order of the rows: it counts them'
    """
    if _few(column):
        return ""
    return _named(column) if column.kind == "categorical" else _numbered(column)


def names_groups(column: Column) -> str:
    """Say which machine made the names of what several rows belong to; an empty text: none."""
    if _few(column) or column.kind != "categorical" or column.distinct <= MANY_KEYS:
        return ""
    return machine_of(column.texts["plain"])


def _few(column: Column) -> bool:
    few = column.rows < FEW_ROWS_FOR_AN_ID or column.filled < NAMES * column.rows
    return few or column.kind not in ("numeric", "categorical")


def _named(column: Column) -> str:
    """Say how texts name the rows, or nothing."""
    if column.distinct < NAMES * column.filled or sentences(column):
        return ""
    if dates(column.texts.head(100)).mask.mean() == 1:
        return ""  # moments seldom repeat either
    names = f"{column.distinct} different texts in {column.rows} rows"
    if made := machine_of(column.texts["plain"]):
        return f"holds {made}, {names}: it names the rows"
    around = around_number(column.texts["value"])
    if around and any(around):
        return f"has {names}, all {shown('…'.join(around))} around a number: it numbers the rows"
    return f"has {names}: it names the rows"


def _numbered(column: Column) -> str:
    """Say how whole numbers number the rows, or nothing."""
    whole = column.series.drop_nulls().cast(pl.Float64)
    if column.distinct < column.filled or not bool((whole.is_finite() & (whole == whole.round())).all()):
        return ""
    values = whole.to_numpy()
    steps = np.diff(values)
    told = "has another whole number in each row"
    if (steps > 0).all() or (steps < 0).all():
        even = "it counts them" if np.ptp(steps) == 0 else "it numbers them, or their time"
        return f"{told}, in the order of the rows: {even}"
    span = float(np.ptp(values)) + 1
    if len(values) * (len(values) - 1) / (2 * span) >= NO_REPEATS:
        return f"{told}, {values.min():.0f} to {values.max():.0f}: given out to the rows, or ranks of them"
    return ""
