"""What a column holds, in the words that stages select by."""

from __future__ import annotations

from typing import Literal, get_args

import polars as pl

Kind = Literal["numeric", "categorical", "boolean", "datetime", "text", "image", "vector", "other"]
KINDS: tuple[str, ...] = get_args(Kind)


def kind_of(dtype: pl.DataType) -> Kind:
    """Tell the kind of a Polars type; text and image are declared by the user, never guessed."""
    if dtype.is_numeric() or dtype == pl.Null:
        return "numeric"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_temporal():
        return "datetime"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "categorical"
    if isinstance(dtype, pl.Array | pl.List) and dtype.inner.is_numeric():
        return "vector"
    return "other"
