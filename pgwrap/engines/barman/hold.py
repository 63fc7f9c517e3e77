"""`barman keep`: holding a backup against retention, letting it go, and asking what holds. It runs nothing.

Source: barman/cli.py (keep), barman/annotations.py. Barman takes no lock for it, in any version from 3.4 to 3.19, and
tells nothing when it is done: what holds now has to be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Held
from pgwrap.engines.barman.commands import barman
from pgwrap.engines.barman.envelope import messages_of, read_object
from pgwrap.engines.barman.failures import check_ran, is_busy, reason
from pgwrap.engines.barman.records import Record
from pgwrap.engines.port import HoldJob, HoldRequest
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported, OutputNotUnderstood

_HOLDS: Final[Mapping[str, Held]] = {"nokeep": False, "full": "full", "standalone": "standalone"}


def hold_job(request: HoldRequest) -> HoldJob:
    """`barman keep --target` or `--release`, and `--status`; EngineUnsupported for a backup that Barman cannot keep."""
    if request.target:
        _check_possible(request)
    how = ("--target", request.target) if request.target else ("--release",)
    return HoldJob(
        command=_keep(request, *how),
        check=partial(_check, request),
        question=_keep(request, "--status"),
        answer=partial(_answer, request),
        notes=_notes(request),
    )


def _keep(request: HoldRequest, *how: str) -> Command:
    cluster = request.cluster
    return barman(
        cluster.engine,
        *("-f", "json", "keep", *how, cluster.engine_name, request.backup.id),
        run_as=request.run_as,
        deadline=request.deadline,
    )


def _check_possible(request: HoldRequest) -> None:
    """Barman says the same of both, but only when it is asked to do it."""
    backup, name = request.backup, request.cluster.name
    if backup.state != "done":
        state = backup.state.replace("_", " ")
        hint = {
            "waiting_for_wal": f"wait for its last WAL segment; see `pgwrap status {name}`",
            "running": "wait for its end",
        }.get(backup.state, f"choose another: pgwrap list {name} --state done")
        raise EngineUnsupported(
            f"Barman holds only backups that are done; {backup.id} is {state}", hint=hint, cluster=name
        )
    if backup.parent is not None:
        root = (*backup.needs, backup.parent)[0]
        raise EngineUnsupported(
            f"Barman holds no incremental backup, and {backup.id} is one",
            hint=f"hold the full one that it builds on, and it stays, too: pgwrap hold {name} {root} --target full",
            cluster=name,
        )


def _check(request: HoldRequest, outcome: Outcome) -> None:
    check_ran(outcome)
    if not outcome.succeeded:
        raise _error(request, outcome, reason(outcome))


def _answer(request: HoldRequest, outcome: Outcome) -> Held:
    _check(request, outcome)
    answer = read_object(outcome.text())
    said = answer.record(request.cluster.engine_name).record("keep_status").text("message")
    if said is None:
        raise _error(request, outcome, _silence(answer))
    if said not in _HOLDS:
        raise OutputNotUnderstood(
            f"Barman calls {request.backup.id} {said!r}, which pgwrap does not know", cluster=request.cluster.name
        )
    return _HOLDS[said]


def _silence(answer: Record) -> str:
    """Of an inactive server Barman says only that it skips it, with exit code 0."""
    messages = messages_of(answer)
    return next(iter((*messages.errors, *messages.warnings, *messages.information)), "it does not say what it keeps")


def _error(request: HoldRequest, outcome: Outcome, message: str) -> Busy | EngineFailed:
    name = request.cluster.name
    text = f"Barman, asked about {request.backup.id}: {message}"
    if is_busy(message):
        return Busy(text, hint="wait for it to end, then again", cluster=name)
    hint = f"try by hand: {outcome.command.quoted()}"
    return EngineFailed(text, hint=hint, cluster=name, engine_exit=outcome.exit_code)


def _notes(request: HoldRequest) -> tuple[str, ...]:
    """What retention makes of it (barman/retention_policies.py: a kept backup counts among the newest n)."""
    policy = request.policy
    if policy is None:
        unseen = "Barman applies no retention policy here: nothing expires anyway, and its lists do not show the hold"
        return (unseen,) if request.target else ()
    if not request.target:
        return (f"{policy} applies to it again: the next barman cron deletes it if it is obsolete",)
    if not policy.startswith("REDUNDANCY"):
        return ()
    slot = f"a held backup takes up a slot of {policy} while it is among the newest, and an older one goes sooner"
    return (f"{slot}: raise retention: {{full: N}} by the number of backups that you hold",)
