"""The JSON contract of `pgwrap status`. It adds the frame and nothing of its own to the facts."""

from __future__ import annotations

import json
from io import StringIO

from pgwrap.domain.facts import FleetStatus
from pgwrap.present.encode import Json
from pgwrap.present.envelope import ErrorEntry, envelope, unread_errors
from pgwrap.present.presentation import Presentation

STATUS_SCHEMA = "pgwrap/status/1"


def status_data(fleet: FleetStatus, presentation: Presentation) -> Json:
    """The whole answer as data; the outcome is `partial` when some cluster could not be read."""
    errors = _without_repeats(presentation.errors + unread_errors(fleet))
    return envelope(STATUS_SCHEMA, fleet, errors, presentation.now, "partial" if errors else "success")


def status_json(fleet: FleetStatus, presentation: Presentation) -> str:
    """The whole answer as JSON text."""
    return json_text(status_data(fleet, presentation))


def json_text(data: Json) -> str:
    """`data` as indented ASCII, which every terminal, locale and parser takes."""
    text = StringIO()  # `dumps` would first gather a list of every word and bracket, five times as large as the text
    json.dump(data, text, indent=2, allow_nan=False)
    text.write("\n")
    return text.getvalue()


def _without_repeats(errors: tuple[ErrorEntry, ...]) -> tuple[ErrorEntry, ...]:
    told: dict[tuple[str, str | None], ErrorEntry] = {}
    for error in errors:
        told.setdefault((error.code, error.cluster), error)
    return tuple(told.values())
