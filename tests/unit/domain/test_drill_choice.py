"""What a drill takes: the right backup and moment, and in time every backup and every kind of moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.drill import COVERED, Aim
from pgwrap.domain.drill_choice import Candidate, Choice, Nothing, Tried, Wish, choose, least_tested
from pgwrap.domain.facts import Backup, Observation
from pgwrap.domain.wal import Segment, Timeline

START = datetime(2026, 11, 1, tzinfo=UTC)
TL1 = Timeline(1)
NOTHING_SEEN = Observation(engine="pgbackrest", engine_name="orders")


def candidate(number: int, repository: str = "local", window: timedelta = timedelta(days=3)) -> Candidate:
    """The backup of a day, with WAL for `window` after it."""
    stop = START + timedelta(days=number)
    backup = Backup(
        engine="pgbackrest", engine_name="orders", id=f"b{number}", repository=repository, type="full", state="done",
        started_at=stop - timedelta(hours=1), stopped_at=stop,
    )  # fmt: skip
    return Candidate(
        backup=backup, timeline=TL1, segment_size=16 << 20, last=Segment(TL1, 100), open_ended=True, stop=stop,
        to=stop + window,
    )  # fmt: skip


NEWEST_FIRST = (candidate(9), candidate(5), candidate(1))


def chosen(wish: Wish, chance: float = 0.5, found: tuple[Candidate, ...] = NEWEST_FIRST) -> Choice:
    """The choice that must be there."""
    choice = choose(found, NOTHING_SEEN, wish, chance)
    assert isinstance(choice, Choice)
    return choice


def test_latest_takes_the_newest_backup_and_all_wal() -> None:
    """No target: PostgreSQL replays what there is."""
    choice = chosen(Wish())
    assert ("b9", None) == (choice.candidate.backup.id, choice.target)


def test_how_far_wal_is_known_to_reach_matters_for_moments_alone() -> None:
    """Where it does not, no WAL is read for the choice."""
    known, unknown = (candidate(9, window=timedelta(days=days)) for days in (3, 0))
    for aim in (Aim.NEWEST, Aim.OLDEST):
        assert not Wish(aim=aim).is_a_moment
        read, unread = (chosen(Wish(aim=aim), found=(one,)) for one in (known, unknown))
        assert (read.candidate.backup, read.target, read.reason) == (unread.candidate.backup, None, unread.reason)
    assert all(Wish(aim=aim).is_a_moment for aim in (Aim.MIDDLE, Aim.RANDOM))
    assert Wish(aim=Aim.MOMENT, moment=START).is_a_moment


def test_a_moment_takes_the_newest_backup_before_it() -> None:
    """And recovers to that moment."""
    moment = START + timedelta(days=5, hours=7)
    choice = chosen(Wish(aim=Aim.MOMENT, moment=moment))
    assert ("b5", moment) == (choice.candidate.backup.id, choice.target)


def test_an_expired_moment_names_those_that_can_be_restored() -> None:
    """Before the first backup there is nothing."""
    choice = choose(NEWEST_FIRST, NOTHING_SEEN, Wish(aim=Aim.MOMENT, moment=START), 0.5)
    assert isinstance(choice, Nothing)
    assert "2026-11-02 00:00:00Z to 2026-11-05 00:00:00Z" in choice.reason


def test_a_named_backup_or_repository_is_taken() -> None:
    """The newest that fits all that was named."""
    found = (candidate(9), candidate(8, "offsite"), candidate(5))
    assert "b5" == chosen(Wish(backup="b5"), found=found).candidate.backup.id
    assert "b8" == chosen(Wish(repository="offsite"), found=found).candidate.backup.id
    assert isinstance(choose(found, NOTHING_SEEN, Wish(backup="b8", repository="local"), 0.5), Nothing)


def test_the_middle_needs_a_window() -> None:
    """A backup without a commit after it has no middle; an older one has."""
    found = (candidate(9, window=timedelta(0)), candidate(5))
    choice = chosen(Wish(aim=Aim.MIDDLE), found=found)
    assert "b5" == choice.candidate.backup.id
    assert choice.target is not None
    assert abs(choice.target - (found[1].stop + timedelta(days=1.5))) < timedelta(seconds=1)


@given(st.floats(0, 1, exclude_max=True))
def test_a_random_moment_lies_in_its_backup_s_window(chance: float) -> None:
    """Whatever chance says."""
    choice = chosen(Wish(aim=Aim.RANDOM), chance)
    assert choice.target is not None
    assert choice.candidate.stop < choice.target <= choice.candidate.to


def drills(found: tuple[Candidate, ...], count: int) -> list[tuple[str | None, str, Aim]]:
    """What `count` drills in turn take."""
    history: list[Tried] = []
    for number in range(count):
        choice = least_tested(found, history, 0.3)
        assert isinstance(choice, Choice)
        backup = choice.candidate.backup
        at = START + timedelta(days=100 + number)
        history.append(Tried(backup=backup.id, repository=backup.repository, aim=choice.aim, at=at))
    return [(tried.repository, tried.backup or "", tried.aim) for tried in history]


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["local", "offsite"]), st.sampled_from([0, 60, 86400])),
        min_size=1, max_size=6, unique_by=lambda drawn: drawn[:2],
    )
)  # fmt: skip
def test_coverage_tries_everything_once_before_anything_twice(drawn: list[tuple[int, str, int]]) -> None:
    """Backup by repository by target, as far as a backup has the target."""
    found = tuple(candidate(number, place, timedelta(seconds=window)) for number, place, window in drawn)
    all_there_are = {(one.backup.repository, one.backup.id, aim) for one in found for aim in COVERED if one.takes(aim)}
    rounds = drills(found, 2 * len(all_there_are))
    assert all_there_are == set(rounds[: len(all_there_are)]) == set(rounds[len(all_there_are) :])


def test_coverage_sees_every_aim_and_several_backups_soon() -> None:
    """Four drills of three backups: each aim once, each backup."""
    rounds = drills(NEWEST_FIRST, 4)
    assert set(COVERED) == {aim for _, _, aim in rounds}
    assert {"b9", "b5", "b1"} == {backup for _, backup, _ in rounds}
    assert ("local", "b9", Aim.NEWEST) == rounds[0]


def test_without_a_backup_coverage_says_so() -> None:
    """Nothing is chosen."""
    assert isinstance(least_tested((), (), 0.5), Nothing)
