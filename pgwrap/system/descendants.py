"""Finds the descendants of a process, so that those that left its process group can be stopped as well. It reads
/proc and signals nobody.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def descendants(process: int) -> tuple[int, ...]:
    """The ids of the living children of `process`, their children, and so on; see proc_pid_stat(5).

    A daemon that was handed to init on purpose is no descendant any more.
    """
    children = _children()
    found: list[int] = []
    waiting = [process]
    while waiting:
        born = children.get(waiting.pop(), [])
        found += born
        waiting += born
    return tuple(found)


def hold(processes: tuple[int, ...]) -> tuple[int, ...]:
    """A pidfd for each process that still exists: unlike its id, it never comes to mean another process."""
    held = []
    for process in processes:
        with suppress(ProcessLookupError):
            held.append(os.pidfd_open(process))
    return tuple(held)


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it ended meanwhile
                # The program's name stands in parentheses and may hold anything; the parent is the second field after.
                status = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(status[1]), []).append(int(entry.name))
    return children
