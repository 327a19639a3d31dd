"""The JSON schema of a recipe, for editors that complete and check while one writes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from tilth.core.parameters import model_of
from tilth.stages import find, keys

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Writable(GenerateJsonSchema):
    """Describe what text can say: a type that only Python can build is left out."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        return {"not": {}}


def schema_with_stages(sections: Mapping[str, type[BaseModel]], order: Sequence[str]) -> dict[str, Any]:
    """Return one schema of all sections, with every stage and its parameters under ``stages``."""
    shared: dict[str, Any] = {}
    parts = {name: _schema(model, shared) for name, model in sections.items()}
    parts["stages"] = {"type": "array", "items": _line(shared), "description": "What is done, in order."}
    # A section whose lines are all commented out is null.
    optional = {n: {"anyOf": [part, {"type": "null"}]} for n, part in parts.items() if n != "stages"}
    whole = {
        "$schema": DIALECT,
        "title": "Tilth recipe",
        "type": "object",
        "properties": {name: {**parts, **optional}[name] for name in order},
        "required": ["stages"],
        "additionalProperties": False,
    }
    return {**whole, "$defs": shared} if shared else whole


def _line(shared: dict[str, Any]) -> dict[str, Any]:
    bare: list[dict[str, Any]] = []
    full: dict[str, Any] = {}
    for key in keys():
        about = (inspect.getdoc(find(key)) or "").partition("\n")[0]
        schema = _schema(model_of(find(key)), shared) | {"description": about}
        schema.pop("title", None)
        if schema.get("required"):
            full[key] = schema
        else:
            bare.append({"const": key, "description": about})
            full[key] = {"anyOf": [schema, {"type": "null"}], "description": about}
    one = {"type": "object", "properties": full, "additionalProperties": False}
    return {"anyOf": [*bare, one | {"minProperties": 1, "maxProperties": 1}]}


def _schema(model: type[BaseModel], shared: dict[str, Any]) -> dict[str, Any]:
    place = f"#/$defs/{model.__name__}.{{model}}"
    schema = model.model_json_schema(schema_generator=_Writable, ref_template=place)
    shared |= {f"{model.__name__}.{name}": part for name, part in schema.pop("$defs", {}).items()}
    return schema
