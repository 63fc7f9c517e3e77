"""Validated words to the domain's types, mapping by mapping. It checks nothing and looks up nothing."""

from __future__ import annotations

from pgwrap.domain.model import (
    Assertion,
    BackupPolicy,
    BarmanModel,
    DrillPolicy,
    Encryption,
    NativeOption,
    Objectives,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Schedule,
    Secret,
    Snapshot,
    Tls,
    WalPolicy,
)
from pgwrap.spec.schema import (
    AssertionWords,
    BackupWords,
    CredentialWords,
    DrillWords,
    EncryptionWords,
    HookWords,
    ModelWords,
    ObjectiveWords,
    PostgresWords,
    RemoteHostWords,
    RepositoryWords,
    RetentionWords,
    ScheduleWords,
    SecretForm,
    SnapshotWords,
    TlsFiles,
    WalWords,
)


def secret(words: SecretForm | None) -> Secret | None:
    """A reference to a secret."""
    if words is None:
        return None
    if words.command is not None:
        return Secret(kind="command", value=words.command)
    if words.env is not None:
        return Secret(kind="env", value=(words.env,))
    if words.file is not None:
        return Secret(kind="file", value=(words.file,))
    if words.credential is not None:
        return Secret(kind="credential", value=(words.credential,))
    return Secret(kind="literal", value=(words.literal or "",))


def remote_host(words: RemoteHostWords | None) -> RemoteHost | None:
    """A host that the engine reaches."""
    if words is None:
        return None
    return RemoteHost(
        address=words.address,
        user=words.user,
        port=words.port,
        transport=words.transport or "ssh",
        command=words.command,
        config=words.config,
        tls=_tls(words.tls),
    )


def _tls(words: TlsFiles | None) -> Tls | None:
    if words is None:
        return None
    return Tls(ca_file=words.ca_file, ca_path=words.ca_path, cert_file=words.cert_file, key_file=words.key_file)


def _encryption(words: EncryptionWords | None) -> Encryption | None:
    if words is None or words.cipher == "none":
        return None
    return Encryption(
        cipher=words.cipher,
        passphrase=secret(words.passphrase),
        key_id=words.key_id,
        passphrase_command=words.passphrase_command or (),
    )


def retention(words: RetentionWords | None) -> RetentionPolicy | None:
    """A retention policy; None when the spec says nothing of it."""
    if words is None:
        return None
    return RetentionPolicy(
        full=words.full,
        differential=words.differential,
        window_days=words.window,
        minimum_full=words.minimum_full,
        wal=words.wal,
        wal_type=words.wal_type,
        history_days=words.history,
    )


def repository(name: str, words: RepositoryWords) -> Repository:
    """A place where backups are kept."""
    return Repository(
        name=name,
        type=words.type or "posix",
        path=words.path,
        key=words.key,
        host=remote_host(words.host),
        pulls_from=remote_host(words.pulls_from),
        bucket=words.bucket,
        endpoint=words.endpoint,
        region=words.region,
        container=words.container,
        account=words.account,
        key_type=words.key_type,
        uri_style=words.uri_style,
        verify_tls=words.verify_tls,
        port=words.port,
        ca_file=words.ca_file,
        sftp_host=words.sftp_host,
        sftp_user=words.sftp_user,
        sftp_port=words.sftp_port,
        private_key_file=words.private_key_file,
        public_key_file=words.public_key_file,
        host_key_hash=words.host_key_hash,
        host_fingerprint=words.host_fingerprint,
        credentials=credentials(words.credentials),
        encryption=_encryption(words.encryption),
        bundle=words.bundle,
        block_incremental=words.block_incremental,
        retention=retention(words.retention),
        options=options(words.options),
    )


def credentials(words: CredentialWords | None) -> tuple[tuple[str, Secret], ...]:
    """Secrets by name, in the order of the reference."""
    if words is None:
        return ()
    found = ((name, secret(getattr(words, name))) for name in CredentialWords.model_fields)
    return tuple((name, value) for name, value in found if value is not None)


def options(words: dict[str, tuple[str, ...]] | None) -> tuple[NativeOption, ...]:
    """Native options; one without a value takes a default away and is left out."""
    return tuple(NativeOption(key=key, values=values) for key, values in (words or {}).items() if values)


def sectioned_options(
    words: dict[str, tuple[str, ...] | dict[str, tuple[str, ...]]] | None,
) -> tuple[NativeOption, ...]:
    """Native options, those inside a mapping with its name as their section."""
    found: list[NativeOption] = []
    for key, value in (words or {}).items():
        if isinstance(value, dict):
            found.extend(NativeOption(key=name, values=values, section=key) for name, values in value.items() if values)
        elif value:
            found.append(NativeOption(key=key, values=value))
    return tuple(found)


def postgres(words: PostgresWords | None) -> PostgresTarget:
    """A PostgreSQL server."""
    if words is None:
        return PostgresTarget()
    return PostgresTarget(
        data_directory=words.data_directory,
        host=words.host,
        port=words.port or 5432,
        socket_directory=words.socket_directory,
        user=words.user,
        database=words.database,
        password=secret(words.password),
        sslmode=words.sslmode,
        streaming_user=words.streaming_user,
        streaming_password=secret(words.streaming_password),
        ssh=remote_host(words.ssh),
        ask=words.ask is not False,
        wal_segment_size=words.wal_segment_size,
        version=words.version,
    )


def _snapshot(words: SnapshotWords | None) -> Snapshot | None:
    if words is None:
        return None
    return Snapshot(
        provider=words.provider,
        instance=words.instance,
        disks=words.disks,
        zone=words.zone,
        project=words.project,
        resource_group=words.resource_group,
        subscription=words.subscription,
        region=words.region,
        profile=words.profile,
    )


def backup(words: BackupWords | None) -> BackupPolicy:
    """How base backups are taken."""
    if words is None:
        return BackupPolicy()
    return BackupPolicy(
        method=words.method,
        parallel=words.parallel,
        compression=words.compression,
        compression_level=words.compression_level,
        source=words.source,
        checkpoint=words.checkpoint,
        block_incremental=words.block_incremental,
        bundle=words.bundle,
        rate_limit=words.rate_limit,
        reuse=words.reuse,
        resume=words.resume,
        exclude=words.exclude or (),
        checksum_page=words.checksum_page,
        snapshot=_snapshot(words.snapshot),
    )


def wal(words: WalWords | None) -> WalPolicy:
    """How WAL reaches the repository."""
    if words is None:
        return WalPolicy()
    return WalPolicy(
        delivery=words.delivery or "archive",
        asynchronous=words.asynchronous,
        compression=words.compression,
        compression_level=words.compression_level,
        parallel=words.parallel,
        slot=words.slot,
        create_slot=words.create_slot,
        synchronous=words.synchronous,
        streaming_name=words.streaming_name,
        spool=words.spool,
        queue_maximum=words.queue_maximum,
        timeout=words.timeout,
    )


def objectives(words: ObjectiveWords | None) -> Objectives:
    """What was promised."""
    if words is None:
        return Objectives()
    return Objectives(
        rpo=words.rpo,
        rto=words.rto,
        backup_age=words.backup_age,
        full_age=words.full_age,
        drill_age=words.drill_age,
    )


def schedule(words: ScheduleWords | None) -> Schedule:
    """Calendar texts by action, in the order of the reference."""
    if words is None:
        return Schedule()
    found = ((action, getattr(words, action)) for action in ScheduleWords.model_fields)
    return Schedule(entries=tuple((action, calendar) for action, calendar in found if calendar is not None))


def drill(words: DrillWords | None) -> DrillPolicy:
    """How drills are run."""
    if words is None:
        return DrillPolicy()
    assertions = tuple(_assertion(assertion) for assertion in words.assertions or ())
    return DrillPolicy(directory=words.directory, target=words.target, assertions=assertions)


def _assertion(words: AssertionWords) -> Assertion:
    return Assertion(
        sql=words.sql.strip(),
        equals=words.equals,
        at_least=words.at_least,
        at_most=words.at_most,
        maximum_age=words.maximum_age,
    )


def hooks(words: HookWords | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Event and argv, in the order of the reference."""
    if words is None:
        return ()
    found = ((event, getattr(words, event)) for event in HookWords.model_fields)
    return tuple((event, argv) for event, argv in found if argv is not None)


def models(words: dict[str, ModelWords] | None) -> tuple[BarmanModel, ...]:
    """Named overrides of a Barman server."""
    return tuple(
        BarmanModel(
            name=name,
            postgres=postgres(model.postgres) if model.postgres else None,
            options=options(model.options),
        )
        for name, model in (words or {}).items()
    )
