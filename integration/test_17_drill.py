"""Restore drills of real backups: good, broken and interrupted ones; nothing is left behind, nothing destroyed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import MakeEstate
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.process import Ran

PAIR = {ORDERS: "pgbackrest", BILLING: "barman"}
BOTH = pytest.mark.parametrize("name", [ORDERS, BILLING])
WORDS = """\
    objectives: {{rpo: 2h, rto: 1h, drill_age: 7d}}
    drill:
      directory: {directory}
      assertions:
        - {{sql: select count(*) from heartbeat, at_least: 1}}
        - {{sql: select max(at) from heartbeat, maximum_age: 1h}}
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
    for name in PAIR:
        made.pgwrap("canary", name)
        made.back_up(name)
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
