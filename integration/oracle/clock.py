"""A clock that stands still at one moment for whoever is started with it (libfaketime). It changes no other clock."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

NOW = datetime(2027, 3, 30, 12, 0, 0, tzinfo=UTC)
"""Two days after Europe's change to summer time, sixteen after America's."""
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_SHARED_MEMORY = Path("/dev/shm")
_STRUCTURE = 4096


class NoClock(Exception):
    """libfaketime is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The environment in which it is `NOW`."""

    zone: str
    environment: Mapping[str, str]

    def wrapper(self, program: Path) -> str:
        """A shell script that runs `program` under this clock: pgwrap gives its engines a clean environment."""
        exports = "".join(f"export {name}='{value}'\n" for name, value in self.environment.items())
        return f'#!/bin/sh\n{exports}exec {program} "$@"\n'


@contextmanager
def stopped_clock(zone: str) -> Iterator[Clock]:
    """The clock in a time zone; NoClock without the library.

    libfaketime shares its state through a semaphore and a piece of memory, which every process makes anew and leaves
    behind unless it is told of some. These are for all users, and go with the clock.
    """
    library = _library()
    name = f"pgwrap-oracle-{os.getpid()}"
    files = (_SHARED_MEMORY / f"sem.{name}", _SHARED_MEMORY / name)
    try:
        _make_semaphore(f"/{name}")
        files[1].write_bytes(bytes(_STRUCTURE))
        for file in files:
            file.chmod(0o666)
        yield Clock(
            zone=zone,
            environment={
                "TZ": zone,
                "LD_PRELOAD": str(library),
                "FAKETIME": NOW.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S"),
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # deadlines go on
                "FAKETIME_SHARED": f"/{name} /{name}",
                "NO_FAKE_STAT": "1",
            },
        )
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _library() -> Path:
    for place in _LIBRARIES:
        for pattern in ("faketime/libfaketime.so.1", "*/faketime/libfaketime.so.1"):
            found = next(Path(place).glob(pattern), None)
            if found is not None:
                return found
    raise NoClock("libfaketime is missing: apt-get install libfaketime")


def _make_semaphore(name: str) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    library.sem_open.restype = ctypes.c_void_p
    if not library.sem_open(name.encode(), os.O_CREAT, 0o666, 1):
        raise OSError(ctypes.get_errno(), f"no semaphore {name}")
