"""Measures what it takes to carry a history from one engine into the other, against the engines' own commands one by
one: WAL segments of pgbench's, and a base of some 300 MB. It proves no answer right, but refuses to go on when a file
that was to be carried is not there.

All times are of whole commands: starting Python, looking at both sides and at what has come are in ours. Ours and
theirs take turns in being first, each after the target was emptied and the disk had all that was written before.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.bench_recovery import pairs
from integration.conftest import QUIET_RPO
from integration.figures import Figure, Sample
from integration.lab.answers import cluster, status
from integration.lab.carrying import Carrier
from integration.lab.estate import Estate
from integration.lab.machine import Machine
from integration.lab.moving import NEW, OLD, Move, backed_up, move
from integration.lab.room import room

SCALE = 20
"""Of pgbench: about 15 MB each."""
SEGMENTS = 300
SEGMENT = 16 << 20
DEADLINE = 1200.0
HISTORY = f"{NEW}-history"
COMPRESSION = "lz4"
"""Of WAL in pgBackRest's repositories, in ours and in theirs."""
INTO_PGBACKREST, INTO_BARMAN = 1 / 1.3, 1 / 1.5
"""Limits of the ratio of times."""
_UNFINISHED = "000000010000FFFF000000FF.partial"

Contender = Callable[[], float]


def carry_figures(machine: Machine, repeat: int) -> Iterator[Figure]:
    """Both directions, each the base first and then the WAL."""
    with _moved(machine, "pgbackrest") as moved:
        yield from _into_pgbackrest(IntoPgbackrest(moved=moved), repeat)
    with _moved(machine, "barman") as moved:
        yield from _into_barman(IntoBarman(moved=moved), repeat)


def _into_pgbackrest(scene: IntoPgbackrest, repeat: int) -> Iterator[Figure]:
    size = scene.bytes
    scene.carried()
    yield _base("base, Barman into pgBackRest", size, repeat, (scene.carried, scene.by_hand))
    scene.write_wal()
    scene.wal_carried()
    yield _wal("WAL, Barman into pgBackRest", INTO_PGBACKREST, scene.count, repeat, (scene.wal_carried, scene.pushed))
    scene.pack()
    name = "gzipped WAL, Barman into pgBackRest"
    yield _wal(name, INTO_PGBACKREST, scene.count, repeat, (scene.wal_carried, scene.pushed))


def _into_barman(scene: IntoBarman, repeat: int) -> Iterator[Figure]:
    size = scene.bytes
    scene.carried()
    scene.remember()
    yield _base("base, pgBackRest into Barman", size, repeat, (scene.carried, scene.by_hand))
    scene.write_wal()
    yield _wal("WAL, pgBackRest into Barman", INTO_BARMAN, SEGMENTS, repeat, (scene.wal_carried, scene.fetched))


def _base(name: str, size: int, repeat: int, both: tuple[Contender, Contender]) -> Figure:
    """In gigabytes a minute; the ratio is of the times."""
    took, against = (Sample(values) for values in zip(*pairs(repeat, *both), strict=True))
    rates = tuple(Sample(tuple(size / 1e9 * 60 / each for each in one.values)) for one in (took, against))
    return _figure(
        f"{name}, {size / 1e6:.0f} MB", None, (took, against), tuple(rate.text("GB/min", 1) for rate in rates)
    )


def _wal(name: str, limit: float, count: int, repeat: int, both: tuple[Contender, Contender]) -> Figure:
    """In segments a second; the ratio is of the times."""
    took, against = (Sample(values) for values in zip(*pairs(repeat, *both), strict=True))
    rates = tuple(Sample(tuple(count / each for each in one.values)) for one in (took, against))
    return _figure(f"{name}, {count} segments", limit, (took, against), tuple(rate.text("/s", 1) for rate in rates))


def _figure(name: str, limit: float | None, samples: tuple[Sample, Sample], rates: tuple[str, ...]) -> Figure:
    took, against = samples
    ratio = took.median / against.median
    return Figure(
        name=name,
        limit="" if limit is None else f"{limit:.2f} x",
        measured=f"{rates[0]}, {took.text('s', 1)}",
        against=f"one by one: {rates[1]}, {against.text('s', 1)}",
        ratio=ratio,
        holds=None if limit is None else ratio <= limit,
    )


# What there is


@contextmanager
def _moved(machine: Machine, to: str) -> Iterator[Move]:
    """A server of 300 MB with a backup of the old engine's, and hardly any WAL in its archive."""
    with room(machine, "bench") as place, move(place, to) as moved:
        text = moved.made.spec.read_text().replace("rpo: 5min", f"rpo: {QUIET_RPO}")
        more = f"    repositories: [local]\n    wal: {{compression: {COMPRESSION}}}\n"
        moved.made.spec.write_text(text.replace("    repositories: [local]\n", more))
        moved.server.sql("alter system set autovacuum = off")  # it would write WAL while that is carried
        moved.server.sql("select pg_reload_conf()")
        _pgbench(moved, "--initialize", "--quiet", f"--scale={SCALE}")
        moved.server.sql("checkpoint")
        backed_up(moved, 1)
        _prepare(moved)
        yield moved


def _prepare(moved: Move) -> None:
    """Configure the new engine, which `pgwrap render` leaves out as long as the migration has not begun."""
    text = moved.made.spec.read_text()
    moved.made.spec.write_text(text.replace(f"    replaces: {OLD}\n", ""))
    moved.made.render()
    moved.made.spec.write_text(text)


def _pgbench(moved: Move, *arguments: str) -> None:
    server = moved.server
    connection = ("--host", str(server.sockets), "--port", str(server.port), "--username", "postgres")
    server.room.run(server.program("pgbench"), *arguments, *connection, "postgres", deadline=DEADLINE)


def _write_wal(moved: Move) -> None:
    """Have pgbench write the segments, and see all of them in the old engine's archive."""
    begun = "select pg_current_wal_lsn() - '0/0'"
    until = int(moved.server.sql(begun)) + SEGMENTS * SEGMENT
    while int(moved.server.sql(begun)) < until:
        _pgbench(moved, "--client=8", "--jobs=2", "--time=3", "--no-vacuum")
        moved.server.sql("checkpoint")
        if moved.source == "barman":
            moved.made.barman.run("archive-wal", NEW, deadline=DEADLINE)
    moved.commit()


@dataclass(slots=True, kw_only=True)
class IntoPgbackrest:
    """Barman's history, and the stanza that it goes to."""

    moved: Move
    count: int = 0

    @property
    def made(self) -> Estate:
        """The estate."""
        return self.moved.made

    @property
    def bytes(self) -> int:
        """Of all databases."""
        return int(self.moved.server.sql("select sum(pg_database_size(oid)) from pg_database"))

    @property
    def files(self) -> tuple[Path, ...]:
        """Barman's WAL."""
        return tuple(sorted((self.made.barman.home / NEW / "wals").glob("*/0000*")))

    def carried(self) -> float:
        """Wall seconds of ours, all of it."""
        self._empty("backup", "archive")
        return self._crossing()

    def by_hand(self) -> float:
        """Wall seconds of `barman recover`, a start to where it is consistent, a backup offline, and its WAL."""
        original = cluster(status(self.made), OLD)["backups"][-1]
        self._empty("backup", "archive")
        began = time.monotonic()
        Carrier(made=self.made, server=NEW, stanza=HISTORY, tablespaces=()).carry(original)
        return self._checked(time.monotonic() - began)

    def write_wal(self) -> None:
        """Beside the WAL of the base there is that of pgbench now."""
        _write_wal(self.moved)
        self.count = len(self.files)

    def pack(self) -> None:
        """Have Barman's segments compressed, as its own `compression = gzip` does."""
        script = f"printf '%s\\n' {' '.join(str(path) for path in self.files)} | xargs -P2 -n4 gzip -n"
        self.made.room.run("sh", "-c", script, deadline=DEADLINE)
        for path in self.files:
            path.rename(path.with_suffix(""))
        self.made.barman.run("rebuild-xlogdb", NEW, deadline=DEADLINE)

    def wal_carried(self) -> float:
        """Wall seconds of ours."""
        self._empty("archive")
        return self._crossing()

    def pushed(self) -> float:
        """Wall seconds of an `archive-push` for each, after a gunzip where that is needed."""
        program = self.made.room.machine.engine("pgbackrest").program
        quiet = "--no-archive-async --log-level-file=off --log-level-console=warn"
        push = (
            f"{program} --config={self.made.pgbackrest.config} --stanza={HISTORY} --pg1-path={self.moved.server.data} "
            f"--compress-type={COMPRESSION} {quiet} archive-push"
        )
        packed = self.files[-1].read_bytes()[:2] == b"\x1f\x8b"
        unpacked = self.made.room.directory("unpacked")
        lines = (self._push(path, push, unpacked if packed else None) for path in self.files)
        script = self.made.room.write("push.sh", "set -e\n" + "\n".join(lines) + "\n")
        self._empty("archive")
        return self._checked(self.made.room.run("sh", str(script), deadline=DEADLINE).seconds)

    def _push(self, path: Path, push: str, unpacked: Path | None) -> str:
        if unpacked is None:
            return f"{push} {path}"
        there = unpacked / path.name
        return f"gunzip -c <{path} >{there}; {push} {there}; rm {there}"

    def _empty(self, *parts: str) -> None:
        """Nothing of the base, or of the WAL alone, is there."""
        for part in parts:
            place = self.made.pgbackrest.repository / part / HISTORY
            for path in (place,) if "backup" in parts else tuple(place.glob("*-1/*")):
                shutil.rmtree(path, ignore_errors=True)
        os.sync()

    def _crossing(self) -> float:
        words = ("carry", OLD, NEW, str(self.made.room.directory("carry")))
        return self._checked(self.made.laboratory("crossing", *words, deadline=DEADLINE).seconds)

    def _checked(self, seconds: float) -> float:
        """The seconds, if all of the WAL is in the archive."""
        archive = self.made.pgbackrest.repository / "archive" / HISTORY
        names = {path.name.split("-")[0] for path in archive.rglob("0000*") if path.is_file()}
        return _held(names, {path.name for path in self.files}, seconds)


@dataclass(slots=True, kw_only=True)
class IntoBarman:
    """pgBackRest's history, and the server that it goes to."""

    moved: Move
    infos: tuple[tuple[Path, str], ...] = ()
    """The `backup.info` that pgwrap wrote: by hand it is written beforehand."""
    of_base: frozenset[str] = frozenset()
    """The WAL that comes with the base."""

    @property
    def made(self) -> Estate:
        """The estate."""
        return self.moved.made

    @property
    def bytes(self) -> int:
        """Of all databases."""
        return int(self.moved.server.sql("select sum(pg_database_size(oid)) from pg_database"))

    @property
    def server(self) -> Path:
        """Barman's directory."""
        return self.made.barman.home / NEW

    @property
    def names(self) -> frozenset[str]:
        """Of all WAL that pgBackRest has."""
        archive = self.made.pgbackrest.repository / "archive" / NEW
        return frozenset(path.name.split("-")[0] for path in archive.rglob("0000*") if path.is_file())

    @property
    def there(self) -> frozenset[str]:
        """Of all WAL that Barman has."""
        return frozenset(path.name for path in (self.server / "wals").glob("*/0000*"))

    def remember(self) -> None:
        """What a carried base looks like."""
        found = self.server.rglob("*backup.info")
        self.infos = tuple((path.relative_to(self.server), path.read_text()) for path in found)
        self.of_base = self.there

    def carried(self) -> float:
        """Wall seconds of ours, all of it."""
        self._empty()
        return self._carry()

    def by_hand(self) -> float:
        """Wall seconds of a restore into the catalog, its WAL, and Barman's own looks at it."""
        self._empty()
        ((info, text),) = self.infos
        backup_id = info.name.removesuffix("-backup.info") if info.parent.name == "meta" else info.parent.name
        data = self.server / "base" / backup_id / "data"
        room, barman = self.made.room, self.made.barman
        for directory in (data, self.server / info.parent):
            room.directory(str(directory.relative_to(room.path)))
        data.chmod(0o700)
        backup = cluster(status(self.made), OLD)["backups"][-1]
        wanted = frozenset(name for name in self.names if name >= backup["wal_start"])  # Barman throws older WAL away
        began = time.monotonic()
        self._pgbackrest(f"--pg1-path={data}", f"--set={backup['id']}", "--type=none", "restore")
        room.write(str((self.server / info).relative_to(room.path)), text)
        self._fetch(wanted)
        for verb in ("check-backup", "generate-manifest", "verify-backup"):
            barman.run(verb, NEW, backup_id, deadline=DEADLINE)
        return _held(self.there, wanted, time.monotonic() - began)

    def write_wal(self) -> None:
        """Beside the WAL of the base there is that of pgbench now."""
        _write_wal(self.moved)

    def wal_carried(self) -> float:
        """Wall seconds of ours."""
        self._without_wal()
        return self._carry()

    def fetched(self) -> float:
        """Wall seconds of an `archive-get` for each and one `archive-wal`."""
        self._without_wal()
        began = time.monotonic()
        self._fetch(self.names - self.there)
        return self._checked(time.monotonic() - began)

    def _fetch(self, names: frozenset[str]) -> None:
        """By way of where Barman's receiver would put it, whose unfinished segment Barman leaves there."""
        room = self.made.room
        program, config = room.machine.engine("pgbackrest").program, self.made.pgbackrest.config
        streaming = room.directory(str((self.server / "streaming").relative_to(room.path)))
        room.write(str((streaming / _UNFINISHED).relative_to(room.path)), "")
        get = f"{program} --config={config} --stanza={NEW} --pg1-path={self.moved.server.data} --no-archive-async"
        lines = (f"{get} --log-level-file=off archive-get {name} {streaming / name}" for name in sorted(names))
        script = room.write("get.sh", "set -e\n" + "\n".join(lines) + "\n")
        room.run("sh", str(script), deadline=DEADLINE)
        for verb in ("archive-wal", "rebuild-xlogdb"):
            self.made.barman.run(verb, NEW, deadline=DEADLINE)

    def _pgbackrest(self, *words: str) -> None:
        self.made.pgbackrest.run(f"--stanza={NEW}", *words, deadline=DEADLINE)

    def _empty(self) -> None:
        for name in ("base", "meta", "wals", "identity.json"):
            path = self.server / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        os.sync()

    def _without_wal(self) -> None:
        """The base with its own WAL alone."""
        for path in (self.server / "wals").glob("*/0000*"):
            if path.name not in self.of_base:
                path.unlink()
        self.made.barman.run("rebuild-xlogdb", NEW)
        os.sync()

    def _carry(self) -> float:
        words = ("carrying_into_barman", str(self.made.spec), "all", OLD, NEW)
        return self._checked(self.made.laboratory(*words, deadline=DEADLINE).seconds)

    def _checked(self, seconds: float) -> float:
        return _held(self.there, self.names, seconds)


def _held(there: set[str] | frozenset[str], wanted: set[str] | frozenset[str], seconds: float) -> float:
    missing = wanted - there
    if missing:
        raise SystemExit(f"bench: {len(missing)} WAL files were not carried: {shlex.join(sorted(missing)[:5])}")
    return seconds
