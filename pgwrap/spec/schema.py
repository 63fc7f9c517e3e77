"""Every word of the spec: its type, its meaning, and what each engine makes of it. It merges and looks up nothing.

The descriptions become the editor's help (`pgwrap schema`) and docs/reference/spec.md.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from pgwrap.spec.values import (
    WORD,
    Account,
    AnyText,
    Backups,
    Days,
    DaysOrNone,
    Destination,
    Duration,
    Flag,
    Host,
    Level,
    MajorVersion,
    Name,
    Number,
    Parallel,
    Path,
    Port,
    Rate,
    RepositoryKey,
    SegmentSize,
    Size,
    SlotName,
    Text,
    Version,
    read_text,
    refused,
    shape_of,
)
from pgwrap.text.yaml_text import Scalar

_ADDRESS = re.compile(r"(?:(?P<user>[^@]*)@)?(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:]*))(?::(?P<port>.*))?")


def word(
    description: str, *, pgbackrest: str = "", barman: str = "", default: str = "", alias: str | None = None
) -> Any:
    """An optional word: the native option it becomes in each engine, and what holds without it."""
    return Field(None, alias=alias, description=description, json_schema_extra=_notes(pgbackrest, barman, default))


def required(description: str, *, pgbackrest: str = "", barman: str = "") -> Any:
    """A word that must be there."""
    return Field(description=description, json_schema_extra=_notes(pgbackrest, barman, ""))


def _notes(pgbackrest: str, barman: str, default: str) -> dict[str, Any]:
    notes = {"x-pgbackrest": pgbackrest, "x-barman": barman, "x-default": default}
    return {key: text for key, text in notes.items() if text}


class Words(BaseModel):
    """A mapping of the spec: unknown words are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shorthand: ClassVar[dict[str, Any] | None] = None
    """The JSON Schema of a shorter way to write the mapping."""


def _option_value(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(read_text(item) for item in value)
    if isinstance(value, dict):
        raise refused("must be a value or a list of values, not a mapping")
    return () if value is None else (read_text(value),)


def _flat_or_section(value: object) -> tuple[str, ...] | dict[str, tuple[str, ...]]:
    if isinstance(value, dict):
        return {_native_key(key): _option_value(item) for key, item in value.items()}
    return _option_value(value)


def _native_key(key: object) -> str:
    text = str(key)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text):
        raise refused(f"{text!r} is not an option's name", "letters, digits, - and _")
    return text


_VALUE_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
_VALUES_SCHEMA: dict[str, Any] = {"anyOf": [_VALUE_SCHEMA, {"type": "array", "items": _VALUE_SCHEMA}]}
_SECTION_SCHEMA: dict[str, Any] = {"type": "object", "additionalProperties": _VALUES_SCHEMA}

NativeKey: TypeAlias = Annotated[str, BeforeValidator(_native_key)]
NativeValues: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_option_value), WithJsonSchema(_VALUES_SCHEMA)]
NativeEntry: TypeAlias = Annotated[
    tuple[str, ...] | dict[str, tuple[str, ...]],
    BeforeValidator(_flat_or_section),
    WithJsonSchema({"anyOf": [*_VALUES_SCHEMA["anyOf"], _SECTION_SCHEMA]}),
]
FlatOptions: TypeAlias = dict[NativeKey, NativeValues]
SectionedOptions: TypeAlias = dict[NativeKey, NativeEntry]
Argv: TypeAlias = Annotated[tuple[Text, ...], Field(min_length=1)]


class SecretForm(Words):
    """A secret by reference. Plain text in its place is taken as the secret itself, with a warning."""

    shorthand: ClassVar[dict[str, Any] | None] = {"type": "string", "description": "The secret itself; pgwrap warns."}

    env: Text | None = word("The environment variable of pgwrap that holds it.")
    file: Path | None = word("The file that holds it; one newline at its end is left out.")
    credential: Text | None = word("The systemd credential that holds it, a file in $CREDENTIALS_DIRECTORY.")
    command: Argv | None = word("The program that prints it, as a list of words; no shell.")
    literal: Text | None = word("The secret itself. It stands readable in the spec: pgwrap warns.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"literal": value} if isinstance(value, Scalar) else value

    @model_validator(mode="after")
    def _one_form(self) -> SecretForm:
        if len(self.stated()) != 1:
            raise refused("must name exactly one source of the secret", "one of env, file, credential or command")
        return self

    def stated(self) -> tuple[str, ...]:
        """The forms that were written down."""
        forms = ("env", "file", "credential", "command", "literal")
        return tuple(form for form in forms if getattr(self, form) is not None)


class TlsFiles(Words):
    """Files for pgBackRest's TLS transport, on the host that connects."""

    ca_file: Path | None = word("The certificate authority's file.", pgbackrest="*-host-ca-file")
    ca_path: Path | None = word("A directory of certificate authorities.", pgbackrest="*-host-ca-path")
    cert_file: Path | None = word("The client certificate.", pgbackrest="*-host-cert-file")
    key_file: Path | None = word("The client certificate's key.", pgbackrest="*-host-key-file")


class RemoteHostWords(Words):
    """A host that the engine itself reaches. Short form: `user@host:port`, an IPv6 address in brackets."""

    shorthand: ClassVar[dict[str, Any] | None] = {
        "type": "string",
        "minLength": 1,
        "examples": ["postgres@db2", "postgres@db2:2222", "postgres@[2001:db8::5]:2222"],
    }

    address: Host = required("The host's name or address.", pgbackrest="pgN-host, repoN-host", barman="in ssh_command")
    user: Account | None = word(
        "The user to log in as.", pgbackrest="*-host-user", barman="in ssh_command", default="the engine's own default"
    )
    port: Port | None = word(
        "The port of ssh or of pgBackRest's TLS server.", pgbackrest="*-host-port", barman="`-p` in ssh_command"
    )
    transport: Annotated[Literal["ssh", "tls"], WORD] | None = word(
        "How the engine connects.", pgbackrest="*-host-type", barman="ssh only", default="ssh"
    )
    command: Text | None = word("The engine's program on that host.", pgbackrest="*-host-cmd", barman="none")
    config: Path | None = word(
        "The engine's configuration file on that host.", pgbackrest="*-host-config", barman="none"
    )
    tls: TlsFiles | None = word(
        "Certificates for `transport: tls`.", pgbackrest="*-host-ca-file and others", barman="none"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, Scalar):
            return value
        match = _ADDRESS.fullmatch(value.text)
        if match is None or not value.text:
            raise refused(f"{value.text!r} is not user@host:port", "put an IPv6 address in brackets")
        parts = {"user": match["user"], "address": match["ipv6"] or match["host"], "port": match["port"]}
        return {name: Scalar(text, False, value.location) for name, text in parts.items() if text is not None}  # noqa: FBT003 - unquoted

    @model_validator(mode="after")
    def _tls_needs_its_transport(self) -> RemoteHostWords:
        if self.tls is not None and self.transport != "tls":
            raise refused("certificates are given, but the transport is ssh", "write transport: tls", incomplete=True)
        return self


class EncryptionWords(Words):
    """Encryption of what is stored."""

    cipher: Annotated[Literal["none", "aes-256-cbc", "gpg"], WORD] = required(
        "`aes-256-cbc` with a passphrase, or `gpg` with a key.",
        pgbackrest="repoN-cipher-type (aes-256-cbc)",
        barman="encryption (gpg, since 3.14, tar backups and WAL)",
    )
    passphrase: SecretForm | None = word(
        "The passphrase of aes-256-cbc. Without it no backup can be restored: keep a copy elsewhere.",
        pgbackrest="repoN-cipher-pass",
        barman="none",
    )
    key_id: Text | None = word("The GPG key.", pgbackrest="none", barman="encryption_key_id (3.14)")
    passphrase_command: Argv | None = word(
        "Prints the GPG key's passphrase for a restore.",
        pgbackrest="none",
        barman="encryption_passphrase_command (3.14)",
    )

    @model_validator(mode="after")
    def _cipher_has_its_key(self) -> EncryptionWords:
        if self.cipher == "aes-256-cbc" and self.passphrase is None:
            raise refused("aes-256-cbc needs a passphrase", "passphrase: {file: /path}")
        if self.cipher == "gpg" and self.key_id is None:
            raise refused("gpg needs a key_id")
        if self.cipher != "gpg" and (self.key_id is not None or self.passphrase_command is not None):
            raise refused("key_id and passphrase_command belong to the cipher gpg")
        if self.cipher != "aes-256-cbc" and self.passphrase is not None:
            raise refused("a passphrase belongs to the cipher aes-256-cbc")
        return self


class RetentionWords(Words):
    """How long backups and WAL are kept. `retention: none` keeps everything on purpose; saying nothing is a finding."""

    shorthand: ClassVar[dict[str, Any] | None] = {"const": "none", "description": "Keep everything, on purpose."}
    exclusive: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"full", "window"}),)
    """Words that replace one another when a cluster overrides its defaults."""

    full: Backups | None = word(
        "Keep the newest so many full backups and all that depends on them. Not with `window`.",
        pgbackrest="repoN-retention-full, type count",
        barman="retention_policy = REDUNDANCY n (kept backups take up slots)",
    )
    differential: Backups | None = word(
        "Keep the newest so many differential backups.", pgbackrest="repoN-retention-diff", barman="none"
    )
    window: Days | None = word(
        "Keep what a restore to any moment of the last so many days needs; the one backup older than the window, from "
        "which it starts, stays too. Whole days. Not with `full`.",
        pgbackrest="repoN-retention-full, type time",
        barman="retention_policy = RECOVERY WINDOW OF n DAYS",
    )
    minimum_full: Backups | None = word(
        "Never fewer full backups than this, whatever else is said.",
        pgbackrest="none: it always keeps one older than the window",
        barman="minimum_redundancy",
    )
    wal: Backups | None = word(
        "Keep WAL without gaps for the newest so many backups of `wal_type` only; older ones can then be restored to "
        "their own end alone.",
        pgbackrest="repoN-retention-archive",
        barman="none: WAL is kept for every backup",
        default="for all that are kept",
    )
    wal_type: Annotated[Literal["full", "differential", "incremental"], WORD] | None = word(
        "Which backups `wal` counts.", pgbackrest="repoN-retention-archive-type", barman="none", default="full"
    )
    history: DaysOrNone | None = word(
        "Keep the manifests of expired backups so long.",
        pgbackrest="repoN-retention-history",
        barman="none",
        default="for ever",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_none(cls, value: object) -> object:
        if isinstance(value, RetentionWords) or value == {}:
            raise refused("says nothing", "write retention: none to keep everything", incomplete=True)
        if isinstance(value, Scalar) and value.text == "none":
            return {}
        if not isinstance(value, dict):
            raise refused(f"must be none or a mapping, not {shape_of(value)}", "such as {window: 14d}")
        return value

    @model_validator(mode="after")
    def _one_rule(self) -> RetentionWords:
        if self.full is not None and self.window is not None:
            raise refused("full and window exclude one another", "keep one; minimum_full can go with window")
        if self.wal_type is not None and self.wal is None:
            raise refused("wal_type says nothing without wal", "add wal: N", incomplete=True)
        return self


class CredentialWords(Words):
    """What a repository's store asks for."""

    key: SecretForm | None = word(
        "The access key (S3), the service account's key file (GCS), the shared key or token (Azure).",
        pgbackrest="repoN-s3-key, repoN-gcs-key, repoN-azure-key",
        barman="the cloud library's own environment or files",
    )
    secret: SecretForm | None = word("The secret key (S3).", pgbackrest="repoN-s3-key-secret", barman="as key")
    token: SecretForm | None = word("A temporary session's token (S3).", pgbackrest="repoN-s3-token", barman="as key")
    passphrase: SecretForm | None = word(
        "The private key's passphrase (SFTP).", pgbackrest="repoN-sftp-private-key-passphrase", barman="none"
    )
    customer_key: SecretForm | None = word(
        "The key that the store encrypts with (S3 SSE-C).",
        pgbackrest="repoN-s3-sse-customer-key (2.52)",
        barman="aws_sse_customer_key (3.20)",
    )


class RepositoryWords(Words):
    """A place where backups and WAL are kept. Barman takes one repository, pgBackRest up to 256."""

    type: Annotated[Literal["posix", "s3", "gcs", "azure", "sftp", "cifs"], WORD] | None = word(
        "The kind of store.",
        pgbackrest="repoN-type (sftp since 2.46)",
        barman="posix; s3, gcs and azure by version",
        default="posix",
    )
    path: Path | None = word(
        "The directory, or the prefix in a bucket. Required for posix, cifs and sftp.",
        pgbackrest="repoN-path",
        barman="backup_directory is PATH/SERVER",
    )
    key: RepositoryKey | None = word(
        "pgBackRest's number of this repository, the N in repoN. A repository that holds backups must keep its number.",
        pgbackrest="the N of repoN-*",
        barman="none",
        default="the lowest free number, in the order the cluster lists its repositories",
    )
    host: RemoteHostWords | None = word(
        "The host that holds the repository, when it is not the one where the engine runs.",
        pgbackrest="repoN-host",
        barman="none",
    )
    pulls_from: RemoteHostWords | None = word(
        "How the repository's host reaches this one by ssh. Before 2.55 pgBackRest takes backups there alone, so that "
        "host fetches from here what is carried over.",
        pgbackrest="pg1-host of a carried backup",
        barman="none",
    )
    bucket: Text | None = word(
        "The bucket. Required for s3 and gcs.",
        pgbackrest="repoN-s3-bucket, repoN-gcs-bucket",
        barman="in the s3:// path",
    )
    endpoint: Text | None = word(
        "The store's address.",
        pgbackrest="repoN-s3-endpoint, repoN-gcs-endpoint, repoN-azure-endpoint",
        barman="the cloud library's own configuration",
    )
    region: Text | None = word("The region (S3).", pgbackrest="repoN-s3-region", barman="aws_region")
    container: Text | None = word(
        "The container. Required for azure.", pgbackrest="repoN-azure-container", barman="in the path"
    )
    account: Text | None = word(
        "The storage account. Required for azure.", pgbackrest="repoN-azure-account", barman="in the path"
    )
    key_type: Text | None = word(
        "How the engine authenticates. s3: shared, auto, web-id, pod-id, process. gcs: service, token, auto, web-id. "
        "azure: shared, sas, auto.",
        pgbackrest="repoN-s3-key-type, repoN-gcs-key-type, repoN-azure-key-type",
        barman="azure_credential",
        default="shared (s3, azure), service (gcs)",
    )
    uri_style: Annotated[Literal["host", "path"], WORD] | None = word(
        "Whether the bucket stands in the host name or in the path.",
        pgbackrest="repoN-s3-uri-style, repoN-azure-uri-style",
        barman="none",
        default="host",
    )
    verify_tls: Flag | None = word(
        "Whether the store's certificate is checked.",
        pgbackrest="repoN-storage-verify-tls",
        barman="none",
        default="true",
    )
    port: Port | None = word(
        "The store's port.", pgbackrest="repoN-storage-port", barman="in the endpoint", default="443"
    )
    ca_file: Path | None = word(
        "Certificate authorities of the store.", pgbackrest="repoN-storage-ca-file", barman="none"
    )
    sftp_host: Host | None = word("The SFTP server. Required for sftp.", pgbackrest="repoN-sftp-host", barman="none")
    sftp_user: Account | None = word(
        "The SFTP user. Required for sftp.", pgbackrest="repoN-sftp-host-user", barman="none"
    )
    sftp_port: Port | None = word("The SFTP port.", pgbackrest="repoN-sftp-host-port", barman="none", default="22")
    private_key_file: Path | None = word(
        "The SFTP user's private key.", pgbackrest="repoN-sftp-private-key-file", barman="none"
    )
    public_key_file: Path | None = word(
        "The SFTP user's public key.", pgbackrest="repoN-sftp-public-key-file", barman="none"
    )
    host_key_hash: Annotated[Literal["md5", "sha1", "sha256"], WORD] | None = word(
        "The hash that compares the SFTP server's key. Required for sftp by pgBackRest.",
        pgbackrest="repoN-sftp-host-key-hash-type",
        barman="none",
    )
    host_fingerprint: Text | None = word(
        "The SFTP server's fingerprint.", pgbackrest="repoN-sftp-host-fingerprint", barman="none"
    )
    credentials: CredentialWords | None = word(
        "Secrets for the store, by reference.", pgbackrest="see below", barman="see below"
    )
    encryption: EncryptionWords | None = word(
        "Encryption of what is stored.", pgbackrest="repoN-cipher-*", barman="encryption*"
    )
    bundle: Flag | None = word("Store small files together.", pgbackrest="repoN-bundle", barman="none", default="false")
    block_incremental: Flag | None = word(
        "Store only changed blocks of changed files; needs `bundle`.",
        pgbackrest="repoN-block (2.46)",
        barman="none",
        default="false",
    )
    retention: RetentionWords | None = word(
        "A policy for this repository instead of the cluster's.",
        pgbackrest="repoN-retention-*",
        barman="as the cluster's",
    )
    options: FlatOptions | None = word(
        "Native options of this repository without `repoN-`, verbatim.",
        pgbackrest="repoN-NAME",
        barman="the server's options",
    )


class PostgresWords(Words):
    """A PostgreSQL server: how it is reached and where its data lies."""

    data_directory: Path | None = word(
        "The data directory. pgBackRest needs it; Barman asks the server.", pgbackrest="pgN-path", barman="none"
    )
    host: Host | None = word(
        "The host to connect to.",
        pgbackrest="none: it connects by socket on the server's own host",
        barman="host in conninfo",
    )
    port: Port | None = word("The port.", pgbackrest="pgN-port", barman="port in conninfo", default="5432")
    socket_directory: Path | None = word(
        "The directory of the server's socket.", pgbackrest="pgN-socket-path", barman="host in conninfo, without `host`"
    )
    user: Text | None = word("The role that connects.", pgbackrest="pgN-user", barman="user in conninfo")
    database: Text | None = word(
        "The database to connect to.", pgbackrest="pgN-database", barman="dbname in conninfo", default="postgres"
    )
    password: SecretForm | None = word(
        "The role's password. A .pgpass file of the engine's user is the better place.",
        pgbackrest="none: .pgpass only",
        barman="password in conninfo",
    )
    sslmode: Annotated[Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"], WORD] | None = (
        word("libpq's sslmode.", pgbackrest="none: it connects by socket", barman="sslmode in conninfo")
    )
    streaming_user: Text | None = word(
        "The role for streaming replication.", pgbackrest="none", barman="user in streaming_conninfo", default="`user`"
    )
    streaming_password: SecretForm | None = word(
        "That role's password, where it is another than `user`. A .pgpass file is the better place.",
        pgbackrest="none",
        barman="password in streaming_conninfo",
    )
    ssh: RemoteHostWords | None = word(
        "How the engine reaches the server's files on another host.", pgbackrest="pgN-host-*", barman="ssh_command"
    )
    ask: Flag | None = word(
        "Whether `pgwrap status` asks the server itself.",
        pgbackrest="pgwrap's own",
        barman="pgwrap's own",
        default="true",
    )
    wal_segment_size: SegmentSize | None = word(
        "The WAL segment size, for when the server cannot be asked.",
        pgbackrest="pgwrap's own: found from WAL names",
        barman="pgwrap's own",
        default="what the server or the catalog says",
    )
    version: MajorVersion | None = word(
        "The major version, for when the server cannot be asked.", pgbackrest="pgwrap's own", barman="pgwrap's own"
    )


class SnapshotWords(Words):
    """Disk snapshots at a cloud provider, for Barman's `method: snapshot`."""

    provider: Annotated[Literal["gcp", "azure", "aws"], WORD] = required(
        "Whose snapshots.", pgbackrest="none", barman="snapshot_provider (gcp 3.4, azure 3.6, aws 3.7)"
    )
    instance: Text = required("The machine that the disks belong to.", pgbackrest="none", barman="snapshot_instance")
    disks: Annotated[tuple[Text, ...], Field(min_length=1)] = required(
        "The disks to take snapshots of.", pgbackrest="none", barman="snapshot_disks"
    )
    zone: Text | None = word("The zone.", pgbackrest="none", barman="gcp_zone")
    project: Text | None = word("The project.", pgbackrest="none", barman="gcp_project")
    resource_group: Text | None = word("The resource group.", pgbackrest="none", barman="azure_resource_group")
    subscription: Text | None = word("The subscription.", pgbackrest="none", barman="azure_subscription_id")
    region: Text | None = word("The region.", pgbackrest="none", barman="aws_region")
    profile: Text | None = word("The profile.", pgbackrest="none", barman="aws_profile")


class BackupWords(Words):
    """How base backups are taken."""

    method: Annotated[Literal["postgres", "rsync", "local-rsync", "snapshot"], WORD] | None = word(
        "Barman's way to copy: pg_basebackup, rsync over ssh, rsync on this host, or disk snapshots.",
        pgbackrest="ignored: it has one of its own",
        barman="backup_method",
        default="rsync with `ssh`, else postgres",
    )
    parallel: Parallel | None = word(
        "Processes that copy.", pgbackrest="process-max", barman="parallel_jobs (rsync)", default="1"
    )
    compression: Annotated[Literal["none", "gz", "bz2", "lz4", "zst", "xz", "snappy"], WORD] | None = word(
        "How backups are compressed.",
        pgbackrest="compress-type (none, gz, bz2, lz4, zst)",
        barman="backup_compression (postgres method: gzip, lz4, zstd, none)",
        default="gz (pgBackRest), none (Barman)",
    )
    compression_level: Level | None = word(
        "How hard to compress.",
        pgbackrest="compress-level",
        barman="backup_compression_level",
        default="the engine's own",
    )
    source: Annotated[Literal["primary", "standby", "prefer-standby"], WORD] | None = word(
        "Which server the files are read from.",
        pgbackrest="backup-standby (prefer since 2.54)",
        barman="conninfo points at a standby, primary_conninfo at the primary",
        default="primary",
        alias="from",
    )
    checkpoint: Annotated[Literal["fast", "spread"], WORD] | None = word(
        "Whether the backup starts with an immediate checkpoint.",
        pgbackrest="start-fast",
        barman="immediate_checkpoint",
        default="spread",
    )
    block_incremental: Flag | None = word(
        "Store only changed blocks of changed files, in every repository.",
        pgbackrest="repoN-block (2.46)",
        barman="none",
        default="false",
    )
    bundle: Flag | None = word(
        "Store small files together, in every repository.", pgbackrest="repoN-bundle", barman="none", default="false"
    )
    rate_limit: Rate | None = word("Bytes per second at most.", pgbackrest="none", barman="bandwidth_limit")
    reuse: Annotated[Literal["link", "copy", "off"], WORD] | None = word(
        "What the rsync methods take over from the last backup.",
        pgbackrest="none: incremental backups",
        barman="reuse_backup",
        default="off",
    )
    resume: Flag | None = word("Go on where a broken backup ended.", pgbackrest="resume", barman="none", default="true")
    exclude: tuple[Text, ...] | None = word(
        "Paths in the data directory to leave out. What is left out is missing after a restore.",
        pgbackrest="exclude",
        barman="none",
    )
    checksum_page: Flag | None = word(
        "Check page checksums while copying.",
        pgbackrest="checksum-page",
        barman="none",
        default="true where the cluster has them",
    )
    snapshot: SnapshotWords | None = word("What `method: snapshot` needs.", pgbackrest="none", barman="snapshot_*")


class WalWords(Words):
    """How WAL reaches the repository."""

    delivery: Annotated[Literal["archive", "stream", "both"], WORD] | None = word(
        "By archive_command, by streaming, or both.",
        pgbackrest="archive only",
        barman="archiver, streaming_archiver",
        default="archive",
    )
    asynchronous: Flag | None = word(
        "Hand segments over in the background, several at a time.",
        pgbackrest="archive-async",
        barman="none",
        default="false",
        alias="async",
    )
    compression: Annotated[Literal["none", "gz", "bz2", "lz4", "zst", "xz", "snappy"], WORD] | None = word(
        "How WAL is compressed.",
        pgbackrest="compress-type of archive-push",
        barman="compression (gzip, bzip2; xz, zstd, lz4 since 3.12; snappy since 3.14)",
        default="as backups (pgBackRest), none (Barman)",
    )
    compression_level: Level | None = word(
        "How hard to compress WAL.", pgbackrest="compress-level of archive-push", barman="compression_level (3.14)"
    )
    parallel: Parallel | None = word(
        "Processes that push WAL.", pgbackrest="process-max of archive-push", barman="none", default="1"
    )
    slot: SlotName | None = word(
        "The replication slot of streaming.",
        pgbackrest="none",
        barman="slot_name",
        default="barman_ and the server's name",
    )
    create_slot: Flag | None = word(
        "Whether the engine creates the slot.", pgbackrest="none", barman="create_slot", default="false"
    )
    synchronous: Flag | None = word(
        "Whether commits wait for the streamed WAL (RPO zero); needs `synchronous_standby_names` on the server.",
        pgbackrest="none",
        barman="streaming_archiver_name in synchronous_standby_names",
        default="false",
    )
    streaming_name: Text | None = word(
        "The application name of streaming.",
        pgbackrest="none",
        barman="streaming_archiver_name",
        default="barman_receive_wal",
    )
    spool: Path | None = word(
        "The directory where `async` keeps its state.",
        pgbackrest="spool-path",
        barman="none",
        default="/var/spool/pgbackrest",
    )
    queue_maximum: Size | None = word(
        "Give up WAL above this size rather than fill pg_wal. Dropped WAL is a gap: no restore passes it.",
        pgbackrest="archive-push-queue-max",
        barman="none",
    )
    timeout: Duration | None = word(
        "How long a segment may take to arrive.", pgbackrest="archive-timeout", barman="none", default="60s"
    )


class ObjectiveWords(Words):
    """What the owner promised; `pgwrap status` measures it."""

    rpo: Duration | None = word("The most recent work that may be lost.")
    rto: Duration | None = word("How long a restore may take, measured by drills.")
    backup_age: Duration | None = word("How old the newest backup of any type may be.")
    full_age: Duration | None = word("How old the newest full backup may be.")
    drill_age: Duration | None = word("How long ago the last successful drill may be.")


class ScheduleWords(Words):
    """When actions run, as systemd calendar texts (`Sun 01:00`, `weekly`)."""

    full: Text | None = word("Full backups.")
    differential: Text | None = word("Differential backups.")
    incremental: Text | None = word("Incremental backups.")
    verify: Text | None = word("Reading back what is stored.")
    drill: Text | None = word("Restore drills.")
    expire: Text | None = word("Expiry apart from backups.")
    check: Text | None = word("The engine's own check of archiving.")


class AssertionWords(Words):
    """A query of a drill, run read-only in the restored cluster, and what its single value must be."""

    sql: Text = required("The query; it may have several lines.")
    equals: AnyText | None = word("The value as text.")
    at_least: Number | None = word("The smallest right value.")
    at_most: Number | None = word("The largest right value.")
    maximum_age: Duration | None = word("How long before the drill's target the timestamp may lie.")

    @model_validator(mode="after")
    def _says_something(self) -> AssertionWords:
        if all(value is None for value in (self.equals, self.at_least, self.at_most, self.maximum_age)):
            raise refused("says nothing of the value", "add equals, at_least, at_most or maximum_age")
        return self


class DrillWords(Words):
    """How restore drills are run."""

    directory: Path | None = word(
        "The directory under which drills restore.", default="the system's temporary directory"
    )
    target: Text | None = word("`latest`, `random`, or a moment.", default="latest")
    assertions: tuple[AssertionWords, ...] | None = word("What must be true of the restored cluster.")


class HookWords(Words):
    """Programs to run around what the engines do, each as a list of words; no shell."""

    before_backup: Argv | None = word(
        "Before a backup; if it fails, none is taken (Barman takes it all the same).",
        pgbackrest="run by `pgwrap backup`",
        barman="pre_backup_script",
    )
    after_backup: Argv | None = word(
        "After a backup that succeeded.", pgbackrest="run by `pgwrap backup`", barman="post_backup_script"
    )
    before_archive: Argv | None = word("Before a WAL file is archived.", pgbackrest="none", barman="pre_archive_script")
    after_archive: Argv | None = word("After a WAL file was archived.", pgbackrest="none", barman="post_archive_script")
    before_restore: Argv | None = word("Before a restore.", pgbackrest="run by pgwrap", barman="pre_recovery_script")
    after_restore: Argv | None = word("After a restore.", pgbackrest="run by pgwrap", barman="post_recovery_script")
    before_delete: Argv | None = word("Before a backup is deleted.", pgbackrest="none", barman="pre_delete_script")
    after_delete: Argv | None = word("After a backup was deleted.", pgbackrest="none", barman="post_delete_script")
    before_wal_delete: Argv | None = word("Before WAL is deleted.", pgbackrest="none", barman="pre_wal_delete_script")
    after_wal_delete: Argv | None = word("After WAL was deleted.", pgbackrest="none", barman="post_wal_delete_script")
    on_failure: Argv | None = word(
        "When an action of pgwrap failed.", pgbackrest="run by pgwrap", barman="run by pgwrap"
    )


class ModelWords(Words):
    """A named set of Barman overrides that `barman config-switch` activates (3.10)."""

    postgres: PostgresWords | None = word("Another server to back up.", pgbackrest="none", barman="conninfo and others")
    options: FlatOptions | None = word("Native options, verbatim.", pgbackrest="none", barman="NAME")


class ClusterOptions(Words):
    """Native options that the other words don't cover, verbatim. A cluster takes those of its own engine."""

    pgbackrest: SectionedOptions | None = word(
        "pgBackRest options of the stanza; a mapping is a command's section (`archive-push: {compress-level: 3}`)."
    )
    barman: FlatOptions | None = word("Barman options of the server.")


class ClusterWords(Words):
    """One PostgreSQL cluster and everything desired of its backups. `defaults:` takes the same words."""

    engine: Text | None = word("The name of an entry under `engines`.", default="pgbackrest")
    engine_name: Name | None = word(
        "The stanza's or server's name when it is not the cluster's.",
        pgbackrest="the stanza",
        barman="the server",
        default="the cluster's name",
    )
    description: Text | None = word("A sentence for people.", pgbackrest="none", barman="description")
    run_as: Account | None = word(
        "The operating system user of the engine's commands.",
        default="Barman's barman_user; the owner of pgBackRest's repository or data directory",
    )
    active: Flag | None = word(
        "Whether the cluster is backed up. An inactive one keeps its backups.",
        pgbackrest="not rendered",
        barman="active",
        default="true",
    )
    postgres: PostgresWords | None = word("The primary server.", pgbackrest="pg1-*", barman="conninfo and others")
    standbys: tuple[PostgresWords, ...] | None = word(
        "Its standbys.", pgbackrest="pg2-* and on", barman="with `from: standby`"
    )
    repositories: tuple[Text, ...] | None = word(
        "Names of entries under `repositories`, in the order of their numbers.",
        pgbackrest="repo1, repo2 and on",
        barman="one, or the engine's home without any",
    )
    backup: BackupWords | None = word("How base backups are taken.")
    wal: WalWords | None = word("How WAL reaches the repository.")
    retention: RetentionWords | None = word(
        "How long backups and WAL are kept.", default="everything is kept, and `status` says so"
    )
    schedule: ScheduleWords | None = word("When actions run.")
    drill: DrillWords | None = word("How restore drills are run.")
    objectives: ObjectiveWords | None = word("What was promised.")
    hooks: HookWords | None = word("Programs to run around actions.")
    models: dict[Name, ModelWords] | None = word(
        "Named overrides of this server.", pgbackrest="none", barman="a section with model=on (3.10)"
    )
    passive: RemoteHostWords | None = word(
        "The Barman host whose catalog this one copies.", pgbackrest="none", barman="primary_ssh_command"
    )
    replaces: Text | None = word(
        "The entry that describes the same PostgreSQL under the other engine, which this one takes over from; see "
        "`pgwrap migrate`."
    )
    history: Name | None = word(
        "The stanza that holds the backups carried over from Barman, in the same repository.",
        pgbackrest="a stanza of its own, which no `expire` of the cluster's reaches",
        barman="none",
    )
    options: ClusterOptions | None = word("Native options by engine.", pgbackrest="NAME=value", barman="NAME = value")


class EngineWords(Words):
    """One installation of an engine. `pgbackrest` and `barman` are always there; another name states its `engine`."""

    engine: Annotated[Literal["pgbackrest", "barman"], WORD] | None = word(
        "Which engine this is.", default="the entry's name"
    )
    command: Text | None = word("The engine's program: a name on PATH, or a path.", default="pgbackrest, barman")
    config: Path | None = word("Its main file.", default="/etc/pgbackrest/pgbackrest.conf, /etc/barman.conf")
    include: Path | None = word(
        "The directory of further files.",
        pgbackrest="config-include-path",
        barman="write `servers`",
        default="none for pgBackRest",
    )
    servers: Path | None = word(
        "The directory of one file per server.",
        pgbackrest="none",
        barman="configuration_files_directory",
        default="/etc/barman.d",
    )
    home: Path | None = word("Barman's home.", pgbackrest="none", barman="barman_home", default="/var/lib/barman")
    host: Destination | None = word("Where this engine's commands run, through the system's ssh.", default="here")
    run_as: Account | None = word("The user of its commands.", pgbackrest="pgwrap's own", barman="barman_user")
    log_directory: Path | None = word(
        "Where the engine logs.", pgbackrest="log-path", barman="log_file is DIRECTORY/barman.log"
    )
    lock_directory: Path | None = word(
        "Where the engine locks.", pgbackrest="lock-path", barman="barman_lock_directory"
    )
    options: SectionedOptions | None = word(
        "Native options of the main file, verbatim; a mapping is a pgBackRest command's section.",
        pgbackrest="[global], [global:COMMAND]",
        barman="[barman]",
    )


class SpecWords(Words):
    """The whole spec."""

    version: Version = required("The spec's own version: 1.")
    include: tuple[Text, ...] | None = word(
        "Further files, as paths or patterns (`clusters/*.yaml`) beside this file. They and `conf.d/*.yaml` beside the "
        "main file may hold engines, repositories and clusters.",
    )
    state: Path | None = word("Where pgwrap keeps its journal, caches, locks and logs.", default="/var/lib/pgwrap")
    defaults: ClusterWords | None = word(
        "What every cluster starts from: a mapping merges word by word, a list or single value is replaced, null takes "
        "a default away."
    )
    engines: dict[Name, EngineWords] | None = word(
        "The installations of the engines.", default="pgbackrest and barman in their usual places"
    )
    repositories: dict[Name, RepositoryWords] | None = word("Where backups are kept.")
    clusters: dict[Name, ClusterWords] | None = word("The clusters, by name.")
