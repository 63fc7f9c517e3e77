"""What the spec can say and pgBackRest lacks, in one table: why it matters, in which versions, the nearest that works.

Errors touch safety (retention, encryption, delivery, durability) or would stop every command; warnings say what is
ignored. What depends on more than one word is in doubts.py; what an option's own value may be, in options.json.
"""

from __future__ import annotations

from typing import Final

from pgwrap.domain.model import Cluster, PostgresTarget
from pgwrap.engines.limits import Limit
from pgwrap.engines.pgbackrest.stanza import socket_directory
from pgwrap.engines.port import EngineVersion

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def _native(cluster: Cluster, key: str) -> bool:
    return any(option.key == key for option in (*cluster.options, *cluster.engine.options))


def _names_a_repository(cluster: Cluster) -> bool:
    return any(option.key.startswith("repo") for option in (*cluster.options, *cluster.engine.options))


def _is_remote(server: PostgresTarget) -> bool:
    host = server.host
    return host is not None and server.ssh is None and host not in _LOCAL_HOSTS and socket_directory(server) != host


LIMITS: Final[tuple[Limit, ...]] = (
    Limit(
        path=("postgres", "data_directory"),
        said=lambda cluster: cluster.postgres.data_directory is None,
        severity="error",
        message="pgBackRest must know the data directory (pg1-path)",
        hint="say postgres: data_directory:",
    ),
    Limit(
        path=("repositories",),
        said=lambda cluster: not cluster.repositories and not _names_a_repository(cluster),
        severity="error",
        message="without a repository pgBackRest would use /var/lib/pgbackrest unasked",
        hint="say repositories: with at least one",
    ),
    Limit(
        path=("wal", "delivery"),
        said=lambda cluster: cluster.wal.delivery != "archive",
        severity="error",
        message="pgBackRest does not stream WAL: PostgreSQL hands it each finished segment",
        hint="delivery: archive, with async: true on a busy cluster; or Barman",
    ),
    Limit(
        path=("wal", "slot"),
        said=lambda cluster: cluster.wal.slot is not None,
        severity="error",
        message="pgBackRest uses no replication slot",
        hint="leave it out: archive_command keeps WAL until it is archived",
    ),
    Limit(
        path=("wal", "create_slot"),
        said=lambda cluster: bool(cluster.wal.create_slot),
        severity="error",
        message="pgBackRest uses no replication slot",
        hint="leave it out",
    ),
    Limit(
        path=("wal", "synchronous"),
        said=lambda cluster: bool(cluster.wal.synchronous),
        severity="error",
        message="pgBackRest cannot be a synchronous standby, so the newest segment is always at risk",
        hint="Barman with delivery: stream, or a synchronous standby of PostgreSQL's own",
    ),
    Limit(
        path=("wal", "streaming_name"),
        said=lambda cluster: cluster.wal.streaming_name is not None,
        severity="warning",
        message="pgBackRest does not stream WAL; the name is ignored",
    ),
    Limit(
        path=("backup", "method"),
        said=lambda cluster: cluster.backup.method is not None,
        severity="warning",
        message="pgBackRest copies files in a way of its own; the method is ignored",
    ),
    Limit(
        path=("backup", "snapshot"),
        said=lambda cluster: cluster.backup.snapshot is not None,
        severity="warning",
        message="pgBackRest takes no disk snapshots; ignored",
        hint="Barman has the method snapshot",
    ),
    Limit(
        path=("backup", "rate_limit"),
        said=lambda cluster: cluster.backup.rate_limit is not None,
        severity="warning",
        message="pgBackRest cannot limit its rate; ignored",
        hint="fewer processes (parallel: 1), or priority through the native options (2.58)",
    ),
    Limit(
        path=("backup", "reuse"),
        said=lambda cluster: cluster.backup.reuse not in {None, "off"},
        severity="warning",
        message="pgBackRest does not reuse an earlier backup's files by links or copies; ignored",
        hint="incremental or differential backups in the schedule",
    ),
    Limit(
        path=("backup", "from"),
        said=lambda cluster: cluster.backup.source == "prefer-standby",
        severity="error",
        message="prefer-standby needs pgBackRest 2.54; an older one takes only yes or no",
        hint="from: standby, or from: primary",
        until=EngineVersion.parse("2.54"),
    ),
    Limit(
        path=("backup", "from"),
        said=lambda cluster: cluster.backup.source == "standby" and not cluster.standbys,
        severity="error",
        message="no standby is named, so every backup would fail",
        hint="name it in standbys:",
    ),
    Limit(
        path=("backup", "from"),
        said=lambda cluster: cluster.backup.source == "prefer-standby" and not cluster.standbys,
        severity="warning",
        message="no standby is named, so the primary is always used",
        hint="name it in standbys:",
    ),
    Limit(
        path=("postgres", "password"),
        said=lambda cluster: cluster.postgres.password is not None,
        severity="warning",
        message="pgBackRest connects by socket and takes a password from .pgpass alone; pgwrap's own status uses it",
    ),
    Limit(
        path=("postgres", "streaming_user"),
        said=lambda cluster: cluster.postgres.streaming_user is not None,
        severity="warning",
        message="pgBackRest does not stream; the user is ignored",
    ),
    Limit(
        path=("postgres", "host"),
        said=lambda cluster: _is_remote(cluster.postgres),
        severity="warning",
        message="pgBackRest connects by socket on the server's own host; the address serves pgwrap's status alone",
        hint="say postgres: ssh: when pgBackRest runs on another host",
    ),
    Limit(
        path=("postgres", "ssh"),
        said=lambda cluster: cluster.postgres.ssh is not None and not any(one.host for one in cluster.repositories),
        severity="warning",
        message="the database's host needs a pgbackrest.conf that names this host, which the spec does not say",
        hint="say host: in the repository, and pgwrap renders both sides",
    ),
    Limit(
        path=("repositories",),
        said=lambda cluster: cluster.postgres.ssh is None and any(one.host for one in cluster.repositories),
        severity="warning",
        message="the repository's host needs a pgbackrest.conf of its own; its type, credentials and passphrase are "
        "not written here",
        hint="run the engine on the repository's host with postgres: ssh:, and pgwrap renders both sides",
    ),
    Limit(
        path=("repositories",),
        said=lambda cluster: cluster.postgres.ssh is None and any(one.host for one in cluster.repositories),
        severity="warning",
        message="before 2.55 backups and expiry run on the repository's host only: pgwrap starts them there through "
        "ssh, and that host's own pgbackrest.conf has to name this cluster",
        hint="let pgwrap in there, or upgrade pgBackRest",
        until=EngineVersion.parse("2.55"),
    ),
    Limit(
        path=("run_as",),
        said=lambda cluster: cluster.run_as == "root" and not _native(cluster, "allow-root"),
        severity="error",
        message="from 2.59 on pgBackRest refuses to run as root",
        hint="run_as: the owner of the repository",
        since=EngineVersion.parse("2.59"),
    ),
    Limit(
        path=("passive",),
        said=lambda cluster: cluster.passive is not None,
        severity="error",
        message="passive nodes are Barman's; pgBackRest has none",
        hint="a second repository",
    ),
    Limit(
        path=("models",),
        said=lambda cluster: bool(cluster.models),
        severity="error",
        message="models are Barman's; pgBackRest has none",
        hint="a second cluster in the spec",
    ),
)
"""In the order of the reference."""
