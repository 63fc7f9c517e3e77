"""How a history leaves pgBackRest: the listing of an archive, backups as plain files, WAL in bulk. Nothing runs here.

`archive-get:async` is what pgBackRest itself starts to fetch ahead (src/command/archive/get/get.c): one start for many
segments, `process-max` at work. It promises nothing to anybody else who calls it, so its result is only what lies in
the directory afterwards; what is not there is fetched by the ordinary `archive-get`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup
from pgwrap.engines.catalog_port import ArchivedFile, OutgoingRequest
from pgwrap.engines.pgbackrest.commands import archive_listing_command, configuration_arguments
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass
from pgwrap.text.json_fields import Fields, WrongField, fields_of

_KEPT: Final = re.compile(
    r"(?:[0-9A-F]{16}/)?"
    r"(?P<name>[0-9A-F]{8}\.history|[0-9A-F]{24}(?P<kind>\.partial|\.[0-9A-F]{8}\.backup)?)"
    r"(?P<checksum>-[0-9a-f]{40}(?:\.[a-z0-9]+)?)?"
)
_SET_ASIDE: Final = (
    "--no-link-all",
    "--reset-link-map",
    "--reset-tablespace-map-all",
    "--reset-recovery-option",
    "--reset-db-include",
    "--reset-db-exclude",
    "--no-delta",
    "--type=none",
)
"""Whatever the configuration says of a restore: this one is into directories of pgwrap's own, and of everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PgbackrestOutgoing:
    """See `pgwrap.engines.port.Outgoing`."""

    request: OutgoingRequest

    @property
    def _key(self) -> int:
        return 1 if self.request.repository is None else self.request.repository[0]

    def listing(self) -> Command:
        """`repo-ls` of the stanza's archive."""
        request = self.request
        return archive_listing_command(request.cluster, self._key, request.run_as, request.deadline)

    def listed(self, outcome: Outcome) -> tuple[ArchivedFile, ...]:
        """The files of the one archive; a segment stored twice counts once, with its later time."""
        raise_for(outcome, self.request.cluster.name)
        return archived_files(outcome.text(), self.request.archive)

    def unpack(self, backup: Backup, data: str, tablespaces: tuple[tuple[int, str], ...], spool: str) -> Command:
        """`restore --type=none` of one set: its backup_label stays, and nothing that would start a recovery comes."""
        maps = tuple(f"--tablespace-map={oid}={directory}" for oid, directory in tablespaces)
        ours = maps or ("--reset-tablespace-map",)  # both at once are refused ([031])
        processes = f"--process-max={self.request.processes}"
        return self._command(data, spool, f"--set={backup.id}", *_SET_ASIDE, *ours, processes, "restore")

    def ahead(self, spool: str) -> str:
        """As src/command/archive/common.h has it."""
        return f"{spool}/archive/{self.request.cluster.engine_name}/in"

    def fetch_ahead(self, segments: tuple[str, ...], data: str, spool: str) -> Command:
        """`archive-get:async` with a private spool."""
        ahead = ("--archive-async", f"--spool-path={spool}", f"--process-max={self.request.processes}")
        return self._command(data, spool, *ahead, "archive-get:async", *segments)

    def fetch(self, name: str, target: str, data: str, spool: str) -> Command:
        """`archive-get`."""
        return self._command(data, spool, "--no-archive-async", "archive-get", name, target)

    def check(self, outcome: Outcome) -> None:
        """See failures.py."""
        raise_for(outcome, self.request.cluster.name)

    def _command(self, data: str, spool: str, *arguments: str) -> Command:
        request = self.request
        cluster = request.cluster
        return Command(
            argv=(
                cluster.engine.command,
                *configuration_arguments(cluster.engine),
                f"--stanza={cluster.engine_name}",
                f"--repo={self._key}",
                f"--pg1-path={data}",
                *_no_hosts(request),
                f"--lock-path={spool}",
                "--log-level-file=off",
                "--log-level-console=warn",
                "--log-level-stderr=off",
                *arguments,
            ),
            run_as=request.run_as,
            environment=request.environment,
            deadline=request.deadline,
        )


def _no_hosts(request: OutgoingRequest) -> Iterator[str]:
    """The directory is here, wherever the original lies ([072] otherwise)."""
    servers = (request.cluster.postgres, *request.cluster.standbys)
    return (f"--reset-pg{number}-host" for number, server in enumerate(servers, start=1) if server.ssh is not None)


def archived_files(text: str, archive: str) -> tuple[ArchivedFile, ...]:
    """The files of `archive` in what `repo-ls --recurse --output=json` printed; raises OutputNotUnderstood."""
    start = 0 if text.startswith("{") else text.find("\n{") + 1
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text, start)
        entries = fields_of(value, "the listing")
        found: dict[str, ArchivedFile] = {}
        for path in entries.values:
            file = _file(path, archive, entries)
            if file is not None and file.written_at >= found.get(file.name, file).written_at:
                found[file.name] = file
    except (ValueError, RecursionError, WrongField) as error:
        raise OutputNotUnderstood(f"`repo-ls` printed what is no listing: {error}") from error
    return tuple(found[name] for name in sorted(found))


def _file(path: str, archive: str, entries: Fields) -> ArchivedFile | None:
    place, _, rest = path.partition("/")
    kept = _KEPT.fullmatch(rest) if place == archive else None
    if kept is None or not _is_whole(kept):
        return None
    entry = entries.child(path)
    if entry.text("type") == "path":
        return None
    return ArchivedFile(
        name=kept["name"], written_at=entry.integer("time"), stored_bytes=entry.optional_integer("size")
    )


def _is_whole(kept: re.Match[str]) -> bool:
    """A segment, whole or partial, has its checksum in its name; a history or backup file has none."""
    checked = len(kept["name"]) >= 24 and kept["kind"] in (None, ".partial")
    return checked == (kept["checksum"] is not None)
