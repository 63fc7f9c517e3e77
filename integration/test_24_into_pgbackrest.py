"""The history of a Barman server carried into pgBackRest, and restored from there by pgBackRest's commands alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integration.lab.estate import Estate, prepare_places, search_path
from integration.lab.machine import Machine
from integration.lab.native import prepare_for_barman, wait_for_backups
from integration.lab.postgres import PostgresServer, describe_server, postgres_server
from integration.lab.process import Ran, processes_in, run, start
from integration.lab.room import room

pytestmark = pytest.mark.thorough

RECOVERING = 52
"""So many effects after those of a plan, PostgreSQL has been told to recover the first copy."""
OLD, NEW, HISTORY = "old", "new", "new-history"
WORDS = f"""\
    wal: {{compression: lz4}}
    history: {HISTORY}
"""


@dataclass(kw_only=True)
class Past:
    """One PostgreSQL that Barman backs up and pgBackRest is to: labels in the order of their commits."""

    made: Estate
    backups: list[str] = field(default_factory=list)
    times: dict[str, str] = field(default_factory=dict)
    """After each label's commit, before the next one's."""

    @property
    def server(self) -> PostgresServer:
        return self.made.servers[OLD]

    def back_up(self) -> None:
        """Take a backup with Barman and see it done."""
        self.backups.append(self.made.pgwrap("backup", OLD).stdout.strip())
        self.made.commit_and_archive(OLD)
        wait_for_backups(self.made.barman, OLD)

    def record(self, label: str) -> None:
        """Commit a row in each table, and remember a moment after it."""
        self.server.sql(f"insert into inside values ('{label}'); insert into outside values ('{label}')")
        self.times[label] = self.server.sql("select pg_sleep(1.1); select clock_timestamp()").strip()
        self.server.sql("select pg_sleep(0.1)")
        self.made.commit_and_archive(OLD)

    def promote(self) -> None:
        """Begin another timeline."""
        self.server.stop()
        signal = self.server.data / "standby.signal"
        signal.touch()
        self.server.room.give(signal)
        self.server.start()
        self.server.promote()
        self.made.start_engine(OLD)

    def carry(self, what: str, *more: str, check: bool = True, **environment: str) -> Ran:
        """Carry, in a process of its own."""
        return run(self.words(what, *more), check=check, deadline=300, environment=self.environment() | environment)

    def carrying(self) -> subprocess.Popen[bytes]:
        """The same, left to run."""
        return start(self.words("carry"), environment=self.environment())

    def words(self, what: str, *more: str) -> tuple[str, ...]:
        """What to type."""
        place = str(self.made.room.directory("carry"))
        return (sys.executable, "-m", "integration.lab.crossing", what, OLD, NEW, place, *more)

    def environment(self) -> dict[str, str]:
        """With what around it."""
        return {
            "PGWRAP_CONFIG": str(self.made.spec),
            "PATH": search_path(self.made.room.machine),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }

    def answer(self, what: str, *more: str, **environment: str) -> Any:
        """What came of it."""
        return json.loads(self.carry(what, *more, check=True, **environment).stdout)

    def pgbackrest(self, *words: str) -> Ran:
        """pgBackRest as its own documentation has it, on the carried stanza."""
        return self.made.pgbackrest.run(f"--stanza={HISTORY}", *words)

    def sets(self) -> list[dict[str, Any]]:
        """What pgBackRest itself lists."""
        (stanza,) = json.loads(self.pgbackrest("--output=json", "info").stdout)
        found: list[dict[str, Any]] = stanza["backup"]
        return found

    def archived(self) -> dict[str, int]:
        """Each archived WAL file, and how often it is there."""
        names: dict[str, int] = {}
        for path in (self.made.pgbackrest.repository / "archive" / HISTORY).rglob("0000*"):
            if path.is_file():
                name = path.name.split("-")[0]
                names[name] = names.get(name, 0) + 1
        return names

    def wal(self) -> set[str]:
        """The names of Barman's WAL files."""
        place = self.made.barman.home / OLD / "wals"
        return {path.name for path in place.rglob("0000*") if path.is_file()}


@pytest.fixture(scope="module")
def past(machine: Machine) -> Iterator[Past]:
    """Backup, a, backup, b, promotion, backup, c; a tablespace; nothing of it is carried yet."""
    if None in (machine.barman, machine.pgbackrest):
        pytest.skip("it takes both engines")
    with ExitStack() as stack:
        place = stack.enter_context(room(machine, "into"))
        server = stack.enter_context(postgres_server(place, OLD))
        prepare_for_barman(server)
        prepare_places(place)
        engines = {OLD: "barman", NEW: "pgbackrest"}
        made = Estate(room=place, servers=dict.fromkeys(engines, server), engines=engines, rpo="2h")
        words = made.write_spec({NEW: WORDS}).read_text()
        made.spec.write_text(words.replace("create_slot: true", "create_slot: true, compression: gz"))
        made.render()
        made.apply_settings(OLD)
        made.start_engine(OLD)
        made.commit_and_archive(OLD)
        yield happened(Past(made=made))


def happened(past: Past) -> Past:
    """Live through it."""
    fast = past.made.room.directory("fast", mode=0o700)
    past.server.sql(f"create tablespace fast location '{fast}'")
    past.server.sql("create table inside (label text)")
    past.server.sql("create table outside (label text) tablespace fast")
    past.back_up()
    past.record("a")
    past.back_up()
    past.record("b")
    past.promote()
    past.back_up()
    past.record("c")
    return past


@pytest.fixture(scope="module")
def carried(past: Past) -> Past:
    """The same, carried after having been killed twice: while a copy recovers, and amid the WAL."""
    counted = past.made.room.path / "effects"
    past.carry("plan", check=True, KILLING_COUNT=str(counted))
    planned = int(counted.read_text().split()[0])
    ran = past.carry("carry", check=False, KILLED_AT=str(planned + RECOVERING), KILLING_COUNT=str(counted))
    assert (ran.exit_code, past.archived()) == (-signal.SIGKILL, {}), ran.stdout + ran.stderr
    with past.carrying() as process:
        while not past.archived():
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    assert len(past.sets()) == 3
    assert past.archived().keys() < past.wal()
    past.answer("carry")
    return past


def test_a_plan_says_what_goes_and_changes_nothing(past: Past) -> None:
    """Every backup, every WAL file; no stanza is made."""
    plan = past.answer("plan")
    assert [one["backup"]["id"] for one in plan["backups"] if one["carried"]] == past.backups
    assert plan["segments_to_move"] == len(past.wal())
    assert (plan["segments_already"], plan["refusals"], plan["gaps"]) == (0, [], [])
    assert not (past.made.pgbackrest.repository / "backup" / HISTORY).exists()


def test_killed_and_run_again_nothing_is_there_twice(carried: Past) -> None:
    """Each backup once, with where it came from; each WAL file once; nothing left of what was killed."""
    sets = carried.sets()
    assert [one["annotation"]["carried-id"] for one in sets] == carried.backups
    assert [one["error"] for one in sets] == [False] * 3
    assert [one["type"] for one in sets] == ["full", "incr", "full"]
    assert carried.archived() == dict.fromkeys(carried.wal(), 1)
    assert list((carried.made.room.path / "carry").iterdir()) == []
    assert processes_in(carried.made.room.path / "carry") == ()


def test_what_is_there_is_not_carried_again(carried: Past) -> None:
    """A third run finds nothing to do."""
    before = carried.sets()
    assert carried.answer("plan")["segments_to_move"] == 0
    again = carried.answer("carry")
    assert (again["backups"], again["segments"], again["notes"]) == ([], 0, [])
    assert carried.sets() == before


@contextmanager
def restored(past: Past, number: int, *target: str) -> Iterator[PostgresServer]:
    """A set restored by pgBackRest itself and started."""
    copy = describe_server(past.made.room, f"copy{len(list((past.made.room.path / 'data').iterdir()))}")
    spaces = past.made.room.directory(f"{copy.name}-space")
    chosen = past.sets()[number]
    ((oid, _, _),) = json.loads(chosen["annotation"]["carried-tablespaces"])
    past.pgbackrest(
        *(f"--pg1-path={past.made.room.directory('data', copy.name, mode=0o700)}", f"--set={chosen['label']}"),
        *(f"--tablespace-map={oid}={spaces}", "--archive-mode=off", "--target-action=promote", *target, "restore"),
    )
    copy.prepare()
    copy.start()
    try:
        copy.wait_for("select not pg_is_in_recovery()")
        yield copy
    finally:
        copy.stop("immediate")


MOMENTS: Mapping[str, tuple[int, str, int]] = {
    "from the first backup, on the first timeline": (0, "a", 1),
    "from the second, on the first timeline": (1, "b", 1),
    "from the third, on the second timeline": (2, "c", 2),
    "from the first, across the switch": (0, "c", 2),
}


@pytest.mark.parametrize(("number", "label", "timeline"), MOMENTS.values(), ids=MOMENTS)
def test_a_moment_is_restored_to_the_row(carried: Past, number: int, label: str, timeline: int) -> None:
    """All rows before it, none behind it, in both tablespaces."""
    words = ("--type=time", f"--target={carried.times[label]}", f"--target-timeline={timeline}")
    with restored(carried, number, *words) as copy:
        for table in ("inside", "outside"):
            there = copy.sql(f"select string_agg(label, '' order by label) from {table}")
            assert there == "abc"[: "abc".index(label) + 1], table


def test_later_wal_follows_by_itself(carried: Past) -> None:
    """What was archived since, and nothing else."""
    new = {carried.made.commit_and_archive(OLD) for _ in range(2)}
    found = carried.answer("carry")
    assert (found["backups"], found["segments"]) == ([], len(new))
    assert new <= carried.archived().keys()


def test_a_second_carrying_is_refused(carried: Past) -> None:
    """While one is at work, another one ends at once."""
    lock = carried.made.room.path / f"state/carry-{NEW}.lock"
    words = ("flock", "--nonblock", str(lock), *carried.words("carry"))
    ran = run(words, check=False, environment=carried.environment())
    assert (ran.exit_code, "another pgwrap is at work" in ran.stdout + ran.stderr) == (7, True)


def test_the_cluster_s_own_stanza_lives_beside_it(carried: Past) -> None:
    """Its first backup and its expiry leave what was carried alone."""
    made = carried.made
    made.pgbackrest.run(f"--stanza={NEW}", "stanza-create")
    assert [one["error"] for one in carried.sets()] == [False] * 3
    carried.pgbackrest("verify")
