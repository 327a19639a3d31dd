"""Hold a table as tensors, row by row or many rows at once, for any PyTorch loader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tilth.errors import DataError
from tilth.loaders.tensors import feature_tensor, target_tensor, weight_tensor


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
        pyarrow frames become one contiguous float32 block: integers above 2**24 are rounded, missing
        values become NaN, and NaN and infinities are handed on as they are.
    target : tensor, array, series or list, shape (n_rows,), default None
        Floats become float32 (floats of shape (n_rows, k) too: soft labels, several outputs). Integers in
        a tensor are taken as codes and become int64. Every other label, strings and booleans among
        them, is encoded as int64 codes. None for unlabeled data.
    weight : array-like, shape (n_rows,), default None
        Finite and not negative; float32. Needs a target.
    classes : sequence, default None
        The labels in the order of their codes. Default: the sorted labels. Pass the `classes_` of the
        training data for validation data, so that codes agree even where a class is absent.

    Attributes
    ----------
    tensors : tuple of Tensor
        ``(X,)``, ``(X, y)`` or ``(X, y, weight)``.
    classes_ : ndarray or None
        ``classes_[code]`` is the label; None where the target holds floats or codes.

    Raises
    ------
    DataError
        If columns do not hold numbers, lengths differ, labels are missing or not among `classes`, or
        the target or a weight is not finite.

    Examples
    --------
    >>> dataset = TableDataset(torch.arange(6.0).reshape(3, 2), ["no", "yes", "no"])
    >>> dataset[[2, 1]]
    (tensor([[4., 5.],
            [2., 3.]]), tensor([0, 1]))
    """

    def __init__(
        self,
        features: Any,
        target: Any = None,
        *,
        weight: Any = None,
        classes: Sequence[Any] | None = None,
    ) -> None:
        block = feature_tensor(features)
        beside, self.classes_ = companions(len(block), target, weight, classes, "features hold {} rows")
        self.tensors = (block, *beside)

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
        moved = TableDataset.__new__(TableDataset)
        moved.classes_ = self.classes_
        moved.tensors = tuple([tensor.to(device) for tensor in self.tensors])
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
