"""The spec's words as Barman's options, in the order they are written. It neither escapes nor checks them.

A later setting of the same key replaces an earlier one, so native options have the last word.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, TypeAlias

from pgwrap.domain.model import BarmanModel, Cluster, EngineInstance, Path, PostgresTarget, RemoteHost, Secret, Snapshot
from pgwrap.engines.barman import policy
from pgwrap.engines.barman.values import connection_string
from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

Method: TypeAlias = Literal["postgres", "rsync", "local-rsync", "snapshot"]
SecretReader: TypeAlias = Callable[[Secret], str]

DEFAULT_HOME: Final = "/var/lib/barman"
DEFAULT_USER: Final = "barman"
DEFAULT_STREAMING_NAME: Final = "barman_receive_wal"
RSYNC: Final = frozenset({"rsync", "local-rsync"})
COMPRESSIONS: Final = {"gz": "gzip", "bz2": "bzip2", "zst": "zstd"}
"""The spec's words that Barman writes otherwise."""
HOOKS: Final = {
    "before_backup": "pre_backup_script",
    "after_backup": "post_backup_script",
    "before_archive": "pre_archive_script",
    "after_archive": "post_archive_script",
    "before_restore": "pre_recovery_script",
    "after_restore": "post_recovery_script",
    "before_delete": "pre_delete_script",
    "after_delete": "post_delete_script",
    "before_wal_delete": "pre_wal_delete_script",
    "after_wal_delete": "post_wal_delete_script",
}
"""The events that are Barman's own; the others are pgwrap's to run."""
_GCP_RENAMED: Final = EngineVersion((3, 6))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One option with the word it comes from, as a path below its cluster (or engine)."""

    key: str
    value: str
    word: Path


def method(cluster: Cluster) -> Method:
    """The cluster's backup method: as said, else rsync where there is ssh, else postgres."""
    if cluster.backup.method is not None:
        return cluster.backup.method
    return "rsync" if cluster.postgres.ssh is not None else "postgres"


def slot_name(cluster: Cluster) -> str | None:
    """The replication slot of WAL streaming, which Barman requires; None without streaming."""
    if cluster.wal.delivery == "archive" or cluster.passive is not None:
        return None
    default = re.sub(r"[^a-z0-9_]", "_", f"barman_{cluster.engine_name}".lower())[:63]
    return cluster.wal.slot or native(cluster, "slot_name") or default


def native(cluster: Cluster, key: str) -> str | None:
    """What the author wrote for a native option of the server."""
    found = [option for option in cluster.options if option.key == key]
    return ",".join(found[-1].values) if found else None


def backup_directory(cluster: Cluster) -> str:
    """Where the server's catalog lies: a directory of its own in the repository, else in Barman's home."""
    stated = native(cluster, "backup_directory")
    if stated is not None:
        return stated
    local = [repository.path for repository in cluster.repositories if repository.type in ("posix", "cifs")]
    home = (local[0] if local else None) or cluster.engine.home or DEFAULT_HOME
    return f"{home.rstrip('/')}/{cluster.engine_name}"


def source(cluster: Cluster) -> PostgresTarget:
    """The server that backups are read from."""
    standby = cluster.backup.source == "standby" and cluster.standbys
    return cluster.standbys[0] if standby else cluster.postgres


def owner(instance: EngineInstance) -> str:
    """The user who owns the files: Barman's own."""
    stated = [option.values[-1] for option in instance.options if option.key == "barman_user" and option.values]
    return stated[-1] if stated else instance.run_as or DEFAULT_USER


def global_settings(instance: EngineInstance) -> tuple[Setting, ...]:
    """The [barman] section."""
    home = instance.home or DEFAULT_HOME
    log_directory = instance.log_directory or "/var/log/barman"
    settings = [
        Setting(key="barman_user", value=owner(instance), word=("run_as",)),
        Setting(key="barman_home", value=home, word=("home",)),
        Setting(key="log_file", value=f"{log_directory.rstrip('/')}/barman.log", word=("log_directory",)),
    ]
    if instance.include is not None:
        settings.append(Setting(key="configuration_files_directory", value=instance.include, word=("servers",)))
    if instance.lock_directory is not None:
        settings.append(Setting(key="barman_lock_directory", value=instance.lock_directory, word=("lock_directory",)))
    settings += (
        Setting(key=option.key, value=",".join(option.values), word=("options", option.key))
        for option in instance.options
    )
    return _last_said(settings)


def server_settings(cluster: Cluster, version: EngineVersion, secret: SecretReader) -> tuple[Setting, ...]:
    """The server's section, every word that Barman can express in some version."""
    parts: tuple[Iterable[Setting], ...] = (
        _identity(cluster),
        _repository(cluster),
        _passive(cluster.passive) if cluster.passive is not None else _source_server(cluster, version, secret),
        _retention(cluster),
        _hooks(cluster),
        _native(cluster),
    )
    return _last_said([setting for part in parts for setting in part])


def model_settings(cluster: Cluster, model: BarmanModel, secret: SecretReader) -> tuple[Setting, ...]:
    """A model's section."""
    word = ("models", model.name)
    settings = [
        Setting(key="cluster", value=native(cluster, "cluster") or cluster.engine_name, word=word),
        Setting(key="model", value="true", word=word),
    ]
    if model.postgres is not None:
        settings += _connection(model.postgres, (*word, "postgres"), secret)
    settings += (
        Setting(key=option.key, value=",".join(option.values), word=(*word, "options", option.key))
        for option in model.options
    )
    return _last_said(settings)


def conninfo(server: PostgresTarget, secret: SecretReader, *, streaming: bool = False) -> str:
    """libpq's connection string for a server; the streaming role has no database, and a password of its own."""
    own_role = streaming and server.streaming_user not in (None, server.user)
    password = server.streaming_password if own_role else server.password
    return connection_string(
        ("host", server.host or server.socket_directory),
        ("port", str(server.port)),
        ("user", server.streaming_user if own_role else server.user),
        ("dbname", None if streaming else server.connection_database),
        ("sslmode", server.sslmode),
        ("password", None if password is None else secret(password)),
    )


def _last_said(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    return tuple({setting.key: setting for setting in settings}.values())


def _identity(cluster: Cluster) -> Iterator[Setting]:
    if cluster.description is not None:
        yield Setting(key="description", value=cluster.description, word=("description",))
    if not cluster.active:
        yield Setting(key="active", value="false", word=("active",))
    if cluster.models:
        yield Setting(key="cluster", value=cluster.engine_name, word=("models",))


def _repository(cluster: Cluster) -> Iterator[Setting]:
    if not cluster.repositories:
        return
    repository, word = cluster.repositories[0], ("repositories", "0")
    if repository.type in ("posix", "cifs") and repository.path is not None:
        yield Setting(key="backup_directory", value=backup_directory(cluster), word=word)
    if repository.type == "s3":
        # Both take the same prefix: Barman adds the server's name and `base` or `wals` itself.
        prefix = f"s3://{repository.bucket or ''}/{(repository.path or '').strip('/')}".rstrip("/")
        yield Setting(key="basebackups_directory", value=prefix, word=word)
        yield Setting(key="wals_directory", value=prefix, word=word)
        if repository.region is not None:
            yield Setting(key="aws_region", value=repository.region, word=word)
    encryption = repository.encryption
    if encryption is not None and encryption.cipher == "gpg":
        yield Setting(key="encryption", value="gpg", word=word)
        yield Setting(key="encryption_key_id", value=encryption.key_id or "", word=word)
        if encryption.passphrase_command:
            command = shlex.join(encryption.passphrase_command)
            yield Setting(key="encryption_passphrase_command", value=command, word=word)


def _passive(primary: RemoteHost) -> Iterator[Setting]:
    yield Setting(key="primary_ssh_command", value=ssh_command(primary), word=("passive",))


def _source_server(cluster: Cluster, version: EngineVersion, secret: SecretReader) -> Iterator[Setting]:
    standby = source(cluster) is not cluster.postgres
    yield from _connection(source(cluster), ("standbys", "0") if standby else ("postgres",), secret)
    if standby:
        yield Setting(key="primary_conninfo", value=conninfo(cluster.postgres, secret), word=("postgres",))
    yield from _backup(cluster, version)
    yield from _wal(cluster)


def _connection(server: PostgresTarget, word: Path, secret: SecretReader) -> Iterator[Setting]:
    yield Setting(key="conninfo", value=conninfo(server, secret), word=word)
    if server.streaming_user is not None:
        yield Setting(key="streaming_conninfo", value=conninfo(server, secret, streaming=True), word=word)
    if server.ssh is not None:
        yield Setting(key="ssh_command", value=ssh_command(server.ssh), word=(*word, "ssh"))


def ssh_command(host: RemoteHost) -> str:
    """The command that Barman runs to reach a host; BatchMode, for nobody is there to type a password."""
    port = () if host.port is None else ("-p", str(host.port))
    user = () if host.user is None else ("-l", host.user)
    return shlex.join(("ssh", "-o", "BatchMode=yes", *port, *user, host.address))


def _backup(cluster: Cluster, version: EngineVersion) -> Iterator[Setting]:
    backup, how = cluster.backup, method(cluster)
    yield Setting(key="backup_method", value=how, word=("backup", "method"))
    if how != "postgres":
        # The only kind left in PostgreSQL 15, and the default; said so that older versions don't warn.
        yield Setting(key="backup_options", value="concurrent_backup", word=("backup", "method"))
    if how in RSYNC:
        yield from _rsync(cluster)
    if how == "postgres":
        yield from _pg_basebackup(cluster)
    if how == "snapshot" and backup.snapshot is not None:
        yield from _snapshot(backup.snapshot, version)
    if backup.rate_limit is not None and how != "snapshot":
        yield Setting(
            key="bandwidth_limit", value=str(max(1, backup.rate_limit // 1024)), word=("backup", "rate_limit")
        )
    if backup.checkpoint is not None:
        fast = "true" if backup.checkpoint == "fast" else "false"
        yield Setting(key="immediate_checkpoint", value=fast, word=("backup", "checkpoint"))
    if cluster.objectives.backup_age is not None:
        hours = f"{math.ceil(cluster.objectives.backup_age / 3600)} HOURS"
        yield Setting(key="last_backup_maximum_age", value=hours, word=("objectives", "backup_age"))


def _rsync(cluster: Cluster) -> Iterator[Setting]:
    backup = cluster.backup
    if backup.parallel is not None:
        yield Setting(key="parallel_jobs", value=str(backup.parallel), word=("backup", "parallel"))
    if backup.reuse is not None:
        yield Setting(key="reuse_backup", value=backup.reuse, word=("backup", "reuse"))


def _pg_basebackup(cluster: Cluster) -> Iterator[Setting]:
    backup = cluster.backup
    encrypted = any(r.encryption is not None and r.encryption.cipher == "gpg" for r in cluster.repositories)
    compression = backup.compression or ("none" if encrypted else None)
    if encrypted:
        # GPG takes tar archives alone (barman/encryption.py, _validate_gpg).
        yield Setting(key="backup_compression_format", value="tar", word=("repositories", "0"))
    if compression is not None:
        name = COMPRESSIONS.get(compression, compression)
        yield Setting(key="backup_compression", value=name, word=("backup", "compression"))
        if compression == "none":
            return
    if backup.compression_level is not None:
        level = str(backup.compression_level)
        yield Setting(key="backup_compression_level", value=level, word=("backup", "compression_level"))


def _snapshot(snapshot: Snapshot, version: EngineVersion) -> Iterator[Setting]:
    renamed = version >= _GCP_RENAMED
    values = (
        ("snapshot_provider", snapshot.provider),
        ("snapshot_instance", snapshot.instance),
        ("snapshot_disks", ",".join(snapshot.disks)),
        ("gcp_project" if renamed else "snapshot_gcp_project", snapshot.project),
        ("gcp_zone" if renamed else "snapshot_zone", snapshot.zone),
        ("azure_subscription_id", snapshot.subscription),
        ("azure_resource_group", snapshot.resource_group),
        ("aws_region", snapshot.region),
        ("aws_profile", snapshot.profile),
    )
    for key, value in values:
        if value is not None:
            yield Setting(key=key, value=value, word=("backup", "snapshot"))


def _wal(cluster: Cluster) -> Iterator[Setting]:
    wal = cluster.wal
    delivery = ("wal", "delivery")
    yield Setting(key="archiver", value="off" if wal.delivery == "stream" else "on", word=delivery)
    yield Setting(key="streaming_archiver", value="off" if wal.delivery == "archive" else "on", word=delivery)
    slot = slot_name(cluster)
    if slot is not None:
        yield Setting(key="slot_name", value=slot, word=("wal", "slot"))
        yield Setting(key="create_slot", value="auto" if wal.create_slot else "manual", word=("wal", "create_slot"))
    if wal.streaming_name is not None:
        yield Setting(key="streaming_archiver_name", value=wal.streaming_name, word=("wal", "streaming_name"))
    if wal.compression not in (None, "none"):
        name = COMPRESSIONS.get(wal.compression or "", wal.compression or "")
        yield Setting(key="compression", value=name, word=("wal", "compression"))
        if wal.compression_level is not None:
            level = str(wal.compression_level)
            yield Setting(key="compression_level", value=level, word=("wal", "compression_level"))


def _retention(cluster: Cluster) -> Iterator[Setting]:
    text = policy.native(cluster.retention)
    if text is not None:
        word = "window" if cluster.retention.window_days is not None else "full"
        yield Setting(key="retention_policy", value=text, word=("retention", word))
    if cluster.retention.minimum_full is not None:
        minimum = str(cluster.retention.minimum_full)
        yield Setting(key="minimum_redundancy", value=minimum, word=("retention", "minimum_full"))


def _hooks(cluster: Cluster) -> Iterator[Setting]:
    for event, argv in cluster.hooks:
        if event in HOOKS:
            yield Setting(key=HOOKS[event], value=shlex.join(argv), word=("hooks", event))


def _native(cluster: Cluster) -> Iterator[Setting]:
    for option in cluster.options:
        yield Setting(key=option.key, value=",".join(option.values), word=("options", "barman", option.key))
