"""PostgreSQL down, refusing, silent or a standby: its own finding, never a crash, and the backups are still told."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from integration.conftest import MakeEstate
from integration.lab.answers import cluster, codes, status
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.postgres import PostgresServer, describe_server


@pytest.fixture(scope="module")
def orders(make_estate: MakeEstate) -> Estate:
    """A pgBackRest cluster with one full backup, listening on loopback too."""
    made = make_estate({ORDERS: "pgbackrest"})
    made.back_up(ORDERS)
    made.servers[ORDERS].configure({"listen_addresses": "127.0.0.1"})
    made.servers[ORDERS].restart()
    return made


@pytest.fixture
def spec_with(orders: Estate) -> Iterator[Callable[[str], None]]:
    """Rewrites how the spec reaches PostgreSQL, for one test."""
    text = orders.spec.read_text()

    def rewrite(connection: str) -> None:
        sockets = _connection(orders.servers[ORDERS])
        assert sockets in text
        orders.spec.write_text(text.replace(sockets, connection))

    yield rewrite
    orders.spec.write_text(text)


def test_wrong_password_is_a_finding(orders: Estate, spec_with: Callable[[str], None]) -> None:
    """PostgreSQL says no: postgres-unreachable with its words, and never the password."""
    orders.servers[ORDERS].sql("create role watcher login password 'right'")
    secret = orders.room.path / "state" / "password"
    secret.write_text("wrong-horse-battery\n")
    port = orders.servers[ORDERS].port
    spec_with(f"host: 127.0.0.1\n      port: {port}\n      password: {{file: {secret}}}")
    orders.spec.write_text(orders.spec.read_text().replace("user: postgres", "user: watcher"))
    ran = orders.pgwrap("status", "--output", "json", check=False)
    entry = cluster(status(orders), ORDERS)
    assert "postgres-unreachable" in codes(entry)
    assert entry["backups"]
    assert entry["postgres"]["reachable"] is False
    assert "wrong-horse-battery" not in ran.stdout + ran.stderr


def test_right_password_is_reached(orders: Estate, spec_with: Callable[[str], None]) -> None:
    """With the right password over loopback the server is asked."""
    secret = orders.room.path / "state" / "password"
    secret.write_text("right\n")
    spec_with(f"host: 127.0.0.1\n      port: {orders.servers[ORDERS].port}\n      password: {{file: {secret}}}")
    orders.spec.write_text(orders.spec.read_text().replace("user: postgres", "user: watcher"))
    assert cluster(status(orders), ORDERS)["postgres"]["reachable"] is True


def test_silent_server_costs_its_deadline_only(orders: Estate, spec_with: Callable[[str], None]) -> None:
    """A port that is open and never answers is unreachable after five seconds; the backups are told all the same."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        spec_with(f"host: 127.0.0.1\n      port: {listener.getsockname()[1]}")
        ran = orders.pgwrap("status", "--output", "json", check=False)
        assert ran.seconds < 15
        entry = cluster(status(orders), ORDERS)
    assert "postgres-unreachable" in codes(entry)
    assert entry["backups"]


def test_archiver_that_fails_is_seen(orders: Estate) -> None:
    """An archive_command that cannot work is a finding from PostgreSQL's own counters."""
    server = orders.servers[ORDERS]
    server.configure({"archive_command": "false"})
    server.restart()
    server.switch_wal()
    server.wait_for("select failed_count > 0 from pg_stat_archiver")
    found = codes(cluster(status(orders), ORDERS))
    assert "archiver-failing" in found
    assert "archive-command-differs" in found
    orders.apply_settings(ORDERS)
    orders.commit_and_archive(ORDERS)


def test_no_postgres_asks_no_server(orders: Estate) -> None:
    """With --no-postgres the server is not asked: null, not a guess."""
    assert cluster(status(orders, "--no-postgres"), ORDERS)["postgres"] is None


def test_standby_is_recognised(orders: Estate) -> None:
    """A standby answers in_recovery, and is no reason for an error."""
    primary = orders.servers[ORDERS]
    standby = describe_server(orders.room, "standby")
    orders.room.run(
        *(primary.program("pg_basebackup"), "--pgdata", str(standby.data), "--write-recovery-conf", "--no-sync"),
        *(
            "--checkpoint",
            "fast",
            "--host",
            str(primary.sockets),
            "--port",
            str(primary.port),
            "--username",
            "postgres",
        ),
    )
    standby.prepare()
    standby.start()
    text = orders.spec.read_text()
    try:
        mine, other = (_connection(one) for one in (primary, standby))
        orders.spec.write_text(text.replace(mine, other).replace(str(primary.data), str(standby.data)))
        entry = cluster(status(orders), ORDERS)
        assert entry["postgres"]["in_recovery"] is True
        assert "postgres-unreachable" not in codes(entry)
    finally:
        orders.spec.write_text(text)
        standby.stop("immediate")


def test_postgres_down_is_a_finding(orders: Estate) -> None:
    """A stopped server is postgres-unreachable; the backups and what they can restore are still told."""
    orders.servers[ORDERS].stop()
    entry = cluster(status(orders), ORDERS)
    assert "postgres-unreachable" in codes(entry)
    assert entry["severity"] != "ok"
    assert entry["backups"]
    assert entry["recoverable"]


def test_barman_with_postgres_down(make_estate: MakeEstate) -> None:
    """Barman's catalog is told when its server is down; a backup then fails with exit 5 and Barman's words."""
    made = make_estate({BILLING: "barman"})
    made.back_up(BILLING)
    made.servers[BILLING].stop("immediate")
    entry = cluster(status(made), BILLING)
    assert "postgres-unreachable" in codes(entry)
    assert entry["backups"]
    ran = made.pgwrap("backup", BILLING, check=False)
    assert ran.exit_code == 5
    assert ran.stderr.strip()


def _connection(server: PostgresServer) -> str:
    """How the spec says to reach a server."""
    return f"socket_directory: {server.sockets}\n      port: {server.port}"
