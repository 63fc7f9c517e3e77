"""How a cluster is backed up and restored with pgBackRest's own commands. Nothing is run here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from pgwrap.domain.command import Command
from pgwrap.domain.handover import Handover, Instruction, Timer
from pgwrap.domain.model import Cluster
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.port import EngineVersion

_TYPES: Final[dict[str, Literal["full", "diff", "incr"]]] = {
    "full": "full",
    "differential": "diff",
    "incremental": "incr",
}


def handover(cluster: Cluster, version: EngineVersion) -> Handover:
    """Timers for what is scheduled, and what to type for the rest."""
    del version  # the same in every version there is
    return Handover(
        cluster=cluster.name,
        engine="pgBackRest",
        timers=tuple(_timers(cluster)),
        instructions=tuple(_instructions(cluster)),
        notes=tuple(_notes(cluster)),
    )


def _timers(cluster: Cluster) -> Iterator[Timer]:
    """A backup goes into one repository a call, so each repository has a timer of its own."""
    for action, calendar in cluster.schedule.entries:
        if action in _TYPES:
            for key, repository in cluster.keyed_repositories():
                yield Timer(
                    name=f"pgbackrest-{cluster.engine_name}-{action}-repo{key}",
                    description=f"{action} backup of {cluster.name} by pgBackRest into {repository.name}",
                    calendar=calendar,
                    command=_command(cluster, f"--repo={key}", f"--type={_TYPES[action]}", "backup"),
                )
        elif action == "verify":
            yield Timer(
                name=f"pgbackrest-{cluster.engine_name}-verify",
                description=f"verification of {cluster.name} by pgBackRest",
                calendar=calendar,
                command=_command(cluster, "verify"),
            )


def _instructions(cluster: Cluster) -> Iterator[Instruction]:
    yield Instruction(
        title="Check archiving",
        commands=(_typed(cluster, "check"),),
        text="It closes a WAL segment and waits until the segment is in every repository.",
    )
    yield Instruction(title="See what there is", commands=(_typed(cluster, "info"),))
    yield Instruction(
        title="Take a backup",
        commands=tuple(
            _typed(cluster, f"--repo={key}", "--type=full", "backup") for key, _ in cluster.keyed_repositories()
        ),
        text="Retention is applied after each backup by itself.",
    )
    yield Instruction(
        title="Expire by hand",
        commands=tuple(_typed(cluster, f"--repo={key}", "expire") for key, _ in cluster.keyed_repositories()),
        text="With --dry-run before `expire` it only shows what would go.",
    )
    yield Instruction(
        title="Restore",
        commands=(
            _typed(cluster, "--delta", "restore"),
            _typed(cluster, "--delta", "--type=time", "--target=2026-01-31 12:00:00+00", "restore"),
        ),
        text="Stop PostgreSQL first; this overwrites the data directory on this host. The second line goes to a "
        "moment. "
        "Afterwards start PostgreSQL, and look in its log for the end of recovery.",
    )


def _notes(cluster: Cluster) -> Iterator[str]:
    for action, calendar in cluster.schedule.entries:
        if action not in _TYPES and action != "verify":
            yield f"{action} ({calendar}) has no command of pgBackRest's: do it by hand, or leave it"
    if any(policy is not None and policy.minimum_full for policy in (cluster.retention,)):
        yield "minimum_full was pgwrap's own promise: pgBackRest has none"


def _command(cluster: Cluster, *words: str) -> Command:
    instance = cluster.engine
    return Command(
        argv=(instance.command, *configuration_arguments(instance), f"--stanza={cluster.engine_name}", *words),
        run_as=cluster.run_as,
        host=instance.host,
    )


def _typed(cluster: Cluster, *words: str) -> str:
    return _command(cluster, *words).quoted()
