"""`tilth stages`, `tilth recipe` and `tilth schema`: what there is, and what a recipe says."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from tilth.cli import show

KINDS = {
    "ColumnStage": "columns",
    "DecisionStage": "decisions",
    "RowStage": "training rows",
    "BatchStage": "batches",
}
SKIPPED = ("Parameters", "Findings", "Examples")


def stages(
    key: Annotated[
        str | None, typer.Argument(help="A stage such as impute.simple, or a family: impute.")
    ] = None,
) -> None:
    """List the stages; with a key, explain one."""
    from tilth.stages import find, keys

    if key is not None and not any(known.startswith(f"{key}.") for known in keys()):
        return _explain(find(key))
    shown = [k for k in keys() if key is None or k.startswith(f"{key}.")]
    rows = [(k, _acts_on(find(k)), _first_line(find(k))) for k in shown]
    show.table(["stage", "changes", "what it does"], rows, wrap="what it does")
    return None


def _explain(cls: Any) -> None:
    from tilth.core import parameters_of

    first, sections = _sections(cls)
    show.say(
        f"{cls.key} ({cls.__name__}): changes {_acts_on(cls)}, handles {', '.join(cls.handles)} columns.",
        first,
    )
    for name, text in sections.items():
        if name not in SKIPPED:
            show.say("", name, text)
    show.say("", "Parameters")
    rows = [
        (p["name"], p["type"], "required" if p["required"] else _default(p["default"]), p["about"])
        for p in parameters_of(cls)
    ]
    if rows:
        show.table(["name", "type", "default", "about"], rows)
    if cls.finds:
        show.say("", "Findings")
        show.table(["code", "meaning"], cls.finds.items(), wrap="meaning")


def recipe(
    file: Annotated[Path, typer.Argument(help="A recipe file.")],
    python: Annotated[
        bool, typer.Option("--python", help="Print a Python script that does the same.")
    ] = False,
) -> None:
    """Check a recipe and print it tidily, or as a Python script."""
    from tilth.recipes import Recipe

    read = Recipe.read(file)
    show.raw(read.to_python() if python else read.to_yaml())


def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from tilth.recipes import Recipe

    show.as_json(Recipe.json_schema())


def _acts_on(cls: Any) -> str:
    acts = next(KINDS[parent.__name__] for parent in cls.__mro__ if parent.__name__ in KINDS)
    return f"{acts} or training rows" if "expand" in inspect.signature(cls).parameters else acts


def _first_line(cls: Any) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def _default(value: Any) -> str:
    from tilth.recipes.line import plain
    from tilth.recipes.text import flow

    return flow(plain(value))


def _sections(cls: Any) -> tuple[str, dict[str, str]]:
    """Split a docstring into its first line and its sections, underlined or indented."""
    first, _, rest = (inspect.getdoc(cls) or "").partition("\n")
    lines = rest.splitlines()
    starts = [
        i for i, line in enumerate(lines) if line and not line[0].isspace() and not line.startswith("-")
    ]
    # Under an underlined heading the text is not indented; these sections are shown by other means.
    sections: dict[str, str] = {}
    for start in starts:
        name, body = lines[start].strip(), []
        for line in lines[start + 1 :]:
            if line and not line[0].isspace():
                break
            body.append(line)
        if name and name[0].isupper() and any(body) and len(name.split()) <= 3:
            sections[name] = "\n".join(body).strip("\n")
    return first, sections
