"""Reads a target: which task it poses, its classes and codes, or its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from pandas.api.types import infer_dtype
from sklearn.utils import column_or_1d

from tilth.errors import DataError

MOST_CLASSES = 20


def read_target(y: Any) -> NDArray[Any]:
    """Return a target as one NumPy array without gaps.

    Parameters
    ----------
    y : array-like, pandas Series, Polars Series, or a frame of one column; n_rows values

    Returns
    -------
    array of shape (n_rows,)
        Numbers and booleans in a type of their own, strings and categories as objects.

    Raises
    ------
    DataError
        More than one column, missing values, dates or complex numbers.
    """
    if isinstance(y, (pl.DataFrame, pd.DataFrame)):
        if y.shape[1] != 1:
            raise DataError(f"The target has {y.shape[1]} columns; a probe learns one. Choose one.")
        y = y[y.columns[0]]
    if isinstance(y, pl.Series):
        y = y.cast(pl.String) if y.dtype in (pl.Categorical, pl.Enum) else y
        values, missing = y.to_numpy(), y.is_null().to_numpy()
    else:
        values = np.asarray(y)
        if values.ndim != 1 and values.shape[1:] != (1,):
            raise DataError(f"The target has shape {values.shape}; a probe learns one value per row.")
        values = column_or_1d(values, warn=True) if values.ndim > 1 else values
        missing = np.zeros(len(values), dtype=bool)
    missing = missing | np.asarray(pd.isna(values))
    if values.dtype.kind in "mMcV" or infer_dtype(values).startswith(("date", "time")):
        raise DataError(
            f"The target is {infer_dtype(values)}; a probe learns classes or numbers. Turn dates "
            "into numbers, such as days since the first."
        )
    if missing.any():
        raise DataError(
            f"The target is missing in {missing.sum()} of {len(values)} rows, the first being row "
            f"{missing.argmax()}. Drop or label those rows before training."
        )
    if values.dtype == object and len(values):
        # Nullable integers and booleans arrive as objects; strings stay objects, at any length.
        narrowed = np.array(values.tolist())
        values = narrowed if narrowed.dtype.kind in "biuf" and narrowed.ndim == 1 else values
    return values


def task_of(values: NDArray[Any]) -> str:
    """Decide the task a target poses.

    Strings, categories and booleans pose a classification; so do whole numbers (integers, or floats without a
    fraction) of at most 20 distinct values. All other numbers pose a regression.

    Examples
    --------
    >>> task_of(np.array([0, 1, 1])), task_of(np.array([0.5, 1.0, 1.5])), task_of(np.arange(100))
    ('classification', 'regression', 'regression')
    """
    if values.dtype.kind not in "iuf":
        return "classification"
    distinct = np.unique(values)
    whole = bool(np.all(np.isfinite(distinct))) and bool(np.all(distinct == np.round(distinct)))
    return "classification" if whole and len(distinct) <= MOST_CLASSES else "regression"


def encode_classes(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sorted classes, and each row's position among them.

    Raises
    ------
    DataError
        Fewer than two classes, values of types that do not sort together, or fractional numbers.
    """
    try:
        classes, codes = np.unique(values, return_inverse=True)
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in values})
        raise DataError(
            f"The target mixes {', '.join(kinds)}; make it all strings or all numbers."
        ) from error
    if len(classes) < 2:
        raise DataError(
            f"The target has only one class ({classes.tolist()[0]!r}); a classifier can't train on that. "
            "Give rows of at least two classes."
        )
    if values.dtype.kind == "f" and np.any(classes != np.round(classes)):
        raise DataError(
            f"Unknown label type: continuous. The target holds {len(classes)} fractional numbers, but task "
            "is 'classification'. Use task='regression', or bin it."
        )
    return classes, codes.astype(np.int64)


def read_values(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return a regression target as float64.

    Raises
    ------
    DataError
        Values that are no finite numbers.
    """
    if values.dtype.kind not in "biuf":
        raise DataError(
            f"The target is {values.dtype} (for example {values.tolist()[0]!r}), but task is 'regression'. "
            "Use task='classification', or give numbers."
        )
    values = values.astype(np.float64)
    if not np.all(np.isfinite(values)):
        raise DataError(
            f"The target is infinite in {np.sum(~np.isfinite(values))} rows (first: row "
            f"{np.argmin(np.isfinite(values))}). Drop those rows or cap them."
        )
    return values
