"""What a running server says of itself, for `pgwrap init --from-postgres`. It asks once and writes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pgwrap.errors import UsageError
from pgwrap.spec.starter import Discovered

if TYPE_CHECKING:
    from pgwrap.domain.facts import PostgresView
    from pgwrap.system.database import PostgresDoorway

DEADLINE = 5.0
SUPERUSER = "postgres"


def discover(dsn: str, door: PostgresDoorway) -> Discovered:
    """Ask the server that `dsn` names; UsageError when it does not answer or hides its data directory.

    Root asks as itself first, so that its own .pgpass counts, then as `postgres`, whom peer authentication lets in.
    """
    users = (None, SUPERUSER) if os.geteuid() == 0 else (None,)
    views = []
    for user in users:
        views.append(door.discover(dsn, DEADLINE, user))
        if views[-1].reachable:
            return _discovered(views[-1])
    raise UsageError(
        f"the server does not answer: {views[0].error}",
        hint="try the same connection with psql; --from-postgres takes what psql takes, such as "
        "'host=/run/postgresql user=postgres dbname=postgres'",
    )


def _discovered(view: PostgresView) -> Discovered:
    settings = dict(view.settings)
    directory = settings.get("data_directory")
    if not directory or view.version is None or view.version_number is None:
        raise UsageError(
            "the server does not tell its data directory to this role",
            hint="grant pg_read_all_settings (or pg_monitor) to it, or connect as a superuser",
        )
    sockets = settings.get("unix_socket_directories", "").split(",")[0].strip()
    return Discovered(
        version=view.version,
        version_number=view.version_number,
        data_directory=directory,
        port=int(settings.get("port", "5432")),
        socket_directory=sockets or None,
        wal_level=settings.get("wal_level", "replica"),
        archive_mode=settings.get("archive_mode", "off"),
        archive_command=settings.get("archive_command", ""),
        wal_segment_size=view.wal_segment_size or 16 << 20,
        data_checksums=bool(view.data_checksums),
        cluster_name=settings.get("cluster_name", ""),
    )
