"""The one status: asks every engine and every server side by side, then judges. It changes nothing anywhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.drill import DrillMemory
from pgwrap.domain.facts import ClusterStatus, Finding, FleetStatus, Observation, PostgresView
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.moving import with_moves
from pgwrap.domain.plan import PostgresSetting
from pgwrap.ops.asking import POSTGRES_DEADLINE, ask_postgres
from pgwrap.ops.drifting import drift_notes
from pgwrap.ops.drill_memory import memory_of, report_of, unread_finding
from pgwrap.ops.foretelling import forecast, version_of
from pgwrap.ops.observing import observed, results, unreadable
from pgwrap.ops.proofs import CommitCache, ProofReader
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_LOG = logging.getLogger("pgwrap.status")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions:
    """How to look: seconds per engine command, whether to leave other hosts out, ask PostgreSQL, read commits."""

    deadline: float = 30.0
    local: bool = False
    ask_postgres: bool = True
    prove_commits: bool = True


def status(
    fleet: Fleet,
    clusters: tuple[Cluster, ...],
    world: World,
    *,
    now: datetime,
    options: StatusOptions,
    meanwhile: Callable[[], object] = lambda: None,
) -> FleetStatus:
    """The state of `clusters`; one that cannot be read is `unknown` and holds nothing else back.

    `meanwhile` is called once, while the engines work: what it loads for later costs no time.
    """
    clusters = _with_partners(fleet, clusters)
    asked = tuple(cluster for cluster in clusters if not (options.local and cluster.engine.host))

    def load() -> None:
        import pgwrap.domain.verdicts  # noqa: F401, PLC0415 - used below, and loaded while the engines work

        meanwhile()

    with ThreadPoolExecutor(max_workers=1) as pool:
        views = pool.submit(ask_postgres, asked if options.ask_postgres else (), world, POSTGRES_DEADLINE)
        told = observed(fleet, asked, world, options.deadline, load)
        (servers,) = results([views])
    from pgwrap.domain.verdicts import fleet_status  # noqa: PLC0415 - see `load`

    notes = drift_notes(fleet, asked, told, world)
    seen = tuple(
        Seen(cluster, told[cluster.name], servers.get(cluster.name), notes.get(cluster.name, ())) for cluster in asked
    )
    judged = with_moves(_judge_all(fleet, seen, world, now=now, options=options), fleet.moves)
    left_out = tuple(cluster.name for cluster in clusters if cluster not in asked)
    return replace(fleet_status(judged), left_out=left_out)


def _with_partners(fleet: Fleet, clusters: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
    """Both entries of a cluster that moves, where one is asked about: together they are what can be restored."""
    named = {cluster.name for cluster in clusters}
    pairs = [{move.old, move.new} for move in fleet.moves]
    wanted = named.union(*(pair for pair in pairs if pair & named))
    return tuple(cluster for cluster in fleet.clusters if cluster.name in wanted) if wanted != named else clusters


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one cluster: by its engine, by its server where it was asked, and of its native files."""

    cluster: Cluster
    observation: Observation
    server: PostgresView | None
    notes: tuple[Finding, ...] = ()


def _judge_all(
    fleet: Fleet, seen: tuple[Seen, ...], world: World, *, now: datetime, options: StatusOptions
) -> tuple[ClusterStatus, ...]:
    from pgwrap.domain.verdicts import assess  # noqa: PLC0415 - see `status`

    cache = CommitCache(files=world.files, state=fleet.state)

    def judge(one: Seen) -> ClusterStatus:
        try:
            return _judge(fleet, one, world, cache, now=now, options=options)
        except Exception as error:  # noqa: BLE001 - a defect in judging one cluster must not hide the others
            _LOG.exception("judging %s", one.cluster.name)
            unread = unreadable(one.cluster, error)
            return assess(one.cluster, unread, postgres=None, commits={}, expected=(), now=now)

    with ThreadPoolExecutor(max_workers=4) as pool:
        return tuple(results([pool.submit(judge, one) for one in seen]))


def _judge(
    fleet: Fleet, one: Seen, world: World, cache: CommitCache, *, now: datetime, options: StatusOptions
) -> ClusterStatus:
    from pgwrap.domain.retention import next_step, with_verdicts  # noqa: PLC0415 - see `status`
    from pgwrap.domain.verdicts import assess  # noqa: PLC0415 - see `status`

    memory = _remembered(fleet, one.cluster, world)
    reader = ProofReader(world=world, cluster=one.cluster, cache=cache, deadline=options.deadline)
    forecasts = forecast(fleet, one.cluster, one.observation, world, now)
    judged = assess(
        one.cluster,
        with_verdicts(one.observation, forecasts),
        postgres=one.server,
        commits=reader.prove(one.observation) if options.prove_commits else {},
        expected=_expected(one.cluster, one.observation, world),
        now=now,
        notes=(*one.notes, *unread_finding(one.cluster, memory)),
        last_drill=report_of(memory),
    )
    return replace(judged, retention=replace(judged.retention, next=next_step(forecasts)))


def _remembered(fleet: Fleet, cluster: Cluster, world: World) -> DrillMemory:
    """What the journal knows of the cluster's drills."""
    return memory_of(cluster, world.journal(fleet.state)) if world.journal is not None else DrillMemory()


def _expected(cluster: Cluster, observation: Observation, world: World) -> tuple[PostgresSetting, ...]:
    """The settings PostgreSQL should have for the version that answered."""
    engine = world.engine(cluster.engine)
    version = version_of(observation, engine.newest)
    return engine.settings(replace(cluster, run_as=world.user_for(cluster)), version).settings
