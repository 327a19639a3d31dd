"""A stage's signature is its schema: one place says what a parameter may be.

Annotations of ``__init__`` are read once by pydantic. They check parameters at fit, recipes before
any data is read, and they write the JSON schema and the command line's listing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tilth.table import Selector

if TYPE_CHECKING:
    from tilth.core.stage import Stage


def model_of(cls: type[Stage]) -> type[BaseModel]:
    """Return the pydantic model of a stage's parameters; unknown keys are refused."""
    key: Any = cls  # to a type checker, the classes of estimators cannot be hashed
    return _model_of(key)


@cache
def _model_of(cls: Any) -> type[BaseModel]:
    hints = get_type_hints(cls.__init__, include_extras=True)
    told = _described(cls)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints.get(name, Any), Field(default, description=told.get(name)))
    config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
    return create_model(cls.__name__, __config__=config, **fields)


def check(stage: Stage) -> None:
    """Check a stage's parameters against its signature.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        Names the parameter, its value and what it may be.
    """
    from sklearn.utils._param_validation import InvalidParameterError

    try:
        model_of(type(stage)).model_validate(plain(stage.get_params(deep=False)))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        hint = get_type_hints(type(stage).__init__, include_extras=True).get(name, Any)
        known = f"{readable(hint)} (a kind, a name, a glob, or a list)" if name == "on" else readable(hint)
        told = f" ({first['msg']})" if first["type"] == "value_error" else ""
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(stage).__name__} must be {known}. "
            f"Got {getattr(stage, name, None)!r} instead{told}."
        ) from error


def plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Turn NumPy scalars into Python's and tuples into lists, as a recipe would write them."""

    def one(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        return [one(v) for v in value] if isinstance(value, tuple | list) else value

    return {name: one(value) for name, value in parameters.items()}


def parameters_of(cls: type[Stage]) -> list[dict[str, Any]]:
    """List a stage's parameters: name, type, default and description, for people to read."""
    hints = get_type_hints(cls.__init__, include_extras=True)
    told = _described(cls)
    return [
        {
            "name": name,
            "type": readable(hints.get(name, Any)),
            "default": None if field.is_required() else field.default,
            "required": field.is_required(),
            "about": told.get(name, ""),
        }
        for name, field in model_of(cls).model_fields.items()
    ]


def readable(hint: Any) -> str:
    """Write a type as a person would: ``'mean' | 'median'``, ``float (> 0) | None``, ``selection``.

    Examples
    --------
    >>> from typing import Annotated, Literal
    >>> from annotated_types import Ge, Gt, Le
    >>> readable(Annotated[float, Ge(0), Le(1)])
    'float (>= 0, <= 1)'
    >>> readable(Literal["mean", "median"] | Annotated[int, Gt(0)] | None)
    "'mean' | 'median' | int (> 0) | None"
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        bounds = ", ".join(f"{sign} {bound}" for sign, bound in _bounds(inside[1:]))
        return readable(inside[0]) + (f" ({bounds})" if bounds else "")
    if origin is Literal:
        return " | ".join(map(repr, inside))
    if origin in (Union, UnionType):
        # What `on` may be is told in one place; its parts would only hide the word for it.
        chosen = any(part is Selector or Selector in get_args(part) for part in inside)
        return "selection" if chosen else " | ".join(map(readable, inside))
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(readable, inside))}]"
    plain_words = {NoneType: "None", Any: "any", Ellipsis: "..."}
    return plain_words.get(hint) or str(getattr(hint, "__name__", hint))


def spoken(stage: Any) -> dict[str, Any]:
    """Return the parameters of a stage that differ from the defaults."""
    fields = model_of(type(stage)).model_fields
    return {
        name: value
        for name, value in stage.get_params(deep=False).items()
        if fields[name].is_required() or value != fields[name].default
    }


def _bounds(metadata: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "min_length": "at least", "max_length": "at most"}
    for one in metadata:
        for mark in getattr(one, "metadata", [one]):  # pydantic's Field carries a list of marks
            yield from ((sign, getattr(mark, name)) for name, sign in signs.items() if hasattr(mark, name))


def _described(cls: type) -> dict[str, str]:
    """Read the numpydoc ``Parameters`` section: the lines indented under each name."""
    doc = inspect.getdoc(cls) or ""
    found = re.search(r"Parameters\n-+\n(.*?)(?:\n\n\w[\w ]*\n-+|\Z)", doc, re.S)
    told: dict[str, str] = {}
    names: list[str] = []
    for line in found.group(1).splitlines() if found else []:
        if line and not line[0].isspace():
            names = [n.strip() for n in line.partition(" :")[0].split(",")]
        elif line.strip():
            for name in names:
                told[name] = (told.get(name, "") + " " + line.strip()).strip()
    return told
