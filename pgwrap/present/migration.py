"""Migrations in text and JSON. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.amounts import moment
from pgwrap.domain.certificate import Comparison
from pgwrap.domain.migration import Migration, MigrationStep
from pgwrap.present.encode import Json, encode
from pgwrap.present.envelope import envelope
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text

SCHEMA = "pgwrap/migrate/1"


def migrations_json(migrations: tuple[Migration, ...], now: datetime) -> str:
    """`result.migrations`, newest first."""
    return json_text(envelope(SCHEMA, {"migrations": [_json(one) for one in migrations]}, (), now, "success"))


def _json(migration: Migration) -> Json:
    data = encode(migration)
    assert isinstance(data, dict)  # noqa: S101 - a dataclass is an object
    following = migration.next
    return data | {"next": following.name.value if following is not None and migration.moving else None}


def comparison_json(found: Comparison, now: datetime) -> str:
    """What was compared, and every difference."""
    data = encode(found)
    assert isinstance(data, dict)  # noqa: S101 - a dataclass is an object
    return json_text(envelope("pgwrap/migrate-prove/1", data | {"same": found.same}, (), now, "success"))


def comparison_text(found: Comparison) -> str:
    """The same in lines."""
    lines = [f"at {moment(found.moment)}"]
    lines += [
        f"  {side.engine} ({harmless(side.engine_name)}): from backup {harmless(side.backup)}, replayed to "
        f"{side.replayed or '?'}, {side.objects} tables and sequences"
        for side in found.sides
    ]
    lines += [f"differs: {harmless(text)}" for text in found.differences]
    lines += ["the same"] if found.same else []
    return "".join(f"{line}\n" for line in lines)


def migrations_text(migrations: tuple[Migration, ...]) -> str:
    """Each migration and its steps, with what proves them."""
    if not migrations:
        return "no migration was ever begun\n"
    return "\n".join("".join(f"{line}\n" for line in _lines(one)) for one in migrations)


def _lines(migration: Migration) -> Iterator[str]:
    way = f"from {migration.from_engine} ({migration.source}) to {migration.to_engine}"
    yield harmless(f"{migration.cluster}: {way}, {migration.state}, begun {moment(migration.began_at)}")
    for step in migration.steps:
        yield f"  {_mark(step)} {step.name:<9} {harmless(step.proof or _when(step))}".rstrip()
    if migration.moving:
        yield f"  → {_next(migration)}"


def _mark(step: MigrationStep) -> str:
    return {"waiting": " ", "begun": ">", "done": "x", "undone": "-"}[step.state].join("[]")


def _when(step: MigrationStep) -> str:
    return f"begun {moment(step.began_at)}" if step.state == "begun" and step.began_at else ""


def _next(migration: Migration) -> str:
    following = migration.next
    if following is not None and following.name == "retire":
        return f"pgwrap migrate run {migration.cluster} --until retire takes the cluster from {migration.from_engine}"
    return f"pgwrap migrate run {migration.cluster} goes on; pgwrap migrate rollback {migration.cluster} undoes it"
