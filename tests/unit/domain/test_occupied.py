"""Whether a stanza or server is another cluster's already."""

from __future__ import annotations

from typing import Any

import pytest

from pgwrap.domain.facts import ArchiveContents, Backup, Observation
from pgwrap.domain.occupied import occupied

OWN, OTHER = "1", "2"


def backup(system: str | None, place: str = "orders") -> Backup:
    """One of a system, in a place."""
    return Backup(
        engine="pgbackrest",
        engine_name=place,
        id="b",
        repository="main",
        type="full",
        state="done",
        system_identifier=system,
    )


def archive(system: str, place: str | None = None) -> ArchiveContents:
    """The WAL of a system."""
    return ArchiveContents(repository="main", archive="15-1", engine_name=place, system_identifier=system)


CASES: dict[str, tuple[dict[str, Any], list[tuple[str, tuple[str, ...]]]]] = {
    "nothing there": ({}, []),
    "its own": ({"backups": (backup(OWN),), "archives": (archive(OWN),)}, []),
    "its own, before an upgrade another": ({"backups": (backup(OTHER), backup(OWN))}, []),
    "another's backup": ({"backups": (backup(OTHER), backup(None))}, [("orders", (OTHER,))]),
    "another's WAL alone": ({"archives": (archive(OTHER),)}, [("orders", (OTHER,))]),
    "another's history": (
        {"backups": (backup(OWN), backup(OTHER, "old")), "archives": (archive(OTHER, "old"),)},
        [("old", (OTHER,))],
    ),
    "Barman names the server that it is connected to": (
        {"engine": "barman", "archives": (archive(OWN),), "backups": (backup(OTHER),)},
        [("orders", (OTHER,))],
    ),
    "not read": ({"read": False, "backups": (backup(OTHER),)}, []),
}


@pytest.mark.parametrize(("seen", "found"), CASES.values(), ids=CASES)
def test_another_cluster_in_the_place_is_seen(seen: dict[str, Any], found: list[tuple[str, tuple[str, ...]]]) -> None:
    """By what lies there."""
    values: dict[str, Any] = {"engine": "pgbackrest", "engine_name": "orders"} | seen
    assert list(occupied(Observation(**values), OWN)) == found


def test_nobody_knows_without_an_identifier() -> None:
    """Then nothing is said."""
    seen = Observation(engine="pgbackrest", engine_name="orders", backups=(backup(OTHER),))
    assert list(occupied(seen, None)) == []
