"""Runs programs for the laboratory, as the right user and under a deadline; it never uses a shell."""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE = 120.0
"""Seconds that a program has unless its caller says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a program did; its exit code is negative for the signal that ended it."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    seconds: float

    @property
    def typed(self) -> str:
        """The command as a user would type it."""
        return shlex.join(self.argv)


class ProgramFailed(Exception):
    """A program that the laboratory needs ended badly; the message holds all it said."""

    def __init__(self, ran: Ran, reason: str = "") -> None:
        said = f"{ran.stdout}{ran.stderr}".rstrip()
        super().__init__(f"{reason or f'exit code {ran.exit_code}'} after {ran.seconds:.1f} s: {ran.typed}\n{said}")
        self.ran = ran


def run(
    argv: tuple[str, ...],
    *,
    user: str | None = None,
    deadline: float = DEADLINE,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    stdin: str = "",
) -> Ran:
    """Run a program to its end; ProgramFailed past the deadline, and for a non-zero exit code when `check`."""
    started = time.monotonic()
    with start(argv, user=user, environment=environment, directory=directory) as process:
        try:
            stdout, stderr = process.communicate(stdin.encode(), timeout=deadline)
        except subprocess.TimeoutExpired as expired:
            stop_group(process)
            ran = _ran(argv, -signal.SIGKILL, expired.stdout or b"", expired.stderr or b"", started)
            raise ProgramFailed(ran, "no end before the deadline") from None
        except BaseException:
            stop_group(process)
            raise
    ran = _ran(argv, process.returncode, stdout, stderr, started)
    if check and ran.exit_code != 0:
        raise ProgramFailed(ran)
    return ran


def start(
    argv: tuple[str, ...],
    *,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, with pipes; the caller waits for it."""
    account = None if user is None or user == current_user() else pwd.getpwnam(user)
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(account, environment or {}),
        cwd=directory or "/",
        start_new_session=True,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=os.getgrouplist(account.pw_name, account.pw_gid) if account else None,
    )


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and whatever it started in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def current_user() -> str:
    """The name of the user who runs this."""
    return pwd.getpwuid(os.geteuid()).pw_name


def processes_in(directory: Path) -> tuple[int, ...]:
    """Processes that work in `directory` or name it on their command line (all but this one)."""
    return tuple(pid for pid in _all_processes() if pid != os.getpid() and _belongs(pid, str(directory)))


def describe(pid: int) -> str:
    """A process's command line, for messages."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "(gone)"


def end_processes(directory: Path, patience: float = 10.0) -> tuple[int, ...]:
    """End every process that belongs to `directory`, politely first; what was found at the start."""
    found = processes_in(directory)
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_in(directory):
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        limit = time.monotonic() + patience
        while processes_in(directory) and time.monotonic() < limit:
            time.sleep(0.05)
    return found


def _all_processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _belongs(pid: int, directory: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        if directory in command:
            return True
        place = str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return False
    return place == directory or place.startswith(f"{directory}/")


def _ran(argv: tuple[str, ...], exit_code: int, stdout: bytes, stderr: bytes, started: float) -> Ran:
    return Ran(
        argv=argv,
        exit_code=exit_code,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
        seconds=time.monotonic() - started,
    )


def _environment(account: pwd.struct_passwd | None, additions: Mapping[str, str]) -> dict[str, str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PG", "PGBACKREST_", "BARMAN_"))
    }
    environment["LC_ALL"] = "C.UTF-8"
    if account is not None:
        environment |= {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    return environment | dict(additions)
