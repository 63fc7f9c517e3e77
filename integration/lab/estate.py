"""Two clusters, one engine each, from one spec through the `pgwrap` command; it decides nothing that pgwrap decides."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from integration.lab.machine import CHECKOUT, Machine
from integration.lab.native import NativeBarman, NativePgbackrest, prepare_for_barman, wait_for_backups, wait_for_stream
from integration.lab.postgres import PostgresServer, postgres_server
from integration.lab.process import Ran, run
from integration.lab.room import Room

ORDERS = "orders"
BILLING = "billing"

HEAD = """\
version: 1
engines:
  pgbackrest:
    config: {room}/etc/pgbackrest/pgbackrest.conf
    log_directory: {room}/log
    lock_directory: {room}/lock
  barman:
    config: {room}/etc/barman.conf
    servers: {room}/etc/barman.d
    home: {room}/barman
    log_directory: {room}/log
    run_as: {user}
state: {room}/state
repositories:
  local: {{type: posix, path: {room}/pgbackrest}}
defaults:
  run_as: {user}
  retention: {{window: 7d}}
  objectives: {{rpo: {rpo}, backup_age: 26h}}
clusters:
"""
PGBACKREST_CLUSTER = """\
  {name}:
    engine: pgbackrest
    postgres:
      data_directory: {data}
      socket_directory: {sockets}
      port: {port}
      user: postgres
    repositories: [local]
    backup: {{checkpoint: fast}}
{more}"""
BARMAN_CLUSTER = """\
  {name}:
    engine: barman
    postgres:
      socket_directory: {sockets}
      port: {port}
      user: barman
      database: postgres
      streaming_user: streaming_barman
    backup: {{method: postgres, checkpoint: fast}}
    wal: {{delivery: stream, slot: barman, create_slot: true}}
    options: {{barman: {{path_prefix: {binaries}}}}}
{more}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """A room, its spec, and the servers that the spec names."""

    room: Room
    servers: Mapping[str, PostgresServer]
    engines: Mapping[str, str] = field(default_factory=dict)
    """Each cluster's engine."""
    rpo: str = "5min"
    """What the spec promises; half of it is the archive_timeout at which an idle server switches WAL by itself."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What else `pgwrap` finds in its environment."""

    @property
    def spec(self) -> Path:
        """The spec's path."""
        return self.room.path / "pgwrap.yaml"

    @property
    def barman(self) -> NativeBarman:
        """Barman as pgwrap configured it."""
        path = self.room.path
        return NativeBarman(room=self.room, config=path / "etc/barman.conf", home=path / "barman")

    @property
    def pgbackrest(self) -> NativePgbackrest:
        """pgBackRest as pgwrap configured it."""
        path = self.room.path
        config = path / "etc/pgbackrest/pgbackrest.conf"
        return NativePgbackrest(room=self.room, config=config, repository=path / "pgbackrest")

    def write_spec(self, more: Mapping[str, str] | None = None) -> Path:
        """Write the spec; `more` adds lines (indented by four) to a cluster."""
        text = HEAD.format(room=self.room.path, user=self.room.machine.user, rpo=self.rpo)
        for name, server in self.servers.items():
            form = BARMAN_CLUSTER if self.engines[name] == "barman" else PGBACKREST_CLUSTER
            text += form.format(
                name=name,
                data=server.data,
                sockets=server.sockets,
                port=server.port,
                binaries=self.room.machine.postgres_bin,
                more=(more or {}).get(name, ""),
            )
        self.spec.write_text(text)
        return self.spec

    def pgwrap(
        self, *arguments: str, check: bool = True, path: Path | None = None, deadline: float = 120.0, **environment: str
    ) -> Ran:
        """Run `pgwrap` as a user types it; `path` is a directory to put first on PATH."""
        return run(
            ("pgwrap", *arguments),
            check=check,
            deadline=deadline,
            directory=self.room.path,
            environment={
                "PGWRAP_CONFIG": str(self.spec),
                "PATH": search_path(self.room.machine, path),
                **self.environment,
                **environment,
            },
        )

    def laboratory(self, module: str, *words: str, check: bool = True, deadline: float = 300.0) -> Ran:
        """Run a program of the laboratory's, which does what a part of `pgwrap` does, with what `pgwrap` finds."""
        environment = {
            "PGWRAP_CONFIG": str(self.spec),
            "PATH": search_path(self.room.machine),
            "PYTHONPATH": str(CHECKOUT),
            **self.environment,
        }
        argv = (sys.executable, "-m", f"integration.lab.{module}", *words)
        return run(argv, environment=environment, directory=CHECKOUT, check=check, deadline=deadline)

    def render(self) -> Ran:
        """Put the native files in place."""
        return self.pgwrap("render", "--to", "/")

    def settings(self, name: str) -> Path:
        """The settings that `pgwrap render` wrote for a cluster's PostgreSQL."""
        return self.room.path / "state/postgresql" / f"{name}.conf"

    def apply_settings(self, name: str) -> None:
        """Give a cluster's PostgreSQL the settings that pgwrap wrote for it, and restart it."""
        server = self.servers[name]
        with (server.data / "postgresql.conf").open("a") as file:
            file.write(self.settings(name).read_text())
        server.restart()

    def start_engine(self, name: str) -> None:
        """What an engine wants done once, by its own commands: a stanza, or a WAL receiver and its roles."""
        if self.engines[name] == "barman":
            self.barman.run("cron")
            wait_for_stream(self.servers[name])
        else:
            self.pgbackrest.run(f"--stanza={name}", "stanza-create")

    def commit_and_archive(self, name: str) -> str:
        """Commit something and see the WAL segment that holds it archived; its name."""
        segment = self.servers[name].switch_wal()
        if self.engines[name] == "barman":
            self.barman.take_wal(name, segment)
        else:
            self.servers[name].wait_archived(segment)
        return segment

    def back_up(self, name: str, kind: str = "full") -> str:
        """Take a backup through pgwrap and bring it to the state done; its id."""
        backup_id = self.pgwrap("backup", name, "--type", kind).stdout.strip()
        self.commit_and_archive(name)
        if self.engines[name] == "barman":
            wait_for_backups(self.barman, name)
        return backup_id


def search_path(machine: Machine, first: Path | None = None) -> str:
    """PATH: `first`, this environment's programs, the system's, and last PostgreSQL's own."""
    system = (str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath), str(machine.postgres_bin))
    return os.pathsep.join((str(first), *system) if first else system)


@contextmanager
def estate(room: Room, engines: Mapping[str, str], *, listens: bool = False, rpo: str = "5min") -> Iterator[Estate]:
    """Running servers and a spec that names them; nothing is rendered yet."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(postgres_server(room, name, listens=listens)) for name in engines}
        for name, engine in engines.items():
            if engine == "barman":
                prepare_for_barman(servers[name])
        prepare_places(room)
        made = Estate(room=room, servers=servers, engines=engines, rpo=rpo)
        made.write_spec()
        yield made


def prepare_places(room: Room) -> None:
    """The directories that packages make on a real machine, and a state directory that belongs to who runs pgwrap."""
    for name in ("etc/pgbackrest", "etc/barman.d", "pgbackrest", "barman", "log", "lock"):
        room.directory(name)
    (room.path / "state").mkdir(mode=0o755)
