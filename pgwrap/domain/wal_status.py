"""The WAL of a cluster in one view: what is archived, what is missing, how far behind. It asks nobody anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from pgwrap.domain.archived import segment_of, segment_size_of
from pgwrap.domain.facts import (
    ArchiveContents,
    Observation,
    PostgresView,
    RecoverableInterval,
    ReplicationSlot,
    WalArchiveRow,
    WalStatus,
)
from pgwrap.domain.gaps import gaps
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, Lsn, Segment, Timeline

_TIME_SETTING = re.compile(r"(\d+)\s*(ms|s|min|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def wal_status(
    observation: Observation,
    postgres: PostgresView | None,
    recoverable: tuple[RecoverableInterval, ...],
    *,
    slot: str | None = None,
    now: datetime,
) -> WalStatus:
    """What is archived and how much would be lost now; `slot` names the one that streams to the engine."""
    lag = _lag_bytes(observation, postgres, slot)
    return WalStatus(
        archives=tuple(row for archive in observation.archives for row in _rows(archive, observation)),
        gaps=gaps(observation),
        last_archived_at=_last_archived_at(observation, postgres),
        lag_bytes=lag,
        lag_seconds=_lag_seconds(observation, postgres, recoverable, lag, _streaming(observation, postgres, slot), now),
    )


def setting(postgres: PostgresView | None, name: str) -> str | None:
    """A server setting as PostgreSQL shows it; None when it was not asked or not told."""
    return None if postgres is None else dict(postgres.settings).get(name)


def segment_size(observation: Observation, postgres: PostgresView | None) -> int:
    """The cluster's WAL segment size in bytes: the server's word, else an archive's, else PostgreSQL's default."""
    if postgres is not None and postgres.wal_segment_size is not None:
        return postgres.wal_segment_size
    sizes = (segment_size_of(archive, observation.backups) for archive in observation.archives if archive.current)
    return next((size for size in sizes if size is not None), DEFAULT_SEGMENT_SIZE)


def slots_of(observation: Observation, postgres: PostgresView | None, name: str | None) -> tuple[ReplicationSlot, ...]:
    """The slots that stream to the engine, the server's word before the engine's; only `name` when it is given."""
    server = () if postgres is None or name is None else postgres.slots
    seen: dict[str, ReplicationSlot] = {}
    for slot in (*server, *observation.slots):
        if name is None or slot.name == name:
            seen.setdefault(slot.name, slot)
    return tuple(seen.values())


def _rows(archive: ArchiveContents, observation: Observation) -> Iterator[WalArchiveRow]:
    size = segment_size_of(archive, observation.backups)
    if not archive.ranges or size is None:
        yield _row(archive, observation, None, archive.minimum, archive.maximum)
        return
    for timeline in sorted({part.timeline for part in archive.ranges}):
        own = [part for part in archive.ranges if part.timeline == timeline]
        first, last = min(part.first for part in own), max(part.last for part in own)
        names = (Segment(timeline, number).name(size) for number in (first, last))
        yield _row(archive, observation, timeline, *names)


def _row(
    archive: ArchiveContents,
    observation: Observation,
    timeline: Timeline | None,
    first: str | None,
    last: str | None,
) -> WalArchiveRow:
    return WalArchiveRow(
        repository=archive.repository,
        archive=archive.archive,
        engine=observation.engine,
        engine_name=archive.engine_name or observation.engine_name,
        system_identifier=archive.system_identifier,
        timeline=timeline,
        min=first,
        max=last,
    )


def _last_archived_at(observation: Observation, postgres: PostgresView | None) -> datetime | None:
    """By the repository's clock, else by the server's archiver."""
    times = [archive.newest_at for archive in observation.archives if archive.current and archive.newest_at is not None]
    if times:
        return max(times)
    archiver = None if postgres is None else postgres.archiver
    return None if archiver is None else archiver.last_archived_at


def _lag_bytes(observation: Observation, postgres: PostgresView | None, slot: str | None) -> int | None:
    """How far the server's position is past what the engine holds, in the repository that holds most."""
    told = None if postgres is None else postgres.current_lsn
    position = observation.wal_position if told is None else told
    if position is None:
        return None
    timeline = None if postgres is None else postgres.timeline
    ends = (_archived_end(archive, observation, timeline) for archive in observation.archives if archive.current)
    streaming = _streaming(observation, postgres, slot)
    streamed = (lsn for one in streaming for lsn in (one.restart_lsn, one.written_lsn))
    held = [end for end in (*ends, *streamed) if end is not None]
    return max(0, position - max(held)) if held else None


def _streaming(
    observation: Observation, postgres: PostgresView | None, slot: str | None
) -> tuple[ReplicationSlot, ...]:
    return tuple(one for one in slots_of(observation, postgres, slot) if one.active)


def _archived_end(archive: ArchiveContents, observation: Observation, timeline: Timeline | None) -> Lsn | None:
    """The end of the newest archived segment of the timeline (the newest one when it is not known)."""
    size = segment_size_of(archive, observation.backups)
    if size is None:
        return None
    newest = _newest(archive, size, timeline)
    return None if newest is None else Lsn((newest.number + 1) * size)


def _newest(archive: ArchiveContents, size: int, timeline: Timeline | None) -> Segment | None:
    found: list[Segment | None] = [Segment(part.timeline, part.last) for part in archive.ranges or ()]
    if archive.ranges is None and archive.maximum is not None:
        found = [segment_of(archive.maximum, size)]
    return max((segment for segment in found if segment and timeline in (None, segment.timeline)), default=None)


def _lag_seconds(
    observation: Observation,
    postgres: PostgresView | None,
    recoverable: tuple[RecoverableInterval, ...],
    lag: int | None,
    streaming: tuple[ReplicationSlot, ...],
    now: datetime,
) -> float | None:
    """An upper bound: what was committed longer ago than this is safe. None when nothing bounds it."""
    if lag == 0:
        return 0.0
    behind = lag is not None and lag > segment_size(observation, postgres)
    since = _safe_until(observation, postgres, recoverable, behind=behind)
    bounds = [] if since is None else [max(0.0, (now - since).total_seconds())]
    bounds += [one.write_lag_seconds for one in streaming if one.write_lag_seconds is not None]
    if lag is not None and not behind:
        bounds += _switch_interval(postgres)
    return min(bounds, default=None)


def _safe_until(
    observation: Observation,
    postgres: PostgresView | None,
    recoverable: tuple[RecoverableInterval, ...],
    *,
    behind: bool,
) -> datetime | None:
    """With whole segments waiting, the newest file's date says nothing of how new its content is: a commit does."""
    commits = [i.to for i in recoverable if i.open_ended and i.to_proof == "commit"]
    archived = _last_archived_at(observation, postgres)
    if archived is None or (behind and commits):
        return max(commits, default=None)
    return max((archived, *commits))


def _switch_interval(postgres: PostgresView | None) -> list[float]:
    """archive_timeout in seconds: a primary closes and archives a segment with changes in it after so long at most."""
    text = setting(postgres, "archive_timeout")
    match = _TIME_SETTING.fullmatch(text or "")
    if match is None or postgres is None or postgres.in_recovery is not False:
        return []
    interval = timedelta(seconds=int(match[1]) * _SECONDS[match[2] or "s"])
    return [interval.total_seconds()] if interval else []
