"""One table: the spec's words that pgBackRest has nothing for, or not in every version, each with its reason.

Errors touch safety (retention, encryption, delivery, durability) or would stop every command; warnings say what is
ignored. What an option's own value may be is in the option table, not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pgwrap.domain.model import Cluster, Path, PostgresTarget, Repository
from pgwrap.engines.pgbackrest.options import compression_levels
from pgwrap.engines.pgbackrest.repository import (
    block_is_available,
    effective_policy,
    wants_block,
    wants_bundle,
)
from pgwrap.engines.pgbackrest.stanza import socket_directory
from pgwrap.engines.port import EngineVersion

Severity = Literal["error", "warning"]
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_UNRUN_HOOKS = frozenset(
    {"before_archive", "after_archive", "before_delete", "after_delete", "before_wal_delete", "after_wal_delete"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word of the cluster (its path below the cluster), when it counts, and what pgBackRest makes of it."""

    path: Path
    said: Callable[[Cluster], bool]
    severity: Severity
    reason: str
    nearest: str = ""
    since: EngineVersion | None = None
    """From this version on it works; None: it never does."""


def _version(text: str) -> EngineVersion:
    return EngineVersion.parse(text)


WORDS: tuple[Word, ...] = (
    Word(
        path=("postgres", "data_directory"),
        said=lambda cluster: cluster.postgres.data_directory is None,
        severity="error",
        reason="pgBackRest must know the data directory (pg1-path)",
        nearest="say postgres: data_directory:",
    ),
    Word(
        path=("repositories",),
        said=lambda cluster: not cluster.repositories,
        severity="error",
        reason="without a repository pgBackRest would use /var/lib/pgbackrest unasked",
        nearest="say repositories: with at least one",
    ),
    Word(
        path=("wal", "delivery"),
        said=lambda cluster: cluster.wal.delivery != "archive",
        severity="error",
        reason="pgBackRest does not stream WAL: PostgreSQL hands it each finished segment",
        nearest="delivery: archive, with async: true on a busy cluster; or Barman",
    ),
    Word(
        path=("wal", "slot"),
        said=lambda cluster: cluster.wal.slot is not None,
        severity="error",
        reason="pgBackRest uses no replication slot",
        nearest="leave it out: archive_command keeps WAL until it is archived",
    ),
    Word(
        path=("wal", "create_slot"),
        said=lambda cluster: bool(cluster.wal.create_slot),
        severity="error",
        reason="pgBackRest uses no replication slot",
        nearest="leave it out",
    ),
    Word(
        path=("wal", "synchronous"),
        said=lambda cluster: bool(cluster.wal.synchronous),
        severity="error",
        reason="pgBackRest cannot be a synchronous standby, so the newest segment is always at risk",
        nearest="Barman with delivery: stream, or a synchronous standby of PostgreSQL's own",
    ),
    Word(
        path=("wal", "streaming_name"),
        said=lambda cluster: cluster.wal.streaming_name is not None,
        severity="warning",
        reason="pgBackRest does not stream WAL; the name is ignored",
    ),
    Word(
        path=("backup", "method"),
        said=lambda cluster: cluster.backup.method is not None,
        severity="warning",
        reason="pgBackRest copies files in a way of its own; the method is ignored",
    ),
    Word(
        path=("backup", "snapshot"),
        said=lambda cluster: cluster.backup.snapshot is not None,
        severity="warning",
        reason="pgBackRest takes no disk snapshots; ignored",
        nearest="Barman has the method snapshot",
    ),
    Word(
        path=("backup", "rate_limit"),
        said=lambda cluster: cluster.backup.rate_limit is not None,
        severity="warning",
        reason="pgBackRest cannot limit its rate; ignored",
        nearest="fewer processes (parallel: 1), or priority through the native options (2.58)",
    ),
    Word(
        path=("backup", "reuse"),
        said=lambda cluster: cluster.backup.reuse not in {None, "off"},
        severity="warning",
        reason="pgBackRest does not reuse an earlier backup's files by links or copies; ignored",
        nearest="incremental or differential backups in the schedule",
    ),
    Word(
        path=("backup", "from"),
        said=lambda cluster: cluster.backup.source == "prefer-standby",
        severity="error",
        reason="prefer-standby needs pgBackRest 2.54; an older one takes only yes or no",
        nearest="from: standby, or from: primary",
        since=_version("2.54"),
    ),
    Word(
        path=("backup", "from"),
        said=lambda cluster: cluster.backup.source == "standby" and not cluster.standbys,
        severity="error",
        reason="no standby is named, so every backup would fail",
        nearest="name it in standbys:",
    ),
    Word(
        path=("backup", "from"),
        said=lambda cluster: cluster.backup.source == "prefer-standby" and not cluster.standbys,
        severity="warning",
        reason="no standby is named, so the primary is always used",
        nearest="name it in standbys:",
    ),
    Word(
        path=("postgres", "password"),
        said=lambda cluster: cluster.postgres.password is not None,
        severity="warning",
        reason="pgBackRest connects by socket and takes a password from .pgpass alone; pgwrap's own status uses it",
    ),
    Word(
        path=("postgres", "streaming_user"),
        said=lambda cluster: cluster.postgres.streaming_user is not None,
        severity="warning",
        reason="pgBackRest does not stream; the user is ignored",
    ),
    Word(
        path=("postgres", "host"),
        said=lambda cluster: _is_remote(cluster.postgres),
        severity="warning",
        reason="pgBackRest connects by socket on the server's own host; the address serves pgwrap's status alone",
        nearest="say postgres: ssh: when pgBackRest runs on another host",
    ),
    Word(
        path=("postgres", "ssh"),
        said=lambda cluster: cluster.postgres.ssh is not None and not any(one.host for one in cluster.repositories),
        severity="warning",
        reason="the database's host needs a pgbackrest.conf that names this host, which the spec does not say",
        nearest="say host: in the repository, and pgwrap renders both sides",
    ),
    Word(
        path=("repositories",),
        said=lambda cluster: cluster.postgres.ssh is None and any(one.host for one in cluster.repositories),
        severity="warning",
        reason="the repository's host needs a pgbackrest.conf of its own; its type, credentials and passphrase are not "
        "written here",
        nearest="run the engine on the repository's host with postgres: ssh:, and pgwrap renders both sides",
    ),
    Word(
        path=("repositories",),
        said=lambda cluster: cluster.postgres.ssh is None and any(one.host for one in cluster.repositories),
        severity="error",
        reason="before 2.55 backups and expiry run on the repository's host only",
        nearest="say engines: host: and postgres: ssh:, or upgrade pgBackRest",
        since=_version("2.55"),
    ),
    Word(
        path=("run_as",),
        said=lambda cluster: cluster.run_as == "root" and not _native(cluster, "allow-root"),
        severity="error",
        reason="from 2.59 on pgBackRest refuses to run as root",
        nearest="run_as: the owner of the repository",
    ),
    Word(
        path=("passive",),
        said=lambda cluster: cluster.passive is not None,
        severity="error",
        reason="passive nodes are Barman's; pgBackRest has none",
        nearest="a second repository",
    ),
    Word(
        path=("models",),
        said=lambda cluster: bool(cluster.models),
        severity="error",
        reason="models are Barman's; pgBackRest has none",
        nearest="a second cluster in the spec",
    ),
)
"""In the order of the reference."""

_ROOT_REFUSED = _version("2.59")


def _native(cluster: Cluster, key: str) -> bool:
    return any(option.key == key for option in (*cluster.options, *cluster.engine.options))


def _is_remote(server: PostgresTarget) -> bool:
    host = server.host
    return host is not None and server.ssh is None and host not in _LOCAL_HOSTS and socket_directory(server) != host


def applies(word: Word, cluster: Cluster, version: EngineVersion) -> bool:
    """Whether the remark is due for this cluster and version."""
    if word.path == ("run_as",) and version < _ROOT_REFUSED:
        return False
    return word.said(cluster) and (word.since is None or version < word.since)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A remark that depends on more than one word; `path` is whole."""

    path: Path
    severity: Severity
    reason: str
    nearest: str = ""


def repository_doubts(cluster: Cluster, repository: Repository, version: EngineVersion) -> Iterator[Doubt]:
    """What is missing or impossible in one repository of the cluster."""
    path: Path = ("repositories", repository.name)
    if repository.host is None or cluster.postgres.ssh is not None:
        yield from _missing_words(repository, path)
        yield from _encryption_doubts(repository, path)
    yield from _policy_doubts(cluster, repository)
    yield from _block_doubts(cluster, repository, version)


def _missing_words(repository: Repository, path: Path) -> Iterator[Doubt]:
    given = {name for name, _ in repository.credentials}
    native = {option.key for option in repository.options}
    for word, option, is_there in _NEEDS.get(repository.type, ()):
        if not is_there(repository, given) and option not in native:
            reason = f"pgBackRest needs {option} for {repository.type}"
            yield Doubt((*path, word), "error", reason, f"say {word}:")


Need = tuple[str, str, Callable[[Repository, set[str]], bool]]


def _shared_key(name: str, kinds: frozenset[str | None]) -> Callable[[Repository, set[str]], bool]:
    return lambda repository, given: repository.key_type not in kinds or name in given


_S3_SHARED = frozenset({None, "shared"})
_GCS_KEYED = frozenset({None, "service", "token"})
_AZURE_KEYED = frozenset({None, "shared", "sas"})
_NEEDS: dict[str, tuple[Need, ...]] = {
    "s3": (
        ("bucket", "s3-bucket", lambda one, _: one.bucket is not None),
        ("endpoint", "s3-endpoint", lambda one, _: one.endpoint is not None),
        ("region", "s3-region", lambda one, _: one.region is not None),
        ("credentials", "s3-key", _shared_key("key", _S3_SHARED)),
        ("credentials", "s3-key-secret", _shared_key("secret", _S3_SHARED)),
    ),
    "gcs": (
        ("bucket", "gcs-bucket", lambda one, _: one.bucket is not None),
        ("credentials", "gcs-key", _shared_key("key", _GCS_KEYED)),
    ),
    "azure": (
        ("container", "azure-container", lambda one, _: one.container is not None),
        ("account", "azure-account", lambda one, _: one.account is not None),
        ("credentials", "azure-key", _shared_key("key", _AZURE_KEYED)),
    ),
    "sftp": (
        ("sftp_host", "sftp-host", lambda one, _: one.sftp_host is not None),
        ("sftp_user", "sftp-host-user", lambda one, _: one.sftp_user is not None),
        ("private_key_file", "sftp-private-key-file", lambda one, _: one.private_key_file is not None),
        ("host_key_hash", "sftp-host-key-hash-type", lambda one, _: one.host_key_hash is not None),
    ),
}


def _encryption_doubts(repository: Repository, path: Path) -> Iterator[Doubt]:
    encryption = repository.encryption
    if encryption is None or encryption.cipher == "none":
        return
    where = (*path, "encryption")
    if encryption.cipher != "aes-256-cbc":
        reason = f"pgBackRest does not encrypt with {encryption.cipher}"
        yield Doubt((*where, "cipher"), "error", reason, "cipher: aes-256-cbc")
    elif encryption.passphrase is None:
        yield Doubt(where, "error", "pgBackRest needs a passphrase", "say passphrase: {file: …}")
    if encryption.key_id is not None:
        yield Doubt((*where, "key_id"), "error", "pgBackRest has no GPG keys, only a passphrase")
    if encryption.passphrase_command:
        reason = "pgBackRest runs no command for its passphrase"
        yield Doubt((*where, "passphrase_command"), "error", reason, "passphrase: {command: […]}: pgwrap runs it")


def _policy_doubts(cluster: Cluster, repository: Repository) -> Iterator[Doubt]:
    policy, path = effective_policy(cluster, repository)
    if policy.window_days is not None and (policy.minimum_full or 0) > 1:
        reason = "pgBackRest keeps one full backup older than the window, and deletes others whatever their number"
        yield Doubt((*path, "minimum_full"), "error", reason, "retention: {full: N}, or minimum_full: 1")
    if policy.window_days is not None and policy.full is not None:
        reason = "pgBackRest keeps full backups either by their number or by time, not both"
        yield Doubt((*path, "full"), "error", reason, "keep one of full: and window:")
    if policy.wal_type is not None and policy.wal is None and policy.wal_type != "full":
        reason = f"WAL is never deleted by {policy.wal_type} backups unless it is said for how many"
        yield Doubt((*path, "wal_type"), "warning", reason, "say wal:")


def _block_doubts(cluster: Cluster, repository: Repository, version: EngineVersion) -> Iterator[Doubt]:
    block, path = wants_block(cluster, repository)
    if not block:
        return
    bundle, _ = wants_bundle(cluster, repository)
    if not bundle:
        yield Doubt(path, "warning", "pgBackRest stores changed blocks only with bundle: true; ignored", "bundle: true")
    elif not block_is_available(cluster, version):
        reason = f"block incremental backups were not finished in pgBackRest {version}; ignored"
        yield Doubt(path, "warning", reason, "upgrade to 2.46 or later")


def compression_doubts(cluster: Cluster) -> Iterator[Doubt]:
    """A level that the chosen compression does not have stops every command that compresses."""
    backup, wal = cluster.backup, cluster.wal
    yield from _level_doubt(
        backup.compression, backup.compression_level, (*cluster.spec_path, "backup", "compression_level")
    )
    compression = wal.compression or backup.compression
    yield from _level_doubt(compression, wal.compression_level, (*cluster.spec_path, "wal", "compression_level"))


def _level_doubt(compression: str | None, level: int | None, path: Path) -> Iterator[Doubt]:
    if level is None:
        return
    name = compression or "gz"
    limits = compression_levels().get(name)
    if limits is None:
        yield Doubt(path, "error", f"compression {name} has no level in pgBackRest", "leave the level out")
    elif not limits[0] <= level <= limits[1]:
        reason = f"the level of {name} must be between {limits[0]} and {limits[1]}, not {level}"
        yield Doubt(path, "error", reason)


def hook_doubts(cluster: Cluster) -> Iterator[Doubt]:
    """pgBackRest runs no hooks; pgwrap runs some, when it takes the backup itself."""
    for event, _ in cluster.hooks:
        path = (*cluster.spec_path, "hooks", event)
        if event in _UNRUN_HOOKS:
            yield Doubt(path, "warning", "pgBackRest runs no hooks, and pgwrap is not there at that moment; ignored")
        else:
            reason = "pgBackRest runs no hooks: this one runs only when pgwrap itself takes the backup or restores"
            yield Doubt(path, "warning", reason)


_POSTGRES = (("2.45", 15), ("2.46", 16), ("2.53.1", 17), ("2.55", 18), ("2.59", 19))
"""The newest major version of PostgreSQL that each release takes (a beta of 19 in 2.59)."""


def postgres_doubts(cluster: Cluster, version: EngineVersion, newest: EngineVersion) -> Iterator[Doubt]:
    """A PostgreSQL version that this engine version does not know ends every command with [046]."""
    major = cluster.postgres.version
    if major is None or version > newest:
        return
    known = max((top for since, top in _POSTGRES if version >= _version(since)), default=_POSTGRES[0][1])
    if major <= known:
        return
    needed = next((since for since, top in _POSTGRES if top >= major), None)
    path = (*cluster.spec_path, "postgres", "version")
    nearest = f"upgrade pgBackRest to {needed}" if needed else "upgrade pgBackRest"
    yield Doubt(path, "error", f"pgBackRest {version} does not know PostgreSQL {major}", nearest)
