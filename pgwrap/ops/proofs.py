"""Proves how far WAL reaches in time: fetches an archived segment and reads its commits. It changes no archive.

Source: PostgreSQL's pg_waldump(1); `recovery_target_time` is compared with commit records (xlogrecovery.c,
recoveryStopsBefore), so the last commit that archived WAL holds is the newest time a restore can be asked for.
"""

from __future__ import annotations

import json
import logging
import posixpath
import re
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from threading import Lock

from pgwrap.domain.command import Command
from pgwrap.domain.facts import Observation
from pgwrap.domain.model import Cluster
from pgwrap.domain.plan import WriteFile
from pgwrap.domain.recovery import ProofKey, Stretch, stretches, wanted_proofs
from pgwrap.errors import PgwrapError
from pgwrap.ops.world import World
from pgwrap.records import dataclass
from pgwrap.system.port import Files

Proofs = dict[ProofKey, datetime | None]
"""The newest commit of a segment, None when it holds none; a segment that is not a key was never read."""

_COMMIT = re.compile(rb"desc: COMMIT(?:_PREPARED)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")
_LOG = logging.getLogger("pgwrap.proofs")
SEGMENTS_PER_RUN = 4
"""How many unread segments of a cluster one status reads, newest first; the cache carries on next time."""
DEPTH = 1000
"""How many segments without a commit are walked back through before a stretch's proof is given up."""
CACHE_ENTRIES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitCache:
    """What earlier statuses read, in a file for each system identifier. It is read once, however many clusters of one
    identifier ask, and all of them add to the same proofs: judged side by side, none overwrites what another learnt.
    """

    files: Files
    state: str
    _known: dict[str, Proofs] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, system_identifier: str) -> Proofs:
        """What is known of the WAL of this system; what the caller adds is known to all."""
        with self._lock:
            if system_identifier not in self._known:
                self._known[system_identifier] = self._load(self._path(system_identifier))
            return self._known[system_identifier]

    def keep(self, system_identifier: str) -> None:
        """Write it for the next time, the newest segments only."""
        with self._lock:
            known = tuple(self._known[system_identifier].items())
            newest = sorted(known, key=lambda item: (item[0].timeline, item[0].segment))[-CACHE_ENTRIES:]
            text = json.dumps([_cached(key, commit) for key, commit in newest])
            try:
                self.files.write(WriteFile(path=self._path(system_identifier), text=text, mode=0o600))
            except PgwrapError as error:
                _LOG.info("commit times are not kept for the next time: %s", error)

    def _path(self, system_identifier: str) -> str:
        return posixpath.join(self.state, "cache", "commits", f"{system_identifier}.json")

    def _load(self, path: str) -> Proofs:
        try:
            text = self.files.read(path)
            return dict(_entry(item) for item in json.loads(text)) if text else {}
        except (PgwrapError, ValueError, TypeError, KeyError) as error:
            _LOG.warning("the cache of commit times %s is not used: %s", path, error)
            return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofReader:
    """Reads commits out of archived segments of one cluster, and remembers them by segment."""

    world: World
    cluster: Cluster
    cache: CommitCache
    deadline: float

    def prove(
        self, observation: Observation, along: tuple[Stretch, ...] | None = None
    ) -> Mapping[ProofKey, datetime | None]:
        """What is known of the segments that matter, after reading at most a few that are not; those of `along`, or
        of every stretch."""
        if not observation.read or self.cluster.engine.host is not None:
            return {}
        system = observation.system_identifier
        known = self.cache.of(system) if system else {}
        found = stretches(observation) if along is None else along
        if self._add(known, observation, found) and system:
            self.cache.keep(system)
        return known

    def _add(self, known: Proofs, observation: Observation, found: tuple[Stretch, ...]) -> int:
        """Read a few segments that are wanted and not known; how many."""
        for number in range(SEGMENTS_PER_RUN):
            wanted = wanted_proofs(found, known, DEPTH)
            if not wanted or not self._read(wanted[0], observation, known):
                return number
        return SEGMENTS_PER_RUN

    def _read(self, key: ProofKey, observation: Observation, known: Proofs) -> bool:
        """Read one segment; False when it cannot be read, so that there is no point in asking for more."""
        program = self.world.programs.postgres("pg_waldump", _major(key, observation))
        if program is None:
            _LOG.info("no pg_waldump for PostgreSQL %s: commit times are not proven", _major(key, observation))
            return False
        user = self.world.user_for(self.cluster)
        with self.world.files.private_directory(user) as directory:
            fetch = self.world.engine(self.cluster.engine).fetch_wal(
                self.cluster, key.repository, key.archive, key.segment, directory, user
            )
            if fetch is None or not self.world.runner.run(fetch).succeeded:
                return False
            dump = self.world.runner.run(
                Command(
                    argv=(program, "--rmgr=Transaction", posixpath.join(directory, key.segment)),
                    run_as=user,
                    deadline=self.deadline,
                )
            )
        commits = _COMMIT.findall(dump.stdout)
        if not commits and not dump.succeeded:
            return False
        known[key] = max(map(_utc, commits), default=None)
        return True


def _major(key: ProofKey, observation: Observation) -> str:
    """The PostgreSQL major version whose WAL this segment is."""
    versions = {
        archive.postgres_version
        for archive in observation.archives
        if (archive.repository, archive.archive) == (key.repository, key.archive) and archive.postgres_version
    }
    return next(iter(versions), None) or observation.postgres_version or ""


def _utc(text: bytes) -> datetime:
    return datetime.fromisoformat(text.decode()).replace(tzinfo=UTC)


def _cached(key: ProofKey, commit: datetime | None) -> dict[str, str | int | None]:
    return {
        "system_identifier": key.system_identifier,
        "timeline": key.timeline,
        "segment": key.segment,
        "segment_size": key.segment_size,
        "repository": key.repository,
        "archive": key.archive,
        "commit": commit.isoformat() if commit else None,
    }


def _entry(item: dict[str, str | int | None]) -> tuple[ProofKey, datetime | None]:
    commit = item.pop("commit")
    return ProofKey(**item), datetime.fromisoformat(str(commit)) if commit else None  # type: ignore[arg-type]
