"""Plans how a pgBackRest history goes into Barman's catalog: what of it, what it takes, what stands against it.

It changes nothing.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from pgwrap.domain.amounts import size
from pgwrap.domain.archived import needed_wal, shelf_of
from pgwrap.domain.carrying import LEFT, Carrying, CarryPlan, choose_bases
from pgwrap.domain.facts import Backup, WalGap
from pgwrap.domain.gaps import gaps
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.wal import is_segment_name
from pgwrap.engines.catalog_port import ArchivedFile
from pgwrap.ops.carry_sides import CarryOptions, CarryTools, Sides, find_sides
from pgwrap.ops.world import World
from pgwrap.records import dataclass

BATCH_BYTES: Final = 512 << 20
"""Bytes of WAL that are on their way at a time; twice as much is there while one batch is taken in."""
MARGIN: Final = 256 << 20
"""Bytes that are left free in any event."""
_HASHED: Final = re.compile(r"[0-9A-F]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan, and what is needed to carry it out."""

    plan: CarryPlan
    sides: Sides
    wal: tuple[ArchivedFile, ...]
    """The files to move, sorted by name."""


def plan_into_barman(
    fleet: Fleet, source: Cluster, target: Cluster, world: World, tools: CarryTools, options: CarryOptions
) -> Prepared:
    """Look at both sides and plan; raises EngineUnsupported, UsageError or what the engines' answers raise."""
    sides = find_sides(fleet, source, target, world, tools, options)
    listed = sides.outgoing.listed(world.runner.run(sides.outgoing.listing()))
    present = wal_present(sides)
    waiting = tuple(file for file in listed if file.name not in present)
    missing = _gaps(sides)
    backups = _chosen(_judged(sides), missing, sides)
    needed = _needed(backups, waiting, sides)
    free = tools.store.free_bytes(sides.incoming.bases)
    plan = CarryPlan(
        source=source.name,
        target=target.name,
        backups=backups,
        segments_to_move=len(waiting),
        segments_already=len(listed) - len(waiting),
        segment_bytes=sides.segment_size,
        gaps=missing,
        needed_bytes=needed,
        free_bytes=free,
        refusals=tuple(_refusals(sides, backups, needed, free)),
        notes=tuple(_notes(sides, backups, missing)),
    )
    return Prepared(plan=plan, sides=sides, wal=waiting)


def wal_present(sides: Sides) -> frozenset[str]:
    """The names of the WAL files that the target has, as its directories tell."""
    files, wals = sides.world.files, sides.incoming.wals
    hashed = (name for name in files.entries(wals) if _HASHED.fullmatch(name))
    names = {name for place in hashed for name in files.entries(posixpath.join(wals, place))}
    return frozenset(names | {name for name in files.entries(wals) if name.endswith(".history")})


def _gaps(sides: Sides) -> tuple[WalGap, ...]:
    place = (sides.archive.repository, sides.archive.archive)
    return tuple(gap for gap in gaps(sides.source_seen) if (gap.repository, gap.archive) == place)


def _judged(sides: Sides) -> tuple[Carrying, ...]:
    """Every backup of the repository, oldest first, as far as it alone decides."""
    there = {backup.id: backup for backup in sides.target_seen.backups}
    own = (backup for backup in sides.source_seen.backups if backup.repository == sides.archive.repository)
    return tuple(_judge(backup, there, sides) for backup in sorted(own, key=_age))


def _age(backup: Backup) -> tuple[float, str]:
    return (0.0 if backup.stopped_at is None else backup.stopped_at.timestamp(), backup.id)


def _judge(backup: Backup, there: dict[str, Backup], sides: Sides) -> Carrying:
    becomes = sides.incoming.id_of(backup)
    known = None if becomes is None else there.get(becomes)
    if known is not None and known.lsn_start == backup.lsn_start is not None:
        return Carrying(
            backup=backup, carried=True, already=True, reason=f"it is there as {known.id}", becomes=known.id
        )
    reason = f"Barman has another backup called {becomes}" if known is not None else _obstacle(backup, sides)
    if becomes is None:
        reason = "its label tells no moment"
    if backup.id in sides.options.leave:
        reason = LEFT
    if reason is not None:
        return Carrying(backup=backup, carried=False, reason=reason, bytes=backup.cluster_bytes)
    return Carrying(backup=backup, carried=True, bytes=backup.cluster_bytes, becomes=becomes)


def _obstacle(backup: Backup, sides: Sides) -> str | None:
    """Why a backup cannot be carried, by itself and by its WAL; None when nothing is in its way."""
    if backup.lsn_start is None or backup.lsn_stop is None:
        return "it was taken offline: it has no place in the WAL, which Barman has to know"
    if backup.archive != sides.archive.archive or backup.system_identifier != sides.archive.system_identifier:
        return f"it is of another PostgreSQL system or version: its WAL is in archive {backup.archive}"
    if backup.page_errors:
        return "pgBackRest found wrong page checksums in it"
    if backup.restorable is False:
        return "a backup that it builds on is missing"
    return _missing_wal(backup, sides)


def _missing_wal(backup: Backup, sides: Sides) -> str | None:
    needed = needed_wal(backup, sides.segment_size)
    shelf = shelf_of(sides.archive, sides.source_seen)
    if needed is None or shelf is None or not shelf.holds(needed):
        return f"WAL that it needs is missing between {backup.wal_start} and {backup.wal_stop}"
    return None


def _chosen(judged: tuple[Carrying, ...], missing: tuple[WalGap, ...], sides: Sides) -> tuple[Carrying, ...]:
    """As judged, save those that the wish for fewer bases leaves out; what is there already stays."""
    bases = sides.options.bases
    can = (one.backup for one in judged if one.carried)
    chosen = choose_bases(can, bases, missing, segment_size=sides.segment_size)
    left_out = f"left out: only {bases} of the bases are wanted, and an older one and the WAL reach all it reaches"
    return tuple(
        one
        if one.already or not one.carried or one.backup in chosen
        else Carrying(backup=one.backup, carried=False, reason=left_out, bytes=one.bytes)
        for one in judged
    )


def _needed(backups: tuple[Carrying, ...], wal: tuple[ArchivedFile, ...], sides: Sides) -> int:
    """Bytes for the bases, which Barman keeps as they are, the WAL, and the room to work in."""
    bases = sum(one.bytes or 0 for one in backups if one.waits)
    kept = sum(wal_bytes(file, sides.segment_size, compressed=sides.incoming.compresses) for file in wal)
    return bases + kept + min(2 * BATCH_BYTES, len(wal) * sides.segment_size) + MARGIN


def wal_bytes(file: ArchivedFile, segment_size: int, *, compressed: bool = False) -> int:
    """What a WAL file takes; compressed, about as much as at the source."""
    if is_segment_name(file.name) or file.name.endswith(".partial"):
        return file.stored_bytes if compressed and file.stored_bytes else segment_size
    return file.stored_bytes or 0


def _refusals(sides: Sides, backups: tuple[Carrying, ...], needed: int, free: int) -> Iterator[str]:
    told = (sides.incoming.system_identifier, sides.target_seen.system_identifier)
    other = next((one for one in told if one not in (None, sides.archive.system_identifier)), None)
    if other is not None:
        yield (
            f"Barman's server {sides.target.engine_name} is of PostgreSQL system {other}, "
            f"the history of {sides.archive.system_identifier}: they are not the same cluster"
        )
    if not any(one.carried for one in backups):
        yield f"{sides.source.name} has no backup that can be carried"
    if free < needed:
        yield f"{sides.incoming.bases} has {size(free)} free; the history needs {size(needed)}"
    yield from _without_workplace(sides, backups)


def _without_workplace(sides: Sides, backups: tuple[Carrying, ...]) -> Iterator[str]:
    """A directory that was named for the work holds one base at a time, and WAL on its way."""
    place = sides.options.directory
    if place is None:
        return
    largest = max((one.bytes or 0 for one in backups if one.waits), default=0)
    free, needed = sides.tools.store.free_bytes(place), largest + MARGIN
    if free < needed:
        yield f"{place} has {size(free)} free; to unpack one backup takes {size(needed)}: name a larger --directory"


def _notes(sides: Sides, backups: tuple[Carrying, ...], missing: tuple[WalGap, ...]) -> Iterator[str]:
    for gap in missing:
        yield f"WAL is missing from {gap.from_} to {gap.to}: nothing carries a recovery across it, there or here"
    if any(one.carried and one.backup.type != "full" for one in backups):
        yield "differential and incremental backups become full ones: each is whole at Barman, and takes as much room"
    if any(one.waits and one.bytes is None for one in backups):
        yield "the size of some backups is not known, so the room may not do"
    others = sorted({str(one.repository) for one in sides.source_seen.backups} - {str(sides.archive.repository)})
    if others:
        yield f"the backups in {', '.join(others)} are left aside: one repository is carried at a time"
    if sides.target_seen.policy is not None:
        yield f"Barman keeps the carried backups by its own retention: {sides.target_seen.policy}"
