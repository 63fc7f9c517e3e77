"""Throwaway PostgreSQL clusters on sockets of their own; backups are the engines' business, not this module's."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from integration.lab.process import ProgramFailed, Ran
from integration.lab.room import Room

SUPERUSER = "postgres"
SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "30",
    "max_wal_size": "256MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
}
"""A throwaway cluster has nothing to lose in a power cut."""

# A socket in a directory that only its user may enter needs no password; loopback always asks for one.
HBA = """\
local all         all              trust
local replication all              trust
host  all         all 127.0.0.1/32 scram-sha-256
host  replication all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """One cluster: its data directory, its socket and its port."""

    room: Room
    name: str
    port: int
    data: Path
    sockets: Path
    listens: bool = field(default=False)

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.room.path / f"{self.name}.log"

    def program(self, name: str) -> str:
        """The path of a program of this PostgreSQL."""
        return str(self.room.machine.postgres_bin / name)

    def initialise(self, segment_megabytes: int = 16) -> None:
        """Make the cluster, with data checksums, and its configuration."""
        self.room.run(
            *(self.program("initdb"), "--pgdata", str(self.data), "--username", SUPERUSER, "--no-sync"),
            *("--encoding", "UTF8", "--locale", "C", "--auth", "trust", "--data-checksums"),
            f"--wal-segsize={segment_megabytes}",
        )
        self.prepare()

    def prepare(self) -> None:
        """Write what makes a data directory (fresh or restored) this server's own."""
        (self.data / "pg_hba.conf").write_text(HBA)
        self.configure(
            {
                **SETTINGS,
                "port": str(self.port),
                "unix_socket_directories": str(self.sockets),
                "listen_addresses": "127.0.0.1" if self.listens else "",
            }
        )

    def configure(self, settings: Mapping[str, str]) -> None:
        """Append settings to postgresql.conf; later ones win, a restart or reload makes them count."""
        lines = (f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(lines)

    def start(self, deadline: float = 60.0) -> None:
        """Start the server and wait until it answers; ProgramFailed with its log otherwise."""
        seconds = str(int(deadline))
        ran = self._control("start", "--wait", "--timeout", seconds, "--log", str(self.log), check=False)
        if ran.exit_code != 0:
            raise ProgramFailed(ran, f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server if it runs."""
        if (self.data / "postmaster.pid").exists():
            self._control("stop", "--wait", "--mode", mode)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def promote(self) -> None:
        """End a standby's recovery: a new timeline begins."""
        self._control("promote", "--wait")

    def sql(self, text: str, *, user: str = SUPERUSER, database: str = "postgres") -> str:
        """What psql prints for `text`, without headers; an SQL error is ProgramFailed."""
        return self.room.run(
            *(self.program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
            *("--set", "ON_ERROR_STOP=1", "--host", str(self.sockets), "--port", str(self.port)),
            *("--username", user, "--dbname", database, "--command", text),
            deadline=60,
        ).stdout.strip()

    def switch_wal(self) -> str:
        """Commit something, close the current WAL segment, and say its name.

        The commit afterwards matters on an idle cluster: a WAL receiver closes a segment only when the next one begins,
        and without it that is up to 15 seconds later (`LOG_SNAPSHOT_INTERVAL_MS` in PostgreSQL's bgwriter.c).
        """
        self.sql("create table if not exists heartbeat (at timestamptz)")
        self.sql("insert into heartbeat values (now())")
        segment = self.sql("select pg_walfile_name(pg_switch_wal())")
        self.sql("insert into heartbeat values (now())")
        return segment

    def wait_archived(self, segment: str, deadline: float = 30.0) -> None:
        """Wait until archive_command has taken `segment` or a later one; TimeoutError otherwise."""
        self.wait_for(f"select coalesce(max(last_archived_wal) >= '{segment}', false) from pg_stat_archiver", deadline)

    def wait_for(self, query: str, deadline: float = 30.0) -> None:
        """Wait until a query that yields a boolean yields true; TimeoutError otherwise."""
        limit = time.monotonic() + deadline
        while self.sql(query) != "t":
            if time.monotonic() > limit:
                said = self.log.read_text()[-2000:] if self.log.exists() else "(no log)"
                raise TimeoutError(f"{self.name}: still not true after {deadline:.0f} s: {query}\n{said}")
            time.sleep(0.05)

    def _control(self, *arguments: str, check: bool = True) -> Ran:
        return self.room.run(self.program("pg_ctl"), "--pgdata", str(self.data), *arguments, check=check)


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def describe_server(room: Room, name: str, *, listens: bool = False) -> PostgresServer:
    """A server that has a place and a port but no data yet."""
    port = free_port()
    sockets = room.directory("run", str(port), mode=0o700)  # no name here: Barman takes no space in a connection string
    return PostgresServer(
        room=room, name=name, port=port, data=room.path / "data" / name, sockets=sockets, listens=listens
    )


@contextmanager
def postgres_server(
    room: Room,
    name: str,
    settings: Mapping[str, str] | None = None,
    *,
    listens: bool = False,
    segment_megabytes: int = 16,
) -> Iterator[PostgresServer]:
    """A running cluster, stopped on the way out."""
    server = describe_server(room, name, listens=listens)
    room.directory("data")
    server.initialise(segment_megabytes)
    server.configure(settings or {})
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")
