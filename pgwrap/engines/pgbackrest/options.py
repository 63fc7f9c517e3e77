"""pgBackRest's option table from `options.json`: which options exist, since when, where, and with which values.

It knows the engine's own options only; what the spec's words become is not said here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Literal, TypedDict

from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

Section = Literal["global", "stanza", "command-line"]
_INDEXED = re.compile(r"(repo|pg|db)([1-9][0-9]{0,2})-(.+)")
_MAXIMUM_INDEX = 256
_SIZE = re.compile(r"(\d+)(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE)
_TIME = re.compile(r"(\d+)(ms|s|m|h|d|w)?")
_UNITS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class _Entry(TypedDict, total=False):
    """An entry of options.json."""

    name: str
    section: Section
    type: str
    since: str
    removed: str
    default: str
    allowed: list[tuple[str, str | None]]
    range: tuple[str, str] | dict[str, tuple[str, str]]
    commands: list[str]
    multi: bool
    secure: bool
    group: Literal["repo", "pg"]
    deprecated: list[tuple[str, bool, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option; `name` carries no number (`repo-path`, `pg-port`)."""

    name: str
    section: Section
    type: str
    since: EngineVersion | None = None
    removed: EngineVersion | None = None
    default: str | None = None
    allowed: tuple[tuple[str, EngineVersion | None], ...] = ()
    """Each value with the version that brought it; None: as old as the option."""
    range: tuple[str, str] | None = None
    commands: frozenset[str] = frozenset()
    multi: bool = False
    secure: bool = False
    group: Literal["repo", "pg"] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why pgBackRest would ignore or refuse an option as written, and the way out."""

    message: str
    hint: str = ""


def find(key: str) -> Option | None:
    """The option that `key` names as written in a file (`repo2-path`, `archive-async`), older names included."""
    table = _table()
    match = _INDEXED.fullmatch(key)
    if match is not None and int(match[2]) <= _MAXIMUM_INDEX:
        return table.indexed.get(f"{match[1]}-{match[3]}")
    return table.plain.get(key)


def options() -> tuple[Option, ...]:
    """Every option, by name."""
    return _table().all


def names_like(key: str) -> tuple[str, ...]:
    """Options whose names are close to `key`, with its number where it has one."""
    match = _INDEXED.fullmatch(key)
    plain = key if match is None else f"{match[1]}-{match[3]}"
    number = "1" if match is None else match[2]
    known = {option.name: option for option in options() if option.section != "command-line"}
    close = get_close_matches(plain, known, n=2, cutoff=0.75)
    return tuple(_numbered(known[name], number) for name in close)


def _numbered(option: Option, number: str) -> str:
    if option.group is None:
        return option.name
    return option.name.replace(f"{option.group}-", f"{option.group}{number}-", 1)


def fault_in(
    key: str, values: Iterable[str], version: EngineVersion, *, stanza: bool, command: str | None = None
) -> Fault | None:
    """What this version would not take of `key`, in a stanza's or the global section, or one for a `command`."""
    option = find(key)
    if option is None:
        close = names_like(key)
        return Fault(f"pgBackRest has no option {key!r}", f"did you mean {' or '.join(close)}?" if close else "")
    return (
        _age_fault(option, version)
        or _place_fault(option, key, stanza=stanza, command=command)
        or _value_fault(option, key, tuple(values), version)
    )


def _age_fault(option: Option, version: EngineVersion) -> Fault | None:
    if option.removed is not None and version >= option.removed:
        return Fault(f"pgBackRest {version} does not know {option.name}: it was removed in {option.removed}")
    if option.since is not None and version < option.since:
        return Fault(f"{option.name} needs pgBackRest {option.since}; {version} would ignore or refuse it")
    return None


def _place_fault(option: Option, key: str, *, stanza: bool, command: str | None) -> Fault | None:
    if option.section == "command-line":
        return Fault(f"{key} is an option of the command line; in a file pgBackRest ignores it")
    if option.section == "stanza" and not stanza:
        return Fault(f"{key} belongs to a stanza; elsewhere pgBackRest ignores it", "put it into the cluster's options")
    if command is not None and command not in _known_commands():
        return Fault(f"pgBackRest has no command {command!r}", f"known: {', '.join(sorted(_known_commands()))}")
    if command is not None and command not in option.commands:
        valid = ", ".join(sorted(option.commands))
        return Fault(f"{key} is not an option of {command}, which would ignore it", f"it is one of: {valid}")
    return None


def _value_fault(option: Option, key: str, values: tuple[str, ...], version: EngineVersion) -> Fault | None:
    if len(values) != 1 and not option.multi:
        return Fault(f"{key} takes one value, not {len(values)}")
    faults = (_single_fault(option, key, value, version) for value in values)
    return next((fault for fault in faults if fault is not None), None)


def _single_fault(option: Option, key: str, value: str, version: EngineVersion) -> Fault | None:
    if option.allowed:
        return _choice_fault(option, key, value, version)
    wrong = _CHECKS[option.type](value) if option.type in _CHECKS else None
    if wrong is not None:
        return Fault(f"{key} must be {wrong}, not {shown(option, value)}")
    return _range_fault(option, key, value)


def _choice_fault(option: Option, key: str, value: str, version: EngineVersion) -> Fault | None:
    choices = dict(option.allowed)
    if option.type == "size" and _SIZE.fullmatch(value):
        amount = _amount(option, value)
        value = next((name for name in choices if _amount(option, name) == amount), value)
    known = ", ".join(name for name, since in choices.items() if since is None or version >= since)
    if value not in choices:
        return Fault(f"{key} cannot be {value!r}", f"known: {known}")
    since = choices[value]
    if since is not None and version < since:
        return Fault(f"{key}={value} needs pgBackRest {since}; this is {version}", f"known: {known}")
    return None


def shown(option: Option, value: str) -> str:
    """The value as a message may show it: never a secret."""
    return "what is given" if option.secure else repr(value)


def _boolean(value: str) -> str | None:
    return None if value in {"y", "n"} else "y or n"


def _integer(value: str) -> str | None:
    return None if re.fullmatch(r"-?[0-9]+", value) else "a whole number"


def _size(value: str) -> str | None:
    return None if _SIZE.fullmatch(value) else "a size such as 128MiB"


def _time(value: str) -> str | None:
    return None if _TIME.fullmatch(value) else "a time such as 60s or 5m"


def _path(value: str) -> str | None:
    return None if value.startswith("/") and "//" not in value else "an absolute path without //"


def _pair(value: str) -> str | None:
    return None if value.partition("=")[0] and value.partition("=")[2] else "a pair such as name=value"


_CHECKS = {"boolean": _boolean, "integer": _integer, "size": _size, "time": _time, "path": _path, "hash": _pair}


def _range_fault(option: Option, key: str, value: str) -> Fault | None:
    if option.range is None:
        return None
    lowest, highest = option.range
    if not _amount(option, lowest) <= _amount(option, value) <= _amount(option, highest):
        return Fault(f"{key} must be between {lowest} and {highest}, not {value}")
    return None


def _amount(option: Option, text: str) -> float:
    """The number behind an integer, a size (bytes) or a time (seconds) that has the right form."""
    if option.type == "size" and (size := _SIZE.fullmatch(text)) is not None:
        power = "bkmgtp".index((size[2] or "b").lower())
        return float(int(size[1]) << (10 * power))
    if option.type == "time" and (time := _TIME.fullmatch(text)) is not None:
        return int(time[1]) * _UNITS[time[2]]
    return float(text)


@dataclass(frozen=True, slots=True)
class _Table:
    all: tuple[Option, ...]
    plain: Mapping[str, Option]
    """By the name without a number."""
    indexed: Mapping[str, Option]
    """By the name that takes a number, the number left out."""


@cache
def _table() -> _Table:
    text = files(__package__).joinpath("options.json").read_text(encoding="utf-8")
    entries: list[_Entry] = json.loads(text)["options"]
    plain: dict[str, Option] = {}
    indexed: dict[str, Option] = {}
    for entry in entries:
        option = _option(entry)
        (plain if option.group is None else indexed).setdefault(option.name, option)
        for name, without, with_number in entry.get("deprecated", ()):
            if without:
                plain.setdefault(name, option)
            if with_number:
                indexed.setdefault(name, option)
    return _Table(tuple(_option(entry) for entry in entries), plain, indexed)


def _option(entry: _Entry) -> Option:
    limits = entry.get("range")
    return Option(
        name=entry["name"],
        section=entry["section"],
        type=entry["type"],
        since=_version(entry.get("since")),
        removed=_version(entry.get("removed")),
        default=entry.get("default"),
        allowed=tuple((value, _version(since)) for value, since in entry.get("allowed", ())),
        range=None if limits is None or isinstance(limits, dict) else (limits[0], limits[1]),
        commands=frozenset(entry.get("commands", ())),
        multi=entry.get("multi", False),
        secure=entry.get("secure", False),
        group=entry.get("group"),
    )


def _version(text: str | None) -> EngineVersion | None:
    return None if text is None else EngineVersion.parse(text)


@cache
def _known_commands() -> frozenset[str]:
    return frozenset(command for option in options() for command in option.commands)


@cache
def compression_levels() -> dict[str, tuple[int, int]]:
    """The lowest and highest `compress-level` of each `compress-type`."""
    text = files(__package__).joinpath("options.json").read_text(encoding="utf-8")
    entries: list[_Entry] = json.loads(text)["options"]
    limits = next(entry["range"] for entry in entries if entry["name"] == "compress-level")
    if not isinstance(limits, dict):
        raise TypeError("options.json: compress-level has one range for every type")
    return {name: (int(low), int(high)) for name, (low, high) in limits.items()}
