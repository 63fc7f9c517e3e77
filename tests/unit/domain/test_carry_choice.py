"""Which backups of Barman's go into pgBackRest, and why others don't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pgwrap.domain.carry_choice import MARGIN, decide, differing, own_wal, room_needed
from pgwrap.domain.carrying import Bases
from pgwrap.domain.facts import Backup, Observation
from pgwrap.domain.gaps import gaps
from pgwrap.domain.wal_file import WalFile

if TYPE_CHECKING:
    from tests.unit.domain.conftest import Build

GB = 1 << 30
ALL = Bases()


def source(build: Build, *backups: Backup, first: int = 1, last: int = 20) -> Observation:
    """What Barman has."""
    archive = build.archive(build.span(first, last))
    return build.observation(*backups, archives=(archive,))


def reasons(observation: Observation, bases: Bases = ALL, **held: str) -> dict[str, tuple[bool, bool, str]]:
    """Carried, already, and the reason, by id."""
    found = decide(observation, held, bases, gaps(observation), "7")
    return {one.backup.id: (one.carried, one.already, one.reason) for one in found}


def test_a_whole_backup_goes(build: Build) -> None:
    """With what its data takes, where the engine tells."""
    observation = source(build, build.backup(2, cluster_bytes=GB))
    (one,) = decide(observation, {}, Bases(), (), "7")
    assert (one.carried, one.waits, one.reason, one.bytes) == (True, True, "", GB)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"state": "failed", "error": "no space"}, "no space"),
        ({"state": "waiting_for_wal"}, "waiting for its WAL"),
        ({"state": "running"}, "running"),
        ({"type": "snapshot"}, "snapshot"),
        ({"system_identifier": "8"}, "another cluster"),
        ({"type": "incremental", "needs": ("gone",)}, "gone"),
    ],
)
def test_what_cannot_go_stays_with_its_reason(build: Build, changes: dict[str, object], word: str) -> None:
    """And holds nothing else back."""
    found = reasons(source(build, build.backup(2, **changes), build.backup(5)))
    assert found["b5"] == (True, False, "")
    carried, _, reason = found["b2"]
    assert (carried, word in reason) == (False, True), reason


def test_wal_of_its_own_is_needed_and_no_other(build: Build) -> None:
    """A gap elsewhere stops nothing; one amid the backup's own WAL does."""
    archive = build.archive(build.span(1, 2), build.span(4, 9))
    observation = build.observation(build.backup(2, 4), build.backup(1), build.backup(6), archives=(archive,))
    found = reasons(observation)
    assert [found[name][0] for name in ("b1", "b2", "b6")] == [True, False, True]
    assert build.name(3) in found["b2"][2]


def test_what_is_there_is_not_carried_again(build: Build) -> None:
    """Not even where it could not be any more, or would not be chosen."""
    observation = source(build, build.backup(2, state="failed"), build.backup(5))
    found = reasons(observation, Bases(kind="oldest"), b2="20261126-121216F", b5="20261126-121219F")
    assert found == {
        "b2": (True, True, "carried before, as 20261126-121216F"),
        "b5": (True, True, "carried before, as 20261126-121219F"),
    }


def test_fewer_bases_are_said_to_be_left_out(build: Build) -> None:
    """The oldest stays."""
    found = reasons(source(build, build.backup(2), build.backup(5)), Bases(kind="oldest"))
    assert found["b2"] == (True, False, "")
    assert found["b5"][0] is False
    assert "the oldest alone is wanted" in found["b5"][2]


def test_room_is_counted_with_its_wal_and_what_is_unpacked_beside(build: Build) -> None:
    """A packed size alone is taken for a quarter of what it unpacks to."""
    told, packed = build.backup(2, 3, cluster_bytes=20 * GB), build.backup(2, copied_bytes=5 * GB)
    assert room_needed(told, build.size, staged=False) == 21 * GB + 2 * build.size + MARGIN
    assert room_needed(told, build.size, staged=True) == 41 * GB + 2 * build.size + MARGIN
    assert room_needed(packed, build.size, staged=True) == 41 * GB + build.size + MARGIN


def test_recovery_is_fed_with_its_own_segments_and_the_histories(build: Build) -> None:
    """Of its own timeline, from its start to its stop."""
    names = [build.name(number) for number in range(1, 7)]
    names += [build.name(3, 2), f"{build.name(3)}.partial", "00000002.history"]
    files = [WalFile(name=name, path=name, bytes=0) for name in names]
    fed = [file.name for file in own_wal(build.backup(3, 4), files)]
    assert fed == [build.name(3), build.name(4), "00000002.history"]


def test_a_stanza_of_another_cluster_is_refused() -> None:
    """One that is not there yet is not, nor one whose present system is the source's."""
    found = tuple(differing({"history": ("8",), "live": (), "upgraded": ("7",)}, "7"))
    assert len(found) == 1
    assert "history" in found[0]


def test_what_is_left_behind_is_not_the_oldest(build: Build) -> None:
    """The next one is carried in its stead; what was carried before stays."""
    observation = source(build, build.backup(2), build.backup(5), build.backup(8))
    ids = [one.id for one in observation.backups]
    found = decide(observation, {}, Bases(kind="oldest"), (), "7", ids[:1])
    assert [one.carried for one in found] == [False, True, False]
    assert found[0].reason == "left behind, as was asked"
    (kept, *_) = decide(observation, {ids[0]: "set"}, Bases(), (), "7", ids[:1])
    assert (kept.carried, kept.already) == (True, True)
