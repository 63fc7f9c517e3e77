"""What pgBackRest's file says, as data: settings with the spec's word each comes from. Nothing is laid out here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import field

from pgwrap.domain.model import Path
from pgwrap.errors import Problem
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One option with its value, or several for a list; `path` is the word of the spec that asks for it."""

    key: str
    values: tuple[str, ...] = field(repr=False)
    path: Path
    command: str | None = None
    """The command whose section it stands in; None: for all commands."""
    secret: bool = False
    native: bool = False
    """Whether the author wrote the engine's own option rather than a word of pgwrap's."""


def overriding(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """Each key once for a command; a later one, such as a native option, takes the earlier one's place."""
    chosen: dict[tuple[str | None, str], Setting] = {}
    for setting in settings:
        chosen[setting.command, setting.key] = setting
    return tuple(chosen.values())


def unsafe(setting: Setting) -> Problem | None:
    """Why a value cannot be written as it is; None when pgBackRest reads back just what is meant.

    A file is lines of `key=value`; each is trimmed, a line that begins with `[` or `#` is no option, and nothing can
    be escaped (pgBackRest's src/common/ini.c).
    """
    fault = next((fault for value in setting.values if (fault := _value_fault(value)) is not None), None)
    if fault is None:
        return None
    return Problem(message=f"the value of {setting.key} {fault}", path=".".join(setting.path))


def _value_fault(value: str) -> str | None:
    if value == "":
        return "is empty, which pgBackRest refuses"
    if any(unicodedata.category(character) == "Cc" for character in value):
        return "holds a line break or another control character"
    if value != value.strip():
        return "begins or ends with a space, which pgBackRest would take away"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "holds a character that cannot be written as UTF-8"
    return None


def stanza_fault(name: str) -> str | None:
    """Why pgBackRest cannot have a stanza of this name; None when it can."""
    if _value_fault(name) is not None:
        return f"a stanza's name {_value_fault(name)}"
    if name == "global" or ":" in name:
        return f"pgBackRest would take {name!r} for another section than a stanza's"
    if "/" in name or name in {".", ".."}:
        return f"the stanza {name!r} would be another directory of the repository"
    return None
