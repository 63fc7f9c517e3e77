"""`pgwrap restore` in its forms: the plan, and what was done. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.amounts import duration, moment, size
from pgwrap.domain.restoring import PlannedSetting, RestorePlan, RestoreResult
from pgwrap.present.envelope import envelope
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text

PLAN_SCHEMA = "pgwrap/restore-plan/1"
RESTORE_SCHEMA = "pgwrap/restore/1"
_LABEL = 13
_INDENT = " " * _LABEL


def plan_json(plan: RestorePlan, now: datetime) -> str:
    """The plan as JSON text; `partial` where something stands against it."""
    return json_text(envelope(PLAN_SCHEMA, plan, (), now, "partial" if plan.refusals else "success"))


def result_json(result: RestoreResult, now: datetime) -> str:
    """What was done as JSON text."""
    return json_text(envelope(RESTORE_SCHEMA, result, (), now, "success"))


def plan_text(plan: RestorePlan) -> str:
    """The plan for people, with every command as it can be typed."""
    return "".join(f"{line}\n" for line in _plan(plan))


def result_text(result: RestoreResult) -> str:
    """What was done, and what to type next."""
    return "".join(f"{line}\n" for line in _result(result))


def _plan(plan: RestorePlan) -> Iterator[str]:
    where = f"{plan.host}:{plan.directory}" if plan.host else plan.directory
    what = "a standby" if plan.standby else "a copy"
    yield harmless(f"restore {plan.cluster} as {what} into {where}")
    yield ""
    yield from _block("target", plan.target_text)
    repository = f", repository {plan.repository}" if plan.repository else ""
    taken = f"{plan.backup} ({plan.backup_type}, ended {moment(plan.backup_stopped_at)})"
    yield from _block("backup", taken, f"by {plan.engine} {plan.engine_version} as {plan.engine_name}{repository}")
    yield from _block("why", *plan.reason.split("; "))
    wal = plan.wal
    yield from _block(
        "WAL",
        f"{wal.from_} to {wal.to}, {wal.segments} segments, all of them there"
        + ("" if wal.exact else "; replay may end before"),
        f"along timeline {plan.timeline}",
    )
    yield from _block("space", *_space(plan))
    yield from _block("time", _time(plan))
    yield from _block("runs as", f"{plan.user or 'whoever runs pgwrap'}; the files belong to {plan.owner or '?'}")
    if plan.tablespaces:
        placed = (f"{one.name} → {one.directory}" + ("" if one.moved else " (its original place)")
                  for one in plan.tablespaces)  # fmt: skip
        yield from _block("tablespaces", *placed)
    yield from _block("settings", *map(_setting, plan.settings))
    yield from _block("commands", *(f"$ {command}" for command in plan.commands))
    yield from (line for note in plan.notes for line in _block("note", note))
    yield from (line for one in plan.accepted for line in _block("accepted", f"{one.message} [{one.code}]"))
    for one in plan.refusals:
        accept = f"; or --accept {one.code}" if one.acceptable else ""
        yield from _block("refused", f"{one.message} [{one.code}]", f"{one.hint}{accept}")


def _block(label: str, *lines: str) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{label:<{_LABEL}}{harmless(line)}" if number == 0 else f"{_INDENT}{harmless(line)}"


def _space(plan: RestorePlan) -> Iterator[str]:
    for one in plan.space:
        needed = (
            "what its tablespaces hold"
            if one.needed_bytes is None and one.path != plan.directory
            else size(one.needed_bytes)
        )
        yield f"{one.mount or one.path}: needs {needed}, has {size(one.free_bytes)} free"


def _time(plan: RestorePlan) -> str:
    if plan.expected_seconds is None:
        return f"not known ({plan.expected_from})"
    return f"about {duration(max(1.0, plan.expected_seconds))} ({plan.expected_from})"


def _setting(setting: PlannedSetting) -> str:
    by = " (by pgwrap)" if setting.by == "pgwrap" else ""
    return f"{setting.file}{by}" if not setting.name else f"{setting.file}: {setting.name} = {setting.value}{by}"


def _result(result: RestoreResult) -> Iterator[str]:
    plan = result.plan
    rate = f", {size(int(result.bytes / result.seconds))}/s" if result.bytes and result.seconds > 0 else ""
    done = f"restored {plan.cluster} from {plan.backup} into {plan.directory} in {duration(result.seconds)}{rate}"
    yield harmless(done)
    yield harmless(f"recovery to {plan.target_text} happens when it is started")
    yield from (line for message in result.messages for line in _block("note", message))
    yield from _block("start", *result.start)
    yield from _block("then ask", *result.check)
    yield from _block("undo", *result.undo)
