"""Migrations and their plans in text: aligned, indented, and free of what a terminal would obey."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from pgwrap.domain.carrying import Carrying, CarryPlan
from pgwrap.domain.certificate import Comparison, Side
from pgwrap.domain.facts import Backup
from pgwrap.domain.losses import Loss
from pgwrap.domain.migration import Migration, MigrationStep, StepName, order
from pgwrap.domain.migration_plan import MigrationPlan, PlannedStep
from pgwrap.present.migration import comparison_json, comparison_text, migrations_json, migrations_text
from pgwrap.present.migration_plan import plan_json, plan_text

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
STEPS = tuple(MigrationStep(name=name) for name in order("pgbackrest", history=True))
MIGRATION = Migration(
    id="m1",
    cluster="orders",
    source="orders-old",
    from_engine="barman",
    to_engine="pgbackrest",
    began_at=AT,
    changed_at=AT,
    steps=(
        MigrationStep(name=StepName.PREPARE, state="done", began_at=AT, ended_at=AT, proof="both\x1b[31m answer"),
        MigrationStep(name=StepName.DUAL, state="begun", began_at=AT),
        *STEPS[2:],
    ),
)
BACKUP = Backup(
    engine="barman",
    engine_name="orders",
    id="20261126T090000",
    repository=None,
    type="full",
    state="done",
    stopped_at=AT,
    cluster_bytes=1 << 20,
)
PLAN = MigrationPlan(
    cluster="orders",
    source="orders-old",
    from_engine="barman",
    from_version="3.4.0",
    to_engine="pgbackrest",
    to_version="2.45",
    steps=(
        PlannedStep(name=StepName.PREPARE, does="write", commands=("pgbackrest stanza-create",), files=("/etc/p",)),
    ),
    losses=(Loss(what="hold", message="no keep", instead="pgwrap expire"),),
    remarks=(),
    carry=CarryPlan(
        source="orders-old",
        target="orders",
        backups=(
            Carrying(backup=BACKUP, carried=True, bytes=1 << 20),
            Carrying(backup=replace(BACKUP, id="20261126T080000"), carried=False, reason="WAL is missing"),
        ),
        segments_to_move=7,
        needed_bytes=1 << 20,
        free_bytes=1 << 30,
    ),
    recoverable_now=(),
    recoverable_then=(),
    retention=(),
    refusals=("there is no room",),
)


def test_steps_stand_below_each_other_with_their_proofs() -> None:
    """What is done, begun and waits; then what to type next."""
    assert migrations_text((MIGRATION,)).splitlines() == [
        "orders: from barman (orders-old) to pgbackrest, running, begun 2026-11-26 10:00:00Z",
        "  [x] prepare   both\\x1b[31m answer",
        "  [>] dual      begun 2026-11-26 10:00:00Z",
        *(f"  [ ] {step.name}" for step in STEPS[2:]),
        "  → pgwrap migrate run orders goes on; pgwrap migrate rollback orders undoes it",
    ]


def test_json_says_which_step_is_next() -> None:
    """And null once it has ended."""
    running, ended = (
        json.loads(migrations_json((one,), AT))["result"]["migrations"][0]
        for one in (MIGRATION, replace(MIGRATION, state="rolled-back"))
    )
    assert (running["next"], ended["next"]) == ("dual", None)


def test_a_plan_shows_what_is_carried_as_a_table() -> None:
    """Its columns keep their places, its steps their indentation, and what stands against it comes last."""
    lines = plan_text(PLAN).splitlines()
    assert "20261126T090000  full  2026-11-26 10:00:00Z  1.0 MiB  yes" in [line.rstrip() for line in lines]
    assert any(line.endswith("no       WAL is missing") for line in lines)
    assert ["lost: hold: no keep", "  → pgwrap expire"] == [
        line for line in lines if "lost" in line or "expire" in line
    ]
    assert "     run   pgbackrest stanza-create" in lines
    assert lines[-1] == "not ready: there is no room"
    assert json.loads(plan_json(PLAN, AT))["result"]["ready"] is False


def test_a_comparison_names_what_differs() -> None:
    """Both sides, then each difference, or that there is none."""
    side = Side(engine="barman", engine_name="orders", backup="b", replayed="0/3000028", objects=2)
    same = Comparison(moment=AT, sides=(side, side), differences=())
    assert comparison_text(same).splitlines()[-1] == "the same"
    other = replace(same, differences=("postgres: public.t: 1 from barman, 2 from pgbackrest",))
    assert comparison_text(other).splitlines()[-1].startswith("differs: postgres: public.t")
    assert json.loads(comparison_json(other, AT))["result"]["same"] is False
