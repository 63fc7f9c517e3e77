"""How a cluster is backed up and restored with Barman's own commands. Nothing is run here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pgwrap.domain.command import Command
from pgwrap.domain.handover import Handover, Instruction, Timer
from pgwrap.domain.model import Cluster
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.words import owner
from pgwrap.engines.port import EngineVersion

_RESTORE_SINCE: Final = EngineVersion((3, 12))
"""Before, the command was called `recover`."""
_INCREMENTAL: Final = {"incremental": "latest", "differential": "latest-full"}
_INCREMENTAL_SINCE: Final = EngineVersion((3, 11))
_EVERY_MINUTE: Final = "*-*-* *:*:00"


def handover(cluster: Cluster, version: EngineVersion) -> Handover:
    """Timers for what is scheduled and for Barman's own cron, and what to type for the rest."""
    return Handover(
        cluster=cluster.name,
        engine="Barman",
        timers=tuple(_timers(cluster, version)),
        instructions=tuple(_instructions(cluster, version)),
        notes=tuple(_notes(cluster, version)),
    )


def _timers(cluster: Cluster, version: EngineVersion) -> Iterator[Timer]:
    yield Timer(
        name=f"barman-cron-{cluster.engine.name}",
        description="Barman's own upkeep: WAL, retention, receivers",
        calendar=_EVERY_MINUTE,
        command=commands.barman(cluster.engine, "cron", run_as=owner(cluster.engine)),
    )
    for action, calendar in cluster.schedule.entries:
        words = _backup(action, version)
        if words is not None:
            yield Timer(
                name=f"barman-{cluster.engine_name}-{action}",
                description=f"{action} backup of {cluster.name} by Barman",
                calendar=calendar,
                command=_command(cluster, *words, cluster.engine_name),
            )


def _backup(action: str, version: EngineVersion) -> tuple[str, ...] | None:
    if action == "full":
        return ("backup",)
    if action in _INCREMENTAL and version >= _INCREMENTAL_SINCE:
        return ("backup", "--incremental", _INCREMENTAL[action])
    return None


def _instructions(cluster: Cluster, version: EngineVersion) -> Iterator[Instruction]:
    server = cluster.engine_name
    yield Instruction(title="Check", commands=(_typed(cluster, "check", server),))
    yield Instruction(
        title="See what there is",
        commands=(_typed(cluster, "list-backups", server), _typed(cluster, "show-backup", server, "latest")),
    )
    yield Instruction(title="Take a backup", commands=(_typed(cluster, "backup", server),))
    yield Instruction(
        title="Expire by hand",
        commands=(_typed(cluster, "cron"), _typed(cluster, "delete", server, "oldest")),
        text="`cron` applies the retention policy by itself; `delete` takes one backup away, whatever the policy says.",
    )
    verb = "restore" if version >= _RESTORE_SINCE else "recover"
    target = "/var/lib/postgresql/restored"
    yield Instruction(
        title="Restore",
        commands=(
            _typed(cluster, verb, server, "latest", target),
            _typed(cluster, verb, "--target-time", "2026-01-31 12:00:00+00", server, "latest", target),
        ),
        text="Into an empty directory on this host (--remote-ssh-command for another one). The second line goes to a "
        "moment; the backup must have ended before it. Give the files to PostgreSQL's user, then start it there.",
    )


def _notes(cluster: Cluster, version: EngineVersion) -> Iterator[str]:
    yield "barman cron must run each minute: where the package brings a timer or cron entry for it, leave this one out"
    for action, calendar in cluster.schedule.entries:
        if _backup(action, version) is None:
            yield f"{action} ({calendar}) has no command of this Barman's: do it by hand, or leave it"


def _command(cluster: Cluster, *words: str) -> Command:
    return commands.barman(cluster.engine, *words, run_as=owner(cluster.engine))


def _typed(cluster: Cluster, *words: str) -> str:
    return _command(cluster, *words).quoted()
