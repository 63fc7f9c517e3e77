"""Load on one server while something else happens, and what it saw: commits, how long each took, what status said.

The rows of `ledger` are the judge of a restore: with `track_commit_timestamp` the server itself knows when each was
committed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from integration.lab.moving import Move
from integration.lab.postgres import PostgresServer
from integration.lab.process import start, stop_group

LEDGER = "create table ledger (number bigint generated always as identity primary key, note text)"
COMMITTED = "select number, pg_xact_commit_timestamp(xmin) from ledger order by number"
_PAUSE = 0.02


@dataclass(slots=True)
class Committer:
    """Commits a row at a time, and remembers how long each took; it goes on by itself after a restart."""

    server: PostgresServer
    slowest: float = 0.0
    rows: int = 0
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until it is told to end."""
        while not self._end.is_set():
            try:
                self._commit_all()
            except psycopg.Error:
                time.sleep(0.2)

    def _commit_all(self) -> None:
        with psycopg.connect(_dsn(self.server), autocommit=True) as connection:
            while not self._end.wait(_PAUSE):
                began = time.monotonic()
                connection.execute("insert into ledger (note) values ('x')")
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.rows += 1

    def end(self) -> None:
        """No commit after this."""
        self._end.set()


@dataclass(slots=True)
class Sampler:
    """What `pgwrap status` says can be restored, once a second or as often as it answers."""

    moved: Move
    samples: list[Any] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until it is told to end."""
        while not self._end.is_set():
            began = time.monotonic()
            ran = self.moved.made.pgwrap("status", "-o", "json", "--quiet", check=False, deadline=300)
            self.samples.append(json.loads(ran.stdout)["result"]["clusters"])
            self._end.wait(max(0.0, 1.0 - (time.monotonic() - began)))

    def end(self) -> None:
        """No look after this."""
        self._end.set()

    def spans(self) -> list[list[tuple[datetime, datetime]]]:
        """Of each look: the united window of a cluster that moves, else the only entry's."""
        return [_span(clusters) for clusters in self.samples]


def _span(clusters: Any) -> list[tuple[datetime, datetime]]:
    moving = next((one["moving"] for one in clusters if one["moving"]), None)
    told = moving["recoverable"] if moving else clusters[0]["recoverable"]
    assert told is not None, clusters
    spans = sorted((datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["to"])) for one in told)
    joined: list[tuple[datetime, datetime]] = []
    for first, last in spans:
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


@contextmanager
def running(*workers: Committer | Sampler) -> Iterator[None]:
    """Each in a thread of its own, ended on the way out."""
    threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.end()
        for thread in threads:
            thread.join(timeout=300)


@contextmanager
def pgbench(server: PostgresServer, rate: int) -> Iterator[None]:
    """Two clients of pgbench's own transactions, so many a second, for as long as it takes, also through restarts."""
    connection = ("--host", str(server.sockets), "--port", str(server.port), "--username", "postgres", "postgres")
    ending = threading.Event()

    def go() -> None:
        while not ending.is_set():
            argv = (server.program("pgbench"), "-n", "-c2", f"-R{rate}", "-T3600", *connection)
            with start(argv, user=server.room.machine.user, directory=server.room.path) as process:
                while process.poll() is None and not ending.wait(0.2):
                    pass
                stop_group(process)

    server.room.run(server.program("pgbench"), "-i", "-q", "-s1", *connection)
    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(timeout=60)


def committed(server: PostgresServer) -> dict[int, datetime]:
    """When each row of the ledger was committed, by the server itself."""
    with psycopg.connect(_dsn(server), autocommit=True) as connection:
        return dict(connection.execute(COMMITTED).fetchall())


def numbers(server: PostgresServer) -> set[int]:
    """The rows of a restored copy."""
    with psycopg.connect(_dsn(server), autocommit=True) as connection:
        return {row[0] for row in connection.execute("select number from ledger").fetchall()}


def _dsn(server: PostgresServer) -> str:
    return f"host={server.sockets} port={server.port} user=postgres dbname=postgres"
