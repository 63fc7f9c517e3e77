"""What PostgreSQL's answers mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pgwrap.domain.facts import Archiver, PostgresView, ReplicationSlot
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.system.inquiry import view_of

ANSWER: dict[str, object] = {
    "version": "17.2",
    "version_number": 170002,
    "in_recovery": False,
    "data_checksums": True,
    "wal_segment_size": 16777216,
    "clock": "2026-01-02T05:04:05.5+02:00",
    "settings": {"wal_level": "replica", "archive_mode": "on"},
    "archiver": {
        "last_archived_wal": "000000020000000000000003",
        "last_archived_time": "2026-01-02T03:00:00+00:00",
        "last_failed_wal": None,
        "last_failed_time": None,
        "failed_count": 0,
    },
    "slots": [
        {"slot_name": "barman", "active": True, "restart_lsn": "0/3000000", "write_lsn": "0/3000100", "write_lag": 0.5}
    ],
    "position": "1/A",
    "segment": "00000002000000010000000A",
    "received_timeline": None,
    "checkpoint_timeline": 1,
    "system_identifier": "7711277959820392350",
    "ready": 3,
}


def test_full_answer_is_a_full_view() -> None:
    """Every fact finds its place, times in UTC."""
    expected = PostgresView(
        reachable=True,
        version="17.2",
        version_number=170002,
        system_identifier="7711277959820392350",
        in_recovery=False,
        timeline=Timeline(2),
        data_checksums=True,
        archiver=Archiver(
            last_archived_wal="000000020000000000000003",
            last_archived_at=datetime(2026, 1, 2, 3, tzinfo=UTC),
            last_failed_wal=None,
            last_failed_at=None,
            failed_count=0,
        ),
        current_lsn=Lsn.parse("1/A"),
        wal_segment_size=16777216,
        ready_segments=3,
        clock=datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC),
        settings=(("archive_mode", "on"), ("wal_level", "replica")),
        slots=(
            ReplicationSlot(
                name="barman",
                active=True,
                restart_lsn=Lsn.parse("0/3000000"),
                written_lsn=Lsn.parse("0/3000100"),
                write_lag_seconds=0.5,
            ),
        ),
    )
    assert view_of(ANSWER) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"segment": "00000003000000010000000A", "checkpoint_timeline": 2}, 3),
        ({"segment": None, "received_timeline": 4, "checkpoint_timeline": 3}, 4),
        ({"segment": None, "received_timeline": None, "checkpoint_timeline": 3}, 3),
        ({"segment": None, "received_timeline": None, "checkpoint_timeline": None}, None),
    ],
)
def test_timeline_comes_from_where_it_is_newest(answer: dict[str, object], expected: int | None) -> None:
    """A promoted primary writes a new timeline before its checkpoint knows; a standby follows what it receives."""
    assert view_of(ANSWER | answer).timeline == expected


def test_refused_questions_stay_unknown() -> None:
    """What could not be had is None, and the rest is there."""
    view = view_of(ANSWER | {"position": None, "system_identifier": None, "ready": None, "archiver": None})
    assert (view.current_lsn, view.system_identifier, view.ready_segments, view.archiver) == (None,) * 4
    assert view.reachable


def test_error_is_all_there_is() -> None:
    """A server that refused has one sentence and no facts."""
    assert view_of({"error": "no"}) == PostgresView(reachable=False, error="no")


@pytest.mark.parametrize(
    "nonsense",
    [{"version": 17}, {"ready": True}, {"in_recovery": "f"}, {"slots": {}}, {"settings": []}, {"position": "x"}],
)
def test_nonsense_is_not_taken_for_an_answer(nonsense: dict[str, object]) -> None:
    """A value of another kind than PostgreSQL gives is an error, never a guess."""
    with pytest.raises(ValueError, match=r"is not|not a WAL position"):
        view_of(ANSWER | nonsense)
