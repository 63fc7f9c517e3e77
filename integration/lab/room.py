"""A temporary directory that owns everything an experiment makes; leaving it ends its processes and removes it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from integration.lab.machine import Machine
from integration.lab.process import Ran, end_processes, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A directory of the unprivileged user's, on a machine."""

    machine: Machine
    path: Path

    def directory(self, *parts: str, mode: int = 0o750) -> Path:
        """Make a directory, and those above it, for the unprivileged user."""
        path = self.path
        for part in "/".join(parts).split("/"):
            path /= part
            if not path.exists():
                path.mkdir()
                path.chmod(mode)
                self.give(path)
        return path

    def write(self, name: str, text: str, mode: int = 0o640) -> Path:
        """Write a file for the unprivileged user; directories above it are made."""
        path = self.path / name
        if path.parent != self.path:
            self.directory(str(path.parent.relative_to(self.path)))
        path.write_text(text)
        path.chmod(mode)
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        """Give a path to the unprivileged user (root only; otherwise it is theirs already)."""
        if os.geteuid() == 0:
            shutil.chown(path, self.machine.user, self.machine.user if self.machine.user == "postgres" else None)

    def run(self, *argv: str, check: bool = True, deadline: float = 120.0, stdin: str = "", **environment: str) -> Ran:
        """Run a program as the unprivileged user, in this room."""
        return run(
            argv,
            user=self.machine.user,
            directory=self.path,
            check=check,
            deadline=deadline,
            stdin=stdin,
            environment=environment,
        )


@contextmanager
def room(machine: Machine, name: str = "lab") -> Iterator[Room]:
    """A new room under /var/tmp; whatever happens, nothing of it is left afterwards."""
    path = Path(tempfile.mkdtemp(prefix=f"pgwrap-{name}-", dir="/var/tmp"))  # on disk, and short enough for sockets
    path.chmod(0o755)
    place = Room(machine=machine, path=path)
    place.give(path)
    try:
        yield place
    finally:
        end_processes(path)
        shutil.rmtree(path)


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Inside it SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that rooms are left in order."""

    def unwind(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, unwind) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
