"""Whether each backup can be restored, and why not. It knows no moments between backups and no other gaps."""

from __future__ import annotations

from collections.abc import Mapping

from pgwrap.domain.archived import NeededWal, Shelf, needed_wal, shelf_of
from pgwrap.domain.facts import Backup, BackupState, Observation
from pgwrap.domain.lineage import Lineage
from pgwrap.domain.wal import Segment, SegmentRange
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Whether a backup can be restored, and why not; `restorable` None: not established."""

    restorable: bool | None
    reason: str = ""


def assess_backups(observation: Observation) -> tuple[Assessment, ...]:
    """For each backup, in their order: are it, those it builds on, and the WAL it needs all there?

    Page errors don't count here: such a backup restores, with damage.
    """
    states = {(backup.repository, backup.id): backup.state for backup in observation.backups}
    shelves = {
        (archive.repository, archive.archive): shelf_of(archive, observation) for archive in observation.archives
    }
    return tuple(
        _by_state(backup)
        or _by_needs(backup, states)
        or _by_wal(backup, shelves.get((backup.repository, backup.archive)))
        for backup in observation.backups
    )


_NOT_DONE = {"failed": False, "invalid": False, "running": None, "waiting_for_wal": None}


def _by_state(backup: Backup) -> Assessment | None:
    if backup.state == "done":
        return None
    words = {"waiting_for_wal": "still waiting for its WAL"}.get(backup.state, backup.state)
    reason = f"the engine calls it {words}" + (f": {backup.error}" if backup.error else "")
    return Assessment(restorable=_NOT_DONE[backup.state], reason=reason)


def _by_needs(backup: Backup, states: Mapping[tuple[str | None, str], BackupState]) -> Assessment | None:
    needs = {id_: state for id_ in backup.needs if (state := states.get((backup.repository, id_))) != "done"}
    if not needs:
        return None
    broken = [id_ for id_, state in needs.items() if state in (None, "failed", "invalid")]
    if broken:
        return Assessment(restorable=False, reason=f"it builds on {', '.join(broken)}, which is gone or failed")
    return Assessment(restorable=None, reason=f"it builds on {', '.join(needs)}, which is not done yet")


def _by_wal(backup: Backup, shelf: Shelf | None) -> Assessment:
    if backup.wal_start is None:
        return Assessment(restorable=None, reason="the engine names no WAL that would make it consistent")
    if shelf is None:
        return Assessment(restorable=None, reason="the WAL archive could not be listed")
    needed = needed_wal(backup, shelf.segment_size)
    if needed is None:
        return Assessment(restorable=None, reason="the WAL it names fits no segment of this archive")
    if shelf.begins_after(needed):
        reason = "its WAL lies before the point where the timeline before its own was left, as the history here has it"
        return Assessment(restorable=False, reason=reason)
    if shelf.holds(needed):
        return Assessment(restorable=True)
    reason = f"WAL it needs is not in the archive: {_missing_text(needed, shelf)}"
    return Assessment(restorable=False, reason=reason + (_OWN_WAL if _holds_own_wal(backup) else ""))


_OWN_WAL = "; the set itself holds what makes it consistent, so that it can be restored by hand to there (--type=none)"


def _holds_own_wal(backup: Backup) -> bool:
    """Whether it was carried into pgBackRest: stored offline, with its WAL, once it had become consistent."""
    return backup.imported_from is not None and backup.engine == "pgbackrest"


def _missing_text(needed: NeededWal, shelf: Shelf) -> str:
    alone = Lineage(needed.first.timeline, (), shelf.segment_size)
    holes = tuple(alone.missing(needed.first.number, needed.last.number, alone.runs(shelf.ranges)))
    texts = (_span_text(hole, shelf.segment_size) for hole in holes)
    return ", ".join(texts) or "the way to it lies past the point where its timeline was left"


def _span_text(span: SegmentRange, size: int) -> str:
    """The names of its first and last segment."""
    first, last = (Segment(span.timeline, number).name(size) for number in (span.first, span.last))
    return first if first == last else f"{first} to {last}"
