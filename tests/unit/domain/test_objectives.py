"""How promises are measured, and what bounds the WAL that could be lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pgwrap.domain.facts import (
    DrillReport,
    ObjectiveStatus,
    Observation,
    PostgresView,
    ReplicationSlot,
    Severity,
    WalStatus,
)
from pgwrap.domain.model import Objectives
from pgwrap.domain.objectives import Grounds, archive_timeout, objective_statuses
from pgwrap.domain.recovery import CLOCK_TICK, recoverable, stretches
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.domain.wal_status import wal_status

if TYPE_CHECKING:
    from tests.unit.domain.conftest import Build

ALL = Objectives(rpo=300, rto=3600, backup_age=1800, full_age=3600, drill_age=86400)


def measure(
    build: Build,
    observation: Observation,
    postgres: PostgresView | None = None,
    *,
    minute: float = 15,
    drill: DrillReport | None = None,
) -> dict[str, ObjectiveStatus]:
    """The status of every objective at a minute."""
    wal = wal_status(observation, postgres, (), now=build.at(minute))
    grounds = Grounds(observation=observation, wal=wal, last_drill=drill, now=build.at(minute))
    return {status.name: status for status in objective_statuses(ALL, grounds)}


def healthy(build: Build) -> Observation:
    """One backup, and WAL up to segment 10."""
    return build.observation(build.backup(2), archives=(build.archive(build.span(1, 10)),))


def test_only_what_was_asked_for_is_listed(build: Build) -> None:
    """No objective, no status."""
    wal = wal_status(healthy(build), None, (), now=build.at(15))
    grounds = Grounds(observation=healthy(build), wal=wal, last_drill=None, now=build.at(15))

    assert () == objective_statuses(Objectives(), grounds)
    assert ["rpo"] == [status.name for status in objective_statuses(Objectives(rpo=1), grounds)]


def test_ages_count_from_the_stop_of_the_newest(build: Build) -> None:
    """An incremental renews the backup's age, not the full backup's."""
    observation = build.observation(
        build.backup(2), build.backup(40, type="incremental"), archives=(build.archive(build.span(1, 60)),)
    )

    found = measure(build, observation, minute=70.5)

    assert (1800, Severity.OK) == (found["backup_age"].observed_seconds, found["backup_age"].severity)
    assert (68 * 60, Severity.WARNING) == (found["full_age"].observed_seconds, found["full_age"].severity)


def test_waiting_backup_does_not_count(build: Build) -> None:
    """What is not done renews nothing, and never is older than any limit."""
    found = measure(build, build.observation(build.backup(2, state="waiting_for_wal")))

    assert (None, Severity.CRITICAL) == (found["backup_age"].observed_seconds, found["backup_age"].severity)
    assert (None, Severity.WARNING) == (found["full_age"].observed_seconds, found["full_age"].severity)


def test_what_was_not_read_is_unknown(build: Build) -> None:
    """No objective is judged on an engine that did not answer."""
    found = measure(build, build.observation(read=False))

    assert {(None, Severity.UNKNOWN)} == {(status.observed_seconds, status.severity) for status in found.values()}


def test_restore_time_is_unknown_until_a_restore_measures_it(build: Build) -> None:
    """An objective that cannot be established is not ok."""
    assert Severity.UNKNOWN == measure(build, healthy(build))["rto"].severity


@pytest.mark.parametrize(
    ("minute", "expected"), [(None, Severity.WARNING), (0, Severity.OK), (-1500, Severity.WARNING)]
)
def test_drill_age(build: Build, minute: float | None, expected: Severity) -> None:
    """Never is as bad as too long ago."""
    drill = None if minute is None else passed(build, minute)

    assert expected == measure(build, healthy(build), drill=drill)["drill_age"].severity


def passed(build: Build, minute: float) -> DrillReport:
    """A drill that passed, and took ten minutes."""
    at = build.at(minute)
    return DrillReport(at=at, severity=Severity.OK, message="", passed_at=at, rto_seconds=600.0)


def test_a_drill_that_failed_keeps_no_promise(build: Build) -> None:
    """The age counts from the one that passed, however new the failed one."""
    failed = DrillReport(at=build.at(1), severity=Severity.CRITICAL, message="")
    assert Severity.WARNING == measure(build, healthy(build), drill=failed)["drill_age"].severity
    long_ago = replace(failed, passed_at=build.at(-1500))
    assert Severity.WARNING == measure(build, healthy(build), drill=long_ago)["drill_age"].severity


@pytest.mark.parametrize(("limit", "expected"), [(600, Severity.OK), (599, Severity.WARNING)])
def test_restore_time_is_the_newest_drill_s(build: Build, limit: int, expected: Severity) -> None:
    """Restore, replay and start together."""
    grounds = Grounds(observation=healthy(build), wal=WalStatus(), last_drill=passed(build, 0), now=build.at(15))
    (status,) = objective_statuses(Objectives(rto=limit), grounds)
    assert (600.0, expected) == (status.observed_seconds, status.severity)


def lag(build: Build, observation: Observation, postgres: PostgresView | None, **more: object) -> tuple[object, object]:
    """Bytes and seconds of lag at minute 15."""
    intervals = recoverable(stretches(observation), {})
    wal = wal_status(observation, postgres, intervals, slot="barman", now=build.at(15))
    return wal.lag_bytes, wal.lag_seconds


def test_nothing_past_the_archive_is_no_lag(build: Build) -> None:
    """A server that stands at the end of the newest archived segment can lose nothing."""
    assert (0, 0.0) == lag(build, healthy(build), build.postgres(11))


def test_a_tail_counts_from_the_newest_archived_segment(build: Build) -> None:
    """With bytes past it, what was committed since may be lost."""
    assert (build.size // 2, 240.0) == lag(build, healthy(build), build.postgres(11.5))


def test_archive_timeout_bounds_the_tail(build: Build) -> None:
    """A primary closes a segment with changes in it after archive_timeout at the latest."""
    for text, expected in (("60", 60.0), ("1min", 60.0), ("0", 240.0), ("1 h", 240.0)):
        view = build.postgres(11.5, settings=(("archive_timeout", text),))

        assert expected == lag(build, healthy(build), view)[1]


def test_archive_timeout_bounds_no_backlog_and_no_standby(build: Build) -> None:
    """Whole segments that wait are not what archive_timeout is about."""
    settings = (("archive_timeout", "60"),)

    assert 240.0 == lag(build, healthy(build), build.postgres(14, settings=settings))[1]
    assert 240.0 == lag(build, healthy(build), build.postgres(11.5, settings=settings, in_recovery=True))[1]


def test_proven_commit_bounds_a_backlog(build: Build) -> None:
    """With whole segments waiting, the newest file's date says nothing of how new its content is."""
    observation = healthy(build)
    (stretch,) = stretches(observation)
    intervals = recoverable((stretch,), {stretch.proof(stretch.last): build.at(5) + CLOCK_TICK})

    wal = wal_status(observation, build.postgres(14), intervals, now=build.at(15))

    assert 600.0 == wal.lag_seconds


def test_active_slot_at_the_end_is_no_lag(build: Build) -> None:
    """A stream that has everything leaves nothing to lose; an inactive slot proves nothing."""
    for active, expected in ((True, (0, 0.0)), (False, (build.size // 2, 240.0))):
        slot = ReplicationSlot(name="barman", active=active, restart_lsn=Lsn(int(11.5 * build.size)))

        assert expected == lag(build, healthy(build), build.postgres(11.5, slots=(slot,)))
        assert expected == lag(build, replace(healthy(build), slots=(slot,)), build.postgres(11.5))


def test_what_the_receiver_has_written_is_safe(build: Build) -> None:
    """pg_receivewal flushes whole segments alone, yet an idle server's open segment is already written there."""
    slot = ReplicationSlot(
        name="barman", active=True, restart_lsn=Lsn(11 * build.size), written_lsn=Lsn(int(11.5 * build.size))
    )

    assert (0, 0.0) == lag(build, healthy(build), build.postgres(11.5, slots=(slot,)))


def test_a_busy_stream_is_as_far_behind_as_the_receiver_says(build: Build) -> None:
    """Bytes on their way are bounded by the server's own write lag, not by the newest archived file."""
    slot = ReplicationSlot(name="barman", active=True, written_lsn=Lsn(int(11.25 * build.size)), write_lag_seconds=0.2)

    assert (build.size // 4, 0.2) == lag(build, healthy(build), build.postgres(11.5, slots=(slot,)))


def test_an_rpo_asks_for_half_of_it_as_archive_timeout() -> None:
    """An idle server must close its segment in time for the archive to have it; without an rpo nothing is asked."""
    (setting,) = archive_timeout(Objectives(rpo=300))

    assert ("archive_timeout", "150", False) == (setting.name, setting.value, setting.restart)
    assert "10" == archive_timeout(Objectives(rpo=5))[0].value
    assert () == archive_timeout(Objectives())


def test_another_consumers_slot_proves_nothing(build: Build) -> None:
    """A standby's slot on the same server is not the engine's."""
    slot = ReplicationSlot(name="standby1", active=True, restart_lsn=Lsn(12 * build.size))

    assert build.size // 2 == lag(build, healthy(build), build.postgres(11.5, slots=(slot,)))[0]


def test_engine_may_tell_the_position(build: Build) -> None:
    """Where pgwrap does not ask PostgreSQL, Barman did."""
    observation = replace(healthy(build), wal_position=Lsn(11 * build.size + 100))

    assert 100 == lag(build, observation, None)[0]
    assert (None, 240.0) == lag(build, healthy(build), None)


def test_lag_is_measured_on_the_servers_timeline(build: Build) -> None:
    """WAL that an abandoned timeline archived further on protects nothing of the new one."""
    archive = build.archive(build.span(1, 20), build.span(5, 10, 2))
    observation = build.observation(build.backup(2), archives=(archive,))

    assert build.size == lag(build, observation, build.postgres(12, timeline=Timeline(2)))[0]
    assert None is lag(build, observation, build.postgres(12, timeline=Timeline(3)))[0]


def test_archives_are_told_by_timeline(build: Build) -> None:
    """A row for each timeline; an archive that was not listed shows what the engine tells."""
    listed = build.archive(build.span(1, 3), build.span(5, 6), build.span(6, 8, 2))
    unlisted = build.archive(archive="14-1", ranges=None, minimum=build.name(1), maximum=build.name(2))

    rows = wal_status(build.observation(archives=(listed, unlisted)), None, (), now=build.at(15)).archives

    expected = [(1, build.name(1), build.name(6)), (2, build.name(6, 2), build.name(8, 2))]
    assert [*expected, (None, build.name(1), build.name(2))] == [(row.timeline, row.min, row.max) for row in rows]
