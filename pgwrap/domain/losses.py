"""What an entry of the spec has under one engine and would not have under the other, with the nearest thing that works.

It reads the spec alone; what an engine's version makes of a word is the engine's own to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.domain.facts import Backup
from pgwrap.domain.model import Cluster, EngineKind
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One thing that does not come along."""

    what: str
    """The word of the spec, or what the engine keeps."""
    message: str
    instead: str = ""


def losses(old: Cluster, backups: tuple[Backup, ...]) -> tuple[Loss, ...]:
    """What is lost by leaving the old entry's engine; `backups` are those in its catalog."""
    if old.engine.kind is EngineKind.BARMAN:
        return tuple(_of_barman(old, backups))
    return tuple(_of_pgbackrest(old, backups))


def _of_barman(old: Cluster, backups: tuple[Backup, ...]) -> Iterator[Loss]:
    if old.wal.delivery != "archive":
        yield Loss(
            what="wal.delivery",
            message="pgBackRest streams no WAL: what is lost at worst is a whole segment, not the last commits",
            instead="wal: {async: true} and objectives.rpo, from which archive_timeout is set",
        )
    if old.wal.synchronous:
        yield Loss(
            what="wal.synchronous",
            message="no commit can wait for pgBackRest: an RPO of zero is gone",
            instead="a synchronous standby, or keep Barman's receive-wal beside pgBackRest",
        )
    held = [one.id for one in backups if one.held]
    if held:
        yield Loss(
            what="hold",
            message=f"pgBackRest has no keep: {', '.join(held)} are held in Barman, and not in the history stanza",
            instead="they are kept there until `pgwrap expire` lets them go by the spec's retention",
        )
    if old.retention.minimum_full is not None:
        yield Loss(
            what="retention.minimum_full",
            message="pgBackRest itself knows no minimum",
            instead="`pgwrap expire` keeps to it; the engine's own expiry after a backup does not",
        )
    yield from _means(old)
    if old.hooks:
        message = "pgBackRest runs no scripts; `pgwrap backup` runs those before and after a backup alone"
        yield Loss(what="hooks", message=message)


def _means(old: Cluster) -> Iterator[Loss]:
    """Of how backups are taken and kept."""
    if old.backup.rate_limit is not None:
        yield Loss(what="backup.rate_limit", message="pgBackRest limits no bandwidth", instead="backup: {parallel: 1}")
    if old.backup.method == "snapshot":
        yield Loss(what="backup.method", message="pgBackRest takes no disk snapshots; those there are not carried")
    if any(one.encryption is not None for one in old.repositories):
        yield Loss(
            what="repositories.encryption",
            message="pgBackRest encrypts with a passphrase, not by GPG keys; what is carried is decrypted on its way",
            instead="repositories: {NAME: {encryption: {cipher: aes-256-cbc, passphrase: …}}}",
        )


def _of_pgbackrest(old: Cluster, backups: tuple[Backup, ...]) -> Iterator[Loss]:
    yield from _places(old)
    if old.wal.asynchronous:
        yield Loss(what="wal.async", message="Barman archives no WAL ahead", instead="wal: {delivery: stream}")
    if old.backup.bundle or any(one.bundle for one in old.repositories):
        yield Loss(what="backup.bundle", message="Barman keeps each file, or one tar archive")
    if old.backup.block_incremental or any(one.block_incremental for one in old.repositories):
        yield Loss(
            what="backup.block_incremental",
            message="what is carried becomes full backups",
            instead="PostgreSQL 17 and Barman 3.11 take block incremental backups of their own",
        )
    if any(one.type in ("differential", "incremental") for one in backups):
        yield Loss(
            what="backup types",
            message="each differential and incremental backup becomes a full one, with the room that it takes",
            instead="--bases oldest carries fewer",
        )
    if any(one.annotations for one in backups):
        yield Loss(what="annotations", message="Barman keeps a name for a backup, and no annotations")


def _places(old: Cluster) -> Iterator[Loss]:
    """Of where backups are kept and taken from."""
    if len(old.repositories) > 1:
        names = ", ".join(repository.name for repository in old.repositories)
        yield Loss(
            what="repositories",
            message=f"Barman keeps a server in one place, not in {names}",
            instead="a passive Barman host, or `barman sync-backup`",
        )
    if any(one.type not in ("posix", "cifs") for one in old.repositories):
        yield Loss(what="repositories", message="Barman's catalog lies on a file system of its own host")
    if old.standbys and old.backup.source in ("standby", "prefer-standby"):
        yield Loss(
            what="backup.from",
            message="Barman connects to one server",
            instead="postgres: {host: the standby}, with primary_conninfo among the options",
        )
