"""How a history comes into Barman's catalog: where things lie, what is written, by which commands. Nothing runs here.

WAL that is compressed or encrypted, or for which hooks run, goes through Barman's own `archive-wal`; but with a private
copy of the server's configuration, whose `incoming` holds nothing else, and from which WAL is taken also where the
server itself is streaming only. Without any of that `archive-wal` renames files and lists them (wal_archiver.py), which
`rebuild-xlogdb` does for all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup
from pgwrap.domain.model import Cluster, EngineInstance
from pgwrap.domain.native import NativeFile
from pgwrap.domain.plan import WriteFile
from pgwrap.engines.barman.backup_info import SEPARATE_SINCE, info_path, info_text
from pgwrap.engines.barman.commands import barman
from pgwrap.engines.barman.envelope import messages_of, read_object
from pgwrap.engines.barman.failures import check_ran, is_busy, reason
from pgwrap.engines.barman.records import Record
from pgwrap.engines.barman.trial import INCLUDE, copies
from pgwrap.engines.barman.words import backup_directory, owner
from pgwrap.engines.catalog_port import Arrived, Incoming, IncomingRequest, Reception
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported, OutputNotUnderstood
from pgwrap.records import dataclass

_LABEL: Final = re.compile(r"(?:.*_)?([0-9]{8})-([0-9]{6})[FDI]")
_GLOBAL: Final = re.compile(r"^\[barman\].*$", re.MULTILINE)
_LAST: Final = "~pgwrap-carry.conf"
"""Barman reads its files by name, and a later one wins."""
_DONE_WITH_WAL: Final = (
    "compression",
    "encryption",
    "pre_archive_script",
    "pre_archive_retry_script",
    "post_archive_script",
    "post_archive_retry_script",
)
_LOOK: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BarmanIncoming:
    """See `pgwrap.engines.port.Incoming`."""

    request: IncomingRequest
    server: str
    """The directory of the server."""
    bases: str
    wals: str
    compresses: bool
    plain: bool
    system_identifier: str | None

    def directories(self) -> tuple[str, ...]:
        """Barman makes them when they are first needed."""
        meta = (f"{self.server}/meta",) if self.request.version >= SEPARATE_SINCE else ()
        return (self.bases, self.wals, *meta)

    def id_of(self, backup: Backup) -> str | None:
        """The second in which the backup began, which both engines have in their names, each in its own spelling."""
        found = _LABEL.fullmatch(backup.id)
        return None if found is None else f"{found[1]}T{found[2]}"

    def wal_path(self, name: str) -> str:
        """barman/xlog.py, hash_dir: history files lie beside the directories."""
        return f"{self.wals}/{name}" if name.endswith(".history") else f"{self.wals}/{name[:16]}/{name}"

    def record(self, arrived: Arrived) -> WriteFile:
        """The backup.info."""
        version = self.request.version
        return WriteFile(
            path=info_path(self.server, self.bases, arrived.id, version),
            text=info_text(arrived, self.request.cluster.engine_name, version),
            mode=0o640,
            owner=self._owner,
        )

    def reception(self, files: tuple[NativeFile, ...], reception: Reception) -> tuple[WriteFile, ...]:
        """The files that are in place, and one more that wins; they may hold passwords."""
        instance = _private(self.request.cluster.engine, reception)
        last = WriteFile(path=f"{instance.include}/{_LAST}", text=self._overrides(reception), mode=0o600)
        copied = (_including(file, instance) for file in copies(files, instance))
        return tuple(replace(file, owner=self._owner) for file in (*copied, last))

    @property
    def _owner(self) -> str:
        return self.request.run_as or owner(self.request.cluster.engine)

    def _overrides(self, reception: Reception) -> str:
        settings = {
            "archiver": "on",
            "streaming_archiver": "off",
            "archiver_batch_size": "0",
            "incoming_wals_directory": reception.incoming,
            "errors_directory": reception.errors,
        }
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        return f"[{self.request.cluster.engine_name}]\n{lines}"

    def take_in(self, reception: Reception) -> Command:
        """`archive-wal` with the private configuration; it shares its lock with the server's own."""
        return self._command(_private(self.request.cluster.engine, reception), "archive-wal")

    def reindex(self) -> Command:
        """`rebuild-xlogdb`: recovery chooses WAL by the times in it, and what came late stands last in it."""
        return self._command(self.request.cluster.engine, "rebuild-xlogdb")

    def settle(self, backup_id: str) -> Command:
        """`check-backup`."""
        return self._command(self.request.cluster.engine, "check-backup", backup_id)

    def _command(self, instance: EngineInstance, verb: str, *arguments: str) -> Command:
        request = self.request
        command = barman(
            instance,
            *("-f", "json", verb, request.cluster.engine_name, *arguments),
            run_as=request.run_as,
            deadline=request.deadline,
        )
        return replace(command, environment=request.environment)

    def check(self, outcome: Outcome) -> None:
        """Barman reports some failures with exit code 0."""
        check_ran(outcome)
        try:
            errors = messages_of(read_object(outcome.text())).errors
        except OutputNotUnderstood:
            errors = ()
        for text in errors:
            if is_busy(text):
                raise Busy(text, hint="try again later", cluster=self.request.cluster.name)
        if errors or not outcome.succeeded:
            raise EngineFailed(
                f"barman {outcome.command.argv[5]} failed: {' '.join((*errors, reason(outcome))[0].split())}",
                hint=f"try by hand: {outcome.command.quoted()}",
                cluster=self.request.cluster.name,
                engine_exit=outcome.exit_code,
            )


def incoming(request: IncomingRequest) -> Generator[tuple[Command, ...], tuple[Outcome, ...], Incoming]:
    """Ask `show-servers`, which tells the server's settings as they are in the end; its answer may hold passwords."""
    cluster = request.cluster
    if request.planned:
        return _planned(request)
    command = barman(
        cluster.engine, "-f", "json", "show-servers", cluster.engine_name, run_as=request.run_as, deadline=_LOOK
    )
    (outcome,) = yield (command,)
    check_ran(outcome)
    try:
        answer = read_object(outcome.text())
    except OutputNotUnderstood:
        if outcome.succeeded:
            raise
        raise _failed(outcome, cluster, reason(outcome)) from None
    settings = answer.record(cluster.engine_name)
    if not settings.values:
        raise _failed(outcome, cluster, next(iter(messages_of(answer).errors), "it tells nothing of the server"))
    _check_possible(settings, cluster)
    return BarmanIncoming(
        request=request,
        server=_directory(settings, "backup_directory"),
        bases=_directory(settings, "basebackups_directory"),
        wals=_directory(settings, "wals_directory"),
        compresses=settings.text("compression") is not None,
        plain=not any(settings.text(key) for key in _DONE_WITH_WAL),
        system_identifier=settings.text("postgres_systemid") or settings.text("streaming_systemid"),
    )


def _planned(request: IncomingRequest) -> Incoming:
    """Where things will lie by the spec's words; for a plan alone."""
    server = backup_directory(request.cluster)
    return BarmanIncoming(
        request=request,
        server=server,
        bases=f"{server}/base",
        wals=f"{server}/wals",
        compresses=request.cluster.wal.compression not in (None, "none"),
        plain=False,
        system_identifier=None,
    )


def _failed(outcome: Outcome, cluster: Cluster, said: str) -> EngineFailed:
    return EngineFailed(
        f"Barman cannot be asked for its server {cluster.engine_name}: {said}",
        hint=f"put its configuration in place first: pgwrap apply {cluster.name}",
        cluster=cluster.name,
        engine_exit=outcome.exit_code,
    )


def _check_possible(settings: Record, cluster: Cluster) -> None:
    for wanted, found in (("active", settings.boolean("active")), ("enabled", settings.boolean("disabled") is False)):
        if found is False:
            message = f"Barman's server {cluster.engine_name} is not {wanted}: it takes nothing in"
            raise EngineUnsupported(message, cluster=cluster.name)
    if settings.boolean("passive_node"):
        message = f"Barman's server {cluster.engine_name} is passive: it copies the catalog of another Barman"
        raise EngineUnsupported(message, hint="carry the history into that one", cluster=cluster.name)
    for key in ("backup_directory", "basebackups_directory", "wals_directory"):
        if not (settings.text(key) or "").startswith("/"):
            message = f"Barman's {key} is not on its own disk: {settings.text(key)}"
            raise EngineUnsupported(message, cluster=cluster.name)


def _directory(settings: Record, key: str) -> str:
    return (settings.text(key) or "").rstrip("/")


def _private(instance: EngineInstance, reception: Reception) -> EngineInstance:
    place = reception.configuration
    return replace(instance, config=f"{place}/barman.conf", include=f"{place}/configuration.d")


def _including(file: WriteFile, instance: EngineInstance) -> WriteFile:
    """A main file that names no directory of further files has to name one now."""
    if file.path != instance.config or INCLUDE.search(file.text):
        return file
    named = f"configuration_files_directory = {instance.include}"
    return replace(file, text=_GLOBAL.sub(lambda header: f"{header[0]}\n{named}", file.text, count=1))
