"""The world as the use cases see it: the ports, and how to converse with an engine. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, tzinfo

from pgwrap.domain.command import Conversation, Result
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.engines.port import Engine
from pgwrap.records import dataclass
from pgwrap.system.port import Files, Journal, PostgresDoor, Programs, Runner, SecretReader


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything a use case may reach; the cli puts it together."""

    runner: Runner
    files: Files
    postgres: PostgresDoor
    programs: Programs
    secret: SecretReader
    masked: SecretReader
    engines: Mapping[EngineKind, Callable[[], Engine]]
    journal: Callable[[str], Journal] | None = None
    """Opens the journal of a state directory; None: nothing is remembered."""
    zone: tzinfo = UTC
    """Of this host."""

    def engine(self, instance: EngineInstance) -> Engine:
        """The engine behind an installation."""
        return self.engines[instance.kind]()

    def converse(self, conversation: Conversation[Result]) -> Result:
        """Run what a conversation asks for until it returns; its commands of one round run side by side."""
        try:
            commands = next(conversation)
            while True:
                commands = conversation.send(self.runner.run_all(commands))
        except StopIteration as end:
            result: Result = end.value
            return result

    def user_for(self, cluster: Cluster) -> str | None:
        """Who the engine's commands run as for a cluster: the spec's word, the engine's convention, the owner of its
        repository or data directory; None means whoever runs pgwrap."""
        stated = cluster.run_as or cluster.engine.run_as
        engine = self.engine(cluster.engine)
        conventional = stated or engine.default_user(cluster)
        if conventional is not None or cluster.engine.host is not None:
            return conventional
        owners = (self.files.owner(path) for path in engine.owned_paths(cluster))
        return next((owner for owner in owners if owner is not None), None)


def by_instance(clusters: tuple[Cluster, ...]) -> dict[EngineInstance, tuple[Cluster, ...]]:
    """The clusters of each installation, both in the order of the spec."""
    grouped: dict[EngineInstance, tuple[Cluster, ...]] = {}
    for cluster in clusters:
        grouped[cluster.engine] = (*grouped.get(cluster.engine, ()), cluster)
    return grouped


def owned(clusters: tuple[Cluster, ...], world: World) -> tuple[Cluster, ...]:
    """The clusters, each with the user its engine's commands run as."""
    return tuple(replace(cluster, run_as=world.user_for(cluster)) for cluster in clusters)
