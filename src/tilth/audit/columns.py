"""Checks of one column: does it tell anything, is it an id, are its values what they seem."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from tilth.audit.column import Column, shown
from tilth.core.finding import Finding

FINDS = {
    "column.constant": "a column has one value in all rows",
    "column.nearly_constant": "one value fills almost all rows",
    "column.id": "a column numbers or names the rows, so it cannot tell anything about new ones",
    "column.many_categories": "a categorical column has many categories",
    "column.rare_categories": "most categories occur only a few times",
    "column.infinite": "a numeric column holds infinity",
    "text.numbers": "a text column holds numbers",
    "text.variants": "categories differ only by case or surrounding spaces",
    "text.free": "a categorical column holds sentences",
}

NEARLY = 0.995
MANY_CATEGORIES = 50
FEW_ROWS_FOR_AN_ID = 20


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
    """Find whole numbers that follow the order of the rows, and texts of which none comes twice."""
    if (
        column.rows < FEW_ROWS_FOR_AN_ID
        or column.filled < column.rows
        or column.kind not in ("numeric", "categorical")
    ):
        return
    if column.kind == "categorical":
        if column.distinct < 0.99 * column.rows or _words(column) > 3:
            return
        share = column.distinct / column.rows
        message = (
            f"'{column.name}' has {column.distinct} different texts in {column.rows} rows: it names the rows."
        )
    else:
        if not column.series.dtype.is_integer() or column.distinct < column.rows:
            return
        steps = np.diff(column.series.cast(pl.Float64).to_numpy())
        if not ((steps > 0).all() or (steps < 0).all()):
            return
        share = 1.0
        message = (
            f"'{column.name}' has another whole number in each row, in the order of the rows: it counts them."
        )
    remedy = {"data": {"row_id": column.name}} if column.distinct == column.rows else None
    yield column.finding("column.id", message, share, "medium", remedy=remedy)


def categories(column: Column) -> Iterator[Finding]:
    """Find categorical columns with many categories, and those whose categories are mostly rare."""
    if (
        column.kind != "categorical"
        or column.distinct <= MANY_CATEGORIES
        or column.distinct >= 0.99 * column.rows
    ):
        return
    if _words(column) > 3:
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


def numbers_as_text(column: Column) -> Iterator[Finding]:
    """Find text columns whose every value reads as a number."""
    if column.kind != "categorical" or column.filled == 0 or column.series.dtype != pl.String:
        return
    texts = column.texts
    plain, example = texts["plain"], shown(texts["value"][0])
    if plain.cast(pl.Float64, strict=False).null_count() == 0:
        message = (
            f"'{column.name}' is text, but all its {column.filled} values are numbers, such as {example}."
        )
        yield column.finding("text.numbers", message, 1.0, "medium")
        return
    # 1.234,56 and 1,234.56 and 12,5: marks of thousands and decimals that a reader of numbers refuses.
    marked = plain.str.contains(r"^[-+]?\d{1,3}([.,' ]\d{3})*([.,]\d+)?\s?[%€$£]?$")
    if bool(marked.all()):
        message = f"'{column.name}' is text, but its values are numbers with marks, such as {example}."
        yield column.finding("text.numbers", message, 1.0, "medium")


def variants(column: Column) -> Iterator[Finding]:
    """Find categories that differ only by case or by spaces around them."""
    if column.kind != "categorical" or column.distinct < 2 or column.distinct >= 0.99 * column.rows:
        return
    grouped = column.texts.group_by("plain").agg(
        pl.col("value"), pl.col("count").sum(), pl.len().alias("forms")
    )
    mixed = grouped.filter(pl.col("forms") > 1).sort("count", "plain", descending=[True, False])
    if mixed.height:
        forms = ", ".join(shown(v) for v in sorted(mixed["value"][0].to_list())[:4])
        rows = int(mixed["count"].sum())
        told = f"'{column.name}' writes {mixed.height} categories in more than one way"
        message = f"{told}, such as {forms} ({rows} rows)."
        yield column.finding("text.variants", message, rows / column.rows, "medium")


def _words(column: Column) -> float:
    """Return the mean number of words of the distinct values: ids and categories have few."""
    some = column.texts["value"].head(1000)
    return float(some.str.strip_chars().str.count_matches(r"\s+").mean() or 0.0) + 1  # type: ignore[arg-type]


CHECKS = (constant, identifier, categories, infinite, numbers_as_text, variants)
"""What is asked of each column, in this order."""
