"""A move of one cluster between the engines as data: its steps, how far it is, and what the spec means meanwhile.

Nothing is moved here. Steps are numbered by their order, which the target engine decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from pgwrap.domain.facts import EngineName
from pgwrap.domain.model import Cluster, Fleet, Move, NativeOption, Objectives, RetentionPolicy
from pgwrap.records import dataclass

StepState: TypeAlias = Literal["waiting", "begun", "done", "undone"]
MigrationState: TypeAlias = Literal["running", "paused", "done", "rolled-back"]


class StepName(StrEnum):
    """What a migration goes through."""

    PREPARE = "prepare"
    """The new engine is configured, the old one stops to expire. Nothing is removed."""
    DUAL = "dual"
    """Both engines receive WAL."""
    BACKUP = "backup"
    """The first full backup with the new engine."""
    CARRY = "carry"
    """The old engine's backups and WAL become the new one's."""
    PROVE = "prove"
    """Each carried backup is restored and started, and both engines restore one moment alike."""
    CUT_OVER = "cut-over"
    """The new engine is the cluster's, with its retention."""
    RETIRE = "retire"
    """The old engine receives nothing any more and forgets the cluster; its backups stay where they are."""


_ORDERS: Final[Mapping[EngineName, tuple[StepName, ...]]] = {
    "pgbackrest": (
        StepName.PREPARE,
        StepName.DUAL,
        StepName.BACKUP,
        StepName.CARRY,
        StepName.PROVE,
        StepName.CUT_OVER,
        StepName.RETIRE,
    ),
    "barman": (
        StepName.PREPARE,
        StepName.DUAL,
        StepName.CARRY,
        StepName.BACKUP,
        StepName.PROVE,
        StepName.CUT_OVER,
        StepName.RETIRE,
    ),
}
"""Barman's first native backup of a new server deletes older WAL, so what is carried comes before it."""


def order(engine: EngineName, *, history: bool) -> tuple[StepName, ...]:
    """The steps towards an engine, with or without the old backups."""
    return tuple(step for step in _ORDERS[engine] if history or step is not StepName.CARRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStep:
    """One step and what came of it."""

    name: StepName
    state: StepState = "waiting"
    began_at: datetime | None = None
    ended_at: datetime | None = None
    proof: str = ""
    """How it is known that it was done."""
    kept: tuple[tuple[str, str], ...] = ()
    """What an undo, or a later step, needs to know of it."""

    def told(self, key: str) -> str | None:
        """A thing kept of it."""
        return dict(self.kept).get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One move, as the journal keeps it."""

    id: str
    cluster: str
    """The spec's entry that takes over."""
    source: str
    """The entry that is replaced."""
    from_engine: EngineName
    to_engine: EngineName
    state: MigrationState = "running"
    began_at: datetime
    changed_at: datetime
    bases: str = "all"
    steps: tuple[MigrationStep, ...]

    def step(self, name: StepName) -> MigrationStep:
        """The step of that name; waiting where it is none of this migration's."""
        return next((step for step in self.steps if step.name is name), MigrationStep(name=name))

    @property
    def history(self) -> bool:
        """Whether old backups are carried."""
        return any(step.name is StepName.CARRY for step in self.steps)

    @property
    def next(self) -> MigrationStep | None:
        """The first step that is not done."""
        return next((step for step in self.steps if step.state != "done"), None)

    @property
    def moving(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in ("running", "paused")

    def is_done(self, name: StepName) -> bool:
        """Whether a step is done."""
        return self.step(name).state == "done"

    def with_step(self, step: MigrationStep, now: datetime) -> Migration:
        """The same, one step changed."""
        steps = tuple(step if one.name is step.name else one for one in self.steps)
        return replace(self, steps=steps, changed_at=now)


def newest_by_cluster(migrations: Iterable[Migration]) -> dict[str, Migration]:
    """The newest migration towards each entry of the spec."""
    found: dict[str, Migration] = {}
    for one in sorted(migrations, key=lambda one: (one.began_at, one.id)):
        found[one.cluster] = one
    return found


KEEP_ALL: Final = RetentionPolicy()
"""While a cluster moves, neither engine may take away what is not carried or not proven yet."""


def as_it_stands(fleet: Fleet, migrations: Iterable[Migration], *, preparing: bool = False) -> Fleet:
    """What the spec means now: of an entry that replaces another, by how far its migration is.

    Before it begins, and after a rollback, the new entry is none yet. While it runs both are there and nothing expires;
    from the cut-over on the new entry's retention counts; once the old one is retired it is none any more. Until it is
    prepared the new entry, and from the moment it is being retired the old one, is there for the migration alone
    (`preparing`).
    """
    newest = newest_by_cluster(migrations)
    moves: list[Move] = []
    clusters: dict[str, Cluster] = {cluster.name: cluster for cluster in fleet.clusters}
    left_out: dict[str, str] = {}
    for cluster in fleet.clusters:
        if cluster.replaces is None:
            continue
        old = clusters[cluster.replaces]
        migration = newest.get(cluster.name)
        if migration is None or migration.state == "rolled-back":
            left_out[cluster.name] = f"it replaces {old.name} once `pgwrap migrate run {cluster.name}` has begun"
        elif migration.state == "done" or (not preparing and migration.step(StepName.RETIRE).state != "waiting"):
            left_out[old.name] = f"{cluster.name} has replaced it; take the entry out of the spec"
        else:
            clusters |= _moving(old, cluster, migration)
            moves.append(_move(migration))
            if not (preparing or migration.is_done(StepName.PREPARE)):
                left_out[cluster.name] = "its migration has not prepared it yet"
    kept = tuple(clusters[cluster.name] for cluster in fleet.clusters if cluster.name not in left_out)
    return replace(fleet, clusters=kept, left_out=left_out, moves=tuple(moves))


def _move(migration: Migration) -> Move:
    following = migration.next
    return Move(
        migration=migration.id,
        old=migration.source,
        new=migration.cluster,
        state="paused" if migration.state == "paused" else "running",
        step=following.name.value if following is not None else None,
        cut_over=migration.is_done(StepName.CUT_OVER),
    )


def _moving(old: Cluster, new: Cluster, migration: Migration) -> dict[str, Cluster]:
    """Nothing expires in the one, nor before the cut-over in the other; only who is in charge has promises to keep."""
    if migration.is_done(StepName.CUT_OVER):
        return {old.name: replace(_without_expiry(old), objectives=Objectives())}
    return {old.name: _without_expiry(old), new.name: replace(_without_expiry(new), objectives=Objectives())}


def _without_expiry(cluster: Cluster) -> Cluster:
    repositories = tuple(
        replace(one, retention=None, options=_without_retention(one.options)) for one in cluster.repositories
    )
    options = _without_retention(cluster.options)
    return replace(cluster, retention=KEEP_ALL, repositories=repositories, options=options)


def _without_retention(options: tuple[NativeOption, ...]) -> tuple[NativeOption, ...]:
    return tuple(option for option in options if "retention" not in option.key)
