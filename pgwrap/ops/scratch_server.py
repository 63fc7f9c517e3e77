"""A PostgreSQL of a drill: a restored copy that is configured, started, asked and stopped in private. It archives
nothing, listens on no network, and connects to nobody.

The copy's own configuration is not used, wherever it lies: what the drill needs is given on the command line, which
wins over postgresql.auto.conf, where engines leave what they restore with.
"""

from __future__ import annotations

import posixpath
import shlex
from time import monotonic, sleep
from typing import TypeAlias

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.control_file import ControlFile, read_control_file
from pgwrap.domain.plan import WriteFile
from pgwrap.domain.recovery_log import LINE_PREFIX
from pgwrap.domain.restoring import Along, RecoveryTarget
from pgwrap.domain.wal import Timeline
from pgwrap.errors import EngineFailed, EngineMissing, EngineTimeout
from pgwrap.ops.world import World
from pgwrap.records import dataclass
from pgwrap.system.port import PostgresQuestion, Scratch, ScratchPlace

PORT = 5432
"""Of the socket's name: its directory is the drill's own, so no other server can have it."""
OLDEST_MAJOR = 12
"""Before, recovery was not configured by settings."""
_SUMMARIZE_SINCE = 17
_PREFETCH_SINCE = 15
"""It reads WAL far behind a target that lies in a segment with little in it."""
_CONNECT = "local all all trust\n"
_STOP_DEADLINE = 600.0
_TICK = 0.05
Settings: TypeAlias = tuple[tuple[str, str], ...]
"""Seconds between two looks at a server that recovers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How far the copy recovers, and how it fetches WAL (None: as the engine wrote into it)."""

    target: RecoveryTarget
    timeline: Timeline | None
    """None: the one that the backup was taken on, whatever histories there are."""
    restore_command: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Whether a server answers, and after how long that was known."""

    ready: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchServer:
    """The server of one copy."""

    world: World
    place: ScratchPlace
    scratch: Scratch
    user: str
    major: str
    environment: tuple[tuple[str, str], ...]
    deadline: float
    """Seconds for replay, and for each look at the copy."""

    def program(self, name: str) -> str | None:
        """The path of one of PostgreSQL's programs of the copy's version."""
        return self.world.programs.postgres(name, self.major)

    def run(self, name: str, *arguments: str, deadline: float | None = None) -> Outcome:
        """Run one of PostgreSQL's programs as the copy's user; EngineMissing when it is not installed."""
        program = self.program(name)
        if program is None:
            message = f"{name} of PostgreSQL {self.major} is not installed here: a restored copy cannot be started"
            raise EngineMissing(message, hint=f"install PostgreSQL {self.major} on the host that drills")
        return self.world.runner.run(
            Command(
                argv=(program, *arguments),
                run_as=self.user,
                environment=self.environment,
                deadline=self.deadline if deadline is None else deadline,
            )
        )

    def connection(self) -> tuple[str, ...]:
        """How PostgreSQL's programs reach it."""
        return (f"--host={self.place.sockets}", f"--port={PORT}")

    def question(self, role: str, database: str) -> PostgresQuestion:
        """The same for the psycopg door."""
        return PostgresQuestion(
            key="drill", host=self.place.sockets, port=PORT, user=role, database=database, run_as=self.user
        )

    def control_file(self) -> ControlFile:
        """What pg_controldata says of the copy; EngineFailed when it refuses."""
        outcome = self.run("pg_controldata", f"--pgdata={self.place.data}", deadline=60.0)
        if not outcome.succeeded:
            raise EngineFailed(f"the restored copy has no control file: {outcome.error_text().strip()}")
        return read_control_file(outcome.text())

    def configure(self) -> None:
        """Write what is needed to start a copy whose configuration lies elsewhere, or is not to be used."""
        note = "# Made by pgwrap for a drill; every setting is on the command line.\n"
        for name, text in (("postgresql.conf", note), ("pg_hba.conf", _CONNECT), ("pg_ident.conf", note)):
            self.world.files.write(WriteFile(path=posixpath.join(self.place.settings, name), text=text, mode=0o644))

    def start(self, control: ControlFile, recovery: Recovery | None) -> Started:
        """Start it and wait until it answers, or gives up. `recovery` None: it has recovered before."""
        began = monotonic()
        ready = self._launch(control, recovery).succeeded and self._await(began + self.deadline)
        return Started(ready=ready, seconds=monotonic() - began)

    def recover(self, control: ControlFile, target: RecoveryTarget, fetch: str) -> ControlFile:
        """Have it recover to a `target` at which it shuts itself down, as far as it comes with the WAL that
        `fetch` gives; how that left it.

        pg_ctl may call that a failed start, or a good one: its word counts for nothing here.
        """
        until = monotonic() + self.deadline
        ahead = (("recovery_prefetch", "off"),) if int(self.major) >= _PREFETCH_SINCE else ()
        self._launch(control, Recovery(target=target, timeline=None, restore_command=fetch), (*_ONCE, *ahead))
        while self.scratch.server_status(self.place) is not None:
            if monotonic() > until:
                self.stop()
                raise EngineTimeout(f"recovery did not end within {self.deadline:.0f} s")
            sleep(_TICK)
        return self.control_file()

    def _await(self, until: float) -> bool:
        """Wait for the end of its recovery: pg_ctl returns at its beginning, where nobody may connect."""
        while (status := self.scratch.server_status(self.place)) not in ("ready", None):
            if monotonic() > until:
                return False
            sleep(_TICK)
        return status == "ready"

    def _launch(self, control: ControlFile, recovery: Recovery | None, more: Settings = ()) -> Outcome:
        settings = (*self._settings(control), *(_recovery(recovery) if recovery else ()), *more)
        options = shlex.join(part for name, value in settings for part in ("-c", f"{name}={value}"))
        return self.run(
            "pg_ctl",
            *("start", "--wait", f"--timeout={int(self.deadline)}", f"--pgdata={self.place.data}"),
            *(f"--log={self.place.log}", f"--options={options}"),
            deadline=self.deadline + 30.0,
        )

    def stop(self) -> Outcome:
        """Stop it in order, so that pg_checksums can look."""
        return self.run(
            "pg_ctl",
            *("stop", "--wait", "--mode=fast", f"--timeout={int(_STOP_DEADLINE)}", f"--pgdata={self.place.data}"),
            deadline=_STOP_DEADLINE + 30.0,
        )

    def _settings(self, control: ControlFile) -> tuple[tuple[str, str], ...]:
        directory = self.place.settings
        newer = (("summarize_wal", "off"), ("event_triggers", "off")) if int(self.major) >= _SUMMARIZE_SINCE else ()
        return (
            ("config_file", posixpath.join(directory, "postgresql.conf")),
            ("hba_file", posixpath.join(directory, "pg_hba.conf")),
            ("ident_file", posixpath.join(directory, "pg_ident.conf")),
            ("listen_addresses", ""),
            ("port", str(PORT)),
            ("unix_socket_directories", self.place.sockets),
            ("unix_socket_permissions", "0700"),
            ("external_pid_file", posixpath.join(self.place.sockets, "pid")),
            *_PRIVATE,
            *_CALM,
            ("min_wal_size", f"{2 * control.segment_size >> 20}MB"),
            ("log_line_prefix", LINE_PREFIX),
            *control.settings,
            *newer,
        )


_ONCE = (("wal_recycle", "off"), ("archive_cleanup_command", ""), ("recovery_end_command", ""))
"""For a copy that is stored as it stops: no segments that only wait to be written again."""
_PRIVATE = (
    ("dynamic_shared_memory_type", "mmap"),  # all of it inside the data directory
    ("archive_mode", "off"),
    ("archive_command", ""),
    ("primary_conninfo", ""),
    ("primary_slot_name", ""),
    ("synchronous_standby_names", ""),
    ("max_wal_senders", "0"),
    ("max_logical_replication_workers", "0"),  # no subscription of the copy takes what belongs to the original's
    ("shared_preload_libraries", ""),  # no scheduler in the copy runs the original's jobs
    ("session_preload_libraries", ""),
    ("local_preload_libraries", ""),
    ("ssl", "off"),
)
_CALM = (
    ("hot_standby", "off"),  # nobody has to read before its end, and recovery needs no shared memory for it
    ("autovacuum", "off"),
    ("restart_after_crash", "off"),
    ("shared_buffers", "128MB"),
    ("huge_pages", "off"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_min_messages", "warning"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("default_transaction_read_only", "off"),
    ("cluster_name", "pgwrap-drill"),
)


def _recovery(recovery: Recovery) -> Settings:
    """At most one target: PostgreSQL takes even an empty one for a second."""
    fetch = () if recovery.restore_command is None else (("restore_command", recovery.restore_command),)
    timeline: Along = recovery.timeline or "current"
    along = {"recovery_target_timeline": str(timeline), "recovery_min_apply_delay": "0"}
    return (*(along | dict(recovery.target.settings(timeline))).items(), *fetch)
