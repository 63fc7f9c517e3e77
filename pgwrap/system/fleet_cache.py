"""Keeps what a spec means between two commands, so that an unchanged spec is not checked anew. It decides nothing.

An entry is a pickle, so only what this user alone can have written is ever loaded: a file of mode 0600 of its own in a
directory of its own that nobody else can write. It belongs to this pgwrap (its files' times) and this Python.
"""

from __future__ import annotations

import logging
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pgwrap
from pgwrap.domain.model import Fleet
from pgwrap.records import dataclass

ENTRIES_KEPT = 8
_PACKAGE = Path(pgwrap.__file__).parent
_LOG = logging.getLogger("pgwrap.cache")
_UNREADABLE = (OSError, EOFError, ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, TypeError,
               ValueError, pickle.PickleError)  # fmt: skip
"""What a damaged pickle can raise (pickle's documentation names some and says that there are others)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPickles:
    """See `pgwrap.spec.loader.FleetCache`; `directory` is made when it is first written to."""

    directory: Path

    def get(self, digest: str) -> Fleet | None:
        """The fleet remembered under this digest by the same program; None for anything doubtful."""
        path = self._path(digest)
        try:
            if not (_is_private(self.directory) and _is_private(path)):
                return None
            fleet = pickle.loads(path.read_bytes())  # noqa: S301 - written by this user alone, see _is_private
        except FileNotFoundError:
            return None
        except _UNREADABLE as error:
            _LOG.info("the remembered spec %s is not used: %s", path, error)
            return None
        return fleet if isinstance(fleet, Fleet) else None

    def put(self, digest: str, fleet: Fleet) -> None:
        """Remember it, atomically, and forget the oldest."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_private(self.directory):
                return
            with tempfile.NamedTemporaryFile(dir=self.directory, prefix="new-", delete=False) as file:
                pickle.dump(fleet, file, protocol=pickle.HIGHEST_PROTOCOL)
            Path(file.name).replace(self._path(digest))
            for old in self._oldest():
                old.unlink(missing_ok=True)
        except OSError as error:
            _LOG.info("the spec is not remembered: %s", error)

    def _path(self, digest: str) -> Path:
        return self.directory / f"{digest}-{_program()}.pickle"

    def _oldest(self) -> list[Path]:
        entries = sorted(self.directory.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)
        return entries[:-ENTRIES_KEPT]


def cache_directory() -> Path | None:
    """`$XDG_CACHE_HOME/pgwrap` or `~/.cache/pgwrap`; None without a home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", ""), ".cache")  # noqa: PTH118
    return Path(base) / "pgwrap" if base.startswith("/") else None


def _is_private(path: Path) -> bool:
    """Whether it is this user's own and nobody else may write it."""
    found = path.lstat()
    return found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode) and not found.st_mode & 0o022


def _program() -> str:
    """What a pickle depends on besides the spec: this Python, and the code that makes a fleet."""
    times = "".join(f"{name}{changed};" for name, changed in _sources())
    return sha256(f"{sys.implementation.cache_tag}{pgwrap.__version__}{times}".encode()).hexdigest()[:16]


def _sources() -> Iterator[tuple[str, int]]:
    for room in ("spec", "domain", "text"):
        for entry in sorted(os.scandir(_PACKAGE / room), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                yield entry.path, entry.stat().st_mtime_ns
