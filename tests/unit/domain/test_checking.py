"""What `pgwrap check` judges by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgwrap.domain.checking import (
    LITTLE,
    Check,
    Place,
    SeenPlace,
    clock_check,
    place_check,
    setting_checks,
    space_check,
    without_repeats,
)
from pgwrap.domain.facts import Backup, PostgresView, Severity
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Objectives
from pgwrap.domain.plan import PostgresSetting

INSTANCE = EngineInstance(name="one", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/one.conf")
ORDERS = Cluster(name="orders", engine=INSTANCE, engine_name="orders")
REPOSITORY = Place(path="/r", purpose="repository local", holds_backups=True)
SEEN = SeenPlace(
    place=REPOSITORY, exists=True, owner="postgres", usable=True, free_bytes=50 << 30, total_bytes=100 << 30
)
FULL = Backup(
    engine="pgbackrest", engine_name="orders", id="F", repository="local", type="full", state="done",
    stopped_at=datetime(2026, 11, 25, tzinfo=UTC), stored_bytes=10 << 30,
)  # fmt: skip


def server(**settings: str) -> PostgresView:
    """A primary with these settings."""
    return PostgresView(reachable=True, version="17.6", in_recovery=False, settings=tuple(settings.items()))


def judged(view: PostgresView | None, name: str, value: str, *, minimum: bool = False) -> Check:
    """The verdict on one setting."""
    wanted = PostgresSetting(name=name, value=value, restart=True, reason="it must", minimum=minimum)
    return list(setting_checks(ORDERS, view, (wanted,)))[-1]


@pytest.mark.parametrize(
    ("name", "wanted", "minimum", "actual", "severity"),
    [
        ("max_wal_senders", "3", True, "10", "ok"),
        ("max_wal_senders", "3", True, "2", "warning"),
        ("summarize_wal", "on", False, "on", "ok"),
        ("summarize_wal", "on", False, "off", "warning"),
        ("archive_timeout", "150", False, "60", "ok"),
        ("archive_timeout", "150", False, "0", "warning"),
        ("archive_timeout", "150", False, "600", "warning"),
        ("synchronous_standby_names", "barman_receive_wal", False, "ANY 1 (barman_receive_wal, s)", "ok"),
        ("synchronous_standby_names", "barman_receive_wal", False, "", "warning"),
    ],
)
def test_a_setting_fits_by_its_meaning(name: str, wanted: str, minimum: bool, actual: str, severity: str) -> None:
    """A least value, an upper bound, a member of a list, or the value itself."""
    check = judged(server(**{name: actual}), name, wanted, minimum=minimum)
    assert (check.name, check.severity) == (f"setting-{name}", severity)
    assert bool(check.hint) == (severity != "ok")


def test_what_could_not_be_read_is_unknown() -> None:
    """No answer, no connection, no such setting."""
    for view in (None, PostgresView(reachable=False, error="down"), server()):
        assert judged(view, "max_wal_senders", "3").severity is Severity.UNKNOWN


def test_status_judges_the_way_of_wal() -> None:
    """Not twice."""
    assert judged(server(wal_level="minimal"), "wal_level", "replica").name == "postgres"


@pytest.mark.parametrize(("names", "severity"), [("", "critical"), ("s1", "ok"), (None, "unknown")])
def test_an_rpo_of_zero_needs_commits_that_wait(names: str | None, severity: str) -> None:
    """Archiving whole segments cannot keep it."""
    view = server() if names is None else server(synchronous_standby_names=names)
    *_, check = setting_checks(replace(ORDERS, objectives=Objectives(rpo=0)), view, ())
    assert (check.name, check.severity) == ("no-loss", severity)


@pytest.mark.parametrize(
    ("seen", "severity", "hint"),
    [
        (SEEN, "ok", ""),
        (replace(SEEN, usable=False), "critical", "chmod u+rwx /r"),
        (replace(SEEN, usable=False, owner="root"), "critical", "chown -R postgres /r"),
        (replace(SEEN, exists=False), "critical", "install -d -m 750 -o postgres /r"),
        (replace(SEEN, exists=False, place=replace(REPOSITORY, required=False)), "ok", ""),
        (replace(SEEN, exists=None), "unknown", "ls -ld /r"),
        (replace(SEEN, usable=None), "unknown", "ls -ld /r"),
    ],
)
def test_a_directory_is_there_and_usable(seen: SeenPlace, severity: str, hint: str) -> None:
    """With what mends it."""
    check = place_check(seen, "postgres")
    assert (check.severity, check.hint) == (severity, hint)


@pytest.mark.parametrize(
    ("free", "severity"),
    [(50 << 30, "ok"), (9 << 30, "warning"), (4 << 30, "warning"), (LITTLE - 1, "critical"), (None, "unknown")],
)
def test_there_is_room_for_another_full_backup(free: int | None, severity: str) -> None:
    """And for WAL, without which archiving stops."""
    check = space_check(replace(SEEN, free_bytes=free), (FULL,))
    assert check is not None
    assert check.severity == severity


def test_room_counts_where_something_grows() -> None:
    """Not for locks, and not for what is not there."""
    assert space_check(replace(SEEN, place=Place(path="/l", purpose="lock directory")), ()) is None
    assert space_check(replace(SEEN, exists=False), ()) is None


@pytest.mark.parametrize(
    ("ahead", "severity"), [(0.2, "ok"), (-61.0, "warning"), (3600.0, "warning"), (None, "unknown")]
)
def test_clocks_agree_within_a_minute(ahead: float | None, severity: str) -> None:
    """As status holds of PostgreSQL's."""
    assert clock_check("backup1", ahead).severity == severity


def test_names_are_told_apart() -> None:
    """Two directories of one purpose."""
    one = Check(name="versions", severity=Severity.OK, message="a")
    assert [check.name for check in without_repeats((one, one))] == ["versions", "versions-2"]
