"""The commented spec that `pgwrap init` writes, filled in with what a server said. It asks no server itself."""

from __future__ import annotations

import re
from typing import TypeGuard

from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE
from pgwrap.records import dataclass
from pgwrap.spec.names import CONTROL, LONGEST_NAME, name_fault
from pgwrap.spec.quantities import format_size
from pgwrap.text.templating import render
from pgwrap.text.yaml_text import dump


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What a running PostgreSQL says of itself, as `SHOW` gives it."""

    version: str
    """As in `server_version`: "17.2 (Debian 17.2-1)"."""
    version_number: int
    """As in `server_version_num`: 170002."""
    data_directory: str
    port: int = 5432
    host: str | None = None
    """None for a connection by socket."""
    socket_directory: str | None = None
    wal_level: str = "replica"
    archive_mode: str = "off"
    archive_command: str = ""
    wal_segment_size: int = DEFAULT_SEGMENT_SIZE
    """Bytes."""
    data_checksums: bool = False
    cluster_name: str = ""


_EXAMPLE = Discovered(
    version="17",
    version_number=170000,
    data_directory="/var/lib/postgresql/17/main",
    socket_directory="/var/run/postgresql",
    cluster_name="orders",
)


def starter(discovered: Discovered | None) -> str:
    """A valid spec with comments that teach; with `discovered`, its cluster is that server."""
    server = discovered or _EXAMPLE
    values: dict[str, object] = {
        "observations": [_one_line(line) for line in _observations(server)] if discovered else [],
        "name": _yaml(_name(server.cluster_name)),
        "data_directory": _yaml(server.data_directory),
        "host": _yaml(server.host) if server.host else "",
        "port": server.port,
        "socket_directory": _yaml(server.socket_directory) if _is_directory(server.socket_directory) else "",
        "wal_segment_size": _segment_size(server),
        "grants": _grants(server.version_number),
        "pgpass_host": _one_line(server.host or "localhost"),
    }
    return render("pgwrap.yaml.j2", values)


def _observations(server: Discovered) -> list[str]:
    said = [
        f"PostgreSQL {server.version} said: wal_level = {server.wal_level}, archive_mode = {server.archive_mode},",
        f"archive_command = {server.archive_command or '(empty)'}",
    ]
    if server.wal_level == "minimal":
        said.append("To do: wal_level must be replica or logical (needs a restart).")
    if server.archive_mode == "off":
        said.append("To do: archive_mode must be on (needs a restart), unless the WAL is only streamed.")
    if not server.data_checksums:
        said.append("Data checksums are off: damaged pages go into backups unseen. See pg_checksums --enable.")
    return [*said, "`pgwrap render` tells the settings that this cluster needs."]


def _is_directory(socket: str | None) -> TypeGuard[str]:
    """An abstract socket (`@name`) has no directory."""
    return socket is not None and socket.startswith("/")


def _segment_size(server: Discovered) -> str:
    return "" if server.wal_segment_size == DEFAULT_SEGMENT_SIZE else format_size(server.wal_segment_size)


def _name(cluster_name: str) -> str:
    """Debian calls a cluster `17/main`; a slash cannot stand in a name."""
    name = re.sub(r"[/\[\]=]+", "-", CONTROL.sub("", cluster_name)).strip(" -")[: LONGEST_NAME // 4]
    return "main" if name_fault(name) or ":" in name or name in {"all", "barman", "global"} else name


def _yaml(text: str) -> str:
    return dump([text]).removeprefix("- ").rstrip("\n")


def _one_line(text: str) -> str:
    return CONTROL.sub("?", text)


def _grants(version_number: int) -> list[str]:
    """What a role that takes backups is granted; PostgreSQL 15 renamed the functions and brought pg_checkpoint."""
    start, stop = ("pg_backup_start(text, boolean)", "pg_backup_stop(boolean)")
    if version_number < 150000:
        start, stop = ("pg_start_backup(text, boolean, boolean)", "pg_stop_backup(boolean, boolean)")
    functions = (start, stop, "pg_switch_wal()", "pg_create_restore_point(text)")
    roles = "pg_monitor, pg_checkpoint" if version_number >= 150000 else "pg_monitor"
    return [f"GRANT {roles}", *(f"GRANT EXECUTE ON FUNCTION {function}" for function in functions)]
