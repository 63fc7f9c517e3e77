"""Which backup is chosen for a target, and why none is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.choosing import Choice, Holding, Wanted, choose, commits_matter
from pgwrap.domain.facts import Observation, RepositoryState, Severity
from pgwrap.domain.recovery import CLOCK_TICK, ProofKey, recoverable, stretches
from pgwrap.domain.restoring import RecoveryTarget, Refusal, RefusalCode
from pgwrap.domain.wal import Ancestor, Ancestry, Lsn, Segment, Timeline, ranges_of
from pgwrap.errors import UsageError

if TYPE_CHECKING:
    from tests.unit.domain.conftest import Build

DEPTH = 100


def commits(observation: Observation, build: Build) -> Mapping[ProofKey, datetime | None]:
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


def holding(observation: Observation, build: Build, **changes: Any) -> Holding:
    """What an engine holds, every commit known."""
    values: dict[str, Any] = {
        "cluster": "orders", "observation": observation, "commits": commits(observation, build), "depth": DEPTH,
    }  # fmt: skip
    return Holding(**(values | changes))


def at(build: Build, minute: float, **changes: Any) -> RecoveryTarget:
    """A target time."""
    return RecoveryTarget(kind="time", time=build.at(minute), **changes)


def chosen(result: Choice | tuple[Refusal, ...]) -> Choice:
    """The choice that there is."""
    assert isinstance(result, Choice)
    return result


def refused(result: Choice | tuple[Refusal, ...]) -> Refusal:
    """The one refusal."""
    assert not isinstance(result, Choice)
    (refusal,) = result
    return refusal


def test_the_newest_backup_before_the_target_is_taken(build: Build) -> None:
    """Least WAL to replay."""
    backups = (build.backup(2), build.backup(6), build.backup(9))
    observation = build.observation(*backups, archives=(build.archive(build.span(1, 12)),))

    best = chosen(choose((holding(observation, build),), at(build, 8), Wanted(), build.at(20)))

    assert ("b6", True) == (best.candidate.backup.id, best.candidate.proven)
    assert best.reason == "the newest backup that ended before the target"
    assert best.wal.from_ == build.name(6)


@pytest.mark.parametrize(
    ("minute", "code", "words"),
    [
        (1, RefusalCode.TARGET_TOO_EARLY, "before"),
        (6, RefusalCode.TARGET_IN_GAP, "WAL is missing from the archive"),
        (15, RefusalCode.TARGET_NOT_ARCHIVED, "after"),
        (25, RefusalCode.FUTURE_TARGET, "in the future"),
    ],
)
def test_a_target_outside_is_refused_for_its_own_reason(
    build: Build, minute: float, code: RefusalCode, words: str
) -> None:
    """Before the oldest, in a gap, after the newest, not yet."""
    archive = build.archive(build.span(1, 4), build.span(6, 12))
    observation = build.observation(build.backup(2), build.backup(8), archives=(archive,))

    refusal = refused(choose((holding(observation, build),), at(build, minute), Wanted(), build.at(20)))

    assert (code, False) == (refusal.code, refusal.acceptable)
    assert words in refusal.message
    assert refusal.hint


def test_the_missing_segment_of_a_gap_is_named(build: Build) -> None:
    """And the nearest moments on both sides."""
    archive = build.archive(build.span(1, 4), build.span(6, 12))
    observation = build.observation(build.backup(2), build.backup(8), archives=(archive,))

    refusal = refused(choose((holding(observation, build),), at(build, 6), Wanted(), build.at(20)))

    assert build.name(5) in refusal.message
    assert "before it" in refusal.hint


def test_without_proofs_a_later_target_can_be_accepted(build: Build) -> None:
    """Unknown is not no: nothing read the WAL."""
    observation = build.observation(build.backup(2), archives=(build.archive(build.span(1, 9)),))

    best = chosen(choose((holding(observation, build, commits={}),), at(build, 8), Wanted(), build.at(20)))

    assert best.candidate.proven is False
    assert [(RefusalCode.TARGET_NOT_PROVEN, True)] == [(one.code, one.acceptable) for one in best.refusals]


def test_the_engine_that_reaches_the_target_is_taken(build: Build) -> None:
    """Whichever cluster of the spec was named, and the reason tells of the other."""
    own = build.observation(build.backup(2), archives=(build.archive(build.span(1, 5)),))
    other = build.barman(build.observation(build.backup(6), archives=(build.archive(build.span(1, 12)),)))
    both = (holding(own, build), holding(other, build, cluster="orders-barman", asked=False))

    late = chosen(choose(both, at(build, 8), Wanted(), build.at(20)))
    early = chosen(choose(both, at(build, 4), Wanted(), build.at(20)))
    newest = chosen(choose(both, RecoveryTarget(), Wanted(), build.at(20)))

    assert ("orders-barman", "orders") == (late.candidate.holding.cluster, early.candidate.holding.cluster)
    assert newest.candidate.holding.cluster == "orders-barman"
    assert f"b2, reaches no further than segment {build.name(5)}" in newest.reason


def test_of_equal_ones_the_cluster_that_was_named_wins(build: Build) -> None:
    """And says that the other is as good."""
    own = build.observation(build.backup(2), archives=(build.archive(build.span(1, 5)),))
    both = (
        holding(build.barman(own), build, cluster="other", asked=False),
        holding(own, build),
    )
    best = chosen(choose(both, at(build, 4), Wanted(), build.at(20)))
    assert best.candidate.holding.cluster == "orders"
    assert best.reason.endswith("the best of barman, b2, is as good, but of another cluster of the spec")


def test_two_repositories_are_one_choice(build: Build) -> None:
    """The second has the younger backup; asked for by name, the first gives its own."""
    repositories = tuple(
        RepositoryState(name=name, key=key, kind="posix", encryption=None, severity=Severity.OK)
        for key, name in enumerate(("local", "offsite"), start=1)
    )
    observation = build.observation(
        build.backup(2), build.backup(6, repository="offsite"),
        archives=(build.archive(build.span(1, 9)), build.archive(build.span(1, 9), repository="offsite")),
        repositories=repositories,
    )  # fmt: skip
    best = chosen(choose((holding(observation, build),), at(build, 8), Wanted(), build.at(20)))
    named = chosen(choose((holding(observation, build),), at(build, 8), Wanted(repository="local"), build.at(20)))
    assert ("offsite", "local") == (best.candidate.backup.repository, named.candidate.backup.repository)
    assert "the best of repository local, b2, is 4m older" in best.reason


def test_a_damaged_backup_gives_way_and_is_doubted_alone(build: Build) -> None:
    """Wrong page checksums restore with damage: an older backup is better, and none must be a choice."""
    whole, damaged = build.backup(2), build.backup(6, page_errors=True)
    archives = (build.archive(build.span(1, 12)),)
    both = holding(build.observation(whole, damaged, archives=archives), build)
    alone = holding(build.observation(damaged, archives=archives), build)

    assert chosen(choose((both,), at(build, 8), Wanted(), build.at(20))).candidate.backup.id == "b2"
    doubts = chosen(choose((alone,), at(build, 8), Wanted(), build.at(20))).refusals
    assert [RefusalCode.PAGE_ERRORS] == [one.code for one in doubts]


def test_an_lsn_needs_a_backup_that_ended_before_it(build: Build) -> None:
    """And a segment that is archived; the WAL to replay ends with it."""
    observation = build.observation(build.backup(2), build.backup(6), archives=(build.archive(build.span(1, 12)),))
    held = (holding(observation, build),)
    inside = RecoveryTarget(kind="lsn", lsn=Lsn(int(7.5 * build.size)))
    outside = RecoveryTarget(kind="lsn", lsn=Lsn(99 * build.size))

    best = chosen(choose(held, inside, Wanted(), build.at(20)))

    assert ("b6", build.name(7), True) == (best.candidate.backup.id, best.wal.to, best.wal.exact)
    assert refused(choose(held, outside, Wanted(), build.at(20))).code is RefusalCode.TARGET_IN_GAP


@pytest.mark.parametrize(
    "target", [RecoveryTarget(kind="xid", xid=1007), RecoveryTarget(kind="name", name="before the change")]
)
def test_what_cannot_be_known_beforehand_is_said(build: Build, target: RecoveryTarget) -> None:
    """Neither claimed nor refused; an older backup can be named."""
    observation = build.observation(build.backup(2), build.backup(6), archives=(build.archive(build.span(1, 9)),))
    best = chosen(choose((holding(observation, build),), target, Wanted(), build.at(20)))
    assert (None, "b6") == (best.candidate.proven, best.candidate.backup.id)
    assert "cannot be checked beforehand" in best.notes[0]
    assert best.notes[1] == "older backups: b2"


def test_a_named_backup_is_taken_or_refused(build: Build) -> None:
    """One that ended after the target cannot reach it; an unknown one is a mistake."""
    observation = build.observation(build.backup(2), build.backup(6), archives=(build.archive(build.span(1, 9)),))
    held = (holding(observation, build),)
    assert chosen(choose(held, at(build, 8), Wanted(backup="b2"), build.at(20))).reason == "named by --backup"
    late = refused(choose(held, at(build, 4), Wanted(backup="b6"), build.at(20)))
    assert late.code is RefusalCode.BACKUP_AFTER_TARGET
    with pytest.raises(UsageError, match="b7"):
        choose(held, at(build, 8), Wanted(backup="b7"), build.at(20))


def test_a_backup_that_cannot_be_restored_says_why(build: Build) -> None:
    """Its WAL is gone."""
    observation = build.observation(build.backup(2), build.backup(6), archives=(build.archive(build.span(5, 9)),))
    held = (holding(observation, build),)
    gone = refused(choose(held, RecoveryTarget(), Wanted(backup="b2"), build.at(20)))
    assert (RefusalCode.BACKUP_NOT_RESTORABLE, True) == (gone.code, "not in the archive" in gone.message)
    nothing = holding(build.observation(build.backup(2, state="failed")), build)
    assert refused(choose((nothing,), RecoveryTarget(), Wanted(), build.at(20))).code is RefusalCode.NO_BACKUP


def test_a_timeline_that_was_left_is_followed_to_its_end(build: Build) -> None:
    """Beyond the switch nothing of it can be restored; one that never was is unknown."""
    ancestry = Ancestry(Timeline(2), (Ancestor(Timeline(1), Lsn(int(6.5 * build.size))),))
    archive = build.archive(build.span(1, 5), build.span(6, 12, timeline=2), ancestries=(ancestry,))
    held = (holding(build.observation(build.backup(2), archives=(archive,)), build),)

    old = chosen(choose(held, at(build, 4, timeline=Timeline(1)), Wanted(), build.at(20)))
    new = chosen(choose(held, at(build, 4), Wanted(), build.at(20)))
    beyond = refused(choose(held, at(build, 9, timeline=Timeline(1)), Wanted(), build.at(20)))
    unknown = refused(choose(held, at(build, 9, timeline=Timeline(7)), Wanted(), build.at(20)))

    assert (1, 2) == (old.candidate.stretch.timeline, new.candidate.stretch.timeline)
    assert beyond.code is RefusalCode.TARGET_NOT_ARCHIVED
    assert (RefusalCode.TIMELINE_UNKNOWN, "1, 2" in unknown.hint) == (unknown.code, True)


@given(data=st.data())
def test_what_is_promised_is_what_status_promises(build: Build, data: st.DataObject) -> None:
    """A moment is chosen for exactly when it lies in an interval that status shows; the backup ended before it, and no
    younger one in the same place did."""
    starts = data.draw(st.lists(st.integers(1, 18), min_size=1, max_size=5, unique=True))
    archived = data.draw(st.sets(st.integers(1, 20), min_size=1))
    minute = data.draw(st.integers(1, 210)) / 10
    ranges = ranges_of(Segment(Timeline(1), number) for number in archived)
    backups = tuple(build.backup(start) for start in sorted(starts))
    observation = build.observation(*backups, archives=(build.archive(*ranges),))
    known = commits(observation, build)
    result = choose((holding(observation, build),), at(build, minute), Wanted(), build.at(100))

    time = build.at(minute)
    intervals = recoverable(stretches(observation), known)
    inside = [one for one in intervals if one.from_ <= time <= one.to]
    assert isinstance(result, Choice) == bool(inside)
    if isinstance(result, Choice):
        stop = result.candidate.stopped_at
        others = [one.stopped_at for one in result.candidate.stretch.backups if one.stopped_at is not None]
        surely = [one for one in others if (time - one).total_seconds() >= 1] or [one for one in others if one <= time]
        assert stop == max(surely)


@given(data=st.data())
def test_commits_that_do_not_matter_change_no_answer(build: Build, data: st.DataObject) -> None:
    """So they need not be read; for a time, and between two ways to the end, they are."""
    starts = data.draw(st.lists(st.integers(1, 18), min_size=1, max_size=4, unique=True))
    archived = data.draw(st.sets(st.integers(1, 20), min_size=1))
    ranges = ranges_of(Segment(Timeline(1), number) for number in archived)
    backups = tuple(build.backup(start) for start in sorted(starts))
    observation = build.observation(*backups, archives=(build.archive(*ranges),))
    held = (holding(observation, build),)
    target = data.draw(
        st.sampled_from(
            (
                RecoveryTarget(),
                RecoveryTarget(kind="immediate"),
                RecoveryTarget(kind="lsn", lsn=Lsn(int(7.5 * build.size))),
                RecoveryTarget(kind="xid", xid=1007),
                RecoveryTarget(kind="name", name="before the change"),
                at(build, 8),
            )
        )
    )
    wanted = Wanted(backup=data.draw(st.sampled_from((None, backups[0].id))))

    ways = len(stretches(observation))
    assert commits_matter(held, target) == (target.kind == "time" or (target.kind == "latest" and ways > 1))
    if not commits_matter(held, target):
        unread = (replace(held[0], commits={}),)
        assert told(choose(held, target, wanted, build.at(30))) == told(choose(unread, target, wanted, build.at(30)))


def told(result: Choice | tuple[Refusal, ...]) -> object:
    """All that an answer tells but what was read for it."""
    if not isinstance(result, Choice):
        return result
    return result.candidate.backup, result.candidate.proven, replace(result, candidate=None)  # type: ignore[arg-type]


def test_an_engine_that_holds_nothing_is_a_usage_error(build: Build) -> None:
    """With those that do."""
    observation = build.observation(build.backup(2), archives=(build.archive(build.span(1, 9)),))
    held = (holding(replace(observation), build),)
    with pytest.raises(UsageError, match="barman holds no backups"):
        choose(held, RecoveryTarget(), Wanted(engine="barman"), build.at(20))
    with pytest.raises(UsageError, match="no repository 'nowhere'"):
        choose(held, RecoveryTarget(), Wanted(repository="nowhere"), build.at(20))
