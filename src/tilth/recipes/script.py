"""A recipe as the Python script that does the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tilth.recipes.text import WIDTH
from tilth.stages import class_named, find

_START = '''"""Prepare {what} as the recipe says."""

{imports}

pipe = tilth.Pipeline(
    [
{steps}    ]
)
recipe = pipe.to_recipe({sections})
'''
_MAIN = """
if __name__ == "__main__":
    done = {verb}(recipe, base=Path(__file__).parent)
    print(done.ledger.account())
"""


def write(stages: Sequence[tuple[str, Mapping[str, Any]]], sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a script that builds the pipeline of these stages and the recipe of these sections."""
    path = sections.get("data", {}).get("path")
    # A stream reads the prepared rows that a run has written.
    streams = bool(sections.get("loader", {}).get("stream"))
    verb = "run" if streams else "prepare"
    imports = "import tilth"
    if path is not None:
        imports = f"from pathlib import Path\n\nimport tilth\nfrom tilth.pipeline import {verb}"
    steps = "".join(f"{_call(8, *_maker(key), params)},\n" for key, params in stages)
    told = "".join(f"\n    {name}={literal(said)}," for name, said in sections.items())
    started = _START.format(
        what="rows" if path is None else literal(path)[1:-1],
        imports=imports,
        steps=steps,
        sections=f"{told}\n" if told else "",
    )
    if path is None:
        return started
    loader = ""
    if streams:
        loader = "    loader = done.loader()\n"
    elif "loader" in sections:
        loader = f"{_call(4, 'loader = done.pipeline.loader', 'done.before', sections['loader'])}\n"
    return started + _MAIN.format(verb=verb) + loader


def literal(value: Any) -> str:
    """Write a plain value as Python, texts in double quotes."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    return repr(value)


def _maker(key: str) -> tuple[str, str]:
    name = find(key).__name__
    return (f"tilth.{name}", "") if class_named(name) is find(key) else ("tilth.stage", literal(key))


def _call(indent: int, function: str, first: str, params: Mapping[str, Any]) -> str:
    space = " " * indent
    # A parameter that is no Python name, or a keyword, can only come by a mapping; stages have none such.
    arguments = [*([first] if first else []), *(f"{name}={literal(value)}" for name, value in params.items())]
    line = f"{space}{function}({', '.join(arguments)})"
    if len(line) < WIDTH:
        return line
    inner = "".join(f"{space}    {argument},\n" for argument in arguments)
    return f"{space}{function}(\n{inner}{space})"
