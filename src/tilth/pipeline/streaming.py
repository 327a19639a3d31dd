"""Feeding rows that stay on disk: they are cut out of a Parquet file, then prepared, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tilth.core import Ledger, Stage, apply
from tilth.core.stage import PlanningStage
from tilth.errors import DataError, StageError, listed
from tilth.loaders import parquet
from tilth.statistics import key_of
from tilth.table import ROW, Table

STREAM_SHARE = 0.25
"""A table on disk is streamed if its rows, as prepared, need more than this share of the free memory: reading
them needs as much again, and so do the tensors."""

STREAMED_ORDERS = (None, "shuffle", "sequential")


@dataclass(frozen=True)
class Streamed:
    """Say how rows come out of a file.

    Parameters
    ----------
    source : LazyFrame
        The columns that are read; a slice of it reads a slice of the file.
    change : callable
        Prepares a slice that has its row numbers as the column `ROW`.
    table : Table
        All rows as prepared, as a query that was not carried out.
    """

    source: pl.LazyFrame
    change: Callable[[pl.LazyFrame], pl.LazyFrame]
    table: Table


def sliceable(table: Table) -> bool:
    """Tell whether a slice of the rows reads that part of a file, and no more."""
    # Row ids by position are counted from the first row on; a stream counts its slices itself.
    return parquet.sliceable(table.frame.drop(ROW))


def bytes_as_prepared(table: Table) -> int:
    """Return about how many bytes the features of a table need: eight for a cell."""
    schema = table.frame.select(table.features).collect_schema()
    width = sum(dtype.size if isinstance(dtype, pl.Array) else 1 for dtype in schema.values())
    return 8 * width * table.height


def changed_rows(stages: Sequence[tuple[str, Stage]], ledger: Ledger) -> list[str]:
    """Name the stages that left training rows other than they were."""
    touched = ledger.stages
    return [n for n, s in stages if isinstance(s, PlanningStage) and s.on_rows and n in touched]


def check_order(options: Mapping[str, Any]) -> None:
    """Raise where an order was asked for that needs all rows at hand."""
    order = options.get("sampler")
    if order not in STREAMED_ORDERS:
        raise DataError(
            f"stream=True: sampler={order!r} needs all rows at hand. A stream knows 'shuffle' and "
            "'sequential'; leave stream at False for the others."
        )


def streamed(
    table: Table, stages: Sequence[tuple[str, Stage]], ledger: Ledger, *, training: bool
) -> Streamed:
    """Return how the rows of a table on disk come out of it, prepared.

    Raises
    ------
    DataError
        If a slice of the rows cannot be read alone.
    StageError
        If the rows are training rows and row stages changed some of them.
    """
    if not sliceable(table):
        raise DataError(
            "stream=True: rows are read piece by piece, which only a Parquet file allows. Pass its path, or "
            "tilth.read(path, lazy=True) with steps on it that go row by row. A CSV becomes one by "
            "polars.scan_csv('rows.csv').sink_parquet('rows.parquet')."
        )
    if training:
        _check_rows(table, stages, ledger)
    prepared = table.with_frame(apply(stages, table.frame, training=training))
    roles = table.roles
    numbers = [name for name, kind in prepared.kinds.items() if kind != "image"]
    wanted = [*numbers, *(c for c in (roles.target, roles.weight) if c is not None)]
    beside = [c for c in (roles.target, roles.weight, roles.group, roles.row_id) if c is not None]

    def change(rows: pl.LazyFrame) -> pl.LazyFrame:
        if roles.row_id is not None:
            ids = pl.col(roles.row_id).map_batches(_ids, return_dtype=pl.UInt64)
            rows = rows.with_columns(ids.alias(ROW))
        return apply(stages, rows, training=training).select(wanted)

    return Streamed(table.frame.select([*table.features, *beside]), change, prepared)


def _ids(keys: pl.Series) -> pl.Series:
    return pl.Series(key_of(keys.to_list()), dtype=pl.UInt64)


def _check_rows(table: Table, stages: Sequence[tuple[str, Stage]], ledger: Ledger) -> None:
    if table.height != ledger.rows_in:
        raise DataError(
            f"The pipeline was fitted on {ledger.rows_in} rows, and these are {table.height}: they cannot be "
            "its training rows. Pass the rows given to fit, or training=False for other rows."
        )
    if acted := changed_rows(stages, ledger):
        raise StageError(
            f"stream=True: {listed(acted)} dropped, added, weighted or relabeled training rows, of which the "
            "file knows nothing. Write the prepared rows by `tilth run`, and stream those: StreamLoader("
            "'out/train.parquet', target, weight=..., columns=list(pipe.get_feature_names_out()))."
        )
