"""What proves that a migration lost nothing: drills of carried backups, and one moment restored from both engines.

It restores and compares nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

from pgwrap.domain.facts import EngineName
from pgwrap.records import dataclass

Fingerprint: TypeAlias = Mapping[str, str]
"""By object (`database: schema.table`, `database: sequence …`): its row count and sum, or its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrilledBackup:
    """A carried backup that was restored, started and looked at."""

    backup: str
    original: str | None
    """Its id in the engine that it came from."""
    target: datetime | None
    drill: str
    passed: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One engine's copy of the moment."""

    engine: EngineName
    engine_name: str
    backup: str
    replayed: str | None
    """The position where its recovery ended."""
    objects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same moment restored from both engines."""

    moment: datetime
    sides: tuple[Side, ...]
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether something was compared and nothing differs."""
        return not self.differences and all(side.objects for side in self.sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was compared, when, and the result; kept as a file."""

    migration: str
    cluster: str
    from_engine: EngineName
    to_engine: EngineName
    made_at: datetime
    system_identifier: str | None
    drills: tuple[DrilledBackup, ...]
    comparison: Comparison | None
    not_compared: str = (
        "large objects and system catalogs; rows are compared by count and a sum of 32-bit hashes, which shows a "
        "difference and is no cryptographic proof"
    )

    @property
    def valid(self) -> bool:
        """Whether every drill passed and both engines restored the same."""
        drilled = all(one.passed for one in self.drills)
        return drilled and self.comparison is not None and self.comparison.same


def differences(one: Fingerprint, other: Fingerprint, names: tuple[str, str]) -> tuple[str, ...]:
    """What is not the same in two copies, in words; both empty is a difference: then nothing was looked at."""
    if not one and not other:
        return ("neither copy has a table that could be compared",)
    return tuple(_differences(one, other, names))


def _differences(one: Fingerprint, other: Fingerprint, names: tuple[str, str]) -> Iterable[str]:
    for key in sorted({*one, *other}):
        if key not in one or key not in other:
            yield f"{key} is only in the copy from {names[0] if key in one else names[1]}"
        elif one[key] != other[key]:
            yield f"{key}: {one[key]} from {names[0]}, {other[key]} from {names[1]}"
