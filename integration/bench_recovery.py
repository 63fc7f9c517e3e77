"""Measures what `pgwrap restore` and `pgwrap drill` add to the engine's own restore, PostgreSQL's start and the same
looks, on a pgbench database of a gigabyte under each engine. It proves no answer right.

Ours and theirs run in turn and take turns in being first. Before each of them what the one before has written is put on
disk: who comes next would wait for it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from integration.conftest import PAIR, QUIET_RPO
from integration.figures import Figure, Sample
from integration.lab.estate import Estate, estate
from integration.lab.machine import Machine
from integration.lab.postgres import PostgresServer, describe_server
from integration.lab.room import room

SCALE = 68
"""Of pgbench: about 15 MB each."""
LIMIT = 1.1
DEADLINE = 1200.0
JOBS = "2"
"""As a drill's own pg_amcheck has."""
STARTED_WITH = {"archive_mode": "off", "shared_buffers": "128MB", "autovacuum": "off", "fsync": "on"}
"""As a drill starts its copy, whose start is to take as long as a real one's: it syncs what was restored."""

Contender = Callable[[], float]


def recovery_figures(machine: Machine, repeat: int) -> Iterator[Figure]:
    """Both commands under both engines, each against the bare one in turn."""
    with room(machine, "bench") as place, estate(place, PAIR, rpo=QUIET_RPO) as made:
        made.render()
        for name, engine in PAIR.items():
            backup = _fill(made, name)
            bare = Bare(made=made, name=name, backup=backup, copy=describe_server(place, f"copy-{name}"))
            yield _figure(f"restore alone, 1 GB, {engine}", None, repeat, (partial(_restore, bare), bare.restored))
            ours = partial(_restore_and_look, bare)
            yield _figure(f"restore, start and looks, 1 GB, {engine}", LIMIT, repeat, (ours, bare.drilled))
            yield _figure(f"drill, 1 GB, {engine}", LIMIT, repeat, (partial(_drill, bare), bare.drilled))


def _fill(made: Estate, name: str) -> str:
    """A gigabyte of pgbench's and a backup of it; the backup's id."""
    made.apply_settings(name)
    made.start_engine(name)
    server = made.servers[name]
    connection = ("--host", str(server.sockets), "--port", str(server.port), "--username", "postgres")
    initialise = ("--initialize", "--quiet", f"--scale={SCALE}", *connection, "postgres")
    made.room.run(server.program("pgbench"), *initialise, deadline=DEADLINE)
    server.sql("checkpoint")
    made.commit_and_archive(name)
    backup = made.back_up(name)
    if PAIR[name] == "barman":
        server.sql("create schema pgwrap authorization barman")
    made.pgwrap("canary", name)
    made.commit_and_archive(name)
    return backup


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """The same work by the engine's and PostgreSQL's own commands, into a place of its own."""

    made: Estate
    name: str
    backup: str
    copy: PostgresServer

    def restored(self) -> float:
        """Wall seconds of the engine's own restore."""
        _settle(self.copy.data)
        began = time.monotonic()
        self._restore()
        return time.monotonic() - began

    def drilled(self) -> float:
        """Wall seconds of the restore, the start with all its WAL, every look of a drill, and the removal."""
        _settle(self.copy.data)
        began = time.monotonic()
        self._restore()
        self.look()
        return time.monotonic() - began

    def look(self) -> None:
        """Start what was restored with all its WAL, take every look of a drill at it, and remove it."""
        self.copy.prepare()
        self.copy.configure(STARTED_WITH)
        self.copy.start(DEADLINE)
        self.copy.wait_for("select not pg_is_in_recovery()", DEADLINE)
        self._look()
        shutil.rmtree(self.copy.data)

    def _restore(self) -> None:
        data = str(self.copy.data)
        if PAIR[self.name] == "barman":
            self.made.barman.run("recover", "--no-get-wal", self.name, self.backup, data, deadline=DEADLINE)
            return
        options = (f"--stanza={self.name}", f"--set={self.backup}", f"--pg1-path={data}", "--archive-mode=off")
        self.made.pgbackrest.run(*options, "restore")

    def _look(self) -> None:
        copy = self.copy
        connection = (f"--host={copy.sockets}", f"--port={copy.port}", "--username=postgres", "--no-password")
        amcheck = ("--all", "--install-missing", "--heapallindexed", f"--jobs={JOBS}")
        copy.room.run(copy.program("pg_amcheck"), *connection, *amcheck, deadline=DEADLINE)
        dump = ("--schema-only", "--no-role-passwords", "--no-sync", "--file=/dev/null")
        copy.room.run(copy.program("pg_dumpall"), *connection, *dump, deadline=DEADLINE)
        copy.stop()
        copy.room.run(copy.program("pg_checksums"), "--check", f"--pgdata={copy.data}", deadline=DEADLINE)


def _restore(bare: Bare) -> float:
    """Wall seconds of `pgwrap restore` into the same place."""
    _settle(bare.copy.data)
    return _timed(bare.made, "restore", bare.name, "--directory", str(bare.copy.data), "--yes", "--quiet")


def _restore_and_look(bare: Bare) -> float:
    """Wall seconds of `pgwrap restore`, and then of the same start and looks as by hand."""
    took = _restore(bare)
    began = time.monotonic()
    bare.look()
    return took + time.monotonic() - began


def _drill(bare: Bare) -> float:
    """Wall seconds of `pgwrap drill`."""
    parent = bare.made.room.directory("scratch")
    _settle(bare.copy.data)
    return _timed(bare.made, "drill", bare.name, "--directory", str(parent), "--quiet")


def _timed(made: Estate, *arguments: str) -> float:
    return made.pgwrap(*arguments, deadline=DEADLINE).seconds


def _settle(data: Path) -> None:
    """Nothing of the run before is there or still to be written."""
    shutil.rmtree(data, ignore_errors=True)
    os.sync()


def _figure(name: str, limit: float | None, repeat: int, both: tuple[Contender, Contender]) -> Figure:
    """One of ours and one of theirs in turn, each first every other time."""
    took, against = (Sample(values) for values in zip(*pairs(repeat, *both), strict=True))
    ratio = took.median / against.median
    return Figure(
        name=name,
        limit="" if limit is None else f"{limit} x",
        measured=took.text("s", 2),
        against=f"the bare commands: {against.text('s', 2)}",
        ratio=ratio,
        holds=None if limit is None else ratio <= limit,
    )


def pairs(repeat: int, ours: Contender, bare: Contender) -> Iterator[tuple[float, float]]:
    """What each took, in turn; each is first every other time."""
    for number in range(repeat):
        first = bare() if number % 2 else None
        took = ours()
        yield took, bare() if first is None else first
