"""Folds that are done are kept in a folder, so that a bench that was killed goes on where it stopped."""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from tilth.bench.design import Arm, Design
from tilth.bench.files import write_text
from tilth.bench.pictures import files_print
from tilth.bench.sameness import digest, digest_array
from tilth.errors import DataError

DESIGN = "design.json"
PACKAGES = ("tilth", "numpy", "polars", "scikit-learn", "torch")
SHOWN = 120
"""Characters of a value that is told."""
Done = TypeVar("Done")
_PLACE = re.compile(r" at 0x[0-9a-fA-F]+")
_ODD = "not finite"


@dataclass(frozen=True)
class Kept:
    """Keep each fold's result in a folder as soon as it is done.

    Parameters
    ----------
    folder : Path
    """

    folder: Path

    @classmethod
    def at(cls, path: str | Path, key: Mapping[str, Any]) -> Kept:
        """Open a folder for one design, or go on with it.

        Parameters
        ----------
        path : str or Path
            Made where it is not there.
        key : mapping
            All that the results depend on, as plain values.

        Raises
        ------
        DataError
            The folder holds results of another design, or files that are not of a bench.
        """
        folder = Path(path)
        told = json.loads(json.dumps(_plain(key)))
        known = folder / DESIGN
        if folder.exists() and not folder.is_dir():
            raise DataError(f"resume: '{folder}' is a file. Name a folder.")
        if not known.exists():
            if folder.exists() and any(not item.name.endswith(".part") for item in folder.iterdir()):
                raise DataError(
                    f"resume: '{folder}' holds files, but no {DESIGN} of a bench. Name an empty folder."
                )
            folder.mkdir(parents=True, exist_ok=True)
            _write(known, told)
            return cls(folder)
        try:
            there = json.loads(known.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"resume: '{known}' cannot be read: {error}. Name another folder.") from error
        if apart := list(differences(there, told)):
            raise DataError(
                f"resume: '{folder}' holds the folds of another bench: {'; '.join(apart[:5])}"
                f"{f'; and {len(apart) - 5} more' if len(apart) > 5 else ''}. "
                "Name another folder, or run what was begun there."
            )
        return cls(folder)

    def run(self, run: Callable[[int, int], Done], kind: type[Done], repeat: int, fold: int) -> Done:
        """Return what was kept of a fold, or run it and keep that.

        Parameters
        ----------
        run : callable
            Gives a dataclass of plain values.
        kind : type
            That dataclass.
        """
        place = self.folder / f"repeat-{repeat}-fold-{fold}.json"
        if place.exists():
            return kind(**_restored(json.loads(place.read_text(encoding="utf-8"))))
        done = run(repeat, fold)
        _write(place, _plain(asdict(done)))  # type: ignore[call-overload]
        return done


def key_of(design: Design, arms: Sequence[Arm], **more: Any) -> dict[str, Any]:
    """Return all that the results of a bench depend on: rows, folds, recipes, probes, versions."""
    frame = design.table.frame.collect()
    probes = {name: "as named" if given is None else described(given) for name, given in design.probes}
    return {
        "data": {
            "rows": frame.height,
            "columns": frame.width,
            "content": digest(frame) or "of Python objects",
            "clean": digest_array(design.clean),
            "roles": described(design.table.roles.named()),
            "files": blake2b(files_print(frame, design.images).encode(), digest_size=16).hexdigest(),
        },
        "design": {
            "task": design.task,
            "metric": list(design.primary),
            "folds": design.folds,
            "repeats": len(design.fold_of),
            "random_state": design.random_state,
            "drawn": digest_array(design.fold_of),
            "time": digest_array(design.time),
            "slices": list(design.slices.names),
            "clean": digest_array(design.clean),
            "tune": described(design.grids),
            "test": digest_array(design.test),
        },
        "recipes": {
            arm.name: [[name, described(stage)] for name, stage in arm.stages] + [described(arm.model)]
            for arm in arms
        },
        "probes": probes,
        **{name: described(value) for name, value in more.items()},
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def described(value: Any) -> Any:
    """Describe a value by plain ones, the same in every process."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(str(described(item)) for item in value)
    if isinstance(value, np.ndarray):
        return f"array {digest_array(value)}" if value.dtype != object else described(value.tolist())
    if isinstance(value, pl.DataFrame | pl.Series):
        frame = value if isinstance(value, pl.DataFrame) else value.to_frame()
        return f"frame {digest(frame)}"
    kind = value if isinstance(value, type) else type(value)
    if hasattr(value, "get_params") and not isinstance(value, type):
        return {"class": f"{kind.__module__}.{kind.__qualname__}", **described(value.get_params(deep=False))}
    if isinstance(value, partial):
        return {"partial": [described(part) for part in (value.func, value.args, value.keywords)]}
    if (code := getattr(value, "__code__", None)) is not None:
        # Of the constants only plain ones: the text of others is another in every process.
        plain = [c for c in code.co_consts if isinstance(c, int | float | str | bytes)]
        body = blake2b(repr((code.co_code, code.co_names, plain)).encode(), digest_size=8).hexdigest()
        return f"{value.__module__}.{value.__qualname__} {body}"
    return _PLACE.sub("", repr(value))


def differences(there: Any, here: Any, where: str = "") -> list[str]:
    """Say where two descriptions differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        names = list(dict.fromkeys([*there, *here]))
        absent = "nothing"
        return [
            told
            for name in names
            for told in differences(
                there.get(name, absent), here.get(name, absent), f"{where}.{name}" if where else name
            )
        ]
    if there == here:
        return []
    return [f"{where} is {_short(there)} there and {_short(here)} here"]


def _short(value: Any) -> str:
    told = json.dumps(value)
    return told if len(told) <= SHOWN else f"{told[:SHOWN]}..."


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _write(path: Path, told: Any) -> None:
    write_text(path, json.dumps(told, allow_nan=False))


def _plain(value: Any) -> Any:
    """Return values that JSON can hold: what is not finite by its name."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {_ODD: repr(value)}
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return float(value[_ODD]) if set(value) == {_ODD} else {k: _restored(v) for k, v in value.items()}
    return [_restored(item) for item in value] if isinstance(value, list) else value
