"""Numbers and vectors as one matrix without gaps, and the matrix as cells again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tilth.errors import DataError
from tilth.statistics import Statistics
from tilth.table import kind_of

_OF_NUMPY = {np.dtype(np.float32): pl.Float32(), np.dtype(np.float64): pl.Float64()}
_NOT_OF_NUMPY = (pl.Boolean, pl.Null, pl.Int128, pl.UInt128)


@dataclass(frozen=True)
class Dense:
    """Hold which columns a matrix is made of, and how wide each is.

    A number or boolean is one column of the matrix, a vector as many as it is wide.

    Parameters
    ----------
    columns : tuple of str
    types : dict of column to Polars type
        As they were learned from.
    widths : tuple of int

    Examples
    --------
    >>> rows = pl.DataFrame({"a": [1, 2], "pixels": [[0.5, 1.0], [0.0, 2.0]]})
    >>> dense = Dense.learn(Statistics([rows.lazy()]), ["a", "pixels"])
    >>> dense.names, dense.matrix(rows).tolist()
    (['a', 'pixels[0]', 'pixels[1]'], [[1.0, 0.5, 1.0], [2.0, 0.0, 2.0]])
    >>> dense.cells(np.array([[3.0, 4.0, 5.0]]))[1].to_list()
    [[4.0, 5.0]]
    """

    columns: tuple[str, ...]
    types: dict[str, Any]
    widths: tuple[int, ...]

    @classmethod
    def learn(cls, statistics: Statistics, columns: Sequence[str]) -> Dense:
        """Learn how wide columns are: exact for any partition of the rows.

        Raises
        ------
        DataError
            The vectors of a column are of several lengths, or none is there.
        """
        types = {c: statistics.schema[c] for c in columns}
        widths = [_width(statistics, c, types[c]) for c in columns]
        return cls(tuple(columns), types, tuple(widths))

    @property
    def width(self) -> int:
        """Count the columns of the matrix."""
        return sum(self.widths)

    @property
    def names(self) -> list[str]:
        """Name each column of the matrix: ``price``, ``pixels[0]``."""
        told: list[str] = []
        for name, width in zip(self.columns, self.widths, strict=True):
            told += [f"{name}[{i}]" for i in range(width)] if self._is_vector(name) else [name]
        return told

    def matrix(self, frame: pl.DataFrame, dtype: Any = np.float64) -> np.ndarray:
        """Return the rows as a matrix of shape (n_rows, width), its columns contiguous.

        Raises
        ------
        DataError
            A cell is missing or infinite, or a vector of another length than at fit.
        """
        frame = frame if frame.columns == list(self.columns) else frame.select(self.columns)
        if any(missed := frame.null_count().row(0)):
            name, count = next((n, m) for n, m in zip(self.columns, missed, strict=True) if m)
            raise DataError(
                f"Column '{name}' misses {count} of {frame.height} cells (NaN or null); rows are needed "
                "whole. Put impute.simple before it, or choose other columns with `on`."
            )
        if set(frame.dtypes) == {_OF_NUMPY.get(np.dtype(dtype))}:
            out = frame.to_numpy(order="fortran", writable=True)
        else:
            out, start = np.empty((frame.height, self.width), dtype, order="F"), 0
            for cells, width in zip(frame, self.widths, strict=True):
                out[:, start : start + width] = self._numbers(cells, cells.name, width)
                start += width
        # The sum of finite numbers may overflow; only then each of them is looked at.
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(np.ones(len(out), out.dtype) @ out).all() and not np.isfinite(out).all():
                place = int(np.flatnonzero(~np.isfinite(out).all(axis=0))[0])
                raise DataError(
                    f"Column '{self.names[place]}' holds infinity, NaN or a number too large for "
                    f"{np.dtype(dtype)}. Put outliers.clip before it, or make these cells missing and "
                    "fill them."
                )
        return out

    def cells(self, matrix: np.ndarray) -> list[pl.Series]:
        """Write a matrix as columns: numbers and booleans as Float64, vectors in their own type."""
        out, start = [], 0
        for name, width in zip(self.columns, self.widths, strict=True):
            part = matrix[:, start : start + width]
            start += width
            if not self._is_vector(name):
                out.append(pl.Series(name, np.ascontiguousarray(part[:, 0]), dtype=pl.Float64))
                continue
            dtype = self.types[name]
            if dtype.inner.is_integer():
                least, most = pl.select(dtype.inner.min().alias("a"), dtype.inner.max().alias("b")).row(0)
                part = part.round().clip(least, most)
            out.append(pl.Series(name, part, dtype=pl.Array(pl.Float64, width)).cast(dtype))
        return out

    def _is_vector(self, name: str) -> bool:
        return kind_of(self.types[name]) == "vector"

    def _numbers(self, cells: pl.Series, name: str, width: int) -> np.ndarray:
        if not self._is_vector(name):
            values = cells.cast(pl.Float64) if cells.dtype in _NOT_OF_NUMPY else cells
            return np.asarray(values.to_numpy()).reshape(-1, 1)
        if isinstance(cells.dtype, pl.List):
            lengths = cells.list.len().unique()
            if len(lengths) and lengths.to_list() != [width]:
                raise DataError(
                    f"The vectors of column '{name}' are of length {lengths.sort().to_list()[:3]}, and were "
                    f"of {width} at fit. Mend them, or leave the column out with `on`."
                )
            cells = cells.cast(pl.Array(cells.dtype.inner, width))
        return cells.to_numpy().reshape(len(cells), width)


def _width(statistics: Statistics, name: str, dtype: Any) -> int:
    if kind_of(dtype) != "vector":
        return 1
    if isinstance(dtype, pl.Array):
        return int(dtype.size)
    asked = pl.col(name).list.len().drop_nulls().unique()
    lengths = sorted({n for s in statistics.shards for n in s.select(asked).collect()[name].to_list()})
    if len(lengths) != 1:
        raise DataError(
            f"The vectors of column '{name}' are of {len(lengths)} lengths ({lengths[:3]}). One length is "
            "needed for every row: pad or cut them, or leave the column out with `on`."
        )
    return int(lengths[0])
