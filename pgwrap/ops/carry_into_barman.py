"""Carries a pgBackRest history into Barman's catalog: the oldest base with its WAL, all other WAL, the other bases.

In this order no base is ever visible without the WAL that makes it whole, and Barman has a backup before it has the
rest: with its very first one it deletes all WAL that is older. Run again after a kill it goes on.
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Callable
from dataclasses import field
from time import monotonic

from pgwrap.domain.archived import needed_wal, segment_of
from pgwrap.domain.carrying import Carrying, CarryProgress, CarryResult
from pgwrap.domain.facts import Backup
from pgwrap.domain.wal import is_segment_name
from pgwrap.engines.catalog_port import ArchivedFile
from pgwrap.engines.port import VerifyRequest
from pgwrap.errors import EngineFailed, Refused
from pgwrap.ops.carry_base import MARK, Base, NotUnpacked, place, place_of, unpack
from pgwrap.ops.carry_planning import Prepared, plan_into_barman, wal_bytes
from pgwrap.ops.carry_sides import CarryOptions, CarryTools, Sides, open_work, sweep
from pgwrap.ops.carry_wal_into_barman import WalMover, lay_way
from pgwrap.ops.foretelling import version_of
from pgwrap.ops.observing import must_be_read, observed
from pgwrap.records import dataclass

__all__ = ["CarryOptions", "CarryTools", "Prepared", "carry_into_barman", "plan_into_barman"]

Report = Callable[[CarryProgress], None]


def carry_into_barman(prepared: Prepared, report: Report) -> CarryResult:
    """Do what the plan says; raises Refused, UsageError, Busy or what the engines' commands raise.

    What was carried before it failed stays, and the next run goes on from there. A backup that the source does not
    restore is not carried, and is said in the result's notes.
    """
    started = monotonic()
    sides, plan = prepared.sides, prepared.plan
    if plan.refusals:
        raise Refused("; ".join(plan.refusals), cluster=plan.target)
    sweep(sides)
    if plan.done:
        reindex(sides)
        notes = _prove(sides, plan.backups)
        return CarryResult(
            source=plan.source, target=plan.target, backups=(), segments=0, bytes=0, seconds=0.0, notes=notes
        )
    claim = open_work(sides)
    try:
        carrier = _Carrier(prepared=prepared, work=claim.path, report=report)
        carried, size, segments = carrier.run()
        there = tuple(one for one in plan.backups if one.already or one.becomes in carried)
        notes = (*carrier.amiss, *_prove(sides, there))
    finally:
        left = sides.tools.scratch.remove(claim)
        if left:
            sides.tools.say(f"could not be removed: {', '.join(left)}")
    return CarryResult(
        source=plan.source,
        target=plan.target,
        backups=carried,
        segments=segments,
        bytes=size,
        seconds=monotonic() - started,
        notes=notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carrier:
    """One run."""

    prepared: Prepared
    work: str
    report: Report
    amiss: list[str] = field(default_factory=list)
    """Which backups were not carried, and why."""

    @property
    def sides(self) -> Sides:
        return self.prepared.sides

    def run(self) -> tuple[tuple[str, ...], int, int]:
        """The ids carried, all bytes, and the number of WAL files."""
        waiting = deque(self.prepared.plan.waiting)
        first = self._first(waiting)
        if first is None and not any(one.already for one in self.prepared.plan.backups):
            return (), 0, 0
        mover = self._mover(known_data(self.prepared) if first is None else first.data)
        carried: list[str] = []
        if first is not None:
            mover.move(own_wal(first.carrying.backup, self.prepared.wal, self.sides.segment_size))
            reindex(self.sides)
            carried.append(self._place(first, len(carried)))
        mover.move(self.prepared.wal)
        for one in waiting:
            base = self._unpacked(one)
            if base is not None:
                carried.append(self._place(base, len(carried)))
        reindex(self.sides)
        mover.require_there(file.name for file in self.prepared.wal)
        done = tuple(one for one in self.prepared.plan.waiting if one.becomes in carried)
        size = sum(mover.moved.values()) + self._bytes(done)
        return tuple(carried), size, len(mover.moved)

    def _first(self, waiting: deque[Carrying]) -> Base | None:
        """The oldest that can be had, which is taken out of those that wait."""
        while waiting:
            base = self._unpacked(waiting.popleft())
            if base is not None:
                return base
        return None

    def _unpacked(self, one: Carrying) -> Base | None:
        try:
            return unpack(self.sides, self.work, one)
        except NotUnpacked as error:
            self.amiss.append(f"{one.backup.id} was not carried: {error}")
            return None

    def _mover(self, data: str) -> WalMover:
        sides, wal = self.sides, self.prepared.wal
        total = sum(wal_bytes(file, sides.segment_size) for file in wal)
        way = lay_way(sides, self.work, data)
        return WalMover(sides=sides, way=way, report=self.report, total=len(wal), total_bytes=total)

    def _place(self, base: Base, number: int) -> str:
        backup_id = place(self.sides, base)
        waiting = self.prepared.plan.waiting
        self.report(
            CarryProgress(
                phase="backup",
                done=number + 1,
                total=len(waiting),
                bytes=self._bytes(waiting[: number + 1]),
                total_bytes=self._bytes(waiting),
                name=base.carrying.backup.id,
            )
        )
        return backup_id

    def _bytes(self, backups: tuple[Carrying, ...]) -> int:
        return sum(one.bytes or 0 for one in backups)


def known_data(prepared: Prepared) -> str:
    """The data directory of a base that was carried before."""
    done = next(one for one in prepared.plan.backups if one.already and one.becomes)
    return posixpath.join(place_of(prepared.sides, done.becomes or ""), "data")


def reindex(sides: Sides) -> None:
    """Have Barman list its WAL by what is there."""
    sides.incoming.check(sides.world.runner.run(sides.incoming.reindex()))


def own_wal(backup: Backup, wal: tuple[ArchivedFile, ...], segment_size: int) -> tuple[ArchivedFile, ...]:
    """Those of the files without which the backup is not whole, and the histories, which tell the way to it."""
    needed = needed_wal(backup, segment_size)
    if needed is None:
        return ()
    return tuple(
        file
        for file in wal
        if file.name.endswith(".history")
        or (
            is_segment_name(file.name)
            and (found := segment_of(file.name, segment_size)) is not None
            and found.timeline == needed.first.timeline
            and needed.first.number <= found.number <= needed.last.number
        )
    )


# The proof


def _prove(sides: Sides, backups: tuple[Carrying, ...]) -> tuple[str, ...]:
    """That each is whole at Barman and as it was at pgBackRest; what could not be shown."""
    carried = tuple(one for one in backups if one.carried)
    settled = {backup.id for backup in sides.target_seen.backups if backup.state == "done"}
    for one in carried:
        sides.tools.store.remove(posixpath.join(place_of(sides, one.becomes or ""), MARK))
        if one.becomes not in settled:
            sides.incoming.check(sides.world.runner.run(sides.incoming.settle(one.becomes or "")))
    seen = observed(sides.fleet, (sides.target,), sides.world, sides.options.look)[sides.target.name]
    must_be_read(sides.target, seen)
    there = {backup.id: backup for backup in seen.backups}
    for one in carried:
        _require_same(one, there.get(one.becomes or ""), sides)
    new = tuple(there[one.becomes] for one in carried if one.becomes and not _has_manifest(sides, one.becomes))
    return _examine(sides, new, tuple(seen.backups))


def _has_manifest(sides: Sides, backup_id: str) -> bool:
    """Whether it was examined before: a killed run leaves backups that were not."""
    return "backup_manifest" in sides.world.files.entries(posixpath.join(place_of(sides, backup_id), "data"))


def _require_same(one: Carrying, there: Backup | None, sides: Sides) -> None:
    wrong = _lost(sides) if there is None else _difference(one.backup, there)
    if wrong is not None:
        raise EngineFailed(
            f"backup {one.backup.id} was carried to Barman as {one.becomes}, but it {wrong}",
            hint=f"look with: barman show-backup {sides.target.engine_name} {one.becomes}",
            cluster=sides.target.name,
        )


def _lost(sides: Sides) -> str:
    policy = sides.target_seen.policy
    return "is not listed" + (f": by its retention, {policy}, Barman may have let go of it" if policy else "")


def _difference(backup: Backup, there: Backup) -> str | None:
    if there.state != "done":
        return f"is {there.state} there: {there.error or 'its WAL is not complete'}"
    known = (backup.started_at, backup.stopped_at, backup.lsn_start, backup.lsn_stop, backup.timeline)
    found = (there.started_at, there.stopped_at, there.lsn_start, there.lsn_stop, there.timeline)
    wrong = [f"{name} {now}, not {was}" for name, was, now in zip(_COMPARED, known, found, strict=True) if was != now]
    return f"has {'; '.join(wrong)}" if wrong else None


_COMPARED = ("its start at", "its end at", "its first position at", "its last position at", "the timeline")


def _examine(sides: Sides, backups: tuple[Backup, ...], known: tuple[Backup, ...]) -> tuple[str, ...]:
    """Have Barman write down the checksums of each and compare them; damage is an error, silence a note."""
    engine = sides.world.engine(sides.target.engine)
    notes: list[str] = []
    for backup in backups:
        request = VerifyRequest(
            cluster=sides.target,
            backups=(backup,),
            known=known,
            generate_manifest=True,
            run_as=sides.target_user,
            version=version_of(sides.target_seen, engine.newest),
            deadline=sides.options.deadline,
        )
        for step in engine.verification(request):
            outcomes = tuple(sides.world.runner.run(command) for command in step.commands)
            for examined in step.read(outcomes):
                if examined.state == "damaged":
                    message = f"{examined.backup} is damaged at Barman: {'; '.join(examined.problems)}"
                    raise EngineFailed(message, cluster=sides.target.name)
            if not outcomes[-1].succeeded:
                notes.append(f"{backup.id}: its files could not be compared with a manifest")
    return tuple(notes)
