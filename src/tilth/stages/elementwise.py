"""Changing columns cell by cell with functions of arrays, for what Polars has no fast expression for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

Function = Callable[[np.ndarray], np.ndarray]


def mapped(frame: pl.LazyFrame, functions: Mapping[str, Function], columns: Sequence[str]) -> pl.LazyFrame:
    """Return the query in which each column is what its function makes of it.

    Parameters
    ----------
    frame : LazyFrame
    functions : mapping of column to function of ndarray to ndarray
        Each value alone, in double precision; NaN stands for missing, and stays so.
    columns : sequence of str
        Those that become floats; single precision stays so.
    """
    schema = frame.collect_schema()
    changed = []
    for name in columns:
        kept = pl.Float32() if schema[name] == pl.Float32 else pl.Float64()
        column = pl.col(name).cast(pl.Float64)
        if name in functions:
            column = column.map_batches(
                _on_series(functions[name]), return_dtype=pl.Float64, is_elementwise=True
            )
        changed.append(column.cast(kept))
    return frame.with_columns(changed) if changed else frame


def _on_series(function: Function) -> Callable[[pl.Series], pl.Series]:
    def run(cells: pl.Series) -> pl.Series:
        made = pl.Series(cells.name, function(cells.to_numpy()), dtype=pl.Float64)
        return made.fill_nan(None) if cells.null_count() else made

    return run
