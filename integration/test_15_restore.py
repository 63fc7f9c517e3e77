"""Restores with both engines by `pgwrap restore`, proven by the rows on either side of each target."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import MakeEstate
from integration.lab.estate import BARMAN_CLUSTER, BILLING, ORDERS, Estate, search_path
from integration.lab.native import prepare_for_barman, wait_for_backups, wait_for_stream
from integration.lab.postgres import PostgresServer, describe_server
from integration.lab.process import Ran, run

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


IN_EVERY_RUN = ("latest", "time on timeline 2", "lsn", "name", "xid, exclusive")
"""The others are variants that the matrix runs."""


@pytest.mark.parametrize(
    "target",
    [pytest.param(one, marks=() if one in IN_EVERY_RUN else pytest.mark.thorough) for one in TARGETS],
)
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


def test_the_plan_tells_it_all_and_changes_nothing(past: Past, where: PostgresServer) -> None:
    """Backup, reason, WAL, room, settings, commands; the directory is not even made."""
    answer = plan(past, where, "--target-time", past.times["c"])
    told = answer["result"]
    assert (answer["schema"], answer["outcome"], told["refusals"]) == ("pgwrap/restore-plan/1", "success", [])
    assert (told["backup"], told["proven"]) == (past.backups[1], True)
    assert told["reason"] == "the newest backup that ended before the target"
    assert told["wal"]["segments"] >= 1
    assert all(one["free_bytes"] > one["needed_bytes"] for one in told["space"])
    assert {one["name"] for one in told["settings"]} >= {"recovery_target_time", "archive_mode"}
    assert [one["name"] for one in told["tablespaces"]] == ["fast"]
    assert any("recover" in command or "restore" in command for command in told["commands"])
    assert not where.data.exists()


def test_the_native_command_of_a_plan_does_the_same(past: Past, where: PostgresServer) -> None:
    """Every command of the plan, typed by hand."""
    told = plan(past, where, "--target-name", POINT)["result"]
    user = past.made.room.machine.user
    for command in told["commands"]:
        typed = command.replace(f"sudo -u {user} ", f"runuser -u {user} -- ")  # sudo would clean PATH
        run(("sh", "-ec", typed), environment={"PATH": search_path(past.made.room.machine)})
    with started(where) as copy:
        copy.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")
        assert labels(copy) == "abc"


@pytest.mark.thorough("billing")
def test_delta_brings_a_copy_to_another_target(past: Past, where: PostgresServer) -> None:
    """Over what is there, tablespace and all; a copy that runs is refused."""
    restore(past, where, "--target-time", past.times["a"], "--target-action", "promote")
    with started(where) as copy:
        copy.wait_for("select not pg_is_in_recovery()")
        copy.sql("drop table moments")
        refuse(past, where, "running-server", "--target-name", POINT, "--delta")
    refuse(past, where, "not-empty", "--target-name", POINT)
    restore(past, where, "--target-name", POINT, "--delta")
    with started(where) as copy:
        copy.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")
        assert labels(copy) == "abc"


def test_a_standby_streams(past: Past, where: PostgresServer) -> None:
    """From the original, which is not harmed by it; a restore over the standby is refused."""
    restore(past, where, "--as", "standby")
    with started(where) as copy:
        copy.wait_for("select exists (select from pg_stat_wal_receiver where status = 'streaming')")
        past.server.sql("create table streamed as select 'yes' as answer")
        copy.wait_for("select to_regclass('streamed') is not null")
        assert copy.sql("select pg_is_in_recovery()") == "t"
        refuse(past, where, "running-server", "--as", "standby", "--delta")
        past.server.sql("drop table streamed")


def refuse(past: Past, copy: PostgresServer, code: str, *arguments: str) -> str:
    """A plan that is refused for this reason, with a way out, and that leaves everything as it was."""
    told = plan(past, copy, *arguments)["result"]
    refusals = {one["code"]: one for one in told["refusals"]}
    assert code in refusals
    assert refusals[code]["hint"]
    ran = restore(past, copy, *arguments, check=False)
    assert (ran.exit_code, ran.stdout) == (8, "")
    hint: str = refusals[code]["hint"]
    assert hint in ran.stderr
    return hint


@pytest.mark.thorough("billing")
def test_the_running_original_is_never_written_to(past: Past) -> None:
    """Not even by name."""
    server = past.server
    for more in ((), ("--delta",), ("--delta", "--accept", "original-directory"), ("--replace",)):
        refuse(past, server, "running-server", *more)
    assert server.sql("select count(*) from moments") == "5"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("2026-11-25 10:00", "names no time zone"),
        ("2099-01-01 00:00:00+00", "in the future"),
        ("2020-01-01 00:00:00+00", "the oldest moment"),
        ("1 second ago", "the newest moment"),
    ],
)
def test_a_time_that_cannot_be_is_refused(past: Past, where: PostgresServer, target: str, code: str) -> None:
    """With the nearest that can, and nothing made."""
    ran = restore(past, where, "--target-time", target, check=False)
    assert (ran.exit_code, ran.stdout) == (8, "")
    assert code in ran.stderr
    assert "hint: " in ran.stderr
    assert not where.data.exists()


def test_another_clusters_directory_is_refused(past: Past, where: PostgresServer) -> None:
    """And is whole afterwards."""
    where.room.run(where.program("initdb"), "--pgdata", str(where.data), "--no-sync", "--username", "postgres")
    before = sorted(path.name for path in where.data.iterdir())
    hint = refuse(past, where, "other-system", "--delta")
    assert "would be lost" in hint
    assert sorted(path.name for path in where.data.iterdir()) == before


def test_files_that_are_no_cluster_are_not_deleted(past: Past, where: PostgresServer) -> None:
    """A home directory, say."""
    past.made.room.directory("data", where.data.name)
    letter = past.made.room.write(f"data/{where.data.name}/letter.txt", "dear")
    refuse(past, where, "no-cluster-there", "--delta")
    refuse(past, where, "not-empty", "--replace")
    assert letter.read_text() == "dear"


def test_the_originals_tablespace_is_not_written_to(past: Past, where: PostgresServer) -> None:
    """A copy on the same host needs places of its own."""
    arguments = ("restore", past.name, "--directory", str(where.data), "--yes")
    ran = past.made.pgwrap(*arguments, check=False)
    assert (ran.exit_code, "--tablespaces-in DIR" in ran.stderr) == (8, True)
    assert past.server.sql("select count(*) from elsewhere") == "5"


def test_a_full_file_system_is_seen_beforehand(past: Past, where: PostgresServer) -> None:
    """With figures."""
    small = past.made.room.directory("small")
    mounted = run(("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)), check=False)
    if mounted.exit_code != 0:
        pytest.skip("only root can mount a small file system")
    try:
        inside = replace(where, data=small / "copy")
        hint = refuse(past, inside, "no-space")
        assert "make room" in hint
        assert list(small.iterdir()) == []
    finally:
        run(("umount", str(small)))


def test_root_owns_no_data_directory(past: Past, where: PostgresServer) -> None:
    """PostgreSQL would not start."""
    ran = restore(past, where, "--owner", "root", check=False)
    assert (ran.exit_code, "refuses to run as root" in ran.stderr) == (2, True)
    assert not where.data.exists()


@pytest.mark.thorough("orders")
def test_an_interrupted_restore_can_be_begun_again(past: Past, where: PostgresServer) -> None:
    """What it left is recognised, is not taken for a cluster, and is replaced by name alone."""
    engine = past.made.engines[past.name]
    real = past.made.room.machine.engine(engine).program
    path = past.made.room.directory("dying", past.name, mode=0o755)
    wrapper = past.made.room.write(
        f"dying/{past.name}/{engine}",
        '#!/bin/sh\ncase " $* " in *" restore "* | *" recover "*) '
        f'{real} "$@"; kill -9 $$ ;; *) exec {real} "$@" ;; esac\n',
        mode=0o755,
    )
    assert wrapper.exists()
    places = ("--directory", str(where.data), "--tablespaces-in", str(tablespaces(where)), "--yes")
    killed = past.made.pgwrap("restore", past.name, *places, check=False, path=path)
    assert (killed.exit_code, killed.stdout) == (5, "")
    refuse(past, where, "interrupted-restore", "--target-name", POINT)
    restore(past, where, "--target-name", POINT, "--replace")
    with started(where) as copy:
        copy.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")
        assert labels(copy) == "abc"
    refuse(past, where, "not-empty", "--target-name", POINT, "--replace")


def test_nobody_is_asked_where_there_is_nobody(past: Past, where: PostgresServer) -> None:
    """Without a terminal and without --yes nothing happens."""
    ran = past.made.pgwrap(
        "restore", past.name, "-D", str(where.data), "--tablespaces-in", f"{where.data}-t", check=False
    )
    assert ran.exit_code == 8
    assert "say --yes" in ran.stderr
    assert not where.data.exists()


@pytest.mark.thorough("orders")
def test_a_server_configured_elsewhere_gets_what_it_needs(past: Past, where: PostgresServer) -> None:
    """As Debian does it: the copy starts on its own, with the limits of the original."""
    server = past.server
    outside = past.made.room.directory("etc", "postgresql", past.name)
    server.sql("alter system set max_connections = 55")
    server.stop()
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        (server.data / name).rename(outside / name)
    files = {"config_file": "postgresql.conf", "hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"}
    options = " ".join(f"-c {setting}={outside / name}" for setting, name in files.items())
    server.room.run(
        server.program("pg_ctl"), "-D", str(server.data), "-o", options, "-w", "-l", str(server.log), "start"
    )
    if past.name == BILLING:
        past.made.start_engine(BILLING)
    past.made.back_up(past.name)
    ran = restore(past, where)
    assert "the original's lies elsewhere" in ran.stdout
    options = f"-p {where.port} -c unix_socket_directories={where.sockets}"
    where.room.run(where.program("pg_ctl"), "-D", str(where.data), "-o", options, "-w", "-l", str(where.log), "start")
    where.wait_for("select not pg_is_in_recovery()")
    assert where.sql("show max_connections") == "55"
    assert where.sql("show archive_mode") == "off"
    assert labels(where) == "abcde"


def test_a_lost_segment_is_named(past: Past, where: PostgresServer) -> None:
    """Last, for it takes WAL out of the archive: a target behind it is refused with the moments on both sides."""
    archive = past.made.room.path / ("pgbackrest/archive" if past.name == ORDERS else "barman") / past.name
    segments = [past.made.commit_and_archive(past.name) for _ in range(3)]
    inside = past.server.sql("select clock_timestamp()")
    past.made.commit_and_archive(past.name)
    (lost,) = archive.glob(f"**/{segments[1]}*")
    lost.unlink()
    past.made.back_up(past.name)
    ran = restore(past, where, "--target-time", inside, check=False)
    assert ran.exit_code == 8
    assert segments[1] in ran.stderr
    assert "the nearest moments" in ran.stderr


SECOND = "orders-too"


@pytest.fixture(scope="module")
def both(make_estate: MakeEstate) -> Estate:
    """One server under both engines: pgBackRest's backup first, then Barman's, rows around each."""
    made = make_estate({ORDERS: "pgbackrest"})
    server = made.servers[ORDERS]
    prepare_for_barman(server)
    place = {"sockets": server.sockets, "port": server.port, "binaries": made.room.machine.postgres_bin}
    with made.spec.open("a") as spec:
        spec.write(BARMAN_CLUSTER.format(name=SECOND, more="", **place))
    made.render()
    made.barman.run("cron")
    wait_for_stream(server)
    made.barman.take_wal(SECOND, server.switch_wal())
    server.sql("create table moments (label text, at timestamptz default clock_timestamp())")
    made.back_up(ORDERS)
    server.sql("select pg_sleep(1.1)")
    server.sql("insert into moments values ('a')")
    server.sql("select pg_sleep(1.1)")
    made.pgwrap("backup", SECOND)
    made.barman.take_wal(SECOND, server.switch_wal())
    wait_for_backups(made.barman, SECOND)
    server.sql("select pg_sleep(1.1)")
    server.sql("insert into moments values ('b')")
    server.sql("select pg_sleep(1.1)")
    made.barman.take_wal(SECOND, made.commit_and_archive(ORDERS))
    return made


def chosen(made: Estate, *arguments: str) -> dict[str, Any]:
    """The plan for the cluster by its first name."""
    copy = ("-D", str(made.room.path / "data" / "copy"), "--dry-run", "-o", "json")
    told: dict[str, Any] = json.loads(made.pgwrap("restore", ORDERS, *copy, *arguments).stdout)["result"]
    return told


def test_the_engine_with_the_better_backup_is_taken(both: Estate) -> None:
    """Whichever name the cluster was called by; the other can be named."""
    times = both.servers[ORDERS].sql("select at + interval '0.5 s' from moments order by at").splitlines()
    early, late = (chosen(both, "--target-time", time) for time in times)
    assert (early["engine"], early["source"]) == ("pgbackrest", ORDERS)
    assert (late["engine"], late["source"], late["cluster"]) == ("barman", SECOND, ORDERS)
    assert "the best of pgbackrest" in late["reason"]
    assert "older" in late["reason"]
    assert chosen(both, "--target-time", times[1], "--engine", "pgbackrest")["engine"] == "pgbackrest"


def test_the_other_engine_saves_what_one_has_lost(both: Estate) -> None:
    """pgBackRest's repository is gone: Barman's backup restores the cluster, and the plan says what is missing."""
    repository = both.room.path / "pgbackrest"
    hidden = repository.rename(repository.with_name("lost"))
    copy = describe_server(both.room, "saved")
    try:
        told = chosen(both)
        assert (told["engine"], told["source"]) == ("barman", SECOND)
        both.pgwrap("restore", ORDERS, "-D", str(copy.data), "--yes")
    finally:
        hidden.rename(repository)
    with started(copy):
        copy.wait_for("select not pg_is_in_recovery()")
        assert copy.sql("select string_agg(label, '' order by label) from moments") == "ab"
