"""What pgwrap remembers of restores in its state directory: those that were not finished, and how fast others were.

It decides nothing, and what cannot be kept is said by its absence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import posixpath
from dataclasses import asdict, replace
from statistics import median

from pgwrap.domain.plan import WriteFile
from pgwrap.errors import PgwrapError
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_KEPT = 50
_TAKEN = 5
"""How many of the newest restores an expectation stands on."""
_LOG = logging.getLogger("pgwrap.restore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A restore into one directory."""

    directory: str
    host: str | None
    identity: str | None
    """Device and inode of the directory that it filled."""
    cluster: str
    backup: str
    started_at: str
    tablespaces: tuple[str, ...] = ()
    """The same of its tablespaces' directories."""
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How long an engine took for so many bytes."""

    engine: str
    cluster: str
    repository: str | None
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreMemory:
    """The files below `state`."""

    world: World
    state: str

    def marker(self, directory: str, host: str | None) -> Marker | None:
        """The newest restore into a directory; None when nothing is known."""
        data = self._read(self._marker_path(directory, host))
        try:
            found = Marker(**data) if isinstance(data, dict) else None
            return None if found is None else replace(found, tablespaces=tuple(found.tablespaces))
        except TypeError:
            _LOG.warning("the note of a restore into %s is not understood", directory)
            return None

    def keep_marker(self, marker: Marker) -> str | None:
        """Remember it; a sentence when that cannot be."""
        return self._write(self._marker_path(marker.directory, marker.host), asdict(marker))

    def keep_speed(self, speed: Speed) -> str | None:
        """Remember how long it took; a sentence when that cannot be."""
        return self._write(self._speed_path(), [asdict(one) for one in (*self._speeds(), speed)][-_KEPT:])

    def expectation(self, engine: str, cluster: str, repository: str | None, size: int | None) -> tuple[float, str]:
        """Seconds for so many bytes and what that stands on: restores of the same place, else of the same engine.

        LookupError when there is nothing to go by.
        """
        speeds = [one for one in self._speeds() if one.engine == engine]
        own = [one for one in speeds if (one.cluster, one.repository) == (cluster, repository)]
        chosen = (own or speeds)[-_TAKEN:]
        if size is None or not chosen:
            raise LookupError("no restore has been measured yet" if size is not None else "its size is not known")
        rate = median(one.bytes / one.seconds for one in chosen)
        whose = "of this cluster" if own else f"with {engine}"
        return size / rate, f"the last {len(chosen)} measured {whose}; replaying WAL comes on top"

    def _speeds(self) -> tuple[Speed, ...]:
        data = self._read(self._speed_path())
        try:
            found = tuple(Speed(**one) for one in data) if isinstance(data, list) else ()
        except TypeError:
            _LOG.warning("the speeds of restores in %s are not understood", self._speed_path())
            return ()
        return tuple(one for one in found if one.seconds > 0 and one.bytes > 0)

    def _marker_path(self, directory: str, host: str | None) -> str:
        digest = hashlib.sha256(f"{host or ''}:{directory}".encode()).hexdigest()[:16]
        return posixpath.join(self.state, "restores", f"{digest}.json")

    def _speed_path(self) -> str:
        return posixpath.join(self.state, "restores", "speeds.json")

    def _read(self, path: str) -> object:
        try:
            text = self.world.files.read(path)
            return json.loads(text) if text else None
        except (PgwrapError, ValueError) as error:
            _LOG.warning("%s is not used: %s", path, error)
            return None

    def _write(self, path: str, data: object) -> str | None:
        try:
            self.world.files.write(WriteFile(path=path, text=json.dumps(data), mode=0o600))
        except PgwrapError as error:
            _LOG.warning("%s", error)
            return error.message
        return None
