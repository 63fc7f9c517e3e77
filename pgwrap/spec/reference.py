"""docs/reference/spec.md: every word of the spec with what it takes, what it means and what each engine makes of it.

All of it comes from schema.py; nothing about a word is written here.
"""

from __future__ import annotations

import re
import sys
from dataclasses import field

from pgwrap.records import dataclass
from pgwrap.spec.json_schema import JsonSchema, generated_schema, model_named

_ENTRY = {"engines", "repositories", "clusters", "models"}
"""Mappings whose keys are names that the author chooses."""

_HEAD = """\
# The words of the spec

Made by `python -m pgwrap.spec.reference`; a test checks that it is current. Unknown words, wrong types and
numbers out of range are errors with file, line and column.

Values: a *duration* is a whole number with its unit (`s`, `min`, `h`, `d`, `w`), as in `5min` or `1d12h`; months and
years are not taken. A *size* has a unit too (`B`, `kB`, `MB`, `GB`, `TB` or `KiB`, `MiB` …, all powers of 1024, as in
PostgreSQL). A *flag* is `true` or `false`. Text stays what was typed: `no`, `010` and `1:30` are text, or refused where
a number or flag is wanted. No value may hold a line break. `null` says nothing, and takes a default away.

The last two columns tell which native option a word becomes; "none" means that the engine has no such thing, and
`pgwrap validate` says so. `since` numbers are engine versions.
"""


_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(slots=True)
class _Section:
    title: str
    places: list[str]
    definition: JsonSchema
    shorthand: JsonSchema | None = None
    rows: list[tuple[str, JsonSchema]] = field(default_factory=list)


def reference() -> str:
    """The whole page as Markdown."""
    whole = generated_schema()
    definitions = whole.pop("$defs")
    sections: dict[str, _Section] = {}
    _collect("SpecWords", "", whole, definitions, sections)
    pages = [_page(section, sections) for section in sections.values()]
    return "\n".join([_HEAD, *pages])


def _collect(
    name: str, place: str, definition: JsonSchema, definitions: JsonSchema, sections: dict[str, _Section]
) -> None:
    if name in sections:
        sections[name].places.append(place)
        return
    sections[name] = _Section(_title(name), [place], definition, model_named(name).shorthand)
    for word, content in definition["properties"].items():
        sections[name].rows.append((word, content))
        inner = _referred(content)
        if inner is not None:
            below = f"{place}.{word}".lstrip(".") + (".NAME" if word in _ENTRY else "")
            _collect(inner, below, definitions[inner], definitions, sections)


def _referred(content: JsonSchema) -> str | None:
    found = content.get("$ref")
    if found:
        return str(found).rpartition("/")[2]
    inner = [*content.get("anyOf", ()), *(content[key] for key in ("items", "additionalProperties") if key in content)]
    return next((name for part in inner if isinstance(part, dict) and (name := _referred(part))), None)


def _page(section: _Section, sections: dict[str, _Section]) -> str:
    places = ", ".join(f"`{place}`" for place in section.places if place)
    lines = [f"## {section.title}", "", section.definition.get("description", "")]
    lines += ["", f"At {places}."] if places else []
    engines = any("x-pgbackrest" in content or "x-barman" in content for _, content in section.rows)
    heads = ["Word", "Takes", "Default", "Meaning", *(["pgBackRest", "Barman"] if engines else [])]
    lines += ["", _row(heads), _row(["---"] * len(heads))]
    required = section.definition.get("required", ())
    for word, content in section.rows:
        default = "required" if word in required else content.get("x-default", "")
        cells = [f"`{word}`", _takes(content, sections), default, content.get("description", "")]
        natives = [content.get(note, "").replace("*", r"\*") for note in ("x-pgbackrest", "x-barman")]
        lines.append(_row([*cells, *(natives if engines else [])]))
    return "\n".join(lines) + "\n"


def _title(model: str) -> str:
    words = _CAMEL.sub(" ", model.removesuffix("Words").removesuffix("Form")).lower()
    return "The whole file" if words == "spec" else words.capitalize()


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _takes(content: JsonSchema, sections: dict[str, _Section]) -> str:
    options = [part for part in content.get("anyOf", [content]) if part.get("type") != "null"]
    return " or ".join(dict.fromkeys(_one(part, sections) for part in options))


def _one(part: JsonSchema, sections: dict[str, _Section]) -> str:
    if "$ref" in part:
        section = sections[str(part["$ref"]).rpartition("/")[2]]
        words = f"[{section.title}](#{section.title.lower().replace(' ', '-')})"
        return f"{_short(section.shorthand)} or {words}" if section.shorthand else words
    if "x-kind" in part:
        return f"{part['x-kind']}, as {part['examples'][0]}"
    for key in ("const", "enum"):
        if key in part:
            values = part[key] if key == "enum" else [part[key]]
            return ", ".join(f"`{value}`" for value in values)
    return _plain(part, sections)


def _short(shorthand: JsonSchema) -> str:
    if "const" in shorthand:
        return f"`{shorthand['const']}`"
    return f"text, as `{shorthand['examples'][0]}`" if "examples" in shorthand else "text"


def _plain(part: JsonSchema, sections: dict[str, _Section]) -> str:
    kind = part.get("type")
    if kind == "array":
        return f"list of {_takes(part.get('items', {}), sections)}"
    if kind == "object":
        return f"mapping of names to {_takes(part.get('additionalProperties', {}), sections)}"
    if kind == "integer":
        limits = [part.get("minimum"), part.get("maximum")]
        return "whole number" if None in limits else f"{limits[0]} to {limits[1]}"
    if kind == "string" and part.get("pattern") == "^/":
        return "absolute path"
    return {"boolean": "flag", "number": "number"}.get(str(kind), "text")


if __name__ == "__main__":
    sys.stdout.write(reference())
