"""WAL files of Barman's unpacked into a private directory, each by whatever can. It archives none."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from pgwrap.domain.carry_choice import segment_size
from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.domain.packing import HEAD, Packing, packing_of
from pgwrap.domain.wal_file import WalFile
from pgwrap.errors import UsageError
from pgwrap.ops.carry_ground import Crossing
from pgwrap.records import dataclass
from pgwrap.system.port import PackedFile, ScratchPlace

_HERE = (Packing.NONE, Packing.GZIP, Packing.BZIP2, Packing.XZ)
_PROGRAMS = {Packing.ZSTD: ("zstd", "-d", "-c", "-q", "--"), Packing.LZ4: ("lz4", "-d", "-c", "-q", "--")}
_DEADLINE = 600.0


class Unreadable(Exception):
    """Why a file of the source cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacker:
    """Unpacks for one crossing, in one scratch place."""

    crossing: Crossing
    place: ScratchPlace
    directory: str
    """Where the files go."""

    def packing(self, file: WalFile) -> Packing:
        """How a file is packed; Unreadable where it cannot be looked at."""
        return _packing(self.crossing, file)

    def check_size(self, file: WalFile, count: int) -> None:
        """Unreadable for a segment that has not the bytes of one."""
        size = segment_size(self.crossing.observation)
        if file.is_segment and count != size:
            raise Unreadable(f"it has {count} bytes instead of {size}")

    def unpack(self, file: WalFile) -> str:
        """Unpack it under its own name, for the target's user; its path, or Unreadable with nothing left of it."""
        target = posixpath.join(self.directory, file.name)
        packing = self.packing(file)
        try:
            self.check_size(file, self._unpack(file, packing, target))
        except Unreadable:
            self.discard(target)
            raise
        return target

    def discard(self, path: str) -> None:
        """Remove what was unpacked."""
        self.crossing.tools.spool.discard(path)

    def _unpack(self, file: WalFile, packing: Packing, target: str) -> int:
        """What nothing here can unpack, Barman can, which packed it."""
        if packing in _HERE:
            return self._copy(PackedFile(path=file.path, packing=packing, limit=self._limit), target)
        program = _PROGRAMS.get(packing)
        outcome = None if program is None else self._run((*program, file.path))
        if outcome is None or outcome.failure is Failure.MISSING:
            return self._fetch(file, target)
        if not outcome.succeeded:
            raise Unreadable(_said(outcome) or f"{packing} cannot unpack it")
        return self._put(outcome.stdout, target)

    def _run(self, argv: tuple[str, ...]) -> Outcome:
        """As who runs pgwrap, who reads what Barman keeps, and whose directory the files go to."""
        crossing = self.crossing
        command = Command(argv=argv, deadline=_DEADLINE, output_limit=self._limit, environment=crossing.marked)
        return crossing.world.runner.run(command)

    def _fetch(self, file: WalFile, target: str) -> int:
        crossing = self.crossing
        command = crossing.origin.fetch(crossing.source, file.name, self.place.spool, crossing.source_user)
        outcome = crossing.world.runner.run(
            replace(command, environment=(*command.environment, *crossing.marked), deadline=_DEADLINE)
        )
        if not outcome.succeeded:
            raise Unreadable(_said(outcome) or "Barman cannot unpack it")
        fetched = posixpath.join(self.place.spool, file.name)
        try:
            return self._copy(PackedFile(path=fetched, packing=Packing.NONE, limit=self._limit), target)
        finally:
            self.discard(fetched)

    def _copy(self, file: PackedFile, target: str) -> int:
        try:
            return self.crossing.tools.spool.unpack(file, target, self.crossing.target_user)
        except UsageError as error:
            raise Unreadable(error.message) from error

    def _put(self, content: bytes, target: str) -> int:
        self.crossing.tools.spool.put(content, target, self.crossing.target_user)
        return len(content)

    @property
    def _limit(self) -> int:
        return segment_size(self.crossing.observation)


def unpacker(crossing: Crossing, place: ScratchPlace) -> Unpacker:
    """One with a directory of its own in the place."""
    return Unpacker(crossing=crossing, place=place, directory=crossing.tools.spool.prepare(place))


def cannot_unpack(crossing: Crossing, files: tuple[WalFile, ...]) -> Iterator[str]:
    """Why files of some packing cannot be had, tried on the first of each; nothing of it is kept."""
    first: dict[Packing, WalFile] = {}
    for file in files:
        with suppress(Unreadable):
            first.setdefault(_packing(crossing, file), file)
    for packing, file in first.items():
        if packing in _HERE or _runs(crossing, packing, file):
            continue
        with crossing.world.files.private_directory(crossing.source_user) as directory:
            command = crossing.origin.fetch(crossing.source, file.name, directory, crossing.source_user)
            outcome = crossing.world.runner.run(command)
        if not outcome.succeeded:
            yield f"{file.name} and its like cannot be unpacked here ({packing}): {_said(outcome)[:300]}"


def _runs(crossing: Crossing, packing: Packing, file: WalFile) -> bool:
    program = _PROGRAMS.get(packing)
    if program is None:
        return False
    return crossing.world.runner.run(Command(argv=(*program, file.path), deadline=_DEADLINE)).succeeded


def _packing(crossing: Crossing, file: WalFile) -> Packing:
    try:
        return packing_of(crossing.tools.spool.head(file.path, HEAD), file.name)
    except UsageError as error:
        raise Unreadable(error.message) from error


def _said(outcome: Outcome) -> str:
    return " ".join((outcome.message or outcome.error_text()).split())
