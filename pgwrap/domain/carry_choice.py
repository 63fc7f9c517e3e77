"""Which backups of Barman's go into pgBackRest, and what stands against carrying at all. It looks at nothing.

What goes in is a copy that recovery has made consistent, so it needs the WAL of its own backup and no other: a gap
elsewhere in the source is said, and goes along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from pgwrap.domain.amounts import size
from pgwrap.domain.archived import needed_wal
from pgwrap.domain.carrying import LEFT, Bases, Carrying, choose_bases
from pgwrap.domain.facts import Backup, Observation, WalGap
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE
from pgwrap.domain.wal_file import WalFile
from pgwrap.domain.wholeness import Assessment, assess_backups

MARGIN = 256 << 20
"""Bytes that a copy needs beside its data: WAL segments, temporary files."""

_UNPACKS = 4
"""How many times its size a backup is taken to unpack to where Barman (before 3.11) tells the packed size alone."""


def decide(
    observation: Observation,
    held: Mapping[str, str],
    bases: Bases,
    gaps: Collection[WalGap],
    system: str | None,
    leave: Collection[str] = (),
) -> tuple[Carrying, ...]:
    """What becomes of each backup of the source, oldest first; `held`: the sets at the target by the id they had."""
    judged = tuple(zip(observation.backups, assess_backups(observation), strict=True))
    against = {
        backup.id: LEFT if backup.id in leave and backup.id not in held else _against(backup, assessment, held, system)
        for backup, assessment in judged
    }
    able = [backup for backup, _ in judged if not against[backup.id]]
    chosen = {one.id for one in choose_bases(able, bases, gaps, segment_size=segment_size(observation))}
    ordered = sorted(observation.backups, key=lambda backup: backup.id)
    return tuple(
        Carrying(
            backup=backup,
            carried=backup.id in held or (not against[backup.id] and backup.id in chosen),
            already=backup.id in held,
            reason=against[backup.id] or _reason(backup, held, chosen, bases),
            bytes=data_bytes(backup),
            becomes=held.get(backup.id),
        )
        for backup in ordered
    )


def segment_size(observation: Observation) -> int:
    """Of the source's WAL, in bytes."""
    return next((one.segment_size for one in observation.archives if one.segment_size), DEFAULT_SEGMENT_SIZE)


def data_bytes(backup: Backup) -> int:
    """What its data takes once it is restored, as far as the engine tells."""
    return backup.cluster_bytes or max(backup.copied_bytes or 0, backup.stored_bytes or 0)


def room_needed(backup: Backup, segment_bytes: int, *, staged: bool) -> int:
    """What a copy and its WAL need while it is made and recovered; `staged`: it is first unpacked, or put together,
    beside."""
    packed = staged and backup.cluster_bytes is None
    data = data_bytes(backup) * (_UNPACKS if packed else 1)
    return data + data // 20 + (data if staged else 0) + _segments(backup, segment_bytes) * segment_bytes + MARGIN


def _segments(backup: Backup, segment_bytes: int) -> int:
    """How many segments lie between its start and its end."""
    needed = needed_wal(backup, segment_bytes)
    return 0 if needed is None else needed.last.number - needed.first.number + 1


def own_wal(backup: Backup, files: Iterable[WalFile]) -> tuple[WalFile, ...]:
    """What its recovery may ask for until it is consistent: its own segments, and histories."""
    start, stop = backup.wal_start or "", backup.wal_stop or ""
    return tuple(file for file in files if file.name.endswith(".history") or _is_between(file, start, stop))


def _is_between(file: WalFile, start: str, stop: str) -> bool:
    return file.is_segment and file.name[:8] == start[:8] and start <= file.name <= stop


def no_room(directory: str, free: int, backup: Backup, needed: int) -> str:
    """Why a copy is not made there."""
    return f"{directory} has {size(free)} free; a copy of backup {backup.id} needs {size(needed)}"


def _against(backup: Backup, assessment: Assessment, held: Mapping[str, str], system: str | None) -> str:
    """Why it cannot be carried; empty when it can, or was."""
    if backup.id in held:
        return ""
    if backup.type == "snapshot":
        return "a disk snapshot is restored by its cloud provider's means alone"
    if assessment.restorable is not True:
        return assessment.reason
    if None not in (system, backup.system_identifier) and backup.system_identifier != system:
        return f"it is of another cluster (system identifier {backup.system_identifier}, not {system})"
    return ""


def _reason(backup: Backup, held: Mapping[str, str], chosen: Collection[str], bases: Bases) -> str:
    if backup.id in held:
        return f"carried before, as {held[backup.id]}"
    if backup.id in chosen:
        return ""
    between = "the oldest alone is" if bases.kind == "oldest" else f"one in {bases} is"
    return f"{between} wanted: moments after it are restored from an older one, with more WAL"


def differing(systems: Mapping[str, Collection[str]], own: str | None) -> Iterator[str]:
    """A refusal for each stanza that holds another cluster than the source's."""
    for stanza, found in systems.items():
        if own is not None and found and own not in found:
            yield f"stanza {stanza} is in use for another cluster (system identifier {', '.join(found)}, not {own})"
