"""Plants made-up servers in a real Barman home, and lets `barman cron` expire them. It foretells nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from integration.lab.process import Ran, processes_in
from integration.oracle.barman_cases import Backup, Case
from integration.oracle.estate import Deeds, Estate, NotPlanted
from integration.oracle.judge import Deed, Look
from integration.oracle.originals import Originals, Server
from integration.oracle.wal import SEGMENT, history, lsn, place, segments_of

ENGINE: Final = "barman"
PRODUCT: Final = "Barman"
REPOSITORY: Final = "barman"
_HEAD = """\
version: 1
engines:
  barman: {{command: {program}, config: {room}/etc/barman.conf, servers: {room}/etc/barman.d, home: {room}/barman,
    log_directory: {room}/log, run_as: {user}}}
state: {room}/state
clusters:
"""
_CLUSTER = """\
  {name}:
    engine: barman
    postgres: {{socket_directory: {sockets}, port: {port}, user: barman, database: postgres,
      streaming_user: streaming_barman}}
    backup: {{method: postgres}}
    wal: {{delivery: archive, compression: gz}}
"""
_DIRECTORIES = ("base", "wals", "incoming", "errors", "streaming")


def name_of(case: Case) -> str:
    """The name of its cluster and server."""
    return f"case-{case.number:04}"


def write_spec(estate: Estate, cases: Sequence[Case], originals: Originals) -> None:
    """One spec over all cases."""
    server, room = originals.server, estate.room
    for name in ("log", "etc/barman.d", "barman"):
        room.directory(name)
    text = _HEAD.format(program=estate.wrap(ENGINE), room=room.path, user=estate.machine.user)
    for case in cases:
        text += _CLUSTER.format(name=name_of(case), sockets=server.sockets, port=server.port)
        text += case.policy.yaml(ENGINE)
    estate.spec.write_text(text)


# Planting


def plant(estate: Estate, cases: Sequence[Case], originals: Originals) -> None:
    """Put every case's catalog where Barman looks for it."""
    if originals.barman is None:
        raise NotPlanted("there is no real server to copy")
    home = estate.room.path / "barman"
    for case in cases:
        _Planter(originals.barman, case, home / name_of(case), estate.clock.zone).plant()
        _edit(estate.room.path / f"etc/barman.d/{name_of(case)}.conf", case.policy.edits)
    estate.give_all(home)
    _check_planted(estate, cases)


def _edit(file: Path, options: Mapping[str, str]) -> None:
    with file.open("a") as written:
        written.writelines(f"{name} = {value}\n" for name, value in options.items())


class _Planter:
    """Plants one server."""

    def __init__(self, server: Server, case: Case, home: Path, zone: str) -> None:
        self.server = server
        self.case = case
        self.home = home
        self.zone = ZoneInfo(zone)
        self.children: dict[str, list[str]] = {}
        for backup in case.backups:
            if backup.parent is not None:
                self.children.setdefault(backup.parent, []).append(backup.id)

    def plant(self) -> None:
        """Make its directories and files."""
        self.home.mkdir()
        for name in (*_DIRECTORIES, *(("meta",) if self.server.in_meta else ())):
            (self.home / name).mkdir()
        if self.server.identity is not None:
            shutil.copyfile(self.server.identity, self.home / "identity.json")
        for backup in self.case.backups:
            self._plant_backup(backup)
        self._plant_wal()

    def _plant_backup(self, backup: Backup) -> None:
        base = self.home / "base" / backup.id
        (base / "data").mkdir(parents=True)
        (base / "data" / "PG_VERSION").write_text("15\n")
        if self.server.in_meta:
            record, keep = self.home / f"meta/{backup.id}-backup.info", self.home / f"meta/{backup.id}-keep"
        else:
            record, keep = base / "backup.info", base / "annotations/keep"
        record.write_text(self._record(backup))
        if backup.held is not None:
            keep.parent.mkdir(exist_ok=True)
            keep.write_text(backup.held)

    def _record(self, backup: Backup) -> str:
        original = self.server.incremental if backup.parent is not None else self.server.record
        if original is None:
            raise NotPlanted("this Barman has no incremental backup to copy")
        values = dict(line.split("=", 1) for line in original.splitlines())
        changes = self._empty(values) if backup.state == "EMPTY" else self._fields(backup)
        return "".join(f"{name}={changes.get(name, value)}\n" for name, value in values.items())

    def _empty(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """A record as Barman writes it before it begins."""
        known = {"mode", "server_name", "systemid", "xlog_segment_size", "backup_name"}
        return {name: "None" for name in values if name not in known} | {
            "status": "EMPTY",
            "server_name": self.home.name,
        }

    def _fields(self, backup: Backup) -> Mapping[str, str]:
        timeline, _ = place(backup.first)
        fields = {
            "server_name": self.home.name,
            "status": backup.state,
            "timeline": str(timeline),
            "begin_time": self._time(backup.span.start, 0),
            "begin_wal": backup.first,
            "begin_xlog": lsn(backup.first),
            "end_time": self._time(backup.span.stop, backup.microseconds),
            "end_wal": backup.last,
            "end_xlog": lsn(backup.last, 0x100),
            "end_offset": str(0x100),
            "parent_backup_id": backup.parent or "None",
            "children_backup_ids": ",".join(self.children.get(backup.id, ())) or "None",
        }
        if backup.state == "STARTED":
            fields |= dict.fromkeys(("end_time", "end_wal", "end_xlog", "end_offset"), "None")
        if backup.state == "FAILED":
            fields["error"] = "failure copying files"
        return fields

    def _time(self, seconds: int, microseconds: int) -> str:
        moment = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
        return str(moment.astimezone(self.zone))

    def _plant_wal(self) -> None:
        wals = self.home / "wals"
        linked: Path | None = None
        lines = []
        for name in sorted(name for name in self.case.files if not name.endswith(".partial")):
            path = wals / name if name.endswith(".history") else wals / name[:16] / name
            path.parent.mkdir(exist_ok=True)
            if name.endswith(".history"):
                path.write_text(history(name, segments_of(self.case.files)))
                lines.append(f"{name}\t{path.stat().st_size}\t1806000000.0\tNone\n")
                continue
            if linked is None:
                shutil.copyfile(self.server.segment, path)
                linked = path
            else:
                os.link(linked, path)
            lines.append(self.server.index_line.replace(self.server.index_line.split("\t")[0], name, 1) + "\n")
        index = f"{self.home.name}-xlog.db" if self.server.named_index else "xlog.db"
        (wals / index).write_text("".join(lines))


# Looking and expiring


def expire(estate: Estate, cases: Sequence[Case]) -> Deeds:
    """Let one `barman cron` do its work on every server, and look before and after."""
    before = _looks(estate, cases)
    _run(estate, "cron")
    _wait_for_children(estate)
    after = _looks(estate, cases)
    return {
        (name_of(case), REPOSITORY): Deed(
            before=before[case.number], after=after[case.number], silent=not case.policy.active
        )
        for case in cases
    }


def _wait_for_children(estate: Estate, deadline: float = 600.0) -> None:
    """Until nothing that cron started in the background is there."""
    limit = time.monotonic() + deadline
    while processes_in(estate.room.path):
        if time.monotonic() > limit:
            raise TimeoutError("what barman cron started does not end")
        time.sleep(0.1)


def _looks(estate: Estate, cases: Sequence[Case]) -> Mapping[int, Look]:
    listed = _listed(estate)
    return {case.number: _look(estate, case, listed) for case in cases}


def _look(estate: Estate, case: Case, listed: Mapping[str, frozenset[str]]) -> Look:
    home = estate.room.path / "barman" / name_of(case)
    records = frozenset(path.name.removesuffix("-backup.info") for path in home.glob("meta/*-backup.info"))
    bases = frozenset(path.name for path in home.glob("base/*T*"))
    segments = frozenset(path.name for path in home.glob("wals/*/*") if SEGMENT.fullmatch(path.name))
    indexed = {line.split()[0] for line in next(home.glob("wals/*xlog.db")).read_text().splitlines()}
    if segments != frozenset(name for name in indexed if SEGMENT.fullmatch(name)):
        raise NotPlanted(f"{name_of(case)}: Barman's list of WAL files does not say what is there")
    backups = bases | records
    return Look(
        backups=backups,
        segments=frozenset((None, segment) for segment in segments),
        listed=listed.get(name_of(case), frozenset() if case.policy.active else backups),
    )


def _listed(estate: Estate) -> Mapping[str, frozenset[str]]:
    """The backups as `barman list-backups` lists them."""
    answer = json.loads(_run(estate, "-f", "json", "list-backups", "all").stdout)
    said = [text for key in ("_WARNING", "_ERROR", "_EXCEPTION") for text in answer.get(key, ())]
    unexpected = [text for text in said if not re.search("retention_policy|Skipping inactive|retention policy", text)]
    if unexpected:
        raise NotPlanted(f"barman list-backups warns of what was planted: {unexpected[:5]}")
    return {
        name: frozenset(backup["backup_id"] for backup in backups)
        for name, backups in answer.items()
        if not name.startswith("_")
    }


def _check_planted(estate: Estate, cases: Sequence[Case]) -> None:
    listed = _listed(estate)
    for case in cases:
        planted = frozenset(backup.id for backup in case.backups)
        if case.policy.active and planted != listed[name_of(case)]:
            raise NotPlanted(f"{name_of(case)}: planted {sorted(planted)}, Barman lists {listed[name_of(case)]}")


def _run(estate: Estate, *arguments: str) -> Ran:
    program = str(estate.room.path / "bin" / ENGINE)
    return estate.room.run(program, "-c", str(estate.room.path / "etc/barman.conf"), *arguments, deadline=1200)
