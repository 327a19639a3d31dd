"""YAML in and out: plain values by the YAML 1.2 core schema, and the line each of them stands on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tilth.errors import RecipeError

Place = tuple[str | int, ...]
LARGEST = 1 << 20
DEEPEST = 32
WIDTH = 110

_TAG = "tag:yaml.org,2002:"
# YAML 1.1, PyYAML's own, would read the key `on` as true, and 1e3 as a text.
_CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}


class _Reader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}


class _Writer(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}


for _name, (_pattern, _first) in _CORE.items():
    for _class in (_Reader, _Writer):
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)


def read(text: str, file: str) -> tuple[Any, dict[Place, int]]:
    """Return the values of a YAML text, and the line of each by its path.

    Raises
    ------
    RecipeError
        With file and line: not YAML, a key twice, or something a recipe has no use for (tags, aliases,
        keys that are no texts).
    """
    if len(text) > LARGEST:
        raise RecipeError(f"{file}: holds {len(text):,} characters, more than a recipe's {LARGEST:,}.")
    try:
        _survey(text, file)
        node = yaml.compose(text, Loader=_Reader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RecipeError(f"{file}:{line}: {_in_words(error)}.") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(f"{file}:{line}: holds a character that YAML does not allow.") from error
    if node is None:
        raise RecipeError(f"{file}: is empty. A recipe has at least stages: write 'stages: [impute.simple]'.")
    lines: dict[Place, int] = {}
    return _value(node, (), lines, file), lines


def _survey(text: str, file: str) -> None:
    """Refuse what could grow without bound, before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Reader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise RecipeError(
                f"{file}:{line}: anchors and aliases (&, *) have no use here; write the value out."
            )
        if tag := getattr(event, "tag", None):
            raise RecipeError(f"{file}:{line}: the tag {tag} has no use here; write the plain value.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RecipeError(f"{file}:{line}: is nested more than {DEEPEST} levels deep.")


def _value(node: yaml.Node, place: Place, lines: dict[Place, int], file: str) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, file)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*place, i), lines, file) for i, child in enumerate(node.value)]
    values: dict[str, Any] = {}
    for key_node, child in node.value:
        line = key_node.start_mark.line + 1
        key = _scalar(key_node, file) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            # A bare ? begins a key in YAML; who writes [?] means the text.
            found = key_node.value or "?" if isinstance(key_node, yaml.ScalarNode) else "..."
            raise RecipeError(f'{file}:{line}: the key {found} is not a text. Put it in quotes: "{found}".')
        if key in values:
            first = lines[(*place, key)]
            raise RecipeError(f"{file}:{line}: '{key}' is said twice, first on line {first}. Leave one out.")
        lines[(*place, key)] = line
        values[key] = _value(child, (*place, key), lines, file)
    return values


def _scalar(node: yaml.ScalarNode, file: str) -> Any:
    text, sort = node.value, node.tag.removeprefix(_TAG)
    try:
        if sort == "null":
            return None
        if sort == "bool":
            return text.lower() == "true"
        if sort == "int":
            return int(text, 0) if text.startswith(("0x", "0o")) else int(text)
        if sort == "float":
            return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    except ValueError as error:
        line = node.start_mark.line + 1
        raise RecipeError(f"{file}:{line}: the number {text[:20]}... is too long to be read.") from error
    return text


def _in_words(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    if r"'\t'" in problem:
        return "a tab stands where YAML wants spaces; indent with spaces"
    if "expected a single document" in (error.context or ""):
        return "a second document begins here ('---'); a recipe is one document"
    context = f" ({error.context})" if error.context else ""
    return f"is not valid YAML: {problem}{context}"


def flow(value: Any) -> str:
    """Write a value on one line: ``{numeric: median, on: [age, income]}``."""
    # In a list of one, a text is written as it would be inside a mapping.
    style: dict[str, Any] = {"default_flow_style": True, "width": float("inf"), "allow_unicode": True}
    wrapped = yaml.dump([value], Dumper=_Writer, sort_keys=False, **style)
    return str(wrapped.strip()[1:-1])


def entry(start: str, values: Mapping[str, Any]) -> str:
    """Write ``start: {values}`` on one line, or a value a line where it would be too long.

    `start` is indented as it should stand; lists hold their dash in it.
    """
    line = f"{start}: {flow(dict(values))}"
    if len(line) <= WIDTH or not values:
        return line
    indent = " " * (len(start) - len(start.lstrip(" -")) + 2)
    return "\n".join([f"{start}:", *(f"{indent}{flow(key)}: {flow(value)}" for key, value in values.items())])
