"""The answer of `pgwrap hold` and `pgwrap release`. Nothing is decided here."""

from __future__ import annotations

from datetime import datetime

from pgwrap.domain.facts import BackupType, EngineName, Held
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldResult:
    """What holds of one backup now, and what was done for it."""

    cluster: str
    engine: EngineName
    engine_name: str
    id: str
    repository: str | None
    type: BackupType
    stopped_at: datetime | None
    asked: Held
    """False: to release it."""
    before: Held
    held: Held
    """As the engine says now."""
    changed: bool
    dry_run: bool
    command: str | None
    """What was run, or would be; null: nothing, as it was so already."""
    notes: tuple[str, ...] = ()
