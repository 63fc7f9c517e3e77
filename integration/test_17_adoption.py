"""Engines that were configured by hand and run: imported, applied, and archiving and backups go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.conftest import PAIR, QUIET_RPO
from integration.lab.answers import cluster, codes, status
from integration.lab.estate import BILLING, ORDERS, Estate, estate
from integration.lab.machine import Machine
from integration.lab.native import wait_for_backups, wait_for_stream
from integration.lab.room import room

PGBACKREST = """\
# the night team's settings
[global]
repo-path={room}/pgbackrest
retention-full=7
repo1-retention-full-type=time
start-fast=y
lock-path={room}/lock
log-path={room}/log

[orders]
db-path={data}
pg1-socket-path={sockets}
pg1-port={port}
"""
BARMAN = """\
[barman]
barman_home = {room}/barman
barman_user = {user}
log_file = {room}/log/barman.log
configuration_files_directory = {room}/etc/barman.d
"""
BARMAN_SERVER = """\
[billing]
conninfo = host={sockets} port={port} user=barman dbname=postgres
streaming_conninfo = host={sockets} port={port} user=streaming_barman
backup_method = postgres
streaming_archiver = on
slot_name = barman
create_slot = auto
immediate_checkpoint = true
retention_policy = RECOVERY WINDOW OF 1 WEEKS
path_prefix = {binaries}
"""


@pytest.fixture(scope="module")
def by_hand(machine: Machine) -> Iterator[Estate]:
    """Both engines run, with a backup each, and pgwrap had no part in it; nothing has a spec."""
    for engine in PAIR.values():
        if getattr(machine, engine) is None:
            pytest.skip(f"{engine} is not installed")
    with room(machine, "adopt") as place, estate(place, PAIR, rpo=QUIET_RPO) as made:
        orders, billing = made.servers[ORDERS], made.servers[BILLING]
        values = {"room": place.path, "user": machine.user, "binaries": machine.postgres_bin}
        text = PGBACKREST.format(data=orders.data, sockets=orders.sockets, port=orders.port, **values)
        config = place.write("etc/pgbackrest/pgbackrest.conf", text)
        place.write("etc/barman.conf", BARMAN.format(**values))
        server = BARMAN_SERVER.format(sockets=billing.sockets, port=billing.port, **values)
        place.write("etc/barman.d/servers.conf", server)
        program = made.pgbackrest.room.machine.engine("pgbackrest").program
        command = f"{program} --config={config} --stanza=orders --log-level-console=off archive-push %p"
        orders.configure({"archive_mode": "on", "archive_command": command, "archive_timeout": "600"})
        orders.restart()
        for name in PAIR:
            made.start_engine(name)
            made.commit_and_archive(name)
        made.pgbackrest.run("--stanza=orders", "--type=full", "backup")
        made.barman.run("backup", BILLING)
        made.commit_and_archive(BILLING)
        wait_for_backups(made.barman, BILLING)
        made.spec.unlink()
        yield made


def backups(made: Estate, name: str) -> set[str]:
    """The ids of a cluster's backups."""
    return {backup["id"] for backup in cluster(status(made), name)["backups"]}


def test_0_both_are_imported_into_one_spec(by_hand: Estate) -> None:
    """All options are equal; what no native file can say is added by hand: where state is kept, and promises."""
    directory = by_hand.room.path / "etc"
    files = [directory / name for name in ("pgbackrest/pgbackrest.conf", "barman.conf", "barman.d/servers.conf")]
    ran = by_hand.pgwrap("import", *map(str, files), "--write", str(by_hand.spec))
    assert "options, all equal" in ran.stderr
    imported = by_hand.spec.read_text()
    assert "the night team's settings" in imported
    more = f"state: {by_hand.room.path}/state\n"
    by_hand.spec.write_text(imported + more)
    by_hand.pgwrap("validate")
    assert {cluster["name"] for cluster in status(by_hand)["result"]["clusters"]} == {ORDERS, BILLING}


def test_1_the_files_are_nobodys_to_replace(by_hand: Estate) -> None:
    """Exit 8 names each of them, and nothing changes."""
    before = by_hand.room.path.joinpath("etc/pgbackrest/pgbackrest.conf").read_text()
    ran = by_hand.pgwrap("apply", "--yes", check=False)
    assert ran.exit_code == 8, ran.stdout + ran.stderr
    assert "pgbackrest.conf was not made by pgwrap" in ran.stderr
    assert by_hand.room.path.joinpath("etc/pgbackrest/pgbackrest.conf").read_text() == before


def test_2_taken_over_with_force_and_kept_beside(by_hand: Estate) -> None:
    """pgBackRest's file and Barman's two become pgwrap's three; a working archive_command stays as it is."""
    before = by_hand.servers[ORDERS].sql("show archive_command")
    known = {name: backups(by_hand, name) for name in PAIR}
    ran = by_hand.pgwrap("apply", "--yes", "--force", "--output", "json", check=False)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    kinds = {step["kind"] for step in json.loads(ran.stdout)["result"]["steps"]}
    assert "alter-system" not in kinds
    assert "run" not in kinds
    assert by_hand.servers[ORDERS].sql("show archive_command") == before
    directory = by_hand.room.path / "etc"
    assert sorted(path.name for path in (directory / "barman.d").iterdir()) == ["billing.conf", "servers.conf.old"]
    assert (directory / "pgbackrest/pgbackrest.conf.old").read_text().startswith("# the night team's settings")
    assert {name: backups(by_hand, name) for name in PAIR} == known


def test_3_nothing_differs_and_everything_goes_on(by_hand: Estate) -> None:
    """Diff is empty; both archive, and take a backup beside the old one."""
    ran = by_hand.pgwrap("diff", check=False)
    assert ran.exit_code == 0, ran.stdout
    known = {name: backups(by_hand, name) for name in PAIR}
    wait_for_stream(by_hand.servers[BILLING])
    for name in PAIR:
        by_hand.commit_and_archive(name)
        taken = by_hand.back_up(name)
        assert backups(by_hand, name) == known[name] | {taken}
        assert "config-drift" not in codes(cluster(status(by_hand), name), least="ok")


def test_4_one_edited_line_is_named(by_hand: Estate) -> None:
    """Exit 1, with the line and what it means."""
    path = by_hand.room.path / "etc/pgbackrest/pgbackrest.conf"
    edited = path.read_text().replace("repo1-retention-full=7", "repo1-retention-full=3")
    path.write_text(edited)
    ran = by_hand.pgwrap("diff", check=False)
    assert ran.exit_code == 1
    assert "orders: repo1-retention-full: 3 → 7" in ran.stdout
    assert f"{path}:{line_of(path, 'repo1-retention-full=3')}" in ran.stdout
    assert "-repo1-retention-full=3" in ran.stdout
    assert "config-drift" in codes(cluster(status(by_hand), ORDERS))


def line_of(path: Path, text: str) -> int:
    """The number of the line that says something."""
    return path.read_text().splitlines().index(text) + 1
