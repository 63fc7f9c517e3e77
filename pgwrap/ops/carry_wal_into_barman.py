"""Moves a WAL archive into Barman's, in batches: while one is taken in, the next one is fetched.

No exit code is believed: each file is looked at when it is fetched, and looked for where it has to be afterwards.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import field
from typing import Final

from pgwrap.domain.carrying import CarryProgress
from pgwrap.domain.wal import is_segment_name
from pgwrap.engines.catalog_port import ArchivedFile, Reception
from pgwrap.errors import EngineFailed
from pgwrap.ops.carry_planning import BATCH_BYTES
from pgwrap.ops.carry_sides import Sides
from pgwrap.ops.installed import installed
from pgwrap.ops.observing import results
from pgwrap.ops.patience import Patience
from pgwrap.records import dataclass

_BUSY_FOR: Final = 600.0
"""Seconds in which Barman's own archiving may hold its lock."""
_CONTROL: Final = ("global/pg_control", "backup_label")
"""By these pgBackRest knows whose WAL it is asked for; the first alone counts for nothing (2.53+)."""
_FLUSHES: Final = 4
"""Files that are written to the disk side by side."""
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The private directories that WAL goes through, all on the target's file system."""

    spool: str
    """Where the source's engine fetches ahead, as its user."""
    control: str
    """What of a data directory tells that it is the source's."""
    reception: Reception


@dataclass(slots=True, kw_only=True)
class WalMover:
    """Moves files; counts what has arrived."""

    sides: Sides
    way: Way
    report: Callable[[CarryProgress], None]
    total: int
    total_bytes: int
    moved: dict[str, int] = field(default_factory=dict)
    """The bytes, as they were fetched, of every file that is at its place."""

    def move(self, wal: Iterable[ArchivedFile]) -> None:
        """Move those that were not moved before; raises EngineFailed and what the engines' commands raise."""
        pending: Future[None] | None = None
        with ThreadPoolExecutor(max_workers=1) as pool:
            for batch in batches((file for file in wal if file.name not in self.moved), self.sides.segment_size):
                sizes = self._fetch(batch)
                if pending is not None:
                    results([pending])
                self._hand_over(batch)
                pending = pool.submit(self._take_in, sizes)
            if pending is not None:
                results([pending])

    # Fetching

    def _fetch(self, batch: tuple[ArchivedFile, ...]) -> dict[str, int]:
        """All of a batch, into the directory ahead; the bytes of each. What does not come in bulk comes by itself."""
        sides, spool = self.sides, self.way.spool
        ahead = sides.outgoing.ahead(spool)
        segments = tuple(file.name for file in batch if is_segment_name(file.name))
        if segments:
            sides.world.runner.run(sides.outgoing.fetch_ahead(segments, self.way.control, spool))
        sizes = sides.tools.store.sizes(ahead)
        left = [file for file in batch if not self._is_whole(file, sizes)]
        self._clear(ahead, sizes, {file.name for file in batch if file not in left})
        commands = (
            sides.outgoing.fetch(file.name, posixpath.join(ahead, file.name), self.way.control, spool) for file in left
        )
        for outcome in sides.world.runner.run_all(tuple(commands)):
            sides.outgoing.check(outcome)
        sizes = sides.tools.store.sizes(ahead)
        self._require_whole(batch, sizes)
        return {file.name: sizes[file.name] for file in batch}

    def _is_whole(self, file: ArchivedFile, sizes: dict[str, int]) -> bool:
        found = sizes.get(file.name)
        if is_segment_name(file.name) or file.name.endswith(".partial"):
            return found == self.sides.segment_size
        return bool(found)

    def _clear(self, directory: str, sizes: dict[str, int], whole: set[str]) -> None:
        """What an engine left beside the files: marks of what it did not find, halves."""
        for name in sizes.keys() - whole:
            self.sides.tools.store.remove(posixpath.join(directory, name))

    def _require_whole(self, batch: tuple[ArchivedFile, ...], sizes: dict[str, int]) -> None:
        for file in batch:
            if not self._is_whole(file, sizes):
                raise EngineFailed(
                    f"{file.name} was fetched with {sizes.get(file.name, 0)} bytes, which is not a whole file",
                    hint=f"look at it in the repository, with: pgwrap verify {self.sides.source.name}",
                    cluster=self.sides.source.name,
                )

    # Taking in

    def _hand_over(self, batch: tuple[ArchivedFile, ...]) -> None:
        """With the times at which they were archived, by which Barman chooses what a recovery needs."""
        store, ahead = self.sides.tools.store, self.sides.outgoing.ahead(self.way.spool)
        for file in batch:
            path = posixpath.join(ahead, file.name)
            store.stamp(path, file.written_at)
            store.give(path, self.sides.target_user)
            store.move(path, posixpath.join(self.way.reception.incoming, file.name))

    def _take_in(self, sizes: dict[str, int]) -> None:
        if self.sides.incoming.plain:
            self._put(tuple(sizes))
        else:
            self._have_taken_in()
        self.require_there(sizes)
        self.moved |= sizes
        done = sum(self.moved.values())
        self.report(
            CarryProgress(phase="wal", done=len(self.moved), total=self.total, bytes=done, total_bytes=self.total_bytes)
        )

    def _put(self, names: tuple[str, ...]) -> None:
        """To their places, each whole on the disk before it has its name there, like the engine's own archiving."""
        store = self.sides.tools.store
        places = {name: self.sides.incoming.wal_path(name) for name in names}
        directories = sorted({posixpath.dirname(place) for place in places.values()})
        for directory in directories:
            store.ensure(directory, self.sides.target_user)
        with ThreadPoolExecutor(max_workers=_FLUSHES) as pool:
            list(pool.map(self._put_one, places.items()))
        for directory in directories:
            store.flush(directory)

    def _put_one(self, named: tuple[str, str]) -> None:
        store, path = self.sides.tools.store, posixpath.join(self.way.reception.incoming, named[0])
        if store.same(path, named[1]):  # it came there by itself meanwhile
            store.remove(path)
            return
        store.flush(path)
        store.move(path, named[1])

    def _have_taken_in(self) -> None:
        """Until nothing is left, for the engine's own archiving may hold the lock, which is no error."""
        patience = Patience(seconds=_BUSY_FOR)
        while True:
            outcome = self.sides.world.runner.run(self.sides.incoming.take_in(self.way.reception))
            self._require_no_errors()
            self.sides.incoming.check(outcome)
            if not self._left():
                return
            if not patience.wait():
                raise EngineFailed(
                    f"Barman does not take in {_some(self._left())}",
                    hint=f"try by hand: {outcome.command.quoted()}",
                    cluster=self.sides.target.name,
                )

    def _left(self) -> tuple[str, ...]:
        return self.sides.world.files.entries(self.way.reception.incoming)

    def _require_no_errors(self) -> None:
        errors = self.sides.world.files.entries(self.way.reception.errors)
        if errors:
            raise EngineFailed(
                f"Barman does not take {_some(errors)}: another file of that name is there, or it is no WAL",
                hint="look at Barman's log; nothing of its archive was replaced",
                cluster=self.sides.target.name,
            )

    def require_there(self, names: Iterable[str]) -> None:
        """Raise EngineFailed unless each of these files lies in the target's archive."""
        there: dict[str, dict[str, int]] = {}
        missing = [name for name in names if not self._has(name, there)]
        if missing:
            raise EngineFailed(
                f"Barman reported no error, yet its archive does not hold {_some(missing)}",
                hint="look at Barman's log",
                cluster=self.sides.target.name,
            )

    def _has(self, name: str, there: dict[str, dict[str, int]]) -> bool:
        directory, _, base = self.sides.incoming.wal_path(name).rpartition("/")
        if directory not in there:
            there[directory] = self.sides.tools.store.sizes(directory)
        return there[directory].get(base, 0) > 0


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def batches(wal: Iterable[ArchivedFile], segment_size: int) -> Iterator[tuple[ArchivedFile, ...]]:
    """So many at a time as there is room for, at least one."""
    most, batch = max(1, BATCH_BYTES // segment_size), list[ArchivedFile]()
    for file in wal:
        batch.append(file)
        if len(batch) == most:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)


def lay_way(sides: Sides, work: str, data: str) -> Way:
    """Make the directories; `data` is the data directory of any base of the source, unpacked."""
    store, source, target = sides.tools.store, sides.source_user, sides.target_user
    places = {name: posixpath.join(work, name) for name in ("spool", "control", "taking", "incoming", "errors")}
    for name in ("spool", "control"):
        store.make(places[name], source)
    for name in ("taking", "incoming", "errors"):
        store.make(places[name], target)
    store.ensure(sides.outgoing.ahead(places["spool"]), source)
    store.make(posixpath.join(places["control"], "global"), source)
    for file in _CONTROL:
        store.copy(posixpath.join(data, file), posixpath.join(places["control"], file), source)
    reception = Reception(configuration=places["taking"], incoming=places["incoming"], errors=places["errors"])
    _configure(sides, reception)
    return Way(spool=places["spool"], control=places["control"], reception=reception)


def _configure(sides: Sides, reception: Reception) -> None:
    found = installed(sides.target.engine, sides.world, sides.target_user)
    if found.problem is not None or not found.files:
        reason = found.problem or "it has no configuration"
        message = f"Barman's own configuration cannot be read: {reason}"
        raise EngineFailed(message, cluster=sides.target.name)
    sides.tools.store.ensure(posixpath.join(reception.configuration, "configuration.d"), sides.target_user)
    for file in sides.incoming.reception(found.files, reception):
        sides.world.files.write(file)
