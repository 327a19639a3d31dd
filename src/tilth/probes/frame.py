"""The containers a probe takes, as one Polars frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from tilth.errors import DataError
from tilth.table.container import enter


def as_frame(X: Any) -> pl.DataFrame:
    """Return a table as an eager Polars frame; the columns of an array are named x0, x1, ...

    Parameters
    ----------
    X : anything `tilth.Table.of` takes, of shape (n_rows, n_columns)

    Raises
    ------
    DataError
        Anything that is not a two-dimensional, dense, real table with columns, or names that repeat.

    Examples
    --------
    >>> as_frame(np.array([[1, 2], [3, 4]])).columns
    ['x0', 'x1']
    """
    frame = enter(X)[0].collect()
    if frame.width == 0:
        shape = np.shape(X) if hasattr(X, "shape") else (frame.height, 0)
        raise DataError(f"The table has 0 feature(s) (shape={shape}) while a minimum of 1 is required.")
    return frame
