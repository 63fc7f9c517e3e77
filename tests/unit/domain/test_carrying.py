"""Which bases are carried, and what a plan counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.carrying import Bases, Carrying, CarryPlan, choose_bases
from pgwrap.domain.facts import Backup, WalGap
from pgwrap.domain.wal import Timeline

if TYPE_CHECKING:
    from tests.unit.domain.conftest import Build

DAY = 1440
"""Segments that are filled in a day."""
EVERY = st.one_of(
    st.sampled_from([Bases(), Bases(kind="oldest")]),
    st.integers(1, 30).map(lambda days: Bases(kind="every", days=days)),
)


def gap(build: Build, first: int, last: int) -> WalGap:
    """Missing segments."""
    return WalGap(
        repository="local",
        archive="15-1",
        engine="pgbackrest",
        engine_name="orders",
        timeline=Timeline(1),
        from_=build.name(first),
        to=build.name(last),
        segments=last - first + 1,
    )


def ids(backups: tuple[Backup, ...]) -> list[str]:
    """Their ids, in order."""
    return [backup.id for backup in backups]


@given(EVERY)
def test_how_many_bases_is_said_and_read_alike(bases: Bases) -> None:
    """What is printed is what may be typed."""
    assert Bases.parse(str(bases)) == bases


@pytest.mark.parametrize("text", ["", "none", "0d", "7", "7 d", "-1d", "1h"])
def test_anything_else_is_refused(text: str) -> None:
    """A word that means nothing chooses nothing."""
    with pytest.raises(ValueError, match="such as 7d"):
        Bases.parse(text)


def test_all_are_carried_oldest_first(build: Build) -> None:
    """Whatever order they come in."""
    backups = [build.backup(number) for number in (9, 2, 5)]
    assert ids(choose_bases(backups, Bases(), segment_size=build.size)) == ["b2", "b5", "b9"]


def test_the_oldest_reaches_everything_without_gaps(build: Build) -> None:
    """One base and all the WAL."""
    backups = [build.backup(number) for number in (2, 5, 9)]
    assert ids(choose_bases(backups, Bases(kind="oldest"), segment_size=build.size)) == ["b2"]


def test_after_a_gap_the_next_base_is_needed(build: Build) -> None:
    """Replay does not cross it."""
    backups = [build.backup(number) for number in (2, 5, 9, 12)]
    chosen = choose_bases(backups, Bases(kind="oldest"), [gap(build, 6, 7)], segment_size=build.size)
    assert ids(chosen) == ["b2", "b9"]


def test_every_so_many_days(build: Build) -> None:
    """The first, and each that is far enough from the last one chosen."""
    backups = [build.backup(day * DAY) for day in (0, 1, 6, 7, 8, 15)]
    chosen = choose_bases(backups, Bases(kind="every", days=7), segment_size=build.size)
    assert ids(chosen) == [f"b{day * DAY}" for day in (0, 7, 15)]


@given(
    starts=st.sets(st.integers(1, 40 * DAY), max_size=12),
    holes=st.lists(st.integers(1, 40 * DAY), max_size=4),
    bases=EVERY,
)
def test_nothing_reachable_is_lost(build: Build, starts: set[int], holes: list[int], bases: Bases) -> None:
    """Each backup left out has a chosen one before it, with no gap between the two, and near enough."""
    backups = [build.backup(start) for start in starts]
    gaps = [gap(build, hole, hole) for hole in holes]
    chosen = choose_bases(backups, bases, gaps, segment_size=build.size)
    assert set(chosen) <= set(backups)
    for number, backup in ((start, build.backup(start)) for start in starts):
        before = [
            one
            for one in chosen
            if (begin := int(one.id[1:])) <= number and not any(begin < hole < number for hole in holes)
        ]
        assert before
        if bases.days is not None:
            assert _distance(before[-1], backup) < timedelta(days=bases.days)


def _distance(before: Backup, backup: Backup) -> timedelta:
    assert before.stopped_at is not None
    assert backup.stopped_at is not None
    return backup.stopped_at - before.stopped_at


def test_a_backup_without_times_is_carried(build: Build) -> None:
    """Nobody knows what it would be left out for."""
    timeless = replace(build.backup(5), started_at=None, stopped_at=None)
    chosen = choose_bases([build.backup(2), timeless], Bases(kind="every", days=30), segment_size=build.size)
    assert set(ids(chosen)) == {"b2", "b5"}


def test_a_plan_knows_what_waits(build: Build) -> None:
    """Neither what was carried before nor what is left behind."""
    one, two, three = (build.backup(number) for number in (1, 2, 3))
    waiting = Carrying(backup=three, carried=True)
    plan = CarryPlan(
        source="orders",
        target="new",
        backups=(Carrying(backup=one, carried=False), Carrying(backup=two, carried=True, already=True), waiting),
        segments_to_move=0,
        needed_bytes=0,
        free_bytes=None,
    )
    assert plan.waiting == (waiting,)
    assert not plan.done
