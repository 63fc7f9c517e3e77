"""What `barman cron` deletes by a retention policy, rule by rule, and what holds whatever the policy is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwrap.domain.facts import ArchiveContents, Backup, BackupState, Held
from pgwrap.domain.wal import SegmentRange, Timeline
from pgwrap.engines.barman.expiry import Expiry, Policy, expiry
from pgwrap.engines.port import EngineVersion

NOW = datetime(2026, 11, 25, 12, 0, 0, 500_000, tzinfo=UTC)
OLD, MIDDLE, NEW = EngineVersion((3, 4, 0)), EngineVersion((3, 11, 1)), EngineVersion((3, 20, 1))
SIZE = 16 << 20
STATES: dict[str, BackupState] = {"W": "waiting_for_wal", "X": "failed", "E": "running"}
HOLDS: dict[str, Held] = {"K": "full", "S": "standalone"}


def wal(number: int, timeline: int = 1) -> str:
    """The name of segment `number`."""
    return f"{timeline:08X}{number >> 8:08X}{number & 0xFF:08X}"


def catalog(text: str, timelines: str = "") -> tuple[Backup, ...]:
    """Backups by letter, oldest first, one ending each day, the newest an hour ago.

    F is full and DONE; K and S are held (full, standalone); i builds on the one before; W waits for WAL, X failed, E
    is running. `timelines` has a digit for each.
    """
    backups: list[Backup] = []
    for place, letter in enumerate(text):
        stop = NOW - timedelta(hours=1) - timedelta(days=len(text) - 1 - place)
        timeline = int(timelines[place]) if timelines else 1
        before = backups[-1] if backups else None
        parent = before.id if letter == "i" and before is not None else None
        backups.append(
            Backup(
                engine="barman", engine_name="main", id=f"{stop:%Y%m%dT%H%M%S}", repository="repo1",
                type="incremental" if parent else "full", state=STATES.get(letter, "done"), stopped_at=stop,
                stored_bytes=1000, wal_start=wal(10 * place + 10, timeline), wal_stop=wal(10 * place + 11, timeline),
                timeline=Timeline(timeline), parent=parent, held=HOLDS.get(letter, False),
                needs=(*before.needs, before.id) if parent and before is not None else (),
            )
        )  # fmt: skip
    return tuple(backups)


def shelf(*spans: tuple[int, int, int]) -> tuple[tuple[ArchiveContents, int], ...]:
    """The server's WAL: runs of timeline, first and last segment."""
    ranges = tuple(SegmentRange(Timeline(timeline), first, last) for timeline, first, last in spans)
    return ((ArchiveContents(repository="repo1", archive=None, segment_size=SIZE, ranges=ranges), SIZE),)


def stays(backups: Sequence[Backup], found: Expiry, text: str) -> str:
    """The letters of what stays, each at its place."""
    return "".join(
        letter if found.backups[backup.id].kept else "." for letter, backup in zip(text, backups, strict=True)
    )


def gone(found: Expiry) -> list[tuple[str, str]]:
    """The runs of WAL that go."""
    return [(fate.from_, fate.to) for fate in found.wal or () if not fate.kept]


@pytest.mark.parametrize(
    ("text", "policy", "minimum", "expected"),
    [
        ("FFFF", "REDUNDANCY 2", 0, "..FF"),
        ("FFFF", "REDUNDANCY 2", 3, ".FFF"),
        ("FFKF", "REDUNDANCY 2", 0, "..KF"),
        ("KFFF", "REDUNDANCY 2", 0, "K.FF"),
        ("FXFEFW", "REDUNDANCY 1", 0, ".X.EFW"),
        ("FFFF", "REDUNDANCY 0", 0, "...."),
        ("FFFF", "RECOVERY WINDOW OF 2 DAYS", 0, ".FFF"),
        ("FFFF", "RECOVERY WINDOW OF 0 DAYS", 0, "...F"),
        ("FFFFF", "RECOVERY WINDOW OF 1 DAYS", 4, ".FFFF"),
        ("FFFFF", "RECOVERY WINDOW OF 1 WEEKS", 0, "FFFFF"),
        ("FFKFF", "RECOVERY WINDOW OF 1 DAYS", 0, "..KFF"),
        ("FFFF", "RECOVERY WINDOW OF 9999999 MONTHS", 0, "FFFF"),
        ("FFFF", "nonsense", 0, "FFFF"),
        ("FFFF", None, 0, "FFFF"),
        ("FiiFi", "REDUNDANCY 1", 0, "...Fi"),
        ("XiFi", "REDUNDANCY 1", 0, "XiFi"),
    ],
)
def test_the_policy_takes_what_it_lets_go(text: str, policy: str | None, minimum: int, expected: str) -> None:
    """A held backup takes up a place, a window keeps the backup that reaches its start, only DONE ones are judged."""
    backups = catalog(text)
    found = expiry(backups, None, Policy.parse(policy, minimum), now=NOW, version=NEW)
    assert expected == stays(backups, found, text)


@pytest.mark.parametrize(("version", "expected"), [(MIDDLE, "Siii.F"), (NEW, "S....F")])
def test_incrementals_of_a_standalone_backup_go_since_3_12(version: EngineVersion, expected: str) -> None:
    """Once the policy would not hold their root; before, they stayed with it."""
    text = "SiiiFF"
    found = expiry(catalog(text), None, Policy.parse("REDUNDANCY 1", 0), now=NOW, version=version)
    assert expected == stays(catalog(text), found, text)


@pytest.mark.parametrize(("policy", "expected"), [("REDUNDANCY 2", "FSi"), ("RECOVERY WINDOW OF 0 DAYS", ".S.")])
def test_a_standalone_backup_is_judged_after_itself(policy: str, expected: str) -> None:
    """The one that reaches the start of the window is already past it for what builds on it."""
    found = expiry(catalog("FSi"), None, Policy.parse(policy, 0), now=NOW + timedelta(days=3), version=NEW)
    assert expected == stays(catalog("FSi"), found, "FSi")


def test_a_backup_that_no_root_has_is_never_judged() -> None:
    """Its root was deleted behind Barman's back."""
    orphan = replace(catalog("Fi")[1], parent="20200101T000000")
    backups = (orphan, *catalog("FF"))
    found = expiry(backups, None, Policy.parse("REDUNDANCY 1", 0), now=NOW, version=NEW)
    assert found.backups[orphan.id].kept is True


def test_wal_goes_up_to_the_backup_that_is_left() -> None:
    """Also what is older than the first backup; gaps stay gaps."""
    found = expiry(catalog("FFF"), shelf((1, 1, 5), (1, 8, 60)), Policy.parse("REDUNDANCY 1", 0), now=NOW, version=NEW)
    assert gone(found) == [(wal(1), wal(5)), (wal(8), wal(9)), (wal(10), wal(19)), (wal(20), wal(29))] or gone(
        found
    ) == [(wal(1), wal(5)), (wal(8), wal(19)), (wal(20), wal(29))]


def test_wal_stays_while_no_backup_goes() -> None:
    """Barman removes WAL only together with a backup."""
    found = expiry(catalog("F"), shelf((1, 1, 60)), Policy.parse("REDUNDANCY 1", 0), now=NOW, version=NEW)
    assert [fate.reason for fate in found.wal or ()] == [
        "no backup goes, and Barman removes WAL only together with one"
    ]


def test_wal_after_a_held_backup_stays() -> None:
    """A full hold needs all that follows; a standalone one only its own."""
    policy = Policy.parse("REDUNDANCY 1", 0)
    assert gone(expiry(catalog("KFF"), shelf((1, 1, 60)), policy, now=NOW, version=NEW)) == []
    standalone = expiry(catalog("SFF"), shelf((1, 1, 60)), policy, now=NOW, version=NEW)
    assert gone(standalone) == [(wal(1), wal(9)), (wal(12), wal(29))]
    by_hand = expiry(catalog("SFF"), shelf((1, 1, 60)), policy, now=NOW, version=NEW, by_hand=True)
    assert gone(by_hand) == []


def test_wal_of_timelines_with_other_backups_stays() -> None:
    """Only the timeline of the next backup, and those without any, are cleaned."""
    backups = catalog("FFF", "132")
    found = expiry(
        backups, shelf((1, 1, 40), (2, 1, 40), (3, 1, 40)), Policy.parse("REDUNDANCY 2", 0), now=NOW, version=NEW
    )
    assert gone(found) == [(wal(1), wal(40)), (wal(1, 3), wal(19, 3))]


# Whatever the catalog and the policy


catalogs = st.text(alphabet="FFFKSiiWXE", max_size=14)
spans = st.integers(0, 12)
versions = st.sampled_from([OLD, MIDDLE, NEW])


@given(catalogs, st.integers(0, 6), spans, st.booleans(), versions)
def test_a_kept_backup_never_needs_what_goes(
    text: str, minimum: int, number: int, window: bool, version: EngineVersion
) -> None:
    """Neither what it builds on, nor the WAL between its start and its stop."""
    backups = catalog(text)
    policy = Policy.parse(f"RECOVERY WINDOW OF {number} DAYS" if window else f"REDUNDANCY {number}", minimum)
    found = expiry(backups, shelf((1, 1, 200)), policy, now=NOW, version=version)
    removed = [(fate.from_, fate.to) for fate in found.wal or () if not fate.kept]
    for backup in backups:
        if found.backups[backup.id].kept and backup.state == "done":
            assert all(found.backups[id_].kept for id_ in backup.needs)
            assert not any(
                first <= (backup.wal_stop or "") and (backup.wal_start or "") <= last for first, last in removed
            )


@given(catalogs, st.integers(0, 6), spans, spans, versions)
def test_a_longer_window_never_keeps_fewer(
    text: str, minimum: int, days: int, more: int, version: EngineVersion
) -> None:
    """Neither backups nor WAL."""
    backups = catalog(text)
    short, long = (
        expiry(
            backups,
            shelf((1, 1, 200)),
            Policy.parse(f"RECOVERY WINDOW OF {span} DAYS", minimum),
            now=NOW,
            version=version,
        )
        for span in (days, days + more)
    )
    assert {id_ for id_, one in short.backups.items() if one.kept} <= {
        id_ for id_, one in long.backups.items() if one.kept
    }
    assert sum(fate.segments for fate in short.wal or () if fate.kept) <= sum(
        fate.segments for fate in long.wal or () if fate.kept
    )


@given(catalogs, st.integers(0, 6), spans, versions)
def test_another_backup_never_shortens_the_window(text: str, minimum: int, days: int, version: EngineVersion) -> None:
    """If the start of the window can be reached without the newest backup, then also with it."""
    policy = Policy.parse(f"RECOVERY WINDOW OF {days} DAYS", minimum)
    edge = NOW - timedelta(days=days)
    backups = catalog(text)

    def reaches(some: tuple[Backup, ...]) -> bool:
        found = expiry(some, None, policy, now=NOW, version=version)
        return any(
            found.backups[one.id].kept and one.state == "done" and not one.parent and (one.stopped_at or NOW) < edge
            for one in some
        )

    assert not reaches(backups[:-1]) or reaches(backups)


@settings(max_examples=400)
@given(catalogs, st.integers(0, 6), spans, versions, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_what_is_told_to_go_by_time_goes_then(
    text: str, minimum: int, days: int, version: EngineVersion, later: timedelta
) -> None:
    """A kept backup with a date is there before it and gone from it on, if nothing else happens."""
    backups = catalog(text)
    policy = Policy.parse(f"RECOVERY WINDOW OF {days} DAYS", minimum)
    today = expiry(backups, None, policy, now=NOW, version=version)
    then = expiry(backups, None, policy, now=NOW + later, version=version)
    for backup in backups:
        verdict = today.backups[backup.id]
        if verdict.kept:
            due = verdict.expires is not None and NOW + later >= verdict.expires
            assert then.backups[backup.id].kept is not due
