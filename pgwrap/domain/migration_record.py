"""A migration as JSON data, as the journal keeps it, and back. It opens no journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from pgwrap.domain.migration import Migration, MigrationStep, StepName


def to_data(migration: Migration) -> dict[str, Any]:
    """Plain data: objects by field, moments as text."""
    plain = {field.name: getattr(migration, field.name) for field in fields(Migration)}
    return plain | {
        "began_at": migration.began_at.isoformat(),
        "changed_at": migration.changed_at.isoformat(),
        "steps": [_step_data(step) for step in migration.steps],
    }


def _step_data(step: MigrationStep) -> dict[str, Any]:
    return {
        "name": step.name.value,
        "state": step.state,
        "began_at": step.began_at.isoformat() if step.began_at else None,
        "ended_at": step.ended_at.isoformat() if step.ended_at else None,
        "proof": step.proof,
        "kept": [list(pair) for pair in step.kept],
    }


def from_data(data: Mapping[str, Any]) -> Migration:
    """The migration that `to_data` made of; KeyError, TypeError or ValueError when it is none."""
    known = {field.name for field in fields(Migration)}
    plain = {name: value for name, value in data.items() if name in known}
    return Migration(
        **plain
        | {
            "began_at": datetime.fromisoformat(data["began_at"]),
            "changed_at": datetime.fromisoformat(data["changed_at"]),
            "steps": tuple(_step(step) for step in data["steps"]),
        }
    )


def _step(data: Mapping[str, Any]) -> MigrationStep:
    return MigrationStep(
        name=StepName(data["name"]),
        state=data["state"],
        began_at=_moment(data["began_at"]),
        ended_at=_moment(data["ended_at"]),
        proof=data["proof"],
        kept=tuple((str(key), str(value)) for key, value in data["kept"]),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
