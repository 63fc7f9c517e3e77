"""The backups of many clusters as one list, and which of them are wanted. It judges none and has no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, fields, replace
from datetime import UTC, datetime

from pgwrap.domain.facts import (
    INTERNAL,
    Backup,
    BackupState,
    BackupType,
    EngineName,
    Finding,
    Observation,
)
from pgwrap.domain.wholeness import assess_backups
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBackup(Backup):
    """A backup as the status has it, with whose it is and how old."""

    cluster: str
    age_seconds: float | None
    """Since it ended; where it has no end, since it began; null: neither is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCluster:
    """A cluster that was looked at."""

    name: str
    engine: EngineName
    engine_version: str | None
    engine_name: str
    read: bool
    """Whether the engine told of it. False: that there is no backup here means nothing."""
    backups: int | None
    """How many the engine told of, wanted or not; null where it could not be read."""
    tells_holds: bool = field(metadata=INTERNAL)
    """Whether the engine's lists show which backups are held."""
    findings: tuple[Finding, ...] = field(default=(), metadata=INTERNAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetListing:
    """`result` of `pgwrap list`."""

    clusters: tuple[ListedCluster, ...]
    """In the order of the spec."""
    backups: tuple[ListedBackup, ...]
    """The wanted ones: cluster by cluster, the newest first."""
    undecided: int = 0
    """How many are left out because it is not known whether they are wanted (an unknown age, for example)."""
    left_out: tuple[str, ...] = ()
    """Clusters that were not looked at because their engine runs on another host (`--local`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which backups to list: those that meet every one of these; an empty set and None ask for nothing."""

    types: frozenset[BackupType] = frozenset()
    states: frozenset[BackupState] = frozenset()
    repositories: frozenset[str] = frozenset()
    older_than: int | None = None
    """In seconds."""
    newer_than: int | None = None
    held: bool = False
    restorable: bool | None = None

    def met_by(self, backup: ListedBackup, *, tells_holds: bool = True) -> bool | None:
        """Whether it is wanted; None where that is not known."""
        claims = set(self._claims(backup, tells_holds=tells_holds))
        if False in claims:
            return False
        return None if None in claims else True

    def _claims(self, backup: ListedBackup, *, tells_holds: bool) -> Iterator[bool | None]:
        if self.types:
            yield backup.type in self.types
        if self.states:
            yield backup.state in self.states
        if self.repositories:
            yield backup.repository in self.repositories
        age = backup.age_seconds
        if self.older_than is not None:
            yield None if age is None else age > self.older_than
        if self.newer_than is not None:
            yield None if age is None else age < self.newer_than
        if self.held:
            yield bool(backup.held) or (False if tells_holds else None)
        if self.restorable is not None:
            yield None if backup.restorable is None else backup.restorable is self.restorable


def listed(name: str, observation: Observation, now: datetime) -> tuple[ListedCluster, tuple[ListedBackup, ...]]:
    """A cluster and all of its backups, the newest first. Of one that could not be read nothing is listed."""
    backups = _newest_first(_judged(observation)) if observation.read else ()
    cluster = ListedCluster(
        name=name,
        engine=observation.engine,
        engine_version=observation.engine_version,
        engine_name=observation.engine_name,
        read=observation.read,
        backups=len(backups) if observation.read else None,
        tells_holds=observation.engine != "barman" or observation.policy is not None,
        findings=observation.findings,
    )
    return cluster, tuple(_of(name, backup, now) for backup in backups)


def select(listing: FleetListing, wanted: Wanted) -> FleetListing:
    """The listing with the wanted backups alone; those of which that is not known are counted."""
    tells = {cluster.name: cluster.tells_holds for cluster in listing.clusters}
    verdicts = [wanted.met_by(backup, tells_holds=tells[backup.cluster]) for backup in listing.backups]
    return replace(
        listing,
        backups=tuple(backup for backup, met in zip(listing.backups, verdicts, strict=True) if met),
        undecided=verdicts.count(None),
    )


def _judged(observation: Observation) -> Iterator[Backup]:
    for backup, verdict in zip(observation.backups, assess_backups(observation), strict=True):
        yield replace(backup, restorable=verdict.restorable)


def _newest_first(backups: Iterator[Backup]) -> tuple[Backup, ...]:
    """In the status's order, turned round; one without any time is the newest, for it has only begun."""
    return tuple(sorted(backups, key=_order, reverse=True))


def _order(backup: Backup) -> tuple[datetime, str, str]:
    moment = backup.stopped_at or backup.started_at or datetime.max.replace(tzinfo=UTC)
    return moment, backup.repository or "", backup.id


def _of(cluster: str, backup: Backup, now: datetime) -> ListedBackup:
    values = {member.name: getattr(backup, member.name) for member in fields(Backup)}
    since = backup.stopped_at or backup.started_at
    return ListedBackup(**values, cluster=cluster, age_seconds=None if since is None else (now - since).total_seconds())
