"""Shifting and scaling columns: what every linear scale does once it has learned its two numbers."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl


def scaled(frame: pl.LazyFrame, shift: Mapping[str, float], scale: Mapping[str, float]) -> pl.LazyFrame:
    """Return the query in which each column is (x - shift) / scale; whole numbers become floats.

    Parameters
    ----------
    frame : LazyFrame
    shift, scale : mapping of column to float
        In the column's units; a shift of 0 and a scale of 1 leave it as it is.
    """
    if not shift:
        return frame
    schema = frame.collect_schema()
    return frame.with_columns(_scaled(c, schema[c], shift[c], scale[c]) for c in shift)


def unscaled(frame: pl.LazyFrame, shift: Mapping[str, float], scale: Mapping[str, float]) -> pl.LazyFrame:
    """Return the query in which each column is x * scale + shift: the inverse of `scaled`."""
    return frame.with_columns(pl.col(c) * scale[c] + shift[c] for c in shift) if shift else frame


def _scaled(name: str, dtype: pl.DataType, shift: float, scale: float) -> pl.Expr:
    column = pl.col(name) if dtype.is_float() else pl.col(name).cast(pl.Float64)
    if shift:
        column = column - shift
    # Multiplied, not divided: Polars rounds the division of one row and of many rows differently.
    return column * (1 / scale) if scale != 1 else column
