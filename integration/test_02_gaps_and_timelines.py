"""WAL that is missing, a second timeline and a stanza that outlived a major upgrade, all in real archives."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest

from integration.conftest import MakeEstate
from integration.lab.answers import cluster, codes, status
from integration.lab.estate import BILLING, ORDERS, Estate


@pytest.fixture(scope="module")
def orders(make_estate: MakeEstate) -> Estate:
    """A pgBackRest cluster with one full backup."""
    made = make_estate({ORDERS: "pgbackrest"})
    made.back_up(ORDERS)
    return made


@pytest.fixture(scope="module")
def billing(make_estate: MakeEstate) -> Estate:
    """A Barman cluster with one full backup."""
    made = make_estate({BILLING: "barman"})
    made.back_up(BILLING)
    return made


def _lose_segment(made: Estate, name: str, archive: str) -> str:
    """Archive three segments and remove the middle one behind the engine's back; its name."""
    segments = [made.commit_and_archive(name) for _ in range(3)]
    (file,) = (made.room.path / archive).glob(f"**/{segments[1]}*")
    file.unlink()
    return segments[1]


@pytest.mark.parametrize(
    ("name", "archive"), [(ORDERS, f"pgbackrest/archive/{ORDERS}"), (BILLING, f"barman/{BILLING}/wals")]
)
def test_lost_segment_splits_what_can_be_restored(request: pytest.FixtureRequest, name: str, archive: str) -> None:
    """The gap is named to the segment, is critical, and no interval reaches across it."""
    made: Estate = request.getfixturevalue(name)
    lost = _lose_segment(made, name, archive)
    entry = cluster(status(made), name)
    assert "wal-gap" in codes(entry)
    assert entry["severity"] == "critical"
    assert [(gap["from"], gap["to"], gap["segments"]) for gap in entry["wal"]["gaps"]] == [(lost, lost, 1)]
    assert [interval["open_ended"] for interval in entry["recoverable"]] == [False]


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_backup_after_the_gap_begins_a_second_interval(request: pytest.FixtureRequest, name: str) -> None:
    """What can be restored is two intervals: up to the gap, and from the new backup on."""
    made: Estate = request.getfixturevalue(name)
    made.back_up(name)
    entry = cluster(status(made), name)
    stops = [backup["stopped_at"] for backup in entry["backups"]]
    assert [interval["from"] for interval in entry["recoverable"]] == stops
    first, second = entry["recoverable"]
    assert datetime.fromisoformat(first["to"]) < datetime.fromisoformat(second["from"])
    assert (first["open_ended"], second["open_ended"]) == (False, True)


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_promotion_begins_timeline_two(request: pytest.FixtureRequest, name: str) -> None:
    """After a promotion the archive holds both timelines, and the way from a backup on 1 leads on along 2."""
    made: Estate = request.getfixturevalue(name)
    _promote(made, name)
    made.back_up(name)
    entry = cluster(status(made), name)
    assert {archive["timeline"] for archive in entry["wal"]["archives"]} == {1, 2}
    assert entry["backups"][-1]["timeline"] == 2
    assert entry["postgres"]["timeline"] == 2
    assert (entry["recoverable"][-1]["timeline"], entry["recoverable"][-1]["open_ended"]) == (2, True)
    assert entry["recoverable"][0]["from"] == entry["backups"][0]["stopped_at"]


def _promote(made: Estate, name: str) -> None:
    """The shortest way to a new timeline: come up as a standby without a primary, and be promoted."""
    server = made.servers[name]
    server.stop()
    signal = server.data / "standby.signal"
    signal.touch()
    server.room.give(signal)
    server.start()
    server.promote()
    if made.engines[name] == "barman":
        made.start_engine(name)


def test_no_backup_since_the_upgrade(orders: Estate) -> None:
    """`pgwrap apply` leaves an unknown cluster to a person; the old backups are listed, but none is of the new one."""
    _replace_cluster(orders)
    ran = orders.pgwrap("apply", ORDERS, "--yes", check=False)
    assert "another cluster runs there" in ran.stdout + ran.stderr
    orders.pgbackrest.run(f"--stanza={ORDERS}", "stanza-upgrade")
    orders.commit_and_archive(ORDERS)
    entry = cluster(status(orders), ORDERS)
    assert "no-backup-for-current-postgres-version" in codes(entry) or "system-identifier-mismatch" in codes(entry)
    assert entry["severity"] == "critical"
    assert entry["backups"]


def test_first_backup_after_the_upgrade_makes_it_ok_again(orders: Estate) -> None:
    """With a backup of the new cluster the verdict about the upgrade is gone."""
    orders.back_up(ORDERS)
    found = codes(cluster(status(orders), ORDERS))
    assert found & {"no-backup-for-current-postgres-version", "system-identifier-mismatch"} == set()


def _replace_cluster(made: Estate) -> None:
    """Put a new cluster at the old one's place, as pg_upgrade does: another system identifier, timeline 1."""
    server = made.servers[ORDERS]
    server.stop()
    shutil.rmtree(server.data)
    server.initialise()
    made.apply_settings(ORDERS)


def test_stanza_without_create_is_missing(make_estate: MakeEstate, orders: Estate) -> None:
    """A cluster whose stanza was never created is told so, with the command that creates it."""
    shutil.rmtree(Path(orders.room.path) / "pgbackrest")
    orders.room.directory("pgbackrest")
    entry = cluster(status(orders), ORDERS)
    assert "stanza-missing" in codes(entry)
    assert any("stanza-create" in finding["hint"] for finding in entry["findings"])
