"""The history of a Barman server into a stanza of pgBackRest's: what of it goes, and its going. Nothing of the source
changes, nor of the cluster's own stanza; killed anywhere and run again, it goes on with what is not there yet.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

from pgwrap.domain.carry_choice import decide, differing, no_room, segment_size
from pgwrap.domain.carrying import Carrying, CarryPlan, CarryProgress, CarryResult
from pgwrap.domain.facts import WalGap
from pgwrap.domain.gaps import gaps
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.wal_file import WalFile
from pgwrap.engines.history_port import CarriedSet, Holdings
from pgwrap.errors import PgwrapError, Refused
from pgwrap.ops.carry_ground import CarryOptions, CarryTools, Crossing, crossing
from pgwrap.ops.carry_segments import WalCarried, carry_wal, wanted_files
from pgwrap.ops.carry_set import NotCarried, SetCarrier
from pgwrap.ops.carry_unpack import cannot_unpack
from pgwrap.ops.observing import observed
from pgwrap.ops.scratch_copy import major_of, sweep
from pgwrap.ops.world import World
from pgwrap.records import dataclass

__all__ = [
    "CarryOptions",
    "CarryTools",
    "Prepared",
    "carry_into_pgbackrest",
    "plan_into_pgbackrest",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan, and both sides as they were found for it."""

    plan: CarryPlan
    crossing: Crossing


def plan_into_pgbackrest(
    fleet: Fleet, source: Cluster, target: Cluster, world: World, tools: CarryTools, options: CarryOptions
) -> Prepared:
    """What carrying would do, and what stands against it; it changes nothing.

    Raises UsageError, EngineUnsupported or an engine's failure where that cannot even be told.
    """
    both = crossing(fleet, source, target, world, tools, options)
    return Prepared(plan=_plan(both), crossing=both)


def _plan(both: Crossing) -> CarryPlan:
    held, files = both.holdings(), both.files()
    found = gaps(both.observation)
    backups = _decided(both, held, found)
    waiting = tuple(one for one in backups if one.waits)
    missing = wanted_files(files, held.files)
    working = max(
        (both.room_for(one.backup) for one in waiting),
        default=0,
    )
    return CarryPlan(
        source=both.source.name,
        target=both.target.name,
        backups=backups,
        segments_to_move=len(missing),
        segments_already=len(files) - len(missing),
        segment_bytes=segment_size(both.observation),
        gaps=found,
        needed_bytes=sum(one.bytes or 0 for one in waiting) + sum(file.bytes for file in missing) + working,
        free_bytes=_free(both),
        refusals=(*_without_backups(backups, both.source), *_refusals(both, held, waiting, missing)),
        notes=tuple(_notes(both, found)),
    )


def carry_into_pgbackrest(prepared: Prepared) -> CarryResult:
    """Carry what is not there yet of what the plan saw: the backups, oldest first, then the WAL.

    Refused for a plan that has refusals, Busy while another one carries to the same target. What could not be brought
    to where it is consistent is not carried, and is said in the result's notes.
    """
    plan, both = prepared.plan, prepared.crossing
    if plan.refusals:
        raise Refused(plan.refusals[0], hint=_others(plan), cluster=plan.target)
    began = monotonic()
    with _alone(both):
        files = both.files()
        sets, amiss = _carry_sets(both, files)
        wal = _carry_wal(both, files)
    return CarryResult(
        source=plan.source,
        target=plan.target,
        backups=tuple(one.id for one in sets),
        segments=wal.segments,
        bytes=wal.bytes + sum(one.stored_bytes or 0 for one in sets),
        seconds=monotonic() - began,
        notes=(*amiss, *_unreadable(wal)),
    )


@contextmanager
def _alone(both: Crossing) -> Iterator[None]:
    """Nobody else carries to this target; what a killed one left behind is gone."""
    with both.world.files.exclusive(posixpath.join(both.fleet.state, f"carry-{both.target.name}.lock")):
        both.tools.copies.journal.prepare()
        sweep(both.tools.copies)
        yield


def _decided(both: Crossing, held: Holdings, found: tuple[WalGap, ...]) -> tuple[Carrying, ...]:
    labels = {one.origin: one.id for one in held.sets}
    return decide(both.observation, labels, both.options.bases, found, both.system, both.options.leave)


def _carry_sets(both: Crossing, files: tuple[WalFile, ...]) -> tuple[tuple[CarriedSet, ...], tuple[str, ...]]:
    """The sets carried by this run, and what is amiss with them, or with others that were not."""
    held = both.holdings()
    waiting = [one for one in _decided(both, held, gaps(both.observation)) if one.waits]
    carrier, amiss = SetCarrier(crossing=both, files=files), []
    told = CarryProgress(
        phase="backup", done=0, total=len(waiting), bytes=0, total_bytes=sum(one.bytes or 0 for one in waiting)
    )
    carried: list[CarriedSet] = []
    for done, one in enumerate(waiting, start=1):
        try:
            carried.append(carrier.carry(one.backup, (*held.sets, *carried), replace(told, name=one.backup.id)))
        except NotCarried as error:
            amiss.append(f"{one.backup.id} was not carried: {error}")
        else:
            amiss += [f"{one.backup.id} was carried with pages whose checksums are wrong"] * carried[-1].page_errors
        told = replace(told, done=done, bytes=told.bytes + (one.bytes or 0), name=one.backup.id)
        both.options.progress(told)
    return tuple(carried), tuple(amiss)


def _carry_wal(both: Crossing, files: tuple[WalFile, ...]) -> WalCarried:
    """Nothing where no backup was carried yet: without one there is no stanza, and nothing to replay WAL on."""
    held = both.holdings()
    if not held.systems:
        return WalCarried()
    return carry_wal(both, wanted_files(files, held.files))


def _free(both: Crossing) -> int | None:
    """In the repository, where it is a directory of this host."""
    repository = min(both.target.keyed_repositories(), key=lambda pair: pair[0])[1]
    path = repository.path if repository.host is None else None
    try:
        return None if path is None else both.tools.copies.scratch.free_bytes(path)
    except PgwrapError:
        return None


def _refusals(
    both: Crossing, held: Holdings, waiting: tuple[Carrying, ...], missing: tuple[WalFile, ...]
) -> Iterator[str]:
    live = observed(both.fleet, (both.target,), both.world, both.options.look_deadline)[both.target.name]
    systems = {both.stanza.name: held.systems[-1:], both.target.engine_name: _told(live.system_identifier)}
    yield from differing(systems, both.system)
    yield from both.stanza.thinning()
    if not both.options.planned:
        yield from _told(both.world.converse(both.stanza.astray()))
    yield from dict.fromkeys(_without_programs(both, waiting))
    yield from _without_room(both, waiting)
    yield from cannot_unpack(both, missing)


def _without_backups(backups: tuple[Carrying, ...], source: Cluster) -> Iterator[str]:
    if not any(one.carried for one in backups):
        yield f"{source.name} has no backup that can be carried"


def _told(identifier: str | None) -> tuple[str, ...]:
    return () if identifier is None else (identifier,)


def _without_programs(both: Crossing, waiting: tuple[Carrying, ...]) -> Iterator[str]:
    for one in waiting:
        try:
            major_of(one.backup, both.world, both.source.name)
        except PgwrapError as error:
            yield f"{error.message}: {error.hint}" if error.hint else error.message


def _without_room(both: Crossing, waiting: tuple[Carrying, ...]) -> Iterator[str]:
    """The largest backup alone counts: one copy is made at a time."""
    free = both.tools.copies.scratch.free_bytes(both.parent)
    for one in waiting:
        needed = both.room_for(one.backup)
        if free < needed:
            yield f"{no_room(both.parent, free, one.backup, needed)}: name a larger place with --directory"
            return


def _notes(both: Crossing, found: tuple[WalGap, ...]) -> Iterator[str]:
    for gap in found:
        span = gap.from_ if gap.segments == 1 else f"{gap.from_} to {gap.to}"
        yield f"{span} is missing in the source: no moment behind it is reached from a backup before it"
    keyed = both.target.keyed_repositories()
    if len(keyed) > 1:
        first = min(keyed, key=lambda pair: pair[0])[1]
        yield f"the backups go to repository {first.name}; pgBackRest archives WAL in all {len(keyed)}"


def _unreadable(wal: WalCarried) -> Iterator[str]:
    for reason in wal.unreadable:
        yield f"WAL that cannot be read in the source was not carried: {reason}"


def _others(plan: CarryPlan) -> str:
    count = len(plan.refusals) - 1
    return "" if not count else f"and {count} more reason{'s' if count > 1 else ''}"
