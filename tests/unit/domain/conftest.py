"""Facts in small: builders for backups, archives and observations. They draw no conclusions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from pgwrap.domain.facts import ArchiveContents, Archiver, Backup, Observation, PostgresView, RepositoryState, Severity
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, PostgresTarget, Repository, RetentionPolicy
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, Ancestor, Ancestry, Lsn, Segment, SegmentRange, Timeline

SIZE = DEFAULT_SEGMENT_SIZE
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Build:
    """Builders whose clock is the WAL: segment number n is filled at minute n after the epoch."""

    size: int = SIZE
    epoch: datetime = EPOCH

    def at(self, number: float) -> datetime:
        """The moment in which a segment was filled."""
        return self.epoch + timedelta(minutes=number)

    def name(self, number: int, timeline: int = 1) -> str:
        """A segment's file name."""
        return Segment(Timeline(timeline), number).name(self.size)

    def span(self, first: int, last: int, timeline: int = 1) -> SegmentRange:
        """A range of segments."""
        return SegmentRange(Timeline(timeline), first, last)

    def ancestry(self, timeline: int, *left: tuple[int, int]) -> Ancestry:
        """The history of a timeline: pairs of an ancestor and the segment in the middle of which it was left."""
        ancestors = (Ancestor(Timeline(old), Lsn(number * self.size + self.size // 2)) for old, number in left)
        return Ancestry(Timeline(timeline), tuple(ancestors))

    def backup(self, start: int, stop: int | None = None, timeline: int = 1, **changes: object) -> Backup:
        """A whole full backup from segment `start` to `stop`."""
        stop = start if stop is None else stop
        values: dict[str, object] = {
            "engine": "pgbackrest",
            "engine_name": "orders",
            "id": f"b{start}",
            "repository": "local",
            "archive": "15-1",
            "type": "full",
            "state": "done",
            "started_at": self.at(start),
            "stopped_at": self.at(stop + 0.5),
            "wal_start": self.name(start, timeline),
            "wal_stop": self.name(stop, timeline),
            "lsn_start": Lsn(start * self.size + 40),
            "lsn_stop": Lsn(stop * self.size + 400),
            "timeline": Timeline(timeline),
            "postgres_version": "15",
            "system_identifier": "7",
            "page_errors": False,
        }
        return Backup(**(values | changes))  # type: ignore[arg-type]

    def archive(self, *ranges: SegmentRange, **changes: object) -> ArchiveContents:
        """An archive that holds the ranges."""
        values: dict[str, object] = {
            "repository": "local",
            "archive": "15-1",
            "system_identifier": "7",
            "postgres_version": "15",
            "segment_size": self.size,
            "ranges": ranges,
            "newest_at": self.at(max((part.last for part in ranges), default=0) + 1),
        }
        return ArchiveContents(**(values | changes))  # type: ignore[arg-type]

    def observation(
        self, *backups: Backup, archives: tuple[ArchiveContents, ...] = (), **changes: object
    ) -> Observation:
        """What an engine said about a cluster."""
        values: dict[str, object] = {
            "engine": "pgbackrest",
            "engine_name": "orders",
            "engine_version": "2.45",
            "repositories": (
                RepositoryState(name="local", key=1, kind="posix", encryption=None, severity=Severity.OK),
            ),
            "backups": backups,
            "archives": archives,
            "system_identifier": "7",
            "postgres_version": "15",
        }
        return Observation(**(values | changes))  # type: ignore[arg-type]

    def barman(self, observation: Observation) -> Observation:
        """The same facts as Barman would tell them: no archive ids."""
        return replace(
            observation,
            engine="barman",
            backups=tuple(replace(b, engine="barman", archive=None) for b in observation.backups),
            archives=tuple(replace(a, archive=None) for a in observation.archives),
        )

    def cluster(self, kind: EngineKind = EngineKind.PGBACKREST, **changes: object) -> Cluster:
        """A cluster with one repository and two full backups to keep."""
        engine = EngineInstance(name=kind.value, kind=kind, command=kind.value, config="/etc/engine.conf")
        values: dict[str, object] = {
            "name": "orders",
            "engine": engine,
            "engine_name": "orders",
            "postgres": PostgresTarget(socket_directory="/run/postgresql"),
            "repositories": (Repository(name="local", path="/var/lib/backup"),),
            "retention": RetentionPolicy(full=2),
        }
        return Cluster(**(values | changes))  # type: ignore[arg-type]

    def postgres(self, position: float = 11.0, **changes: object) -> PostgresView:
        """A healthy primary whose position is `position` segments, at the minute that fits."""
        values: dict[str, object] = {
            "reachable": True,
            "version": "15.8",
            "version_number": 150008,
            "system_identifier": "7",
            "in_recovery": False,
            "timeline": Timeline(1),
            "data_checksums": True,
            "archiver": Archiver(
                last_archived_wal=self.name(10),
                last_archived_at=self.at(11),
                last_failed_wal=None,
                last_failed_at=None,
                failed_count=0,
            ),
            "current_lsn": Lsn(int(position * self.size)),
            "wal_segment_size": self.size,
            "ready_segments": 0,
            "clock": self.at(11),
            "settings": (
                ("archive_mode", "on"),
                ("archive_command", "pgbackrest archive-push %p"),
                ("wal_level", "replica"),
            ),
        }
        return PostgresView(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def build() -> Build:
    """The builders, at the default segment size."""
    return Build()
