"""One backup of Barman's into pgBackRest: restored, recovered until it is consistent, taken as it stands, removed."""

from __future__ import annotations

import shlex

from pgwrap.domain.carry_choice import no_room, own_wal
from pgwrap.domain.carrying import CarryProgress
from pgwrap.domain.control_file import CONSISTENT, ControlFile
from pgwrap.domain.facts import Backup
from pgwrap.domain.recovery_log import read_recovery
from pgwrap.domain.restoring import RecoveryTarget
from pgwrap.domain.wal_file import WalFile
from pgwrap.engines.history_port import CarriedSet, ConsistentCopy, Kind
from pgwrap.engines.port import CopyRequest
from pgwrap.errors import EngineFailed, Refused
from pgwrap.ops.carry_ground import Crossing
from pgwrap.ops.carry_unpack import Unreadable, unpacker
from pgwrap.ops.scratch_copy import major_of
from pgwrap.ops.scratch_server import ScratchServer
from pgwrap.records import dataclass
from pgwrap.system.port import ScratchPlace

_TARGET = RecoveryTarget(kind="immediate", action="shutdown")


class NotCarried(Exception):
    """Why one backup could not be restored, or did not come to where it is consistent; others may well do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCarrier:
    """Carries backups of one crossing, one at a time."""

    crossing: Crossing
    files: tuple[WalFile, ...]
    """The source's WAL."""

    def carry(self, backup: Backup, held: tuple[CarriedSet, ...], told: CarryProgress) -> CarriedSet:
        """Carry one; NotCarried where it cannot be restored and recovered, and what pgBackRest's failures raise."""
        crossing = self.crossing
        self._require_room(backup)
        crossing.options.progress(told)
        with crossing.place("carry") as place:
            annotations = self._restore(backup, place)
            control = self._recover(backup, place, self._feed(backup, place))
            crossing.tools.copies.scratch.settle(place)
            copy = ConsistentCopy(
                data=place.data,
                kind=_kind(backup, held, incremental=crossing.options.incremental),
                checksums=control.data_checksums is True,
                annotations=annotations,
                environment=crossing.marked,
            )
            label = self._take(copy)
        return self._found(label, annotations)

    def _require_room(self, backup: Backup) -> None:
        crossing = self.crossing
        free = crossing.tools.copies.scratch.free_bytes(crossing.parent)
        needed = crossing.room_for(backup)
        if free < needed:
            raise Refused(
                no_room(crossing.parent, free, backup, needed),
                hint="name a larger place with --directory, or in the spec's drill.directory",
                cluster=crossing.source.name,
            )

    def _restore(self, backup: Backup, place: ScratchPlace) -> tuple[tuple[str, str], ...]:
        """Have Barman restore it, and give it to who takes it; what is to be kept with it."""
        crossing, world = self.crossing, self.crossing.world
        request = self._request(backup, place)
        departure = world.converse(crossing.origin.depart(request))
        try:
            departure.check(world.runner.run(departure.command))
        except EngineFailed as error:
            raise NotCarried(error.message) from error
        scratch = crossing.tools.copies.scratch
        scratch.complete(place, crossing.source_user, signal=False)
        if crossing.target_user != crossing.source_user:
            scratch.hand_over(place, crossing.target_user)
        return crossing.stanza.annotations(request, departure)

    def _feed(self, backup: Backup, place: ScratchPlace) -> str:
        """Put the WAL of its recovery beside it; the command that fetches it.

        Barman before 3.12 would copy all the WAL there is after the backup, too. A link takes no room: nothing writes
        to a segment that was restored.
        """
        unpacking = unpacker(self.crossing, place)
        try:
            for file in own_wal(backup, self.files):
                unpacking.unpack(file)
        except Unreadable as error:
            raise NotCarried(f"WAL that it needs cannot be had: {error}") from error
        return f"ln {shlex.quote(unpacking.directory).replace('%', '%%')}/%f %p"

    def _request(self, backup: Backup, place: ScratchPlace) -> CopyRequest:
        crossing = self.crossing
        return CopyRequest(
            cluster=crossing.source,
            backup=backup,
            data=place.data,
            tablespaces=place.tablespaces,
            spool=place.spool,
            timeline=backup.timeline or 1,
            run_as=crossing.source_user,
            version=crossing.version,
            environment=crossing.marked,
            deadline=crossing.options.deadline,
        )

    def _recover(self, backup: Backup, place: ScratchPlace, fetch: str) -> ControlFile:
        """Bring the copy to where it is consistent, and there alone: a copy that merely looks whole is taken as well by
        pgBackRest, and no look of its own finds out before a restore does."""
        server = self._server(backup, place)
        try:
            server.configure()
            left = server.recover(server.control_file(), _TARGET, fetch)
        except EngineFailed as error:
            raise NotCarried(error.message) from error
        wanted = backup.timeline
        if left.state == CONSISTENT and left.rests_on is not None and wanted in (None, left.rests_on):
            return left
        fatal = read_recovery(self.crossing.tools.copies.scratch.tail(place.log)).fatal
        state = f"it is {left.state!r}, timeline {' and '.join(str(one) for one in left.timelines) or 'unknown'}"
        raise NotCarried(f"it did not come to where it is consistent: {fatal[-1] if fatal else state}")

    def _server(self, backup: Backup, place: ScratchPlace) -> ScratchServer:
        crossing = self.crossing
        return ScratchServer(
            world=crossing.world,
            place=place,
            scratch=crossing.tools.copies.scratch,
            user=crossing.target_user,
            major=major_of(backup, crossing.world, crossing.source.name),
            environment=crossing.marked,
            deadline=crossing.options.deadline,
        )

    def _take(self, copy: ConsistentCopy) -> str:
        crossing, run = self.crossing, self.crossing.world.runner.run
        crossing.stanza.check(run(crossing.stanza.create(copy.data)))
        return crossing.stanza.taken(run(crossing.stanza.take(copy, crossing.options.deadline)))

    def _found(self, label: str, annotations: tuple[tuple[str, str], ...]) -> CarriedSet:
        """The set as the engine now lists it; EngineFailed where it does not list it whole."""
        found = next((one for one in self.crossing.holdings().sets if one.id == label), None)
        if found is None or not set(annotations) <= set(found.annotations):
            raise EngineFailed(
                f"pgBackRest stored {label}, and yet does not list it whole, with where it came from",
                hint=f"look at it by hand: pgbackrest --stanza={self.crossing.stanza.name} info",
                cluster=self.crossing.target.name,
            )
        return found


def _kind(backup: Backup, held: tuple[CarriedSet, ...], *, incremental: bool) -> Kind:
    """A difference from the newest set, where that lies on the same timeline."""
    newest = held[-1] if held else None
    return "incr" if incremental and newest is not None and newest.timeline == backup.timeline else "full"
