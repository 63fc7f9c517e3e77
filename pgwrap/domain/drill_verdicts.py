"""What a drill's measurements mean: each judgement is a pure function, and what was not measured is never passed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pgwrap.domain.amounts import duration
from pgwrap.domain.amounts import moment as shown
from pgwrap.domain.command import Outcome
from pgwrap.domain.drill import Aim, Phase, Probe, ProbeName, ProbeVerdict
from pgwrap.domain.drill_choice import Choice
from pgwrap.domain.model import Assertion
from pgwrap.domain.recovery_log import RecoveryLog
from pgwrap.records import dataclass

PASSED, FAILED, UNKNOWN, ABSENT = ProbeVerdict.PASSED, ProbeVerdict.FAILED, ProbeVerdict.UNKNOWN, ProbeVerdict.ABSENT
AMCHECK_SINCE = 14
_CORRUPTION_FOUND = 2
"""pg_amcheck's exit code for it; 1 is any other trouble."""
_SAID = 300
"""Characters of a program's own words."""


def judge_start(log: RecoveryLog, choice: Choice, *, ready: bool) -> Probe:
    """Did the copy become consistent, reach its target, and answer?"""
    verdict, message = _start(log, choice, ready=ready)
    seconds = (log.ended_at - log.began_at).total_seconds() if log.ended_at and log.began_at else None
    return Probe(name=ProbeName.START, verdict=verdict, message=message, seconds=seconds)


def _start(log: RecoveryLog, choice: Choice, *, ready: bool) -> tuple[ProbeVerdict, str]:
    if not ready:
        return _silent(log)
    if choice.aim is Aim.NEWEST:
        return _newest(log, choice)
    if not log.stopped:
        return FAILED, f"recovery did not stop at its target; {_where(log)}"
    commit = log.reached.commit_at
    if choice.target is not None and commit is not None and commit > choice.target:
        return FAILED, f"a transaction of {shown(commit)} was replayed, after the target {shown(choice.target)}"
    return PASSED, f"recovery stopped at its target; {_where(log)}"


def _silent(log: RecoveryLog) -> tuple[ProbeVerdict, str]:
    if log.full:
        return UNKNOWN, "the file system of the drill ran full: nothing is known of the backup"
    if log.fatal:
        return FAILED, f"PostgreSQL gave up: {log.fatal[0]}"
    return UNKNOWN, "PostgreSQL did not answer, and its log does not say why"


def _newest(log: RecoveryLog, choice: Choice) -> tuple[ProbeVerdict, str]:
    candidate = choice.candidate
    last = candidate.last.name(candidate.segment_size)
    lsn = log.reached.lsn
    if lsn is None:
        return UNKNOWN, f"PostgreSQL answers, but its log does not say whether it replayed the archive to {last}"
    if lsn // candidate.segment_size < candidate.last.number:
        return FAILED, f"replay ended before segment {last}, which the archive lists; {_where(log)}"
    if not candidate.open_ended:
        return FAILED, f"WAL is missing after segment {last}: what was archived later is lost; {_where(log)}"
    return PASSED, f"all archived WAL was replayed; {_where(log)}"


def _where(log: RecoveryLog) -> str:
    commit = log.reached.commit_at
    last = f"last commit {shown(commit)}" if commit else "no commit was replayed"
    return f"{last}, WAL position {log.reached.lsn or '?'}"


def judge_amcheck(outcome: Outcome | None, major: int) -> Probe:
    """pg_amcheck over every table and B-tree; `outcome` None: it is not installed."""
    verdict, message = _amcheck(outcome, major)
    return Probe(name=ProbeName.AMCHECK, verdict=verdict, message=message, seconds=outcome.seconds if outcome else None)


def _amcheck(outcome: Outcome | None, major: int) -> tuple[ProbeVerdict, str]:
    if major < AMCHECK_SINCE:
        return ABSENT, f"PostgreSQL {major} has no pg_amcheck, which came with {AMCHECK_SINCE}"
    if outcome is None:
        return UNKNOWN, "pg_amcheck is not installed"
    if outcome.succeeded:
        return PASSED, "no corruption in any table or B-tree index"
    if outcome.exit_code == _CORRUPTION_FOUND:
        return FAILED, f"pg_amcheck found corruption: {_said(outcome.text() or outcome.error_text())}"
    return UNKNOWN, f"pg_amcheck could not look: {_why(outcome)}"


def judge_dump(outcome: Outcome | None) -> Probe:
    """pg_dumpall --schema-only: every catalog can be read."""
    if outcome is None:
        return Probe(name=ProbeName.DUMP, verdict=UNKNOWN, message="pg_dumpall is not installed")
    verdict, message = PASSED, "the schema of every database was dumped"
    if outcome.failure is not None:
        verdict, message = UNKNOWN, f"the schema could not be dumped: {_why(outcome)}"
    elif not outcome.succeeded:
        verdict, message = FAILED, f"the schema cannot be dumped: {_why(outcome)}"
    return Probe(name=ProbeName.DUMP, verdict=verdict, message=message, seconds=outcome.seconds)


_BAD_CHECKSUMS = re.compile(r"^Bad checksums: +(\d+)", re.MULTILINE)
_BLOCKS = re.compile(r"^Blocks scanned: +(\d+)", re.MULTILINE)


def judge_checksums(outcome: Outcome | None, *, enabled: bool | None) -> Probe:
    """pg_checksums over the stopped copy; `enabled` None: pg_controldata did not say."""
    verdict, message = _checksums(outcome, enabled=enabled)
    seconds = outcome.seconds if outcome else None
    return Probe(name=ProbeName.CHECKSUMS, verdict=verdict, message=message, seconds=seconds)


def _checksums(outcome: Outcome | None, *, enabled: bool | None) -> tuple[ProbeVerdict, str]:
    if enabled is False:
        return ABSENT, "data checksums are off in this cluster"
    if enabled is None or outcome is None:
        return UNKNOWN, "pg_checksums could not be asked"
    bad, blocks = _BAD_CHECKSUMS.search(outcome.text()), _BLOCKS.search(outcome.text())
    if outcome.succeeded and bad and blocks and int(bad[1]) == 0 and int(blocks[1]) > 0:
        return PASSED, f"{blocks[1]} blocks, none with a wrong checksum"
    if bad and int(bad[1]) > 0:
        return FAILED, f"{bad[1]} blocks have a wrong checksum: {_said(outcome.error_text())}"
    return UNKNOWN, f"pg_checksums could not look: {_why(outcome)}"


def _why(outcome: Outcome) -> str:
    """The program's own reason: its last words, or why it did not run."""
    if outcome.failure is not None:
        return outcome.message or outcome.failure.value
    return _said(outcome.error_text()) or f"exit code {outcome.exit_code}"


def _said(text: str) -> str:
    """The first lines that tell of trouble, else the first lines; on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()] or lines
    return "; ".join(telling)[:_SAID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a query gave: its single value as PostgreSQL's text (None: null), or why it gave none."""

    text: str | None = None
    error: str | None = None
    refused: bool = False
    """Whether PostgreSQL answered, and the answer was an error."""
    seconds: float | None = None


def judge_assertion(assertion: Assertion, value: Value, reference: datetime) -> Probe:
    """Is the value what the spec asks for? Ages count back from `reference`, the moment that was recovered to."""
    verdict, message = _assertion(assertion, value, reference)
    query = " ".join(assertion.sql.split())
    query = query if len(query) <= 80 else f"{query[:77]}..."
    return Probe(name=ProbeName.ASSERTION, verdict=verdict, message=f"{query}: {message}", seconds=value.seconds)


def _assertion(assertion: Assertion, value: Value, reference: datetime) -> tuple[ProbeVerdict, str]:
    if value.error is not None:
        return (FAILED if value.refused else UNKNOWN), value.error
    if value.text is None:
        return FAILED, "it gave null"
    wrong = [text for text in _wrongs(assertion, value.text, reference) if text]
    return (FAILED, "; ".join(wrong)) if wrong else (PASSED, f"it gave {value.text}")


def _wrongs(assertion: Assertion, text: str, reference: datetime) -> tuple[str, ...]:
    return (
        f"it gave {text}, not {assertion.equals}" if assertion.equals not in (None, text) else "",
        _out_of_range(assertion, text),
        _too_old(assertion.maximum_age, text, reference),
    )


def _out_of_range(assertion: Assertion, text: str) -> str:
    if assertion.at_least is None and assertion.at_most is None:
        return ""
    try:
        number = float(text)
    except ValueError:
        return f"it gave {text}, which is no number"
    if assertion.at_least is not None and not number >= assertion.at_least:
        return f"it gave {text}, less than {assertion.at_least:g}"
    if assertion.at_most is not None and not number <= assertion.at_most:
        return f"it gave {text}, more than {assertion.at_most:g}"
    return ""


def _too_old(maximum_age: int | None, text: str, reference: datetime) -> str:
    if maximum_age is None:
        return ""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return f"it gave {text}, which is no time"
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    if reference - aware > timedelta(seconds=maximum_age):
        return f"it gave {text}, {duration((reference - aware).total_seconds())} before {shown(reference)}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRow:
    """A row of pgwrap.canary in the copy."""

    id: int
    written_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryMark:
    """A row that `pgwrap canary` wrote, as the journal remembers it, by the server's clock."""

    id: int
    written_at: datetime
    confirmed_at: datetime
    """A moment after its commit."""


def judge_canary(
    rows: tuple[CanaryRow, ...] | None, marks: tuple[CanaryMark, ...], choice: Choice, log: RecoveryLog
) -> Probe:
    """Rows committed before the moment that was recovered to must be there, rows written after it must not."""
    verdict, message = _canary(rows, marks, choice, log)
    return Probe(name=ProbeName.CANARY, verdict=verdict, message=message)


def _canary(
    rows: tuple[CanaryRow, ...] | None, marks: tuple[CanaryMark, ...], choice: Choice, log: RecoveryLog
) -> tuple[ProbeVerdict, str]:
    moment = choice.target or _moment_reached(choice, log)
    before = [mark for mark in marks if moment is not None and mark.confirmed_at <= moment]
    newest = max(before, key=lambda mark: mark.id, default=None)
    if not rows and newest is None:
        return ABSENT, "no canary had been written by then: `pgwrap canary` writes one"
    late = [row for row in rows or () if choice.target is not None and row.written_at > choice.target]
    if late:
        return FAILED, f"row {late[0].id} of {shown(late[0].written_at)} is there, written after the target"
    if newest is not None and (newest.id, newest.written_at) not in {(row.id, row.written_at) for row in rows or ()}:
        return FAILED, f"row {newest.id}, committed by {shown(newest.confirmed_at)}, is not there"
    return PASSED, _canary_text(newest, marks, choice)


def _canary_text(newest: CanaryMark | None, marks: tuple[CanaryMark, ...], choice: Choice) -> str:
    there = f"row {newest.id}, written before, is there" if newest else "rows are there; the journal knows of none"
    after = [mark for mark in marks if choice.target is not None and mark.written_at > choice.target]
    return there + (f"; row {after[0].id}, written after the target, is not" if after else "")


def _moment_reached(choice: Choice, log: RecoveryLog) -> datetime | None:
    """Up to which moment all commits must be there, where the target is none: rows are judged against this."""
    return choice.candidate.backup.started_at if choice.aim is Aim.OLDEST else log.reached.commit_at


def judge_rto(phases: tuple[Phase, ...], limit: int | None) -> tuple[float | None, Probe | None]:
    """The time from nothing to a server that answers, and whether that is what was promised."""
    by_name = {phase.name: phase.seconds for phase in phases}
    parts = [by_name.get(name) for name in ("restore", "replay", "start")]
    total = None if None in parts else sum(part for part in parts if part is not None)
    if limit is None:
        return total, None
    if total is None:
        probe = Probe(name=ProbeName.RTO, verdict=UNKNOWN, message="the copy never answered: no time was measured")
    elif total > limit:
        message = f"it took {duration(total)}; the rto is {duration(limit)}"
        probe = Probe(name=ProbeName.RTO, verdict=FAILED, message=message, seconds=total)
    else:
        message = f"it took {duration(total)} of {duration(limit)}"
        probe = Probe(name=ProbeName.RTO, verdict=PASSED, message=message, seconds=total)
    return total, probe


@dataclass(frozen=True, slots=True, kw_only=True)
class LossGrounds:
    """What the loss of data is judged by."""

    aim: Aim
    rows: tuple[CanaryRow, ...] | None
    marks: tuple[CanaryMark, ...]
    began_at: datetime
    """When the drill began: the moment at which the server might have been lost."""
    limit: int | None


def judge_rpo(grounds: LossGrounds) -> tuple[float | None, Probe | None]:
    """How much would have been lost at most, by the canary, and whether that keeps the promise."""
    newest = max(grounds.rows or (), key=lambda row: row.id, default=None)
    if grounds.aim is not Aim.NEWEST or newest is None:
        return None, _not_measured(grounds)
    age = max(0.0, (grounds.began_at - newest.written_at).total_seconds())
    if grounds.limit is None:
        return age, None
    verdict, message = _loss(grounds, newest, age, grounds.limit)
    return age, Probe(name=ProbeName.RPO, verdict=verdict, message=message, seconds=age)


def _not_measured(grounds: LossGrounds) -> Probe | None:
    if grounds.limit is None:
        return None
    message = "no canary is there: `pgwrap canary` writes one"
    if grounds.aim is not Aim.NEWEST:
        message = "only a drill to the newest moment measures it"
    return Probe(name=ProbeName.RPO, verdict=ABSENT, message=message)


def _loss(grounds: LossGrounds, newest: CanaryRow, age: float, limit: int) -> tuple[ProbeVerdict, str]:
    if age <= limit:
        return PASSED, f"the newest canary in the copy was {duration(age)} old; the rpo is {duration(limit)}"
    edge = grounds.began_at - timedelta(seconds=limit)
    lost = [mark for mark in grounds.marks if mark.id > newest.id and mark.confirmed_at <= edge]
    if lost:
        late = duration((grounds.began_at - lost[0].confirmed_at).total_seconds())
        return FAILED, f"row {lost[0].id} was {late} old and is not in the copy; the rpo is {duration(limit)}"
    text = f"the newest canary in the copy was {duration(age)} old"
    if any(mark.id >= newest.id for mark in grounds.marks):
        return ABSENT, f"{text}, and none older than the rpo of {duration(limit)} was written since"
    return UNKNOWN, f"{text}, more than the rpo of {duration(limit)}; the journal does not know of newer ones"


def judge_restore(message: str | None, *, measured: bool, seconds: float | None = None) -> Probe:
    """Did the engine restore the backup? `measured` False: it could not show, for reasons that are not the backup's."""
    if message is None:
        return Probe(name=ProbeName.RESTORE, verdict=PASSED, message="the engine restored the backup", seconds=seconds)
    return Probe(name=ProbeName.RESTORE, verdict=FAILED if measured else UNKNOWN, message=message, seconds=seconds)


def blames_backup(outcome: Outcome) -> bool:
    """Whether an engine's failure says something of the backup: not when it was killed, missing, late or without room.

    A disk that ran full is this machine's affair.
    """
    if outcome.failure is not None or outcome.exit_code is None or outcome.exit_code < 0:
        return False
    text = outcome.text() + outcome.error_text()
    return "No space left on device" not in text and "Disk quota exceeded" not in text


FULL: Final = 32 << 20
"""Bytes, two WAL segments: a file system with less room than this is taken to be full, for a drill begins with more."""


def without_room(probes: Iterable[Probe]) -> Iterator[Probe]:
    """The same where the file system of the copy was found full: nothing that failed there tells of the backup.

    PostgreSQL's log lies there, too, so that it need not say why something failed.
    """
    for probe in probes:
        if probe.verdict is FAILED:
            message = f"the file system of the drill ran full, so nothing is known of the backup: {probe.message}"
            yield replace(probe, verdict=UNKNOWN, message=message)
        else:
            yield probe


def judge_cleanup(left: tuple[str, ...]) -> Probe:
    """Is nothing of the drill left: no process, no file?"""
    if left:
        return Probe(name=ProbeName.CLEANUP, verdict=FAILED, message=f"left behind: {', '.join(left)}")
    return Probe(name=ProbeName.CLEANUP, verdict=PASSED, message="no process and no file of the drill is left")
