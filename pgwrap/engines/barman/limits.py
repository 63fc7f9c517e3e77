"""What the spec can say and Barman lacks, in one table: why it matters, until which version, the nearest that works.

Options that a version merely does not know yet are found in options.json instead.
"""

from __future__ import annotations

from typing import Final

from pgwrap.domain.model import Cluster, Repository
from pgwrap.engines.barman.settings import BLOCK_INCREMENTAL
from pgwrap.engines.barman.words import RSYNC, method, native
from pgwrap.engines.limits import Limit
from pgwrap.engines.port import EngineVersion


def _repository(cluster: Cluster) -> Repository:
    return cluster.repositories[0] if cluster.repositories else Repository(name="")


def _incremental_scheduled(cluster: Cluster) -> bool:
    return "incremental" in dict(cluster.schedule.entries) and method(cluster) not in RSYNC


def _spaces_in_conninfo(cluster: Cluster) -> bool:
    """barman/postgres.py, parse_dsn: `dsn.split()`."""
    servers = (cluster.postgres, *cluster.standbys, *(model.postgres for model in cluster.models if model.postgres))
    values = (
        value
        for server in servers
        for value in (server.host or server.socket_directory, server.user, server.streaming_user, server.database)
    )
    return any(value is not None and len(value.split()) != 1 for value in values)


def _old_postgres(cluster: Cluster) -> bool:
    return cluster.postgres.version is not None and cluster.postgres.version < 17


LIMITS: Final[tuple[Limit, ...]] = (
    Limit(
        path=("repositories",),
        said=lambda c: len(c.repositories) > 1,
        severity="error",
        message="Barman keeps a server in one repository",
        hint="keep one; a second copy is a passive Barman node (passive:) on another host",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: _repository(c).type in ("gcs", "azure", "sftp"),
        severity="error",
        message="Barman keeps a server in a directory, or since 3.18 in an S3 bucket",
        hint="use a posix repository, or s3",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: _repository(c).type == "s3",
        severity="error",
        message="Barman writes to S3 only since 3.18",
        hint="use a posix repository, or upgrade Barman",
        until=EngineVersion((3, 18)),
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: _repository(c).type == "s3" and method(c) != "postgres",
        severity="error",
        message="into S3 Barman backs up with the postgres method only",
        hint="write method: postgres",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: _repository(c).type == "s3" and _repository(c).endpoint is not None,
        severity="error",
        message="Barman has no option for the endpoint of an S3 store",
        hint="set AWS_ENDPOINT_URL for Barman's user and leave endpoint out",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: bool(_repository(c).credentials),
        severity="warning",
        message="Barman takes no credentials from its configuration: it reads those of its user",
        hint="put them into ~/.aws/credentials of Barman's user; the native option aws_profile names a profile",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: _repository(c).host is not None,
        severity="error",
        message="Barman's repository lies on the host where Barman runs",
        hint="run Barman there: engines: {barman: {host: HOST}}",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: (e := _repository(c).encryption) is not None and e.cipher not in ("gpg", "none"),
        severity="error",
        message="Barman encrypts with GPG keys only (since 3.14), not with a passphrase",
        hint="write encryption: {cipher: gpg, key_id: KEY}, or encrypt the file system",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: (e := _repository(c).encryption) is not None and e.cipher == "gpg" and method(c) != "postgres",
        severity="error",
        message="Barman encrypts backups of the postgres method only",
        hint="write method: postgres",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: (e := _repository(c).encryption) is not None and e.cipher == "gpg" and not e.key_id,
        severity="error",
        message="GPG encryption needs a key_id",
    ),
    Limit(
        path=("repositories", "0"),
        said=lambda c: _repository(c).retention is not None,
        severity="error",
        message="Barman has one retention policy for a server",
        hint="write it as the cluster's retention",
    ),
    Limit(
        path=("retention",),
        said=lambda c: c.retention.window_days is not None and c.retention.full is not None,
        severity="error",
        message="Barman applies one rule: a window or a number of backups",
        hint="keep one; minimum_full can go with window",
    ),
    Limit(
        path=("retention", "full"),
        said=lambda c: c.retention.full is not None,
        severity="warning",
        message="Barman counts kept backups (barman keep) among the newest n",
        hint="raise it by the number of backups that you keep",
    ),
    Limit(
        path=("retention", "differential"),
        said=lambda c: c.retention.differential is not None,
        severity="warning",
        message="Barman expires no backup of a chain alone: they stay as long as their full backup",
        hint="leave it out",
    ),
    Limit(
        path=("retention", "wal"),
        said=lambda c: c.retention.wal is not None,
        severity="warning",
        message="Barman keeps the WAL of every backup that it keeps, which is more than asked",
        hint="leave it out, or shorten the window",
    ),
    Limit(
        path=("retention", "history"),
        said=lambda c: c.retention.history_days is not None,
        severity="warning",
        message="Barman keeps nothing of an expired backup, so there is no manifest to find later",
        hint="leave it out",
    ),
    Limit(
        path=("backup", "method"),
        said=lambda c: method(c) == "rsync" and c.postgres.ssh is None and native(c, "ssh_command") is None,
        severity="error",
        message="the rsync method needs a way to the server's files",
        hint="add postgres: {ssh: USER@HOST}, or write method: local-rsync or method: postgres",
    ),
    Limit(
        path=("backup", "method"),
        said=lambda c: method(c) == "snapshot" and c.backup.snapshot is None and native(c, "snapshot_disks") is None,
        severity="error",
        message="the snapshot method needs the disks to take",
        hint="add backup: {snapshot: {provider: …, instance: …, disks: […]}}",
    ),
    Limit(
        path=("backup", "method"),
        said=lambda c: method(c) == "snapshot" and c.postgres.ssh is None and native(c, "ssh_command") is None,
        severity="error",
        message="the snapshot method needs a way to the server, to find the disks' mount points",
        hint="add postgres: {ssh: USER@HOST}",
    ),
    Limit(
        path=("backup", "snapshot"),
        said=lambda c: method(c) == "snapshot" and c.backup.snapshot is not None,
        severity="warning",
        message="without the provider's Python library Barman fails for every server of the installation",
        hint="install google-cloud-compute, azure-mgmt-compute or boto3 for Barman's Python first",
    ),
    Limit(
        path=("backup", "snapshot", "provider"),
        said=lambda c: (
            method(c) == "snapshot" and c.backup.snapshot is not None and c.backup.snapshot.provider == "azure"
        ),
        severity="error",
        message="Barman takes Azure snapshots only since 3.6",
        hint="upgrade Barman",
        until=EngineVersion((3, 6)),
    ),
    Limit(
        path=("backup", "snapshot", "provider"),
        said=lambda c: (
            method(c) == "snapshot" and c.backup.snapshot is not None and c.backup.snapshot.provider == "aws"
        ),
        severity="error",
        message="Barman takes AWS snapshots only since 3.7",
        hint="upgrade Barman",
        until=EngineVersion((3, 7)),
    ),
    Limit(
        path=("backup", "from"),
        said=lambda c: c.backup.source == "prefer-standby",
        severity="warning",
        message="Barman reads from one server and does not choose: it will be the primary",
        hint="write from: standby",
    ),
    Limit(
        path=("backup", "from"),
        said=lambda c: c.backup.source == "standby" and not c.standbys,
        severity="error",
        message="there is no standby to read from",
        hint="describe it under standbys:",
    ),
    Limit(
        path=("backup", "parallel"),
        said=lambda c: (c.backup.parallel or 1) > 1 and method(c) not in RSYNC,
        severity="warning",
        message="only Barman's rsync methods copy in parallel: it is ignored",
        hint="write method: rsync",
    ),
    Limit(
        path=("backup", "compression"),
        said=lambda c: c.backup.compression not in (None, "none") and method(c) != "postgres",
        severity="warning",
        message="only the postgres method compresses backups: it is ignored",
        hint="write method: postgres, or compress the file system",
    ),
    Limit(
        path=("backup", "compression"),
        said=lambda c: c.backup.compression in ("bz2", "xz", "snappy") and method(c) == "postgres",
        severity="warning",
        message="pg_basebackup compresses with gz, lz4 or zst: it is ignored",
        hint="write compression: zst",
    ),
    Limit(
        path=("backup", "rate_limit"),
        said=lambda c: c.backup.rate_limit is not None and method(c) == "snapshot",
        severity="warning",
        message="a snapshot copies nothing that could be slowed down: it is ignored",
    ),
    Limit(
        path=("backup", "rate_limit"),
        said=lambda c: (
            c.backup.rate_limit is not None
            and method(c) == "postgres"
            and not 32 << 10 <= c.backup.rate_limit <= 1 << 30
        ),
        severity="error",
        message="pg_basebackup takes a rate from 32 KiB to 1 GiB per second, and would refuse to start",
    ),
    Limit(
        path=("backup", "reuse"),
        said=lambda c: c.backup.reuse not in (None, "off") and method(c) not in RSYNC,
        severity="warning",
        message="only the rsync methods take over files of the last backup: it is ignored",
        hint="write method: rsync",
    ),
    Limit(
        path=("backup", "block_incremental"),
        said=lambda c: c.backup.block_incremental is True,
        severity="warning",
        message="Barman's block-level backups are PostgreSQL 17's own, a type of backup (3.11): it is ignored",
        hint="leave it out and schedule incremental backups",
    ),
    Limit(
        path=("backup", "bundle"),
        said=lambda c: c.backup.bundle is True,
        severity="warning",
        message="Barman does not bundle small files: it is ignored",
        hint="the postgres method with compression writes one archive per tablespace",
    ),
    Limit(
        path=("backup", "checksum_page"),
        said=lambda c: c.backup.checksum_page is True,
        severity="warning",
        message="Barman does not check pages; pg_basebackup does (postgres method), and then the backup fails",
        hint="leave it out",
    ),
    Limit(
        path=("backup", "exclude"),
        said=lambda c: bool(c.backup.exclude),
        severity="warning",
        message="Barman leaves out nothing but what PostgreSQL allows: backups hold the excluded paths too",
        hint="leave it out",
    ),
    Limit(
        path=("backup", "resume"),
        said=lambda c: c.backup.resume is True,
        severity="warning",
        message="Barman starts a broken backup anew: it is ignored",
        hint="with the rsync methods, reuse: link takes over what the last whole backup has",
    ),
    Limit(
        path=("wal", "async"),
        said=lambda c: c.wal.asynchronous is True,
        severity="warning",
        message="Barman's archive_command hands over one segment at a time: it is ignored",
        hint="write delivery: stream",
    ),
    Limit(
        path=("wal", "parallel"),
        said=lambda c: (c.wal.parallel or 1) > 1,
        severity="warning",
        message="Barman receives WAL in one process: it is ignored",
    ),
    Limit(
        path=("wal", "spool"),
        said=lambda c: c.wal.spool is not None,
        severity="warning",
        message="Barman has no spool: it is ignored",
    ),
    Limit(
        path=("wal", "timeout"),
        said=lambda c: c.wal.timeout is not None,
        severity="warning",
        message="Barman waits for WAL without a limit of its own: it is ignored",
        hint="barman's check_timeout limits its checks",
    ),
    Limit(
        path=("wal", "queue_maximum"),
        said=lambda c: c.wal.queue_maximum is not None,
        severity="error",
        message="Barman never gives up WAL to save disk space on the server",
        hint="with streaming, PostgreSQL's max_slot_wal_keep_size limits what a slot holds back (and breaks it)",
    ),
    Limit(
        path=("wal", "synchronous"),
        said=lambda c: c.wal.synchronous is True and c.wal.delivery == "archive",
        severity="error",
        message="commits can wait for streamed WAL only",
        hint="write delivery: stream",
    ),
    Limit(
        path=("wal", "slot"),
        said=lambda c: c.wal.slot is not None and c.wal.delivery == "archive",
        severity="warning",
        message="a slot serves streaming only: it is ignored",
        hint="write delivery: stream",
    ),
    Limit(
        path=("schedule", "differential"),
        said=lambda c: "differential" in dict(c.schedule.entries),
        severity="warning",
        message="Barman's differential is an incremental on the latest full backup; it needs 3.11, PostgreSQL 17 and "
        "the postgres method",
        hint="schedule incremental or full backups",
    ),
    Limit(
        path=("schedule", "incremental"),
        said=_incremental_scheduled,
        severity="error",
        message="Barman takes incremental backups only since 3.11",
        hint="schedule full backups, or upgrade Barman",
        until=BLOCK_INCREMENTAL,
    ),
    Limit(
        path=("schedule", "incremental"),
        said=lambda c: _incremental_scheduled(c) and (_old_postgres(c) or method(c) != "postgres"),
        severity="error",
        message="Barman takes incremental backups only of PostgreSQL 17 and newer with the postgres method",
        hint="schedule full backups; with the rsync methods, reuse: link makes them cheap",
    ),
    Limit(
        path=("schedule", "incremental"),
        said=lambda c: "incremental" in dict(c.schedule.entries) and method(c) in RSYNC,
        severity="error",
        message="the rsync methods take full backups only",
        hint="schedule full backups; reuse: link copies only what changed and links the rest",
    ),
    Limit(
        path=("hooks", "after_backup"),
        said=lambda c: "after_backup" in dict(c.hooks),
        severity="warning",
        message="Barman runs it after a backup that failed, too",
        hint="look at $BARMAN_STATUS in the program",
    ),
    Limit(
        path=("models",),
        said=lambda c: bool(c.models),
        severity="error",
        message="Barman knows models only since 3.10",
        hint="upgrade Barman",
        until=EngineVersion((3, 10)),
    ),
    Limit(
        path=("postgres",),
        said=_spaces_in_conninfo,
        severity="error",
        message="Barman splits connection strings at spaces, quoted or not, and would disable the server",
        hint="use names without spaces, or a pg_service.conf entry with options: {barman: {conninfo: service=NAME}}",
    ),
    Limit(
        path=("postgres", "password"),
        said=lambda c: c.postgres.password is not None,
        severity="warning",
        message="Barman shows passwords of its configuration in its JSON and to passive nodes",
        hint="put it into .pgpass of Barman's user and leave it out",
    ),
    Limit(
        path=("postgres", "streaming_password"),
        said=lambda c: c.postgres.streaming_password is not None,
        severity="warning",
        message="Barman shows passwords of its configuration in its JSON and to passive nodes",
        hint="put it into .pgpass of Barman's user and leave it out",
    ),
    Limit(
        path=("postgres", "streaming_password"),
        said=lambda c: (
            c.postgres.streaming_password is not None and c.postgres.streaming_user in (None, c.postgres.user)
        ),
        severity="warning",
        message="it belongs to a streaming_user other than user: it is ignored",
        hint="write streaming_user, or leave it out",
    ),
    Limit(
        path=("passive", "transport"),
        said=lambda c: c.passive is not None and c.passive.transport == "tls",
        severity="error",
        message="Barman reaches other hosts by ssh only",
        hint="leave transport out",
    ),
    Limit(
        path=("postgres", "ssh", "transport"),
        said=lambda c: c.postgres.ssh is not None and c.postgres.ssh.transport == "tls",
        severity="error",
        message="Barman reaches other hosts by ssh only",
        hint="leave transport out",
    ),
)
