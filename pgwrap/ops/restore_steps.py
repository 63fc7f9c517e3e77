"""What a restore needs done before and after the engine's own command, each a command of its own. It decides nothing
about the backup.
"""

from __future__ import annotations

import logging
import posixpath
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from pgwrap.domain.choosing import Choice
from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.recovery import CLOCK_TICK
from pgwrap.domain.restoring import RestorePlan
from pgwrap.domain.wal import Segment
from pgwrap.engines.port import RestoreJob, RestoreRequest
from pgwrap.errors import EngineFailed
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_AUTO: Final = "postgresql.auto.conf"
_CONFIGURATION: Final = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")
_DEADLINE: Final = 3600.0
_CONTROLLED: Final = {
    "max_connections": "max_connections",
    "max_worker_processes": "max_worker_processes",
    "max_wal_senders": "max_wal_senders",
    "max_prepared_xacts": "max_prepared_transactions",
    "max_locks_per_xact": "max_locks_per_transaction",
    "track_commit_timestamp": "track_commit_timestamp",
    "wal_level": "wal_level",
}
"""pg_controldata's names of settings that must be no smaller than the original's, and PostgreSQL's own."""
_CONTROL_LINE: Final = re.compile(r"^(\w+) setting:\s+(\S+)$", re.MULTILINE)
_COMMIT: Final = re.compile(r"desc: COMMIT(?:_PREPARED)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")
_LOG = logging.getLogger("pgwrap.restore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command, and how it is typed where its input matters."""

    command: Command
    typed: str | None = None

    @property
    def shown(self) -> str:
        """What to type."""
        return self.command.quoted() if self.typed is None else self.typed

    def run(self, world: World, cluster: str) -> Outcome:
        """Run it; EngineFailed with its own words when it fails."""
        outcome = world.runner.run(self.command)
        if not outcome.succeeded:
            said = outcome.message or outcome.error_text().strip() or f"exit code {outcome.exit_code}"
            raise EngineFailed(f"{self.shown} failed: {said}", hint="nothing was started", cluster=cluster)
        return outcome


def preparation(
    request: RestoreRequest, host: str | None, *, as_root: bool, emptied: tuple[str, ...]
) -> tuple[Step, ...]:
    """Directories that exist, are empty where that was asked, and belong to who writes into them."""
    paths = (request.directory, *(one.directory for one in request.tablespaces))
    paths += (request.staging,) if request.staging is not None else ()
    user = None if as_root or request.destination is not None else request.run_as

    def step(*argv: str) -> Step:
        return Step(command=Command(argv=argv, run_as=user, host=host, deadline=_DEADLINE))

    steps = [step("install", "-d", "-m", "0700", "--", *paths)]
    if as_root and request.run_as is not None and request.destination is None:
        whole = ("-R", "-h") if request.delta else ()
        steps.append(step("chown", *whole, "--", f"{request.run_as}:", *paths))
    if emptied:
        steps.insert(0, step("find", "-H", *emptied, "-mindepth", "1", "-delete"))
    return tuple(steps)


def shown_after(
    request: RestoreRequest, job: RestoreJob, host: str | None, owner: str | None, *, as_root: bool
) -> tuple[Step, ...]:
    """What will certainly be run after the engine; the rest depends on what it leaves."""
    steps = [_make_directory(request, name, host) for name in job.directories]
    if job.settings:
        steps.append(_append(request, job.settings, host))
    giving = _give_away(request, host, owner, as_root=as_root)
    return (*steps, giving) if giving is not None else tuple(steps)


def _make_directory(request: RestoreRequest, name: str, host: str | None) -> Step:
    path = posixpath.join(request.directory, name)
    return Step(command=_as_writer(request, host, "install", "-d", "-m", "0700", "--", path))


def _append(request: RestoreRequest, settings: tuple[tuple[str, str], ...], host: str | None) -> Step:
    text = "".join(f"{name} = {_setting(value)}\n" for name, value in settings)
    return _write(request, _AUTO, text, host, append=True)


def _write(request: RestoreRequest, name: str, text: str, host: str | None, *, append: bool = False) -> Step:
    path = posixpath.join(request.directory, name)
    mode = ("-a",) if append else ()
    command = _as_writer(request, host, "tee", *mode, "--", path, stdin=text.encode())
    typed = f"printf %s {shlex.quote(text)} | {command.quoted()}"
    return Step(command=command, typed=typed)


def _as_writer(request: RestoreRequest, host: str | None, *argv: str, stdin: bytes | None = None) -> Command:
    """A command of the user who restored, where the files are."""
    user = request.run_as if request.destination is None else None
    return Command(argv=argv, run_as=user, host=host, deadline=_DEADLINE, stdin=stdin)


def _give_away(request: RestoreRequest, host: str | None, owner: str | None, *, as_root: bool) -> Step | None:
    if not as_root or owner is None or request.run_as in (None, owner) or request.destination is not None:
        return None
    paths = (request.directory, *(one.directory for one in request.tablespaces))
    return Step(command=Command(argv=("chown", "-R", "-h", "--", f"{owner}:", *paths), host=host, deadline=_DEADLINE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finisher:
    """Brings what the engine restored to where PostgreSQL can be started on it."""

    world: World
    prepared_for: RestoreRequest
    job: RestoreJob
    plan: RestorePlan
    host: str | None
    as_root: bool

    def finish(self, choice: Choice) -> tuple[str, ...]:
        """Do it, in an order in which each step finds what it needs; what the operator should know of it."""
        request, cluster = self.prepared_for, self.plan.cluster
        for name in self.job.directories:
            _make_directory(request, name, self.host).run(self.world, cluster)
        notes = tuple(self._complete_wal(choice))
        settings = self.job.settings
        if self.job.unless_signalled and not any(self._exist("recovery.signal", "standby.signal")):
            _write(request, "recovery.signal", "", self.host).run(self.world, cluster)
            settings = (*self.job.unless_signalled, *settings)
        if settings:
            _append(request, settings, self.host).run(self.world, cluster)
        notes += tuple(self._configure())
        giving = _give_away(request, self.host, self.plan.owner, as_root=self.as_root)
        if giving is not None:
            giving.run(self.world, cluster)
        return notes

    def how_to_start(self) -> tuple[str, ...]:
        """The command that starts the copy beside the original, on a port of its own."""
        program = self._program("pg_ctl")
        argv = (program, "-D", self.plan.directory, "-o", "-p 5433", "-w", "start")
        return (Command(argv=argv, run_as=self.plan.owner, host=self.host).quoted(),)

    def _program(self, name: str) -> str:
        major = self.prepared_for.backup.postgres_version or ""
        found = self.world.programs.postgres(name, major) if self.host is None else None
        return found or f"/usr/lib/postgresql/{major}/bin/{name}"

    def _exist(self, *names: str) -> tuple[bool, ...]:
        """Whether each of the files is there."""
        commands = tuple(
            _as_writer(self.prepared_for, self.host, "test", "-e", posixpath.join(self.plan.directory, name))
            for name in names
        )
        return tuple(outcome.succeeded for outcome in self.world.runner.run_all(commands))

    def _configure(self) -> Iterator[str]:
        """Give a copy whose original is configured outside its data directory what it needs to start."""
        there = self._exist(*_CONFIGURATION)
        missing = tuple(name for name, found in zip(_CONFIGURATION, there, strict=True) if not found)
        for name in missing:
            _write(self.prepared_for, name, self._text(name), self.host).run(self.world, self.plan.cluster)
        if missing:
            yield (
                f"the backup holds no {', '.join(missing)}, so the original's lies elsewhere: a small one was written. "
                "It lets only the owner in, on the socket; take over the original's before the copy is used"
            )

    def _text(self, name: str) -> str:
        head = "# Made by pgwrap for a restored copy: the backup holds none, as the original's lies elsewhere.\n"
        if name == "pg_hba.conf":
            return f"{head}local all all peer\n"
        if name == "pg_ident.conf":
            return head
        controlled = dict(_CONTROL_LINE.findall(self._control_data()))
        settings = [(_CONTROLLED[name], value) for name, value in controlled.items() if name in _CONTROLLED]
        lines = [f"{key} = {_setting(value)}\n" for key, value in (("listen_addresses", ""), *settings)]
        return head + "".join(lines)

    def _control_data(self) -> str:
        command = _as_writer(self.prepared_for, self.host, self._program("pg_controldata"), self.plan.directory)
        outcome = self.world.runner.run(command)
        if not outcome.succeeded:
            _LOG.warning("pg_controldata told nothing: %s", outcome.message or outcome.error_text().strip())
            return ""
        return outcome.text()

    def _complete_wal(self, choice: Choice) -> Iterator[str]:
        """Barman 3.4 copies WAL up to the first segment that was archived after the target, which need not hold a
        commit after it; without one PostgreSQL ends with an error. Add segments until one does."""
        wal, time = self.job.copied_wal, self.plan.target.time
        if wal is None or time is None or self.host is not None:
            return
        directory = posixpath.join(self.plan.directory, wal)
        present, ahead = self._beyond(directory, choice)
        added, reached = 0, None if present is None else self._reaches(directory, present, time)
        for segment in ahead if reached is False else ():
            self._fetch(segment, directory)
            added += 1
            reached = self._reaches(directory, segment, time)
            if reached is not False:
                break
        if added:
            yield f"{added} more WAL segments were taken from the archive, so that a commit after the target is there"
        if reached is None:
            yield "whether the WAL that was copied holds a commit after the target could not be checked"

    def _beyond(self, directory: str, choice: Choice) -> tuple[str | None, tuple[str, ...]]:
        """The last segment on the way that was copied, and those after it."""
        listed = self.world.runner.run(_as_writer(self.prepared_for, self.host, "ls", "--", directory))
        copied = frozenset(listed.text().split())
        stretch = choice.candidate.stretch
        way = tuple(
            Segment(piece.timeline, number).name(stretch.segment_size)
            for piece in stretch.run
            for number in range(piece.first, piece.last + 1)
        )
        last = max((index for index, name in enumerate(way) if name in copied), default=None)
        return (None, ()) if last is None else (way[last], way[last + 1 :])

    def _reaches(self, directory: str, segment: str, time: datetime) -> bool | None:
        """Whether the segment holds a commit after the target; None where that cannot be read."""
        path = posixpath.join(directory, segment)
        argv = (self._program("pg_waldump"), "--rmgr=Transaction", path)
        dump = self.world.runner.run(_as_writer(self.prepared_for, self.host, *argv))
        if dump.failure is not None:
            return None
        commits = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in _COMMIT.findall(dump.text()))
        return any(commit - CLOCK_TICK >= time for commit in commits)

    def _fetch(self, segment: str, directory: str) -> None:
        request = self.prepared_for
        fetch = self.world.engine(request.cluster.engine).fetch_wal(
            request.cluster, request.backup.repository, request.backup.archive, segment, directory, request.run_as
        )
        if fetch is not None:
            Step(command=fetch).run(self.world, self.plan.cluster)


def _setting(value: str) -> str:
    """A value as postgresql.conf takes it."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return value if value.isdecimal() else f"'{escaped}'"
