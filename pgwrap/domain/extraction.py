"""A part of a cluster brought back: what is planned, and what was done. It does nothing."""

from __future__ import annotations

from pgwrap.domain.facts import EngineName
from pgwrap.domain.wal import Timeline
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionPlan:
    """`result` of `pgwrap restore --only … --dry-run`."""

    cluster: str
    engine: EngineName
    backup: str
    repository: str | None
    reason: str
    target: str
    """How far the scratch copy recovers, in words."""
    timeline: Timeline
    directory: str
    """Under which the scratch copy is made."""
    database: str
    selections: tuple[str, ...]
    load_into: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """`result` of `pgwrap restore --only`: it was loaded whole."""

    plan: ExtractionPlan
    restore_seconds: float
    """Until the scratch copy answered."""
    seconds: float
    entries: int
    """Of the dump's table of contents."""
