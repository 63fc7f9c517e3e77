"""A cluster's words as the settings of its stanza. Repositories are not said here, and no file is laid out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pgwrap.domain.model import Cluster, EngineInstance, NativeOption, Path, PostgresTarget
from pgwrap.engines.pgbackrest.repository import remote_settings, written
from pgwrap.engines.pgbackrest.settings import Setting

_STANDBY = {"primary": "n", "standby": "y", "prefer-standby": "prefer"}
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
Side = Literal["here", "database"]
"""Where the file is read: where pgwrap runs the engine, or on the database's own host."""


def instance_settings(instance: EngineInstance) -> tuple[Setting, ...]:
    """What holds for every stanza of an installation."""
    path: Path = ("engines", instance.name)
    found = (
        ("log-path", instance.log_directory, "log_directory"),
        ("lock-path", instance.lock_directory, "lock_directory"),
    )
    words = (Setting(key=key, values=(value,), path=(*path, word)) for key, value, word in found if value is not None)
    return (*words, *natives(instance.options, (*path, "options")))


def stanza_settings(cluster: Cluster, side: Side = "here") -> tuple[Setting, ...]:
    """Everything a stanza says of its servers, backups and WAL, and the author's own native options."""
    kind = cluster.engine.kind.value
    return (
        *_servers(cluster, side),
        *_backup(cluster),
        *_wal(cluster),
        *natives(cluster.options, (*cluster.spec_path, "options", kind)),
    )


def natives(options: tuple[NativeOption, ...], path: Path) -> Iterator[Setting]:
    """The author's native options, verbatim."""
    for option in options:
        section = () if option.section is None else (option.section,)
        yield Setting(
            key=option.key,
            values=option.values,
            path=(*path, *section, option.key),
            command=option.section,
            native=True,
        )


def _servers(cluster: Cluster, side: Side) -> Iterator[Setting]:
    yield from _server(1, cluster.postgres, (*cluster.spec_path, "postgres"), side)
    if side == "database":
        return
    for index, standby in enumerate(cluster.standbys):
        yield from _server(index + 2, standby, (*cluster.spec_path, "standbys", str(index)), side)


def _server(number: int, server: PostgresTarget, path: Path, side: Side) -> Iterator[Setting]:
    prefix = f"pg{number}"
    if server.ssh is not None and side == "here":
        yield from remote_settings(f"{prefix}-host", server.ssh, server.ssh.config, (*path, "ssh"))
    found = (
        ("path", server.data_directory, "data_directory"),
        ("port", server.port if server.port != 5432 else None, "port"),
        ("socket-path", socket_directory(server), "socket_directory" if server.socket_directory else "host"),
        ("user", server.user, "user"),
        ("database", server.database, "database"),
    )
    for suffix, value, word in found:
        if value is not None:
            yield Setting(key=f"{prefix}-{suffix}", values=(str(value),), path=(*path, word))


def socket_directory(server: PostgresTarget) -> str | None:
    """Where the server's socket is: said so, or as a host that is a directory (libpq takes both)."""
    if server.socket_directory is not None:
        return server.socket_directory
    return server.host if server.host is not None and server.host.startswith("/") else None


def _backup(cluster: Cluster) -> Iterator[Setting]:
    backup, path = cluster.backup, (*cluster.spec_path, "backup")
    # A compression of WAL's own must not meet a level that was meant for the backups' compression.
    command = "backup" if _wal_compresses_apart(cluster) else None
    found: tuple[tuple[str, object, str, str | None], ...] = (
        ("process-max", backup.parallel, "parallel", None),
        ("compress-type", backup.compression, "compression", command),
        ("compress-level", backup.compression_level, "compression_level", command),
        ("backup-standby", backup.source and _STANDBY[backup.source], "from", None),
        ("start-fast", backup.checkpoint and backup.checkpoint == "fast", "checkpoint", None),
        ("resume", backup.resume, "resume", None),
        ("checksum-page", backup.checksum_page, "checksum_page", None),
    )
    yield from _words(found, path)
    if backup.exclude:
        yield Setting(key="exclude", values=backup.exclude, path=(*path, "exclude"))


def _wal_compresses_apart(cluster: Cluster) -> bool:
    backup, wal = cluster.backup, cluster.wal
    said = (wal.compression, wal.compression_level)
    return said not in {(None, None), (backup.compression, backup.compression_level)}


def _wal(cluster: Cluster) -> Iterator[Setting]:
    wal, path = cluster.wal, (*cluster.spec_path, "wal")
    apart = _wal_compresses_apart(cluster)
    compression = wal.compression or cluster.backup.compression
    found: tuple[tuple[str, object, str, str | None], ...] = (
        ("archive-async", wal.asynchronous, "async", None),
        ("spool-path", wal.spool, "spool", None),
        (
            "archive-push-queue-max",
            None if wal.queue_maximum is None else size(wal.queue_maximum),
            "queue_maximum",
            None,
        ),
        ("archive-timeout", None if wal.timeout is None else f"{wal.timeout}s", "timeout", None),
        ("process-max", wal.parallel, "parallel", "archive-push"),
        ("compress-type", compression if apart else None, "compression", "archive-push"),
        ("compress-level", wal.compression_level if apart else None, "compression_level", "archive-push"),
    )
    yield from _words(found, path)


def _words(found: tuple[tuple[str, object, str, str | None], ...], path: Path) -> Iterator[Setting]:
    for key, value, word, command in found:
        if value is not None:
            yield Setting(key=key, values=(written(value),), path=(*path, word), command=command)


def size(amount: int) -> str:
    """Bytes in the greatest unit that divides them (pgBackRest takes no fractions)."""
    for unit, factor in _UNITS:
        if amount and amount % factor == 0:
            return f"{amount // factor}{unit}"
    return f"{amount}B"
