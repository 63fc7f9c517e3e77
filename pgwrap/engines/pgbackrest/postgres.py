"""What PostgreSQL needs for pgBackRest, and the commands that PostgreSQL itself calls. It changes no setting."""

from __future__ import annotations

import shlex

from pgwrap.domain.command import Command
from pgwrap.domain.model import Cluster
from pgwrap.domain.objectives import archive_timeout
from pgwrap.domain.plan import ClusterSettings, PostgresSetting
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.history import is_history
from pgwrap.engines.pgbackrest.repository import DEFAULT_CONFIG
from pgwrap.engines.port import EngineVersion

_WORD = "pgbackrest"
"""pgBackRest refuses to back up a cluster whose archive_command does not hold its name (src/command/check/common.c)."""


def settings_for(cluster: Cluster, version: EngineVersion) -> ClusterSettings:
    """wal_level, archive_mode, archive_command, max_wal_senders, and archive_timeout where an rpo is asked for."""
    del version  # the same for every version there is
    return ClusterSettings(
        cluster=cluster.name,
        settings=(
            PostgresSetting(
                name="wal_level",
                value="replica",
                restart=True,
                reason="WAL must hold what a restore needs (logical holds more and is as good)",
                minimum=True,
            ),
            PostgresSetting(name="archive_mode", value="on", restart=True, reason="WAL must be archived"),
            PostgresSetting(
                name="archive_command",
                value=archive_command(cluster),
                restart=False,
                reason="pgBackRest archives each WAL segment; pgwrap is not part of it",
            ),
            PostgresSetting(
                name="max_wal_senders",
                value="3",
                restart=True,
                reason="a standby or a restored copy must be able to stream",
                minimum=True,
            ),
            *archive_timeout(cluster.objectives),
        ),
    )


def archive_command(cluster: Cluster) -> str:
    """The command PostgreSQL gives to `sh` for each segment; every odd word is quoted, `%` doubled for PostgreSQL."""
    words = (*_program(cluster), f"--stanza={cluster.engine_name}", "archive-push")
    command = f"{' '.join(shlex.quote(word).replace('%', '%%') for word in words)} %p"
    # A fork's program goes by another name, and yet pgBackRest's own must be somewhere in the command.
    return command if _WORD in command else f"{command} # {_WORD}"


def _program(cluster: Cluster) -> tuple[str, ...]:
    """The program and its configuration as the database's own host knows them."""
    host = cluster.postgres.ssh
    if host is None:
        return (cluster.engine.command, *configuration_arguments(cluster.engine))
    return (host.command or cluster.engine.command, f"--config={host.config or DEFAULT_CONFIG}")


def fetch_wal(cluster: Cluster, key: int | None, segment: str, directory: str, run_as: str | None) -> Command:
    """Put the decompressed segment `segment` into `directory`, from repository `key` or the first that has it.

    `archive-get` works on the host that has the data directory ([072] elsewhere), by whose identifier it finds the
    archive; of a history, which has no section, it must be told ([037]).
    """
    instance = cluster.engine
    repository = () if key is None else (f"--repo={key}",)
    return Command(
        argv=(
            instance.command,
            *configuration_arguments(instance),
            f"--stanza={cluster.engine_name}",
            *_data_directory(cluster),
            *repository,
            "--no-archive-async",
            "--log-level-console=off",
            "--log-level-file=off",
            "--log-level-stderr=error",
            "archive-get",
            segment,
            f"{directory}/{segment}",
        ),
        run_as=run_as,
        host=instance.host,
    )


def _data_directory(cluster: Cluster) -> tuple[str, ...]:
    data = cluster.postgres.data_directory
    return (f"--pg1-path={data}",) if is_history(cluster) and data is not None else ()
