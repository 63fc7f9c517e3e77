"""What a line about a cluster says never turns a missing answer into a fact."""

from __future__ import annotations

from dataclasses import replace

from pgwrap.domain.facts import Finding, FindingCode, FleetStatus, Severity
from pgwrap.present.summary import gap_segments, newest_backup, stored_bytes


def test_gaps_are_not_known_where_wal_could_not_be_listed(fleet: FleetStatus) -> None:
    """No gap found is a fact only when somebody looked."""
    orders = fleet.clusters[0]
    blind = Finding(code=FindingCode.WAL_UNKNOWN, severity=Severity.UNKNOWN, message="not listed", repository="local")

    assert gap_segments(orders) == 0
    assert gap_segments(replace(orders, findings=(blind,))) is None
    assert gap_segments(fleet.clusters[2]) is None
    assert gap_segments(fleet.clusters[1]) == 3


def test_the_newest_backup_is_one_that_is_done(fleet: FleetStatus) -> None:
    """A later one that failed or still runs does not count."""
    newest = newest_backup(fleet.clusters[1].backups)

    assert newest is not None
    assert newest.id == "20261119T090000"


def test_stored_bytes_are_not_half_a_sum(fleet: FleetStatus) -> None:
    """One backup of unknown size makes the sum unknown."""
    full, incremental = fleet.clusters[0].backups

    assert stored_bytes((full, incremental)) == 10066328
    assert stored_bytes((full, replace(incremental, stored_bytes=None))) is None
