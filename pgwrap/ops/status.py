"""The one status: asks every engine and every server side by side, then judges. It changes nothing anywhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from pgwrap.domain.facts import ClusterStatus, Finding, FindingCode, FleetStatus, Observation, PostgresView, Severity
from pgwrap.domain.model import Cluster, EngineInstance, Fleet
from pgwrap.domain.plan import PostgresSetting
from pgwrap.engines.port import EngineVersion, ObserveRequest
from pgwrap.errors import PgwrapError
from pgwrap.ops.proofs import CommitCache, ProofReader
from pgwrap.ops.world import World, by_instance
from pgwrap.system.port import PostgresQuestion

POSTGRES_DEADLINE = 5.0
HEAD_START = 0.1
"""Seconds in which the engines are started: what is loaded in the meantime would hold that up."""
WAKE_UP = 0.2
"""Seconds after which a waiting main thread looks for signals."""
Result = TypeVar("Result")
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
    asked = tuple(cluster for cluster in clusters if not (options.local and cluster.engine.host))
    with ThreadPoolExecutor(max_workers=max(4, len(by_instance(asked)) + 1)) as pool:
        views = pool.submit(_ask_postgres, asked, world, options)
        observing = [
            pool.submit(_observe, _request(fleet, instance, members, world, options), world)
            for instance, members in by_instance(asked).items()
        ]
        wait(observing, timeout=HEAD_START)
        from pgwrap.domain.verdicts import fleet_status  # noqa: PLC0415 - it loads while the engines work

        meanwhile()
        observed = {name: fact for answer in _results(observing) for name, fact in answer.items()}
        (servers,) = _results([views])
    seen = tuple(Seen(cluster, observed[cluster.name], servers.get(cluster.name)) for cluster in asked)
    judged = _judge_all(fleet, seen, world, now=now, options=options)
    left_out = tuple(cluster.name for cluster in clusters if cluster not in asked)
    return replace(fleet_status(judged), left_out=left_out)


def _results(futures: list[Future[Result]]) -> list[Result]:
    """What they give, waited for in short steps: a signal that strikes another thread does not wake this one up."""
    while wait(futures, timeout=WAKE_UP).not_done:
        pass
    return [future.result() for future in futures]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one cluster: by its engine, and by its server where it was asked."""

    cluster: Cluster
    observation: Observation
    server: PostgresView | None


def _judge_all(
    fleet: Fleet, seen: tuple[Seen, ...], world: World, *, now: datetime, options: StatusOptions
) -> tuple[ClusterStatus, ...]:
    from pgwrap.domain.verdicts import assess  # noqa: PLC0415 - see `status`

    cache = CommitCache(files=world.files, state=fleet.state)

    def judge(one: Seen) -> ClusterStatus:
        try:
            return _judge(one, world, cache, now=now, options=options)
        except Exception as error:  # noqa: BLE001 - a defect in judging one cluster must not hide the others
            _LOG.exception("judging %s", one.cluster.name)
            unread = _unreadable(one.cluster, error)
            return assess(one.cluster, unread, postgres=None, commits={}, expected=(), now=now)

    with ThreadPoolExecutor(max_workers=4) as pool:
        return tuple(_results([pool.submit(judge, one) for one in seen]))


def _judge(one: Seen, world: World, cache: CommitCache, *, now: datetime, options: StatusOptions) -> ClusterStatus:
    from pgwrap.domain.verdicts import assess  # noqa: PLC0415 - see `status`

    reader = ProofReader(world=world, cluster=one.cluster, cache=cache, deadline=options.deadline)
    return assess(
        one.cluster,
        one.observation,
        postgres=one.server,
        commits=reader.prove(one.observation) if options.prove_commits else {},
        expected=_expected(one.cluster, one.observation, world),
        now=now,
    )


def _request(
    fleet: Fleet, instance: EngineInstance, clusters: tuple[Cluster, ...], world: World, options: StatusOptions
) -> ObserveRequest:
    return ObserveRequest(
        instance=instance,
        clusters=clusters,
        installation=tuple(cluster for cluster in fleet.clusters if cluster.engine == instance and cluster.active),
        run_as={cluster.name: world.user_for(cluster) for cluster in clusters},
        deadline=options.deadline,
    )


def _observe(request: ObserveRequest, world: World) -> dict[str, Observation]:
    """What one installation says of its clusters; whatever goes wrong stays with it."""
    try:
        observations = world.converse(world.engine(request.instance).observe(request))
    except Exception as error:  # noqa: BLE001 - a defect in one engine's reader must not hide the other clusters
        _LOG.exception("observing %s", request.instance.name)
        observations = tuple(_unreadable(cluster, error) for cluster in request.clusters)
    return {cluster.name: fact for cluster, fact in zip(request.clusters, observations, strict=True)}


def _unreadable(cluster: Cluster, error: Exception) -> Observation:
    finding = Finding(
        code=FindingCode.OUTPUT_NOT_UNDERSTOOD,
        severity=Severity.UNKNOWN,
        message=f"what the engine said could not be read ({type(error).__name__})",
        hint="this is a defect of pgwrap: the log has the details",
    )
    return Observation(
        engine=cluster.engine.kind.value, engine_name=cluster.engine_name, read=False, findings=(finding,)
    )


def _expected(cluster: Cluster, observation: Observation, world: World) -> tuple[PostgresSetting, ...]:
    """The settings PostgreSQL should have for the version that answered."""
    engine = world.engine(cluster.engine)
    text = observation.engine_version
    try:
        version = EngineVersion.parse(text or "")
    except ValueError:  # it told no version, or none that any release had
        version = engine.newest
    return engine.settings(replace(cluster, run_as=world.user_for(cluster)), version).settings


def _ask_postgres(clusters: tuple[Cluster, ...], world: World, options: StatusOptions) -> dict[str, PostgresView]:
    """PostgreSQL's own view of each cluster whose spec says how to connect."""
    if not options.ask_postgres:
        return {}
    answers: dict[str, PostgresView] = {}
    questions = []
    for cluster in clusters:
        if not cluster.postgres.connects:
            continue
        try:
            questions.append(_question(cluster, world))
        except PgwrapError as error:
            answers[cluster.name] = PostgresView(reachable=False, error=error.message)
    if questions:
        answers.update(world.postgres.look(tuple(questions), POSTGRES_DEADLINE))
    return answers


def _question(cluster: Cluster, world: World) -> PostgresQuestion:
    server = cluster.postgres
    return PostgresQuestion(
        key=cluster.name,
        host=server.host or server.socket_directory,
        port=server.port,
        user=server.user,
        database=server.connection_database,
        sslmode=server.sslmode,
        password=world.secret(server.password) if server.password else None,
        run_as=world.user_for(cluster) if cluster.engine.host is None else None,
    )
