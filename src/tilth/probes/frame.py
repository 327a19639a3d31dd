"""The containers a probe takes, as one Polars frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from tilth.errors import DataError


def as_frame(X: Any) -> pl.DataFrame:
    """Return a table as an eager Polars frame; the columns of an array are named x0, x1, ...

    Parameters
    ----------
    X : Polars DataFrame or LazyFrame, pandas DataFrame, or array-like of shape (n_rows, n_columns)
        Object columns become numbers or booleans where all their values are, and strings otherwise.

    Raises
    ------
    DataError
        Anything that is not a two-dimensional, dense, real table, or column names that occur twice.

    Examples
    --------
    >>> as_frame(np.array([[1, 2], [3, 4]])).columns
    ['x0', 'x1']
    """
    if isinstance(X, pl.LazyFrame):
        return X.collect()
    if isinstance(X, pl.DataFrame):
        return X
    if isinstance(X, pd.DataFrame):
        if not X.columns.is_unique:
            twice = sorted({str(name) for name in X.columns[X.columns.duplicated()]})
            raise DataError(f"Column names occur more than once: {', '.join(twice)}. Rename them.")
        return pl.DataFrame([_from_pandas(str(name), X[name]) for name in X.columns])
    if hasattr(X, "toarray"):
        raise DataError("The table is a sparse matrix; a probe takes dense columns. Use X.toarray().")
    array = np.asarray(X)
    if array.ndim != 2:
        raise DataError(
            f"The table has shape {array.shape}; expected 2D array, rows x columns instead. "
            "Reshape your data: one column is X.reshape(-1, 1), one row X.reshape(1, -1)."
        )
    if array.shape[1] == 0:
        raise DataError(f"The table has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    if array.dtype.kind == "c":
        raise DataError("Complex data not supported: give real and imaginary parts as columns of their own.")
    if array.dtype.kind in "biuf":
        array = array.astype(np.float32) if array.dtype == np.float16 else array
        return pl.DataFrame({f"x{i}": np.ascontiguousarray(column) for i, column in enumerate(array.T)})
    return pl.DataFrame([_from_objects(f"x{i}", column.tolist()) for i, column in enumerate(array.T)])


def _from_pandas(name: str, series: pd.Series[Any]) -> pl.Series:
    if isinstance(series.dtype, pd.CategoricalDtype):
        # Categories of numbers are categories all the same.
        texts = [None if pd.isna(level) else str(level) for level in series.cat.categories]
        levels = pl.Series(name, texts, dtype=pl.String)
        codes = pl.Series(series.cat.codes.to_numpy().astype(np.int64))
        return levels.gather(codes.set(codes < 0, None)).alias(name)
    if series.dtype == object:
        return _from_objects(name, series.tolist())
    return pl.Series(name, pl.from_pandas(series.reset_index(drop=True)))


def _from_objects(name: str, values: list[Any]) -> pl.Series:
    values = [None if _absent(value) else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds and not all(issubclass(kind, (bool, int, float, np.number, np.bool_)) for kind in kinds):
        single = len(kinds) == 1 and not issubclass(next(iter(kinds)), (str, bytes))
        if not single:
            return pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
    return pl.Series(name, values, strict=False)


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
