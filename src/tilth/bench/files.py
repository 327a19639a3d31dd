"""Results as files: tidy tables for other tools, or all of it as JSON."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tilth.errors import DataError

What = Literal["verdicts", "scores", "costs", "slices", "tuned", "calibration", "probabilities", "recalls"]


def write_table(path: str | Path, frame: pl.DataFrame) -> Path:
    """Write a frame as Parquet or CSV, by the ending of the path: whole, or not at all.

    Raises
    ------
    DataError
        Another ending.
    """
    target = Path(path)
    ways: dict[str, Callable[[Any], None]] = {".parquet": frame.write_parquet, ".csv": frame.write_csv}
    if target.suffix not in ways:
        raise DataError(f"'{target.name}' ends in '{target.suffix}'. Name a file .parquet, .csv or .json.")
    return _written(target, lambda made: ways[target.suffix](made))


def write_text(path: str | Path, text: str) -> Path:
    """Write a text, whole or not at all."""
    return _written(Path(path), lambda made: Path(made).write_text(text, encoding="utf-8", newline="\n"))


def _written(target: Path, write: Callable[[str], Any]) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    try:
        write(made)
        with open(made, "rb+") as file:  # noqa: PTH123 - opened again, for its descriptor
            os.fsync(file.fileno())
        # mkstemp makes files for their owner alone; results are meant to be passed on.
        Path(made).chmod(0o644)
        Path(made).replace(target)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
    return target
