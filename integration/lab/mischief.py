"""What goes wrong on real machines, done on purpose: held locks, killed engines, full disks. It mends nothing."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from integration.lab.process import start
from integration.lab.room import Room

_HOLD = """\
import fcntl, sys, time
files = [open(path, "a+") for path in sys.argv[2:]]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[1]))
"""


@contextmanager
def holding(room: Room, *paths: Path, seconds: float = 600.0) -> Iterator[None]:
    """Another process of the engines' user holds these locks, so long or until the block ends."""
    argv = ("/usr/bin/env", "python3", "-c", _HOLD, str(seconds), *map(str, paths))
    with start(argv, user=room.machine.user, directory=room.path) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield
        finally:
            process.kill()
            process.wait()


def when_running(room: Room, *words: str, act: Callable[[int], None], deadline: float = 60.0) -> int:
    """Wait for an engine's process of this room whose arguments hold all `words`, and do `act` to it; its id."""
    limit = time.monotonic() + deadline
    while time.monotonic() < limit:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _is_engine(entry, (str(room.path), *words)):
                act(int(entry.name))
                return int(entry.name)
        time.sleep(0.005)
    raise TimeoutError(f"no process with {words}")


def _is_engine(entry: Path, words: tuple[str, ...]) -> bool:
    with suppress(OSError):
        command = (entry / "cmdline").read_bytes().decode(errors="replace")
        program = command.replace("\0", " ")
        return all(word in program for word in words) and "pgwrap\0" not in command and int(entry.name) != os.getpid()
    return False


@contextmanager
def small_disk(room: Room, path: Path, size: str) -> Iterator[bool]:
    """A file system of so little room at `path`; yields whether this user may mount one at all."""
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", f"size={size},mode=0750", "tmpfs", str(path)), check=False, capture_output=True
    )
    if mounted.returncode != 0:
        yield False
        return
    room.give(path)
    try:
        yield True
    finally:
        subprocess.run(("umount", "--lazy", str(path)), check=True)
