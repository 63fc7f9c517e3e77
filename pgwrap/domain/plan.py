"""Effects as data, so that a dry run, a diff and an audit print what apply does. Nothing is done here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TypeAlias

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.model import EngineInstance
from pgwrap.records import dataclass


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
class Retire:
    """A file that the engine reads no more: renamed to NAME.old, where no engine looks. It is never deleted."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A file put in place and others retired at one moment, where the engine takes neither both nor none of them."""

    file: WriteFile
    retired: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The engine's own judgement of its configuration: commands that change nothing, and how to read what they say."""

    commands: tuple[Command, ...]
    complaints: Callable[[tuple[Outcome, ...]], tuple[str, ...]]
    """What the engine has against the configuration, without secrets; empty: it accepts it. Raises EngineMissing or
    EngineTimeout where it did not judge."""
    installation: EngineInstance
    """The installation with the configuration that is judged: itself, or a copy in the scratch directory."""
    files: tuple[WriteFile, ...] = field(default=(), repr=False)
    """What must stand in the scratch directory first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The engine is asked about the files in place; if it refuses them, the file steps before this are undone."""

    installation: str
    users: tuple[str | None, ...]
    """Who asks: each needs a scratch directory of its own."""
    trial: Callable[[str | None, str], Trial]
    """The trial by a user, with a scratch directory that this user owns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A command to run; `check` raises EngineMissing, EngineTimeout, EngineFailed or Busy when it did not succeed."""

    command: Command
    check: Callable[[Outcome], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterSystem:
    """PostgreSQL's own settings, and a reload where `reload`; done through psql, so that it can be typed as well."""

    command: Command
    settings: tuple[PostgresSetting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that is left to the operator, such as a restart; `by_hand` is what to type."""

    message: str
    by_hand: str = ""


Effect: TypeAlias = WriteFile | Retire | Switch | Check | Run | AlterSystem | Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do: what it is about, why, and how to see that it is done already."""

    subject: str
    """A cluster, or an installation of an engine."""
    effect: Effect
    reason: str
    done_when: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What apply does, in this order; nothing else is touched."""

    steps: tuple[Step, ...] = ()
    objections: tuple[str, ...] = ()
    """What would be lost or overwritten without having been asked for by `--force`."""
    notes: tuple[str, ...] = ()

    @property
    def actions(self) -> tuple[Step, ...]:
        """The steps that change something."""
        return tuple(step for step in self.steps if not isinstance(step.effect, Note | Check))

    @property
    def left(self) -> tuple[Step, ...]:
        """What the operator has to do, whatever apply does."""
        return tuple(step for step in self.steps if isinstance(step.effect, Note))


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
