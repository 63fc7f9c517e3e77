"""Carrying into pgBackRest on real files, with engines told what to answer: what is taken, and what never is."""

from __future__ import annotations

import getpass
import gzip
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pgwrap.domain.carrying import CarryPlan, CarryProgress
from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.facts import ArchiveContents, Backup, Observation
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, Repository, Secret
from pgwrap.domain.wal import Lsn, Segment, SegmentRange, Timeline
from pgwrap.domain.wal_file import WalFile
from pgwrap.engines.history_port import CarriedSet, ConsistentCopy, Departure, Holdings, Side
from pgwrap.engines.port import CopyRequest, EngineVersion, ObserveRequest
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported, Refused, UsageError
from pgwrap.ops.carry_into_pgbackrest import (
    CarryOptions,
    CarryTools,
    Prepared,
    carry_into_pgbackrest,
    plan_into_pgbackrest,
)
from pgwrap.ops.scratch_copy import Tools
from pgwrap.ops.world import World
from pgwrap.system.files import LocalFiles
from pgwrap.system.journal import SqliteJournal
from pgwrap.system.scratch import ScratchDirectories
from pgwrap.system.spool import LocalSpool

ME = getpass.getuser()
SIZE = 1 << 20
SEGMENT = bytes((0x10, 0xD1)) + bytes(SIZE - 2)
CONTROL = """\
Database system identifier:           7
Database cluster state:               {state}
Latest checkpoint's TimeLineID:       {timeline}
Min recovery ending loc's timeline:   {timeline}
Bytes per WAL segment:                1048576
Data page checksum version:           1
"""


def name(number: int) -> str:
    """A segment's."""
    return Segment(Timeline(1), number).name(SIZE)


@dataclass
class Engines:
    """Barman and pgBackRest at once, and the processes that their commands would be."""

    path: Path
    backups: tuple[Backup, ...] = ()
    states: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By a backup's id: the cluster state and timeline that its recovery leaves."""
    sets: list[CarriedSet] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    systems: tuple[str, ...] = ()
    liars: frozenset[str] = frozenset()
    """WAL files whose command succeeds and archives nothing."""
    refused: frozenset[str] = frozenset()
    """WAL files whose command fails."""
    unrestorable: frozenset[str] = frozenset()
    present: str = ""
    taken_of: list[ConsistentCopy] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    kind = EngineKind.BARMAN
    newest = EngineVersion((3, 20))
    name = "new-history"
    apart: str | None = None
    wals: str | None = None
    one_at_a_time = False

    # Barman

    def default_user(self, cluster: Cluster) -> str | None:
        return ME if ME != "root" else "nobody"

    def version(self, instance: EngineInstance, run_as: str | None) -> Conversation[EngineVersion]:
        yield ()
        return EngineVersion((2, 55, 1))

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        yield ()
        archive = ArchiveContents(
            repository="repo1", archive=None, segment_size=SIZE, ranges=(SegmentRange(Timeline(1), 1, 9),),
            directory=self.wals or str(self.path / "wals"),
        )  # fmt: skip
        return (
            Observation(
                engine="barman", engine_name="old", engine_version="3.20.1", backups=self.backups, archives=(archive,),
                system_identifier="7",
            ),
        )  # fmt: skip

    def history_source(self) -> Any:
        return self

    def history_stanza(self, cluster: Cluster, side: Side) -> Any:
        return self

    def depart(self, request: CopyRequest) -> Conversation[Departure]:
        yield ()

        def check(outcome: Outcome) -> None:
            if not outcome.succeeded:
                raise EngineFailed("it is broken")

        command = Command(argv=("restore", request.backup.id, request.data))
        return Departure(command=command, check=check, tablespaces=())

    def wal_files(self, cluster: Cluster, directory: str, run_as: str | None) -> Conversation[tuple[WalFile, ...]]:
        yield ()
        return tuple(
            WalFile(name=path.name, path=str(path), bytes=path.stat().st_size)
            for path in sorted(Path(directory).iterdir())
        )

    def fetch(self, cluster: Cluster, name: str, directory: str, run_as: str | None) -> Command:
        return Command(argv=("fetch", name, directory))

    # pgBackRest

    def create(self, data: str) -> Command:
        return Command(argv=("create", data))

    def take(self, copy: ConsistentCopy, deadline: float) -> Command:
        self.taken_of.append(copy)
        return Command(argv=("take", dict(copy.annotations)["id"]))

    def taken(self, outcome: Outcome) -> str:
        self.check(outcome)
        return outcome.text()

    def push(self, path: str) -> Command:
        return Command(argv=("push", path))

    def check(self, outcome: Outcome) -> None:
        if not outcome.succeeded:
            raise EngineFailed(f"{outcome.command.argv[0]} failed")

    def holdings(self, source: Cluster, system_identifier: str | None) -> Conversation[Holdings]:
        yield ()
        return Holdings(sets=tuple(self.sets), systems=self.systems, files=dict(self.files))

    def annotations(self, request: CopyRequest, departure: Departure) -> tuple[tuple[str, str], ...]:
        return (("id", request.backup.id),)

    def thinning(self) -> tuple[str, ...]:
        return ()

    def astray(self) -> Conversation[str | None]:
        yield ()
        return self.apart

    # their processes, and PostgreSQL's

    def run_all(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        return tuple(self.run(command) for command in commands)

    def run(self, command: Command, on_line: Any = None) -> Outcome:
        verb = command.argv[0].rsplit("/", 1)[-1]
        self.ran.append(verb)
        exit_code, stdout = getattr(self, f"do_{verb}")(*command.argv[1:])
        return Outcome(command=command, exit_code=exit_code, stdout=stdout)

    def do_restore(self, backup: str, data: str) -> tuple[int, bytes]:
        self.present = backup
        (Path(data) / "recovery.signal").touch()
        return int(backup in self.unrestorable), b""

    def do_pg_controldata(self, *words: str) -> tuple[int, bytes]:
        state, timeline = self.states.get(self.present, ("shut down in recovery", 1))
        return 0, CONTROL.format(state=state, timeline=timeline).encode()

    def do_pg_ctl(self, *words: str) -> tuple[int, bytes]:
        assert "recovery_target_timeline=current" in " ".join(words)
        return 1, b""

    def do_create(self, data: str) -> tuple[int, bytes]:
        self.systems = ("7",)
        return 0, b""

    def do_take(self, backup: str) -> tuple[int, bytes]:
        data = Path(self.taken_of[-1].data)
        assert not (data / "recovery.signal").exists()
        found = CarriedSet(id=f"set-{backup}", origin=backup, timeline=Timeline(1), annotations=(("id", backup),))
        self.sets.append(found)
        return 0, found.id.encode()

    def do_push(self, path: str) -> tuple[int, bytes]:
        file = Path(path)
        assert file.read_bytes() == (b"history" if file.suffix == ".history" else SEGMENT)
        if file.name not in self.liars | self.refused:
            self.files[file.name] = 100
        return int(file.name in self.refused), b""

    def do_fetch(self, file: str, directory: str) -> tuple[int, bytes]:
        (Path(directory) / file).write_bytes(SEGMENT)
        return 0, b""


def backup(number: int, **changes: Any) -> Backup:
    """A whole one, in one segment."""
    values: dict[str, Any] = {
        "engine": "barman", "engine_name": "old", "id": f"b{number}", "repository": "repo1", "type": "full",
        "state": "done", "stopped_at": datetime(2026, 11, number, tzinfo=UTC), "cluster_bytes": 100,
        "wal_start": name(number), "wal_stop": name(number), "lsn_start": Lsn(number * SIZE + 40),
        "lsn_stop": Lsn(number * SIZE + 400), "timeline": Timeline(1), "postgres_version": "15",
        "system_identifier": "7",
    }  # fmt: skip
    return Backup(**(values | changes))


@dataclass
class Programs:
    """PostgreSQL is installed, or not."""

    there: bool = True

    def postgres(self, program: str, major: str) -> str | None:
        return program if self.there else None


def no_secret(secret: Secret) -> str:
    """None is needed."""
    raise AssertionError(secret)


@dataclass
class Bench:
    """Both sides, and what is told of the carrying."""

    path: Path
    engines: Engines
    programs: Programs = field(default_factory=Programs)
    told: list[CarryProgress] = field(default_factory=list)

    @property
    def fleet(self) -> Fleet:
        """Two entries for one PostgreSQL."""
        clusters = tuple(
            Cluster(
                name=one, engine_name=one, repositories=(Repository(name="local", path=str(self.path)),),
                engine=EngineInstance(name=one, kind=kind, command=one, config="/c"), history="new-history",
            )
            for one, kind in (("old", EngineKind.BARMAN), ("new", EngineKind.PGBACKREST))
        )  # fmt: skip
        return Fleet(clusters=clusters, state=str(self.path / "state"))

    @property
    def world(self) -> World:
        """Real files, and no processes at all."""
        nothing: Any = None
        engines: Any = dict.fromkeys(EngineKind, lambda: self.engines)
        return World(
            runner=self.engines, files=LocalFiles(), postgres=nothing, programs=self.programs, secret=no_secret,
            masked=no_secret, engines=engines,
        )  # fmt: skip

    @property
    def tools(self) -> CarryTools:
        """A real journal and real scratch directories."""
        nothing: Any = None
        copies = Tools(
            journal=SqliteJournal(state=str(self.path / "state")), scratch=ScratchDirectories(), sql=nothing,
            clock=lambda: datetime(2026, 11, 26, tzinfo=UTC), chance=0.5, token="t0", user=ME, say=lambda _: None,
        )  # fmt: skip
        return CarryTools(copies=copies, spool=LocalSpool())

    @property
    def options(self) -> CarryOptions:
        """Few threads, short waits."""
        return CarryOptions(directory=str(self.path / "carry"), parallel=3, deadline=5.0, progress=self.told.append)

    def prepared(self) -> Prepared:
        """What would be done."""
        old, new = self.fleet.clusters
        return plan_into_pgbackrest(self.fleet, old, new, self.world, self.tools, self.options)

    def plan(self) -> CarryPlan:
        """What it tells."""
        return self.prepared().plan

    def carry(self, prepared: Prepared | None = None) -> Any:
        """Do it."""
        return carry_into_pgbackrest(prepared or self.prepared())

    def wal(self, *numbers: int, content: bytes = SEGMENT) -> None:
        """Put segments into Barman's archive."""
        for number in numbers:
            (self.path / "wals" / name(number)).write_bytes(content)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Two backups and five segments; its path is short enough for a socket's."""
    path = Path(tempfile.mkdtemp(prefix="pgw-", dir="/tmp"))
    path.chmod(0o755)
    for directory in ("wals", "carry", "state"):
        (path / directory).mkdir()
    made = Bench(path=path, engines=Engines(path=path, backups=(backup(1), backup(3))))
    made.wal(1, 2, 3, 4, 5)
    yield made
    shutil.rmtree(path)


def test_all_of_it_goes_and_nothing_is_left_behind(bench: Bench) -> None:
    """Oldest first, the second as a difference; every segment once; the scratch place and its claim are gone."""
    prepared = bench.prepared()
    plan = prepared.plan
    assert (len(plan.waiting), plan.segments_to_move, plan.refusals) == (2, 5, ())
    assert "take" not in bench.engines.ran
    result = bench.carry(prepared)
    assert (result.backups, result.segments, result.bytes, result.notes) == (("set-b1", "set-b3"), 5, 500, ())
    assert [one.kind for one in bench.engines.taken_of] == ["full", "incr"]
    assert [one.checksums for one in bench.engines.taken_of] == [True, True]
    assert Counter(bench.engines.ran)["push"] == 5
    assert list((bench.path / "carry").iterdir()) == []
    assert bench.tools.copies.journal.claims() == ()
    phases = [(one.phase, one.done, one.total) for one in bench.told]
    assert phases[:4] == [("backup", 0, 2), ("backup", 1, 2), ("backup", 1, 2), ("backup", 2, 2)]
    assert phases[4:] == [("wal", number, 5) for number in range(1, 6)]
    assert bench.told[-1].bytes == bench.told[-1].total_bytes == 5 * SIZE


def test_run_again_it_does_what_is_left(bench: Bench) -> None:
    """A set and some segments were carried by one that was killed."""
    bench.engines.sets.append(CarriedSet(id="L", origin="b1", timeline=Timeline(1), annotations=()))
    bench.engines.systems, bench.engines.files = ("7",), {name(1): 1, name(2): 1}
    result = bench.carry()
    assert (result.backups, result.segments) == (("set-b3",), 3)
    before = list(bench.engines.ran)
    assert bench.plan().done
    again = bench.carry()
    assert (again.backups, again.segments) == ((), 0)
    assert bench.engines.ran == before


@pytest.mark.parametrize(
    "left", [("in production", 1), ("in archive recovery", 1), ("shut down", 1), ("shut down in recovery", 2)]
)
def test_a_copy_that_did_not_become_consistent_is_never_taken(bench: Bench, left: tuple[str, int]) -> None:
    """Nor one on another timeline; the others go, and it is said."""
    bench.engines.states["b1"] = left
    result = bench.carry()
    assert result.backups == ("set-b3",)
    (note,) = result.notes
    assert "b1 was not carried" in note
    assert left[0] in note
    assert [one.kind for one in bench.engines.taken_of] == ["full"]


def test_a_backup_that_barman_cannot_restore_holds_nothing_back(bench: Bench) -> None:
    """Why is said."""
    bench.engines.unrestorable = frozenset({"b1"})
    result = bench.carry()
    assert (result.backups, result.segments) == (("set-b3",), 5)
    assert result.notes == ("b1 was not carried: it is broken",)


def test_without_any_backup_there_is_no_wal_to_carry(bench: Bench) -> None:
    """A stanza is made from a copy, and WAL alone restores nothing."""
    bench.engines.unrestorable = frozenset({"b1", "b3"})
    assert (bench.carry().segments, Counter(bench.engines.ran)["push"]) == (0, 0)


def test_what_an_engine_only_says_is_archived_is_not_believed(bench: Bench) -> None:
    """The listing decides; the next run sends it once more."""
    bench.engines.liars = frozenset({name(2)})
    with pytest.raises(EngineFailed, match=f"{name(2)} was archived without an error, and is not listed"):
        bench.carry()
    bench.engines.liars = frozenset()
    assert (bench.plan().segments_to_move, bench.carry().segments) == (1, 1)


def test_one_that_cannot_be_archived_is_an_error_and_the_rest_is_there(bench: Bench) -> None:
    """The next run goes on from there."""
    bench.engines.refused = frozenset({name(4)})
    with pytest.raises(EngineFailed, match=f"1 WAL file could not be archived in new-history: {name(4)}: push failed"):
        bench.carry()
    assert bench.engines.files.keys() == {name(number) for number in (1, 2, 3, 5)}


def test_what_stands_against_many_stands_against_all(bench: Bench) -> None:
    """A full disk is not run against a thousand times."""
    bench.wal(*range(6, 60))
    bench.engines.refused = frozenset(name(number) for number in range(60))
    with pytest.raises(EngineFailed):
        bench.carry()
    assert Counter(bench.engines.ran)["push"] < 12


def test_packed_wal_is_unpacked_and_damaged_wal_is_told(bench: Bench) -> None:
    """By what is at hand, or by Barman; a segment that is cut off is as good as missing."""
    bench.wal(2, content=gzip.compress(SEGMENT))
    bench.wal(4, content=b"\x85\x01\x8c encrypted")
    bench.wal(5, content=SEGMENT[:-1])
    bench.wal(6, content=gzip.compress(SEGMENT)[:-20])
    (bench.path / "wals/00000002.history").write_bytes(b"history")
    result = bench.carry()
    assert bench.engines.files.keys() == {*map(name, (1, 2, 3, 4)), "00000002.history"}
    assert len(result.notes) == 2
    assert all(f"{name(number)}" in " ".join(result.notes) for number in (5, 6))
    assert bench.plan().segments_to_move == 2


def test_two_at_once_are_one_too_many(bench: Bench) -> None:
    """The second ends before it looks at anything."""
    prepared = bench.prepared()
    with LocalFiles().exclusive(str(bench.path / "state/carry-new.lock")), pytest.raises(Busy):
        bench.carry(prepared)
    assert "restore" not in bench.engines.ran


def test_what_stands_against_it_is_told_beforehand_and_refused(bench: Bench) -> None:
    """No PostgreSQL, another cluster's stanza."""
    bench.programs.there = False
    bench.engines.systems = ("8",)
    bench.engines.apart = "it would lie elsewhere"
    prepared = bench.prepared()
    assert any("PostgreSQL 15 is not installed" in one for one in prepared.plan.refusals)
    assert any("another cluster" in one for one in prepared.plan.refusals)
    assert "it would lie elsewhere" in prepared.plan.refusals
    with pytest.raises(Refused) as raised:
        bench.carry(prepared)
    assert "more reason" in raised.value.hint


def test_wal_in_a_bucket_is_not_on_this_host(bench: Bench) -> None:
    """Barman 3.18 and later."""
    bench.engines.wals = "s3://bucket/wals"
    with pytest.raises(EngineUnsupported, match="s3://bucket"):
        bench.plan()


def test_the_other_way_round_is_another_command(bench: Bench) -> None:
    """A history goes from Barman into pgBackRest here."""
    old, new = bench.fleet.clusters
    with pytest.raises(UsageError, match="new is pgbackrest's"):
        plan_into_pgbackrest(bench.fleet, new, old, bench.world, bench.tools, bench.options)
