"""Facts as plain JSON-able data, field names and all. It chooses no format and computes no verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache, singledispatch
from typing import TypeAlias, get_type_hints

from pgwrap.domain.wal import Lsn

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""The type of a field that is an object of texts in JSON, such as a backup's annotations."""

_AS_THEY_ARE = frozenset({bool, int, type(None)})


@singledispatch
def encode(value: object) -> Json:
    """`value` as JSON data: objects by field, tuples as lists, None as null; TypeError for what has no JSON form."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _field(getattr(value, name), pairs=pairs) for name, key, pairs in _members(type(value))}
    raise TypeError(f"no JSON form for {type(value).__name__}")


@encode.register(type(None))
@encode.register(int)
def _(value: int | None) -> Json:
    return value


@encode.register
def _(value: float) -> Json:
    return value if math.isfinite(value) else None


@encode.register
def _(value: str) -> Json:
    return str(value) if value.isascii() else value.encode(errors="replace").decode()


@encode.register
def _(value: Enum) -> Json:
    return encode(value.value)


@encode.register
def _(value: Lsn) -> Json:
    return str(value)


@encode.register
def _(value: datetime) -> Json:
    return rfc3339(value)


@encode.register(tuple)
@encode.register(list)
def _(value: tuple[object, ...] | list[object]) -> Json:
    return [encode(item) for item in value]


@encode.register(dict)
def _(value: Mapping[str, object]) -> Json:
    return {str(encode(key)): encode(item) for key, item in value.items()}


def rfc3339(moment: datetime) -> str:
    """`moment` in UTC with a `Z` and no needless fraction; ValueError without a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment.isoformat()}")
    text = moment.astimezone(UTC).isoformat().removesuffix("+00:00")
    return f"{text.rstrip('0') if '.' in text else text}Z"


def json_name(field_name: str) -> str:
    """The contract's name of a field: `from_` is a Python necessity."""
    return field_name.rstrip("_")


def shown(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass that the contract shows, in its order."""
    return tuple(member.name for member in fields(kind) if "internal" not in member.metadata)


@cache
def _members(kind: type) -> tuple[tuple[str, str, bool], ...]:
    hints = get_type_hints(kind)
    return tuple((name, json_name(name), hints[name] == Pairs) for name in shown(kind))


def _field(value: object, *, pairs: bool) -> Json:
    kind = type(value)
    if kind in _AS_THEY_ARE or (
        isinstance(value, str) and kind is str and value.isascii()
    ):  # most values, and dispatch is slow
        return value  # type: ignore[return-value]
    if pairs:
        return encode(dict(value))  # type: ignore[call-overload]
    return encode(value)
