"""Turn what a user holds into the tensors that batches are gathered from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from tilth.errors import DataError, listed
from tilth.loaders.parameters import invalid
from tilth.table.container import enter, enter_column
from tilth.table.kinds import kind_of

Floating = Literal["float32", "float16", "bfloat16"]

_TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_LARGEST = float(np.finfo(np.float32).max)

# Numbers are narrowed so many rows at a time that no second block of float32 is held beside the first.
_ROWS_AT_ONCE = 65_536


def feature_tensor(features: Any, dtype: Floating = "float32", names: Sequence[str] | None = None) -> Tensor:
    """Return the features as one contiguous block with a row per sample.

    Arrays and frames become `dtype`; missing values become NaN, booleans 0 and 1, and a vector column as
    many columns as it is wide. A tensor keeps its type and, if it is contiguous, its memory; only where it
    holds floating-point numbers and `dtype` is another than float32, it becomes `dtype`. In errors the
    columns of an array are called by `names`, or else by their number.

    Raises
    ------
    DataError
        If a column does not hold numbers, or a number is too large for `dtype`.
    InvalidParameterError
        If `dtype` is not known.
    """
    wanted = float_type(dtype)
    if isinstance(features, Tensor):
        if features.layout != torch.strided or features.is_complex():
            raise DataError(f"features: a dense tensor of real numbers is needed, got {_told(features)}.")
        block = features.detach().contiguous()
    elif isinstance(features, np.ndarray) and features.dtype.kind in "fiub":
        block = _from_array(features, "features", names)
    else:
        block, names = _from_frame(enter(features)[0])
    if block.ndim < 2:
        raise DataError(
            f"features: one row per sample is needed, got the shape {tuple(block.shape)}. "
            "Use features.reshape(-1, 1) for a single column."
        )
    if wanted == torch.float32 or not block.is_floating_point():
        return block
    return _narrowed(block, wanted, names)


def float_type(dtype: Any) -> torch.dtype:
    """Return the type that a name, or torch itself, means: float32, float16 or bfloat16."""
    name = str(dtype).removeprefix("torch.")
    if name not in _TYPES:
        raise invalid(f"dtype={dtype!r} is not known. Use one of {', '.join(_TYPES)}.")
    return _TYPES[name]


def target_tensor(target: Any, classes: Sequence[Any] | None = None) -> tuple[Tensor, np.ndarray | None]:
    """Return the target as a tensor, and the classes that its codes stand for.

    Floats become float32, of shape (n,) or, for several outputs or soft labels, (n, k). Integers in a
    tensor are codes already and become int64, unless `classes` says what they are codes of. All other
    labels are numbered by their place among the sorted classes, or among `classes`.

    Raises
    ------
    DataError
        If a label is missing or not among `classes`, or a float is not finite.
    """
    if isinstance(target, Tensor):
        target = target.detach()
        if target.is_complex():
            raise DataError(f"target: real numbers are needed, got {_told(target)}.")
        if target.is_floating_point():
            return _finite(target.to(torch.float32).contiguous(), "target"), None
        if target.ndim != 1:
            raise DataError(f"target: one label per row is needed, got the shape {tuple(target.shape)}.")
        if classes is None and target.dtype != torch.bool:
            return target.to(torch.int64).contiguous(), None
        target = target.cpu().numpy()
    if isinstance(target, np.ndarray) and target.dtype.kind == "f" and classes is None:
        values = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
        return _finite(_from_array(values, "target"), "target"), None
    column = enter_column(target, "target")
    if column.null_count():
        raise DataError(
            f"target: {column.null_count()} of {len(column)} labels are missing, the first in row "
            f"{column.is_null().arg_max()}. Drop these rows, or leave target out for unlabeled data."
        )
    if classes is None and (column.dtype.is_float() or column.dtype.is_decimal()):
        return _finite(_from_array(column.cast(pl.Float64).to_numpy(), "target"), "target"), None
    return _codes(column, classes)


def _codes(column: pl.Series, classes: Sequence[Any] | None) -> tuple[Tensor, np.ndarray]:
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    known = column.unique().sort() if classes is None else enter_column(classes, "classes")
    if known.dtype in (pl.Categorical, pl.Enum):
        known = known.cast(pl.String)
    if known.n_unique() != len(known) or known.null_count():
        raise DataError(f"classes: each class once is needed, got {listed(known)}.")
    numbers = pl.Series(range(len(known)), dtype=pl.Int64)
    codes = column.replace_strict(known, numbers, default=None, return_dtype=pl.Int64)
    if codes.null_count():
        unseen = column.filter(codes.is_null()).unique().sort()
        raise DataError(
            f"target: {codes.null_count()} labels, the first in row {codes.is_null().arg_max()}, are not "
            f"among the classes: {listed(map(repr, unseen))}. Classes: {listed(map(repr, known))}."
        )
    return torch.from_numpy(_own(codes.to_numpy())), known.to_numpy()


def weight_tensor(weight: Any) -> Tensor:
    """Return the weights as float32 of shape (n,), checked to be finite and not negative."""
    if isinstance(weight, Tensor):
        tensor = weight.detach().to(torch.float32).contiguous()
    else:
        column = enter_column(weight, "weight")
        if kind_of(column.dtype) not in ("numeric", "boolean"):
            raise DataError(f"weight: numbers are needed, got {column.dtype}.")
        tensor = _from_array(column.cast(pl.Float64).to_numpy(), "weight")
    if tensor.ndim != 1:
        raise DataError(f"weight: one value per row is needed, got the shape {tuple(tensor.shape)}.")
    _finite(tensor, "weight")
    if bool((tensor < 0).any()):
        raise DataError(f"weight: row {int((tensor < 0).int().argmax())} is negative; weights are 0 or more.")
    return tensor


def _from_frame(lazy: pl.LazyFrame) -> tuple[Tensor, list[str]]:
    """Return the block, and what its columns are called."""
    frame = _without_vectors(lazy.collect())
    strange = [
        f"{name} ({dtype})"
        for name, dtype in frame.schema.items()
        if kind_of(dtype) not in ("numeric", "boolean")
    ]
    if strange:
        raise DataError(
            f"features: {len(strange)} of {frame.width} columns do not hold numbers: {listed(strange)}. "
            "A stage such as encode.category turns them into numbers; leave out what is not a feature."
        )
    doubles = pl.col(pl.Float64)
    large = frame.select((doubles.is_finite() & (doubles.abs() > _LARGEST)).any())
    _refuse_large([name for name in large.columns if large[name].item()], "features")
    block = torch.from_numpy(_own(frame.select(pl.all().cast(pl.Float32)).to_numpy(order="c")))
    return block, frame.columns


def _narrowed(block: Tensor, wanted: torch.dtype, names: Sequence[str] | None) -> Tensor:
    """Return the block in a type of half the bytes; what would turn infinite there is refused."""
    if block.dtype == wanted:
        return block
    made = torch.empty(block.shape, dtype=wanted, device=block.device)
    large: set[int] = set()
    for given, part in zip(block.split(_ROWS_AT_ONCE), made.split(_ROWS_AT_ONCE), strict=True):
        part.copy_(given)
        lost = part.isinf() & given.isfinite()
        if bool(lost.any()):
            large.update(lost.reshape(len(lost), -1).any(dim=0).nonzero().flatten().tolist())
    _refuse_large(_called(sorted(large), names), "features", wanted)
    return made


def _without_vectors(frame: pl.DataFrame) -> pl.DataFrame:
    for name, dtype in frame.schema.items():
        if kind_of(dtype) != "vector":
            continue
        if isinstance(dtype, pl.List):
            widths = frame[name].list.len().drop_nulls().unique()
            if len(widths) != 1:
                raise DataError(
                    f"features: the vectors of column '{name}' are of {len(widths)} lengths: "
                    f"{listed(widths.sort())}. One length is needed for every row."
                )
            frame = frame.with_columns(pl.col(name).list.to_array(widths[0]))
        width = frame.schema[name].size  # type: ignore[attr-defined]
        parts = [f"{name}[{i}]" for i in range(width)]
        frame = frame.with_columns(pl.col(name).arr.to_struct(parts)).unnest(name)
    return frame


def _from_array(array: np.ndarray, what: str, names: Sequence[str] | None = None) -> Tensor:
    try:
        with np.errstate(over="raise"):
            return torch.from_numpy(_own(array.astype(np.float32, copy=False)))
    except FloatingPointError:
        large = np.isfinite(array) & (np.abs(array) > _LARGEST)
        columns = np.flatnonzero(large.reshape(len(array), -1).any(axis=0))
        _refuse_large(_called(columns, names) if array.ndim > 1 else [what], what)
        raise


def _called(columns: Iterable[int], names: Sequence[str] | None) -> list[str]:
    return [names[j] if names else f"column {j}" for j in columns]


def _refuse_large(names: list[str], what: str, dtype: torch.dtype = torch.float32) -> None:
    if names:
        limit = "65504 do not fit float16" if dtype == torch.float16 else f"3.4e38 do not fit {_name(dtype)}"
        raise DataError(
            f"{what}: numbers beyond {limit}: {listed(names)}. "
            "Rescale them (scale.standard, scale.robust) or clip them (outliers.clip) first."
        )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _own(array: np.ndarray) -> np.ndarray:
    """Return the array in row order and writable, as torch needs it; copied only if it is not."""
    return np.require(array, requirements=["C", "W"])


def _finite(values: Tensor, what: str) -> Tensor:
    broken = ~torch.isfinite(values)
    if bool(broken.any()):
        row = int(broken.reshape(len(values), -1).any(dim=1).int().argmax())
        raise DataError(
            f"{what}: {int(broken.sum())} of {values.numel()} values are missing or infinite, the first "
            f"in row {row}. Drop these rows or mend the values."
        )
    return values


def _told(tensor: Tensor) -> str:
    return f"a tensor of {tensor.dtype} and layout {tensor.layout}"
