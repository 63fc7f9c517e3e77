"""Migrations as data: the order of steps, what the spec means meanwhile, and back from the journal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.migration import Migration, MigrationStep, StepName, as_it_stands, order
from pgwrap.domain.migration_record import from_data, to_data
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, NativeOption, Objectives, RetentionPolicy
from pgwrap.errors import UsageError

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
BARMAN = EngineInstance(name="barman", kind=EngineKind.BARMAN, command="barman", config="/etc/barman.conf")
PGBACKREST = EngineInstance(
    name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/etc/pgbackrest.conf"
)
WEEK = RetentionPolicy(window_days=7)
OLD = Cluster(
    name="orders-old",
    engine=BARMAN,
    engine_name="orders",
    retention=WEEK,
    objectives=Objectives(rpo=60),
    options=(NativeOption(key="retention_policy", values=("REDUNDANCY 2",)), NativeOption(key="slot", values=("a",))),
)
NEW = Cluster(name="orders", engine=PGBACKREST, engine_name="orders", retention=WEEK, replaces="orders-old")
OTHER = Cluster(name="billing", engine=BARMAN, engine_name="billing", retention=WEEK)
FLEET = Fleet(clusters=(OLD, NEW, OTHER))


def migration(*done: StepName, state: str = "running", began_at: datetime = AT) -> Migration:
    """One with some steps done."""
    steps = tuple(
        MigrationStep(name=name, state="done" if name in done else "waiting")
        for name in order("pgbackrest", history=True)
    )
    return Migration(
        id=f"m{began_at:%H%M}",
        cluster="orders",
        source="orders-old",
        from_engine="barman",
        to_engine="pgbackrest",
        state=state,  # type: ignore[arg-type]
        began_at=began_at,
        changed_at=began_at,
        steps=steps,
    )


def test_barman_gets_the_old_backups_before_its_first_own() -> None:
    """Which would delete their WAL; pgBackRest takes its own first, and the carried ones beside it."""
    assert order("barman", history=True).index(StepName.CARRY) < order("barman", history=True).index(StepName.BACKUP)
    towards = order("pgbackrest", history=True)
    assert towards.index(StepName.BACKUP) < towards.index(StepName.CARRY) < towards.index(StepName.PROVE)


@pytest.mark.parametrize("engine", ["barman", "pgbackrest"])
def test_nothing_is_cut_over_or_retired_before_it_is_proven(engine: str) -> None:
    """Whatever is carried."""
    for history in (True, False):
        steps = order(engine, history=history)  # type: ignore[arg-type]
        assert steps[-3:] == (StepName.PROVE, StepName.CUT_OVER, StepName.RETIRE)
        assert (StepName.CARRY in steps) is history


def test_before_it_begins_the_new_entry_is_none() -> None:
    """The fleet is as it was, and the new entry says why it is left out."""
    fleet = as_it_stands(FLEET, ())
    assert fleet.clusters == (OLD, OTHER)
    with pytest.raises(UsageError, match=r"left out.*migrate run"):
        fleet.cluster("orders")


def test_while_it_runs_nothing_expires_anywhere() -> None:
    """By no word and by no native option; other clusters are as they were."""
    fleet = as_it_stands(FLEET, (migration(StepName.PREPARE),))
    old, new, other = fleet.clusters
    assert old.retention == new.retention == RetentionPolicy()
    assert [option.key for option in old.options] == ["slot"]
    assert other == OTHER
    assert old.objectives == OLD.objectives
    assert new.objectives == Objectives()
    assert [(move.old, move.new, move.step, move.cut_over) for move in fleet.moves] == [
        ("orders-old", "orders", "dual", False)
    ]


def test_until_it_is_prepared_the_new_entry_is_there_for_the_migration_alone() -> None:
    """Nobody else could do anything with it; the old one is told of the move all the same."""
    fleet = as_it_stands(FLEET, (migration(),))
    assert [cluster.name for cluster in fleet.clusters] == ["orders-old", "billing"]
    assert [move.step for move in fleet.moves] == ["prepare"]
    assert len(as_it_stands(FLEET, (migration(),), preparing=True).clusters) == 3


def test_from_the_cut_over_on_the_new_retention_counts() -> None:
    """And the old entry has no promise to keep any more, but still expires nothing."""
    done = tuple(name for name in order("pgbackrest", history=True) if name is not StepName.RETIRE)
    old, new, _ = as_it_stands(FLEET, (migration(*done),)).clusters
    assert new.retention == WEEK
    assert old.retention == RetentionPolicy()
    assert old.objectives == Objectives()


def test_while_it_is_being_retired_the_old_entry_is_there_for_the_migration_alone() -> None:
    """Its files may be gone already, and the new one restores all."""
    done = migration(*(name for name in StepName if name is not StepName.RETIRE))
    begun = done.with_step(MigrationStep(name=StepName.RETIRE, state="begun"), AT)
    assert as_it_stands(FLEET, (begun,)).clusters == (NEW, OTHER)
    assert as_it_stands(FLEET, (begun,)).moves == ()
    assert len(as_it_stands(FLEET, (begun,), preparing=True).clusters) == 3


def test_once_retired_the_old_entry_is_none() -> None:
    """It is left out with the advice to take it out of the spec."""
    fleet = as_it_stands(FLEET, (migration(*StepName, state="done"),))
    assert fleet.clusters == (NEW, OTHER)
    with pytest.raises(UsageError, match="take the entry out"):
        fleet.cluster("orders-old")


def test_after_a_rollback_it_is_as_before_and_the_newest_migration_counts() -> None:
    """An older one that was rolled back says nothing."""
    back = migration(StepName.PREPARE, state="rolled-back")
    assert as_it_stands(FLEET, (back,)).clusters == (OLD, OTHER)
    again = migration(StepName.PREPARE, began_at=AT + timedelta(hours=1))
    assert len(as_it_stands(FLEET, (again, back)).clusters) == 3


MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))
STEPS = st.builds(
    MigrationStep,
    name=st.sampled_from(StepName),
    state=st.sampled_from(["waiting", "begun", "done", "undone"]),
    began_at=MOMENTS,
    ended_at=MOMENTS,
    proof=st.text(),
    kept=st.lists(st.tuples(st.text(), st.text())).map(tuple),
)


@given(st.lists(STEPS).map(tuple), st.sampled_from(["running", "paused", "done", "rolled-back"]))
def test_what_the_journal_keeps_is_what_comes_back(steps: tuple[MigrationStep, ...], state: str) -> None:
    """Through JSON text, every step and every moment."""
    kept = replace(migration(), steps=steps, state=state)
    assert from_data(json.loads(json.dumps(to_data(kept)))) == kept


@pytest.mark.parametrize("data", [{}, {"steps": [{}]}, {**to_data(migration()), "began_at": "yesterday"}])
def test_what_is_no_migration_is_refused(data: dict[str, object]) -> None:
    """By an error that its reader expects."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_data(data)
