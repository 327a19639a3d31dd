"""One line of a recipe's stages: the key of a stage, and parameters that are not left to the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from tilth.core.parameters import model_of
from tilth.core.stage import Stage
from tilth.errors import RecipeError, listed, nearest
from tilth.recipes.problems import shown
from tilth.stages import find, keys
from tilth.table import Selector


@dataclass(frozen=True)
class Line:
    """Name a stage and its parameters.

    Two lines are equal if they build the same stage: a default that is written out changes nothing.

    Parameters
    ----------
    key : str
        Such as ``impute.simple``.
    params : dict
        Plain values.
    """

    key: str
    params: dict[str, Any] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Line) and (self.key, self._whole()) == (other.key, other._whole())

    __hash__ = None  # type: ignore[assignment]

    def _whole(self) -> dict[str, Any]:
        fields = model_of(find(self.key)).model_fields
        told = {name: f.default for name, f in fields.items() if not f.is_required()} | self.params
        return {name: plain(value) for name, value in told.items()}

    @classmethod
    def of(cls, stage: Stage, name: str = "") -> Line:
        """Write a stage down: the parameters that differ from the defaults.

        Raises
        ------
        RecipeError
            If text cannot say what the stage does; the message tells what to do instead.
        """
        who = name if name and name != stage.key else stage.key
        kind = type(stage)
        if not getattr(stage, "recipe", True):
            if hasattr(stage, "offered_as"):
                raise RecipeError(
                    f"Step '{who}' ({kind.__name__}) was given code of your own, which text cannot hold. "
                    f"Offer it under a name (entry point group '{stage.offered_as}') and pass the name, or "
                    "keep this pipeline in Python."
                )
            raise RecipeError(
                f"Step '{who}' ({kind.__name__}) runs code that is not a stage, which text cannot hold. "
                "Keep this pipeline in Python, or put a stage in its place (`tilth stages` lists them)."
            )
        if stage.key not in keys() or find(stage.key) is not kind:
            raise RecipeError(
                f"Step '{who}': the key '{stage.key}' does not find {kind.__module__}.{kind.__name__}. Offer "
                "the class under the entry point group 'tilth.stages', or keep this pipeline in Python."
            )
        params: dict[str, Any] = {}
        fields = model_of(kind).model_fields
        values = stage.get_params(deep=False)
        for parameter, known in fields.items():
            value = values[parameter]
            try:
                told = plain(value)
                if known.is_required() or not _same(told, plain(known.default)):
                    params[parameter] = told
            except TypeError as error:
                raise RecipeError(
                    f"Step '{who}', parameter '{parameter}': text cannot hold {error}. Use "
                    " a plain value, or keep this pipeline in Python."
                ) from error
        return cls(stage.key, params)


def read_lines(items: Any) -> Any:
    """Read the items of ``stages``: a key, or a key with its parameters.

    Raises
    ------
    ValidationError
        With every problem of every line.
    """
    if not isinstance(items, list | tuple):
        return items
    lines: list[Line] = []
    problems: list[InitErrorDetails] = []
    for number, item in enumerate(items):
        found = _read_line(item, (number,), problems)
        if found is not None:
            lines.append(found)
    if problems:
        raise ValidationError.from_exception_data("stages", problems)
    return lines


def _read_line(item: Any, place: tuple[str | int, ...], problems: list[InitErrorDetails]) -> Line | None:
    def refuse(told: str, value: Any, *deeper: str) -> None:
        problems.append({"type": PydanticCustomError("line", told), "loc": (*place, *deeper), "input": value})

    if isinstance(item, Line):
        item = {item.key: item.params}
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, Mapping) or len(item) != 1:
        refuse(f"found {shown(item)}, expected the key of one stage, or 'key: {{parameters}}'", item)
        return None
    key, params = next(iter(item.items()))
    if key not in keys():
        refuse(f"there is no stage '{key}'{nearest(key, keys())}. Known: {listed(keys(), 60)}", item, key)
        return None
    params = {} if params is None else params
    if not isinstance(params, Mapping):
        refuse(f"found {shown(params)}, expected its parameters, such as {{on: numeric}}", params, key)
        return None
    try:
        params = {name: plain(value) for name, value in params.items()}
        model_of(find(key)).model_validate(params)
    except TypeError as error:
        refuse(str(error), params, key)
        return None
    except ValidationError as error:
        for told in error.errors(include_url=False):
            where, context = (*place, key, *told["loc"]), told.get("ctx", {})
            problems.append({"type": told["type"], "loc": where, "input": told["input"], "ctx": context})
        return None
    return Line(key, params)


def plain(value: Any) -> Any:
    """Return a value as text can hold it: NumPy's and tuples become Python's, a selector its text.

    Raises
    ------
    TypeError
        If text cannot hold it.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Selector):
        return value.text
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a mapping with keys that are no texts")
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    raise TypeError(f"a value of type {type(value).__name__}")


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other
