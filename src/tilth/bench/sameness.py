"""What is provably the same: frames compared by a digest of every byte that a model could see."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray


def digest(frame: pl.DataFrame) -> str | None:
    """Return a digest of names, types and values; the same in every process.

    Frames of the same digest hold the same values, bit by bit. Frames of the same values nearly always have
    the same digest: -0.0 and 0.0, and NaNs of other bits, are told apart.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    str or None
        None where a column holds Python objects, which have no bytes to look at.
    """
    said = blake2b(repr((frame.height, list(frame.schema.items()))).encode(), digest_size=16)
    for column in frame:
        if column.dtype == pl.Object:
            return None
        for part in _bytes_of(column):
            said.update(part)
    return said.hexdigest()


def digest_array(values: NDArray | None) -> str:
    """Return a digest of an array's type, shape and bytes; of None, an empty one."""
    if values is None:
        return ""
    said = blake2b(repr((values.dtype.str, values.shape)).encode(), digest_size=16)
    said.update(np.ascontiguousarray(values).data.cast("B") if values.size else b"")
    return said.hexdigest()


def _bytes_of(column: pl.Series) -> Iterator[bytes]:
    """Give what a column holds, whatever its chunks, and whatever lies beneath its gaps."""
    if not len(column):
        return
    dtype = column.dtype
    gaps = column.null_count()
    yield np.packbits(column.is_null().to_numpy()).tobytes() if gaps else b"whole"
    if not gaps and (dtype.is_float() or dtype.is_integer()):
        # As below, without a query for each column: most columns are of this kind.
        yield column.to_numpy().tobytes()
    elif dtype.is_decimal() or dtype in (pl.Null, pl.Binary):
        yield repr(column.to_list()).encode()
    elif isinstance(dtype, pl.Categorical | pl.Enum):
        yield from _bytes_of(column.to_physical())
        yield from _bytes_of(column.cast(pl.String))
    elif dtype == pl.String:
        yield column.str.len_bytes().fill_null(0).to_numpy().tobytes()
        yield str(column.str.join("").item()).encode()
    elif isinstance(dtype, pl.List | pl.Array):
        lists = column.arr.to_list() if isinstance(dtype, pl.Array) else column
        yield lists.list.len().fill_null(0).to_numpy().tobytes()
        yield from _bytes_of(lists.explode())
    elif isinstance(dtype, pl.Struct):
        for inner in column.struct.unnest():
            yield from _bytes_of(inner)
    else:
        plain = column.to_physical()
        yield plain.fill_null(False if plain.dtype == pl.Boolean else 0).to_numpy().tobytes()
