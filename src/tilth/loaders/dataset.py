"""Hold a table as tensors, row by row or many rows at once, for any PyTorch loader."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tilth.errors import DataError
from tilth.loaders.codes import Asked, feature_tensors
from tilth.loaders.tensors import Floating, target_tensor, weight_tensor


class TableDataset(Dataset):
    """Hold features, target and weights as tensors that rows are taken from.

    A map-style dataset for those who bring their own ``DataLoader``. ``dataset[7]`` is one row;
    ``dataset[rows]``, with a list or an int64 tensor of rows, is a whole batch gathered at once.
    With the default settings of ``DataLoader`` it works as ``TensorDataset`` does; the fast way is to
    let the sampler name whole batches::

        rows = RowSampler(len(dataset), random_state=0)
        DataLoader(dataset, sampler=BatchSampler(rows, 1024, drop_last=False), batch_size=None)

    `TableLoader` is faster still.

    Parameters
    ----------
    features : tensor, array or frame, shape (n_rows, ...)
        A tensor keeps its type (float32, uint8, int64 ...) and memory. Arrays, Polars, pandas and
        pyarrow frames become one contiguous block of `dtype`: integers above 2**24 are rounded, missing
        values become NaN, and NaN and infinities are handed on as they are.
    target : tensor, array, series or list, shape (n_rows,), default None
        Floats become float32 (floats of shape (n_rows, k) too: soft labels, several outputs). Integers in
        a tensor are taken as codes and become int64. Every other label, strings and booleans among
        them, is encoded as int64 codes. None for unlabeled data.
    weight : array-like, shape (n_rows,), default None
        Finite and not negative; float32. Needs a target.
    codes : list of names or mapping of name to sequence, default None
        Columns that become whole numbers to look up in ``torch.nn.Embedding``, and leave the block: of texts,
        categories, booleans or whole numbers, also as floats. Code 0 is what is missing or not among the
        categories; the categories, from 1 on, are all that occur in the column, sorted, or those that a
        mapping gives, in its order. Categories of pandas that are numbers count as texts. Columns of tensors,
        arrays and lists are named by their number, from 0. Pass the `codes_` of the training data for
        validation data.
    dtype : {"float32", "float16", "bfloat16"}, default "float32"
        The type of the block that is made of an array or a frame: the short ones take half the memory and
        hold 3 (float16, up to 65504) or 2 (bfloat16) decimal digits. A tensor of floating-point numbers
        becomes float16 or bfloat16 too; any other tensor, and any with "float32", stays as it is. Target and
        weight are float32 in any case.
    classes : sequence, default None
        The labels in the order of their codes. Default: the sorted labels. Pass the `classes_` of the
        training data for validation data, so that codes agree even where a class is absent.

    Attributes
    ----------
    tensors : tuple of Tensor
        ``(X,)``, ``(X, y)`` or ``(X, y, weight)``; with `codes`, ``(X, codes)``, ``(X, codes, y)`` ...
        Codes are int64 of shape (n_rows, number of coded columns). X has no columns if all are coded.
    classes_ : ndarray or None
        ``classes_[code]`` is the label; None where the target holds floats or codes.
    codes_ : dict of name to ndarray
        ``codes_[name][code - 1]`` is the category of a column; in the order of the columns of codes.
    cardinalities_ : list of int
        How many codes each column has, 0 among them: the first argument of ``torch.nn.Embedding``.

    Raises
    ------
    DataError
        If columns do not hold numbers, lengths differ, labels are missing or not among `classes`, the
        target or a weight is not finite, a number is too large for `dtype`, or a column to code is not there
        or holds what cannot be coded.
    InvalidParameterError
        If `dtype` is not known, or a column is named twice in `codes`.

    Examples
    --------
    >>> dataset = TableDataset(torch.arange(6.0).reshape(3, 2), ["no", "yes", "no"])
    >>> dataset[[2, 1]]
    (tensor([[4., 5.],
            [2., 3.]]), tensor([0, 1]))
    >>> import polars as pl
    >>> frame = {"age": [30, 40, 50], "city": ["Oslo", None, "Rome"]}
    >>> cities = TableDataset(pl.DataFrame(frame), codes=["city"])
    >>> cities[:], cities.cardinalities_
    ((tensor([[30.],
            [40.],
            [50.]]), tensor([[1],
            [0],
            [2]])), [3])
    """

    def __init__(
        self,
        features: Any,
        target: Any = None,
        *,
        weight: Any = None,
        codes: Asked = None,
        dtype: Floating = "float32",
        classes: Sequence[Any] | None = None,
    ) -> None:
        block, coded, coding = feature_tensors(features, codes, dtype)
        beside, self.classes_ = companions(len(block), target, weight, classes, "features hold {} rows")
        parts = (block, *beside) if coded is None else (block, coded, *beside)
        self.tensors = tuple([part.to(block.device) for part in parts])
        self.codes_: dict[Hashable, np.ndarray] = {} if coding is None else coding.categories
        self.cardinalities_: list[int] = [] if coding is None else coding.cardinalities

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> tuple[Tensor, ...]:
        """Return one row for an int, a view for a slice, a gathered batch for a list or tensor of rows."""
        if isinstance(rows, int | slice):
            return tuple([tensor[rows] for tensor in self.tensors])
        index = torch.as_tensor(rows, device=self.tensors[0].device)
        if index.ndim == 0:
            return self[int(index)]
        index = index.nonzero().flatten() if index.dtype == torch.bool else index.to(torch.int64)
        # Several times faster than tensor[index], which serves more kinds of index.
        return tuple([tensor.index_select(0, index) for tensor in self.tensors])

    def __getitems__(self, rows: Sequence[int]) -> list[tuple[Tensor, ...]]:
        """Return many rows as a list of samples, gathered at once: what a ``DataLoader`` collates."""
        return list(zip(*[part.unbind(0) for part in self[list(rows)]], strict=True))

    def to(self, device: torch.device) -> TableDataset:
        """Return the same rows with their tensors on the device; nothing is copied if they are there."""
        return self._with(lambda tensor: tensor.to(device))

    def pin_memory(self) -> TableDataset:
        """Return the same rows in page-locked memory, which CUDA copies from several times as fast."""
        return self._with(lambda tensor: tensor.cpu().pin_memory())

    def _with(self, move: Callable[[Tensor], Tensor]) -> TableDataset:
        moved = copy(self)
        moved.tensors = tuple([move(tensor) for tensor in self.tensors])
        return moved


def companions(
    n_rows: int, target: Any, weight: Any, classes: Sequence[Any] | None, told: str
) -> tuple[list[Tensor], np.ndarray | None]:
    """Return target and weight as tensors, as many as were given, and the classes that codes stand for.

    `told` says in errors how many rows there are: ``"features hold {} rows"``.
    """
    tensors: list[Tensor] = []
    named = None
    if target is not None:
        codes, named = target_tensor(target, classes)
        tensors.append(codes)
    elif classes is not None:
        raise DataError("classes were given without a target. Pass the target, or leave classes out.")
    if weight is not None:
        if target is None:
            raise DataError("weight was given without a target, but batches are (X, y, weight). Pass both.")
        tensors.append(weight_tensor(weight))
    for name, tensor in zip(("target", "weight"), tensors, strict=False):
        if len(tensor) != n_rows:
            raise DataError(
                f"{told.format(n_rows)}, but the {name} holds {len(tensor)}. "
                "Pass one value per row, in the order of the rows."
            )
    return tensors, named
