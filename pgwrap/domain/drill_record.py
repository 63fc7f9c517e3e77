"""A drill as JSON data, as the journal keeps it, and back. It opens no journal.

A drill kept by an older pgwrap lacks what was added since: it reads as the field's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from pgwrap.domain.drill import Aim, Drill, Phase, Probe, ProbeName, ProbeVerdict, Reached
from pgwrap.domain.facts import Severity
from pgwrap.domain.wal import Lsn


def to_data(drill: Drill) -> dict[str, Any]:
    """Plain data: objects by field, moments and positions as text."""
    return {field.name: _plain(getattr(drill, field.name)) for field in fields(drill)}


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return str(value.value)
    return str(value) if isinstance(value, Lsn) else value


def from_data(data: Mapping[str, Any]) -> Drill:
    """The drill that `to_data` made of; KeyError, TypeError or ValueError when it is none."""
    known = {field.name for field in fields(Drill)}
    plain = {name: value for name, value in data.items() if name in known}
    return Drill(
        **plain
        | {
            "severity": Severity(data["severity"]),
            "aim": Aim(data["aim"]),
            "started_at": datetime.fromisoformat(data["started_at"]),
            "ended_at": _moment(data.get("ended_at")),
            "target": _moment(data.get("target")),
            "reached": _reached(data.get("reached")),
            "phases": tuple(Phase(**phase) for phase in data.get("phases", ())),
            "probes": tuple(_probe(probe) for probe in data.get("probes", ())),
            "notes": tuple(data.get("notes", ())),
        }
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _reached(data: Mapping[str, Any] | None) -> Reached | None:
    if data is None:
        return None
    return Reached(
        lsn=Lsn.parse(data["lsn"]) if data["lsn"] else None,
        commit_at=_moment(data["commit_at"]),
        timeline=data["timeline"],
    )


def _probe(data: Mapping[str, Any]) -> Probe:
    return Probe(
        name=ProbeName(data["name"]),
        verdict=ProbeVerdict(data["verdict"]),
        message=data["message"],
        seconds=data.get("seconds"),
    )
