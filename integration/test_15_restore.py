"""Restores with both engines by `pgwrap restore`, proven by the rows on either side of each target."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import MakeEstate
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.postgres import PostgresServer, describe_server
from integration.lab.process import Ran

PAIR = {ORDERS: "pgbackrest", BILLING: "barman"}
POINT = "before d"


@dataclass(frozen=True, kw_only=True)
class Past:
    """What happened in one cluster: labels in the order they were committed, and what names the moments between."""

    made: Estate
    name: str
    backups: tuple[str, ...]
    """Taken before a, and between b and c."""
    times: Mapping[str, str]
    """After each label's commit, before the next one's."""
    positions: Mapping[str, str]
    xids: Mapping[str, str]

    @property
    def server(self) -> PostgresServer:
        return self.made.servers[self.name]


def happen(made: Estate, name: str) -> Past:
    """Backup, a, b, backup, c, a named point, d, a promotion, e; everything archived."""
    server = made.servers[name]
    fast = made.room.directory("tablespaces", name)
    server.sql(f"create tablespace fast location '{fast}'")
    server.sql("create table moments (label text, at timestamptz default clock_timestamp())")
    server.sql("create table elsewhere (label text) tablespace fast")
    times: dict[str, str] = {}
    positions: dict[str, str] = {}
    xids: dict[str, str] = {}

    def record(label: str) -> None:
        both = f"insert into moments values ('{label}'); insert into elsewhere values ('{label}')"
        xids[label] = server.sql(f"begin; {both}; select pg_current_xact_id(); commit")
        positions[label] = server.sql("select pg_current_wal_lsn()")
        times[label] = server.sql("select pg_sleep(1.1); select clock_timestamp()").strip()
        server.sql("select pg_sleep(0.1)")

    backups = [made.back_up(name)]
    record("a")
    record("b")
    server.sql("select pg_sleep(1.1)")
    backups.append(made.back_up(name))
    record("c")
    server.sql(f"select pg_create_restore_point('{POINT}')")
    record("d")
    promote(made, name)
    record("e")
    made.commit_and_archive(name)
    return Past(made=made, name=name, backups=tuple(backups), times=times, positions=positions, xids=xids)


def promote(made: Estate, name: str) -> None:
    """The shortest way to a new timeline: come up as a standby without a primary, and be promoted."""
    server = made.servers[name]
    made.commit_and_archive(name)
    server.stop()
    signal = server.data / "standby.signal"
    signal.touch()
    server.room.give(signal)
    server.start()
    server.promote()
    if made.engines[name] == "barman":
        made.start_engine(name)


@pytest.fixture(scope="module")
def estate(make_estate: MakeEstate) -> Estate:
    """A server under each engine."""
    return make_estate(PAIR)


@pytest.fixture(scope="module")
def pasts(estate: Estate) -> Mapping[str, Past]:
    """Both pasts."""
    return {name: happen(estate, name) for name in PAIR}


@pytest.fixture(params=[ORDERS, BILLING])
def past(request: pytest.FixtureRequest, pasts: Mapping[str, Past]) -> Past:
    """One engine's, then the other's."""
    return pasts[request.param]


@pytest.fixture
def where(past: Past) -> Iterator[PostgresServer]:
    """A place for a copy, with a port of its own; nothing is left of it."""
    copy = describe_server(past.made.room, f"copy-{past.name}")
    yield copy
    if (copy.data / "postmaster.pid").exists():
        copy.stop("immediate")
    for path in (copy.data, tablespaces(copy)):
        shutil.rmtree(path, ignore_errors=True)


def tablespaces(copy: PostgresServer) -> Path:
    """Where the tablespaces of a copy go."""
    return copy.data.with_name(f"{copy.data.name}-tablespaces")


def restore(past: Past, copy: PostgresServer, *arguments: str, check: bool = True) -> Ran:
    """`pgwrap restore` into the place."""
    places = ("--directory", str(copy.data), "--tablespaces-in", str(tablespaces(copy)))
    return past.made.pgwrap("restore", past.name, *places, "--yes", *arguments, check=check)


def plan(past: Past, copy: PostgresServer, *arguments: str) -> dict[str, Any]:
    """The plan alone."""
    ran = restore(past, copy, *arguments, "--dry-run", "-o", "json", check=False)
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


@contextmanager
def started(copy: PostgresServer) -> Iterator[PostgresServer]:
    """The copy, running beside the original."""
    copy.prepare()
    copy.start()
    try:
        yield copy
    finally:
        copy.stop("immediate")


def labels(copy: PostgresServer) -> str:
    """What was committed, as far as the copy knows; the same in the tablespace."""
    inside, outside = (
        copy.sql(f"select coalesce(string_agg(label, '' order by label), '') from {table}")
        for table in ("moments", "elsewhere")
    )
    assert inside == outside
    return inside


TARGETS: Mapping[str, tuple[Callable[[Past], tuple[str, ...]], str]] = {
    "latest": (lambda _: (), "abcde"),
    "immediate": (lambda _: ("--target-immediate",), "ab"),
    "time": (lambda past: ("--target-time", past.times["c"]), "abc"),
    "time before the newest backup": (lambda past: ("--target-time", past.times["a"]), "a"),
    "time on timeline 2": (lambda past: ("--target-time", past.times["d"]), "abcd"),
    "lsn": (lambda past: ("--target-lsn", past.positions["c"]), "abc"),
    "lsn before the newest backup": (lambda past: ("--target-lsn", past.positions["a"]), "a"),
    "xid": (lambda past: ("--target-xid", past.xids["c"]), "abc"),
    "xid, exclusive": (lambda past: ("--target-xid", past.xids["d"], "--exclusive"), "abc"),
    "name": (lambda _: ("--target-name", POINT), "abc"),
    "timeline 1": (lambda past: ("--target-time", past.times["c"], "--target-timeline", "1"), "abc"),
    "backup that is not the newest": (lambda past: ("--backup", past.backups[0], "--target-immediate"), ""),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_reached_exactly(past: Past, where: PostgresServer, target: str) -> None:
    """All that was committed up to it is there, and nothing that was committed after it; nothing is archived."""
    arguments, expected = TARGETS[target]
    restore(past, where, *arguments(past))
    with started(where) as copy:
        if target == "latest":
            copy.wait_for("select not pg_is_in_recovery()")
            assert copy.sql("select timeline_id > 2 from pg_control_checkpoint()") == "t"
        else:
            copy.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")
        assert labels(copy) == expected
        assert copy.sql("show archive_mode") == "off"
