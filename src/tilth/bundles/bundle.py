"""Bundle: everything that a fitted pipeline is, written to a folder and read from it."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tilth.bundles import estimators
from tilth.bundles.folder import whole_folder
from tilth.bundles.state import build, key_of, state_of
from tilth.bundles.values import Parts, decode, encode, frame_to_bytes
from tilth.core.ledger import Ledger
from tilth.core.stage import Stage
from tilth.errors import BundleError, TilthWarning

FORMAT = "tilth bundle"
MAJOR, MINOR = 1, 0
INDEX = "bundle.json"
LARGEST_INDEX = 1 << 22
PACKAGES = ("tilth", "polars", "numpy", "scikit-learn", "skops", "safetensors", "torch")

_NAME = re.compile(r"recipe\.yaml|state\.json|arrays\.safetensors|frame-\d{1,6}\.arrow|part-\d{1,6}\.skops")
_BROKEN = (LookupError, TypeError, ValueError, ArithmeticError, RecursionError, OSError, MemoryError)


@dataclass
class Step:
    """Hold one fitted stage.

    Parameters
    ----------
    name, key : str
    params : dict
        What its constructor takes.
    state : dict
        What it learned: see `state_of`.
    """

    name: str
    key: str
    params: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, stage: Stage) -> Step:
        """Take a fitted stage apart.

        Raises
        ------
        BundleError
            If a bundle would have to hold code.
        """
        return cls(name, key_of(name, stage), stage.get_params(deep=False), state_of(stage))

    def build(self) -> Stage:
        """Return the fitted stage."""
        try:
            return build(self.key, self.params, self.state)
        except TypeError as error:
            raise BundleError(
                f"Step '{self.name}': {self.key} does not take its parameters: {error}."
            ) from error


@dataclass
class Bundle:
    """Hold a fitted pipeline as values.

    Parameters
    ----------
    recipe_yaml : str
        For people to read; empty where text cannot say what the pipeline does.
    steps : list of Step
    model : scikit-learn estimator or None
    facts : dict
        What else the pipeline must know.
    ledger : Ledger, optional
    """

    recipe_yaml: str
    steps: list[Step]
    model: Any = None
    facts: dict[str, Any] = field(default_factory=dict)
    ledger: Ledger | None = None


def write(bundle: Bundle, folder: str | Path) -> Path:
    """Write a bundle to a folder: all of it, or nothing. An older bundle there is replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BundleError
        If the folder holds something that is no bundle, or a value cannot be held without pickle.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and (is_bundle(folder) or not any(folder.iterdir()))):
        raise BundleError(
            f"{folder}: holds something that is no bundle, so it is not replaced. Choose another folder."
        )
    files = _files(bundle)
    index: dict[str, Any] = {
        "format": FORMAT,
        "version": [MAJOR, MINOR],
        "made_with": _versions(),
        "files": {name: {"bytes": len(data), "sha256": _sum(data)} for name, data in files.items()},
    }
    index["sha256"] = _sum_of(index)
    with whole_folder(folder) as made:
        for name, data in files.items():
            (made / name).write_bytes(data)
        (made / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
    return folder


def read(folder: str | Path) -> Bundle:
    """Read a bundle; nothing in its files is run.

    Raises
    ------
    BundleError
        If it is missing, damaged, of another major version, or holds a type that is not known to be safe.
    """
    folder = Path(folder)
    index = _index(folder)
    files = {name: _file(folder, name, told) for name, told in index["files"].items()}
    if "state.json" not in files:
        raise BundleError(f"{folder}: has no state.json. Save the pipeline again.")
    _warn_of_versions(folder, index.get("made_with"), any(name.endswith(".skops") for name in files))
    try:
        parts = _parts(folder, files)
        told = decode(json.loads(files["state.json"]), parts)
        steps = [Step(**step) for step in told["steps"]]
        recipe = files.get("recipe.yaml", b"").decode("utf-8")
        bundle = Bundle(recipe, steps, told["model"], told["facts"], told["ledger"])
        _check(bundle)
    except _BROKEN as error:
        raise BundleError(
            f"{folder}: cannot be read ({type(error).__name__}: {error}). Save the pipeline again."
        ) from error
    except BundleError as error:
        error.add_note(f"While reading {folder}.")
        raise
    return bundle


def is_bundle(folder: Path) -> bool:
    """Tell whether a folder holds a bundle, of whatever version."""
    try:
        index = json.loads((folder / INDEX).read_bytes()[:LARGEST_INDEX])
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(index, dict) and index.get("format") == FORMAT


def _files(bundle: Bundle) -> dict[str, bytes]:
    from safetensors.numpy import save

    parts = Parts()
    steps = []
    for step in bundle.steps:
        who = f"Step '{step.name}' ({step.key})"
        params = {n: encode(v, parts, f"{who}, parameter '{n}'") for n, v in step.params.items()}
        state = {n: encode(v, parts, f"{who}, {n}") for n, v in step.state.items()}
        steps.append({"name": step.name, "key": step.key, "params": params, "state": state})
    told = {
        "steps": steps,
        "model": encode(bundle.model, parts, "The model"),
        "facts": encode(bundle.facts, parts, "The pipeline"),
        "ledger": encode(bundle.ledger, parts, "The ledger"),
    }
    files = {"recipe.yaml": bundle.recipe_yaml.encode()} if bundle.recipe_yaml else {}
    files["state.json"] = json.dumps(told, allow_nan=False).encode()
    if parts.arrays:
        files["arrays.safetensors"] = save(
            {str(i): np.ascontiguousarray(a) for i, a in enumerate(parts.arrays)}
        )
    files |= {f"frame-{i}.arrow": frame_to_bytes(f) for i, f in enumerate(parts.frames)}
    for i, value in enumerate(parts.estimators):
        what = "The model" if value is bundle.model else "A part of the pipeline"
        files[f"part-{i}.skops"] = estimators.dump(value, what)
    return files


def _parts(folder: Path, files: dict[str, bytes]) -> Parts:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    parts = Parts()
    try:
        held = load(files["arrays.safetensors"]) if "arrays.safetensors" in files else {}
        parts.arrays = [held[str(i)] for i in range(len(held))]
        for i in range(sum(name.endswith(".arrow") for name in files)):
            parts.frames.append(pl.read_ipc(BytesIO(files[f"frame-{i}.arrow"])))
    except (SafetensorError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(f"an array or a frame is damaged: {error}") from error
    for i in range(sum(name.endswith(".skops") for name in files)):
        name = f"part-{i}.skops"
        parts.estimators.append(estimators.load(files[name], str(folder / name)))
    return parts


def _check(bundle: Bundle) -> None:
    for step in bundle.steps:
        texts = isinstance(step.name, str) and isinstance(step.key, str)
        if not (texts and isinstance(step.params, dict) and isinstance(step.state, dict)):
            raise TypeError("a step is not made of a name, a key, parameters and a state")
    if not isinstance(bundle.facts, dict):
        raise TypeError("the facts are no mapping")
    if bundle.ledger is not None and not isinstance(bundle.ledger, Ledger):
        raise TypeError("the ledger is none")


def _index(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        beside = sorted(p for p in folder.parent.glob(f".{folder.name}.*/*") if is_bundle(p))
        beside += sorted(p for p in folder.parent.glob(f".{folder.name}.*") if is_bundle(p))
        hint = f" A whole one is left beside it, in {beside[0]}; rename it to go on." if beside else ""
        raise BundleError(f"{folder}: no such folder. Check the path.{hint}")
    path = folder / INDEX
    if not path.is_file() or path.is_symlink():
        raise BundleError(
            f"{folder}: is no bundle (it has no {INDEX}). Name the folder that Pipeline.save wrote."
        )
    if path.stat().st_size > LARGEST_INDEX:
        raise BundleError(
            f"{path}: is {path.stat().st_size:,} bytes, which no bundle's index is. It is not read."
        )
    try:
        index = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is damaged ({error}). Save the pipeline again.") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise BundleError(f"{folder}: is no bundle of Tilth. Name the folder that Pipeline.save wrote.")
    found = index.get("version")
    if not isinstance(found, list) or len(found) != 2 or found[0] != MAJOR:
        shown = ".".join(map(str, found)) if isinstance(found, list) else found
        raise BundleError(
            f"{folder}: is a bundle of format {shown}; this version of Tilth reads format {MAJOR}. "
            "Read it with the version that wrote it, or save the pipeline again."
        )
    told = {key: value for key, value in index.items() if key != "sha256"}
    files = index.get("files")
    known = isinstance(files, dict) and all(
        isinstance(f, dict) and {"bytes", "sha256"} <= set(f) for f in files.values()
    )
    if _sum_of(told) != index.get("sha256") or not known:
        raise BundleError(f"{path}: was changed after it was written. Save the pipeline again.")
    return index


def _file(folder: Path, name: str, told: dict[str, Any]) -> bytes:
    if not _NAME.fullmatch(name):
        raise BundleError(f"{folder}: names a file '{name[:80]}', which no bundle has. It is not read.")
    path = folder / name
    if not path.is_file() or path.is_symlink():
        raise BundleError(f"{path}: is missing. Copy the whole folder, or save the pipeline again.")
    if path.stat().st_size != told["bytes"]:
        raise BundleError(
            f"{path}: is {path.stat().st_size} bytes, expected {told['bytes']}. It is damaged: save again."
        )
    data = path.read_bytes()
    if _sum(data) != told["sha256"]:
        raise BundleError(f"{path}: is damaged (its sha256 is not the one it was written with). Save again.")
    return data


def _warn_of_versions(folder: Path, made_with: Any, learned_elsewhere: bool) -> None:
    old = made_with.get("scikit-learn") if isinstance(made_with, dict) else None
    now = version("scikit-learn")
    if learned_elsewhere and old != now:
        warnings.warn(
            f"{folder}: holds parts of scikit-learn {old}, read by {now}: they may not mean the same. "
            "Fit and save again with this version.",
            TilthWarning,
            stacklevel=4,
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sum_of(index: dict[str, Any]) -> str:
    return _sum(json.dumps(index, sort_keys=True).encode())
