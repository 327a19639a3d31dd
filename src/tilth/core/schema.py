"""What new data must look like: the columns that were there at fit, by name and kind."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import polars as pl

from tilth.errors import ColumnError, DataError, listed
from tilth.table import Table, kind_of


def schema_of(table: Table) -> dict[str, str]:
    """Return feature name -> Polars type as text, in order."""
    return {name: str(table.schema[name]) for name in table.features}


def conform(table: Table, learned: dict[str, str], where: str) -> Table:
    """Check new data against the columns learned from, and put its columns in their order.

    Frames are matched by name, whatever the order; arrays by position. A column without any value
    takes the type it had at fit.

    Raises
    ------
    ColumnError
        If a column is missing, unexpected or of another kind.
    DataError
        If an array has another number of columns.
    """
    names = list(learned)
    if table.container.form == "numpy":
        if len(table.features) != len(names):
            # The words are scikit-learn's: its checks and its users know them.
            raise DataError(
                f"X has {len(table.features)} features, "
                f"but {where} is expecting {len(names)} features as input."
            )
        if names != table.features:
            warnings.warn(
                f"X does not have valid feature names, but {where} was fitted with feature names",
                UserWarning,
                stacklevel=3,
            )
            renamed = dict(zip(table.features, names, strict=True))
            table = table.with_frame(table.frame.rename(renamed))
    missing = [name for name in names if name not in table.features]
    if missing:
        raise ColumnError.missing(missing, table.features, where)
    extra = [name for name in table.features if name not in learned]
    if extra:
        raise ColumnError(
            f"{where}: unexpected column {listed(map(repr, extra))}, which was not there at fit. "
            "Drop it, or fit again."
        )
    for name, expected in learned.items():
        dtype = table.schema[name]
        if dtype == pl.Null:
            table = table.with_frame(table.frame.with_columns(pl.col(name).cast(read_type(expected))))
        elif table.kinds[name] not in ("text", "image") and kind_of(dtype) != kind_of(read_type(expected)):
            raise ColumnError.retyped(name, dtype, expected, where)
    if table.features != names:
        others = [c for c in table.frame.collect_schema().names() if c not in learned]
        table = table.with_frame(table.frame.select([*names, *others]))
    return table


def empty(learned: dict[str, str]) -> pl.LazyFrame:
    """Return no rows of the columns learned from."""
    return pl.LazyFrame(schema={name: read_type(text) for name, text in learned.items()})


def as_given_out(X: Any, names: Sequence[str]) -> Table:
    """Read what a stage or pipeline gave out: the columns of an array take the names they were given."""
    table = Table.of(X)
    if table.container.form != "numpy" or len(table.features) != len(names):
        return table
    return table.with_frame(table.frame.rename(dict(zip(table.features, names, strict=True))))


def as_type(name: str, now: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """Return a column in the type it had: whole numbers are rounded and held to what the type holds."""
    column = pl.col(name)
    if now == wanted or not now.is_numeric():
        return column if now == wanted else column.cast(wanted)
    if wanted == pl.Boolean:
        return column > 0.5
    if wanted.is_integer() and not now.is_integer():
        least, most = pl.select(wanted.min().alias("a"), wanted.max().alias("b")).row(0)  # type: ignore[attr-defined]
        # The float next to the largest 64-bit number lies beyond it.
        top = float(most) if int(float(most)) == most else math.nextafter(float(most), 0.0)
        return column.round().clip(float(least), top).cast(wanted)
    return column.cast(wanted)


def read_type(text: str) -> pl.DataType:
    """Read a Polars type from its text, as far as names and kinds are concerned."""
    name, _, inner = text.partition("(")
    if name in ("Array", "List"):
        return pl.List(read_type(inner.partition(",")[0].rstrip(")")))
    if name in ("Categorical", "Enum"):
        return pl.String()
    if name == "Datetime":
        return pl.Datetime("us")
    if name == "Decimal":
        return pl.Float64()
    if name in ("Struct", "Extension", "Object"):
        return pl.Binary()  # what no stage works on: any type of kind 'other' stands for it
    kind: pl.DataType = getattr(pl, name)()
    return kind
