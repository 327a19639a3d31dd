"""The containers that users hold, for data that a benchmark makes."""

from __future__ import annotations

from typing import Any

import numpy as np


def contained(X: np.ndarray, form: str) -> Any:
    """Return the data in the container to be measured."""
    if form == "numpy":
        return X
    names = [f"c{i}" for i in range(X.shape[1])]
    if form == "pandas":
        import pandas as pd

        return pd.DataFrame(X, columns=names)
    import polars as pl

    return pl.DataFrame({name: X[:, i] for i, name in enumerate(names)}, nan_to_null=True)
