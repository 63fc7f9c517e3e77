"""The JSON contract of `pgwrap status`. It adds the frame and nothing of its own to the facts."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pgwrap.domain.facts import FleetStatus
from pgwrap.present.encode import Json
from pgwrap.present.envelope import ErrorEntry, envelope, unread_errors
from pgwrap.present.presentation import Presentation

STATUS_SCHEMA = "pgwrap/status/1"
LEVELS = 5
"""How many are indented: envelope, result, clusters, cluster, and its lists. A backup or a finding is a line: the
standard library indents in Python, and writes a line in C."""
_LINE = json.JSONEncoder(allow_nan=False)


def status_data(fleet: FleetStatus, presentation: Presentation) -> Json:
    """The whole answer as data; the outcome is `partial` when some cluster could not be read."""
    errors = _without_repeats(presentation.errors + unread_errors(fleet))
    return envelope(STATUS_SCHEMA, fleet, errors, presentation.now, "partial" if errors else "success")


def status_json(fleet: FleetStatus, presentation: Presentation) -> str:
    """The whole answer as JSON text."""
    return json_text(status_data(fleet, presentation))


def json_text(data: Json) -> str:
    """`data` as ASCII, which every terminal, locale and parser takes; indented down to the entries of a cluster."""
    return f"{''.join(_indented(data, LEVELS))}\n"


def _indented(value: Json, levels: int, margin: str = "\n") -> Iterator[str]:
    """Like `json.dumps` with an indent of two, to so many levels; `margin` is how a line begins."""
    inner = f"{margin}  "
    if not levels or not value or not isinstance(value, dict | list):
        yield _LINE.encode(value)
        return
    entries = ((f"{_LINE.encode(key)}: ", entry) for key, entry in value.items()) if isinstance(value, dict) else None
    comma = ""
    yield "[" if entries is None else "{"
    for name, entry in entries or (("", entry) for entry in value):
        yield f"{comma}{inner}{name}"
        yield from _indented(entry, levels - 1, inner)
        comma = ","
    yield f"{margin}{']' if entries is None else '}'}"


def _without_repeats(errors: tuple[ErrorEntry, ...]) -> tuple[ErrorEntry, ...]:
    told: dict[tuple[str, str | None], ErrorEntry] = {}
    for error in errors:
        told.setdefault((error.code, error.cluster), error)
    return tuple(told.values())
