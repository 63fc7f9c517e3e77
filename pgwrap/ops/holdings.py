"""Which engines hold backups of one PostgreSQL system, and what: looks at the named cluster and at those of the spec
that may be the same. It chooses nothing.
"""

from __future__ import annotations

from dataclasses import replace

from pgwrap.domain.choosing import Holding, commits_matter, stretches_along
from pgwrap.domain.facts import Observation
from pgwrap.domain.model import Cluster, Fleet, PostgresTarget
from pgwrap.domain.recovery import wanted_proofs
from pgwrap.domain.restoring import RecoveryTarget
from pgwrap.domain.wal import Timeline
from pgwrap.ops.observing import must_be_read, observed
from pgwrap.ops.proofs import DEPTH, CommitCache, ProofReader
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_ROUNDS = 16
"""How often the newest segments are read on, a few each time, until the last commit is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is held, and what could not be looked at."""

    holdings: tuple[Holding, ...]
    notes: tuple[str, ...] = ()


def holdings_of(fleet: Fleet, cluster: Cluster, world: World, deadline: float, target: RecoveryTarget) -> Held:
    """The named cluster's holding first, with the commits that are read where the choice for the target may depend on
    them; raises why when no engine could be read at all."""
    relatives = tuple(other for other in fleet.clusters if other != cluster and _may_be_same(other, cluster))
    seen = observed(fleet, (cluster, *relatives), world, deadline)
    own = seen[cluster.name]
    same = tuple(one for one in relatives if _same_system(seen[one.name], own))
    readable = tuple(one for one in (cluster, *same) if seen[one.name].read)
    if not readable:
        must_be_read(cluster, own)
    holdings = tuple(
        Holding(cluster=one.name, observation=seen[one.name], commits={}, depth=DEPTH, asked=one == cluster)
        for one in readable
    )
    if commits_matter(holdings, target):
        cache = CommitCache(files=world.files, state=fleet.state)
        readers = (ProofReader(world=world, cluster=one, cache=cache, deadline=deadline) for one in readable)
        pairs = zip(holdings, readers, strict=True)
        holdings = tuple(_proven(holding, reader, target.timeline) for holding, reader in pairs)
    notes = tuple(_note(one, seen[one.name]) for one in (cluster, *relatives) if not seen[one.name].read)
    return Held(holdings=holdings, notes=notes)


def _proven(holding: Holding, reader: ProofReader, timeline: Timeline | None) -> Holding:
    """The same with the last commits on every way that recovery can go, as far as they can be read."""
    observation = holding.observation
    found = stretches_along(observation, timeline)
    for _ in range(_ROUNDS):
        wanted = wanted_proofs(found, holding.commits, DEPTH)
        if not wanted:
            break
        holding = replace(holding, commits=reader.prove(observation, found))
        if wanted == wanted_proofs(found, holding.commits, DEPTH):
            break
    return holding


def _note(cluster: Cluster, observation: Observation) -> str:
    why = next((finding.message for finding in observation.findings), "no reason given")
    return f"{cluster.name} ({observation.engine}) could not be looked at and is left out: {why}"


def _same_system(other: Observation, own: Observation) -> bool:
    """Whether two engines speak of one system; where one does not know its own, the spec's words must do."""
    known = {one.system_identifier for one in (other, own) if one.read and one.system_identifier is not None}
    return len(known) < 2


def _may_be_same(other: Cluster, cluster: Cluster) -> bool:
    """Whether the spec gives both the same server: a connection, or a data directory on the same host."""
    mine, theirs = cluster.postgres, other.postgres
    return _address(mine) == _address(theirs) is not None or _place(mine) == _place(theirs) is not None


def _address(server: PostgresTarget) -> tuple[str, int] | None:
    where = server.host or server.socket_directory
    return None if where is None else (where, server.port)


def _place(server: PostgresTarget) -> tuple[str | None, str] | None:
    host = server.ssh.address if server.ssh is not None else None
    return None if server.data_directory is None else (host, server.data_directory)
