"""Looking at clusters through their engines, side by side. It judges nothing and asks no PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, TypeVar

from pgwrap.domain.facts import Finding, FindingCode, Observation, Severity
from pgwrap.domain.model import Cluster, EngineInstance, Fleet
from pgwrap.engines.port import ObserveRequest
from pgwrap.errors import EngineFailed, EngineMissing, EngineTimeout, OutputNotUnderstood, PgwrapError
from pgwrap.ops.world import World, by_instance

HEAD_START = 0.1
"""Seconds in which the engines are started: what is loaded in the meantime would hold that up."""
WAKE_UP = 0.2
"""Seconds after which a waiting main thread looks for signals."""
Result = TypeVar("Result")
_LOG = logging.getLogger("pgwrap.observing")
_ERRORS: Final[Mapping[FindingCode, type[PgwrapError]]] = {
    FindingCode.ENGINE_MISSING: EngineMissing,
    FindingCode.ENGINE_TIMEOUT: EngineTimeout,
    FindingCode.OUTPUT_NOT_UNDERSTOOD: OutputNotUnderstood,
}


def observed(
    fleet: Fleet,
    clusters: tuple[Cluster, ...],
    world: World,
    deadline: float,
    meanwhile: Callable[[], object] = lambda: None,
) -> dict[str, Observation]:
    """What the engines say of `clusters`, by name; one that cannot be read holds nothing else back.

    `meanwhile` is called once, while the engines work: what it loads for later costs no time.
    """
    installations = by_instance(clusters)
    with ThreadPoolExecutor(max_workers=max(4, len(installations))) as pool:
        answers = [
            pool.submit(observe, request_for(fleet, instance, members, world, deadline), world)
            for instance, members in installations.items()
        ]
        wait(answers, timeout=HEAD_START)
        meanwhile()
        return {name: fact for answer in results(answers) for name, fact in answer.items()}


def results(futures: list[Future[Result]]) -> list[Result]:
    """What they give, waited for in short steps: a signal that strikes another thread does not wake this one up."""
    while wait(futures, timeout=WAKE_UP).not_done:
        pass
    return [future.result() for future in futures]


def request_for(
    fleet: Fleet, instance: EngineInstance, clusters: tuple[Cluster, ...], world: World, deadline: float
) -> ObserveRequest:
    """The look at some clusters of one installation; `deadline` is in seconds for each command."""
    return ObserveRequest(
        instance=instance,
        clusters=clusters,
        installation=tuple(cluster for cluster in fleet.clusters if cluster.engine == instance and cluster.active),
        run_as={cluster.name: world.user_for(cluster) for cluster in clusters},
        deadline=deadline,
    )


def observe(request: ObserveRequest, world: World) -> dict[str, Observation]:
    """What one installation says of its clusters; whatever goes wrong stays with it."""
    try:
        observations = world.converse(world.engine(request.instance).observe(request))
    except Exception as error:  # noqa: BLE001 - a defect in one engine's reader must not hide the other clusters
        _LOG.exception("observing %s", request.instance.name)
        observations = tuple(unreadable(cluster, error) for cluster in request.clusters)
    return {cluster.name: fact for cluster, fact in zip(request.clusters, observations, strict=True)}


def unreadable(cluster: Cluster, error: Exception) -> Observation:
    """The Observation of a cluster whose engine's answer pgwrap failed on."""
    finding = Finding(
        code=FindingCode.OUTPUT_NOT_UNDERSTOOD,
        severity=Severity.UNKNOWN,
        message=f"what the engine said could not be read ({type(error).__name__})",
        hint="this is a defect of pgwrap: the log has the details",
    )
    return Observation(
        engine=cluster.engine.kind.value, engine_name=cluster.engine_name, read=False, findings=(finding,)
    )


def must_be_read(cluster: Cluster, observation: Observation) -> None:
    """Raise the error that stands behind an observation which tells nothing."""
    if observation.read:
        return
    why = next(iter(observation.findings), None)
    kind = EngineFailed if why is None else _ERRORS.get(why.code, EngineFailed)
    message = why.message if why else f"{observation.engine} told nothing of {observation.engine_name}"
    raise kind(message, hint=why.hint if why else "", cluster=cluster.name)
