"""What `pgwrap eject` leaves works when pgwrap is gone: the engines themselves run it."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.lab.answers import cluster, status
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.process import Ran, run

FULL = '    schedule: {full: "Sun 01:00"}\n'
SCHEDULE = '    schedule: {full: "Sun 01:00", incremental: "Mon..Sat 01:00"}\n'


@pytest.fixture(scope="module")
def left(pair: Estate) -> Path:
    """The directory that eject fills, for a spec with a schedule."""
    pair.write_spec({ORDERS: SCHEDULE, BILLING: FULL})
    directory = pair.room.path / "ejected"
    pair.pgwrap("eject", "--directory", str(directory))
    return directory


def units(directory: Path) -> dict[str, configparser.ConfigParser]:
    """Every unit by name."""
    found = {}
    for path in sorted((directory / "etc/systemd/system").iterdir()):
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(path.read_text())
        found[path.name] = parser
    return found


def run_service(pair: Estate, unit: configparser.ConfigParser) -> Ran:
    """Run a service's command as systemd would, as its user and without pgwrap on PATH."""
    argv = shlex.split(unit["Service"]["ExecStart"].replace("%%", "%").replace("$$", "$"))
    program = shutil.which(argv[0])
    assert program is not None
    path = f"/usr/bin:/bin:{pair.room.machine.postgres_bin}"
    return run((program, *argv[1:]), user=unit["Service"]["User"], environment={"PATH": path}, directory=Path("/"))


def test_native_files_say_the_same_without_a_claim(pair: Estate, left: Path) -> None:
    """Only the header differs from what stands in place."""
    for name in ("etc/pgbackrest/pgbackrest.conf", "etc/barman.conf", "etc/barman.d/billing.conf"):
        inside = (pair.room.path / name).read_text()
        ejected = (left / str(pair.room.path / name).lstrip("/")).read_text()
        assert "Made by pgwrap" in inside
        assert "manages it no more" in ejected.splitlines()[0]
        assert list(settings(inside)) == list(settings(ejected))


def settings(text: str) -> Iterator[str]:
    """A native file's lines without its comments."""
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def test_each_word_of_the_schedule_has_a_timer(left: Path) -> None:
    """Full and incremental, and Barman's cron; each with its service."""
    found = units(left)
    assert "pgbackrest-orders-full-repo1.timer" in found
    assert "pgbackrest-orders-incremental-repo1.timer" in found
    assert "barman-billing-full.timer" in found
    assert "barman-cron-barman.timer" in found
    assert found["pgbackrest-orders-full-repo1.timer"]["Timer"]["OnCalendar"] == "Sun 01:00"
    assert {name.rpartition(".")[0] for name in found if name.endswith(".timer")} == {
        name.rpartition(".")[0] for name in found if name.endswith(".service")
    }


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(left: Path) -> None:
    """`systemd-analyze verify` finds no fault in them."""
    paths = [str(path) for path in sorted((left / "etc/systemd/system").iterdir())]
    ran = run(("systemd-analyze", "verify", *paths), check=False)
    assert [line for line in ran.stderr.splitlines() if str(left) in line] == []


def test_the_timers_take_backups(pair: Estate, left: Path) -> None:
    """Each service, run as its user without pgwrap on PATH, adds a backup that status then knows."""
    before = {name: ids(pair, name) for name in (ORDERS, BILLING)}
    found = units(left)
    for name in ("pgbackrest-orders-full-repo1", "pgbackrest-orders-incremental-repo1", "barman-billing-full"):
        run_service(pair, found[f"{name}.service"])
    for name in (ORDERS, BILLING):
        pair.commit_and_archive(name)
    run_service(pair, found["barman-cron-barman.service"])
    assert len(ids(pair, ORDERS) - before[ORDERS]) == 2
    assert len(ids(pair, BILLING) - before[BILLING]) == 1


def ids(pair: Estate, name: str) -> set[str]:
    """The backups of a cluster."""
    return {backup["id"] for backup in cluster(status(pair), name)["backups"]}


def test_the_commands_of_the_runbook_run(pair: Estate, left: Path) -> None:
    """What it says to check and to look works as it is typed."""
    runbook = (left / "RUNBOOK.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", runbook, re.DOTALL) for line in block.splitlines()]
    typed = [line for line in lines if re.search(r" (check|info|list-backups|show-backup|expire)( |$)", line)]
    assert len(typed) >= 5
    for line in typed:
        argv = shlex.split(line)
        assert argv[:2] == ["sudo", "-u"]
        pair.room.run(*argv[3:])


def test_a_restore_of_the_runbook_brings_the_data_back(pair: Estate, left: Path) -> None:
    """Barman's restore line, with a directory of this room in place of its example."""
    runbook = (left / "RUNBOOK.md").read_text()
    (line,) = (one for one in runbook.splitlines() if re.search(r" (restore|recover) billing latest ", one))
    target = pair.room.path / "restored"
    argv = shlex.split(line.replace("/var/lib/postgresql/restored", str(target)))
    pair.room.run(*argv[3:])
    assert (target / "PG_VERSION").exists()


def test_in_place_only_when_asked(pair: Estate, left: Path) -> None:
    """Eject alone leaves the files in place as they were: diff still finds them to be pgwrap's."""
    del left
    assert "Made by pgwrap" in (pair.room.path / "etc/barman.conf").read_text()
