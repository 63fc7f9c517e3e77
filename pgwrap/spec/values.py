"""The kinds of values that the spec's words take, each read from the author's own text. No word is defined here.

Every reader gets a YAML scalar and decides by the kind wanted, so `010`, `no` and `1:30` are never changed silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from pgwrap.domain.wal import SEGMENT_SIZES
from pgwrap.spec.names import LONGEST_NAME, name_fault
from pgwrap.spec.quantities import QuantityError, parse_days, parse_duration, parse_rate, parse_size
from pgwrap.text.yaml_text import Scalar

Quantity = TypeVar("Quantity")

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_YES_AND_NO = {"yes", "no", "on", "off", "y", "n"}
_HOST = re.compile(r"[^\s\-@/\[\]][^\s@/\[\]]*")
_ACCOUNT = re.compile(r"[^\s\-:@/][^\s:@/]*")
_SLOT = re.compile(r"[a-z0-9_]{1,63}")


def refused(message: str, hint: str = "", *, incomplete: bool = False) -> PydanticCustomError:
    """An error for a validator to raise; an incomplete value may still be completed by a cluster's own words."""
    kind = "incomplete" if incomplete else "refused"
    return PydanticCustomError(kind, "{message}", {"message": message, "hint": hint})


def shape_of(value: object) -> str:
    """How a message names what stands where something else is wanted."""
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "nothing" if value is None else "text"


def read_text(value: object) -> str:
    """The text of a scalar; a plain number or date is the text the author typed."""
    if not isinstance(value, Scalar):
        raise refused(f"must be text, not {shape_of(value)}")
    if not value.quoted and value.text in {"NULL", "Null"}:
        raise refused(f"{value.text} could be text or nothing", "write null, or quote the text")
    return value.text


def read_filled_text(value: object) -> str:
    """Text that is not empty."""
    text = read_text(value)
    if not text.strip():
        raise refused("must not be empty")
    return text


def read_flag(value: object) -> bool:
    """`true` or `false` and nothing else."""
    if isinstance(value, Scalar) and not value.quoted and value.text in {"true", "false"}:
        return value.text == "true"
    if isinstance(value, Scalar) and value.text.lower() in {*_YES_AND_NO, "true", "false"}:
        raise refused(f"{value.text!r} is not true or false", "write true or false, without quotes")
    raise refused("must be true or false")


def read_integer(value: object) -> int:
    """A plain decimal number; `010`, `1_000`, `0x1f` and `1:30` are refused, as is a quoted number."""
    text = _number_text(value, "a whole number")
    if not _INTEGER.fullmatch(text):
        raise refused(f"{text!r} is not a whole number", "write plain decimal digits")
    if len(text) > 18:
        raise refused("the number is absurdly large")
    return int(text)


def read_version(value: object) -> int:
    """The version of the spec's own language; there is one so far."""
    version = read_integer(value)
    if version != 1:
        raise refused(f"this pgwrap does not read version {version}", "write version: 1")
    return version


def read_number(value: object) -> float:
    """A plain decimal number with or without a fraction."""
    text = _number_text(value, "a number")
    if not _NUMBER.fullmatch(text) or len(text) > 40:
        raise refused(f"{text[:40]!r} is not a number", "write plain decimal digits")
    return float(text)


def _number_text(value: object, wanted: str) -> str:
    if not isinstance(value, Scalar):
        raise refused(f"must be {wanted}, not {shape_of(value)}")
    if value.quoted:
        raise refused(f"must be {wanted}, not quoted text", "remove the quotes")
    return value.text


def _reader(parse: Callable[[str], Quantity]) -> Callable[[object], Quantity]:
    def read(value: object) -> Quantity:
        try:
            return parse(read_text(value))
        except QuantityError as error:
            raise refused(error.message, error.hint) from None

    return read


def read_duration(value: object) -> int:
    """Seconds, at least one."""
    seconds = _reader(parse_duration)(value)
    if seconds < 1:
        raise refused("must be longer than nothing")
    return seconds


def read_segment_size(value: object) -> int:
    """A wal_segment_size that initdb accepts, in bytes."""
    size = _reader(parse_size)(value)
    if size not in SEGMENT_SIZES:
        raise refused("is not a WAL segment size", "a power of two from 1MB to 1GB; PostgreSQL's own default is 16MB")
    return size


def read_path(value: object) -> str:
    """An absolute path without `//`."""
    text = read_filled_text(value)
    if not text.startswith("/"):
        raise refused("is not an absolute path", "start it with /")
    if "//" in text:
        raise refused("has two slashes in a row", "write one")
    if text != text.strip():
        raise refused("begins or ends with a space", "remove it")
    return text


def read_host(value: object) -> str:
    """A host name or address; nothing that a program could take for an option."""
    text = read_filled_text(value)
    if not _HOST.fullmatch(text):
        raise refused(f"{text!r} is not a host name or address", "a socket's directory goes under socket_directory")
    return text


def read_account(value: object) -> str:
    """The name of an operating system user."""
    text = read_filled_text(value)
    if not _ACCOUNT.fullmatch(text):
        raise refused(f"{text!r} is not a user name")
    return text


def read_destination(value: object) -> str:
    """An ssh destination: `host` or `user@host`, with the port left to ssh's own configuration."""
    text = read_filled_text(value)
    user, _, host = text.rpartition("@")
    if not _HOST.fullmatch(host) or (user and not _ACCOUNT.fullmatch(user)):
        raise refused(f"{text!r} is not an ssh destination", "write host or user@host; ports go in ssh's configuration")
    return text


def read_slot(value: object) -> str:
    """A replication slot's name by PostgreSQL's rules (slot.c, ReplicationSlotValidateName)."""
    text = read_text(value)
    if not _SLOT.fullmatch(text):
        raise refused(f"{text!r} is not a slot name", "lower-case letters, digits and _, at most 63")
    return text


def read_name(value: object) -> str:
    """A name that may become a section, a file and a directory; a key of the spec is plain text already."""
    text = value if isinstance(value, str) else read_text(value)
    fault = name_fault(text)
    if fault is not None:
        raise refused(f"{text!r} is not a usable name: it {fault}")
    return text


def _quantity_schema(kind: str, pattern: str, examples: list[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "x-kind": kind, "pattern": pattern, "examples": examples})


def _text_schema(**more: object) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number", "boolean"], **more})


_DURATION_PATTERN = "^[0-9]+ ?[A-Za-z]+( ?[0-9]+ ?[A-Za-z]+)*$"
_SIZE_PATTERN = "^[0-9]+ ?(B|[kK]B|KiB|[MGTP]i?B)$"

WORD = BeforeValidator(read_text)
"""Beside a Literal: one of a few words."""

AnyText: TypeAlias = Annotated[str, BeforeValidator(read_text), _text_schema()]
Text: TypeAlias = Annotated[str, BeforeValidator(read_filled_text), _text_schema(minLength=1)]
Name: TypeAlias = Annotated[str, BeforeValidator(read_name), _text_schema(minLength=1, maxLength=LONGEST_NAME)]
Path: TypeAlias = Annotated[str, BeforeValidator(read_path), WithJsonSchema({"type": "string", "pattern": "^/"})]
Host: TypeAlias = Annotated[str, BeforeValidator(read_host)]
Account: TypeAlias = Annotated[str, BeforeValidator(read_account)]
Destination: TypeAlias = Annotated[str, BeforeValidator(read_destination)]
SlotName: TypeAlias = Annotated[
    str, BeforeValidator(read_slot), WithJsonSchema({"type": "string", "pattern": "^[a-z0-9_]{1,63}$"})
]
Flag: TypeAlias = Annotated[bool, BeforeValidator(read_flag)]
RepositoryKey: TypeAlias = Annotated[int, Field(ge=1, le=256), BeforeValidator(read_integer)]
MajorVersion: TypeAlias = Annotated[int, Field(ge=9, le=99), BeforeValidator(read_integer)]
Version: TypeAlias = Annotated[int, BeforeValidator(read_version), WithJsonSchema({"const": 1})]
Number: TypeAlias = Annotated[float, BeforeValidator(read_number)]
Port: TypeAlias = Annotated[int, Field(ge=1, le=65535), BeforeValidator(read_integer)]
Parallel: TypeAlias = Annotated[int, Field(ge=1, le=999), BeforeValidator(read_integer)]
Level: TypeAlias = Annotated[int, Field(ge=-7, le=22), BeforeValidator(read_integer)]
Backups: TypeAlias = Annotated[int, Field(ge=1, le=9_999_999), BeforeValidator(read_integer)]
Duration: TypeAlias = Annotated[
    int, BeforeValidator(read_duration), _quantity_schema("duration", _DURATION_PATTERN, ["5min", "26h", "1d12h"])
]
Days: TypeAlias = Annotated[
    int,
    Field(ge=1, le=36_500),
    BeforeValidator(_reader(parse_days)),
    _quantity_schema("days", _DURATION_PATTERN, ["14d", "2 weeks"]),
]
DaysOrNone: TypeAlias = Annotated[
    int,
    Field(ge=0, le=36_500),
    BeforeValidator(_reader(parse_days)),
    _quantity_schema("days", _DURATION_PATTERN, ["0d", "400d"]),
]
Size: TypeAlias = Annotated[
    int, BeforeValidator(_reader(parse_size)), _quantity_schema("size", _SIZE_PATTERN, ["512MiB", "16MB"])
]
SegmentSize: TypeAlias = Annotated[
    int, BeforeValidator(read_segment_size), _quantity_schema("size", _SIZE_PATTERN, ["16MB", "64MB"])
]
Rate: TypeAlias = Annotated[
    int,
    Field(ge=1),
    BeforeValidator(_reader(parse_rate)),
    _quantity_schema("rate", _SIZE_PATTERN.replace("$", "( ?/s)?$"), ["20MiB/s", "10MB"]),
]
