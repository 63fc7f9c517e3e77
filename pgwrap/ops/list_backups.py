"""Lists the backups of clusters, whichever engine holds them. It asks no PostgreSQL, reads no WAL, changes nothing."""

from __future__ import annotations

import logging
from dataclasses import field, replace
from datetime import datetime

from pgwrap.domain.facts import Observation
from pgwrap.domain.listing import FleetListing, ListedBackup, ListedCluster, Wanted, listed, select
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.retention import with_verdicts
from pgwrap.errors import UsageError
from pgwrap.ops.foretelling import forecast
from pgwrap.ops.observing import observed, unreadable
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_LOG = logging.getLogger("pgwrap.list")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """Which backups, seconds per engine command, whether to leave other hosts out."""

    wanted: Wanted = field(default_factory=Wanted)
    deadline: float = 30.0
    local: bool = False


def list_backups(
    fleet: Fleet, clusters: tuple[Cluster, ...], world: World, *, now: datetime, options: ListOptions
) -> FleetListing:
    """The wanted backups; a cluster that cannot be read says why. UsageError for a repository that nobody knows."""
    asked = tuple(cluster for cluster in clusters if not (options.local and cluster.engine.host))
    seen = observed(fleet, asked, world, options.deadline)
    _check_repositories(options.wanted, asked, seen)
    told = [_told(fleet, cluster, seen[cluster.name], world, now) for cluster in asked]
    listing = FleetListing(
        clusters=tuple(cluster for cluster, _ in told),
        backups=tuple(backup for _, backups in told for backup in backups),
        left_out=tuple(cluster.name for cluster in clusters if cluster not in asked),
    )
    return select(listing, options.wanted)


def _told(
    fleet: Fleet, cluster: Cluster, observation: Observation, world: World, now: datetime
) -> tuple[ListedCluster, tuple[ListedBackup, ...]]:
    """One cluster, its backups with what the next expiry does to them, as the status tells it."""
    try:
        verdicts = forecast(fleet, cluster, observation, world, now)
        return listed(cluster.name, with_verdicts(observation, verdicts), now)
    except Exception as error:  # noqa: BLE001 - a defect in judging one cluster must not hide the others
        _LOG.exception("judging %s", cluster.name)
        version = observation.engine_version
        return listed(cluster.name, replace(unreadable(cluster, error), engine_version=version), now)


def _check_repositories(wanted: Wanted, clusters: tuple[Cluster, ...], seen: dict[str, Observation]) -> None:
    known = {repository.name for cluster in clusters for repository in cluster.repositories}
    known |= {state.name for observation in seen.values() for state in observation.repositories}
    unknown = sorted(wanted.repositories - known)
    if unknown and seen and all(observation.read for observation in seen.values()):
        raise UsageError(
            f"no repository of these clusters is called {unknown[0]!r}",
            hint=f"their repositories: {', '.join(sorted(known)) or 'none'}",
        )
