"""A migration that is paused, undone or refused leaves the old engine as it was; at last one command moves it all."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from integration.lab.machine import Machine
from integration.lab.moving import NEW, OLD, Move, backed_up, move
from integration.lab.room import room

BOTH = pytest.mark.parametrize(
    "moved", ["pgbackrest", pytest.param("barman", marks=pytest.mark.thorough)], indirect=True
)
STEPS = ("prepare", "dual", "backup", "cut-over")


@pytest.fixture(scope="module")
def moved(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Move]:
    """A cluster with a backup in its old engine, and an entry for the new one."""
    with room(machine, "move") as place, move(place, request.param) as made:
        backed_up(made, backups=1)
        yield made


def answer(moved: Move) -> Any:
    """What status says of every cluster."""
    return json.loads(moved.made.pgwrap("status", "-o", "json", check=False).stdout)["result"]


def settings(moved: Move) -> str:
    """What PostgreSQL archives with, and its slots."""
    return moved.server.sql(
        "select string_agg(name || '=' || setting, ' ' order by name) from pg_settings "
        "where name in ('archive_command', 'archive_mode', 'archive_timeout')"
    ) + moved.server.sql("select string_agg(slot_name, ' ') from pg_replication_slots")


def steps(moved: Move) -> dict[str, str]:
    """Each step of the newest migration and its state."""
    ran = moved.made.pgwrap("migrate", "status", NEW, "-o", "json")
    newest: Any = json.loads(ran.stdout)["result"]["migrations"][0]
    return {step["name"]: step["state"] for step in newest["steps"]}


@BOTH
def test_the_new_entry_is_none_before_it_begins(moved: Move) -> None:
    """Status, render and apply leave it alone; a migration that never began has no status."""
    assert [one["name"] for one in answer(moved)["clusters"]] == [OLD]
    ran = moved.made.pgwrap("backup", NEW, check=False)
    assert (ran.exit_code, "migrate run" in ran.stderr) == (2, True)
    assert "no migration was ever begun" in moved.made.pgwrap("migrate", "status").stdout
    ran = moved.made.pgwrap("migrate", "rollback", NEW, "--yes", check=False)
    assert (ran.exit_code, "no migration" in ran.stderr) == (2, True)


@BOTH
@pytest.mark.parametrize(
    "until", [pytest.param(one, marks=() if one == "dual" else pytest.mark.thorough) for one in STEPS]
)
def test_it_can_be_undone_after_each_step(moved: Move, until: str) -> None:
    """PostgreSQL archives as before, no slot is left, the old engine expires and restores as before."""
    before, was = settings(moved), next(one for one in answer(moved)["clusters"] if one["name"] == OLD)
    ran = moved.made.pgwrap("migrate", "run", NEW, "--without-history", "--until", until, "--yes", deadline=600)
    assert steps(moved)[until] == "done", ran.stderr
    both = answer(moved)
    assert [one["name"] for one in both["clusters"]] == [OLD, NEW]
    assert {one["moving"]["in_charge"] for one in both["clusters"]} == {NEW if until == "cut-over" else OLD}
    moved.made.pgwrap("migrate", "rollback", NEW, "--yes", deadline=120)
    assert set(steps(moved).values()) <= {"undone", "waiting"}
    assert settings(moved) == before
    (entry,) = answer(moved)["clusters"]
    assert (entry["name"], entry["severity"], entry["moving"]) == (OLD, "ok", None)
    assert [one["id"] for one in entry["backups"]] == [one["id"] for one in was["backups"]]
    assert entry["retention"]["policy"] == was["retention"]["policy"]


@BOTH
def test_a_paused_one_goes_on_when_it_is_told_to(moved: Move) -> None:
    """It says that it is paused, with exit 1, and resumes where it stood."""
    moved.made.pgwrap("migrate", "run", NEW, "--without-history", "--until", "prepare", "--yes", deadline=600)
    moved.made.pgwrap("migrate", "pause", NEW)
    assert "paused" in moved.made.pgwrap("status", check=False).stdout
    moved.made.pgwrap("migrate", "resume", NEW, "--until", "dual", "--yes", deadline=600)
    assert (steps(moved)["dual"], steps(moved)["backup"]) == ("done", "waiting")
    moved.made.pgwrap("migrate", "rollback", NEW, "--yes", deadline=120)


@BOTH
def test_a_second_run_at_the_same_time_is_refused(moved: Move) -> None:
    """Exit 7, and the first is not disturbed."""
    lock = moved.made.room.path / "state/lock" / f"migrate-{NEW}.lock"
    with held(lock):
        ran = moved.made.pgwrap("migrate", "run", NEW, "--without-history", "--yes", check=False)
    assert (ran.exit_code, "hint" in ran.stderr) == (7, True), ran.stderr


@BOTH
def test_a_changed_engine_is_called_a_migration(moved: Move) -> None:
    """`engine:` alone changed in the spec: apply refuses, and says how it is done; nothing is touched."""
    spec = moved.made.spec
    text = spec.read_text()
    moved.made.pgwrap("apply", OLD, "--yes", check=False)
    try:
        spec.write_text(_exchanged(text, moved))
        ran = moved.made.pgwrap("apply", OLD, "--yes", check=False)
        assert (ran.exit_code, "migrate plan" in ran.stderr) == (8, True), ran.stderr
    finally:
        spec.write_text(text)


@BOTH
def test_at_last_one_command_moves_it_with_its_history(moved: Move) -> None:
    """The old backup is the new engine's and restores from there; the old one does not know the cluster any more."""
    words = ("--until", "retire", "--yes", "--directory", str(moved.made.room.directory("scratch")))
    moved.made.pgwrap("migrate", "run", NEW, *words, deadline=600)
    assert set(steps(moved).values()) == {"done"}
    (entry,) = answer(moved)["clusters"]
    assert (entry["name"], entry["engine"], entry["severity"], entry["moving"]) == (NEW, moved.to, "ok", None)
    oldest, *own = entry["backups"]
    assert len(own) == 1
    assert min(one["from"] for one in entry["recoverable"]) == oldest["stopped_at"]
    where = str(moved.made.room.path / "scratch")
    moved.made.pgwrap("drill", NEW, "--backup", oldest["id"], "--directory", where, deadline=300)
    ran = moved.made.pgwrap("migrate", "rollback", NEW, "--yes", check=False)
    assert (ran.exit_code, "no migration" in ran.stderr) == (2, True)


def _exchanged(text: str, moved: Move) -> str:
    """The old entry alone, with the other engine's name."""
    head, _, entries = text.partition("clusters:\n")
    old = entries.partition(f"  {NEW}:\n")[0]
    lines = (line for line in old.splitlines() if "options:" not in line and "create_slot" not in line)
    body = "\n".join(lines).replace(f"engine: {moved.source}", f"engine: {moved.to}")
    body = body.replace("    repositories: [local]\n", "")
    return f"{head}clusters:\n{body}\n"


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Another process's lock, as far as pgwrap can tell."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)
