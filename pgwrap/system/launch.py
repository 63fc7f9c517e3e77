"""Turns a Command into what is started here: as it is, with privileges dropped, through sudo, or through ssh; and
reads sudo's, ssh's and timeout's own exit codes back. It starts nothing.

Under sudo and over ssh the program belongs to somebody whom this process may not signal. There it is started by a
small POSIX shell program, fixed below: its environment comes by stdin, so that no secret is ever in an argument,
coreutils' `timeout` holds the deadline, and the open stdin is a lifeline, so that the program is stopped when pgwrap
stops, dies, or loses the network. Arguments reach it as positional parameters: the shell never parses them.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from pgwrap.domain.command import Command, Failure
from pgwrap.records import dataclass

SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
KILL_AFTER = 5.0
"""Seconds between SIGTERM and SIGKILL under sudo and over ssh."""
LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

_READ_ENVIRONMENT = (
    'while IFS= read -r line && [ -n "$line" ]; do export "$line"; done; '
    f"cd /; PATH=$PATH:{':'.join(SYSTEM_PATHS)}; export PATH; "
)
# Without this a missing program looks like a forbidden one when PATH has a directory that the user may not search.
_FIND_PROGRAM = (
    'case $5 in */*) ;; *) command -v "$5" >/dev/null 2>&1 || '
    '{ echo "pgwrap: there is no program $5 on PATH" >&2; exit 127; };; esac; '
)
_WITH_OWN_STDIN = _READ_ENVIRONMENT + _FIND_PROGRAM + 'exec "$@"'
_WITH_LIFELINE = (  # the signal goes to the group that `timeout` made: an old `timeout` may die of it before its child
    _READ_ENVIRONMENT + _FIND_PROGRAM + 'exec 3<&0; "$@" </dev/null 3<&- & child=$!; '
    '{ read -r line; kill -s TERM -- "-$child" || kill -s TERM "$child"; } <&3 3<&- >/dev/null 2>&1 & watch=$!; '
    'exec 3<&- </dev/null; wait "$child"; status=$?; '
    'exec 2>/dev/null; kill "$watch"; exit "$status"'
)
_BECOME = (
    'user=$1; shift; if [ "$(id -un)" = "$user" ]; then exec "$@"; fi; '
    'if [ "$(id -u)" = 0 ]; then exec runuser -u "$user" -- "$@"; fi; '
    'exec sudo -n -H -u "$user" -- "$@"'
)

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TIMEOUT_CANNOT_RUN = re.compile(r"^(?:timeout: failed to run command|pgwrap: there is no program) (.*)$", re.MULTILINE)
_NO_SUCH_USER = re.compile(
    r"^(sudo: unknown user.*|sudo: error initializing.*|runuser: user .* does not exist.*)$", re.MULTILINE
)
_SUDO_REFUSES = re.compile(
    r"^(sudo: (?:a password is required|a terminal is required|no tty present|sorry, you must have a tty|"
    r"account validation|PAM|effective uid is not 0|.*no new privileges|you do not exist|unable to change).*"
    r"|Sorry, user .*|.* is not in the sudoers file.*|.* may not run sudo .*)$",
    re.MULTILINE,
)
_KEEPER_MISSING = re.compile(r"^(.*\b(?:timeout|sudo|runuser|sh)\b.*not found)$", re.MULTILINE)
_CONNECTION_LOST = re.compile(r"^((?:Connection to .* closed|Timeout, server|ssh: |client_loop: ).*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a process becomes before it starts its program."""

    name: str
    uid: int
    gid: int
    home: str

    @classmethod
    def of(cls, name: str) -> Identity | None:
        """The user called `name` in the user database; None when there is none."""
        try:
            entry = pwd.getpwnam(name)
        except (KeyError, ValueError):
            return None
        return cls(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir)

    @classmethod
    def current(cls) -> Identity:
        """Who runs pgwrap; a user without an entry (in a container) keeps what the environment says."""
        try:
            entry = pwd.getpwuid(os.geteuid())
        except KeyError:
            name = os.environ.get("USER", str(os.geteuid()))
            return cls(name=name, uid=os.geteuid(), gid=os.getegid(), home=os.environ.get("HOME", "/"))
        home = os.environ.get("HOME") or entry.pw_dir
        return cls(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=home)

    def groups(self) -> list[int]:
        """The ids of every group of the user, as initgroups(3) would set them."""
        return os.getgrouplist(self.name, self.gid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start on this machine for a command."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    stdin: bytes | None = field(default=None, repr=False)
    become: Identity | None = None
    """Drop privileges to this user first (root only)."""
    through: Literal["sudo", "ssh"] | None = None
    lifeline: bool = False
    """Whether stdin stays open while it runs, and closing it stops the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlaunchable:
    """Why a command cannot be started."""

    failure: Failure
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an ended process means for its command."""

    exit_code: int | None
    failure: Failure | None = None
    message: str = ""


def plan_launch(command: Command, ssh_options: tuple[str, ...] = (), ssh_log: str = "") -> Launch | Unlaunchable:
    """How to start `command`; `ssh_log` is the file for what ssh itself has to say (empty: with the rest on stderr)."""
    if not command.argv:
        return Unlaunchable(failure=Failure.MISSING, message="there is no program to run: the command is empty")
    if command.host is not None:
        return _over_ssh(command, command.host, ssh_options, ssh_log)
    current = Identity.current()
    if command.run_as is None or command.run_as == current.name:
        return _direct(command, current)
    target = Identity.of(command.run_as)
    if target is None:
        return Unlaunchable(failure=Failure.MISSING, message=f"there is no user {command.run_as!r} on this machine")
    if target.uid == current.uid:
        return _direct(command, current)
    return _direct(command, target) if current.uid == 0 else _through_sudo(command, target, current)


def _direct(command: Command, user: Identity) -> Launch:
    becomes_other = user.uid != os.geteuid()
    environment = clean_environment(user)
    if "TMPDIR" in os.environ and not becomes_other:
        environment["TMPDIR"] = os.environ["TMPDIR"]
    return Launch(
        argv=command.argv,
        environment=environment | dict(command.environment),
        stdin=command.stdin,
        become=user if becomes_other else None,
    )


def clean_environment(user: Identity) -> dict[str, str]:
    """The few variables a child gets: nothing of PGBACKREST_*, BARMAN_* or PG* that the caller happens to have."""
    return {"PATH": search_path(), "HOME": user.home, "USER": user.name, "LOGNAME": user.name} | LOCALE


def search_path() -> str:
    """The caller's PATH with the system administrator's directories added: engines and PostgreSQL tools live there."""
    directories = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join((*directories, *(path for path in SYSTEM_PATHS if path not in directories)))


def _through_sudo(command: Command, target: Identity, current: Identity) -> Launch | Unlaunchable:
    stdin = _environment_lines({"PATH": search_path()} | LOCALE | dict(command.environment))
    if isinstance(stdin, Unlaunchable):
        return stdin
    return Launch(
        argv=("sudo", "-n", "-H", "-u", target.name, "--", *_kept(command)),
        environment=clean_environment(current),
        stdin=stdin + (command.stdin or b""),
        through="sudo",
        lifeline=command.stdin is None,
    )


def _over_ssh(command: Command, host: str, ssh_options: tuple[str, ...], ssh_log: str) -> Launch | Unlaunchable:
    stdin = _environment_lines(LOCALE | dict(command.environment))
    if isinstance(stdin, Unlaunchable):
        return stdin
    remote = _kept(command)
    if command.run_as is not None:
        remote = ("sh", "-c", _BECOME, "pgwrap", command.run_as, *remote)
    agent = {name: os.environ[name] for name in ("SSH_AUTH_SOCK", "KRB5CCNAME") if name in os.environ}
    return Launch(
        argv=("ssh", *ssh_options, *_ssh_settings(command.deadline, ssh_log), "--", host, shlex.join(remote)),
        environment=clean_environment(Identity.current()) | agent,
        stdin=stdin + (command.stdin or b""),
        through="ssh",
        lifeline=command.stdin is None,
    )


def _ssh_settings(deadline: float, ssh_log: str) -> tuple[str, ...]:
    connect = max(1, min(10, int(deadline)))
    settings = (
        "BatchMode=yes",
        f"ConnectTimeout={connect}",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
        "ForwardAgent=no",
        "ForwardX11=no",
        "ClearAllForwardings=yes",
        "LogLevel=ERROR",
    )
    log = ("-E", ssh_log) if ssh_log else ()
    return ("-T", *log, *(part for setting in settings for part in ("-o", setting)))


def _kept(command: Command) -> tuple[str, ...]:
    """argv of the shell program that runs the command where this process may send it no signal."""
    program = _WITH_LIFELINE if command.stdin is None else _WITH_OWN_STDIN
    seconds = f"{max(command.deadline, 0.001):.3f}"
    timeout = ("timeout", "--signal=TERM", f"--kill-after={KILL_AFTER:g}", seconds)
    return ("sh", "-c", program, "pgwrap", *timeout, *command.argv)


def _environment_lines(environment: Mapping[str, str]) -> bytes | Unlaunchable:
    for name, value in environment.items():
        if not _VARIABLE_NAME.fullmatch(name) or "\n" in value or "\0" in value:
            message = f"the environment variable {name!r} cannot be passed on: a name or value of more than one line"
            return Unlaunchable(failure=Failure.DENIED, message=message)
    return "".join(f"{name}={value}\n" for name, value in environment.items()).encode(errors="surrogateescape") + b"\n"


def refusal(error: OSError | ValueError, launch: Launch, program_found: str | None) -> Unlaunchable:
    """Why the operating system would not start `launch`; `program_found` is where its program lies, None: nowhere."""
    program = launch.argv[0]
    if isinstance(error, ValueError):
        return Unlaunchable(failure=Failure.DENIED, message=f"{program!r} cannot be run: {error}")
    if launch.become is not None and error.filename != program:
        message = f"privileges cannot be dropped to user {launch.become.name}: {error.strerror}"
        return Unlaunchable(failure=Failure.DENIED, message=message)
    if program_found is None:
        return Unlaunchable(failure=Failure.MISSING, message=_not_installed(launch))
    if isinstance(error, FileNotFoundError):
        message = f"{program_found} names an interpreter that does not exist"
        return Unlaunchable(failure=Failure.MISSING, message=message)
    who = launch.become.name if launch.become else Identity.current().name
    return Unlaunchable(failure=Failure.DENIED, message=f"{program_found} cannot be run as {who}: {error.strerror}")


def _not_installed(launch: Launch) -> str:
    program = launch.argv[0]
    if launch.through == "sudo":
        return "sudo is not installed: run pgwrap as root, or as the user that the command needs"
    if "/" in program:
        return f"there is no program {program}"
    return f"the program {program!r} was not found on PATH"


def judge(launch: Launch, command: Command, exit_code: int, stderr: str, seconds: float, ssh_said: str = "") -> Verdict:
    """What the end of a process means: the program's own end, or something that sudo, ssh or timeout did instead."""
    if launch.through is None:
        return Verdict(exit_code=exit_code)
    if seconds >= command.deadline and exit_code in (124, 137, 143, -9, -15):
        return overdue(command)
    if launch.through == "ssh" and exit_code == 255:
        return _ssh_failure(command, stderr, ssh_said)
    failed = _intermediary_failure(command, exit_code, stderr)
    if failed is not None:
        return failed
    # A shell reports a signal as 128 + its number.
    return Verdict(exit_code=128 - exit_code if 128 < exit_code < 160 else exit_code)


def overdue(command: Command) -> Verdict:
    """The verdict on a command that was stopped at its deadline."""
    message = f"{command.argv[0]} did not end within {command.deadline:g} s and was stopped"
    return Verdict(exit_code=None, failure=Failure.TIMEOUT, message=message)


def _ssh_failure(command: Command, stderr: str, ssh_said: str) -> Verdict:
    said = " ".join(f"{ssh_said} {' '.join(_CONNECTION_LOST.findall(stderr))}".split())
    if said:
        message = f"ssh could not reach {command.host}, or lost it: {said}"
        return Verdict(exit_code=None, failure=Failure.UNREACHABLE, message=message)
    message = f"255 came from the program on {command.host}, or its connection ended; ssh itself reported nothing"
    return Verdict(exit_code=255, message=message)


def _intermediary_failure(command: Command, exit_code: int, stderr: str) -> Verdict | None:
    where = f" on {command.host}" if command.host else ""
    cannot_run = _TIMEOUT_CANNOT_RUN.findall(stderr)
    if exit_code in (126, 127) and cannot_run:
        failure = Failure.MISSING if exit_code == 127 else Failure.DENIED
        return Verdict(exit_code=None, failure=failure, message=f"{cannot_run[-1]}{where}")
    not_found = _KEEPER_MISSING.findall(stderr)
    if exit_code == 127 and not_found:
        return Verdict(exit_code=None, failure=Failure.MISSING, message=f"{not_found[-1]}{where}")
    if exit_code == 1 and command.run_as is not None:
        return _become_failure(command.run_as, stderr, where)
    return None


def _become_failure(user: str, stderr: str, where: str) -> Verdict | None:
    if _NO_SUCH_USER.search(stderr):
        return Verdict(exit_code=None, failure=Failure.MISSING, message=f"there is no user {user!r}{where or ' here'}")
    refused = _SUDO_REFUSES.search(stderr)
    if refused is None:
        return None
    message = (
        f"sudo may not run commands as {user}{where}: {refused[0].strip()}. "
        f"Allow it with a sudoers line such as 'NAME ALL=({user}) NOPASSWD: ALL', or run pgwrap as root"
    )
    return Verdict(exit_code=None, failure=Failure.DENIED, message=message)
