"""Values as JSON and files: whatever JSON cannot hold becomes a mapping tagged by ``$``."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator

from tilth.bundles.state import build, key_of, state_of
from tilth.core.finding import Finding
from tilth.core.ledger import Ledger
from tilth.core.stage import Stage
from tilth.errors import BundleError
from tilth.stages.dense import Dense
from tilth.stages.mixed import Mixed
from tilth.stages.reading import Reading
from tilth.table import Selector

TAG = "$"
# Structured and object types are left out: the one is not needed, the other would be pickle.
_DTYPE = re.compile(r"[<>|=]?[biufcmMSU]\d+(\[\d*[a-zA-Z]+\])?")
_RECORDS: dict[str, type] = {
    "finding": Finding,
    "ledger": Ledger,
    "reading": Reading,
    "dense": Dense,
    "mixed": Mixed,
}


@dataclass
class Parts:
    """Hold what goes into files of its own, and is referred to by number.

    Parameters
    ----------
    arrays : list of ndarray
        Of plain types, one-dimensional.
    frames : list of DataFrame
    estimators : list of estimator
    """

    arrays: list[np.ndarray] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)
    estimators: list[Any] = field(default_factory=list)


def encode(value: Any, parts: Parts, what: str) -> Any:
    """Return a value as JSON can hold it, with its arrays, frames and estimators put into `parts`.

    Raises
    ------
    BundleError
        If it is of a type that is not known; `what` names its place.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {TAG: "float", "of": repr(value)}
    if type(value) is list:
        return [encode(v, parts, what) for v in value]
    if isinstance(value, Mapping):
        return _mapping(value, parts, what)
    if isinstance(value, tuple | set | frozenset):
        of = list(value) if isinstance(value, tuple) else sorted(value, key=repr)
        return {TAG: type(value).__name__, "of": [encode(v, parts, what) for v in of]}
    for name, kind in _RECORDS.items():
        if isinstance(value, kind):
            told = {f.name: getattr(value, f.name) for f in fields(kind)}
            return {TAG: name, "of": _mapping(told, parts, what)}
    if isinstance(value, Stage):
        told = {"key": key_of(what, value), "params": value.get_params(deep=False), "state": state_of(value)}
        return {TAG: "stage", "of": _mapping(told, parts, what)}
    plain = _plain(value)
    if plain is not None:
        return plain
    if isinstance(value, np.ndarray | np.generic):
        return _array(value, parts, what)
    if isinstance(value, pl.Series):
        return {TAG: "series", "of": _frame(value.to_frame(), parts)}
    if isinstance(value, pl.DataFrame):
        return {TAG: "frame", "of": _frame(value, parts)}
    if isinstance(value, pl.DataType) or (isinstance(value, type) and issubclass(value, pl.DataType)):
        return {TAG: "dtype", "of": _frame(pl.DataFrame(schema={"": value}), parts)}
    module = type(value).__module__.partition(".")[0]
    if isinstance(value, BaseEstimator) or module == "scipy":
        parts.estimators.append(value)
        return {TAG: "estimator", "of": len(parts.estimators) - 1}
    if module == "torch" and type(value).__name__ in ("Tensor", "Parameter"):
        return _tensor(value, parts, what)
    raise BundleError(
        f"{what}: a bundle cannot hold a value of type {type(value).__module__}.{type(value).__qualname__}. "
        "Known: plain values, arrays, tensors, Polars frames and scikit-learn estimators."
    )


def _mapping(value: Mapping[Any, Any], parts: Parts, what: str) -> Any:
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: encode(v, parts, what) for key, v in value.items()}
    pairs = [[encode(k, parts, what), encode(v, parts, what)] for k, v in value.items()]
    return {TAG: "dict", "of": pairs}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        zone = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
        return {TAG: "datetime", "of": value.isoformat(), "zone": zone, "fold": value.fold}
    if isinstance(value, dt.date | dt.time):
        return {TAG: type(value).__name__, "of": value.isoformat()}
    if isinstance(value, dt.timedelta):
        return {TAG: "timedelta", "of": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, Decimal):
        return {TAG: "decimal", "of": str(value)}
    if isinstance(value, Selector):
        return {TAG: "selector", "of": value.text}
    return None


def _array(value: np.ndarray | np.generic, parts: Parts, what: str) -> Any:
    array = np.asarray(value)
    if array.dtype == object:
        told = [encode(v, parts, what) for v in array.ravel().tolist()]
        return {TAG: "objects", "of": told, "shape": list(array.shape)}
    if not _DTYPE.fullmatch(array.dtype.str):
        raise BundleError(f"{what}: a bundle cannot hold an array of type {array.dtype}.")
    parts.arrays.append(np.frombuffer(array.tobytes(), np.uint8) if _is_odd(array.dtype) else array.ravel())
    tag = "array" if isinstance(value, np.ndarray) else "scalar"
    return {TAG: tag, "of": len(parts.arrays) - 1, "dtype": array.dtype.str, "shape": list(array.shape)}


def _is_odd(dtype: np.dtype[Any]) -> bool:
    """Tell whether safetensors does not know the type, so that its bytes are kept."""
    known = (dtype.kind in "biu" and dtype.itemsize <= 8) or (
        dtype.kind == "f" and dtype.itemsize in (2, 4, 8)
    )
    return not (known and dtype.isnative)


def _tensor(value: Any, parts: Parts, what: str) -> Any:
    import torch

    tensor = value.detach().cpu().contiguous()
    half = tensor.dtype == torch.bfloat16
    array = (tensor.view(torch.int16) if half else tensor).numpy()
    return {TAG: "tensor", "of": _array(array, parts, what), "bfloat16": half}


def _frame(frame: pl.DataFrame, parts: Parts) -> int:
    parts.frames.append(frame)
    return len(parts.frames) - 1


def decode(value: Any, parts: Parts) -> Any:
    """Return what `encode` was given.

    Raises
    ------
    BundleError
        If a tag is not known.
    LookupError, TypeError, ValueError, ArithmeticError
        If what a tag holds is not what it should.
    """
    if isinstance(value, list):
        return [decode(v, parts) for v in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: decode(v, parts) for key, v in value.items()}
    tag = value[TAG]
    if tag not in _READERS:
        raise BundleError(
            f"holds a value of the unknown sort '{tag}'; it may come from a newer version of Tilth."
        )
    return _READERS[tag](value, parts)


def _objects(value: dict[str, Any], parts: Parts) -> np.ndarray:
    items = decode(value["of"], parts)
    out = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        out[place] = item
    return out.reshape(value["shape"])


def _read_array(value: dict[str, Any], parts: Parts) -> np.ndarray:
    text = value["dtype"]
    if not _DTYPE.fullmatch(text):
        raise ValueError(f"an array of type {text}")
    dtype, held = np.dtype(text), _part(parts.arrays, value["of"])
    if _is_odd(dtype):
        held = np.frombuffer(held.tobytes(), dtype).copy()
    if held.dtype != dtype:
        raise ValueError(f"an array of type {held.dtype} where {dtype} is told")
    return held.reshape(value["shape"])


def _read_tensor(value: dict[str, Any], parts: Parts) -> Any:
    import torch

    tensor = torch.from_numpy(_read_array(value["of"], parts).copy())
    return tensor.view(torch.bfloat16) if value["bfloat16"] else tensor


def _read_datetime(value: dict[str, Any], parts: Parts) -> dt.datetime:
    moment = dt.datetime.fromisoformat(value["of"]).replace(fold=int(value["fold"]))
    return moment if value["zone"] is None else moment.replace(tzinfo=ZoneInfo(value["zone"]))


def _record(value: dict[str, Any], parts: Parts) -> Any:
    told = decode(value["of"], parts)
    return _RECORDS[value[TAG]](**told)


def _stage(value: dict[str, Any], parts: Parts) -> Stage:
    told = decode(value["of"], parts)
    return build(told["key"], told["params"], told["state"])


def _part(held: list[Any], number: Any) -> Any:
    if type(number) is not int or not 0 <= number < len(held):
        raise ValueError(f"part {number!r} of {len(held)}")
    return held[number]


_READERS: dict[str, Callable[[dict[str, Any], Parts], Any]] = {
    "float": lambda v, p: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[v["of"]],
    "tuple": lambda v, p: tuple(decode(v["of"], p)),
    "set": lambda v, p: set(decode(v["of"], p)),
    "frozenset": lambda v, p: frozenset(decode(v["of"], p)),
    "dict": lambda v, p: {decode(k, p): decode(x, p) for k, x in v["of"]},
    "finding": _record,
    "ledger": _record,
    "reading": _record,
    "dense": _record,
    "mixed": _record,
    "stage": _stage,
    "datetime": _read_datetime,
    "date": lambda v, p: dt.date.fromisoformat(v["of"]),
    "time": lambda v, p: dt.time.fromisoformat(v["of"]),
    "timedelta": lambda v, p: dt.timedelta(*v["of"]),
    "decimal": lambda v, p: Decimal(v["of"]),
    "selector": lambda v, p: Selector(v["of"]),
    "objects": _objects,
    "array": _read_array,
    "scalar": lambda v, p: _read_array(v, p)[()],
    "tensor": _read_tensor,
    "series": lambda v, p: _part(p.frames, v["of"]).to_series(0),
    "frame": lambda v, p: _part(p.frames, v["of"]),
    "dtype": lambda v, p: _part(p.frames, v["of"]).dtypes[0],
    "estimator": lambda v, p: _part(p.estimators, v["of"]),
}


def frame_to_bytes(frame: pl.DataFrame) -> bytes:
    """Return a frame as an Arrow file, not compressed."""
    out = BytesIO()
    frame.write_ipc(out, compression="uncompressed")
    return out.getvalue()
