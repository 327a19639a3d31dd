"""Stages are found, not registered: the file `stages/impute/simple.py` is `impute.simple`, is `ImputeSimple`.

Other packages add theirs under the entry point group ``tilth.stages`` (name: the key; value:
``package.module:Class``).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilth.errors import StageError, UnknownName

if TYPE_CHECKING:
    from tilth.core.stage import Stage

_HERE = Path(__file__).parent


@cache
def keys() -> tuple[str, ...]:
    """Return the key of every stage: those on disk and those of other packages, sorted."""
    own = {
        ".".join(path.relative_to(_HERE).with_suffix("").parts)
        for path in _HERE.glob("*/*.py")
        if not path.name.startswith("_")
    }
    return tuple(sorted(own | set(_foreign())))


@cache
def find(key: str) -> type[Stage]:
    """Return the class of a stage by its key, such as ``impute.simple``.

    Raises
    ------
    UnknownName
        If there is no such stage; the nearest keys are offered.
    """
    if key not in keys():
        raise UnknownName.among("stage", key, keys())
    if key in _foreign():
        foreign: type[Stage] = _foreign()[key].load()
        foreign.key = key
        return foreign
    module = import_module(f"tilth.stages.{key}")
    wanted = flat(key)
    for name, value in vars(module).items():
        if isinstance(value, type) and name.lower() == wanted and value.__module__ == module.__name__:
            return value
    raise StageError(f"The file of stage '{key}' holds no class named like it, such as {_camel(key)}.")


def stage(key: str, /, **parameters: Any) -> Stage:
    """Make a stage by its key.

    Examples
    --------
    >>> stage("impute.simple", numeric="mean")
    ImputeSimple(numeric='mean')
    """
    cls = find(key)
    try:
        return cls(**parameters)
    except TypeError as error:
        from tilth.core.parameters import model_of

        known = list(model_of(cls).model_fields)
        wrong = [name for name in parameters if name not in known]
        if not wrong:
            raise
        raise UnknownName.among(f"parameter of {key}", wrong[0], known) from error


def class_named(name: str) -> type[Stage] | None:
    """Return the stage class of a name such as ``ImputeSimple``, or None."""
    for key in keys():
        if flat(key) == name.lower():
            cls = find(key)
            if cls.__name__ == name:
                return cls
    return None


def flat(key: str) -> str:
    """Return a key as its class name, in lower case: how file and class are matched."""
    return key.replace(".", "").replace("_", "")


def _camel(key: str) -> str:
    return "".join(word.capitalize() for word in key.replace(".", "_").split("_"))


@cache
def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="tilth.stages")}
