"""Asks an engine's rules what its next expiry deletes, for what was observed of a cluster. It runs no command."""

from __future__ import annotations

from datetime import datetime

from pgwrap.domain.facts import Observation
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.retention import Forecast
from pgwrap.engines.port import EngineVersion, ForecastRequest
from pgwrap.ops.world import World


def forecast(
    fleet: Fleet, cluster: Cluster, observation: Observation, world: World, now: datetime, *, by_hand: bool = False
) -> tuple[Forecast, ...]:
    """What the cluster's engine deletes next of each repository; none when it could not be read."""
    if not observation.read:
        return ()
    engine = world.engine(cluster.engine)
    return engine.forecast(
        ForecastRequest(
            cluster=cluster,
            observation=observation,
            version=version_of(observation, engine.newest),
            now=now,
            zone=world.zone,
            installation=installation_of(fleet, cluster),
            by_hand=by_hand,
        )
    )


def version_of(observation: Observation, newest: EngineVersion) -> EngineVersion:
    """The version that answered, the newest known where it told none."""
    return told_version(observation) or newest


def told_version(observation: Observation) -> EngineVersion | None:
    """The version that answered, where it told it."""
    try:
        return EngineVersion.parse(observation.engine_version or "")
    except ValueError:
        return None


def installation_of(fleet: Fleet, cluster: Cluster) -> tuple[Cluster, ...]:
    """Every active cluster that is configured in the same files."""
    return tuple(other for other in fleet.clusters if other.engine == cluster.engine and other.active)
