"""The plan of a migration in text and JSON. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.amounts import duration, moment, size, window
from pgwrap.domain.carrying import Carrying, CarryPlan
from pgwrap.domain.migration_plan import MigrationPlan, PlannedStep
from pgwrap.present.encode import encode
from pgwrap.present.envelope import envelope
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text
from pgwrap.text.tables import table

SCHEMA = "pgwrap/migrate-plan/1"


def plan_json(plan: MigrationPlan, now: datetime) -> str:
    """The plan as JSON text; `ready` says whether anything stands against it."""
    data = encode(plan)
    assert isinstance(data, dict)  # noqa: S101 - a dataclass is an object
    return json_text(envelope(SCHEMA, data | {"ready": plan.ready}, (), now, "success"))


def plan_text(plan: MigrationPlan) -> str:
    """What moves, what is lost, what would be done, and what stands against it."""
    blocks = (_head(plan), _losses(plan), _backups(plan), _retention(plan), _steps(plan), _end(plan))
    return "\n".join("".join(f"{line}\n" for line in block) for block in map(tuple, blocks) if block)


def _head(plan: MigrationPlan) -> Iterator[str]:
    old = f"{plan.from_engine} {plan.from_version or '?'} ({harmless(plan.source)})"
    yield f"{harmless(plan.cluster)}: from {old} to {plan.to_engine} {plan.to_version}"
    yield f"  restorable now:  {_spans(tuple((one.from_, one.to) for one in plan.recoverable_now))}"
    if plan.carry is not None:
        then = _spans(tuple((one.from_, one.to) for one in plan.recoverable_then))
        yield f"  from {plan.to_engine} then: {then}"


def _spans(spans: tuple[tuple[datetime, datetime], ...]) -> str:
    return ", ".join(window(*span) for span in spans) or "nothing"


def _losses(plan: MigrationPlan) -> Iterator[str]:
    for loss in plan.losses:
        yield f"lost: {loss.what}: {harmless(loss.message)}"
        if loss.instead:
            yield f"  → {harmless(loss.instead)}"
    for remark in plan.remarks:
        yield f"{plan.to_engine} says: {harmless(remark)}"


def _backups(plan: MigrationPlan) -> Iterator[str]:
    carry = plan.carry
    if carry is None:
        return
    if carry.backups:
        rows = [_row(one) for one in carry.backups]
        yield from table(rows, ("backup", "type", "ended", "size", "carried", "why")).splitlines()
    yield _wal(carry)
    for gap in carry.gaps:
        yield f"gap: {gap.segments} segments are missing in the source, {gap.from_} to {gap.to}: they stay missing"
    free = size(carry.free_bytes) if carry.free_bytes is not None else "not known"
    yield f"room: {size(carry.needed_bytes)} needed at most at one time, {free} free"
    expected = f"about {duration(plan.expected_seconds)} for the restores" if plan.expected_seconds else "not known"
    yield f"time: {expected} ({plan.expected_by or 'nothing is left to carry'}); WAL comes on top"


def _wal(carry: CarryPlan) -> str:
    there = f", {carry.segments_already} are there already" if carry.segments_already else ""
    return f"WAL: {carry.segments_to_move} files to move{there}"


def _row(one: Carrying) -> tuple[str, ...]:
    carried = "already" if one.already else "yes" if one.carried else "no"
    backup = one.backup
    return (harmless(backup.id), backup.type, moment(backup.stopped_at), size(one.bytes), carried, harmless(one.reason))


def _retention(plan: MigrationPlan) -> Iterator[str]:
    for fate in plan.retention:
        kept = {True: "kept", False: "goes", None: "not known"}[fate.kept]
        yield harmless(f"retention of {plan.cluster}: {fate.id} {kept}: {fate.reason}")


def _steps(plan: MigrationPlan) -> Iterator[str]:
    for number, step in enumerate(plan.steps, start=1):
        yield f"{number}. {step.name}: {harmless(step.does)}"
        yield from _inside(step)


def _inside(step: PlannedStep) -> Iterator[str]:
    yield from (f"     write {harmless(path)}" for path in step.files)
    yield from (f"     run   {harmless(command)}" for command in step.commands)
    yield from (f"     left to you: {harmless(text)}" for text in step.by_hand)


def _end(plan: MigrationPlan) -> Iterator[str]:
    yield from (f"note: {harmless(note)}" for note in (*plan.notes, *(plan.carry.notes if plan.carry else ())))
    yield from (f"not ready: {harmless(refusal)}" for refusal in plan.refusals)
    if plan.ready:
        yield f"ready: pgwrap migrate run {harmless(plan.cluster)}"
