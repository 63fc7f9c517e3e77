"""What stands against a migration is said before anything is touched, or leaves it as it can be gone on with."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from integration.lab.answers import cluster, status
from integration.lab.estate import search_path
from integration.lab.machine import Machine
from integration.lab.mischief import small_disk
from integration.lab.moving import NEW, OLD, Move, back_up, backed_up, move
from integration.lab.native import native_barman, prepare_for_barman, wait_for_backups, wait_for_stream
from integration.lab.postgres import PostgresServer, describe_server, postgres_server
from integration.lab.process import Ran, run
from integration.lab.room import room

pytestmark = pytest.mark.thorough
DEADLINE = 600.0
FOREIGN = "foreign"
BOTH = pytest.mark.parametrize("moved", ["pgbackrest", "barman"], indirect=True)


@pytest.fixture(scope="module")
def moved(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Move]:
    """Three backups in the old engine; no test but the last ones begins a migration that goes on."""
    with room(machine, "refuse") as place, move(place, request.param) as made:
        backed_up(made, backups=3)
        yield made


def migrate(moved: Move, what: str, *more: str) -> Ran:
    """`pgwrap migrate`, copies in a directory of the room's unless another is named."""
    where = () if "--directory" in more else ("--directory", str(moved.made.room.directory("scratch")))
    yes = ("--yes",) if what == "run" else ()
    ran = moved.made.pgwrap("migrate", what, NEW, *where, *yes, *more, check=False, deadline=DEADLINE)
    assert "defect" not in ran.stderr, ran.stderr
    return ran


def newest(moved: Move) -> Any:
    """The newest migration as `migrate status` has it."""
    found: Any = json.loads(moved.made.pgwrap("migrate", "status", NEW, "-o", "json").stdout)["result"]["migrations"]
    return found[0] if found else None


def steps(moved: Move) -> dict[str, str]:
    """Each step's state."""
    return {one["name"]: one["state"] for one in newest(moved)["steps"]}


def step(moved: Move, name: str) -> Any:
    """One step."""
    return next(one for one in newest(moved)["steps"] if one["name"] == name)


def touched(moved: Move) -> dict[str, int]:
    """All that a refused migration may not have changed: native files, both catalogs, PostgreSQL's settings."""
    path = moved.made.room.path
    kept = ("etc", "pgbackrest", "barman")
    found = {
        str(one.relative_to(path)): one.stat().st_mtime_ns if one.is_file() else 0
        for name in kept
        for one in (path / name).rglob("*")
        if not _moves_by_itself(one)
    }
    server = moved.server
    return found | {
        server.sql("select string_agg(name || setting, ' ' order by name) from pg_settings where name ~ '^archive'"): 0,
        server.sql("select coalesce(string_agg(slot_name, ' '), 'no slot') from pg_replication_slots"): 0,
    }


def _moves_by_itself(path: Path) -> bool:
    """Barman's receiver and its state files."""
    return "streaming" in path.parts or path.name.startswith(".") or path.parent.name == "identity"


@contextmanager
def untouched(moved: Move) -> Iterator[None]:
    """Nothing is changed inside, and no migration is known afterwards that was not before."""
    before, known = touched(moved), newest(moved)
    yield
    after = touched(moved)
    assert {name: (before.get(name), after.get(name)) for name in before.keys() ^ after.keys()} == {}
    assert after == before
    assert newest(moved) == known


def backups(moved: Move, name: str) -> list[str]:
    """An entry's backups, oldest first."""
    return moved.made.pgwrap("list", name, "--ids", check=False).stdout.split()[::-1]


# Refused at once


@BOTH
def test_no_room_for_copies(moved: Move) -> None:
    """`--directory` on a small file system: the plan says so, and nothing is begun."""
    place = moved.made.room.directory("small")
    with small_disk(moved.made.room, place, "64m") as mounted:
        if not mounted:
            pytest.skip("a file system can be mounted by root alone")
        with untouched(moved):
            plan = migrate(moved, "plan", "--directory", str(place))
            ran = migrate(moved, "run", "--directory", str(place))
    assert (plan.exit_code, "not ready: " in plan.stdout, str(place) in plan.stdout) == (1, True, True), plan
    assert (ran.exit_code, str(place) in ran.stderr, "--directory" in ran.stderr) == (8, True, True), ran.stderr


@pytest.mark.parametrize("moved", ["barman"], indirect=True)
def test_no_room_at_barman_s(moved: Move) -> None:
    """Barman keeps each backup whole: its home has to have room for all of them."""
    home = moved.made.room.path / "barman"
    with small_disk(moved.made.room, home, "64m") as mounted:
        if not mounted:
            pytest.skip("a file system can be mounted by root alone")
        with untouched(moved):
            plan = migrate(moved, "plan")
            ran = migrate(moved, "run")
    assert (plan.exit_code, f"not ready: {home}" in plan.stdout) == (1, True), plan.stdout
    assert (ran.exit_code, str(home) in ran.stderr) == (8, True), ran.stderr


@BOTH
def test_no_server_programs(moved: Move) -> None:
    """A host with PostgreSQL's clients alone: nothing that is carried could be started there."""
    if os.geteuid() != 0:
        pytest.skip("only root hides programs")
    with untouched(moved):
        plan, ran = without_server(moved, "plan"), without_server(moved, "run", "--yes")
    assert (plan.exit_code, "is not installed here" in plan.stdout) == (1, True), plan.stdout + plan.stderr
    assert ran.exit_code in (4, 8), ran.stderr
    assert f"install PostgreSQL {moved.made.room.machine.postgres_major}" in ran.stderr, ran.stderr


def without_server(moved: Move, what: str, *more: str) -> Ran:
    """`pgwrap migrate` where PostgreSQL's directory of programs has those of its client package."""
    made = moved.made
    binaries = made.room.machine.postgres_bin
    clients = made.room.directory("clients", mode=0o755)
    for name in ("psql", "pg_basebackup", "pg_receivewal", "pg_isready"):
        shutil.copy2(binaries / name, clients / name)
    # In a chroot / is no mount, which cannot be made private, and is in a namespace of its own already.
    hide = '{ mount --make-rprivate / 2>/dev/null || true; } && mount --bind "$1" "$2" && shift 2 && exec "$@"'
    argv = ("pgwrap", "migrate", what, NEW, *more, "--directory", str(made.room.directory("scratch")))
    return run(
        (
            "unshare",
            "--mount",
            "--propagation",
            "unchanged",
            "sh",
            "-ec",
            hide,
            "sh",
            str(clients),
            str(binaries),
            *argv,
        ),
        check=False,
        deadline=DEADLINE,
        directory=made.room.path,
        environment={"PGWRAP_CONFIG": str(made.spec), "PATH": search_path(made.room.machine)},
    )


@BOTH
def test_a_place_that_holds_another_cluster(moved: Move) -> None:
    """The stanza, or Barman's server, has backups of another system: it is named, and nothing is mixed."""
    _occupy(moved)
    text = moved.made.spec.read_text()
    entry = text[text.index(f"  {NEW}:\n") :]
    spots = [entry.replace("    replaces:", f"    engine_name: {FOREIGN}\n    replaces:")]
    if moved.to == "pgbackrest":
        spots.append(entry.replace(f"history: {NEW}-history", f"history: {FOREIGN}"))
    try:
        for spot in spots:
            assert spot != entry
            moved.made.spec.write_text(text.replace(entry, spot))
            with untouched(moved):
                plan, ran = migrate(moved, "plan"), migrate(moved, "run")
            assert (plan.exit_code, FOREIGN in plan.stdout) == (1, True), plan.stdout + plan.stderr
            assert "system" in plan.stdout[plan.stdout.index("not ready") :], plan.stdout
            assert (ran.exit_code, FOREIGN in ran.stderr, "hint" in ran.stderr) == (8, True, True), ran.stderr
    finally:
        moved.made.spec.write_text(text)


def _occupy(moved: Move) -> None:
    """Another server's backup, by the new engine, under a name of its own, in the place that the spec names."""
    with postgres_server(moved.made.room, FOREIGN) as server:
        if moved.to == "pgbackrest":
            _occupy_pgbackrest(moved, server)
        else:
            _occupy_barman(moved, server)


def _occupy_pgbackrest(moved: Move, server: PostgresServer) -> None:
    """It needs no configuration file for that."""
    place = moved.made.room
    words = (
        *(str(place.machine.engine("pgbackrest").program), "--config=/dev/null", f"--stanza={FOREIGN}", "--no-online"),
        *(f"--pg1-path={server.data}", f"--repo1-path={place.path}/pgbackrest"),
        *(f"--lock-path={place.path}/lock", "--log-level-file=off"),
    )
    place.run(*words, "stanza-create")
    server.stop()
    place.run(*words, "--repo1-retention-full=9", "backup")


def _occupy_barman(moved: Move, server: PostgresServer) -> None:
    """Its configuration is gone afterwards, what it kept is not."""
    prepare_for_barman(server)
    there = native_barman(moved.made.room, {FOREIGN: server})
    there.run("cron")
    wait_for_stream(server)
    there.take_wal(FOREIGN, server.switch_wal())
    there.run("backup", FOREIGN)
    there.take_wal(FOREIGN, server.switch_wal())
    wait_for_backups(there, FOREIGN)
    there.run("receive-wal", "--stop", FOREIGN, check=False)
    for name in ("barman.conf", f"barman.d/{FOREIGN}.conf"):
        (moved.made.room.path / "etc" / name).unlink()


# Begun, with fewer bases


@BOTH
def test_fewer_bases(moved: Move) -> None:
    """The plan leaves the newer ones out; the oldest alone is carried, is proven, and reaches the newest old moment."""
    if moved.to == "pgbackrest":
        _archives_nothing(moved)
    every = migrate(moved, "plan", "--bases", "every 7d", "-o", "json")
    assert [one["carried"] for one in json.loads(every.stdout)["result"]["carry"]["backups"]] == [True, False, False]
    last, rows = _last_moment(moved)
    ran = migrate(moved, "run", "--bases", "oldest")
    if moved.to == "pgbackrest":
        assert (ran.exit_code, "archive_mode" in ran.stderr, "restart" in ran.stderr) == (8, True, True), ran.stderr
        assert steps(moved)["dual"] == "begun"
        again = migrate(moved, "run", "--bases", "oldest")
        assert (again.exit_code, "restart" in again.stderr) == (8, True), again.stderr
        moved.server.restart()
        moved.made.barman.run("cron")
        wait_for_stream(moved.server)
        ran = migrate(moved, "run", "--bases", "oldest")
    assert ran.exit_code == 0, ran.stderr
    kept = dict(step(moved, "carry")["kept"])
    assert len(kept["backups"].split()) == 1
    assert "1 carried backups" in step(moved, "prove")["proof"] or "1 carried backup " in step(moved, "prove")["proof"]
    assert len(backups(moved, NEW)) == 2
    assert _restored(moved, kept["backups"], last) == rows


def _archives_nothing(moved: Move) -> None:
    """archive_mode off, as a server that Barman streams from may have it."""
    moved.server.configure({"archive_mode": "off"})
    moved.server.restart()
    moved.made.barman.run("cron")
    wait_for_stream(moved.server)
    moved.commit()


def _last_moment(moved: Move) -> tuple[str, str]:
    """A moment after the newest backup that only WAL of the old archive leads to, and the rows that are there then."""
    server = moved.server
    server.sql("create table if not exists kept (number int); insert into kept select generate_series(1, 100)")
    moment = server.sql("select pg_sleep(1.1); select clock_timestamp()").strip()
    server.sql("select pg_sleep(1.1); insert into kept select generate_series(1, 100)")
    moved.commit()
    return datetime.fromisoformat(moment).isoformat(), "100"


def _restored(moved: Move, backup: str, moment: str) -> str:
    """How many rows a restore from that backup to that moment has."""
    made = moved.made
    copy = describe_server(made.room, f"copy-{backup}")
    target = ("--backup", backup, "--target-time", moment, "--target-action", "promote")
    made.pgwrap("restore", NEW, "--directory", str(copy.data), *target, "--yes", deadline=300)
    copy.prepare()
    copy.configure({"archive_mode": "off"})
    copy.start()
    try:
        copy.wait_for("select not pg_is_in_recovery()")
        return copy.sql("select count(*) from kept")
    finally:
        copy.stop("immediate")
        shutil.rmtree(copy.data)


# Begun, with a history that is not whole


@pytest.fixture(scope="module")
def torn(machine: Machine, request: pytest.FixtureRequest) -> Iterator[tuple[Move, str]]:
    """Backup, a segment that is lost, backup that is damaged, backup; and the segment's name."""
    with room(machine, "torn") as place, move(place, request.param) as made:
        backed_up(made, backups=1)
        made.commit()
        gone = made.commit()
        made.commit()
        back_up(made)
        back_up(made)
        _lose(made, gone)
        _damage(made, backups(made, OLD)[1])
        yield made, gone


def _lose(moved: Move, segment: str) -> None:
    """Take one segment out of the old archive."""
    place = moved.made.room.path / moved.source
    found = [one for one in place.rglob(f"{segment}*") if one.is_file() and "streaming" not in one.parts]
    assert len(found) == 1, found
    found[0].unlink()


def _damage(moved: Move, backup: str) -> None:
    """Take from a backup what no restore does without."""
    if moved.source == "barman":
        shutil.rmtree(moved.made.barman.home / NEW / "base" / backup / "data/global")
        return
    place = moved.made.pgbackrest.repository / "backup" / NEW / backup / "pg_data"
    for one in (one for one in place.rglob("*") if one.is_file()):
        os.truncate(one, one.stat().st_size // 2)


TORN = pytest.mark.parametrize("torn", ["pgbackrest", "barman"], indirect=True)


@TORN
def test_the_plan_names_the_gap(torn: tuple[Move, str]) -> None:
    """It is ready all the same, and the moments that would be restorable do not span it."""
    moved, gone = torn
    plan = migrate(moved, "plan")
    assert (plan.exit_code, gone in plan.stdout, "stay" in plan.stdout) == (0, True, True), plan.stdout
    found = json.loads(migrate(moved, "plan", "-o", "json").stdout)["result"]
    assert [(one["from"], one["to"]) for one in found["carry"]["gaps"]] == [(gone, gone)]
    assert len(found["recoverable_then"]) == 2


@TORN
def test_a_backup_that_does_not_restore_stops_it(torn: tuple[Move, str]) -> None:
    """By name, and so that it can be gone on with; the old engine has what it had."""
    moved, _ = torn
    damaged = backups(moved, OLD)[1]
    before = (backups(moved, OLD), cluster(status(moved.made), OLD)["recoverable"][0])
    for _ in range(2):
        ran = migrate(moved, "run")
        assert (ran.exit_code, damaged in ran.stderr) == (5, True), ran.stderr
        assert f"--leave {damaged}" in ran.stderr, ran.stderr
        assert (steps(moved)["dual"], steps(moved)["carry"], steps(moved)["prove"]) == ("done", "begun", "waiting")
    assert (backups(moved, OLD), cluster(status(moved.made), OLD)["recoverable"][0]) == before
    assert list(moved.made.room.directory("scratch").iterdir()) == []


@TORN
def test_left_behind_it_goes_on(torn: tuple[Move, str]) -> None:
    """To cut-over, with what is said to have been carried, and the gap."""
    moved, gone = torn
    old = backups(moved, OLD)
    ran = migrate(moved, "run", "--leave", old[1])
    assert ran.exit_code == 0, ran.stderr
    assert steps(moved)["cut-over"] == "done"
    carried = step(moved, "carry")
    assert (gone in carried["proof"], carried["proof"].startswith("2 backups")) == (True, True), carried["proof"]
    assert old[1] in carried["proof"], carried["proof"]
    said = moved.made.pgwrap("migrate", "status", NEW).stdout
    assert (gone in said, old[1] in said) == (True, True), said
    certificate: Any = json.loads(Path(dict(step(moved, "prove")["kept"])["certificate"]).read_text())
    assert [one["passed"] for one in certificate["drills"]] == [True, True]
    assert certificate["comparison"]["differences"] == []
    assert backups(moved, OLD) == old


@TORN
def test_the_new_window_has_the_same_gap(torn: tuple[Move, str]) -> None:
    """Status of the new engine shows two stretches, and the gap."""
    moved, gone = torn
    entry = cluster(status(moved.made), NEW)
    spans = sorted((one["from"], one["to"]) for one in entry["recoverable"])
    assert len(spans) >= 2, spans
    assert spans[0][1] < spans[1][0]
    assert (gone, gone) in [(one["from"], one["to"]) for one in entry["wal"]["gaps"]], entry["wal"]
    assert entry["severity"] != "ok"
