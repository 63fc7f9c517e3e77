"""What a drill's measurements mean: what was not measured never passes, and each damage is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.domain.drill import (
    Aim,
    Phase,
    Probe,
    ProbeName,
    ProbeVerdict,
    control_severity,
    severity_of,
    summary,
)
from pgwrap.domain.drill_choice import Candidate, Choice
from pgwrap.domain.drill_verdicts import (
    CanaryMark,
    CanaryRow,
    LossGrounds,
    Value,
    blames_backup,
    judge_amcheck,
    judge_assertion,
    judge_canary,
    judge_checksums,
    judge_dump,
    judge_rpo,
    judge_rto,
    judge_start,
    without_room,
)
from pgwrap.domain.facts import Backup, Severity
from pgwrap.domain.model import Assertion
from pgwrap.domain.recovery_log import read_recovery
from pgwrap.domain.wal import Lsn, Segment, Timeline

PASSED, FAILED, UNKNOWN, ABSENT = ProbeVerdict.PASSED, ProbeVerdict.FAILED, ProbeVerdict.UNKNOWN, ProbeVerdict.ABSENT
STOP = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
TARGET = STOP + timedelta(minutes=30)
SIZE = 16 << 20
LOG = """\
2026-11-25 11:00:00.000 UTC [7] LOG:  starting archive recovery
2026-11-25 11:00:00.250 UTC [7] LOG:  redo starts at 0/2000028
2026-11-25 11:00:01.000 UTC [7] LOG:  consistent recovery state reached at 0/2000100
{stopping}2026-11-25 11:00:02.250 UTC [7] LOG:  redo done at 0/5000110 system usage: CPU: user: 0.00 s
2026-11-25 11:00:02.260 UTC [7] LOG:  last completed transaction was at log time 2026-11-25 10:20:00.5+00
2026-11-25 11:00:02.300 UTC [7] LOG:  selected new timeline ID: 3
2026-11-25 11:00:02.500 UTC [6] LOG:  database system is ready to accept connections
"""
STOPPING = (
    "2026-11-25 11:00:02.200 UTC [7] LOG:  recovery stopping before commit of transaction 760, "
    "time 2026-11-25 10:40:00+00\n"
)
AT_TARGET = read_recovery(LOG.format(stopping=STOPPING))
AT_END = read_recovery(LOG.format(stopping=""))


def choice(aim: Aim = Aim.NEWEST, last: int = 5, *, open_ended: bool = True) -> Choice:
    """Of a backup whose archive ends with a segment of that number."""
    backup = Backup(
        engine="barman", engine_name="billing", id="b", repository="repo1", type="full", state="done",
        started_at=STOP - timedelta(minutes=5), stopped_at=STOP,
    )  # fmt: skip
    one = Candidate(
        backup=backup, timeline=Timeline(2), segment_size=SIZE, last=Segment(Timeline(2), last), open_ended=open_ended,
        stop=STOP, to=STOP + timedelta(hours=1),
    )  # fmt: skip
    return Choice(candidate=one, aim=aim, target=TARGET if aim is Aim.MOMENT else None, reason="")


def outcome(exit_code: int | None = 0, out: str = "", err: str = "", failure: Failure | None = None) -> Outcome:
    """Of a program."""
    return Outcome(
        command=Command(argv=("program",)), exit_code=exit_code, stdout=out.encode(), stderr=err.encode(),
        failure=failure, seconds=1.0,
    )  # fmt: skip


def test_the_log_tells_where_replay_ended_and_how_long_it_took() -> None:
    """Position, last commit, timeline, times."""
    assert Lsn.parse("0/5000110") == AT_END.reached.lsn
    assert datetime(2026, 11, 25, 10, 20, 0, 500000, tzinfo=UTC) == AT_END.reached.commit_at
    assert 3 == AT_END.reached.timeline
    assert 2.0 == judge_start(AT_END, choice(), ready=True).seconds


@pytest.mark.parametrize(
    ("log", "taken", "expected"),
    [
        (AT_END, choice(), PASSED),
        (AT_END, choice(last=6), FAILED),
        (AT_END, choice(open_ended=False), FAILED),
        (AT_END, choice(Aim.MOMENT), FAILED),
        (AT_TARGET, choice(Aim.MOMENT), PASSED),
        (AT_TARGET, choice(Aim.OLDEST), PASSED),
        (read_recovery(""), choice(), UNKNOWN),
        (replace(AT_TARGET, reached=replace(AT_TARGET.reached, commit_at=TARGET + timedelta(seconds=1))),
         choice(Aim.MOMENT), FAILED),
    ],
)  # fmt: skip
def test_a_start_passes_at_its_target_alone(log: object, taken: Choice, expected: ProbeVerdict) -> None:
    """Short of the archive's end, beyond a gap, past the target: failed; a silent log: unknown."""
    assert expected == judge_start(log, taken, ready=True).verdict  # type: ignore[arg-type]


def test_a_server_that_gives_up_says_why() -> None:
    """A full disk is not the backup's fault."""
    fatal = "2026-11-25 11:00:00.000 UTC [7] FATAL:  could not locate required checkpoint record\n"
    full = "2026-11-25 11:00:00.000 UTC [7] PANIC:  could not write to file: No space left on device\n"
    given_up = judge_start(read_recovery(fatal), choice(), ready=False)
    assert (FAILED, True) == (given_up.verdict, "required checkpoint record" in given_up.message)
    assert UNKNOWN == judge_start(read_recovery(full), choice(), ready=False).verdict
    assert UNKNOWN == judge_start(read_recovery(""), choice(), ready=False).verdict


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (judge_amcheck(outcome(), 15), PASSED),
        (judge_amcheck(outcome(2, out='heap table "t": error'), 15), FAILED),
        (judge_amcheck(outcome(1, err="pg_amcheck: error: nothing to check"), 15), UNKNOWN),
        (judge_amcheck(outcome(None, failure=Failure.TIMEOUT), 15), UNKNOWN),
        (judge_amcheck(None, 15), UNKNOWN),
        (judge_amcheck(None, 13), ABSENT),
        (judge_dump(outcome()), PASSED),
        (judge_dump(outcome(1, err="pg_dump: error: invalid page")), FAILED),
        (judge_dump(outcome(None, failure=Failure.TIMEOUT)), UNKNOWN),
        (judge_dump(None), UNKNOWN),
        (judge_checksums(outcome(out="Blocks scanned:  9\nBad checksums:  0\n"), enabled=True), PASSED),
        (judge_checksums(outcome(out="Blocks scanned:  0\nBad checksums:  0\n"), enabled=True), UNKNOWN),
        (judge_checksums(outcome(1, out="Blocks scanned:  9\nBad checksums:  2\n"), enabled=True), FAILED),
        (judge_checksums(outcome(1, err="pg_checksums: error: cluster must be shut down"), enabled=True), UNKNOWN),
        (judge_checksums(None, enabled=False), ABSENT),
        (judge_checksums(None, enabled=None), UNKNOWN),
    ],
)  # fmt: skip
def test_programs_pass_only_when_they_looked_and_found_nothing(probe: Probe, expected: ProbeVerdict) -> None:
    """Damage fails; a program that could not look is unknown."""
    assert expected == probe.verdict


@pytest.mark.parametrize(
    ("assertion", "value", "expected"),
    [
        (Assertion(sql="q", equals="true"), Value(text="true"), PASSED),
        (Assertion(sql="q", equals="true"), Value(text="false"), FAILED),
        (Assertion(sql="q", at_least=1), Value(text="1"), PASSED),
        (Assertion(sql="q", at_least=1), Value(text="0.5"), FAILED),
        (Assertion(sql="q", at_most=10), Value(text="11"), FAILED),
        (Assertion(sql="q", at_least=1), Value(text="NaN"), FAILED),
        (Assertion(sql="q", at_least=1), Value(text="many"), FAILED),
        (Assertion(sql="q", at_least=1), Value(text=None), FAILED),
        (Assertion(sql="q", at_least=1, at_most=3, equals="2"), Value(text="2"), PASSED),
        (Assertion(sql="q", maximum_age=60), Value(text="2026-11-25 10:29:30+00"), PASSED),
        (Assertion(sql="q", maximum_age=60), Value(text="2026-11-25 10:28:59+00"), FAILED),
        (Assertion(sql="q", maximum_age=60), Value(text="2026-11-25 10:29:30"), PASSED),
        (Assertion(sql="q", maximum_age=60), Value(text="yesterday"), FAILED),
        (Assertion(sql="q", at_least=1), Value(error='relation "q" does not exist', refused=True), FAILED),
        (Assertion(sql="q", at_least=1), Value(error="no answer within 60 s"), UNKNOWN),
    ],
)
def test_assertions(assertion: Assertion, value: Value, expected: ProbeVerdict) -> None:
    """Every condition must hold; a query that the server refuses is the answer no."""
    assert expected == judge_assertion(assertion, value, TARGET).verdict


def mark(number: int, minutes: float) -> CanaryMark:
    """A canary written so long after the backup's end."""
    at = STOP + timedelta(minutes=minutes)
    return CanaryMark(id=number, written_at=at, confirmed_at=at + timedelta(seconds=1))


def row(one: CanaryMark) -> CanaryRow:
    """It, in the copy."""
    return CanaryRow(id=one.id, written_at=one.written_at)


BEFORE, SHORTLY, AFTER = mark(1, 10), mark(2, 29.9), mark(3, 31)
MARKS = (BEFORE, SHORTLY, AFTER)


@pytest.mark.parametrize(
    ("rows", "marks", "expected"),
    [
        ((row(BEFORE), row(SHORTLY)), MARKS, PASSED),
        ((row(BEFORE),), MARKS, FAILED),
        ((row(BEFORE), row(SHORTLY), row(AFTER)), MARKS, FAILED),
        ((row(BEFORE), CanaryRow(id=2, written_at=STOP)), MARKS, FAILED),
        ((row(BEFORE),), (), PASSED),
        ((row(AFTER),), (), FAILED),
        (None, (), ABSENT),
        (None, (AFTER,), ABSENT),
        (None, MARKS, FAILED),
    ],
)
def test_canaries_before_the_target_are_there_and_later_ones_are_not(
    rows: tuple[CanaryRow, ...] | None, marks: tuple[CanaryMark, ...], expected: ProbeVerdict
) -> None:
    """By the journal where it knows, else by the rows' own times."""
    assert expected == judge_canary(rows, marks, choice(Aim.MOMENT), AT_TARGET).verdict


@pytest.mark.parametrize(
    ("rows", "marks", "expected"),
    [
        ((row(AFTER),), MARKS, PASSED),
        ((row(BEFORE),), MARKS, FAILED),
        ((row(BEFORE),), (BEFORE,), ABSENT),
        ((row(BEFORE),), (), UNKNOWN),
        ((), (), ABSENT),
    ],
)
def test_the_loss_is_measured_by_the_newest_canary(
    rows: tuple[CanaryRow, ...], marks: tuple[CanaryMark, ...], expected: ProbeVerdict
) -> None:
    """Older than the rpo fails only where a newer row is known to be lost, and passes never."""
    began = AFTER.confirmed_at + timedelta(minutes=5)
    grounds = LossGrounds(aim=Aim.NEWEST, rows=rows, marks=marks, began_at=began, limit=360)
    if not any(one.confirmed_at <= began - timedelta(seconds=360) for one in marks if one is not BEFORE):
        grounds = replace(grounds, limit=300)
    probe = judge_rpo(grounds)[1]
    assert probe is not None
    assert expected == probe.verdict


def test_the_time_is_restore_replay_and_start() -> None:
    """Probes do not count; without a start there is no time."""
    phases = tuple(Phase(name=name, seconds=10.0) for name in ("restore", "replay", "start", "probes"))
    total, probe = judge_rto(phases, 20)
    assert (30.0, FAILED) == (total, probe.verdict if probe else None)
    total, probe = judge_rto(phases[:1], 20)
    assert (None, UNKNOWN) == (total, probe.verdict if probe else None)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (outcome(26, err="checksum error"), True),
        (outcome(-9), False),
        (outcome(None, failure=Failure.TIMEOUT), False),
        (outcome(39, out="ERROR: unable to write: [28] No space left on device"), False),
    ],
)
def test_only_what_the_engine_found_in_the_backup_speaks_against_it(ended: Outcome, expected: bool) -> None:
    """A kill, a deadline, a full disk say nothing of it."""
    assert expected is blames_backup(ended)


names = st.sampled_from(list(ProbeName))
probes = st.builds(Probe, name=names, verdict=st.sampled_from(list(ProbeVerdict)), message=st.just("x"))


@given(st.lists(probes).map(tuple))
def test_a_drill_is_never_better_than_its_worst_probe(found: tuple[Probe, ...]) -> None:
    """Ok means that something passed or was absent and nothing else happened."""
    severity = severity_of(found)
    bad = {probe.verdict for probe in found} & {FAILED, UNKNOWN}
    assert (severity is Severity.OK) == (bool(found) and not bad)
    assert summary(found)


@given(st.lists(probes).map(tuple))
def test_a_control_passes_only_when_the_damage_was_found(found: tuple[Probe, ...]) -> None:
    """Unknown is no finding."""
    caught = any(probe.verdict is FAILED and probe.name in _FINDERS for probe in found)
    assert (control_severity(found) is Severity.OK) == caught


_FINDERS = {ProbeName.START, ProbeName.AMCHECK, ProbeName.DUMP, ProbeName.ASSERTION, ProbeName.CHECKSUMS}


@pytest.mark.parametrize("verdict", list(ProbeVerdict))
def test_on_a_full_file_system_a_failure_tells_nothing(verdict: ProbeVerdict) -> None:
    """PostgreSQL's log lies there, too: it need not say why it failed. What passed has passed all the same."""
    probe = Probe(name=ProbeName.START, verdict=verdict, message="PostgreSQL gave up")
    (found,) = without_room((probe,))
    if verdict is ProbeVerdict.FAILED:
        assert (found.verdict, found.name) == (ProbeVerdict.UNKNOWN, ProbeName.START)
        assert found.message.endswith("nothing is known of the backup: PostgreSQL gave up")
    else:
        assert found == probe
