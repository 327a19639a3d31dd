"""Say what is wrong with a recipe: file, line, field, found and expected, and the nearest word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from tilth.errors import RecipeError, listed, nearest
from tilth.recipes.text import Place

SHOWN = 20

_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "mapping_type": "a mapping",
    "none_required": "null",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "finite_number": "a finite number",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text like {pattern}",
}


def explain(
    error: ValidationError,
    values: Any,
    known: Mapping[Place, Iterable[str]],
    file: str,
    lines: Mapping[Place, int],
) -> RecipeError:
    """Turn pydantic's errors into one error with a line per problem.

    Parameters
    ----------
    error : ValidationError
    values : mapping
        What was checked.
    known : mapping of path to names
        The words that are allowed under a path.
    file : str
    lines : mapping of path to line
    """
    problems: dict[Place, list[dict[str, Any]]] = {}
    for told in error.errors(include_url=False):
        problems.setdefault(_place(told, values), []).append(dict(told))
    # Of a choice of types each says no; the one that came furthest into the value is the one that was meant.
    deepest = [p for p in problems if not any(len(q) > len(p) and q[: len(p)] == p for q in problems)]
    deepest.sort(key=lambda place: _line(place, lines))
    written = [f"{_where(p, file, lines)}: {_told(p, problems[p], known)}." for p in deepest]
    more = [f"... and {len(written) - SHOWN} more."] if len(written) > SHOWN else []
    return RecipeError("\n".join([*dict.fromkeys(written[:SHOWN]), *more]))


def _place(told: Mapping[str, Any], values: Any) -> Place:
    """Follow an error's path through the values; what is not there is the name of a branch of a union."""
    place: list[str | int] = []
    for step in told["loc"]:
        inside = isinstance(values, dict) and step in values
        inside = inside or (isinstance(values, list | tuple) and isinstance(step, int) and step < len(values))
        if inside:
            values = values[step]
            place.append(step)
    if told["type"] == "missing":
        place.append(told["loc"][-1])
    return tuple(place)


def _where(place: Place, file: str, lines: Mapping[Place, int]) -> str:
    line = _line(place, lines)
    return f"{file}:{line}" if line else file


def _line(place: Place, lines: Mapping[Place, int]) -> int:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 0)


def _field(place: Place) -> str:
    if not place:
        return ""
    if place[0] != "stages" or len(place) < 2:
        return _dotted(place) + ": "
    stage = f"stage {int(place[1]) + 1}"
    if len(place) == 2:
        return f"{stage}: "
    rest = f"{_dotted(place[3:])}: " if place[3:] else ""
    return f"{stage}, {place[2]}: {rest}"


def _dotted(place: Place) -> str:
    parts = [f"[{p}]" if isinstance(p, int) else f".{p}" for p in place]
    return "".join(parts).removeprefix(".")


def _told(place: Place, problems: list[dict[str, Any]], known: Mapping[Place, Iterable[str]]) -> str:
    if problems[0]["type"] == "extra_forbidden":
        words = list(known.get(place[:-1], ()))
        what = "section" if len(place) == 1 else "parameter" if place[0] == "stages" else "word"
        known_here = f"Known: {listed(words)}" if words else "None is known here"
        near = nearest(str(place[-1]), words)
        return f"{_field(place[:-1])}unknown {what} '{place[-1]}'{near}. {known_here}"
    return _field(place) + _said(problems)


def _said(problems: list[dict[str, Any]]) -> str:
    first = problems[0]
    value = first["input"]
    if first["type"] == "missing":
        return "is missing"
    expected = dict.fromkeys(words for p in problems if (words := _expected(p)))
    if not expected:
        return str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    choices = [word for p in problems for word in re.findall(r"'([^']*)'", _choices(p))]
    near = nearest(value, choices) if isinstance(value, str) else ""
    quoted = "a text" in expected and isinstance(value, bool | int | float)
    hint = f'; write it in quotes: "{shown(value)}"' if quoted else ""
    return f"found {shown(value)}, expected {' or '.join(expected)}{near}{hint}"


def _expected(problem: Mapping[str, Any]) -> str:
    if problem["type"] in ("literal_error", "enum"):
        return _choices(problem)
    pattern = _EXPECTED.get(problem["type"], "")
    limits = {n: f"{v:g}" if isinstance(v, float) else v for n, v in problem.get("ctx", {}).items()}
    return pattern.format(**limits)


def _choices(problem: Mapping[str, Any]) -> str:
    chosen = problem["type"] in ("literal_error", "enum")
    return str(problem["ctx"]["expected"]) if chosen else ""


def shown(value: Any) -> str:
    """Write a value as a recipe would, cut to a readable length."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"a mapping of {len(value)}" if value else "an empty mapping"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
