"""A cluster at work is moved to the other engine with one command; the old repository is taken away, and any moment of
the whole window, old and new, is still restored to the row.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from integration.lab.machine import Machine
from integration.lab.moving import NEW, Move, back_up, backed_up, move, promote
from integration.lab.postgres import describe_server
from integration.lab.room import room
from integration.lab.under_load import LEDGER, Committer, Sampler, committed, numbers, pgbench, running

pytestmark = pytest.mark.thorough
SEED = 20261126
BLOCKED = 5.0
"""Seconds that no commit may take; this machine may be busy with other tests."""
DEADLINE = 1500.0
MOMENTS = 10


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What is left when all is done."""

    moved: Move
    said: str
    committer: Committer
    slowest_before: float
    sampler: Sampler
    kept: dict[int, datetime]
    """When each row was committed."""
    first: datetime
    """The end of the oldest backup."""
    last: datetime
    """A moment that the new engine's archive is known to reach."""


@pytest.fixture(scope="module", params=["pgbackrest", "barman"])
def done(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Moved]:
    """Four backups, a tablespace, a timeline switch, load all the while; moved, and the old repository gone."""
    with room(machine, "move") as place, move(place, request.param) as moved:
        server = moved.server
        server.configure({"track_commit_timestamp": "on"})
        backed_up(moved, backups=0)
        server.sql(LEDGER)
        space = place.directory("space", mode=0o700)
        server.sql(f"create tablespace elsewhere location '{space}'")
        server.sql("create table far tablespace elsewhere as select generate_series(1, 1000) as number")
        committer, sampler = Committer(server), Sampler(moved)
        with running(committer), pgbench(server, rate=20):
            _history(moved)
            slowest, committer.slowest = committer.slowest, 0.0
            with running(sampler):
                said = moved.made.pgwrap("migrate", "run", NEW, "--until", "retire", "--yes", deadline=DEADLINE).stdout
            _finish(moved)
        kept = committed(server)
        _take_away(moved)
        first, last = _window(moved)
        yield Moved(
            moved=moved,
            said=said,
            committer=committer,
            slowest_before=slowest,
            sampler=sampler,
            kept=kept,
            first=first,
            last=last,
        )


def _history(moved: Move) -> None:
    """Backups of each kind the engine has, on two timelines."""
    kinds = ("full", "full", "full") if moved.source == "barman" else ("full", "differential", "incremental")
    for kind in kinds:
        back_up(moved, kind)
    promote(moved)
    back_up(moved)


def _finish(moved: Move) -> None:
    """Commits after the move, archived by the new engine alone."""
    server = moved.server
    for _ in range(2):
        segment = server.switch_wal()
        if moved.to == "barman":
            moved.made.barman.take_wal(NEW, segment)
        else:
            server.wait_archived(segment)


def _take_away(moved: Move) -> None:
    """The old engine's directories."""
    path = moved.made.room.path
    barman, pgbackrest = ("barman", "etc/barman.d", "etc/barman.conf"), ("pgbackrest", "etc/pgbackrest")
    for number, name in enumerate(barman if moved.source == "barman" else pgbackrest):
        (path / name).rename(path / f"gone-{number}")


def _window(moved: Move) -> tuple[datetime, datetime]:
    ran = moved.made.pgwrap("status", NEW, "-o", "json", check=False)
    (entry,) = json.loads(ran.stdout)["result"]["clusters"]
    spans = [(datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["to"])) for one in entry["recoverable"]]
    return min(first for first, _ in spans), max(last for _, last in spans)


def test_every_step_is_done_and_proven(done: Moved) -> None:
    """The migration ends retired, with a certificate that says so."""
    ran = done.moved.made.pgwrap("migrate", "status", NEW, "-o", "json")
    (migration,) = json.loads(ran.stdout)["result"]["migrations"]
    assert (migration["state"], {step["state"] for step in migration["steps"]}) == ("done", {"done"})
    steps = {step["name"]: dict(step["kept"]) for step in migration["steps"]}
    certificate: Any = json.loads(Path(steps["prove"]["certificate"]).read_text())
    assert len(certificate["drills"]) == len(steps["carry"]["backups"].split()) == 4
    assert all(drill["passed"] for drill in certificate["drills"])
    assert certificate["comparison"]["differences"] == []
    assert certificate["comparison"]["sides"][0]["objects"] >= 6


def test_the_window_never_shrank(done: Moved) -> None:
    """Each look shows all that the one before did; in the end it is one window, which begins where the first did.

    What lies between the engines is for a while not archived yet.
    """
    spans = done.sampler.spans()
    assert len(spans) >= 10
    for before, after in pairwise(spans):
        for first, last in before:
            assert any(one <= first and last <= other for one, other in after), (before, after)
    assert len(spans[0]) == len(spans[-1]) == 1
    assert spans[-1][0][0] == spans[0][0][0]


def test_no_commit_was_blocked(done: Moved) -> None:
    """None took longer than any other does on a busy machine."""
    assert done.committer.rows > 500
    assert done.committer.slowest < max(BLOCKED, 2 * done.slowest_before)


def test_every_moment_is_restored_to_the_row(done: Moved) -> None:
    """Random moments over the whole window, the oldest backup's end and the timeline switch in it."""
    chance = random.Random(SEED)
    length = (done.last - done.first).total_seconds() - 2
    moments = [done.first + timedelta(seconds=1 + length * chance.random()) for _ in range(MOMENTS)]
    for moment in sorted(moments):
        wanted = {number for number, at in done.kept.items() if at <= moment}
        assert _restored(done, moment) == wanted, f"at {moment}, of {done.first} to {done.last}"


def _restored(done: Moved, moment: datetime) -> set[int]:
    made = done.moved.made
    copy = describe_server(made.room, f"copy-{moment:%H%M%S%f}")
    spaces = copy.data.with_name(f"{copy.data.name}-spaces")
    where = ("--directory", str(copy.data), "--tablespaces-in", str(spaces))
    target = ("--target-time", moment.astimezone(UTC).isoformat(), "--target-action", "promote")
    made.pgwrap("restore", NEW, *where, *target, "--yes", deadline=300)
    copy.prepare()
    copy.start()
    try:
        copy.wait_for("select not pg_is_in_recovery()")
        assert copy.sql("select sum(number) from far") == "500500"
        return numbers(copy)
    finally:
        copy.stop("immediate")
        shutil.rmtree(copy.data)
        shutil.rmtree(spaces, ignore_errors=True)
