"""A migration that is killed at each of its steps, and run again: the same end, nothing lost and nothing done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.lab.estate import search_path
from integration.lab.machine import Machine
from integration.lab.moving import NEW, Move, backed_up, move
from integration.lab.process import processes_in
from integration.lab.room import room

pytestmark = pytest.mark.thorough
RETIRE = ("--until", "retire", "--yes")
STEPS = ("prepare", "dual", "backup", "carry", "prove", "cut-over", "retire")
SEED = 20261126
DEADLINE = 300.0


@pytest.fixture(scope="module", params=["pgbackrest", "barman"])
def moved(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Move]:
    """Two backups in the old engine."""
    with room(machine, "kill") as place, move(place, request.param) as made:
        backed_up(made, backups=2)
        yield made


def migration(moved: Move) -> Any:
    """The newest one, as the journal has it."""
    ran = moved.made.pgwrap("migrate", "status", NEW, "-o", "json")
    return json.loads(ran.stdout)["result"]["migrations"][0]


def kill_in(moved: Move, step: str, delay: float) -> None:
    """Run until the step has begun, and `delay` seconds longer; then SIGKILL, and its engines' commands with it."""
    argv = (str(Path(sys.prefix) / "bin/pgwrap"), "migrate", "run", NEW, *RETIRE, "--directory", str(scratch(moved)))
    environment = os.environ | {
        "PGWRAP_CONFIG": str(moved.made.spec),
        "PATH": search_path(moved.made.room.machine),
    }
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as child:
        assert child.stderr is not None
        began = time.monotonic()
        for line in child.stderr:
            assert time.monotonic() - began < DEADLINE
            if line.startswith(f"{step}: ") and "done" not in line:
                break
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)


def scratch(moved: Move) -> Path:
    """Where copies are restored."""
    return moved.made.room.directory("scratch")


def _done(moved: Move) -> set[str]:
    """The steps that are done."""
    ran = moved.made.pgwrap("migrate", "status", NEW, "-o", "json")
    found = json.loads(ran.stdout)["result"]["migrations"]
    return {one["name"] for one in found[0]["steps"] if one["state"] == "done"} if found else set()


def ids(moved: Move) -> list[str]:
    """The new engine's backups that are done."""
    return moved.made.pgwrap("list", NEW, "--ids", "--state", "done").stdout.split()


def test_killed_at_every_step_it_comes_to_the_same_end(moved: Move) -> None:
    """Each step is killed twice: at once, and amid what it does. What was done before stays done."""
    chance = random.Random(SEED)
    for step in STEPS:
        for delay in (0.0, chance.uniform(0.3, 2.5)):
            if step in _done(moved):
                continue
            kill_in(moved, step, delay)
            before = [one["state"] for one in migration(moved)["steps"]]
            assert "undone" not in before
            assert before == sorted(before, key=("done", "begun", "waiting").index), before
    if "retire" not in _done(moved):
        moved.made.pgwrap("migrate", "run", NEW, *RETIRE, "--directory", str(scratch(moved)), deadline=DEADLINE)
    found = migration(moved)
    assert (found["state"], {one["state"] for one in found["steps"]}) == ("done", {"done"})
    carried = next(dict(one["kept"])["backups"] for one in found["steps"] if one["name"] == "carry").split()
    own = [one for one in ids(moved) if one not in carried]
    assert len(carried) == 2
    assert 1 <= len(own) <= 3
    assert processes_in(scratch(moved)) == ()
    assert list(scratch(moved).iterdir()) == []


def test_afterwards_everything_restores(moved: Move) -> None:
    """Each of the carried backups, by a drill; and commits go on being archived by the new engine alone."""
    for backup in ids(moved):
        words = ("--backup", backup, "--target", "oldest", "--directory", str(scratch(moved)))
        ran = moved.made.pgwrap("drill", NEW, *words, deadline=DEADLINE, check=False)
        assert ran.exit_code == 0, ran.stdout + ran.stderr
