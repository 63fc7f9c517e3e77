"""pgBackRest's error codes by number, from `errors.json`. It reads no output."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from pgwrap.records import dataclass

LOCK_ACQUIRE = 50
"""Another process holds the stanza's lock (LockAcquireError)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCode:
    """One of pgBackRest's errors: its exit code, its name there, and what usually helps."""

    code: int
    name: str
    hint: str


def error_code(code: int | None) -> ErrorCode | None:
    """The error with this exit code; None when pgBackRest has none such."""
    return None if code is None else _table().get(code)


def hint_for(code: int | None) -> str:
    """What usually helps against an error; empty when nothing general can be said."""
    found = error_code(code)
    return "" if found is None else found.hint


@cache
def _table() -> dict[int, ErrorCode]:
    text = files(__package__).joinpath("errors.json").read_text(encoding="utf-8")
    return {
        int(code): ErrorCode(code=int(code), name=entry["name"], hint=entry["hint"])
        for code, entry in json.loads(text)["errors"].items()
    }
