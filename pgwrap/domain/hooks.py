"""What a program of the spec's `hooks:` is told about the action that it stands beside. It runs none."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pgwrap.domain.facts import EngineName
from pgwrap.domain.model import Cluster
from pgwrap.domain.taking import TakenBackup
from pgwrap.records import dataclass

HookEvent: TypeAlias = Literal["before_backup", "after_backup", "on_failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookContext:
    """One JSON object on the program's stdin. No secret is in it."""

    schema: Literal["pgwrap/hook/1"] = "pgwrap/hook/1"
    event: HookEvent
    action: Literal["backup"]
    cluster: str
    engine: EngineName
    engine_name: str
    repository: str | None
    type: str
    """Of the backup: as asked for before it, as taken after it."""
    backup: TakenBackup | None = None
    """What came of it; null before it."""


def program_for(cluster: Cluster, event: HookEvent) -> tuple[str, ...] | None:
    """The argv of an event, None where the spec names none."""
    return dict(cluster.hooks).get(event)
