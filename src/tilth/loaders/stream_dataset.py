"""Turn rows of Parquet files into tensors, a stretch of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tilth.errors import ColumnError, DataError, StageError, TilthError, listed
from tilth.loaders.codes import Asked, Codes
from tilth.loaders.dataset import companions
from tilth.loaders.parameters import invalid
from tilth.loaders.parquet import UNREADABLE, ParquetRows, Source
from tilth.loaders.tensors import Floating, feature_tensor, float_type, target_tensor

Change = Callable[[pl.LazyFrame], pl.LazyFrame]

# Rows that the columns are learned from, and rows at a time where a whole source has to be changed.
_HEAD, _AT_ONCE = 256, 65_536


class StreamDataset(Dataset):
    """Rows of Parquet files as tensors; only the rows that are asked for are read.

    ``dataset[7]`` is one row, ``dataset[1000:2000]`` a stretch of rows, as ``(X[, codes][, y][, weight])``.
    Each is a read from the disk of its own: `StreamLoader` makes few large ones.

    Parameters
    ----------
    source, target, weight, columns, change, codes, dtype, classes, row_index
        See `StreamLoader`.

    Attributes
    ----------
    columns_ : list of str
        The columns of X, in their order.
    classes_ : ndarray or None
        ``classes_[code]`` is the label; None where the target holds floats.
    codes_ : dict of name to ndarray
        ``codes_[name][code - 1]`` is the category.
    cardinalities_ : list of int
        For each coded column, how many codes there are.
    row_bytes : int
        The bytes of one row as tensors.

    Raises
    ------
    DataError
        If files or columns are missing or do not fit, or labels are missing.
    StageError
        If `change` fails, or changes the number of rows.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/towns.parquet"
    >>> pl.DataFrame({"size": [1.0, 2.0, 3.0], "coast": ["no", "yes", "no"]}).write_parquet(file)
    >>> StreamDataset(file, "coast")[1:3]
    (tensor([[2.],
            [3.]]), tensor([1, 0]))
    """

    def __init__(
        self,
        source: Source,
        target: str | None = None,
        *,
        weight: str | None = None,
        columns: Sequence[str] | None = None,
        change: Change | None = None,
        codes: Asked = None,
        dtype: Floating = "float32",
        classes: Sequence[Any] | None = None,
        row_index: str | None = None,
    ) -> None:
        self.rows = ParquetRows(source)
        self.target, self.weight, self.dtype = target, weight, float_type(dtype)
        self._dtype, self._change, self._row_index = dtype, change, row_index
        self._needed: list[str] | None = None
        if row_index in self.rows.names:
            raise invalid(f"row_index={row_index!r}: the source holds a column of this name. Choose another.")
        head = self._frame(0, min(_HEAD, len(self)))
        beside = {name: role for role, name in (("target", target), ("weight", weight)) if name is not None}
        available = _available(head.columns, beside, row_index)
        features = available if columns is None else _named(columns, available, beside)
        if not isinstance(codes, str):
            # What no stage turned into numbers is said here, not after a pass over the source.
            feature_tensor(head.select([name for name in features if name not in (codes or ())]), dtype)
        label = None
        if target is not None and classes is None and not _is_float(head.schema[target]):
            label = target
        learned = self._learner(_unlearned(codes) if label is None else [label, *_unlearned(codes)])
        self._codes = Codes(codes, available, learned)
        self.columns_ = [name for name in features if name not in self._codes.names]
        self._needed = [*self.columns_, *self._codes.names, *beside]
        self.codes_, self.cardinalities_ = self._codes.categories, self._codes.cardinalities
        if target is None and classes is not None:
            raise DataError("classes were given without a target. Pass the target, or leave classes out.")
        self.classes_: np.ndarray | None = None
        if label is not None:
            self.classes_ = self._learned_classes(label, learned)
        elif target is not None and classes is not None:
            self.classes_ = target_tensor(head.get_column(target).clear(), classes)[1]
        first = self._tensors(head, 0)
        self._row_shapes = [part.shape[1:] for part in first]
        self.row_bytes = max(sum(part.element_size() * part[:1].numel() for part in first), 1)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: int | slice) -> tuple[Tensor, ...]:
        """Return one row for an int, a stretch of rows for a slice."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step != 1:
                raise IndexError(f"a step of {step}: only rows that follow one another can be read.")
            return tuple(self.tensors(start, max(start, stop)))
        row = rows + len(self) if rows < 0 else rows
        if not 0 <= row < len(self):
            raise IndexError(f"row {rows}: there are {len(self)} rows.")
        return tuple(part[0] for part in self.tensors(row, row + 1))

    def tensors(self, start: int, stop: int) -> list[Tensor]:
        """Read rows `start` to `stop` - 1 as tensors that are the caller's own."""
        parts = self._tensors(self._frame(start, stop), start)
        if [part.shape[1:] for part in parts] != self._row_shapes:
            raise DataError(
                f"{self.rows.where(start, stop)}: rows become {parts[0].shape[1]} numbers, but the first "
                f"rows {self._row_shapes[0][0]}. The vectors of a column need one length."
            )
        return parts

    def _tensors(self, frame: pl.DataFrame, start: int) -> list[Tensor]:
        try:
            if self.columns_:
                parts = [feature_tensor(frame.select(self.columns_), self._dtype)]
            else:
                parts = [torch.empty((frame.height, 0), dtype=self.dtype)]
            if self._codes.names:
                parts.append(self._codes.tensor(frame))
            target = None if self.target is None else frame.get_column(self.target)
            weight = None if self.weight is None else frame.get_column(self.weight)
            classes: Any = self.classes_
            return parts + companions(frame.height, target, weight, classes, "the stream holds {} rows")[0]
        except TilthError as error:
            counted = " Its rows are counted from the first of these." if " row " in str(error) else ""
            where = self.rows.where(start, start + frame.height)
            raise DataError(f"{where}: {error}{counted}") from error

    def _frame(self, start: int, stop: int) -> pl.DataFrame:
        """Read rows and change them."""
        where = self.rows.where(start, stop)
        cut = self.rows.cut(start, stop)
        if self._row_index is not None:
            numbers = pl.int_range(pl.len(), dtype=pl.UInt64) + pl.lit(start, pl.UInt64)
            cut = cut.with_columns(numbers.alias(self._row_index))
        try:
            changed = cut if self._change is None else self._change(cut)
            frame = (changed if self._needed is None else changed.select(self._needed)).collect()
        except pl.exceptions.PanicException as error:
            raise _unreadable(where, error) from error
        except Exception as error:  # change may raise whatever its author thought of
            self._blame(cut, where, error)
            raise StageError(f"change: {where}: {type(error).__name__}: {error}") from error
        if frame.height != stop - start:
            raise StageError(
                f"change: {where}: it made {frame.height} rows of {stop - start}. In a stream it has to go "
                "row by row; write the rows that are wanted to a file of their own first."
            )
        return frame

    def _blame(self, cut: pl.LazyFrame, where: str, error: Exception) -> None:
        """Raise where the rows cannot even be read: then it was not `change` that failed."""
        if self._change is None:
            raise _unreadable(where, error) from error
        try:
            cut.collect()
        except UNREADABLE as cause:
            raise _unreadable(where, cause) from cause

    def _learner(self, wanted: list[str]) -> Callable[[str], pl.Series]:
        """Return what finds the values of a column that differ, of all wanted ones in one pass if need be."""
        found: dict[str, pl.Series] = {}

        def learned(name: str) -> pl.Series:
            if name not in found:
                found.update(self._unique([name] if self._change is None else wanted))
            return found[name]

        return learned

    def _unique(self, names: list[str]) -> dict[str, pl.Series]:
        if self._change is None:
            query = self.rows.whole().select(pl.col(names).unique().implode())
            try:
                frame = query.collect(engine="streaming")
            except UNREADABLE as error:
                raise _unreadable(self.rows.where(0, len(self)), error) from error
            return {name: frame[name][0].alias(name) for name in names}
        # A step such as map_batches would hold the whole source in memory.
        found: dict[str, pl.Series] = {}
        for start in range(0, max(len(self), 1), _AT_ONCE):
            frame = self._frame(start, min(start + _AT_ONCE, len(self)))
            for name in names:
                values = frame.get_column(name).unique()
                found[name] = found[name].append(values).unique() if name in found else values
        return found

    def _learned_classes(self, name: str, learned: Callable[[str], pl.Series]) -> np.ndarray | None:
        values = learned(name)
        if values.null_count():
            self._refuse_missing(name)
        return target_tensor(values)[1]

    def _refuse_missing(self, name: str) -> None:
        count, first = 0, -1
        for start in range(0, len(self), _AT_ONCE):
            missing = self._frame(start, min(start + _AT_ONCE, len(self))).get_column(name).is_null()
            if first < 0 and missing.any():
                first = start + int(missing.arg_max() or 0)
            count += int(missing.sum())
        raise DataError(
            f"target: {count} of {len(self)} labels of '{name}' are missing, the first in "
            f"{self.rows.where(first, first + 1)}. Drop these rows, or leave target out for unlabeled data."
        )


def _available(names: Sequence[str], beside: dict[str, str], row_index: str | None) -> list[str]:
    """Return the names of what may be a feature, with target and weight checked to be there."""
    for name, role in beside.items():
        if name not in names:
            raise ColumnError.missing([name], names, role)
    return [name for name in names if name not in beside and name != row_index]


def _named(columns: Sequence[str], available: list[str], beside: dict[str, str]) -> list[str]:
    if isinstance(columns, str):
        raise invalid(f"columns={columns!r} is one name. Pass a list of them: columns=[{columns!r}].")
    named = list(columns)
    for name in named:
        if name in beside:
            raise invalid(f"columns: '{name}' is the {beside[name]}, which is no feature. Leave it out.")
    if absent := [name for name in named if name not in available]:
        raise ColumnError.missing(absent, available, "columns")
    if len(set(named)) < len(named):
        raise invalid(f"columns: a column is named twice: {listed(named)}.")
    return named


def _unlearned(codes: Asked) -> list[str]:
    given = codes if isinstance(codes, Mapping) else dict.fromkeys(codes or ())
    return [str(name) for name, categories in given.items() if categories is None]


def _is_float(dtype: pl.DataType) -> bool:
    return dtype.is_float() or dtype.is_decimal()


def _unreadable(where: str, error: BaseException) -> DataError:
    return DataError(
        f"{where}: cannot be read: {type(error).__name__}: {error}. The file may be damaged or have changed: "
        "write it anew, or leave it out."
    )
