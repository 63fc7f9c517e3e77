"""The process door: runs commands with a deadline, bounded output and a clean environment. It lets no shell parse
anything, and never judges what a program says.
"""

from __future__ import annotations

import logging
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from threading import Event, RLock, Thread
from typing import IO

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.records import dataclass
from pgwrap.system.descendants import descendants, hold
from pgwrap.system.launch import Launch, Unlaunchable, Verdict, judge, overdue, plan_launch, refusal

STDERR_KEPT = 64 << 10
"""Bytes of stderr kept: the last ones, where programs say why they fail."""

_CHUNK = 64 << 10
_DRAIN_READS = 16
_TICK = 0.1
"""Seconds after which a waiting loop looks whether it has been asked to stop."""
_HANDOVER = 1.0
"""Seconds that `timeout` under sudo or over ssh gets to report the end that it made at the deadline."""
_KILLED = 0.5
"""Seconds after SIGKILL in which a process should be gone; one in uninterruptible sleep is left behind."""

_LOG = logging.getLogger("pgwrap.commands")


class _Ending(Enum):
    EXITED = auto()
    DEADLINE = auto()
    TOO_MUCH_OUTPUT = auto()
    STOPPED = auto()


class ProcessRunner:
    """Runs commands here, as other users and on other hosts; see `pgwrap.system.port.Runner`.

    `ssh_options` come first among ssh's arguments, so they win over pgwrap's own. At most `parallel` commands of
    `run_all` run at a time (default: two for each processor, at least four).
    """

    def __init__(self, *, ssh_options: tuple[str, ...] = (), parallel: int | None = None) -> None:
        self.ssh_options = ssh_options
        self.parallel = parallel or max(4, 2 * (os.cpu_count() or 1))
        self._children: set[_Child] = set()
        self._left_behind: list[_Child] = []
        self._stopping = False

    def run(self, command: Command, on_line: Callable[[str], None] | None = None) -> Outcome:
        """Run one command to its end or its deadline; `on_line` gets each line of stdout, without its line end.

        Never raises for what the command does. Ctrl-C, and whatever `on_line` raises, stop the command first.
        """
        if self._stopping:
            return Outcome(command=command, failure=Failure.SKIPPED, message="not run: pgwrap is stopping")
        _LOG.info("run: %s", command.quoted())
        with _ssh_log(command) as log:
            launch = plan_launch(command, self.ssh_options, log)
            if isinstance(launch, Unlaunchable):
                outcome = _refused(command, launch)
            else:
                outcome = self._launch(command, launch, on_line, log)
        _LOG.info("%s: %s", _summary(outcome), command.quoted())
        return outcome

    def start(self, command: Command) -> Waiting | None:
        """Start a command of this machine before its input is known; None when it cannot be started so.

        Whoever calls this sees to its end with `Waiting.finish` or `Waiting.drop`.
        """
        launch = plan_launch(replace(command, stdin=b""))
        if self._stopping or isinstance(launch, Unlaunchable) or launch.through is not None:
            return None
        child = self._begin(launch, command.output_limit, None)
        if isinstance(child, Unlaunchable):
            return None

        def finish(asked: Command) -> Outcome:
            if child not in self._children:
                return self.run(asked)
            _LOG.info("run: %s", asked.quoted())
            outcome = self._complete(asked, replace(launch, stdin=asked.stdin), child)
            _LOG.info("%s: %s", _summary(outcome), asked.quoted())
            return outcome

        def drop() -> None:
            if child in self._children:
                self._end(child, grace=_KILLED)

        return Waiting(finish=finish, drop=drop)

    def run_all(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        """Run commands side by side; outcomes in the same order."""
        if len(commands) <= 1:
            return tuple(self.run(command) for command in commands)
        queue = deque(enumerate(commands))
        results: dict[int, Outcome | BaseException] = {}
        workers = [_Worker(self.run, queue, results) for _ in range(min(self.parallel, len(commands)))]
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                while not worker.ended.wait(_TICK):  # in short steps: a signal may strike another thread
                    pass
        finally:
            self._finish(queue, workers)
        return tuple(_result(results[index]) for index in range(len(commands)))

    def stop_all(self) -> None:
        """Stop every command still running, with all its processes, within a few seconds; from now on start none.

        A thread that talks with an engine does not know of Ctrl-C: it goes on to its next commands.
        """
        self._stopping = True
        self._stop_running()

    def _stop_running(self) -> None:
        children = tuple(self._children)
        for child in children:
            child.request_stop()
        _await_ends(children, 2.0)
        for child in children:
            child.send(signal.SIGKILL)
        _await_ends(children, _KILLED)

    def _finish(self, queue: deque[tuple[int, Command]], workers: list[_Worker]) -> None:
        """After Ctrl-C start no more and stop those that run; otherwise all have ended, and nothing happens."""
        queue.clear()
        while any(worker.is_busy() for worker in workers):
            self._stop_running()
            time.sleep(_TICK / 5)

    def _launch(self, command: Command, launch: Launch, on_line: Callable[[str], None] | None, log: str) -> Outcome:
        child = self._begin(launch, command.output_limit, on_line)
        if isinstance(child, Unlaunchable):
            return _refused(command, child)
        return self._complete(command, launch, child, log)

    def _begin(self, launch: Launch, limit: int, on_line: Callable[[str], None] | None) -> _Child | Unlaunchable:
        self._left_behind = [child for child in self._left_behind if not child.has_ended()]
        try:
            process = _start(launch)
        except (OSError, ValueError) as error:
            return refusal(error, launch, _find(launch))
        child = _Child(process, launch, limit, on_line)
        self._children.add(child)
        if self._stopping:  # it was started while the others were being stopped
            child.request_stop()
        return child

    def _complete(self, command: Command, launch: Launch, child: _Child, log: str = "") -> Outcome:
        """Give a started command its input and follow it to its end; the deadline counts from now."""
        try:
            child.give(launch.stdin or b"")
            ending = child.follow(command.deadline + (_HANDOVER if launch.through else 0.0))
        finally:
            self._end(child, grace=min(5.0, max(0.5, command.deadline / 10)))
        verdict = _verdict(command, launch, child, ending, log)
        return Outcome(
            command=command,
            exit_code=verdict.exit_code,
            stdout=b"" if verdict.failure is Failure.TOO_MUCH_OUTPUT else b"".join(child.stdout),
            stderr=bytes(child.stderr[-STDERR_KEPT:]),
            failure=verdict.failure,
            message=verdict.message,
            seconds=child.seconds,
        )

    def _end(self, child: _Child, grace: float) -> None:
        try:
            child.end(grace)
        finally:
            self._children.discard(child)
            child.close()
            if not child.has_ended():
                self._left_behind.append(child)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A program that was started and waits for its input."""

    finish: Callable[[Command], Outcome]
    """Run it to its end with the `stdin` and the `deadline` of this command, as if it were started now."""
    drop: Callable[[], None]
    """End it, if it has not ended; it may be called at any time and more than once."""


class _Worker(Thread):
    """Runs commands of a queue, in turn with other workers.

    `ended` says when it is done: after Ctrl-C in `Thread.join`, `is_alive` of Python 3.11 says that a
    running thread has ended.
    """

    def __init__(
        self,
        run: Callable[[Command], Outcome],
        queue: deque[tuple[int, Command]],
        results: dict[int, Outcome | BaseException],
    ) -> None:
        super().__init__(name="commands")
        self._run = run
        self._queue = queue
        self._results = results
        self.ended = Event()

    def run(self) -> None:
        """Take commands until none is left."""
        try:
            while self._queue:
                self._take_one()
        finally:
            self.ended.set()

    def is_busy(self) -> bool:
        """Whether it was started and has not ended; one whose start was interrupted finds no commands any more."""
        return self.ident is not None and not self.ended.is_set()

    def _take_one(self) -> None:
        try:
            index, command = self._queue.popleft()
        except IndexError:  # another worker took the last one
            return
        try:
            self._results[index] = self._run(command)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            self._results[index] = error


class _Child:
    """A started process: what it has written so far, and the ways to end it."""

    def __init__(
        self, process: subprocess.Popen[bytes], launch: Launch, limit: int, on_line: Callable[[str], None] | None
    ) -> None:
        self.process = process
        self.stdout: list[bytes] = []
        self.stderr = bytearray()
        self.started = time.monotonic()
        self.seconds = 0.0
        self._lifeline = launch.lifeline
        self._input = memoryview(b"")
        self._room = limit
        self._lines = _Lines(on_line) if on_line else None
        self._stop = False
        self._closing = RLock()
        self._held: tuple[int, ...] = ()
        self._selector = selectors.DefaultSelector()
        self._exit = os.pidfd_open(process.pid)
        self._selector.register(self._exit, selectors.EVENT_READ, _wake)
        self._register(process.stdout, selectors.EVENT_READ, self._read_stdout)
        self._register(process.stderr, selectors.EVENT_READ, self._read_stderr)

    def _register(self, pipe: IO[bytes] | None, events: int, act: Callable[[IO[bytes]], None]) -> None:
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, events, act)

    def give(self, data: bytes) -> None:
        """Begin to write its input; the time it may take counts from now."""
        self.started = time.monotonic()
        self._input = memoryview(data)
        self._register(self.process.stdin, selectors.EVENT_WRITE, self._write_stdin)

    def follow(self, seconds: float) -> _Ending:
        """Exchange input and output until the process ends, time is up, it writes too much, or it is to stop."""
        until = self.started + seconds
        while not self.has_ended():
            remaining = until - time.monotonic()
            if self._stop:
                return _Ending.STOPPED
            if self._room < 0:
                return _Ending.TOO_MUCH_OUTPUT
            if remaining <= 0:
                return _Ending.DEADLINE
            self._exchange(min(remaining, _TICK))
        self._drain()
        return _Ending.TOO_MUCH_OUTPUT if self._room < 0 else _Ending.EXITED

    def has_ended(self) -> bool:
        """Whether the process is gone (not its descendants: they may rightly live on)."""
        return self.process.poll() is not None

    def request_stop(self) -> None:
        """From any thread, or a signal handler: end soon."""
        self._stop = True
        self._ask_to_end()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and all its descendants, also those that made a session of their own."""
        if not self.has_ended():
            with self._closing:
                if not self._held:
                    self._held = hold(descendants(self.process.pid))
                self._signal_all(number)

    def end(self, grace: float) -> None:
        """Make sure that the process is gone: politely, after `grace` seconds by force."""
        self.seconds = time.monotonic() - self.started
        if self.has_ended():
            return
        self._lines = None
        try:
            self._ask_to_end()
            self._await_end(grace)
        finally:
            self._signal_all(signal.SIGKILL)
            self._await_end(_KILLED)

    def close(self) -> None:
        """Let go of the pipes; a descendant that still holds them cannot delay anything."""
        self._selector.close()
        os.close(self._exit)
        with self._closing:
            self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        for descendant in self._held:
            os.close(descendant)
        self._held = ()

    def _ask_to_end(self) -> None:
        if self._lifeline:
            self._cut_lifeline()
        else:
            self.send(signal.SIGTERM)

    def _cut_lifeline(self) -> None:
        """Put /dev/null in the pipe's place: another thread may use the descriptor, so it must not be closed here."""
        with self._closing:
            if self.process.stdin is not None and not self.process.stdin.closed:
                nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(nothing, self.process.stdin.fileno(), inheritable=False)
                os.close(nothing)

    def _signal_all(self, number: signal.Signals) -> None:
        """A signal to the group, even when its leader has ended, and to the descendants that were found."""
        with suppress(ProcessLookupError, PermissionError):  # gone meanwhile; root's sudo, which `timeout` ends
            os.killpg(self.process.pid, number)
        for descendant in self._held:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descendant, number)

    def _await_end(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.has_ended() and time.monotonic() < until:
            self._exchange(_TICK)
        self._drain()

    def _exchange(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            key.data(key.fileobj)

    def _drain(self) -> None:
        """Read what an ended process left in its pipes, and wait for nothing more."""
        for _ in range(_DRAIN_READS):
            self._exchange(0)

    def _read_stdout(self, pipe: IO[bytes]) -> None:
        data = self._read(pipe)
        if self._room < 0:
            return
        self._room -= len(data)
        self.stdout.append(data)
        if self._lines is not None:
            self._lines.feed(data)

    def _read_stderr(self, pipe: IO[bytes]) -> None:
        self.stderr += self._read(pipe)
        if len(self.stderr) > 2 * STDERR_KEPT:
            del self.stderr[:-STDERR_KEPT]

    def _read(self, pipe: IO[bytes]) -> bytes:
        try:
            data = os.read(pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            self._selector.unregister(pipe)
        return data

    def _write_stdin(self, pipe: IO[bytes]) -> None:
        try:
            written = os.write(pipe.fileno(), self._input[:_CHUNK])
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not want its input: that is its own affair
            written = len(self._input)
        self._input = self._input[written:]
        if not self._input:
            self._selector.unregister(pipe)
            if not self._lifeline:
                pipe.close()


def _wake(_: int) -> None:
    """The process ended; the loop that was waiting sees to it."""


class _Lines:
    """Cuts a stream of bytes into lines of text."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Pass on every line that `data` completes; no data is the stream's end, and passes on the rest."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._on_line(line.decode(errors="replace").removesuffix("\r"))


def _result(result: Outcome | BaseException) -> Outcome:
    if isinstance(result, BaseException):
        raise result
    return result


def _start(launch: Launch) -> subprocess.Popen[bytes]:
    become = launch.become
    return subprocess.Popen(
        launch.argv,
        bufsize=0,
        stdin=subprocess.DEVNULL if launch.stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=launch.environment,
        start_new_session=True,
        user=become.uid if become else None,
        group=become.gid if become else None,
        extra_groups=become.groups() if become else None,
    )


def _find(launch: Launch) -> str | None:
    program = launch.argv[0]
    if "/" in program:
        return program if Path(program).exists() else None
    return shutil.which(program, path=launch.environment["PATH"])


def _verdict(command: Command, launch: Launch, child: _Child, ending: _Ending, log: str) -> Verdict:
    exit_code = child.process.returncode
    if ending is _Ending.DEADLINE:
        return overdue(command)
    if ending is _Ending.TOO_MUCH_OUTPUT:
        message = f"{command.argv[0]} wrote more than {command.output_limit} bytes and was stopped"
        return Verdict(exit_code=None, failure=Failure.TOO_MUCH_OUTPUT, message=message)
    if ending is _Ending.STOPPED or exit_code is None:
        return Verdict(exit_code=exit_code, message=f"{command.argv[0]} was stopped together with pgwrap")
    stderr = child.stderr.decode(errors="replace") if launch.through else ""
    ssh_said = Path(log).read_text(errors="replace") if log and exit_code == 255 else ""
    return judge(launch, command, exit_code, stderr, child.seconds, ssh_said)


def _refused(command: Command, reason: Unlaunchable) -> Outcome:
    return Outcome(command=command, failure=reason.failure, message=reason.message)


@contextmanager
def _ssh_log(command: Command) -> Iterator[str]:
    """A private file for ssh's own messages, which tell them from the remote program's; empty without a host."""
    if command.host is None:
        yield ""
        return
    with tempfile.NamedTemporaryFile(prefix="pgwrap-ssh-") as file:
        yield file.name


def _await_ends(children: tuple[_Child, ...], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not all(child.has_ended() for child in children):
        time.sleep(_TICK / 5)


def _summary(outcome: Outcome) -> str:
    if outcome.failure is not None:
        return f"{outcome.failure.value} after {outcome.seconds:.3f} s ({outcome.message})"
    return f"exit {outcome.exit_code} after {outcome.seconds:.3f} s"
