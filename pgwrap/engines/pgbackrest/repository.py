"""A repository's words as `repoN-` settings. It lays out no file and judges no version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pgwrap.domain.model import Cluster, EngineInstance, Path, RemoteHost, Repository, RetentionPolicy, Secret
from pgwrap.engines.pgbackrest.settings import Setting
from pgwrap.engines.port import EngineVersion

KEEP_ALL = 9_999_999
"""The greatest retention pgBackRest takes; it keeps everything without a warning at every backup."""
BLOCK_IS_STABLE = EngineVersion((2, 46))
"""Up to 2.45 block incremental backups need `beta`."""
_KEY_CHECK_TYPE = EngineVersion((2, 48))
_ARCHIVE_TYPES = {"full": "full", "differential": "diff", "incremental": "incr"}

Resolver = Callable[[Secret], str]
Found = Iterator[tuple[str, object, str]]
"""An option without its prefix, its value (None: not said) and the word it comes from."""


def store_settings(key: int, repository: Repository, secret: Resolver, version: EngineVersion) -> tuple[Setting, ...]:
    """Where the repository is and how it is opened: type, path, credentials, encryption, native options."""
    path: Path = ("repositories", repository.name)
    plain = (
        *_place(repository),
        *(_STORES[repository.type](repository) if repository.type in _STORES else ()),
        *_fingerprint(repository, version),
    )
    return (
        *_settings(key, path, plain),
        *_secrets(key, repository, secret),
        *_natives(key, repository),
    )


def _settings(key: int, path: Path, found: Iterable[tuple[str, object, str]]) -> Iterator[Setting]:
    for suffix, value, word in found:
        if value is not None:
            yield Setting(key=f"repo{key}-{suffix}", values=(written(value),), path=(*path, *((word,) if word else ())))


def written(value: object) -> str:
    """A value as pgBackRest writes it: y and n for booleans."""
    if isinstance(value, bool):
        return "y" if value else "n"
    return str(value)


def _place(repository: Repository) -> Found:
    yield "type", repository.type, "type"
    yield "path", repository.path, "path"
    yield "storage-verify-tls", repository.verify_tls, "verify_tls"
    yield "storage-port", repository.port, "port"
    yield "storage-ca-file", repository.ca_file, "ca_file"


def _s3(repository: Repository) -> Found:
    yield "s3-bucket", repository.bucket, "bucket"
    yield "s3-endpoint", repository.endpoint, "endpoint"
    yield "s3-region", repository.region, "region"
    yield "s3-key-type", repository.key_type, "key_type"
    yield "s3-uri-style", repository.uri_style, "uri_style"


def _gcs(repository: Repository) -> Found:
    yield "gcs-bucket", repository.bucket, "bucket"
    yield "gcs-endpoint", repository.endpoint, "endpoint"
    yield "gcs-key-type", repository.key_type, "key_type"


def _azure(repository: Repository) -> Found:
    yield "azure-container", repository.container, "container"
    yield "azure-account", repository.account, "account"
    yield "azure-endpoint", repository.endpoint, "endpoint"
    yield "azure-key-type", repository.key_type, "key_type"
    yield "azure-uri-style", repository.uri_style, "uri_style"


def _sftp(repository: Repository) -> Found:
    yield "sftp-host", repository.sftp_host, "sftp_host"
    yield "sftp-host-user", repository.sftp_user, "sftp_user"
    yield "sftp-host-port", repository.sftp_port, "sftp_port"
    yield "sftp-private-key-file", repository.private_key_file, "private_key_file"
    yield "sftp-public-key-file", repository.public_key_file, "public_key_file"
    yield "sftp-host-key-hash-type", repository.host_key_hash, "host_key_hash"
    yield "sftp-host-fingerprint", repository.host_fingerprint, "host_fingerprint"


_STORES: dict[str, Callable[[Repository], Found]] = {"s3": _s3, "gcs": _gcs, "azure": _azure, "sftp": _sftp}


def _fingerprint(repository: Repository, version: EngineVersion) -> Found:
    """A fingerprint alone says how to check the host only up to 2.47; then known_hosts became the default."""
    if repository.type == "sftp" and repository.host_fingerprint is not None and version >= _KEY_CHECK_TYPE:
        yield "sftp-host-key-check-type", "fingerprint", "host_fingerprint"


CREDENTIALS = {
    "s3": {"key": "s3-key", "secret": "s3-key-secret", "token": "s3-token", "customer_key": "s3-sse-customer-key"},
    "gcs": {"key": "gcs-key"},
    "azure": {"key": "azure-key"},
    "sftp": {"passphrase": "sftp-private-key-passphrase"},
}
"""The option of each credential, by the type of the repository."""


def _secrets(key: int, repository: Repository, secret: Resolver) -> Iterator[Setting]:
    names = CREDENTIALS.get(repository.type, {})
    path: Path = ("repositories", repository.name)
    for name, reference in repository.credentials:
        if name in names:
            found = (*path, "credentials", name)
            if _is_key_file(repository, reference):
                yield Setting(key=f"repo{key}-{names[name]}", values=reference.value, path=found)
            else:
                yield _secret(f"repo{key}-{names[name]}", reference, secret, found)
    encryption = repository.encryption
    if encryption is None or encryption.cipher == "none":
        return
    cipher = (*path, "encryption", "cipher")
    yield Setting(key=f"repo{key}-cipher-type", values=(encryption.cipher,), path=cipher)
    if encryption.passphrase is not None:
        yield _secret(f"repo{key}-cipher-pass", encryption.passphrase, secret, (*path, "encryption", "passphrase"))


def _is_key_file(repository: Repository, reference: Secret) -> bool:
    """Google's service key is a file that pgBackRest reads by itself: its path is written, not what it holds."""
    return repository.type == "gcs" and repository.key_type != "token" and reference.kind == "file"


def _secret(key: str, reference: Secret, secret: Resolver, path: Path) -> Setting:
    return Setting(key=key, values=(secret(reference),), path=path, secret=True)


def _natives(key: int, repository: Repository) -> Iterator[Setting]:
    for option in repository.options:
        yield Setting(
            key=f"repo{key}-{option.key}",
            values=option.values,
            path=("repositories", repository.name, "options", option.key),
            command=option.section,
            native=True,
        )


def host_settings(key: int, repository: Repository, instance: EngineInstance) -> tuple[Setting, ...]:
    """How the database's side reaches the repository's host; nothing when the repository is not on one."""
    host = repository.host
    if host is None:
        return ()
    return remote_settings(
        f"repo{key}-host", host, host_config(host, instance), ("repositories", repository.name, "host")
    )


def host_config(host: RemoteHost, instance: EngineInstance) -> str | None:
    """pgBackRest's file on that host; None: where it looks by itself."""
    return host.config or (instance.config if instance.config != DEFAULT_CONFIG else None)


DEFAULT_CONFIG = "/etc/pgbackrest/pgbackrest.conf"


def remote_settings(prefix: str, host: RemoteHost, config: str | None, path: Path) -> tuple[Setting, ...]:
    """`repoN-host` or `pgN-host` and all that belongs to it."""
    tls = host.tls
    found = (
        ("", host.address, "address"),
        ("-type", host.transport if host.transport != "ssh" else None, "transport"),
        ("-user", host.user, "user"),
        ("-port", host.port, "port"),
        ("-cmd", host.command, "command"),
        ("-config", config, "config"),
        ("-ca-file", tls and tls.ca_file, "tls"),
        ("-ca-path", tls and tls.ca_path, "tls"),
        ("-cert-file", tls and tls.cert_file, "tls"),
        ("-key-file", tls and tls.key_file, "tls"),
    )
    return tuple(
        Setting(key=f"{prefix}{suffix}", values=(str(value),), path=(*path, word))
        for suffix, value, word in found
        if value is not None
    )


def policy_settings(cluster: Cluster, key: int, repository: Repository, version: EngineVersion) -> tuple[Setting, ...]:
    """What is kept in the repository and how files are put there; the repository's own word beats the cluster's."""
    return (*_retention(cluster, key, repository), *_bundling(cluster, key, repository, version))


def effective_policy(cluster: Cluster, repository: Repository) -> tuple[RetentionPolicy, Path]:
    """The retention that holds in a repository, and where it was said."""
    if repository.retention is not None:
        return repository.retention, ("repositories", repository.name, "retention")
    return cluster.retention, (*cluster.spec_path, "retention")


def _retention(cluster: Cluster, key: int, repository: Repository) -> Iterator[Setting]:
    policy, path = effective_policy(cluster, repository)
    yield from _settings(key, path, _full(policy))
    found = (
        ("retention-diff", policy.differential, "differential"),
        ("retention-archive", policy.wal, "wal"),
        ("retention-archive-type", policy.wal_type and _ARCHIVE_TYPES[policy.wal_type], "wal_type"),
        ("retention-history", policy.history_days, "history"),
    )
    yield from _settings(key, path, found)


def _full(policy: RetentionPolicy) -> Found:
    if policy.window_days is not None:
        yield "retention-full", policy.window_days, "window"
        yield "retention-full-type", "time", "window"
    elif policy.full is not None:
        yield "retention-full", max(policy.full, policy.minimum_full or 0), "full"
    elif keeps_everything(policy):
        yield "retention-full", KEEP_ALL, ""


def keeps_everything(policy: RetentionPolicy) -> bool:
    """Whether the author wrote `retention: none`."""
    return policy.deliberate and policy == RetentionPolicy()


def _bundling(cluster: Cluster, key: int, repository: Repository, version: EngineVersion) -> Iterator[Setting]:
    block, block_path = wants_block(cluster, repository)
    bundle, bundle_path = wants_bundle(cluster, repository)
    if bundle is not None:
        yield Setting(key=f"repo{key}-bundle", values=(written(bundle),), path=bundle_path)
    if block is not None and (not block or (bundle and block_is_available(cluster, version))):
        yield Setting(key=f"repo{key}-block", values=(written(block),), path=block_path)


def wants_bundle(cluster: Cluster, repository: Repository) -> tuple[bool | None, Path]:
    """Whether files are bundled in a repository, and where that was said; block incremental backups need it."""
    if repository.bundle is not None:
        return repository.bundle, ("repositories", repository.name, "bundle")
    if cluster.backup.bundle is not None:
        return cluster.backup.bundle, (*cluster.spec_path, "backup", "bundle")
    block, path = wants_block(cluster, repository)
    return (True, path) if block else (None, path)


def wants_block(cluster: Cluster, repository: Repository) -> tuple[bool | None, Path]:
    """Whether block incremental backups are asked for in a repository, and where."""
    if repository.block_incremental is not None:
        return repository.block_incremental, ("repositories", repository.name, "block_incremental")
    return cluster.backup.block_incremental, (*cluster.spec_path, "backup", "block_incremental")


def block_is_available(cluster: Cluster, version: EngineVersion) -> bool:
    """Whether this version takes `repoN-block`; 2.45 does where the author switched `beta` on."""
    natives = (*cluster.engine.options, *cluster.options)
    return version >= BLOCK_IS_STABLE or any(option.key == "beta" and option.values == ("y",) for option in natives)
