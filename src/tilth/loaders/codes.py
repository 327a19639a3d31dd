"""Number the categories of columns, so that an embedding can look them up."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from tilth.errors import ColumnError, DataError, StageError, listed
from tilth.loaders.device import Batch
from tilth.loaders.parameters import invalid
from tilth.loaders.tensors import Floating, feature_tensor
from tilth.table.container import enter, enter_column

Asked = Sequence[Hashable] | Mapping[Any, Any] | None
"""What a user may say: names of columns, or each name with its categories in the order of their codes."""


class Codes:
    """Number the categories of columns from 1 on; 0 is what is missing or not among them.

    Parameters
    ----------
    codes : sequence of names, mapping of name to sequence, or None
        Which columns are coded. A mapping gives the categories of each, in the order of their codes; those
        of a plain name are learned: all that occur, sorted.
    names : iterable of str
        The columns there are.
    values : callable
        Returns the cells of a column, or at least each different one, by its name; called where categories
        are learned.

    Attributes
    ----------
    names : list of str
        The columns that are coded.
    categories : dict of name to ndarray
        ``categories[name][code - 1]`` is the category; with the names as they were given.
    cardinalities : list of int
        For each column, how many codes there are: one more than categories.

    Raises
    ------
    DataError
        If a column is not there, is named twice, or does not hold texts, categories, whole numbers or
        booleans, or if categories repeat, are missing, or are of another kind than the column.

    Examples
    --------
    >>> frame = pl.DataFrame({"city": ["Rome", None, "Oslo"], "age": [3, 4, 5]})
    >>> cities = Codes(["city"], frame.columns, frame.get_column)
    >>> cities.tensor(frame).tolist(), cities.cardinalities
    ([[2], [0], [1]], [3])
    """

    def __init__(self, codes: Asked, names: Iterable[str], values: Callable[[str], pl.Series]) -> None:
        given = _given(codes)
        self.names = [str(name) for name in given]
        _check_names(self.names, list(names))
        self._known = [
            _learned(values(name), name) if categories is None else _checked(categories, name)
            for name, categories in zip(self.names, given.values(), strict=True)
        ]
        self.categories = {n: known.to_numpy() for n, known in zip(given, self._known, strict=True)}
        self.cardinalities = [len(known) + 1 for known in self._known]

    def tensor(self, frame: pl.DataFrame) -> Tensor:
        """Return the codes of the rows of a frame, int64 of shape (n_rows, number of columns)."""
        made = np.empty((frame.height, len(self.names)), np.int64)
        for place, (name, known) in enumerate(zip(self.names, self._known, strict=True)):
            made[:, place] = _numbered(frame.get_column(name), known, name)
        return torch.from_numpy(made)


def feature_tensors(
    features: Any, codes: Asked, dtype: Floating = "float32"
) -> tuple[Tensor, Tensor | None, Codes | None]:
    """Return the features that are not coded as one block, and the codes of the others; None where none are.

    Columns of tensors, arrays and lists are named by their number, from 0.
    """
    given = _given(codes)
    if not given:
        return feature_tensor(features, dtype), None, None
    if isinstance(features, Tensor | np.ndarray | list | tuple):
        frame, block = _of_array(features, given, dtype)
    else:
        frame = enter(features)[0].collect()
        _check_names([str(name) for name in given], frame.columns)
        others: Any = frame.drop([str(name) for name in given])
        if not others.width:  # a frame without columns would forget how many rows there are
            others = np.empty((frame.height, 0), np.float32)
        block = feature_tensor(others, dtype)
    coding = Codes(given, frame.columns, frame.get_column)
    return block, coding.tensor(frame), coding


def beside_codes(augment: Iterable[Any]) -> list[Any]:
    """Return what to augment with, so that stages see batches without the codes.

    Stages know the columns of X alone. The codes are put back as they were: they are the row's own, also
    where a stage mixes rows. What is no stage sees the batch as it is.
    """
    return [_without_codes(each) if hasattr(each, "for_batches") else each for each in augment]


def _without_codes(stage: Any) -> Callable[[Batch, torch.Generator], Batch]:
    def change(batch: Batch, generator: torch.Generator) -> Batch:
        X, codes, *beside = batch
        changed = stage.augment((X, *beside), generator)
        if len(changed[0]) != len(codes):
            raise StageError(
                f"{type(stage).__name__} made {len(changed[0])} rows of {len(codes)}, and codes stay with "
                "their row. In a loader with codes, a stage has to keep the rows of a batch."
            )
        return (changed[0], codes, *changed[1:])

    return change


def _given(codes: Asked) -> dict[Hashable, Any]:
    """Return each name with its categories, or with None where they are to be learned."""
    if codes is None:
        return {}
    if isinstance(codes, Mapping):
        return dict(codes)
    if isinstance(codes, str | int):
        raise invalid(f"codes={codes!r} is one name. Pass a list of them: codes=[{codes!r}].")
    named = list(codes)
    if len(set(named)) < len(named):
        raise invalid(f"codes: a column is named twice: {listed(named)}.")
    return dict.fromkeys(named)


def _check_names(names: list[str], available: list[str]) -> None:
    absent = [name for name in names if name not in available]
    if absent:
        raise ColumnError.missing(absent, available, "codes")
    if len(set(names)) < len(names):
        raise invalid(f"codes: a column is named twice: {listed(names)}.")


def _of_array(features: Any, given: Mapping[Any, Any], dtype: Floating) -> tuple[pl.DataFrame, Tensor]:
    """Return the coded columns of an array as a frame, and the block of the others."""
    # As objects, a list of rows of numbers and texts keeps its numbers.
    table = features if isinstance(features, Tensor | np.ndarray) else np.array(features, dtype=object)
    if table.ndim != 2:
        raise DataError(f"codes: features of two dimensions are needed, got the shape {tuple(table.shape)}.")
    width = table.shape[1]
    for name in given:
        if isinstance(name, bool) or not isinstance(name, int | np.integer) or not 0 <= name < width:
            raise ColumnError(
                f"codes: no column {name!r}. The columns of an array are named by their number, here 0 to "
                f"{width - 1}; pass a frame to name them by words."
            )
    columns = []
    for j in given:
        column = table[:, j]
        if isinstance(column, Tensor):
            column = column.detach().cpu()
            column = (column.double() if column.is_floating_point() else column).numpy()
        columns.append(enter_column(column, f"column {j}").alias(str(j)))
    kept = [j for j in range(width) if j not in given]
    names = [f"column {j}" for j in kept]
    others: Any = table[:, kept]
    if isinstance(others, np.ndarray) and others.dtype.kind not in "fiub" and kept:
        lazy = enter(others)[0]
        others = lazy.rename(dict(zip(lazy.collect_schema().names(), names, strict=True)))
    elif isinstance(others, np.ndarray) and not kept:
        others = np.empty(others.shape, np.float32)
    return pl.DataFrame(columns), feature_tensor(others, dtype, names)


def _learned(column: pl.Series, name: str) -> pl.Series:
    return _plain(column, f"column '{name}'").unique().drop_nulls().sort()


def _checked(categories: Any, name: str) -> pl.Series:
    known = _plain(enter_column(categories, f"categories of '{name}'"), f"categories of '{name}'")
    if known.null_count() or known.n_unique() < len(known):
        raise DataError(f"codes: each category of '{name}' once is needed, got {listed(known)}.")
    return known


def _plain(values: pl.Series, what: str) -> pl.Series:
    """Return values as texts, booleans or int64: what can be told apart and sorted."""
    dtype = values.dtype
    if dtype in (pl.String, pl.Boolean, pl.Int64, pl.Null):
        return values
    if dtype in (pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    if not dtype.is_numeric():
        raise DataError(
            f"codes: {what} is {dtype}. Texts, categories, whole numbers and booleans can be coded; "
            "bring it into one of these, or leave it out."
        )
    if dtype.is_float() or dtype.is_decimal():
        values = values.cast(pl.Float64).fill_nan(None)
        broken = ~(values.is_finite() & (values == values.floor())).fill_null(True)
        if broken.any():
            row = int(broken.arg_max() or 0)
            raise DataError(
                f"codes: {what} holds numbers that are not whole, the first in row {row}: {values[row]}. "
                "Leave it among the features, or cut it into bins first."
            )
    whole = values.cast(pl.Int64, strict=False)
    if whole.null_count() > values.null_count():
        raise DataError(f"codes: {what} holds whole numbers beyond 2**63. Pass them as texts.")
    return whole


def _numbered(column: pl.Series, known: pl.Series, name: str) -> np.ndarray:
    """Return the place of each cell among the known categories, from 1 on, and 0 for all others."""
    named = column.dtype in (pl.Categorical, pl.Enum)
    column = _plain(column, f"column '{name}'")
    if pl.Null in (column.dtype, known.dtype) or not len(known):
        return np.zeros(len(column), np.int64)
    if {column.dtype, known.dtype} == {pl.Boolean, pl.Int64}:
        column, known = column.cast(pl.Int64), known.cast(pl.Int64)
    if named and known.dtype == pl.Int64:  # categories that are numbers come in as texts
        known = known.cast(pl.String)
    if column.dtype != known.dtype:
        raise DataError(
            f"codes: column '{name}' holds {column.dtype}, but its categories are {known.dtype}: "
            f"{listed(map(repr, known))}. Bring both to one type; otherwise every cell would be unknown."
        )
    numbers = pl.Series(range(1, len(known) + 1), dtype=pl.Int64)
    return column.replace_strict(known, numbers, default=0, return_dtype=pl.Int64).to_numpy()
