"""The JSON Schemas (draft 2020-12) of what `-o json` prints, read off the facts' types and not written twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Final, Literal, Union, get_args, get_origin, get_type_hints

from pgwrap.domain.checking import FleetCheck
from pgwrap.domain.facts import FindingCode, FleetStatus
from pgwrap.domain.listing import FleetListing
from pgwrap.domain.retention import FleetRetention
from pgwrap.domain.taking import FleetTaken
from pgwrap.domain.verification import FleetVerification
from pgwrap.domain.wal import Lsn
from pgwrap.present.checked import CHECK_SCHEMA
from pgwrap.present.encode import Json, Pairs, json_name, shown
from pgwrap.present.envelope import ErrorEntry, OutcomeName
from pgwrap.present.json_format import STATUS_SCHEMA
from pgwrap.present.listing import LIST_SCHEMA
from pgwrap.present.retention import RETENTION_SCHEMA
from pgwrap.present.taken import BACKUP_SCHEMA
from pgwrap.present.verified import VERIFY_SCHEMA

JsonObject = dict[str, Json]

_MOMENT: JsonObject = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$",
    "description": "A moment in UTC, RFC 3339.",
}
_LEAVES: dict[object, JsonObject] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    NoneType: {"type": "null"},
    datetime: _MOMENT,
    Lsn: {"type": "string", "pattern": "^[0-9A-F]+/[0-9A-F]{1,8}$", "description": "A WAL position, as pg_lsn."},
    Pairs: {"type": "object", "additionalProperties": {"type": "string"}},
}


def status_schema() -> JsonObject:
    """What `pgwrap status -o json` prints."""
    return _document("pgwrap status", STATUS_SCHEMA, FleetStatus)


def list_schema() -> JsonObject:
    """What `pgwrap list -o json` prints."""
    return _document("pgwrap list", LIST_SCHEMA, FleetListing)


def retention_schema() -> JsonObject:
    """What `pgwrap retention -o json` prints."""
    return _document("pgwrap retention", RETENTION_SCHEMA, FleetRetention)


def backup_schema() -> JsonObject:
    """What `pgwrap backup -o json` prints."""
    return _document("pgwrap backup", BACKUP_SCHEMA, FleetTaken)


def verify_schema() -> JsonObject:
    """What `pgwrap verify -o json` prints."""
    return _document("pgwrap verify", VERIFY_SCHEMA, FleetVerification)


def check_schema() -> JsonObject:
    """What `pgwrap check -o json` prints."""
    return _document("pgwrap check", CHECK_SCHEMA, FleetCheck)


def _document(title: str, name: str, kind: type) -> JsonObject:
    """The schema of the envelope and everything in it. More keys than it names are allowed everywhere."""
    found = _Definitions()
    result, error = found.schema_of(kind), found.schema_of(ErrorEntry)
    properties: JsonObject = {
        "schema": {"const": name},
        "pgwrap": {"type": "string", "description": "The version of pgwrap that answered."},
        "generated_at": _MOMENT,
        "outcome": {
            "enum": list(get_args(OutcomeName)),
            "description": "partial: some cluster could not be read, the others are whole; error: there is no result.",
        },
        "errors": {"type": "array", "items": error},
        "result": {"anyOf": [result, {"type": "null"}]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{name.replace('/', ':')}",
        "title": title,
        "description": "Times are RFC 3339 in UTC, sizes bytes, durations seconds; null: the engine does not tell.",
        "type": "object",
        "additionalProperties": True,
        "required": list(properties),
        "properties": properties,
        "$defs": dict(sorted(found.definitions.items())),
    }


class _Definitions:
    """Collects a named definition for every dataclass and enumeration that is met on the way."""

    def __init__(self) -> None:
        self.definitions: JsonObject = {}

    def schema_of(self, kind: object) -> JsonObject:
        """The schema of one type: a leaf, a reference, a list, or a choice."""
        kind = getattr(kind, "__supertype__", kind)
        if kind in _LEAVES:
            return _LEAVES[kind]
        if isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, Enum)):
            return self._reference(kind)
        if get_origin(kind) is Literal:
            return {"enum": list(get_args(kind))}
        if get_origin(kind) in (Union, UnionType):
            return {"anyOf": [self.schema_of(option) for option in get_args(kind)]}
        if get_origin(kind) is tuple and get_args(kind)[1:] == (...,):
            return {"type": "array", "items": self.schema_of(get_args(kind)[0])}
        raise TypeError(f"no JSON Schema for {kind!r}")

    def _reference(self, kind: type) -> JsonObject:
        name = kind.__name__
        if name not in self.definitions:
            self.definitions[name] = None  # a type that holds itself ends here
            self.definitions[name] = self._enumeration(kind) if issubclass(kind, Enum) else self._object(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _enumeration(self, kind: type[Enum]) -> JsonObject:
        values: list[Json] = [member.value for member in kind]
        described: JsonObject = {"type": "string", "description": _description(kind)}
        # New findings are additions, so the known codes are examples and not a fence.
        return described | ({"examples": values} if kind is FindingCode else {"enum": values})

    def _object(self, kind: type) -> JsonObject:
        hints = get_type_hints(kind)
        properties: JsonObject = {json_name(name): self.schema_of(hints[name]) for name in shown(kind)}
        return {
            "type": "object",
            "description": _description(kind),
            "additionalProperties": True,
            "required": list(properties),
            "properties": properties,
        }


def _description(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").replace("\n", " ")


SCHEMAS: Final[Mapping[str, Callable[[], JsonObject]]] = {
    "status": status_schema,
    "list": list_schema,
    "retention": retention_schema,
    "backup": backup_schema,
    "verify": verify_schema,
    "check": check_schema,
}
"""By the command whose answer it describes."""
