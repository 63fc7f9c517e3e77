"""Which moments can be restored, and what gaps cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.facts import Backup, Observation, RecoverableInterval
from pgwrap.domain.gaps import gaps, meanings_of
from pgwrap.domain.recovery import (
    CLOCK_TICK,
    ProofKey,
    recoverable,
    stretches,
    wanted_proofs,
)
from pgwrap.domain.wal import Ancestor, Ancestry, Lsn, Segment, Timeline, ranges_of
from pgwrap.domain.wholeness import assess_backups

if TYPE_CHECKING:
    from tests.unit.domain.conftest import Build

Window = tuple[datetime, datetime]


def moments(observation: Observation, build: Build) -> tuple[tuple[int, Window], ...]:
    """Timeline and window of each interval, when every archived segment holds a commit at its minute."""
    intervals = recoverable(stretches(observation), commits(observation, build))
    return tuple((interval.timeline, (interval.from_, interval.to)) for interval in intervals)


def commits(observation: Observation, build: Build) -> dict[ProofKey, datetime | None]:
    """A commit in every archived segment, a tick after nine tenths of its minute."""
    return {
        ProofKey(
            system_identifier=archive.system_identifier,
            timeline=part.timeline,
            segment=Segment(part.timeline, number).name(build.size),
            segment_size=build.size,
            repository=archive.repository,
            archive=archive.archive,
        ): build.at(number + 0.9) + CLOCK_TICK
        for archive in observation.archives
        for part in archive.ranges or ()
        for number in range(part.first, part.last + 1)
    }


def test_unbroken_wal_gives_one_interval(build: Build) -> None:
    """From the first backup's stop to a tick before the newest archived commit, which a restore can still reach."""
    archive = build.archive(build.span(1, 9))
    observation = build.observation(build.backup(2, 3), build.backup(6), archives=(archive,))

    (interval,) = recoverable(stretches(observation), commits(observation, build))

    assert (build.at(3.5), build.at(9.9), "commit", True) == (
        interval.from_,
        interval.to,
        interval.to_proof,
        interval.open_ended,
    )


def test_gap_is_cut_out(build: Build) -> None:
    """Nothing is claimed from the gap to the next whole backup's stop."""
    archive = build.archive(build.span(1, 4), build.span(6, 12))
    observation = build.observation(build.backup(2), build.backup(8), archives=(archive,))

    expected = ((1, (build.at(2.5), build.at(4.9))), (1, (build.at(8.5), build.at(12.9))))
    assert expected == moments(observation, build)


def test_without_a_known_commit_an_interval_ends_with_its_newest_backup(build: Build) -> None:
    """Archived WAL alone proves no moment."""
    observation = build.observation(build.backup(2), build.backup(6), archives=(build.archive(build.span(1, 9)),))

    (interval,) = recoverable(stretches(observation), {})

    assert (build.at(6.5), "backup") == (interval.to, interval.to_proof)


def test_offline_backup_starts_nothing(build: Build) -> None:
    """A backup without WAL gives no interval, and its consistency is not claimed."""
    offline = build.backup(2, wal_start=None, wal_stop=None, lsn_start=None, lsn_stop=None)
    observation = build.observation(offline, archives=(build.archive(build.span(1, 9)),))

    assert stretches(observation) == ()
    assert [verdict.restorable for verdict in assess_backups(observation)] == [None]


@pytest.mark.parametrize(
    ("state", "expected"),
    [("done", True), ("waiting_for_wal", None), ("running", None), ("failed", False), ("invalid", False)],
)
def test_only_a_done_backup_is_whole(build: Build, state: str, expected: bool | None) -> None:
    """What the engine has not finished is not claimed."""
    observation = build.observation(build.backup(2, state=state), archives=(build.archive(build.span(1, 9)),))

    assert [expected] == [verdict.restorable for verdict in assess_backups(observation)]


@pytest.mark.parametrize(
    ("parent", "expected"), [("done", True), ("failed", False), ("waiting_for_wal", None), (None, False)]
)
def test_backup_stands_on_what_it_needs(build: Build, parent: str | None, expected: bool | None) -> None:
    """An incremental is worth no more than the backups it builds on."""
    full = [build.backup(2, state=parent)] if parent else []
    increment = build.backup(5, type="incremental", needs=("b2",))
    observation = build.observation(*full, increment, archives=(build.archive(build.span(1, 9)),))

    assert expected == assess_backups(observation)[-1].restorable


def test_missing_wal_is_named(build: Build) -> None:
    """A backup without its WAL is broken, and the reason says which segments."""
    observation = build.observation(build.backup(2, 5), archives=(build.archive(build.span(1, 2), build.span(5, 9)),))

    (verdict,) = assess_backups(observation)

    assert verdict.restorable is False
    assert f"{build.name(3)} to {build.name(4)}" in verdict.reason


def test_unlisted_archive_claims_nothing(build: Build) -> None:
    """Where the WAL could not be listed, a backup is neither whole nor broken."""
    for archives in ((), (build.archive(ranges=None),)):
        observation = build.observation(build.backup(2), archives=archives)

        assert stretches(observation) == ()
        assert [verdict.restorable for verdict in assess_backups(observation)] == [None]


def test_segment_past_a_stop_on_the_boundary_is_not_needed(build: Build) -> None:
    """Barman 3.13.3 names one segment too many when a backup ends exactly where a segment does."""
    backup = build.backup(2, 3, lsn_stop=Lsn(3 * build.size))
    observation = build.observation(backup, archives=(build.archive(build.span(2, 2)),))

    assert [verdict.restorable for verdict in assess_backups(observation)] == [True]
    assert gaps(observation) == ()


def test_segment_size_is_found_from_positions(build: Build) -> None:
    """An archive that does not tell its segment size takes it from its backups."""
    high = 0x723
    backup = build.backup(high)
    archive = build.archive(build.span(high, high + 4), segment_size=None)

    assert ((1, (build.at(high + 0.5), build.at(high + 4.9))),) == moments(
        build.observation(backup, archives=(archive,)), build
    )


def test_recovery_crosses_timelines(build: Build) -> None:
    """TL1 to TL2 to TL3 with a known history is one interval, on the newest timeline."""
    archive = build.archive(
        build.span(1, 4),
        build.span(5, 8, 2),
        build.span(9, 12, 3),
        ancestries=(build.ancestry(3, (1, 5), (2, 9)),),
    )
    observation = build.observation(build.backup(2), archives=(archive,))

    assert ((3, (build.at(2.5), build.at(12.9))),) == moments(observation, build)
    assert gaps(observation) == ()


def test_unknown_history_is_not_crossed(build: Build) -> None:
    """Without its history file nothing is replayed into a timeline."""
    archive = build.archive(build.span(1, 5), build.span(5, 8, 2))
    observation = build.observation(build.backup(2), archives=(archive,))

    assert ((1, (build.at(2.5), build.at(5.9))),) == moments(observation, build)


def test_abandoned_timeline_keeps_its_own_moments(build: Build) -> None:
    """TL1 was left for TL3 after TL2 had been tried: both ends can be restored."""
    archive = build.archive(
        build.span(1, 5),
        build.span(5, 8, 2),
        build.span(5, 12, 3),
        ancestries=(build.ancestry(2, (1, 5)), build.ancestry(3, (1, 5))),
    )
    observation = build.observation(build.backup(2), build.backup(7, timeline=2), archives=(archive,))

    expected = ((2, (build.at(2.5), build.at(8.9))), (3, (build.at(2.5), build.at(12.9))))
    assert expected == moments(observation, build)


def test_timeline_that_went_on_after_the_fork_is_kept(build: Build) -> None:
    """WAL that the old primary archived past the fork is reachable on the old timeline only."""
    archive = build.archive(build.span(1, 7), build.span(5, 9, 2), ancestries=(build.ancestry(2, (1, 5)),))
    observation = build.observation(build.backup(2), build.backup(6), archives=(archive,))

    expected = ((1, (build.at(2.5), build.at(7.9))), (2, (build.at(2.5), build.at(9.9))))
    assert expected == moments(observation, build)


def test_missing_first_segment_of_a_timeline_stops_replay(build: Build) -> None:
    """The new timeline's copy of the segment in which the old one was left is needed."""
    archive = build.archive(build.span(1, 5), build.span(6, 9, 2), ancestries=(build.ancestry(2, (1, 5)),))
    observation = build.observation(build.backup(2), archives=(archive,))

    assert ((1, (build.at(2.5), build.at(5.9))),) == moments(observation, build)
    assert [(2, build.name(5, 2), 1)] == [(gap.timeline, gap.from_, gap.segments) for gap in gaps(observation)]


def test_backup_that_ends_in_the_last_segment_of_its_timeline_is_whole(build: Build) -> None:
    """The old timeline's last segment may exist as .partial only; the new one's copy holds the backup's end."""
    archive = build.archive(build.span(1, 4), build.span(5, 9, 2), ancestries=(build.ancestry(2, (1, 5)),))
    observation = build.observation(build.backup(4, 5), archives=(archive,))

    assert ((2, (build.at(5.5), build.at(9.9))),) == moments(observation, build)


def test_backup_past_the_fork_is_not_on_the_new_timeline(build: Build) -> None:
    """A backup that ends after its timeline was left cannot be replayed into the next."""
    late = build.backup(4, 5, lsn_stop=Lsn(5 * build.size + build.size - 1))
    archive = build.archive(build.span(1, 5), build.span(5, 9, 2), ancestries=(build.ancestry(2, (1, 5)),))

    assert ((1, (build.at(5.5), build.at(5.9))),) == moments(build.observation(late, archives=(archive,)), build)


def test_two_switches_in_one_segment(build: Build) -> None:
    """A timeline that lived within one segment leaves none for replay to read."""
    ancestry = Ancestry(
        Timeline(3), (Ancestor(Timeline(1), Lsn(5 * build.size + 1)), Ancestor(Timeline(2), Lsn(5 * build.size + 9)))
    )
    archive = build.archive(build.span(1, 4), build.span(5, 5, 2), build.span(5, 9, 3), ancestries=(ancestry,))

    assert ((3, (build.at(2.5), build.at(9.9))),) == moments(
        build.observation(build.backup(2), archives=(archive,)), build
    )


def test_standalone_backup_is_an_interval_of_one_moment(build: Build) -> None:
    """Barman keeps only start..stop of a standalone backup: its stop can be restored, nothing after."""
    archive = build.archive(build.span(2, 3), build.span(8, 12))
    observation = build.barman(
        build.observation(build.backup(2, 3, held="standalone"), build.backup(8), archives=(archive,))
    )

    first, second = recoverable(stretches(observation), {})

    assert (build.at(3.5), build.at(3.5)) == (first.from_, first.to)
    assert not first.open_ended
    assert second.open_ended


def test_upgraded_server_in_one_archive_never_mixes_systems(build: Build) -> None:
    """Barman keeps the old system's WAL beside the new one's: replay ends with the old system's last backup."""
    archive = build.archive(build.span(1, 12), system_identifier="8", postgres_version="16")
    new = build.backup(8, system_identifier="8", postgres_version="16")
    observation = build.barman(build.observation(build.backup(2), build.backup(4), new, archives=(archive,)))

    assert ((1, (build.at(2.5), build.at(4.5))), (1, (build.at(8.5), build.at(12.9)))) == moments(observation, build)


def test_proofs_are_asked_from_the_end_back_to_the_newest_backup(build: Build) -> None:
    """One question at a time, until a commit is found or the newest backup's last segment has answered."""
    observation = build.observation(build.backup(2), build.backup(6, 7), archives=(build.archive(build.span(1, 9)),))
    found = stretches(observation)
    known: dict[ProofKey, datetime | None] = {}
    asked = []
    while wanted := wanted_proofs(found, known, 8):
        asked += [key.segment for key in wanted]
        known |= dict.fromkeys(wanted)

    assert [build.name(9), build.name(8), build.name(7)] == asked


def test_proofs_stop_at_a_commit_and_at_the_limit(build: Build) -> None:
    """A known commit ends the search, and so does the limit."""
    found = stretches(build.observation(build.backup(2), archives=(build.archive(build.span(1, 9)),)))
    (newest,) = wanted_proofs(found, {}, 1)

    assert wanted_proofs(found, {newest: build.at(9)}, 8) == ()
    assert wanted_proofs(found, {newest: None}, 1) == ()
    assert build.name(8) == wanted_proofs(found, {newest: None}, 2)[0].segment


def test_commit_of_another_archive_proves_nothing(build: Build) -> None:
    """A proof counts for the system and the archive it was read from."""
    observation = build.observation(build.backup(2), archives=(build.archive(build.span(1, 9)),))
    found = stretches(observation)
    (key,) = wanted_proofs(found, {}, 1)
    others = {replace(key, archive="14-1"): build.at(9), replace(key, system_identifier="6"): build.at(9)}

    assert [interval.to_proof for interval in recoverable(found, others)] == ["backup"]


def test_names_that_fit_no_segment_claim_nothing(build: Build) -> None:
    """A damaged cache or a wrong segment size is no proof, and no crash."""
    archive = build.archive(build.span(1, 9))
    odd = build.backup(2, wal_start="0000000100000000000001FF", wal_stop="0000000100000000000001FF", lsn_stop=None)
    observation = build.observation(build.backup(2), replace(odd, id="odd"), archives=(archive,))
    found = stretches(observation)
    (key,) = wanted_proofs(found, {}, 1)

    assert [True, None] == [verdict.restorable for verdict in assess_backups(observation)]
    assert ["backup"] == [i.to_proof for i in recoverable(found, {replace(key, segment="nonsense"): build.at(9)})]


def test_gap_before_the_first_archived_segment_is_found(build: Build) -> None:
    """WAL that a backup starts with and the archive lacks is a gap at either end."""
    observation = build.observation(build.backup(2, 4), build.backup(8, 9), archives=(build.archive(build.span(4, 8)),))

    assert [(build.name(2), build.name(3), 2), (build.name(9), build.name(9), 1)] == [
        (gap.from_, gap.to, gap.segments) for gap in gaps(observation)
    ]


@pytest.mark.parametrize(
    ("ranges", "thinned", "harmless"),
    [
        (((2, 3), (6, 6), (9, 12)), True, True),
        (((2, 3), (6, 6), (9, 12)), False, False),
        (((2, 4), (6, 6), (9, 12)), True, False),
        (((2, 3), (5, 6), (9, 12)), True, False),
        (((2, 10), (12, 12)), True, False),
    ],
)
def test_expire_explains_gaps_between_older_backups(
    build: Build, ranges: tuple[tuple[int, int], ...], thinned: bool, harmless: bool
) -> None:
    """Only start..stop of each older backup left, and the policy says so: retention did it. Anything else is a loss."""
    archive = build.archive(*(build.span(*pair) for pair in ranges))
    observation = build.observation(build.backup(2, 3), build.backup(6), build.backup(9), archives=(archive,))

    found = meanings_of(gaps(observation), observation, thinned={"local"} if thinned else ())

    assert harmless == all(meaning.harmless for meaning in found)


def test_a_backup_older_than_its_timeline_is_not_whole(build: Build) -> None:
    """After pg_upgrade timelines count from 1 again: another system's segments of those numbers prove nothing."""
    archive = build.archive(build.span(1, 9), build.span(9, 12, 2), ancestries=(build.ancestry(2, (1, 9)),))
    observation = build.observation(build.backup(3, timeline=2), build.backup(9, timeline=2), archives=(archive,))

    assert [False, True] == [verdict.restorable for verdict in assess_backups(observation)]


def test_standalone_explains_a_gap(build: Build) -> None:
    """Barman removes WAL between a standalone backup and the next one."""
    archive = build.archive(build.span(2, 3), build.span(8, 12))
    for held, harmless in (("standalone", True), ("full", False), (False, False)):
        observation = build.barman(
            build.observation(build.backup(2, 3, held=held), build.backup(8), archives=(archive,))
        )
        (meaning,) = meanings_of(gaps(observation), observation, thinned={"local"})

        assert harmless == meaning.harmless


def test_gap_before_every_backup_is_harmless(build: Build) -> None:
    """Nothing needs WAL older than the oldest backup."""
    archive = build.archive(build.span(1, 2), build.span(5, 9))
    observation = build.observation(build.backup(6), archives=(archive,))
    (meaning,) = meanings_of(gaps(observation), observation, thinned=())

    assert meaning.harmless


def test_gap_across_a_switch_that_retention_explains(build: Build) -> None:
    """Retention thins across timelines too."""
    archive = build.archive(build.span(2, 3), build.span(9, 12, 2), ancestries=(build.ancestry(2, (1, 6)),))
    observation = build.observation(build.backup(2, 3), build.backup(9, timeline=2), archives=(archive,))
    found = gaps(observation)

    assert [(gap.timeline, gap.segments) for gap in found] == [(1, 2), (2, 3)]
    assert all(meaning.harmless for meaning in meanings_of(found, observation, thinned={"local"}))


@st.composite
def estates(draw: st.DrawFn) -> tuple[frozenset[Segment], tuple[tuple[int, int, int], ...], int, int]:
    """Segments on up to three timelines, backups (start, length, timeline), and where TL1 and TL2 were left."""
    first = draw(st.integers(3, 12))
    second = draw(st.integers(first, 20))
    segments = draw(st.frozensets(st.builds(Segment, st.integers(1, 3).map(Timeline), st.integers(0, 24)), min_size=1))
    full = frozenset(
        Segment(Timeline(t), n)
        for t, low, high in ((1, 0, first), (2, first, second), (3, second, 24))
        for n in range(low, high + 1)
    )
    lost = draw(st.frozensets(st.sampled_from(sorted(full)), max_size=4))
    backups = draw(st.lists(st.tuples(st.integers(0, 22), st.integers(0, 2), st.integers(1, 3)), max_size=4))
    return (segments if draw(st.booleans()) else full - lost), tuple(backups), first, second


Estate = tuple[frozenset[Segment], tuple[tuple[int, int, int], ...], int, int]


def observe(build: Build, estate: Estate) -> Observation:
    """The estate as an engine would tell it."""
    segments, backups, first, second = estate
    archive = build.archive(*ranges_of(segments), ancestries=(build.ancestry(3, (1, first), (2, second)),))
    return build.observation(
        *(backup_of(build, index, *parts) for index, parts in enumerate(backups)), archives=(archive,)
    )


def backup_of(build: Build, index: int, start: int, length: int, timeline: int) -> Backup:
    """A backup of the estate."""
    return build.backup(start, start + length, timeline, id=f"b{index}")


def windows(build: Build, estate: Estate) -> tuple[RecoverableInterval, ...]:
    """The intervals of an estate in which every segment holds a commit."""
    observation = observe(build, estate)
    return recoverable(stretches(observation), commits(observation, build))


def inside(inner: RecoverableInterval, outer: RecoverableInterval) -> bool:
    """Whether every moment of one interval is in the other."""
    return outer.from_ <= inner.from_ and inner.to <= outer.to


@given(estates())
def test_no_gap_lies_inside_an_interval(build: Build, estate: Estate) -> None:
    """The WAL of a stretch is unbroken, and all of it is archived."""
    for stretch in stretches(observe(build, estate)):
        numbers = [n for piece in stretch.run for n in range(piece.first, piece.last + 1)]
        held = {Segment(piece.timeline, n) for piece in stretch.run for n in range(piece.first, piece.last + 1)}

        assert list(range(numbers[0], numbers[-1] + 1)) == numbers
        assert held <= estate[0]


@given(estates())
def test_intervals_are_disjoint_sorted_and_forward(build: Build, estate: Estate) -> None:
    """On each timeline no moment is told twice, and no interval ends before it begins."""
    found = windows(build, estate)

    assert all(interval.from_ <= interval.to for interval in found)
    for timeline in {interval.timeline for interval in found}:
        own = [interval for interval in found if interval.timeline == timeline]
        assert all(one.to < other.from_ for one, other in pairwise(own))


@given(estates(), st.data())
def test_losing_a_segment_lengthens_nothing(build: Build, estate: Estate, data: st.DataObject) -> None:
    """Every interval that is left lies inside one that was there before."""
    if not estate[0]:
        return
    lost = data.draw(st.sampled_from(sorted(estate[0])))
    before = windows(build, estate)

    after = windows(build, (estate[0] - {lost}, *estate[1:]))

    assert all(any(inside(left, whole) for whole in before) for left in after)


@given(estates(), st.tuples(st.integers(0, 22), st.integers(0, 2), st.integers(1, 3)))
def test_another_backup_shortens_nothing(build: Build, estate: Estate, extra: tuple[int, int, int]) -> None:
    """Every interval that was there lies inside one that is there now."""
    segments, backups, *switches = estate
    before = windows(build, estate)

    after = windows(build, (segments, (*backups, extra), *switches))  # type: ignore[arg-type]

    assert all(any(inside(old, new) for new in after) for old in before)


@given(estates())
def test_every_hole_in_a_backups_wal_is_a_gap(build: Build, estate: Estate) -> None:
    """A done backup that is not whole for lack of WAL always has a gap to show for it."""
    observation = observe(build, estate)
    broken = [verdict for verdict in assess_backups(observation) if verdict.restorable is False]

    assert not broken or gaps(observation) or all("left" in verdict.reason for verdict in broken)
