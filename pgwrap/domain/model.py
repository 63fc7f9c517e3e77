"""What is desired: the spec's meaning as frozen types. Nothing observed lives here, and nothing is read or checked.

Sizes are bytes, durations seconds, retention windows whole days. `None` means that the author left it to the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Literal, TypeAlias

from pgwrap.errors import Location, Problem, UsageError
from pgwrap.records import dataclass

Path: TypeAlias = tuple[str, ...]
"""The way to a value in the spec, such as ("clusters", "orders", "retention", "window"); list items by their index."""


class EngineKind(StrEnum):
    """The two engines pgwrap is a facade over."""

    PGBACKREST = "pgbackrest"
    BARMAN = "barman"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Where a secret is found, never the secret itself (save a literal, which is warned about and never shown)."""

    kind: Literal["env", "file", "credential", "command", "literal"]
    value: tuple[str, ...] = field(repr=False)
    """The variable's, file's or credential's name, or the argv to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeOption:
    """An engine's own option, passed through verbatim; `section` is a pgBackRest command (`archive-push`) or None."""

    key: str
    values: tuple[str, ...]
    section: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files for pgBackRest's TLS transport, as seen from the host that connects."""

    ca_file: str | None = None
    ca_path: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteHost:
    """A host that the engine itself reaches (never pgwrap): over SSH, or pgBackRest's TLS server."""

    address: str
    user: str | None = None
    port: int | None = None
    transport: Literal["ssh", "tls"] = "ssh"
    command: str | None = None
    config: str | None = None
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """Repository encryption: a symmetric cipher with a passphrase (pgBackRest), or GPG by key (Barman 3.14+)."""

    cipher: str
    passphrase: Secret | None = None
    key_id: str | None = None
    passphrase_command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long backups and WAL are kept. All None: nothing is ever expired."""

    deliberate: bool = True
    """Whether the author wrote a policy, even `none`; False when the spec says nothing of retention."""
    full: int | None = None
    """Newest full backups to keep."""
    differential: int | None = None
    """Newest differential backups to keep (pgBackRest)."""
    window_days: int | None = None
    """Keep what a restore to any moment of the last so many days needs."""
    minimum_full: int | None = None
    """Never fewer full backups than this, whatever the rules above say."""
    wal: int | None = None
    """Keep continuous WAL for the newest so many backups of `wal_type`; None: for all that are kept."""
    wal_type: Literal["full", "differential", "incremental"] | None = None
    history_days: int | None = None
    """Keep manifests of expired backups so long (pgBackRest)."""


RepositoryType: TypeAlias = Literal["posix", "s3", "gcs", "azure", "sftp", "cifs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A place where backups and WAL are kept."""

    name: str
    type: RepositoryType = "posix"
    path: str | None = None
    key: int | None = None
    """pgBackRest's repository number when the author fixed it."""
    host: RemoteHost | None = None
    pulls_from: RemoteHost | None = None
    """How `host` reaches this one."""
    bucket: str | None = None
    endpoint: str | None = None
    region: str | None = None
    container: str | None = None
    """Azure's container."""
    account: str | None = None
    """Azure's storage account."""
    key_type: str | None = None
    """How the store authenticates (s3: shared, auto, web-id …; gcs: service, token …; azure: shared, sas, auto)."""
    uri_style: Literal["host", "path"] | None = None
    verify_tls: bool | None = None
    port: int | None = None
    ca_file: str | None = None
    sftp_host: str | None = None
    sftp_user: str | None = None
    sftp_port: int | None = None
    private_key_file: str | None = None
    public_key_file: str | None = None
    host_key_hash: str | None = None
    """SFTP: `sha1`, `sha256` or `md5`."""
    host_fingerprint: str | None = None
    credentials: tuple[tuple[str, Secret], ...] = ()
    """Named as in the spec: key, secret, token, passphrase …"""
    encryption: Encryption | None = None
    bundle: bool | None = None
    block_incremental: bool | None = None
    retention: RetentionPolicy | None = None
    """Overrides the cluster's policy in this repository (pgBackRest)."""
    options: tuple[NativeOption, ...] = ()
    """Native options without their `repoN-` prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresTarget:
    """A PostgreSQL server of the cluster: how it is reached and where its data lies."""

    data_directory: str | None = None
    host: str | None = None
    port: int = 5432
    socket_directory: str | None = None
    user: str | None = None
    database: str | None = None
    password: Secret | None = None
    sslmode: str | None = None
    streaming_user: str | None = None
    streaming_password: Secret | None = None
    """Of `streaming_user` where that is another role than `user`."""
    ssh: RemoteHost | None = None
    """How the engine reaches the server's files when they are on another host (SSH or TLS)."""
    ask: bool = True
    """Whether `pgwrap status` asks the server itself."""
    wal_segment_size: int | None = None
    version: int | None = None
    """The major version when the author states it."""

    @property
    def connection_database(self) -> str:
        """The database to connect to: `postgres`, which every cluster has, unless the spec names another."""
        return self.database or "postgres"

    @property
    def connects(self) -> bool:
        """Whether the spec says how to connect: a host or a socket directory."""
        return self.ask and (self.host is not None or self.socket_directory is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Barman's disk snapshots at a cloud provider."""

    provider: Literal["gcp", "azure", "aws"]
    instance: str
    disks: tuple[str, ...]
    zone: str | None = None
    project: str | None = None
    resource_group: str | None = None
    subscription: str | None = None
    region: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPolicy:
    """How base backups are taken."""

    method: Literal["postgres", "rsync", "local-rsync", "snapshot"] | None = None
    """Barman's backup_method; pgBackRest has one of its own."""
    parallel: int | None = None
    compression: str | None = None
    """none, gz, bz2, lz4, zst, xz … in pgBackRest's words."""
    compression_level: int | None = None
    source: Literal["primary", "standby", "prefer-standby"] | None = None
    """The spec's `from`."""
    checkpoint: Literal["fast", "spread"] | None = None
    block_incremental: bool | None = None
    bundle: bool | None = None
    rate_limit: int | None = None
    """Bytes per second (Barman)."""
    reuse: Literal["link", "copy", "off"] | None = None
    """Barman's reuse_backup (rsync methods)."""
    resume: bool | None = None
    exclude: tuple[str, ...] = ()
    checksum_page: bool | None = None
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalPolicy:
    """How WAL reaches the repository."""

    delivery: Literal["archive", "stream", "both"] = "archive"
    asynchronous: bool | None = None
    """The spec's `async`."""
    compression: str | None = None
    compression_level: int | None = None
    parallel: int | None = None
    slot: str | None = None
    create_slot: bool | None = None
    synchronous: bool | None = None
    streaming_name: str | None = None
    spool: str | None = None
    queue_maximum: int | None = None
    """Bytes after which pgBackRest drops WAL rather than fill pg_wal."""
    timeout: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What the owner promised, in seconds."""

    rpo: int | None = None
    rto: int | None = None
    backup_age: int | None = None
    full_age: int | None = None
    drill_age: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """systemd calendar texts per action."""

    entries: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A read-only query of a drill and what its single value must be."""

    sql: str
    equals: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    maximum_age: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillPolicy:
    """How restore drills are run."""

    directory: str | None = None
    target: str | None = None
    assertions: tuple[Assertion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BarmanModel:
    """A named set of Barman overrides that `barman config-switch` activates (3.10+)."""

    name: str
    postgres: PostgresTarget | None = None
    options: tuple[NativeOption, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInstance:
    """One installation of an engine: its program, its native files, and where its commands run."""

    name: str
    kind: EngineKind
    command: str
    config: str
    """The main native file."""
    include: str | None = None
    """pgBackRest's conf.d, Barman's configuration_files_directory."""
    home: str | None = None
    """barman_home."""
    host: str | None = None
    """The ssh destination where this engine's commands run; None: here."""
    run_as: str | None = None
    log_directory: str | None = None
    lock_directory: str | None = None
    options: tuple[NativeOption, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One PostgreSQL cluster and everything desired of its backups."""

    name: str
    engine: EngineInstance
    engine_name: str
    """The stanza, or Barman's server name."""
    description: str | None = None
    run_as: str | None = None
    active: bool = True
    postgres: PostgresTarget = field(default_factory=PostgresTarget)
    standbys: tuple[PostgresTarget, ...] = ()
    repositories: tuple[Repository, ...] = ()
    backup: BackupPolicy = field(default_factory=BackupPolicy)
    wal: WalPolicy = field(default_factory=WalPolicy)
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)
    schedule: Schedule = field(default_factory=Schedule)
    drill: DrillPolicy = field(default_factory=DrillPolicy)
    objectives: Objectives = field(default_factory=Objectives)
    hooks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Event (`before_backup`, `after_backup`, `on_failure` …) and argv."""
    models: tuple[BarmanModel, ...] = ()
    passive: RemoteHost | None = None
    """The Barman host whose catalog this one copies (a passive node)."""
    replaces: str | None = None
    """The cluster of the spec, under the other engine, whose backups this one takes over (`pgwrap migrate`)."""
    history: str | None = None
    """The stanza beside the cluster's own that holds what was carried over from Barman (pgBackRest)."""
    options: tuple[NativeOption, ...] = ()
    """Native options of the cluster's engine."""

    @property
    def spec_path(self) -> Path:
        """Where this cluster stands in the spec."""
        return ("clusters", self.name)

    def keyed_repositories(self) -> tuple[tuple[int, Repository], ...]:
        """Each repository with its number: the one the spec fixes, else the lowest free one in the order listed."""
        taken = {repository.key for repository in self.repositories if repository.key is not None}
        free = (number for number in range(1, 257) if number not in taken)
        return tuple(
            (repository.key if repository.key is not None else next(free), repository)
            for repository in self.repositories
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Two entries that are one cluster while it moves from one engine to the other."""

    migration: str
    """The migration's id in the journal."""
    old: str
    new: str
    state: Literal["running", "paused"]
    step: str | None
    """The step that comes next, or that is being done."""
    cut_over: bool
    """Whether the new entry's engine is the cluster's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The whole spec: every cluster, in the order of the file."""

    clusters: tuple[Cluster, ...]
    engines: tuple[EngineInstance, ...] = ()
    state: str = "/var/lib/pgwrap"
    files: tuple[str, ...] = ()
    """The files the spec was read from, main file first."""
    locations: Mapping[Path, Location] = field(default_factory=dict, compare=False, repr=False)
    """Where each value was written; a value that came from `defaults:` points there."""
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    """What the spec's author should know, none of it in the way of using the spec."""
    left_out: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Entries that a migration has not reached yet, or has left behind, and why."""
    moves: tuple[Move, ...] = field(default=(), compare=False)
    """Migrations that are under way."""

    def locate(self, path: Path) -> Location | None:
        """The place of `path`, or of the nearest thing around it that was written down."""
        for length in range(len(path), -1, -1):
            location = self.locations.get(path[:length])
            if location is not None:
                return location
        return None

    def path_of(self, secret: Secret) -> Path | None:
        """Where the spec refers to `secret`, the first of several places."""
        return next((path for path, known in self._secrets() if known == secret), None)

    def _secrets(self) -> Iterator[tuple[Path, Secret | None]]:
        for cluster in self.clusters:
            yield (*cluster.spec_path, "postgres", "password"), cluster.postgres.password
            yield (*cluster.spec_path, "postgres", "streaming_password"), cluster.postgres.streaming_password
            for repository in cluster.repositories:
                path = ("repositories", repository.name)
                yield from (((*path, "credentials", name), secret) for name, secret in repository.credentials)
                if repository.encryption is not None:
                    yield (*path, "encryption", "passphrase"), repository.encryption.passphrase

    def cluster(self, name: str) -> Cluster:
        """The cluster called `name`; UsageError with the known names otherwise."""
        for cluster in self.clusters:
            if cluster.name == name:
                return cluster
        if name in self.left_out:
            raise UsageError(f"{name} is left out: {self.left_out[name]}", hint="see `pgwrap migrate status`")
        known = ", ".join(cluster.name for cluster in self.clusters) or "none"
        raise UsageError(f"no cluster is called {name!r} in the spec", hint=f"known clusters: {known}")
