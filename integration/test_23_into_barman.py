"""A pgBackRest history that is carried into Barman's catalog restores there to every moment, exactly."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.conftest import QUIET_RPO
from integration.lab.answers import cluster, status
from integration.lab.carrying_into_barman import FRESH, both_engines
from integration.lab.estate import ORDERS, Estate, search_path
from integration.lab.machine import CHECKOUT, Machine
from integration.lab.native import wait_for_backups
from integration.lab.postgres import PostgresServer, describe_server
from integration.lab.process import Ran, run, start
from integration.lab.room import room

pytestmark = pytest.mark.thorough

MOMENTS = (1, 2, 3)
TYPES = {1: "full", 2: "differential", 3: "incremental"}


@dataclass(frozen=True, kw_only=True)
class History:
    """What happened: a row `n` before each moment, a row `-n` after it, in two tables, one of a tablespace."""

    made: Estate
    times: Mapping[int, str]
    backups: Mapping[int, str]
    """Each moment's last backup, by pgBackRest's label."""

    def carried_id(self, moment: int) -> str:
        """A backup's id at Barman."""
        date, clock = self.backups[moment].split("_")[-1][:-1].split("-")
        return f"{date}T{clock}"

    @property
    def catalog(self) -> Path:
        """Barman's directory of the server."""
        return self.made.room.path / "barman" / FRESH


def happen(made: Estate) -> History:
    """A full, a differential and an incremental backup; after the last one a timeline switch, then the last moment."""
    server = made.servers[ORDERS]
    space = made.room.directory("space", mode=0o700)
    server.sql(f"create tablespace elsewhere location '{space}'")
    server.sql("create table happened (n int); create table there (n int) tablespace elsewhere")
    times, backups = {}, {}
    for moment in MOMENTS:
        backups[moment] = made.back_up(ORDERS, TYPES[moment])
        time.sleep(1.1)  # a backup ends in a whole second, and no two may begin in the same
        if moment == MOMENTS[-1]:
            switch_timeline(server)
        note(server, moment)
        times[moment] = server.sql("select clock_timestamp()")
        note(server, -moment)
        made.commit_and_archive(ORDERS)
    return History(made=made, times=times, backups=backups)


def note(server: PostgresServer, number: int) -> None:
    """A row in both tables, in a transaction of its own."""
    server.sql(f"begin; insert into happened values ({number}); insert into there values ({number}); commit")


def switch_timeline(server: PostgresServer) -> None:
    """Come up as a standby without a primary, and be promoted."""
    server.stop()
    (server.data / "standby.signal").touch()
    server.room.give(server.data / "standby.signal")
    server.start()
    server.promote()


@pytest.fixture(scope="module")
def history(machine: Machine) -> Iterator[History]:
    """The history under pgBackRest, and an empty server of Barman's."""
    if machine.pgbackrest is None or machine.barman is None:
        pytest.skip("it takes both engines")
    with room(machine, "test") as place, both_engines(place, rpo=QUIET_RPO) as made:
        yield happen(made)


def environment(made: Estate) -> dict[str, str]:
    """As `pgwrap` has it; the laboratory's own program imports the checkout."""
    return {"PATH": search_path(made.room.machine), "PYTHONPATH": str(CHECKOUT)}


def carry(made: Estate, *arguments: str) -> Ran:
    """Carry to the end."""
    argv = (sys.executable, "-m", "integration.lab.carrying_into_barman", str(made.spec), *arguments)
    return run(argv, environment=environment(made), directory=CHECKOUT)


def carry_until(made: Estate, reached: Callable[[], bool]) -> None:
    """Begin to carry, and kill pgwrap alone when something is reached."""
    argv = (sys.executable, "-m", "integration.lab.carrying_into_barman", str(made.spec))
    with start(argv, environment=environment(made), directory=CHECKOUT) as running:
        until = time.monotonic() + 60
        while not reached():
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < until
            time.sleep(0.002)
        running.kill()
        assert running.wait() == -signal.SIGKILL
        for pipe in (running.stdin, running.stdout, running.stderr):
            assert pipe is not None
            with suppress(OSError, subprocess.TimeoutExpired):
                pipe.close()


def listed(made: Estate) -> list[str]:
    """The backups of the server that Barman lists as DONE, oldest first; there are no others."""
    states = made.barman.backup_states(FRESH)
    assert set(states.values()) <= {"DONE"}
    return sorted(states)


def work_directories(history: History) -> list[Path]:
    """What carrying works in."""
    return list((history.catalog / "base").glob(".pgwrap-carry-*"))


def test_a_kill_leaves_nothing_or_a_whole_backup(history: History) -> None:
    """While the first base is unpacked nothing shows; once it shows, it is whole, and the rest is missing."""
    made = history.made
    carry_until(made, lambda: bool(list((history.catalog / "base").glob(".pgwrap-carry-*/2*T*/data/base"))))
    assert listed(made) == []
    assert len(work_directories(history)) == 1
    carry_until(made, (history.catalog / "base" / history.carried_id(1)).is_dir)
    assert listed(made) in ([], [history.carried_id(1)])


def test_run_again_it_goes_on_to_the_end(history: History) -> None:
    """All backups are there, with their own times; nothing is left of what was killed."""
    ran = carry(history.made)
    assert "had left in" in ran.stdout
    assert listed(history.made) == [history.carried_id(moment) for moment in MOMENTS]
    assert work_directories(history) == []
    assert list(history.catalog.glob("errors/*")) == []
    seen = status(history.made)
    old, new = (
        [
            (one["started_at"], one["stopped_at"], one["wal_start"], one["lsn_stop"])
            for one in cluster(seen, name)["backups"]
        ]
        for name in (ORDERS, FRESH)
    )
    assert old == new


def test_there_is_nothing_left_to_do(history: History) -> None:
    """A third run finds all of it there."""
    assert "carried 0 0 " in carry(history.made).stdout


@pytest.fixture
def copy(history: History) -> Iterator[PostgresServer]:
    """A place to restore to."""
    found = describe_server(history.made.room, "copy")
    yield found
    if (found.data / "postmaster.pid").exists():
        found.stop("immediate")
    for path in (found.data, found.data.with_name("copy-elsewhere")):
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize(("moment", "base"), [(1, 1), (2, 2), (3, 3), (3, 1)])
def test_barman_recovers_to_each_moment(history: History, copy: PostgresServer, moment: int, base: int) -> None:
    """Every row before it, none after it; also from the oldest base across the timeline switch."""
    recover(history, copy, moment, base)
    copy.prepare()
    copy.configure({"archive_mode": "off"})
    copy.start()
    copy.wait_for("select not pg_is_in_recovery()")
    rows = ",".join(str(number) for number in sorted((*range(1, moment + 1), *(-one for one in range(1, moment)))))
    for table in ("happened", "there"):
        assert copy.sql(f"select string_agg(n::text, ',' order by n) from {table}") == rows


def recover(history: History, copy: PostgresServer, moment: int, base: int) -> None:
    """`barman recover`, as its manual says."""
    version = tuple(int(part) for part in history.made.room.machine.engine("barman").version.split("."))
    space = history.made.room.directory("data") / "copy-elsewhere"
    history.made.barman.run(
        "recover" if version < (3, 12) else "restore",
        *("--target-time", history.times[moment], "--target-action", "promote"),
        *("--target-tli", "2" if moment == MOMENTS[-1] else "1"),
        *("--tablespace", f"elsewhere:{space}"),
        *(FRESH, history.carried_id(base), str(copy.data)),
    )


def test_a_first_backup_of_its_own_costs_no_history(history: History) -> None:
    """Barman deletes what is older than its very first backup: this one is not the first."""
    made = history.made
    before = wal_files(history)
    made.start_engine(FRESH)
    made.back_up(FRESH)
    wait_for_backups(made.barman, FRESH)
    assert listed(made)[: len(MOMENTS)] == [history.carried_id(moment) for moment in MOMENTS]
    assert before <= wal_files(history)


def wal_files(history: History) -> set[str]:
    """The names in Barman's archive."""
    return {path.name for path in (history.catalog / "wals").glob("**/*") if path.is_file() and "xlog" not in path.name}


def test_fewer_bases_reach_as_far(machine: Machine, history: History, copy: PostgresServer) -> None:
    """With the oldest base alone, and WAL that Barman compresses, everything is still reachable."""
    del machine
    made = history.made
    shutil.rmtree(history.catalog / "base", ignore_errors=True)
    shutil.rmtree(history.catalog / "meta", ignore_errors=True)
    shutil.rmtree(history.catalog / "wals", ignore_errors=True)
    made.write_spec()
    text = made.spec.read_text().replace("create_slot: true}", "create_slot: true, compression: gz}")
    made.spec.write_text(text)
    made.render()
    carry(made, "oldest")
    assert listed(made) == [history.carried_id(1)]
    segments = list((history.catalog / "wals").glob("0*/" + "[0-9A-F]" * 24))
    assert segments
    assert {path.read_bytes()[:2] for path in segments} == {b"\x1f\x8b"}
    test_barman_recovers_to_each_moment(history, copy, 3, 1)
