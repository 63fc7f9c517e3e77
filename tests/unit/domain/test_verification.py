"""The verdict on backups: what the engine examined, the WAL, and what a backup builds on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgwrap.domain.facts import ArchiveContents, Backup, Observation
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.domain.verification import Examination, Examined, VerifiedBackup, Wholeness, verified, worst_of
from pgwrap.domain.wal import ranges_of_names

SIZE = 16 << 20
SEGMENT = "000000010000000000000003"
INSTANCE = EngineInstance(name="one", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/one.conf")
ORDERS = Cluster(name="orders", engine=INSTANCE, engine_name="orders")


def backup(id_: str, **changes: Any) -> Backup:
    """A backup that is done, and needs one segment."""
    values: dict[str, Any] = {
        "engine": "pgbackrest", "engine_name": "orders", "id": id_, "repository": "local", "archive": "15-1",
        "type": "full", "state": "done", "wal_start": SEGMENT, "wal_stop": SEGMENT, "timeline": 1,
    }  # fmt: skip
    return Backup(**(values | changes))


def judged(
    backups: tuple[Backup, ...], *reports: Examined, error: str | None = None, segment: str = SEGMENT
) -> dict[str, VerifiedBackup]:
    """The verdict on all of them, by id."""
    archive = ArchiveContents(
        repository="local", archive="15-1", segment_size=SIZE, ranges=ranges_of_names((segment,), SIZE)
    )
    observation = Observation(engine="pgbackrest", engine_name="orders", backups=backups, archives=(archive,))
    examination = Examination(repository="local", reports=reports, error=error)
    answer = verified(ORDERS, observation, backups, (examination,))
    assert answer.state == worst_of(
        (*(one.state for one in answer.backups), *(one.state for one in answer.repositories if one.state))
    )
    return {one.id: one for one in answer.backups}


def whole(id_: str, state: Wholeness = "whole") -> Examined:
    """What the engine says of one backup."""
    return Examined(backup=id_, state=state, checked=9, valid=9)


def test_a_backup_that_was_examined_and_has_its_wal_is_whole() -> None:
    """And only that."""
    found = judged((backup("A"),), whole("A"))["A"]
    assert (found.state, found.files_checked, found.wal_complete, found.problems) == ("whole", 9, True, ())


@pytest.mark.parametrize(
    ("changes", "segment", "state"),
    [
        ({}, "000000010000000000000004", "damaged"),
        ({"wal_start": None}, SEGMENT, "unknown"),
        ({"page_errors": True}, SEGMENT, "damaged"),
        ({"state": "waiting_for_wal"}, SEGMENT, "unknown"),
        ({"archive": "other"}, SEGMENT, "unknown"),
    ],
)
def test_whole_files_are_not_enough(changes: dict[str, Any], segment: str, state: str) -> None:
    """WAL that is missing, or not known, or pages that were damaged before."""
    found = judged((backup("A", **changes),), whole("A"), segment=segment)["A"]
    assert (found.state, len(found.problems)) == (state, 1)


def test_what_was_not_examined_is_unknown() -> None:
    """Silently left out, or the engine failed."""
    assert judged((backup("A"),))["A"].problems == ("the engine did not examine it",)
    assert judged((backup("A"),), error="no space")["A"].problems == ("no space",)


def test_damage_reaches_what_builds_on_it() -> None:
    """In the catalog's order."""
    chain = (backup("A"), backup("B", needs=("A",)), backup("C"))
    found = judged(chain, whole("A", "damaged"), whole("B"), whole("C"))
    assert {id_: one.state for id_, one in found.items()} == {"A": "damaged", "B": "damaged", "C": "whole"}
    assert found["B"].problems == ("it builds on A, which is damaged",)


def test_no_backup_is_nothing_to_be_calm_about() -> None:
    """Unknown, never whole."""
    observation = Observation(engine="pgbackrest", engine_name="orders")
    answer = verified(ORDERS, observation, (), ())
    assert (answer.state, answer.problems) == ("unknown", ("there is no backup to verify",))


def test_a_damaged_archive_is_the_clusters_damage() -> None:
    """Though every backup is whole by itself; an engine that reads no WAL says nothing of it."""
    observation = Observation(engine="pgbackrest", engine_name="orders", backups=(backup("A"),))
    archive = Examined(backup=None, state="damaged", checked=4, valid=3, problems=("invalid checksum x",))
    answer = verified(ORDERS, observation, observation.backups, (Examination(repository="local", reports=(archive,)),))
    assert answer.state == "damaged"
    assert (answer.repositories[0].wal_checked, answer.repositories[0].wal_valid) == (4, 3)
    silent = verified(ORDERS, observation, observation.backups, (Examination(repository="local"),))
    assert (silent.repositories[0].state, silent.repositories[0].wal_checked) == (None, None)


def test_what_failed_or_runs_is_left_out_and_told() -> None:
    """It is no backup, or none yet."""
    observation = Observation(
        engine="pgbackrest", engine_name="orders", backups=(replace(backup("A"), state="failed"),)
    )
    assert verified(ORDERS, observation, (), ()).notes == ("A was not verified: it is failed",)
