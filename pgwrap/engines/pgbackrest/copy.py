"""Restoring a backup into a private place to try it out: the command, and how the copy fetches WAL. Nothing runs here.

Whatever the configuration says of links, tablespaces, targets and other hosts is set aside: the copy touches nothing
outside its own directories, neither the original's files nor its spool.
"""

from __future__ import annotations

import shlex

from pgwrap.domain.command import Command
from pgwrap.domain.model import Cluster
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.history import is_history, of_backup
from pgwrap.engines.port import CopyJob, CopyRequest

_SET_ASIDE = (
    "--no-link-all",
    "--reset-link-map",
    "--reset-tablespace-map",
    "--reset-recovery-option",
    "--reset-db-include",
    "--reset-db-exclude",
    "--no-delta",
    "--archive-mode=off",
    "--type=default",
)


def copy(request: CopyRequest) -> CopyJob:
    """`pgbackrest restore` of one set from one repository, and an `archive-get` from the same."""
    cluster = request.cluster
    program = (
        cluster.engine.command,
        *configuration_arguments(cluster.engine),
        f"--stanza={of_backup(cluster, request.backup).engine_name}",
        *_places(request),
    )
    spool = f"--spool-path={request.spool}"
    command = Command(
        argv=(
            *program,
            spool,
            f"--set={request.backup.id}",
            *_SET_ASIDE,
            f"--tablespace-map-all={request.tablespaces}",
            "--log-level-console=info",
            "--log-level-stderr=off",
            "restore",
        ),
        run_as=request.run_as,
        environment=request.environment,
        deadline=request.deadline,
    )
    ahead = ("--archive-async", spool) if cluster.wal.asynchronous else ("--no-archive-async",)
    fetch = (*program, *ahead, "--log-level-console=warn", "archive-get")
    quoted = " ".join(shlex.quote(word).replace("%", "%%") for word in fetch)
    return CopyJob(
        command=command,
        check=lambda outcome: raise_for(outcome, cluster.name),
        restore_command=f'{quoted} %f "%p"',
    )


def _places(request: CopyRequest) -> tuple[str, ...]:
    """The copy's own places, for `restore` and `archive-get` alike."""
    repository = () if request.repository is None else (f"--repo={request.repository[0]}",)
    return (
        *repository,
        f"--pg1-path={request.data}",
        *_no_hosts(of_backup(request.cluster, request.backup)),
        f"--lock-path={request.spool}",
        "--log-level-file=off",
    )


def _no_hosts(cluster: Cluster) -> tuple[str, ...]:
    """The copy lies here, wherever the originals are: pgBackRest restores on the host of `pg1` alone ([072])."""
    if is_history(cluster):
        return ()
    servers = (cluster.postgres, *cluster.standbys)
    return tuple(f"--reset-pg{number}-host" for number, server in enumerate(servers, start=1) if server.ssh is not None)
