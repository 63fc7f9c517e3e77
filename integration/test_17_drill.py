"""Restore drills of real backups: good, broken and interrupted ones; nothing is left behind, nothing destroyed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import MakeEstate
from integration.lab.answers import cluster, status
from integration.lab.estate import BILLING, ORDERS, Estate, search_path
from integration.lab.process import Ran, processes_in, start

PAIR = {ORDERS: "pgbackrest", BILLING: "barman"}
PGWRAP = str(Path(sys.prefix) / "bin/pgwrap")
BOTH = pytest.mark.parametrize("name", [ORDERS, BILLING])
WORDS = """\
    objectives: {{rpo: 2h, rto: 1h, drill_age: 7d}}
    drill:
      directory: {directory}
      assertions:
        - {{sql: select count(*) from heartbeat, at_least: 1}}
        - {{sql: select max(at) from heartbeat, maximum_age: 1h}}
        - {{sql: select sum(number) from elsewhere, equals: 500500}}
"""


def drills_of(made: Estate) -> Path:
    """The directory that the copies are restored under."""
    return made.room.path / "drills"


def drill(made: Estate, *arguments: str, **more: Any) -> tuple[Ran, Any]:
    """Run a drill; what it printed, and its report."""
    ran = made.pgwrap("drill", *arguments, "-o", "json", check=False, deadline=600, **more)
    return ran, json.loads(ran.stdout)["result"] if ran.stdout else None


def verdicts(report: Any) -> dict[str, str]:
    """Each probe's verdict by its name; of several with one name, the worst."""
    worst = ("absent", "passed", "unknown", "failed")
    found: dict[str, str] = {}
    for probe in report["probes"]:
        one = found.get(probe["name"], "absent")
        found[probe["name"]] = max(one, probe["verdict"], key=worst.index)
    return found


def left_behind(made: Estate) -> list[str]:
    """What drills left in their directory."""
    return [path.name for path in drills_of(made).iterdir()]


@pytest.fixture(scope="module")
def two(make_estate: MakeEstate) -> Estate:
    """Two clusters with a full backup each, canaries before and after it, and commits that are archived."""
    made = make_estate(PAIR)
    made.room.directory("drills")
    made.write_spec({name: WORDS.format(directory=drills_of(made)) for name in PAIR})
    made.servers[BILLING].sql("create schema pgwrap authorization barman")
    for name, server in made.servers.items():
        space = made.room.directory(f"space-{name}", mode=0o700)
        server.sql(f"create tablespace elsewhere location '{space}'")
        server.sql("create table elsewhere tablespace elsewhere as select generate_series(1, 1000) as number")
        made.pgwrap("canary", name)
        made.back_up(name)
        time.sleep(1.1)  # a backup ends in a whole second
        made.pgwrap("canary", name)
        made.commit_and_archive(name)
        made.commit_and_archive(name)
    return made


@BOTH
def test_a_good_backup_passes(two: Estate, name: str) -> None:
    """Every probe that can be measured passes, the times and the loss are measured, and nothing is left."""
    ran, report = drill(two, name)
    assert (ran.exit_code, report["severity"]) == (0, "ok"), ran.stdout + ran.stderr
    assert verdicts(report) == dict.fromkeys(
        (
            *("restore", "consistent-start", "amcheck", "schema-dump", "assertion", "canary"),
            *("data-checksums", "cleanup", "rto", "rpo"),
        ),
        "passed",
    )
    assert [phase["name"] for phase in report["phases"]] == ["restore", "replay", "start", "probes"]
    assert 0 < report["rto_seconds"] < 600
    assert 0 <= report["rpo_seconds"] < 7200
    assert left_behind(two) == []


def ids(made: Estate) -> list[str]:
    """Every backup there is."""
    return made.pgwrap("list", "--ids").stdout.split()


@contextmanager
def nothing_lost(made: Estate) -> Iterator[None]:
    """Whatever happens inside: no file and no process of a drill is left, and the originals are as they were."""
    before = ids(made)
    yield
    assert left_behind(made) == []
    assert processes_in(drills_of(made)) == ()
    assert ids(made) == before
    for server in made.servers.values():
        assert server.sql("select sum(number) from elsewhere") == "500500"


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """Without a file or directory, for a while."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """With other bytes in the middle of a file, for a while."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(byte ^ 0xFF for byte in content[middle:]))
    try:
        yield
    finally:
        path.write_bytes(content)


def stored_file(made: Estate, name: str) -> Path:
    """A file of the backup that holds data, in the repository: pg_proc's, which every restore needs."""
    base = made.room.path / ("pgbackrest/backup/orders" if name == ORDERS else "barman/billing/base")
    return next(path for path in sorted(base.rglob("*")) if path.name.split(".")[0] == "1255" and path.is_file())


def newest_segment(made: Estate, name: str) -> Path:
    """The last archived WAL segment but one: later than the backup, and not the end of the archive."""
    place = made.room.path / ("pgbackrest/archive/orders" if name == ORDERS else "barman/billing/wals")
    found = sorted(path for path in place.rglob("0000*") if path.is_file() and path.name[:24].isalnum())
    segments = [path for path in found if len(path.name) >= 24 and ".backup" not in path.name]
    return segments[-2]


@BOTH
@pytest.mark.parametrize(
    "target",
    ["middle", pytest.param("oldest", marks=pytest.mark.thorough), pytest.param("random", marks=pytest.mark.thorough)],
)
def test_other_moments_pass(two: Estate, name: str, target: str) -> None:
    """The rows before the target are there, those after it are not."""
    with nothing_lost(two):
        ran, report = drill(two, name, "--target", target)
    assert (ran.exit_code, report["severity"]) == (0, "ok"), ran.stdout + ran.stderr
    assert verdicts(report)["canary"] == "passed"


@BOTH
@pytest.mark.thorough("billing")
def test_a_damaged_copy_is_found_out(two: Estate, name: str) -> None:
    """The negative control: a drill can fail."""
    with nothing_lost(two):
        ran, report = drill(two, name, "--negative-control")
    assert (ran.exit_code, report["control"]) == (0, True), ran.stdout
    assert verdicts(report)["data-checksums"] == "failed"
    assert cluster(status(two, name), name)["last_drill"]["message"] != report["message"]


@BOTH
def test_a_damaged_backup_fails(two: Estate, name: str) -> None:
    """pgBackRest refuses it; Barman restores it, and the copy's checksums tell."""
    with nothing_lost(two), damaged(stored_file(two, name)):
        ran, report = drill(two, name)
    assert (ran.exit_code, report["severity"]) == (1, "critical"), ran.stdout
    assert verdicts(report)["restore" if name == ORDERS else "data-checksums"] == "failed"


@BOTH
def test_a_missing_segment_fails(two: Estate, name: str) -> None:
    """PostgreSQL ends before the gap without a word; the drill knows that there is more."""
    with moved_away(newest_segment(two, name)):
        if name == BILLING:
            two.barman.run("rebuild-xlogdb", name)
        ran, report = drill(two, name)
    if name == BILLING:
        two.barman.run("rebuild-xlogdb", name)
    assert (ran.exit_code, report["severity"]) == (1, "critical"), ran.stdout
    assert verdicts(report)["consistent-start"] == "failed"
    assert left_behind(two) == []


@BOTH
def test_an_expired_target_fails(two: Estate, name: str) -> None:
    """And names the moments that can be restored."""
    with nothing_lost(two):
        ran, report = drill(two, name, "--target", "2001-01-01T00:00:00Z")
    assert (ran.exit_code, report["severity"]) == (1, "critical")
    assert "these moments can" in report["message"]


@pytest.mark.parametrize(
    ("target", "said"), [("2101-01-01T00:00:00Z", "still to come"), ("2026-01-01 10:00", "no time zone")]
)
def test_a_target_that_means_nothing_is_a_usage_error(two: Estate, target: str, said: str) -> None:
    """Before anything is done."""
    ran, _ = drill(two, ORDERS, "--target", target)
    assert ran.exit_code == 2
    assert said in ran.stdout


@BOTH
def test_a_lost_repository_fails(two: Estate, name: str) -> None:
    """The answer is no, not unknown: there is nothing to restore."""
    lost = two.room.path / ("pgbackrest/backup" if name == ORDERS else "barman/billing/base")
    with moved_away(lost):
        ran, report = drill(two, name)
    assert (ran.exit_code, report["severity"]) == (1, "critical"), ran.stdout
    assert left_behind(two) == []


@BOTH
def test_a_killed_engine_tells_nothing(two: Estate, name: str) -> None:
    """It is no evidence against the backup, and none for it."""
    engine = PAIR[name]
    real = two.room.machine.engine(engine).program
    script = f"""#!/bin/sh
case " $* " in *" restore "*|*" recover "*) kill -9 $$;; esac
exec {real} "$@"
"""
    two.room.write(f"killing/{engine}", script, mode=0o755)
    with nothing_lost(two):
        ran, report = drill(two, name, path=two.room.path / "killing")
    assert (ran.exit_code, report["severity"]) == (1, "unknown"), ran.stdout
    assert verdicts(report)["restore"] == "unknown"


@contextmanager
def small_disk(made: Estate, megabytes: int) -> Iterator[Path]:
    """A file system of its own."""
    place = made.room.directory("small", mode=0o755)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(place))
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(("umount", str(place)), check=True)


@BOTH
def test_a_place_without_room_is_refused_with_figures(two: Estate, name: str) -> None:
    """Before anything is restored."""
    with small_disk(two, 64) as place:
        ran, report = drill(two, name, "--directory", str(place))
        assert (ran.exit_code, report) == (8, None)
        assert "64.0 MiB free" in ran.stdout
        assert list(place.iterdir()) == []


@BOTH
def test_a_disk_that_runs_full_tells_nothing(two: Estate, name: str) -> None:
    """The drill is unknown, the place is clean."""
    with small_disk(two, 400) as place, drilling(two, name, "--directory", str(place), "-o", "json") as running:
        wait_for(lambda: bool(list(place.glob("pgwrap-drill-*/etc"))))
        fill(place / "ballast")
        stdout, _ = running.communicate(timeout=300)
        report = json.loads(stdout)["result"]
        assert (running.returncode, report["severity"]) == (1, "unknown"), stdout
        assert [path.name for path in place.iterdir()] == ["ballast"]


def fill(path: Path) -> None:
    """Write a file until its file system has no room left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


@contextmanager
def drilling(made: Estate, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A drill that goes on meanwhile."""
    environment = {"PGWRAP_CONFIG": str(made.spec), "PATH": search_path(made.room.machine)}
    with start((PGWRAP, "drill", *arguments), environment=environment) as running:
        try:
            yield running
        finally:
            running.kill()


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    """Until it is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def interrupted(made: Estate, number: signal.Signals) -> tuple[int, str]:
    """A drill that gets a signal while its PostgreSQL runs; its exit code, and what it said."""
    with drilling(made, ORDERS) as running:
        wait_for(lambda: bool(list(drills_of(made).glob("pgwrap-drill-*/data/postmaster.pid"))))
        running.send_signal(number)
        _, stderr = running.communicate(timeout=120)
        return running.returncode, stderr.decode()


def test_an_interrupted_drill_leaves_nothing(two: Estate) -> None:
    """Neither the server it had started nor a file, at SIGTERM and at Ctrl-C."""
    with nothing_lost(two):
        assert interrupted(two, signal.SIGTERM)[0] == 143
        assert interrupted(two, signal.SIGINT)[0] == 130


def test_a_killed_drill_is_cleared_away_by_the_next(two: Estate) -> None:
    """Its PostgreSQL lives on until then; a directory that only looks like one of a drill's stays."""
    interrupted(two, signal.SIGKILL)
    assert processes_in(drills_of(two)) != ()
    (killed,) = left_behind(two)
    foreign = two.room.directory("drills", "pgwrap-drill-00000000")
    ran, report = drill(two, ORDERS)
    assert (ran.exit_code, report["severity"]) == (0, "ok"), ran.stdout + ran.stderr
    assert f"drills/{killed}" in ran.stderr
    assert left_behind(two) == [foreign.name]
    assert processes_in(drills_of(two)) == ()
    foreign.rmdir()
    kept = json.loads(two.pgwrap("drill", "report", ORDERS, "-o", "json").stdout)["result"]["drills"]
    assert "it was killed before its end" in [one["message"] for one in kept]


@pytest.mark.thorough
def test_coverage_takes_turns(two: Estate) -> None:
    """What was never tried comes first."""
    aims = [drill(two, BILLING, "--coverage")[1]["aim"] for _ in range(2)]
    assert len(set(aims)) == 2


def test_status_tells_the_last_drill(two: Estate) -> None:
    """Its verdict, and how long ago one passed; the objectives are measured."""
    _, report = drill(two, ORDERS)
    seen = cluster(status(two, ORDERS), ORDERS)
    assert seen["last_drill"]["severity"] == "ok"
    assert seen["last_drill"]["passed_at"] == seen["last_drill"]["at"] == report["started_at"]
    objectives = {one["name"]: one for one in seen["objectives"]}
    assert objectives["rto"]["observed_seconds"] == pytest.approx(report["rto_seconds"])
    assert objectives["drill_age"]["severity"] == "ok"
    assert not [one for one in seen["findings"] if one["code"].startswith("drill-")]


def test_reports_have_every_form(two: Estate) -> None:
    """JUnit counts what failed; the page needs nothing else."""
    kept = json.loads(two.pgwrap("drill", "report", "-o", "json").stdout)["result"]["drills"]
    suites = ET.fromstring(two.pgwrap("drill", "report", "-o", "junit").stdout)  # noqa: S314 - our own
    assert len(suites) == len(kept) > 1
    page = two.pgwrap("drill", "report", "-o", "html").stdout
    assert page.startswith("<!DOCTYPE html>")
    assert "src=" not in page
    assert "href=" not in page
    assert "restore drill of" in two.pgwrap("drill", "report").stdout


def test_a_canary_is_pruned(two: Estate) -> None:
    """All but the newest go."""
    for name in PAIR:
        newest = json.loads(two.pgwrap("canary", name, "-o", "json").stdout)["result"]["id"]
        left = json.loads(two.pgwrap("canary", name, "--prune", "-o", "json").stdout)["result"]
        assert left["id"] == newest
        assert left["pruned"] >= 1
        assert two.servers[name].sql("select count(*) from pgwrap.canary") == "1"
