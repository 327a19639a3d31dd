"""What an audit worked out at length, kept on disk: the same question is answered at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from tilth.images.cache import Cache

VERSION = "1"
"""Of how answers are worked out: those of another version are not used."""

Answer = dict[str, Any]


def kept(what: str, asked: tuple[Any, ...], work_out: Callable[[], Answer]) -> Answer:
    """Return an answer, worked out now or before.

    Parameters
    ----------
    what : str
        The question.
    asked : tuple
        All that the answer depends on: arrays, and values that JSON can hold.
    work_out : callable
        Returns the answer: arrays of numbers, and values that JSON can hold, by name.
    """
    word = hashlib.blake2b(what.encode(), digest_size=16)
    for part in asked:
        if isinstance(part, np.ndarray):
            word.update(f"{part.dtype.str} {part.shape}".encode())
            word.update(np.ascontiguousarray(part).data)
        else:
            word.update(json.dumps(part, sort_keys=True).encode())
    key = word.hexdigest()
    store = Cache("audits", VERSION)
    found = store.recall(pl.Series([key]))
    if found.height and found.width > 1:
        return _read(found)
    answer = work_out()
    store.keep(_written(key, answer))
    return answer


def _written(key: str, answer: Answer) -> pl.DataFrame:
    """Write an answer as one row: arrays as bytes, with their type and shape beside them."""
    told: dict[str, Any] = {}
    blobs: list[bytes] = []
    for name, value in answer.items():
        if isinstance(value, np.ndarray):
            told[name] = {"array": len(blobs), "type": value.dtype.str, "shape": list(value.shape)}
            blobs.append(np.ascontiguousarray(value).tobytes())
        else:
            told[name] = {"value": value}
    row = {"key": [key], "told": [json.dumps(told)], "blobs": [blobs]}
    return pl.DataFrame(row, schema={"key": pl.String, "told": pl.String, "blobs": pl.List(pl.Binary)})


def _read(found: pl.DataFrame) -> Answer:
    blobs = found["blobs"][0].to_list()
    answer: Answer = {}
    for name, told in json.loads(found["told"][0]).items():
        if "value" in told:
            answer[name] = told["value"]
        else:
            answer[name] = np.frombuffer(blobs[told["array"]], told["type"]).reshape(told["shape"]).copy()
    return answer
