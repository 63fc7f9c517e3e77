"""The WAL of a history into pgBackRest: unpacked file by file, archived by its own program, several at a time.

No bulk command is trusted: each file's own command must succeed, and at the end the archive must list it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, replace
from threading import Event, Lock
from time import monotonic

from pgwrap.domain.carry_choice import segment_size
from pgwrap.domain.carrying import CarryProgress
from pgwrap.domain.command import Outcome
from pgwrap.domain.packing import Packing
from pgwrap.domain.wal_file import WalFile
from pgwrap.errors import EngineFailed, PgwrapError
from pgwrap.ops.carry_ground import Crossing
from pgwrap.ops.carry_unpack import Unpacker, Unreadable, unpacker
from pgwrap.ops.observing import results
from pgwrap.records import dataclass
from pgwrap.system.port import ScratchPlace

_PATIENCE = 5
"""So many files may fail before the rest is left: what stands against so many stands against all."""
_PARALLEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WalCarried:
    """What one run archived."""

    segments: int = 0
    """Files, each found in the archive afterwards."""
    bytes: int = 0
    """As they are stored there."""
    seconds: float = 0.0
    unreadable: tuple[str, ...] = ()
    """Files of the source that cannot be unpacked, and why: they are as good as missing."""


def wanted_files(files: tuple[WalFile, ...], held: Mapping[str, int]) -> tuple[WalFile, ...]:
    """The files of the source that are still to be carried."""
    return tuple(file for file in files if file.name not in held)


def carry_wal(crossing: Crossing, files: tuple[WalFile, ...]) -> WalCarried:
    """Archive the files; EngineFailed where one could not be, or is not listed in spite of its command's word."""
    began = monotonic()
    run = _Run(
        crossing=crossing, queue=deque(files), total=len(files), total_bytes=sum(_bytes(crossing, one) for one in files)
    )
    if files:
        with crossing.place("wal") as place:
            run.work(place)
    held = crossing.holdings().files
    lost = tuple(name for name in run.sent if name not in held)
    if run.failures or lost:
        raise _incomplete(crossing, run, lost)
    return WalCarried(
        segments=len(run.sent),
        bytes=sum(held[name] for name in run.sent),
        seconds=monotonic() - began,
        unreadable=tuple(run.unreadable),
    )


def _bytes(crossing: Crossing, file: WalFile) -> int:
    """As unpacked, as far as that is known beforehand."""
    return segment_size(crossing.observation) if file.is_segment else file.bytes


def _incomplete(crossing: Crossing, run: _Run, lost: tuple[str, ...]) -> EngineFailed:
    first = run.failures[0] if run.failures else f"{lost[0]} was archived without an error, and is not listed"
    number = len(run.failures) + len(lost)
    return EngineFailed(
        f"{number} WAL file{'s' if number > 1 else ''} could not be archived in {crossing.stanza.name}: {first}",
        hint="run it again when the cause is gone: it goes on where it stopped",
        cluster=crossing.target.name,
    )


@dataclass(slots=True, kw_only=True)
class _Run:
    """The files of one run, as several threads take them on."""

    crossing: Crossing
    queue: deque[WalFile]
    total: int
    total_bytes: int
    sent: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    done: int = 0
    done_bytes: int = 0
    lock: Lock = field(default_factory=Lock)
    stop: Event = field(default_factory=Event)

    def work(self, place: ScratchPlace) -> None:
        """Send all of them; whatever happens, nothing is at work any more at the end."""
        crossing = self.crossing
        parallel = crossing.options.parallel or crossing.target.wal.parallel or _PARALLEL
        if crossing.stanza.one_at_a_time:
            parallel = 1
        unpacking = unpacker(crossing, place)
        workers = ThreadPoolExecutor(max_workers=parallel)
        try:
            results([workers.submit(self._take, unpacking) for _ in range(parallel)])
        finally:
            self.stop.set()
            workers.shutdown(wait=True, cancel_futures=True)

    def _take(self, unpacking: Unpacker) -> None:
        while not self.stop.is_set():
            try:
                file = self.queue.popleft()
            except IndexError:
                return
            self._try(file, unpacking)

    def _try(self, file: WalFile, unpacking: Unpacker) -> None:
        try:
            self.crossing.stanza.check(self._send(file, unpacking))
        except Unreadable as error:
            self._note(file, self.unreadable, f"{file.name}: {error}")
        except PgwrapError as error:
            self._note(file, self.failures, f"{file.name}: {error.message}")
        else:
            self._note(file, self.sent, file.name)
        if len(self.failures) >= _PATIENCE:
            self.stop.set()

    def _note(self, file: WalFile, notes: list[str], note: str) -> None:
        with self.lock:
            notes.append(note)
            self.done += 1
            self.done_bytes += _bytes(self.crossing, file)
            told = CarryProgress(
                phase="wal", done=self.done, total=self.total, bytes=self.done_bytes, total_bytes=self.total_bytes
            )
            self.crossing.options.progress(told)

    def _send(self, file: WalFile, unpacking: Unpacker) -> Outcome:
        """Archive one; where it lies unpacked and the engine may read it there, from there."""
        crossing = self.crossing
        if crossing.source_user == crossing.target_user and unpacking.packing(file) is Packing.NONE:
            unpacking.check_size(file, file.bytes)
            return self._push(file.path)
        path = unpacking.unpack(file)
        try:
            return self._push(path)
        finally:
            unpacking.discard(path)

    def _push(self, path: str) -> Outcome:
        command = self.crossing.stanza.push(path)
        marked = replace(command, environment=(*command.environment, *self.crossing.marked))
        return self.crossing.world.runner.run(marked)
