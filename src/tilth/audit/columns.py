"""Checks of one column: does it tell anything, is it an id, are its values what they seem."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import polars as pl

from tilth.audit import texts
from tilth.audit.column import Column
from tilth.audit.texts import variants
from tilth.core.finding import Finding
from tilth.stages.column import sentences, shown
from tilth.stages.identifiers import NAMES, names_groups, names_rows

FINDS = {
    "column.constant": "a column has one value in all rows",
    "column.nearly_constant": "one value fills almost all rows",
    "column.id": "a column numbers or names the rows, so it cannot tell anything about new ones",
    "column.key": "a column names what rows belong to",
    "column.many_categories": "a categorical column has many categories",
    "column.rare_categories": "most categories occur only a few times",
    "column.infinite": "a numeric column holds infinity",
    "column.days": "whole numbers are days, written as year, month and day",
    "column.far_days": "a few dates lie before 1900 or after today",
    **texts.FINDS,
}

__all__ = ["CHECKS", "FINDS", "variants"]

NEARLY = 0.995
MANY_CATEGORIES = 50
FEW_DAYS = 0.02
"""Dates far from the others are errors where they are few, and how the column is where they are many."""


def constant(column: Column) -> Iterator[Finding]:
    """Find a column with one value, or almost."""
    if column.filled == 0:
        return
    value, count = column.counts.row(0)
    told = shown(value)
    if column.distinct == 1 and column.filled == column.rows:
        message = f"'{column.name}' is {told} in all {column.rows} rows: it cannot tell rows apart."
        yield column.finding("column.constant", message, 1.0, "medium")
    elif column.distinct == 1:
        missing = column.rows - column.filled
        message = (
            f"'{column.name}' is {told} or missing ({missing} of {column.rows} rows): only the gap can tell."
        )
        yield column.finding("column.nearly_constant", message, count / column.rows, "info")
    elif count / column.rows >= NEARLY:
        message = f"'{column.name}' is {told} in {count / column.rows:.2%} of {column.rows} rows."
        yield column.finding("column.nearly_constant", message, count / column.rows, "info")


def identifier(column: Column) -> Iterator[Finding]:
    """Find numbers and texts that were given out one to a row, and names of what several rows belong to."""
    if named := names_rows(column):
        remedy = {"data": {"row_id": column.name}} if column.distinct == column.rows else None
        share = column.distinct / column.rows
        yield column.finding("column.id", f"'{column.name}' {named}.", share, "medium", remedy=remedy)
    elif made := names_groups(column):
        message = (
            f"'{column.name}' holds {made}, {column.distinct} different ones in {column.rows} rows: it "
            "names what rows belong to. If rows of one belong together, they must stay together in splits."
        )
        remedy = {"data": {"group": column.name}}
        yield column.finding("column.key", message, column.distinct / column.rows, "medium", remedy=remedy)


def categories(column: Column) -> Iterator[Finding]:
    """Find categorical columns with many categories, and those whose categories are mostly rare."""
    if (
        column.kind != "categorical"
        or column.distinct <= MANY_CATEGORIES
        or column.distinct >= NAMES * column.filled
    ):
        return
    if sentences(column):
        message = f"'{column.name}' holds {column.distinct} different sentences: free text, not categories."
        remedy = {"data": {"kinds": {column.name: "text"}}}
        yield column.finding("text.free", message, column.distinct / column.rows, "low", remedy=remedy)
        return
    message = f"'{column.name}' has {column.distinct} categories in {column.rows} rows."
    yield column.finding("column.many_categories", message, column.distinct / column.rows, "low")
    rare = column.counts.filter(pl.col("count") < 5)
    if rare.height > column.distinct / 2:
        rows = int(rare["count"].sum())
        few = f"{rare.height} of {column.distinct} categories"
        message = f"'{column.name}': {few} occur fewer than 5 times ({rows} rows)."
        yield column.finding("column.rare_categories", message, rows / column.rows, "info")


def infinite(column: Column) -> Iterator[Finding]:
    """Find infinities: an overflow or a division by zero, not a measurement."""
    if column.kind != "numeric" or not column.series.dtype.is_float():
        return
    mask = column.series.is_infinite()
    if count := int(mask.fill_null(False).sum()):
        message = f"'{column.name}' holds infinity in {count} of {column.rows} rows: no measurement."
        kept = column.numbers[:, 0]
        bounds = [float(kept[0]), float(kept[-1])] if len(kept) else [0.0, 0.0]
        clip = {"method": "range", "value_range": bounds, "action": "null", "on": [column.name]}
        remedy = {"outliers.clip": clip}
        yield column.finding(
            "column.infinite", message, count / column.rows, "high", mask=mask, remedy=remedy
        )


def days(column: Column) -> Iterator[Finding]:
    """Find days that are written as one whole number, and a few dates far from all others."""
    if column.kind == "numeric" and column.distinct > 1:
        values = column.numbers[:, 0]
        if not ((values >= 19000101) & (values <= 21001231) & (values == np.round(values))).all():
            return
        read = pl.Series(values).cast(pl.Int64).cast(pl.String).str.to_date("%Y%m%d", strict=False)
        if len(values) == column.distinct and read.null_count() == 0:
            message = (
                f"'{column.name}' holds days as whole numbers, {values[0]:.0f} to {values[-1]:.0f}: from one "
                "month to the next they leap. Make dates of them."
            )
            remedy = {"encode.parse": {"on": [column.name]}}
            yield column.finding("column.days", message, 1.0, "medium", remedy=remedy)
    elif column.series.dtype in (pl.Date, pl.Datetime):
        day, today = column.series.dt.date(), dt.date.today()
        for told, mask in (
            ("before 1900", day < dt.date(1900, 1, 1)),
            (f"after today, {today}", day > today),
        ):
            if 0 < (count := int(mask.sum())) <= FEW_DAYS * column.filled:
                first = shown(day.filter(mask.fill_null(False)).min())
                message = f"'{column.name}' lies {told} in {count} of {column.rows} rows, such as {first}."
                yield column.finding("column.far_days", message, count / column.rows, "low", mask=mask)


CHECKS = (constant, identifier, categories, infinite, days, *texts.CHECKS)
"""What is asked of each column, in this order."""
