"""Effects as data, so that a dry run, a diff and an audit print what apply does. Nothing is done here."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgwrap.domain.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile:
    """A file to put in place atomically; `text` may hold secrets and is never shown by repr."""

    path: str
    text: str = field(repr=False)
    mode: int = 0o640
    owner: str | None = None
    group: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values to mask wherever the text is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A command to run, and why."""

    command: Command
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSetting:
    """A setting the cluster's PostgreSQL needs for its engine to work."""

    name: str
    value: str
    restart: bool
    reason: str
    minimum: bool = False
    """Whether `value` is a lower bound rather than the one right value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A physical replication slot that must exist, and who creates it."""

    name: str
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What the PostgreSQL of one cluster needs for its engine to work."""

    cluster: str
    settings: tuple[PostgresSetting, ...]
    slots: tuple[Slot, ...] = ()
