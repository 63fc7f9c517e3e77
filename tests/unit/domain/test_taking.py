"""Which type of backup is taken of its own accord, and on which node."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgwrap.domain.facts import ArchiveContents, Backup, Observation, PostgresView
from pgwrap.domain.model import (
    BackupPolicy,
    Cluster,
    EngineInstance,
    EngineKind,
    Objectives,
    PostgresTarget,
    Schedule,
)
from pgwrap.domain.taking import Choice, choose, not_here
from pgwrap.domain.wal import ranges_of_names

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
INSTANCE = EngineInstance(name="one", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/one.conf")
BARMAN = replace(INSTANCE, kind=EngineKind.BARMAN, command="barman")
ORDERS = Cluster(name="orders", engine=INSTANCE, engine_name="orders")
SEGMENT = "000000010000000000000003"
STANDBY = PostgresView(reachable=True, in_recovery=True)


def full(days: float, **changes: Any) -> Backup:
    """A full backup that ended so many days ago."""
    values: dict[str, Any] = {
        "engine": "pgbackrest", "engine_name": "orders", "id": f"F{days:g}", "repository": "local", "archive": "15-1",
        "type": "full", "state": "done", "stopped_at": NOW - timedelta(days=days), "wal_start": SEGMENT,
        "wal_stop": SEGMENT, "system_identifier": "7", "postgres_version": "15", "timeline": 1,
    }  # fmt: skip
    return Backup(**(values | changes))


def seen(*backups: Backup, segments: tuple[str, ...] = (SEGMENT,)) -> Observation:
    """What an engine says that has them and that WAL."""
    archive = ArchiveContents(
        repository="local", archive="15-1", segment_size=16 << 20, ranges=ranges_of_names(segments, 16 << 20)
    )
    return Observation(
        engine="pgbackrest",
        engine_name="orders",
        backups=backups,
        archives=(archive,),
        system_identifier="7",
        postgres_version="15",
    )


def kind(cluster: Cluster, observation: Observation) -> str:
    """The type that is chosen."""
    return choose(cluster, observation, "local", NOW).kind


@pytest.mark.parametrize(
    "backups",
    [
        (),
        (full(1, state="failed"),),
        (full(1, state="running"),),
        (full(1, repository="offsite"),),
        (full(1, page_errors=True),),
        (full(1, system_identifier="8"),),
        (full(1, postgres_version="14"),),
        (full(1, type="incremental"),),
    ],
)
def test_without_a_foundation_it_is_a_full_one(backups: tuple[Backup, ...]) -> None:
    """Nothing is built on what is elsewhere, unfinished, damaged, or another database's."""
    choice = choose(ORDERS, seen(*backups), "local", NOW)
    assert choice == Choice(kind="full", reason="there is no full backup to build on in local")


def test_nothing_is_built_on_a_backup_whose_wal_is_gone() -> None:
    """It could not be restored, nor could what builds on it."""
    assert kind(ORDERS, seen(full(1), segments=("000000010000000000000004",))) == "full"
    assert kind(ORDERS, seen(full(1))) == "incremental"


@pytest.mark.parametrize(("age", "expected"), [(1, "incremental"), (5.9, "incremental"), (6.1, "full"), (9, "full")])
def test_a_full_one_is_due_before_a_week_is_over(age: float, expected: str) -> None:
    """A day ahead, so that it never gets older than a week where backups are daily."""
    assert kind(ORDERS, seen(full(age))) == expected


@pytest.mark.parametrize(("age", "expected"), [(2.4, "incremental"), (2.6, "full")])
def test_full_age_is_kept(age: float, expected: str) -> None:
    """The promise counts, with the pause between backups that is promised."""
    promising = replace(ORDERS, objectives=Objectives(full_age=3 * 86400, backup_age=43200))
    assert kind(promising, seen(full(age))) == expected


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (("full", "incremental"), "incremental"),
        (("full", "differential"), "differential"),
        (("full", "differential", "incremental"), "incremental"),
        (("full",), "full"),
        (("verify",), "incremental"),
    ],
)
def test_the_schedule_says_what_comes_between(actions: tuple[str, ...], expected: str) -> None:
    """Its words, whatever their times."""
    scheduled = replace(ORDERS, schedule=Schedule(entries=tuple((action, "daily") for action in actions)))
    assert kind(scheduled, seen(full(1))) == expected


@pytest.mark.parametrize(
    ("cluster", "here"),
    [
        (ORDERS, False),
        (replace(ORDERS, standbys=(PostgresTarget(host="db2"),)), True),
        (replace(ORDERS, engine=BARMAN), True),
        (replace(ORDERS, engine=BARMAN, backup=BackupPolicy(source="primary")), False),
        (replace(ORDERS, engine=BARMAN, backup=BackupPolicy(source="standby")), True),
    ],
)
def test_on_a_standby_it_depends_on_what_the_engine_can(cluster: Cluster, here: bool) -> None:
    """pgBackRest finds the primary among several; Barman backs up a standby unless the spec says from: primary."""
    assert (not_here(cluster, STANDBY) is None) == here


def test_what_is_not_known_keeps_nobody_from_a_backup() -> None:
    """A server that was not asked, did not answer or is a primary; but an inactive cluster is left alone."""
    for view in (None, PostgresView(reachable=False, error="down"), PostgresView(reachable=True, in_recovery=False)):
        assert not_here(ORDERS, view) is None
    assert not_here(replace(ORDERS, active=False), None) == "the spec calls it inactive"
