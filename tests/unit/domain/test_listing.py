"""Which backups are listed, in which order, and what is not known of them."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from pgwrap.domain.facts import Backup
from pgwrap.domain.listing import FleetListing, ListedBackup, ListedCluster, Wanted, listed, select
from tests.unit.domain.conftest import Build

DAY = 86400


def one(build: Build, *, age: float | None = 60, **changes: Any) -> ListedBackup:
    """A whole backup of a certain age."""
    backup = build.backup(3, restorable=True, **changes)
    values = {member.name: getattr(backup, member.name) for member in fields(Backup)}
    return ListedBackup(**values, cluster="orders", age_seconds=age)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), True),
        (Wanted(types=frozenset({"full"})), True),
        (Wanted(types=frozenset({"differential", "incremental"})), False),
        (Wanted(states=frozenset({"done", "failed"})), True),
        (Wanted(states=frozenset({"running"})), False),
        (Wanted(repositories=frozenset({"local"})), True),
        (Wanted(repositories=frozenset({"offsite"})), False),
        (Wanted(older_than=59), True),
        (Wanted(older_than=60), False),
        (Wanted(newer_than=61), True),
        (Wanted(newer_than=60), False),
        (Wanted(held=True), False),
        (Wanted(restorable=True), True),
        (Wanted(restorable=False), False),
        (Wanted(types=frozenset({"full"}), newer_than=DAY, restorable=True), True),
        (Wanted(types=frozenset({"full"}), newer_than=DAY, held=True), False),
    ],
)
def test_what_is_asked_for_must_all_be_met(build: Build, wanted: Wanted, expected: bool) -> None:
    """Each filter alone, and some together."""
    assert expected is wanted.met_by(one(build))


@pytest.mark.parametrize("wanted", [Wanted(older_than=1), Wanted(newer_than=1)])
def test_an_unknown_age_is_neither_old_nor_new(build: Build, wanted: Wanted) -> None:
    """Undecided, unless another filter says no."""
    assert None is wanted.met_by(one(build, age=None))
    assert False is Wanted(older_than=1, held=True).met_by(one(build, age=None))


@pytest.mark.parametrize("restorable", [True, False])
def test_what_may_be_restorable_is_neither(build: Build, restorable: bool) -> None:
    """`--not-restorable` lists what is known to be broken, never what nobody could judge."""
    backup = listed("orders", build.observation(build.backup(3)), build.at(9))[1][0]

    assert None is backup.restorable
    assert None is Wanted(restorable=restorable).met_by(backup)


def test_a_hold_that_the_engine_does_not_show_is_not_denied(build: Build) -> None:
    """Barman's lists show holds only where it applies a policy."""
    assert None is Wanted(held=True).met_by(one(build), tells_holds=False)
    assert True is Wanted(held=True).met_by(one(build, held="full"), tells_holds=False)


@pytest.mark.parametrize(
    ("engine", "policy", "tells"),
    [("barman", None, False), ("barman", "REDUNDANCY 2", True), ("pgbackrest", None, True)],
)
def test_an_engine_tells_holds_or_has_none(build: Build, engine: str, policy: str | None, tells: bool) -> None:
    """pgBackRest has no holds, so none is hidden."""
    cluster, _ = listed("orders", build.observation(engine=engine, policy=policy), build.at(9))

    assert tells is cluster.tells_holds


def test_the_newest_comes_first_and_what_only_began_before_all(build: Build) -> None:
    """By the end, else the beginning."""
    running = build.backup(1, id="running", state="running", started_at=None, stopped_at=None)
    observation = build.observation(build.backup(3), build.backup(8), running, build.backup(5))

    _, backups = listed("orders", observation, build.at(9))

    assert ["running", "b8", "b5", "b3"] == [backup.id for backup in backups]
    assert [None, 30.0, 210.0, 330.0] == [backup.age_seconds for backup in backups]


def test_a_backup_without_an_end_is_as_old_as_its_beginning(build: Build) -> None:
    """A failed one, for example."""
    failed = build.backup(3, state="failed", stopped_at=None)

    _, (backup,) = listed("orders", build.observation(failed), build.at(4))

    assert 60.0 == backup.age_seconds
    assert backup.restorable is False


def test_restorable_is_judged_as_in_the_status(build: Build) -> None:
    """By what is archived."""
    observation = build.observation(build.backup(3), build.backup(5), archives=(build.archive(build.span(4, 9)),))

    _, backups = listed("orders", observation, build.at(9))

    assert {"b3": False, "b5": True} == {backup.id: backup.restorable for backup in backups}


def test_of_an_unread_cluster_nothing_is_listed(build: Build) -> None:
    """Whatever was left behind; and its count is unknown, not 0."""
    cluster, backups = listed("orders", build.observation(build.backup(3), read=False), build.at(9))

    assert (False, None, ()) == (cluster.read, cluster.backups, backups)


def test_selecting_counts_what_it_cannot_decide(build: Build) -> None:
    """Neither shown nor silently dropped."""
    cluster, backups = listed("orders", build.observation(build.backup(3), build.backup(5)), build.at(9))
    listing = FleetListing(clusters=(cluster,), backups=backups)

    chosen = select(listing, Wanted(restorable=True))

    assert ((), 2, 2) == (chosen.backups, chosen.undecided, chosen.clusters[0].backups)


def test_an_age_may_be_negative(build: Build) -> None:
    """Clocks differ; such a backup is newer than anything."""
    cluster, backups = listed("orders", build.observation(build.backup(3)), build.at(3) - timedelta(days=1))

    assert isinstance(cluster, ListedCluster)
    assert True is Wanted(newer_than=0).met_by(backups[0])
