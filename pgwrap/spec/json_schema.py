"""The spec as JSON Schema, for an editor's YAML server.

The words and their meaning are schema.py's; none is repeated here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from pgwrap.spec import schema
from pgwrap.spec.schema import SpecWords, Words

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTIFIER = "urn:pgwrap:schema:spec:1"
_ENGINES = (("x-pgbackrest", "pgBackRest"), ("x-barman", "Barman"))

JsonSchema: TypeAlias = dict[str, Any]
"""A schema is JSON: the one place where a dict of anything is what is meant."""


def spec_schema() -> JsonSchema:
    """The JSON Schema (draft 2020-12) of the spec, with the help of every word."""
    generated = generated_schema()
    definitions = {name: _with_shorthand(name, definition) for name, definition in generated.pop("$defs").items()}
    whole = {
        "$schema": DIALECT,
        "$id": IDENTIFIER,
        **generated,
        "title": "pgwrap spec",
        "$defs": definitions,
    }
    for part in _mappings(whole):
        _finish(part)
    return whole


def generated_schema() -> JsonSchema:
    """What pydantic makes of the words, with pgwrap's notes (`x-…`) still apart."""
    return SpecWords.model_json_schema(by_alias=True)


def model_named(name: str) -> type[Words]:
    """The model behind a `$defs` entry."""
    model: type[Words] = getattr(schema, name)
    return model


def _with_shorthand(name: str, definition: JsonSchema) -> JsonSchema:
    definition["title"] = name.removesuffix("Words")
    model = model_named(name)
    if model.shorthand is None:
        return definition
    described = {"title": definition.pop("title"), "description": definition.pop("description", "")}
    return {**described, "anyOf": [dict(model.shorthand), definition]}


def _mappings(part: object) -> Iterator[JsonSchema]:
    if isinstance(part, dict):
        yield part
        for inner in part.values():
            yield from _mappings(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _mappings(inner)


def _finish(part: JsonSchema) -> None:
    """Put what pgwrap notes of a word into its description, where editors show it."""
    default = part.pop("x-default", None)
    notes = [part.get("description", "")] if isinstance(part.get("description"), str) else []
    notes += [f"{name}: {part.pop(key)}." for key, name in _ENGINES if isinstance(part.get(key), str)]
    notes += [f"Default: {default}."] if default else []
    if notes and any(notes):
        part["description"] = " ".join(note for note in notes if note)
    part.pop("x-kind", None)
    if part.get("default", 0) is None:
        del part["default"]
