"""One real cluster with real backups of both engines, whose files the made-up catalogs are copies of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from integration.lab.machine import Machine
from integration.lab.native import (
    NativeBarman,
    native_barman,
    native_pgbackrest,
    prepare_for_barman,
    wait_for_backups,
    wait_for_stream,
)
from integration.lab.postgres import PostgresServer, postgres_server
from integration.lab.room import Room

NAME = "original"
_KINDS = ("full", "diff", "incr")
_BARMAN_OPTIONS = "compression = gzip\n"
Ini = Mapping[str, Mapping[str, str]]
"""Sections, keys, and JSON values as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stanza:
    """A real stanza with one backup of each type."""

    backup_info: Ini
    archive_info: Ini
    labels: Mapping[str, str]
    """The label of the backup of each type."""
    backups: Path
    segment: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A real Barman server with one backup, and with an incremental one where Barman and PostgreSQL can."""

    record: str
    incremental: str | None
    in_meta: bool
    """Whether records lie in `meta` (3.13.2 and later)."""
    index_line: str
    named_index: bool
    """Whether the list of WAL files bears the server's name (3.13 and later)."""
    identity: Path | None
    segment: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Originals:
    """What there is to copy from, and the (stopped) cluster it came from."""

    server: PostgresServer
    stanza: Stanza | None
    barman: Server | None


def grow(room: Room, engines: frozenset[str]) -> Originals:
    """Live through it."""
    machine = room.machine
    with postgres_server(room, NAME, _settings(machine)) as server:
        return Originals(
            server=server,
            stanza=_stanza(room, server) if "pgbackrest" in engines else None,
            barman=_server(room, server) if "barman" in engines else None,
        )


def read_ini(text: str) -> Ini:
    """The sections of an info file of pgBackRest's, without its checksum."""
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("backrest-checksum="):
            key, _, value = line.partition("=")
            sections.setdefault(section, {})[key] = value
    return sections


def can_do_incrementals(machine: Machine) -> bool:
    """Whether Barman has incremental backups here (3.11, on PostgreSQL 17)."""
    major, minor, *_ = (int(part) for part in machine.engine("barman").version.split("."))
    return (major, minor) >= (3, 11) and machine.postgres_major >= 17


def _settings(machine: Machine) -> Mapping[str, str]:
    return {"summarize_wal": "on"} if machine.postgres_major >= 17 else {}


def _stanza(room: Room, server: PostgresServer) -> Stanza:
    engine = native_pgbackrest(room, {NAME: server})
    server.configure(engine.settings(NAME))
    server.restart()
    engine.run(f"--stanza={NAME}", "stanza-create")
    for kind in _KINDS:
        engine.run(f"--stanza={NAME}", f"--type={kind}", "backup")
    backups, archive = (engine.repository / part / NAME for part in ("backup", "archive"))
    backup_info = read_ini((backups / "backup.info").read_text())
    return Stanza(
        backup_info=backup_info,
        archive_info=read_ini((archive / "archive.info").read_text()),
        labels=dict(zip(_KINDS, backup_info["backup:current"], strict=True)),
        backups=backups,
        segment=next(archive.glob("*-1/*/*.gz")),
    )


def _server(room: Room, server: PostgresServer) -> Server:
    prepare_for_barman(server)
    barman = native_barman(room, {NAME: server}, _BARMAN_OPTIONS)
    barman.run("cron")
    wait_for_stream(server)
    barman.take_wal(NAME, server.switch_wal())
    _back_up(barman, server)
    if can_do_incrementals(room.machine):
        _back_up(barman, server, "--incremental", "last")
    home = barman.home / NAME
    records = _records(home)
    index = next((home / "wals").glob("*xlog*.db"))
    return Server(
        record=records[0],
        incremental=records[1] if len(records) > 1 else None,
        in_meta=any((home / "meta").glob("*-backup.info")),
        index_line=next(line for line in index.read_text().splitlines() if re.match(r"[0-9A-F]{24}\t", line)),
        named_index=index.name.startswith(NAME),
        identity=next(iter(home.glob("identity.json")), None),
        segment=next((home / "wals").glob("*/" + "[0-9A-F]" * 24)),
    )


def _back_up(barman: NativeBarman, server: PostgresServer, *how: str) -> None:
    barman.run("backup", NAME, *how)
    barman.take_wal(NAME, server.switch_wal())
    wait_for_backups(barman, NAME)


def _records(home: Path) -> list[str]:
    """The records of the backups, oldest first."""
    found = sorted((home / "meta").glob("*-backup.info")) or sorted((home / "base").glob("*/backup.info"))
    return [path.read_text() for path in found]
