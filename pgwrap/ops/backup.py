"""Takes one backup with the engine of the cluster and says which one it is. It waits for nothing beyond the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pgwrap.domain.model import Cluster, Repository
from pgwrap.engines.port import BackupRequest, BackupResult, Progress
from pgwrap.errors import UsageError
from pgwrap.ops.world import World

_LOG = logging.getLogger("pgwrap.backup")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOptions:
    """What to take, into which repository (by its name), and for how long at most, in seconds."""

    type: Literal["full", "differential", "incremental"] = "full"
    repository: str | None = None
    deadline: float = 86400.0


def backup(cluster: Cluster, world: World, options: BackupOptions, report: Callable[[Progress], None]) -> BackupResult:
    """The new backup; raises UsageError, EngineMissing, EngineUnsupported, EngineFailed, EngineTimeout, Busy or
    OutputNotUnderstood."""
    engine = world.engine(cluster.engine)
    user = world.user_for(cluster)
    request = BackupRequest(
        cluster=cluster,
        type=options.type,
        repository=_repository(cluster, options.repository),
        run_as=user,
        version=world.converse(engine.version(cluster.engine, user)),
        deadline=options.deadline,
    )
    job = engine.backup(request)

    def on_line(line: str) -> None:
        _LOG.debug("%s", line)
        progress = job.progress(line)
        if progress is not None:
            report(progress)

    return job.result(world.runner.run(job.command, on_line))


def _repository(cluster: Cluster, name: str | None) -> tuple[int, Repository] | None:
    if name is None:
        return None
    for key, repository in cluster.keyed_repositories():
        if repository.name == name:
            return key, repository
    known = ", ".join(repository.name for repository in cluster.repositories) or "none"
    raise UsageError(f"cluster {cluster.name!r} has no repository called {name!r}", hint=f"its repositories: {known}")
