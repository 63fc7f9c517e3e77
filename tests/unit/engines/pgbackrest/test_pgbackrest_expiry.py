"""What `pgbackrest expire` deletes, rule by rule, and what holds whatever the rules are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.facts import ArchiveContents, Backup, BackupType
from pgwrap.domain.wal import SegmentRange, Timeline
from pgwrap.engines.pgbackrest.expiry import Expiry, Policy, expiry
from pgwrap.engines.port import EngineVersion

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
OLD, NEW, NEWEST = EngineVersion((2, 45)), EngineVersion((2, 55, 1)), EngineVersion((2, 60, 0))
SIZE = 16 << 20
TIMELINE = Timeline(1)
LETTERS: dict[str, BackupType] = {"F": "full", "D": "differential", "I": "incremental"}


def wal(number: int, timeline: int = 1) -> str:
    """The name of segment `number`."""
    return f"{timeline:08X}{number >> 8:08X}{number & 0xFF:08X}"


def chain(
    text: str, *, every: timedelta = timedelta(days=1), newest: timedelta = timedelta(hours=1)
) -> tuple[Backup, ...]:
    """Backups by letter, oldest first: `FDIF`. One ends every day, the newest an hour ago, each with two segments."""
    backups: list[Backup] = []
    full = differential = last = ""
    for place, letter in enumerate(text):
        stop = NOW - newest - every * (len(text) - 1 - place)
        stamp = f"{stop:%Y%m%d-%H%M%S}"
        label = f"{stamp}F" if letter == "F" else f"{full}_{stamp}{letter}"
        parent = {"F": None, "D": full, "I": last}[letter]
        full = label if letter == "F" else full
        differential = label if letter == "D" else differential
        last = label
        backups.append(
            Backup(
                engine="pgbackrest", engine_name="main", id=label, repository="local", archive="15-1",
                type=LETTERS[letter], state="done", started_at=stop - timedelta(minutes=5), stopped_at=stop,
                stored_bytes=1000, wal_start=wal(10 * place + 10), wal_stop=wal(10 * place + 11), parent=parent,
            )
        )  # fmt: skip
    return tuple(backups)


def archive(*spans: tuple[int, int], current: bool = True, name: str = "15-1") -> tuple[ArchiveContents, int]:
    """One archive with runs of segments."""
    ranges = tuple(SegmentRange(TIMELINE, first, last) for first, last in spans)
    return ArchiveContents(repository="local", archive=name, current=current, segment_size=SIZE, ranges=ranges), SIZE


def letters(backups: Sequence[Backup], found: Expiry, *, kept: bool) -> str:
    """The letters of what stays or goes, each at its place."""
    return "".join(backup.type[0].upper() if found.backups[backup.id].kept is kept else "." for backup in backups)


def gone(found: Expiry) -> list[tuple[str, str]]:
    """The runs of WAL that go."""
    return [(fate.from_, fate.to) for fate in found.wal or () if not fate.kept]


@pytest.mark.parametrize(
    ("catalog", "policy", "stays"),
    [
        ("FDIFDIFDI", Policy(full=2), "...FDIFDI"),
        ("FDIFDI", Policy(full=2), "FDIFDI"),
        ("FDIFDI", Policy(), "FDIFDI"),
        ("FDDFDD", Policy(differential=2), "F..FDD"),
        ("FDDFDD", Policy(differential=3), "F..FDD"),
        ("FDIDIFI", Policy(differential=2), "F..DIFI"),
        ("FFF", Policy(full=1, differential=1), "..F"),
    ],
)
def test_backups_are_counted(catalog: str, policy: Policy, stays: str) -> None:
    """Fulls by their number; differentials among fulls and differentials, with what builds on them."""
    backups = chain(catalog)
    found = expiry(backups, (), policy, now=NOW, version=NEW)
    assert stays == letters(backups, found, kept=True)


@pytest.mark.parametrize(("days", "stays"), [(1, "....FI"), (2, "..FIFI"), (3, "..FIFI"), (4, "FIFIFI"), (9, "FIFIFI")])
def test_a_window_keeps_the_full_backup_that_reaches_its_start(days: int, stays: str) -> None:
    """One full backup older than the window stays, with its chain."""
    backups = chain("FIFIFI")
    found = expiry(backups, (), Policy(full=days, by_time=True), now=NOW, version=NEW)
    assert stays == letters(backups, found, kept=True)


def test_a_backup_that_ended_at_the_edge_is_inside() -> None:
    """`stop < now - window`, in whole seconds."""
    backups = chain("FFF", newest=timedelta(0))
    policy = Policy(full=1, by_time=True)
    assert letters(backups, expiry(backups, (), policy, now=NOW, version=NEW), kept=True) == "FFF"
    later = NOW + timedelta(milliseconds=999)
    assert letters(backups, expiry(backups, (), policy, now=later, version=NEW), kept=True) == "FFF"
    later = NOW + timedelta(seconds=1)
    assert letters(backups, expiry(backups, (), policy, now=later, version=NEW), kept=True) == ".FF"


def test_the_moment_is_told_from_which_on_a_backup_goes() -> None:
    """At `expires` it goes, a second before it does not; the newest full one has no date."""
    backups = chain("FFF")
    policy = Policy(full=2, by_time=True)
    verdicts = expiry(backups, (), policy, now=NOW, version=NEW).backups
    first = verdicts[backups[0].id].expires
    assert first is not None
    assert expiry(backups, (), policy, now=first, version=NEW).backups[backups[0].id].kept is False
    before = first - timedelta(seconds=1)
    assert expiry(backups, (), policy, now=before, version=NEW).backups[backups[0].id].kept is True
    assert (None, "2 days after the next full backup has ended") == (
        verdicts[backups[2].id].expires,
        verdicts[backups[2].id].event,
    )


@pytest.mark.parametrize("days", [36_500, 999_999, 9_999_999])
def test_an_endless_window_keeps_everything(days: int) -> None:
    """What people write to keep everything reaches before all time."""
    found = expiry(chain("FIF"), (), Policy(full=days, by_time=True), now=NOW, version=NEW)
    assert {verdict.kept for verdict in found.backups.values()} == {True}


def test_wal_begins_at_the_oldest_full_backup_that_is_counted() -> None:
    """What older backups need to become consistent stays; the rest before it goes."""
    backups = chain("FFF")
    found = expiry(backups, (archive((1, 50)),), Policy(full=3, archive=1), now=NOW, version=NEW)
    assert gone(found) == [(wal(1), wal(9)), (wal(12), wal(19)), (wal(22), wal(29))]


def test_wal_before_the_first_kept_backup_goes() -> None:
    """With no retention of WAL said, it follows the full backups."""
    backups = chain("FFF")
    found = expiry(backups, (archive((1, 5), (8, 50)),), Policy(full=2), now=NOW, version=NEW)
    assert gone(found) == [(wal(1), wal(5)), (wal(8), wal(19))]


@pytest.mark.parametrize(
    ("version", "catalog", "days", "expected"),
    [(OLD, "FF", 1, []), (OLD, "FFF", 1, [(wal(1), wal(19))]), (NEW, "FF", 1, [(wal(1), wal(9))]), (NEW, "FF", 5, [])],
)
def test_a_window_lets_wal_go(version: EngineVersion, catalog: str, days: int, expected: list[tuple[str, str]]) -> None:
    """Before 2.47 only when a backup expires; never before one is older than the window."""
    backups = chain(catalog)
    found = expiry(backups, (archive((1, 50)),), Policy(full=days, by_time=True), now=NOW, version=version)
    assert gone(found) == expected


def test_too_few_backups_keep_all_wal() -> None:
    """WAL waits for as many backups as its retention counts."""
    found = expiry(chain("F"), (archive((1, 50)),), Policy(full=2), now=NOW, version=NEW)
    assert [fate.reason for fate in found.wal or ()] == ["WAL expires only once 2 full backups are there; there is 1"]


def test_an_archive_without_backups_goes_unless_it_is_the_current_one() -> None:
    """After pg_upgrade the old archive is deleted whole once its last backup is gone."""
    backups = chain("FF")
    shelves = (archive((1, 9), current=False, name="14-1"), archive((1, 50)), archive((1, 3), name="16-2"))
    found = expiry(backups, shelves, Policy(full=1), now=NOW, version=NEW)
    assert [(fate.archive, fate.kept) for fate in found.wal or ()] == [
        ("14-1", False), ("15-1", False), ("15-1", True), ("16-2", True),
    ]  # fmt: skip


def test_an_offline_backup_stops_the_expiry_of_wal() -> None:
    """It names no WAL at which continuous WAL could begin."""
    offline = replace(chain("F")[0], wal_start=None, wal_stop=None)
    found = expiry((offline,), (archive((1, 50)),), Policy(full=1), now=NOW, version=NEW)
    assert gone(found) == []


def test_2_60_refuses_when_a_damaged_backup_would_be_the_oldest() -> None:
    """Nothing goes then; an older version does not look."""
    first, second, third = chain("FFF")
    backups = (first, replace(second, page_errors=True), third)
    refused = expiry(backups, (archive((1, 50)),), Policy(full=2), now=NOW, version=NEWEST)
    assert letters(backups, refused, kept=True) == "FFF"
    assert refused.refuses is not None
    assert gone(refused) == []
    assert letters(backups, expiry(backups, (), Policy(full=2), now=NOW, version=NEW), kept=False) == "F.."


@pytest.mark.parametrize(
    ("catalog", "policy", "refuses"),
    [
        ("FDD", Policy(differential=1), False),
        ("FDD", Policy(full=1, differential=1), False),
        ("FF", Policy(full=9, by_time=True), False),
        ("FF", Policy(full=1, by_time=True), True),
        ("FDD", Policy(full=9, by_time=True, differential=1), False),
        ("FF", Policy(full=1, by_time=True, checks_pages=False), False),
    ],
)
def test_2_60_looks_at_the_backup_that_reaches_the_window(catalog: str, policy: Policy, refuses: bool) -> None:
    """Whether or not anything goes; at none when no full backup can go."""
    first, *others = chain(catalog)
    found = expiry((replace(first, page_errors=True), *others), (), policy, now=NOW, version=NEWEST)
    assert refuses is (found.refuses is not None)


# Whatever the catalog and the policy


catalogs = st.lists(st.sampled_from("FDI"), max_size=14).map(lambda rest: chain("F" + "".join(rest)))
numbers = st.none() | st.integers(1, 8)
policies = st.builds(
    Policy,
    full=numbers,
    by_time=st.booleans(),
    differential=numbers,
    archive=numbers,
    archive_type=st.sampled_from(["full", "diff", "incr"]),
)
versions = st.sampled_from([OLD, NEW, NEWEST])


@given(catalogs, policies, versions)
def test_a_kept_backup_never_needs_one_that_goes(
    backups: tuple[Backup, ...], policy: Policy, version: EngineVersion
) -> None:
    """Neither its parent, nor the WAL between its start and its stop."""
    found = expiry(backups, (archive((1, 200)),), policy, now=NOW, version=version)
    removed = [(fate.from_, fate.to) for fate in found.wal or () if not fate.kept]
    for backup in backups:
        if found.backups[backup.id].kept:
            assert backup.parent is None or found.backups[backup.parent].kept
            assert not any(
                first <= (backup.wal_stop or "") and (backup.wal_start or "") <= last for first, last in removed
            )


@given(catalogs, st.integers(1, 12), st.integers(0, 12), versions)
def test_a_longer_window_never_keeps_fewer(
    backups: tuple[Backup, ...], days: int, more: int, version: EngineVersion
) -> None:
    """Neither backups nor WAL."""
    short, long = (
        expiry(backups, (archive((1, 200)),), Policy(full=span, by_time=True), now=NOW, version=version)
        for span in (days, days + more)
    )
    assert {id_ for id_, one in short.backups.items() if one.kept} <= {
        id_ for id_, one in long.backups.items() if one.kept
    }
    assert sum(one.segments for one in short.wal or () if one.kept) <= sum(
        one.segments for one in long.wal or () if one.kept
    )


@given(catalogs, st.integers(1, 12), versions)
def test_another_backup_never_shortens_the_window(
    backups: tuple[Backup, ...], days: int, version: EngineVersion
) -> None:
    """If the start of the window can be reached without the newest backup, then also with it."""
    policy = Policy(full=days, by_time=True)
    edge = NOW - timedelta(days=days)

    def reaches(catalog: tuple[Backup, ...]) -> bool:
        found = expiry(catalog, (), policy, now=NOW, version=version)
        return any(found.backups[one.id].kept and (one.stopped_at or NOW) < edge for one in catalog)

    assert not reaches(backups[:-1]) or reaches(backups)


@given(catalogs, policies, versions, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_what_is_told_to_go_by_time_goes_then(
    backups: tuple[Backup, ...], policy: Policy, version: EngineVersion, later: timedelta
) -> None:
    """A kept backup with a date is there before it and gone from it on, if nothing else happens."""
    today = expiry(backups, (), policy, now=NOW, version=version)
    then = expiry(backups, (), policy, now=NOW + later, version=version)
    for backup in backups:
        verdict = today.backups[backup.id]
        if verdict.kept and today.refuses is None and then.refuses is None:
            due = verdict.expires is not None and NOW + later >= verdict.expires
            assert then.backups[backup.id].kept is not due
