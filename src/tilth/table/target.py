"""Targets of two dimensions: one column in a frame of its own, or classes one-hot, a column for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from tilth.errors import DataError
from tilth.table.container import Container


def one_column(target: Any) -> Any:
    """Return a target as one column; of a one-hot one, the number of the column that holds the 1.

    Raises
    ------
    DataError
        A row has another number of ones than one.
    """
    if isinstance(target, list) and target and isinstance(target[0], list | tuple):
        target = np.asarray(target)
    shape: tuple[int, ...] = getattr(target, "shape", ())
    if len(shape) != 2:
        return target
    if shape[1] == 1:
        if isinstance(target, pl.DataFrame):
            return target.to_series()
        return target.column(0) if type(target).__module__.startswith("pyarrow") else target
    values = target.to_pandas() if type(target).__module__.startswith("pyarrow") else target
    try:
        flags = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        flags = np.full(shape, np.nan)
    if not (np.isin(flags, (0, 1)).all() and (flags.sum(axis=1) == 1).all()):
        raise DataError(
            f"The target must have one value per row, or be one-hot with a single 1 in each; its shape is "
            f"{shape}. Multilabel and multioutput targets are not supported. Pass one column of it as y."
        )
    return flags.argmax(axis=1)


def as_given(column: pl.Series, given: Any) -> Any:
    """Return a column in the two dimensions in which `one_column` got it.

    Parameters
    ----------
    column : Series
        Values, or column numbers where `given` is one-hot.
    given : ndarray, pandas or Polars frame, or pyarrow Table, with two dimensions
    """
    module = type(given).__module__.partition(".")[0]
    width = given.shape[1]
    hot = None if width == 1 else column.to_numpy()[:, None] == np.arange(width)
    if module in ("polars", "pyarrow"):
        empty: Any = given.head(0) if module == "polars" else pl.from_arrow(given.slice(0, 0))
        schema = empty.schema
        if hot is None:
            out = column.cast(next(iter(schema.values()))).alias(next(iter(schema))).to_frame()
        else:
            out = pl.DataFrame(hot, schema=list(schema)).cast(schema)
        return out if module == "polars" else out.to_arrow()
    if module == "pandas":
        import pandas as pd

        if hot is None:
            values = [Container("pandas").restore_column(column, given.iloc[:, 0])]
        else:
            values = [pd.Series(flags, dtype=t) for flags, t in zip(hot.T, given.dtypes, strict=True)]
        out = pd.concat(values, axis=1)
        out.columns = given.columns
        return out
    return column.to_numpy().reshape(-1, 1) if hot is None else hot.astype(given.dtype)
