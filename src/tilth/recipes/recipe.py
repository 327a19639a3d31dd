"""Recipe: what is done to which data, as a value that text, Python and the command line share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tilth.core.parameters import model_of
from tilth.core.stage import Stage
from tilth.errors import RecipeError, listed, nearest
from tilth.recipes import script, text
from tilth.recipes.line import Line, read_lines
from tilth.recipes.problems import explain, shown
from tilth.recipes.schema import schema_with_stages
from tilth.recipes.sections import Bench, Data, Loader, Output, Section, Split
from tilth.recipes.text import Place
from tilth.stages import find, keys


class Recipe(BaseModel):
    """Hold the sections of a recipe, checked: every stage and parameter is known to be good.

    Two recipes are equal if they do the same.

    Parameters
    ----------
    data : Data
        Which rows to read, and what their columns are.
    stages : list of Line
        What is done to them, in order.
    loader : Loader
        How prepared rows are fed to a training loop.
    bench : Bench
        How it is judged.
    output : Output
        Where prepared rows go.

    Examples
    --------
    >>> recipe = Recipe.from_text("stages: [impute.simple, {outliers.clip: {method: mad}}]")
    >>> recipe.build()
    [('impute.simple', ImputeSimple()), ('outliers.clip', OutliersClip(method='mad'))]
    >>> print(recipe.to_yaml(), end="")
    stages:
      - impute.simple
      - outliers.clip: {method: mad}
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    data: Data = Data()
    stages: list[Line]
    loader: Loader = Loader()
    bench: Bench = Bench()
    output: Output = Output()

    @field_validator("stages", mode="before")
    @classmethod
    def _read_stages(cls, items: Any) -> Any:
        return read_lines(items)

    @model_validator(mode="after")
    def _streams_what_it_wrote(self) -> Recipe:
        if self.loader.stream and self.output.format != "parquet":
            raise PydanticCustomError(
                "stream",
                "'loader: {stream: true}' reads what 'output: {format: parquet}' wrote; change one",
            )
        return self

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Read a recipe file.

        Raises
        ------
        RecipeError
            One line per problem: ``file:line: field: what was wrong``.
        """
        source = Path(path)
        if source.is_dir():
            raise RecipeError(f"{source}: is a folder; a recipe is a YAML file.")
        try:
            content = source.read_bytes()
        except FileNotFoundError as error:
            near = nearest(source.name, [p.name for p in source.parent.glob("*.y*ml")])
            raise RecipeError(f"{source}: no such file{near}. Check the path.") from error
        except OSError as error:
            raise RecipeError(f"{source}: cannot be read: {error.strerror}.") from error
        try:
            return cls.from_text(content.decode("utf-8-sig"), str(source))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise RecipeError(f"{source}:{line}: is not UTF-8 text. Save it as UTF-8.") from error

    @classmethod
    def from_text(cls, content: str, file: str = "recipe") -> Recipe:
        """Read a recipe from YAML text; `file` is the name that errors give it."""
        values, lines = text.read(content, file)
        return cls.from_values(values, file, lines)

    @classmethod
    def from_values(
        cls, values: Any, file: str = "recipe", lines: Mapping[Place, int] | None = None
    ) -> Recipe:
        """Check plain values, as YAML gives them.

        Parameters
        ----------
        values : mapping of section to its content
        file : str
            The name that errors give it.
        lines : mapping of path to line, optional
        """
        if not isinstance(values, Mapping):
            raise RecipeError(
                f"{file}: found {shown(values)}, expected the sections {listed(cls.model_fields)}."
            )
        # A section whose lines are all commented out says nothing.
        told = {name: part for name, part in values.items() if part is not None or name == "stages"}
        try:
            return cls.model_validate(told)
        except ValidationError as error:
            raise explain(error, told, _words(told), file, lines or {}) from None

    @classmethod
    def of(cls, stages: Iterable[tuple[str, Stage]], **sections: Any) -> Recipe:
        """Write named stages down, with only those parameters that differ from the defaults.

        Parameters
        ----------
        stages : sequence of (name, Stage)
            The recipe names them by their keys.
        **sections : mapping or section
            data, loader, bench, output.

        Raises
        ------
        RecipeError
            If a stage or a parameter cannot be said in text, or a section is not valid.
        """
        lines = [{line.key: line.params} for line in (Line.of(stage, name) for name, stage in stages)]
        return cls.from_values({**sections, "stages": lines})

    def build(self) -> list[tuple[str, Stage]]:
        """Return new stages with their names: their keys, and from the second of a kind on a number."""
        named: list[tuple[str, Stage]] = []
        seen: dict[str, int] = {}
        for line in self.stages:
            seen[line.key] = count = seen.get(line.key, 0) + 1
            name = line.key if count == 1 else f"{line.key}-{count}"
            named.append((name, find(line.key)(**line.params)))
        return named

    def told(self) -> dict[str, dict[str, Any]]:
        """Return the sections besides the stages, each with what was said in it."""
        sections = {name: getattr(self, name) for name in type(self).model_fields if name != "stages"}
        return {name: said for name, section in sections.items() if (said := section.told())}

    def to_yaml(self) -> str:
        """Write the recipe as YAML, which reads back equal to it."""
        sections = {name: text.entry(name, said) for name, said in self.told().items()}
        lines = ["stages:" if self.stages else "stages: []"]
        for line in self.stages:
            start = f"  - {text.flow(line.key)}"
            lines.append(text.entry(start, line.params) if line.params else start)
        sections["stages"] = "\n".join(lines)
        return "\n".join(sections[name] for name in type(self).model_fields if name in sections) + "\n"

    def to_python(self) -> str:
        """Write the recipe as a Python script that builds the same pipeline and the same recipe."""
        return script.write([(line.key, line.params) for line in self.stages], self.told())

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of recipe files, with every stage and its parameters, for editors."""
        sections: dict[str, type[BaseModel]] = {
            "data": Data,
            "loader": Loader,
            "bench": Bench,
            "output": Output,
        }
        return schema_with_stages(sections, list(cls.model_fields))


def _words(values: Mapping[str, Any]) -> dict[Place, Iterable[str]]:
    """Return the words that may stand under each path of these values."""
    sections: dict[Place, type[Section]] = {
        ("data",): Data,
        ("data", "split"): Split,
        ("loader",): Loader,
        ("bench",): Bench,
        ("output",): Output,
    }
    words: dict[Place, Iterable[str]] = {(): Recipe.model_fields}
    words |= {place: section.model_fields for place, section in sections.items()}
    lines = values.get("stages")
    for number, line in enumerate(lines if isinstance(lines, list) else []):
        for key in line if isinstance(line, dict) else ():
            if key in keys():
                words["stages", number, key] = model_of(find(key)).model_fields
    return words
