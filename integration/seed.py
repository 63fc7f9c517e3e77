"""Real backups of both engines, taken once and kept under .cache, to grow fleets from. It times nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.lab.machine import CHECKOUT, Machine
from integration.lab.native import (
    NativeBarman,
    NativePgbackrest,
    native_barman,
    native_pgbackrest,
    prepare_for_barman,
    wait_for_backups,
    wait_for_stream,
)
from integration.lab.postgres import PostgresServer, describe_server, postgres_server
from integration.lab.process import run
from integration.lab.room import Room

STANZA = "orders"
SERVER = "billing"
CATALOGS = (10, 20, 40)
"""After how many backups the pgBackRest repository is kept, so that fleets of three sizes come from real catalogs."""
CHAIN = ("full", *("incr",) * 4, "diff", *("incr",) * 4)
BARMAN_BACKUPS = 2
SEGMENTS = 44
"""WAL segments that Barman's archive holds at least: two for each backup that is copied from the real one."""
BARMAN_OPTIONS = "compression = gzip\n"
CACHE = CHECKOUT / ".cache" / "bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A room's copy of the seed: data directories of both clusters, pgBackRest's repositories, Barman's directory."""

    room: Room

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.room.path / "seed"

    def repository(self, backups: int) -> Path:
        """pgBackRest's repository as it was after so many backups."""
        return self.path / "pgbackrest" / str(backups)

    @property
    def barman_server(self) -> Path:
        """Barman's directory of its one server."""
        return self.path / "barman" / SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two clusters of the seed, running, each with its engine."""

    room: Room
    servers: Mapping[str, PostgresServer]
    pgbackrest: NativePgbackrest
    barman: NativeBarman


def plant(room: Room) -> Seed:
    """The seed in `room`, from the cache when this recipe ran on these versions before; minutes otherwise."""
    kept = CACHE / f"seed-{_recipe(room.machine)}.tar.gz"
    if not kept.exists():
        _grow(room)
        _keep(room, kept)
        shutil.rmtree(room.path / "seed")
    run(("tar", "-C", str(room.path), "-xzf", str(kept)))
    return Seed(room=room)


@contextmanager
def running(seed: Seed) -> Iterator[Pair]:
    """Both clusters of the seed, running, with their engines configured and Barman's receiver at work."""
    room = seed.room
    servers = {name: _revive(seed, name) for name in (STANZA, SERVER)}
    pgbackrest = native_pgbackrest(room, {STANZA: servers[STANZA]})
    barman = native_barman(room, {SERVER: servers[SERVER]}, BARMAN_OPTIONS)
    _move(seed.repository(CATALOGS[-1]), pgbackrest.repository, copy=True)
    _move(seed.barman_server, barman.home / SERVER, copy=True)
    servers[STANZA].configure(pgbackrest.settings(STANZA))
    try:
        for server in servers.values():
            server.configure({"max_connections": "300"})
            server.start()
        barman.run("cron")
        wait_for_stream(servers[SERVER])
        yield Pair(room=room, servers=servers, pgbackrest=pgbackrest, barman=barman)
    finally:
        for server in servers.values():
            server.stop("immediate")


def _recipe(machine: Machine) -> str:
    versions = machine.summary().encode()
    return hashlib.sha256(versions + Path(__file__).read_bytes()).hexdigest()[:12]


def _keep(room: Room, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    for outdated in kept.parent.glob("seed-*"):
        outdated.unlink()
    written = kept.with_suffix(".part")
    run(("tar", "-C", str(room.path), "-czf", str(written), "seed"))
    written.rename(kept)


def _grow(room: Room) -> None:
    """Live through forty backups with pgBackRest and two with Barman."""
    room.directory("seed", "pgbackrest")
    room.directory("seed", "barman")
    room.directory("seed", "data")
    with postgres_server(room, STANZA) as server:
        _fill_repository(room, server)
    with postgres_server(room, SERVER) as server:
        _fill_barman(room, server)
    shutil.rmtree(room.path / "pgbackrest")
    shutil.rmtree(room.path / "barman")
    shutil.rmtree(room.path / "etc")


def _fill_repository(room: Room, server: PostgresServer) -> None:
    engine = native_pgbackrest(room, {STANZA: server})
    server.configure(engine.settings(STANZA))
    server.restart()
    engine.run(f"--stanza={STANZA}", "stanza-create")
    options = (f"--stanza={STANZA}", "--repo1-retention-full=99", "--repo1-bundle")
    for number in range(1, max(CATALOGS) + 1):
        engine.run(*options, f"--type={CHAIN[(number - 1) % len(CHAIN)]}", "backup")
        server.switch_wal()
        if number in CATALOGS:  # hard links are safe: pgBackRest replaces its files, it never writes into one
            room.run("cp", "-al", str(engine.repository), str(room.path / "seed/pgbackrest" / str(number)))
    server.stop()
    _move(server.data, room.path / "seed/data" / STANZA)


def _fill_barman(room: Room, server: PostgresServer) -> None:
    prepare_for_barman(server)
    barman = native_barman(room, {SERVER: server}, BARMAN_OPTIONS)
    barman.run("cron")
    wait_for_stream(server)
    barman.take_wal(SERVER, server.switch_wal())
    for _ in range(BARMAN_BACKUPS):
        barman.run("backup", SERVER)
        barman.take_wal(SERVER, server.switch_wal())
        wait_for_backups(barman, SERVER)
    last = ""
    for _ in range(SEGMENTS):
        last = server.switch_wal()
    barman.take_wal(SERVER, last)
    server.stop()
    _move(barman.home / SERVER, room.path / "seed/barman" / SERVER)
    _move(server.data, room.path / "seed/data" / SERVER)


def _revive(seed: Seed, name: str) -> PostgresServer:
    server = describe_server(seed.room, name)
    seed.room.directory("data")
    _move(seed.path / "data" / name, server.data)
    server.prepare()
    return server


def _move(source: Path, target: Path, *, copy: bool = False) -> None:
    """Put a directory in a place where there may be an empty one; `copy` leaves the source, with its own files."""
    if target.exists():
        target.rmdir()
    if copy:
        run(("cp", "-a", str(source), str(target)))
    else:
        os.rename(source, target)  # noqa: PTH104 - a plain rename, within one file system
