"""Hundreds of clusters whose catalogs are copies of real ones, and the specs that name them. It measures nothing."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from integration.lab.native import NativeBarman, NativePgbackrest, native_barman, native_pgbackrest
from integration.lab.postgres import PostgresServer
from integration.lab.process import run
from integration.lab.room import Room
from integration.seed import BARMAN_OPTIONS, SERVER, STANZA, Pair, Seed

PGWRAP = str(Path(sys.prefix) / "bin" / "pgwrap")
STANZAS = 200
SERVERS = 50
STEP = timedelta(hours=1)
"""Between copied Barman backups."""

_HEAD = """\
version: 1
engines:
  pgbackrest: {{config: {pgbackrest}, log_directory: {place}/log, lock_directory: {place}/pgbackrest/lock}}
  barman: {{config: {barman}, servers: {place}/etc/barman.d, home: {home}, log_directory: {place}/log, run_as: {user}}}
state: {state}
repositories:
  local: {{path: {repository}}}
defaults:
  run_as: {user}
  retention: {{full: 2}}
clusters:
"""
_STANZA = """\
  {name}:
    engine: pgbackrest
    postgres: {{data_directory: {data}, socket_directory: {sockets}, port: {port}, user: postgres}}
    repositories: [local]
"""
_SERVER = """\
  {name}:
    engine: barman
    postgres: {{socket_directory: {sockets}, port: {port}, database: postgres, user: barman,
      streaming_user: streaming_barman}}
    backup: {{method: postgres}}
    wal: {{delivery: stream, slot: {slot}}}
    options: {{barman: {{path_prefix: {binaries}}}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A spec, and how many backups its engines list together."""

    spec: Path
    clusters: int
    backups: int


def pair_fleet(pair: Pair) -> Fleet:
    """The spec of the two real clusters."""
    pgbackrest, barman = pair.pgbackrest, pair.barman
    listed = len(list((pgbackrest.repository / "backup" / STANZA).glob("*F*"))) + len(barman.backup_states(SERVER))
    spec = _write_spec(pair.room, pgbackrest, barman, {STANZA: pair.servers[STANZA]}, {SERVER: pair.servers[SERVER]})
    return Fleet(spec=spec, clusters=2, backups=listed)


def grown_fleet(seed: Seed, pair: Pair, backups: int) -> Fleet:
    """Two hundred stanzas with `backups` backups each and fifty Barman servers with half as many.

    Every cluster is a copy of one of the two that run, and names that one as its server. Files of a repository are
    hard links: what the engines list is there, and a fleet takes little room.
    """
    place = Room(machine=seed.room.machine, path=seed.room.directory(f"fleet-{backups}"))
    stanzas = {f"stanza-{number:03}": pair.servers[STANZA] for number in range(1, STANZAS + 1)}
    servers = {f"server-{number:02}": pair.servers[SERVER] for number in range(1, SERVERS + 1)}
    pgbackrest = native_pgbackrest(place, stanzas)
    barman = native_barman(place, servers, BARMAN_OPTIONS)
    for name in stanzas:
        _copy_stanza(seed.repository(backups), pgbackrest.repository, name)
    for name in servers:
        _copy_server(seed, place, barman.home / name, backups // 2)
    for name, server in stanzas.items():
        _same_directory(server.data, server.data.with_name(name))
    spec = _write_spec(place, pgbackrest, barman, stanzas, servers)
    return Fleet(
        spec=spec,
        clusters=STANZAS + SERVERS,
        backups=STANZAS * backups + SERVERS * (backups // 2),
    )


def _copy_stanza(source: Path, repository: Path, name: str) -> None:
    for part in ("archive", "backup"):
        _copy_tree(source / part / STANZA, repository / part / name, os.link)


def _copy_server(seed: Seed, place: Room, home: Path, backups: int) -> None:
    """Barman's directory of one server: the WAL as it is, and the real backup's record once for each backup."""
    source = seed.barman_server
    home.mkdir()
    shutil.copystat(source, home)
    place.give(home)
    for entry in source.iterdir():
        if entry.name in {"base", "meta"}:
            continue
        if entry.is_dir():
            _copy_tree(entry, home / entry.name, _linked_unless_index)
        else:
            _own(entry, home / entry.name)
    _rename_index(home)
    for part in ("base", "meta"):
        if (source / part).is_dir():
            place.give(_made(home / part))
    record = _first_record(source)
    for position in range(backups):
        _write_record(place, home, record, position, backups)


def _linked_unless_index(source: str, target: str) -> None:
    """Barman writes into its list of WAL files, so every server needs its own; all else is replaced, never changed."""
    if source.endswith("xlog.db") or "lock" in Path(source).name:
        _own(Path(source), Path(target))
    else:
        os.link(source, target)


def _rename_index(home: Path) -> None:
    """From 3.13 on the list of WAL files bears the server's name."""
    for index in (home / "wals").glob(f"{SERVER}-xlog*.db"):
        index.rename(index.with_name(index.name.replace(SERVER, home.name, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A real `backup.info`, and whether this Barman keeps such files in `meta` (3.13.2 and later)."""

    id: str
    text: str
    in_meta: bool


def _first_record(server: Path) -> _Record:
    found = sorted((server / "meta").glob("*-backup.info"))
    if found:
        return _Record(id=found[0].name.removesuffix("-backup.info"), text=found[0].read_text(), in_meta=True)
    found = sorted((server / "base").glob("*/backup.info"))
    return _Record(id=found[0].parent.name, text=found[0].read_text(), in_meta=False)


def _write_record(place: Room, home: Path, record: _Record, position: int, backups: int) -> None:
    """Backup number `position`: its own id and times, and WAL of its own, two segments after the one before."""
    back = STEP * (backups - 1 - position)
    backup_id = (datetime.strptime(record.id, "%Y%m%dT%H%M%S") - back).strftime("%Y%m%dT%H%M%S")  # noqa: DTZ007
    base = _made(home / "base" / backup_id)
    place.give(base)
    place.give(_made(base / "data"))
    path = home / "meta" / f"{backup_id}-backup.info" if record.in_meta else base / "backup.info"
    text = record.text.replace(f"server_name={SERVER}\n", f"server_name={home.name}\n")
    path.write_text(_moved(text, back, 2 * position))
    place.give(path)


def _moved(text: str, back: timedelta, segments: int) -> str:
    """A `backup.info` whose times lie `back` earlier and whose WAL lies `segments` of 16 MB further on."""
    replace: Mapping[str, Callable[[str], str]] = {
        r"(?<=_time=).+": lambda found: str(datetime.fromisoformat(found).astimezone(UTC) - back),
        r"\b\d{8}[0-9A-F]{16}\b": lambda found: f"{found[:16]}{int(found[16:], 16) + segments:08X}",
        r"\b0/[0-9A-F]{7,8}\b": lambda found: f"0/{_position(found) + (segments << 24):X}",
    }
    for pattern, change in replace.items():
        text = _replaced(text, pattern, change)
    return text


def _replaced(text: str, pattern: str, change: Callable[[str], str]) -> str:
    return re.sub(pattern, lambda match: change(match[0]), text)


def _position(lsn: str) -> int:
    """The number behind an LSN of the first 4 GB, such as 0/3000028."""
    _, _, low = lsn.partition("/")
    return int(low, 16)


def _write_spec(
    place: Room,
    pgbackrest: NativePgbackrest,
    barman: NativeBarman,
    stanzas: Mapping[str, PostgresServer],
    servers: Mapping[str, PostgresServer],
) -> Path:
    state = place.path / "state"
    state.mkdir()
    head = _HEAD.format(
        place=place.path,
        pgbackrest=pgbackrest.config,
        barman=barman.config,
        home=barman.home,
        state=state,
        repository=pgbackrest.repository,
        user=place.machine.user,
    )
    spec = place.path / "pgwrap.yaml"
    spec.write_text(head + "".join((*_clusters(_STANZA, stanzas), *_clusters(_SERVER, servers))))
    run((PGWRAP, "render", "--config", str(spec), "--to", "/"))
    return spec


def _clusters(form: str, servers: Mapping[str, PostgresServer]) -> Iterator[str]:
    for name, server in servers.items():
        alone = len(servers) == 1  # else a spec that holds needs other names for the same directory and slot
        yield form.format(
            name=name,
            data=server.data if alone else server.data.with_name(name),
            slot="barman" if alone else name.replace("-", "_"),
            sockets=server.sockets,
            port=server.port,
            binaries=server.room.machine.postgres_bin,
        )


def _copy_tree(source: Path, target: Path, copy: Callable[[str, str], object]) -> None:
    shutil.copytree(source, target, symlinks=True, copy_function=copy)
    for directory, _, _ in os.walk(source):  # copytree keeps modes, not owners
        _chown_like(Path(directory), target / Path(directory).relative_to(source))


def _own(source: Path, target: Path) -> None:
    shutil.copy2(source, target)
    _chown_like(source, target)


def _chown_like(source: Path, target: Path) -> None:
    if os.geteuid() == 0:
        owner = source.stat()
        os.chown(target, owner.st_uid, owner.st_gid)


def _same_directory(directory: Path, name: Path) -> None:
    if not name.is_symlink():
        name.symlink_to(directory)


def _made(path: Path) -> Path:
    path.mkdir(mode=0o755)
    return path
