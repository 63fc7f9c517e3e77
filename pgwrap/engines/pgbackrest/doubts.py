"""What this version of pgBackRest makes of words that depend on one another, as remarks. It knows no table of words.

Errors and warnings are told apart as in limits.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pgwrap.domain.model import Cluster, Path, Repository
from pgwrap.engines.pgbackrest.options import compression_levels
from pgwrap.engines.pgbackrest.repository import block_is_available, effective_policy, wants_block, wants_bundle
from pgwrap.engines.port import EngineVersion, Remark


def _error(path: Path, message: str, hint: str = "") -> Remark:
    return Remark(path=path, severity="error", message=message, hint=hint)


def _warning(path: Path, message: str, hint: str = "") -> Remark:
    return Remark(path=path, severity="warning", message=message, hint=hint)


def repository_doubts(cluster: Cluster, repository: Repository, version: EngineVersion) -> Iterator[Remark]:
    """What is missing or impossible in one repository of the cluster."""
    path: Path = ("repositories", repository.name)
    if repository.host is None or cluster.postgres.ssh is not None:
        yield from _missing_words(repository, path)
        yield from _encryption_doubts(repository, path)
    yield from _policy_doubts(cluster, repository)
    yield from _block_doubts(cluster, repository, version)


def _missing_words(repository: Repository, path: Path) -> Iterator[Remark]:
    given = {name for name, _ in repository.credentials}
    native = {option.key for option in repository.options}
    for word, option, is_there in _NEEDS.get(repository.type, ()):
        if not is_there(repository, given) and option not in native:
            reason = f"pgBackRest needs {option} for {repository.type}"
            yield _error((*path, word), reason, f"say {word}:")


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


def _encryption_doubts(repository: Repository, path: Path) -> Iterator[Remark]:
    encryption = repository.encryption
    if encryption is None or encryption.cipher == "none":
        return
    where = (*path, "encryption")
    if encryption.cipher != "aes-256-cbc":
        reason = f"pgBackRest does not encrypt with {encryption.cipher}"
        yield _error((*where, "cipher"), reason, "cipher: aes-256-cbc")
    elif encryption.passphrase is None:
        yield _error(where, "pgBackRest needs a passphrase", "say passphrase: {file: …}")
    if encryption.key_id is not None:
        yield _error((*where, "key_id"), "pgBackRest has no GPG keys, only a passphrase")
    if encryption.passphrase_command:
        reason = "pgBackRest runs no command for its passphrase"
        yield _error((*where, "passphrase_command"), reason, "passphrase: {command: […]}: pgwrap runs it")


def _policy_doubts(cluster: Cluster, repository: Repository) -> Iterator[Remark]:
    policy, path = effective_policy(cluster, repository)
    if policy.window_days is not None and (policy.minimum_full or 0) > 1:
        reason = "pgBackRest keeps one full backup older than the window, and deletes others whatever their number"
        yield _error((*path, "minimum_full"), reason, "retention: {full: N}, or minimum_full: 1")
    if policy.window_days is not None and policy.full is not None:
        reason = "pgBackRest keeps full backups either by their number or by time, not both"
        yield _error((*path, "full"), reason, "keep one of full: and window:")
    if policy.wal_type is not None and policy.wal is None and policy.wal_type != "full":
        reason = f"WAL is never deleted by {policy.wal_type} backups unless it is said for how many"
        yield _warning((*path, "wal_type"), reason, "say wal:")


def _block_doubts(cluster: Cluster, repository: Repository, version: EngineVersion) -> Iterator[Remark]:
    block, path = wants_block(cluster, repository)
    if not block:
        return
    bundle, _ = wants_bundle(cluster, repository)
    if not bundle:
        yield _warning(path, "pgBackRest stores changed blocks only with bundle: true; ignored", "bundle: true")
    elif not block_is_available(cluster, version):
        reason = f"block incremental backups were not finished in pgBackRest {version}; ignored"
        yield _warning(path, reason, "upgrade to 2.46 or later")


def compression_doubts(cluster: Cluster) -> Iterator[Remark]:
    """A level that the chosen compression does not have stops every command that compresses."""
    backup, wal = cluster.backup, cluster.wal
    yield from _level_doubt(
        backup.compression, backup.compression_level, (*cluster.spec_path, "backup", "compression_level")
    )
    compression = wal.compression or backup.compression
    yield from _level_doubt(compression, wal.compression_level, (*cluster.spec_path, "wal", "compression_level"))


def _level_doubt(compression: str | None, level: int | None, path: Path) -> Iterator[Remark]:
    if level is None:
        return
    name = compression or "gz"
    limits = compression_levels().get(name)
    if limits is None:
        yield _error(path, f"compression {name} has no level in pgBackRest", "leave the level out")
    elif not limits[0] <= level <= limits[1]:
        reason = f"the level of {name} must be between {limits[0]} and {limits[1]}, not {level}"
        yield _error(path, reason)


_RUN_BY_PGWRAP = ("before_backup", "after_backup", "on_failure")


def hook_doubts(cluster: Cluster) -> Iterator[Remark]:
    """pgBackRest runs no hooks; pgwrap runs those of a backup."""
    for event, _ in cluster.hooks:
        if event in _RUN_BY_PGWRAP:
            continue
        path = (*cluster.spec_path, "hooks", event)
        yield _warning(path, "pgBackRest runs no hooks, and this version of pgwrap runs none in its place; ignored")


_POSTGRES = (("2.45", 15), ("2.46", 16), ("2.53.1", 17), ("2.55", 18), ("2.59", 19))
"""The newest major version of PostgreSQL that each release takes (a beta of 19 in 2.59)."""


def postgres_doubts(cluster: Cluster, version: EngineVersion, newest: EngineVersion) -> Iterator[Remark]:
    """A PostgreSQL version that this engine version does not know ends every command with [046]."""
    major = cluster.postgres.version
    if major is None or version > newest:
        return
    known = max((top for since, top in _POSTGRES if version >= EngineVersion.parse(since)), default=_POSTGRES[0][1])
    if major <= known:
        return
    needed = next((since for since, top in _POSTGRES if top >= major), None)
    path = (*cluster.spec_path, "postgres", "version")
    nearest = f"upgrade pgBackRest to {needed}" if needed else "upgrade pgBackRest"
    yield _error(path, f"pgBackRest {version} does not know PostgreSQL {major}", nearest)
