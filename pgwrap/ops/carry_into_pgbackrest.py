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
from pgwrap.domain.wal import Segment
from pgwrap.engines.history_port import CarriedSet, Holdings
from pgwrap.errors import PgwrapError, Refused
from pgwrap.ops.carry_ground import CarryOptions, CarryTools, Crossing, crossing
from pgwrap.ops.carry_segments import WalCarried, carry_wal, wanted_files
from pgwrap.ops.carry_set import NotCarried, SetCarrier
from pgwrap.ops.carry_unpack import cannot_unpack
from pgwrap.ops.observing import observed
from pgwrap.ops.scratch_copy import major_of, sweep
from pgwrap.ops.world import World

__all__ = [
    "CarryOptions",
    "CarryTools",
    "WalCarried",
    "carry_into_pgbackrest",
    "carry_wal_into_pgbackrest",
    "plan_into_pgbackrest",
]


def plan_into_pgbackrest(
    fleet: Fleet, source: Cluster, target: Cluster, world: World, tools: CarryTools, options: CarryOptions
) -> CarryPlan:
    """What carrying would do, and what stands against it; it changes nothing.

    Raises UsageError, EngineUnsupported or an engine's failure where that cannot even be told.
    """
    both = crossing(fleet, source, target, world, tools, options)
    held, files = both.holdings(), both.files()
    found = gaps(both.observation)
    backups = _decided(both, held, found)
    waiting = tuple(one for one in backups if one.waits)
    missing = wanted_files(both, files, held.files)
    working = max(
        (both.room_for(one.backup) for one in waiting),
        default=0,
    )
    return CarryPlan(
        source=source.name,
        target=target.name,
        backups=backups,
        segments_to_move=len(missing),
        segments_already=len(files) - len(missing),
        segment_bytes=segment_size(both.observation),
        gaps=found,
        needed_bytes=sum(one.bytes or 0 for one in waiting) + sum(file.bytes for file in missing) + working,
        free_bytes=_free(both),
        refusals=(*_without_backups(backups, source), *_refusals(both, held, waiting)),
        notes=tuple(_notes(both, found)),
    )


def carry_into_pgbackrest(
    plan: CarryPlan, fleet: Fleet, world: World, tools: CarryTools, options: CarryOptions
) -> CarryResult:
    """Carry what is not there yet: the backups, oldest first, then the WAL.

    Refused for a plan that has refusals, Busy while another one carries to the same target. What could not be brought
    to where it is consistent is not carried, and is said in the result's notes.
    """
    if plan.refusals:
        raise Refused(plan.refusals[0], hint=_others(plan), cluster=plan.target)
    began = monotonic()
    with _alone(fleet, plan.target, world, tools):
        both = crossing(fleet, fleet.cluster(plan.source), fleet.cluster(plan.target), world, tools, options)
        sets, amiss = _carry_sets(both)
        wal = _carry_wal(both, None)
    return CarryResult(
        source=plan.source,
        target=plan.target,
        backups=tuple(one.id for one in sets),
        segments=wal.segments,
        bytes=wal.bytes + sum(one.stored_bytes or 0 for one in sets),
        seconds=monotonic() - began,
        notes=(*amiss, *_unreadable(wal)),
    )


def carry_wal_into_pgbackrest(
    fleet: Fleet, source: Cluster, target: Cluster, world: World, tools: CarryTools, options: CarryOptions
) -> WalCarried:
    """Carry the WAL alone that is not there yet, up to `options.until`; Busy while another one carries there.

    `reached` of the result tells whether that segment is there now: Barman may not have archived it yet.
    """
    with _alone(fleet, target.name, world, tools):
        return _carry_wal(crossing(fleet, source, target, world, tools, options), options.until)


@contextmanager
def _alone(fleet: Fleet, target: str, world: World, tools: CarryTools) -> Iterator[None]:
    """Nobody else carries to this target; what a killed one left behind is gone."""
    with world.files.exclusive(posixpath.join(fleet.state, f"carry-{target}.lock")):
        tools.copies.journal.prepare()
        sweep(tools.copies)
        yield


def _decided(both: Crossing, held: Holdings, found: tuple[WalGap, ...]) -> tuple[Carrying, ...]:
    labels = {one.origin: one.id for one in held.sets}
    return decide(both.observation, labels, both.options.bases, found, both.system, both.options.leave)


def _carry_sets(both: Crossing) -> tuple[tuple[CarriedSet, ...], tuple[str, ...]]:
    """The sets carried by this run, and what is amiss with them, or with others that were not."""
    held = both.holdings()
    waiting = [one for one in _decided(both, held, gaps(both.observation)) if one.waits]
    carrier, amiss = SetCarrier(crossing=both, files=both.files()), []
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


def _carry_wal(both: Crossing, until: Segment | None) -> WalCarried:
    """Nothing where no backup was carried yet: without one there is no stanza, and nothing to replay WAL on."""
    held = both.holdings()
    if not held.systems:
        return WalCarried(reached=until is None)
    return carry_wal(both, wanted_files(both, both.files(), held.files, until), until)


def _free(both: Crossing) -> int | None:
    """In the repository, where it is a directory of this host."""
    path = min(both.target.keyed_repositories(), key=lambda pair: pair[0])[1].path
    try:
        return None if path is None else both.tools.copies.scratch.free_bytes(path)
    except PgwrapError:
        return None


def _refusals(both: Crossing, held: Holdings, waiting: tuple[Carrying, ...]) -> Iterator[str]:
    live = observed(both.fleet, (both.target,), both.world, both.options.look_deadline)[both.target.name]
    systems = {both.stanza.name: held.systems[-1:], both.target.engine_name: _told(live.system_identifier)}
    yield from differing(systems, both.system)
    yield from both.stanza.thinning()
    yield from dict.fromkeys(_without_programs(both, waiting))
    yield from _without_room(both, waiting)
    yield from cannot_unpack(both, wanted_files(both, both.files(), held.files))


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
