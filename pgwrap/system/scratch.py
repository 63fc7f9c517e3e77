"""The scratch door: private directories for restored copies, and the processes in them. It touches no directory that
does not bear the mark of the claim it is given.

Processes are ended by signals and not by programs, so that it works while pgwrap itself is being stopped.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Final

from pgwrap.errors import PgwrapError, Refused, UsageError
from pgwrap.records import dataclass
from pgwrap.system.port import MARK_VARIABLE, ScratchClaim, ScratchPlace

MARK: Final = "pgwrap-drill"
LONGEST_SOCKET: Final = 100
"""Bytes that a socket's path may have; the kernel's limit is 107 (unix(7))."""
SERVER_PROGRAMS: Final = ("postgres", "postmaster")
_PATIENCE: Final = 10.0
_PAGE: Final = 8192
_LOG_KEPT: Final = 4 << 20
_REMAINS: Final = (
    *("recovery.signal", "standby.signal", "barman_wal", ".barman-recover.info", "backup_manifest*"),
    *("backup_label.old", "tablespace_map.old", "postmaster.opts", "postmaster.pid"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchDirectories:
    """See `pgwrap.system.port.Scratch`."""

    _locks: dict[str, int] = field(default_factory=dict, repr=False)
    """The descriptor that holds each directory's lock; the kernel lets go of it when this process dies."""

    def default_parent(self) -> str:
        """TMPDIR, else /tmp."""
        return tempfile.gettempdir()

    def free_bytes(self, directory: str) -> int:
        """What is free for an ordinary user on the file system of `directory`."""
        try:
            found = os.statvfs(directory)
        except OSError as error:
            raise _cannot("look at", directory, error) from error
        return found.f_bavail * found.f_frsize

    def make(self, claim: ScratchClaim, owner: str | None) -> ScratchPlace:
        """The directory of the claim, mode 0711, with one for each purpose in it, 0700 and `owner`'s."""
        place = _place(claim.path)
        if len(place.sockets.encode()) > LONGEST_SOCKET:
            message = f"{claim.path} is too long a path for PostgreSQL's socket"
            raise UsageError(message, hint="name a shorter one with --directory, or in the spec's drill.directory")
        try:
            Path(claim.path).mkdir(mode=0o711)
            self._mark(claim)
            for path in (place.data, place.tablespaces, place.sockets, place.spool, str(Path(place.log).parent)):
                _private(path, owner)
            Path(place.settings).mkdir(mode=0o755)
        except OSError as error:
            raise _cannot("make", claim.path, error) from error
        return place

    def hold(self, claim: ScratchClaim) -> None:
        """The directory of the claim alone, mode 0711: whoever is given something in it can reach that."""
        try:
            Path(claim.path).mkdir(mode=0o711)
            self._mark(claim)
        except OSError as error:
            raise _cannot("make", claim.path, error) from error

    def _mark(self, claim: ScratchClaim) -> None:
        descriptor = os.open(Path(claim.path) / MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, claim.token.encode())
        self._locks[claim.path] = descriptor

    def abandoned(self, claim: ScratchClaim) -> bool | None:
        """Whether the mark holds the claim's token and nobody holds its lock any more."""
        if not os.path.lexists(claim.path):
            return None
        return claim.path not in self._locks and _is_left(claim)

    def remove(self, claim: ScratchClaim) -> tuple[str, ...]:
        """End what runs in it, remove it, and look again. Refused for a directory that is not the claim's."""
        if claim.path not in self._locks and self.abandoned(claim) is False:
            raise Refused(f"{claim.path} is not a directory that this drill made", hint="remove it by hand")
        _end_processes(claim)
        shutil.rmtree(claim.path, ignore_errors=True)
        descriptor = self._locks.pop(claim.path, None)
        if descriptor is not None:
            os.close(descriptor)
        alive = tuple(f"process {process}" for process in _processes_of(claim))
        return alive + ((claim.path,) if os.path.lexists(claim.path) else ())

    def complete(self, place: ScratchPlace, owner: str | None, *, signal: bool) -> bool:
        """Barman 3.13 leaves pg_wal out of an incremental backup, pg_tblspc too where it has no tablespace, and
        recovery.signal where it has copied all WAL."""
        try:
            for name in ("pg_wal", "pg_tblspc"):
                if not os.path.lexists(f"{place.data}/{name}"):
                    _private(f"{place.data}/{name}", owner)
            file = Path(place.data) / "recovery.signal"
            if not signal or os.path.lexists(file):
                return False
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            _give(file, owner)
        except OSError as error:
            raise _cannot("complete", place.path, error) from error
        return True

    def hand_over(self, place: ScratchPlace, owner: str | None) -> None:
        """The owner of everything but the place itself and its settings, which stay whose who made them; links are not
        followed."""
        if owner is None or os.geteuid() != 0:
            return
        try:
            entry = pwd.getpwnam(owner)
            for path in (place.data, place.tablespaces, place.sockets, place.spool, str(Path(place.log).parent)):
                _give(Path(path), owner)
                for _, directories, files, descriptor in os.fwalk(path):
                    for name in (*directories, *files):
                        os.chown(name, entry.pw_uid, entry.pw_gid, dir_fd=descriptor, follow_symlinks=False)
        except (OSError, KeyError) as error:
            raise UsageError(f"{place.path} cannot be given to {owner}: {error}") from error

    def settle(self, place: ScratchPlace) -> None:
        """Barman keeps each file that it changes as NAME.origin (recovery_executor.py), and leaves WAL, a manifest and
        notes of its own; PostgreSQL leaves how it was started."""
        data = Path(place.data)
        try:
            for path in (*data.glob("*.conf.origin"), *data.glob("*/*.conf.origin")):
                path.replace(path.with_suffix(""))
            for path in (found for pattern in _REMAINS for found in data.glob(pattern)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        except OSError as error:
            raise _cannot("settle", place.path, error) from error

    def damage(self, path: str) -> None:
        """Turn the line pointers and half the page in the middle of the file into their complement."""
        if not any(Path(path).is_relative_to(own) for own in self._locks):
            raise Refused(f"{path} is in no scratch directory of this drill")
        with Path(path).open("r+b") as file:
            pages = file.seek(0, os.SEEK_END) // _PAGE
            file.seek(pages // 2 * _PAGE + 24)
            spoilt = bytes(byte ^ 0xFF for byte in file.read(_PAGE // 2))
            file.seek(-len(spoilt), os.SEEK_CUR)
            file.write(spoilt)
            file.flush()
            os.fsync(file.fileno())

    def server_status(self, place: ScratchPlace) -> str | None:
        """The eighth line of postmaster.pid (src/include/utils/pidfile.h)."""
        try:
            lines = Path(place.data, "postmaster.pid").read_text(errors="replace").splitlines()
        except OSError:
            return None
        if not lines or not lines[0].strip().isdecimal() or not Path("/proc", lines[0].strip()).exists():
            return None
        return lines[7].strip() if len(lines) > 7 else "starting"

    def tail(self, path: str) -> str:
        """The last few MiB of a log."""
        try:
            with Path(path).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_KEPT))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""


def _place(path: str) -> ScratchPlace:
    return ScratchPlace(
        path=path,
        data=f"{path}/data",
        tablespaces=f"{path}/tablespaces",
        sockets=f"{path}/run",
        spool=f"{path}/spool",
        log=f"{path}/log/postgresql.log",
        settings=f"{path}/etc",
    )


def _private(path: str, owner: str | None) -> None:
    directory = Path(path)
    directory.mkdir(mode=0o700)
    _give(directory, owner)


def _give(path: Path, owner: str | None) -> None:
    if owner is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(owner)
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _is_left(claim: ScratchClaim) -> bool:
    """Whether the mark is this claim's and its maker dead."""
    try:
        descriptor = os.open(Path(claim.path) / MARK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return _is_bare(claim.path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.read(descriptor, 200).decode(errors="replace") == claim.token
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def _is_bare(path: str) -> bool:
    """Whether it is an empty directory of ours: its maker died before it could mark it."""
    try:
        found = os.lstat(path)
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not os.listdir(path)  # noqa: PTH208
    except OSError:
        return False


def _end_processes(claim: ScratchClaim) -> None:
    """Politely first: engines end at SIGTERM, and PostgreSQL, at SIGQUIT, leaves no shared memory behind."""
    for number in (None, signal.SIGKILL):
        for process in _processes_of(claim):
            _signal(process, claim, number)
        until = time.monotonic() + _PATIENCE
        while any(_processes_of(claim)) and time.monotonic() < until:
            time.sleep(0.05)


def _signal(process: int, claim: ScratchClaim, number: signal.Signals | None) -> None:
    """Through a descriptor, and only if it is still the same process: ids are used again."""
    polite = signal.SIGQUIT if _is_server(process, claim) else signal.SIGTERM
    with suppress(ProcessLookupError, PermissionError):
        held = os.pidfd_open(process)
        try:
            if _is_of(process, claim):
                signal.pidfd_send_signal(held, number or polite)
        finally:
            os.close(held)


def _processes_of(claim: ScratchClaim) -> Iterator[int]:
    """The drill's processes: those with its token in their environment, and PostgreSQL at work in its directory.

    Somebody else's `tail` of a log in it is none of them.
    """
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names alone
        if entry.isdecimal() and int(entry) != os.getpid() and _is_of(int(entry), claim):
            yield int(entry)


def _is_of(process: int, claim: ScratchClaim) -> bool:
    return _is_server(process, claim) or _has_token(process, claim)


def _has_token(process: int, claim: ScratchClaim) -> bool:
    marked = f"{MARK_VARIABLE}={claim.token}"
    environment = _read(lambda: Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace"))
    return marked in environment.split("\0")


def _is_server(process: int, claim: ScratchClaim) -> bool:
    """PostgreSQL writes its title over its environment (ps_status.c), but never leaves its data directory."""
    place = _read(lambda: os.readlink(f"/proc/{process}/cwd")).removesuffix(" (deleted)")  # noqa: PTH115
    if place != f"{claim.path}/data" and not place.startswith(f"{claim.path}/data/"):
        return False
    program = _read(lambda: os.readlink(f"/proc/{process}/exe")).removesuffix(" (deleted)")  # noqa: PTH115
    return Path(program).name in SERVER_PROGRAMS


def _read(look: Callable[[], str]) -> str:
    try:
        return look()
    except OSError:  # it ended meanwhile, or is somebody else's
        return ""


def _cannot(verb: str, path: str, error: OSError) -> PgwrapError:
    hint = "name another one with --directory, or in the spec's drill.directory"
    if error.errno == errno.ENOSPC:
        hint = "make room there, or name another directory with --directory"
    return UsageError(f"cannot {verb} the scratch directory {path}: {error.strerror}", hint=hint)
