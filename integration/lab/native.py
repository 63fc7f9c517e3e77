"""Both engines configured by hand, as their manuals say and without pgwrap, for recordings and comparisons."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from integration.lab.postgres import PostgresServer
from integration.lab.process import Ran
from integration.lab.room import Room

BARMAN_ROLES = """\
create role barman login;
grant pg_monitor, pg_read_all_settings to barman;
grant execute on function pg_switch_wal(), pg_create_restore_point(text) to barman;
grant execute on function pg_backup_start(text, boolean), pg_backup_stop(boolean) to barman;
create role streaming_barman login replication;
"""
"""The least that Barman's streaming method needs (Barman manual, "PostgreSQL connection")."""
CHECKPOINT_ROLE = "grant pg_checkpoint to barman;"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePgbackrest:
    """pgBackRest with a configuration file of its own in a room."""

    room: Room
    config: Path
    repository: Path

    def run(self, *arguments: str, check: bool = True, deadline: float = 120.0) -> Ran:
        """Run pgbackrest with this configuration."""
        program = str(self.room.machine.engine("pgbackrest").program)
        return self.room.run(program, f"--config={self.config}", *arguments, check=check, deadline=deadline)

    def settings(self, stanza: str) -> Mapping[str, str]:
        """What PostgreSQL needs to archive into `stanza`."""
        program = self.room.machine.engine("pgbackrest").program
        return {
            "wal_level": "replica",
            "archive_mode": "on",
            "archive_command": f"{program} --config={self.config} --stanza={stanza} archive-push %p",
        }


def native_pgbackrest(room: Room, servers: Mapping[str, PostgresServer], *, repositories: int = 1) -> NativePgbackrest:
    """Write a configuration with a stanza per server; nothing is created in the repositories yet."""
    paths = [room.directory("pgbackrest", f"repo{number}") for number in range(1, repositories + 1)]
    lines = ["[global]", "start-fast=y", "archive-timeout=30", "log-level-file=off"]
    for number, path in enumerate(paths, start=1):
        lines += [f"repo{number}-path={path}", f"repo{number}-retention-full=2"]
    lines += [f"lock-path={room.directory('pgbackrest', 'lock')}", f"log-path={room.directory('pgbackrest', 'log')}"]
    lines += [f"spool-path={room.directory('pgbackrest', 'spool')}"]
    for stanza, server in servers.items():
        lines += ["", f"[{stanza}]", f"pg1-path={server.data}", f"pg1-port={server.port}"]
        lines += [f"pg1-socket-path={server.sockets}", "pg1-user=postgres"]
    config = room.write("etc/pgbackrest.conf", "\n".join(lines) + "\n")
    return NativePgbackrest(room=room, config=config, repository=paths[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeBarman:
    """Barman with a configuration and a home of its own in a room."""

    room: Room
    config: Path
    home: Path

    def run(self, *arguments: str, check: bool = True, deadline: float = 120.0) -> Ran:
        """Run barman with this configuration."""
        program = str(self.room.machine.engine("barman").program)
        return self.room.run(program, "-c", str(self.config), *arguments, check=check, deadline=deadline)

    def backup_states(self, server: str) -> dict[str, str]:
        """Each backup of `server` and its state, from `list-backups`."""
        answer = json.loads(self.run("-f", "json", "list-backups", server).stdout)
        return {backup["backup_id"]: backup["status"] for backup in answer[server]}

    def take_wal(self, server: str, segment: str, deadline: float = 30.0) -> None:
        """Have Barman archive `segment`; a busy lock makes `archive-wal` do nothing, so it is asked again."""
        limit = time.monotonic() + deadline
        while not list((self.home / server / "wals").glob(f"*/{segment}*")):
            if time.monotonic() > limit:
                raise TimeoutError(f"Barman did not take {segment}")
            self.run("archive-wal", server)
            time.sleep(0.1)


def native_barman(room: Room, servers: Mapping[str, PostgresServer], options: str = "") -> NativeBarman:
    """Write a global file and one per server (streaming, with a slot); nothing is started yet."""
    home = room.directory("barman")
    extra = room.directory("etc", "barman.d")
    config = room.write(
        "etc/barman.conf",
        f"[barman]\nbarman_home = {home}\nbarman_user = {room.machine.user}\n"
        f"configuration_files_directory = {extra}\nlog_file = {room.directory('log')}/barman.log\nlog_level = INFO\n",
    )
    for name, server in servers.items():
        room.write(f"etc/barman.d/{name}.conf", _barman_server(name, server, options))
    return NativeBarman(room=room, config=config, home=home)


def _barman_server(name: str, server: PostgresServer, options: str) -> str:
    connection = f"host={server.sockets} port={server.port} dbname=postgres"
    return (
        f"[{name}]\ndescription = {name}\nbackup_method = postgres\nstreaming_archiver = on\n"
        f"slot_name = barman\ncreate_slot = auto\nimmediate_checkpoint = true\n"
        f"conninfo = {connection} user=barman\nstreaming_conninfo = {connection} user=streaming_barman\n"
        f"path_prefix = {server.room.machine.postgres_bin}\nretention_policy = REDUNDANCY 2\n{options}"
    )


def prepare_for_barman(server: PostgresServer) -> None:
    """Make the roles that Barman connects as."""
    server.sql(BARMAN_ROLES + (CHECKPOINT_ROLE if server.room.machine.postgres_major >= 15 else ""))


def wait_for_stream(server: PostgresServer, slot: str = "barman") -> None:
    """Wait until Barman's receiver holds its slot; until then a backup of Barman's has no WAL."""
    server.wait_for(f"select count(*) = 1 from pg_replication_slots where slot_name = '{slot}' and active")


def wait_for_backups(barman: NativeBarman, server: str, state: str = "DONE", deadline: float = 60.0) -> None:
    """Let cron judge `server`'s backups, one a run, until all are in `state`; TimeoutError otherwise."""
    limit = time.monotonic() + deadline
    while set(barman.backup_states(server).values()) != {state}:
        if time.monotonic() > limit:
            raise TimeoutError(f"{server}: {barman.backup_states(server)}")
        barman.run("cron")
        time.sleep(0.2)
