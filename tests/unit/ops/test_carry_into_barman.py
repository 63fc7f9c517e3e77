"""Carrying a history into Barman, decided and moved with engines that lose, shorten and refuse files."""

from __future__ import annotations

import getpass
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pgwrap.domain.carrying import Bases, CarryProgress
from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.facts import ArchiveContents, Backup, Observation
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, Secret
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, Lsn, Segment, SegmentRange, Timeline
from pgwrap.engines.catalog_port import ArchivedFile, Incoming, IncomingRequest, Outgoing, OutgoingRequest, Reception
from pgwrap.engines.port import Engine, EngineVersion, ObserveRequest
from pgwrap.errors import EngineFailed, EngineUnsupported, Refused, UsageError
from pgwrap.ops import carry_wal_into_barman
from pgwrap.ops.carry_into_barman import carry_into_barman, known_data, own_wal
from pgwrap.ops.carry_planning import Prepared, plan_into_barman, wal_present
from pgwrap.ops.carry_sides import CarryOptions, CarryTools
from pgwrap.ops.carry_wal_into_barman import WalMover, Way, batches
from pgwrap.ops.world import World
from pgwrap.system.files import LocalFiles
from pgwrap.system.scratch import ScratchDirectories
from pgwrap.system.store import LocalStore

SIZE = DEFAULT_SEGMENT_SIZE
SYSTEM = "7575757575757575757"
OWN = getpass.getuser()
OLDEST = EngineVersion((3, 4, 0))
PGBACKREST = EngineInstance(name="p", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/p.conf", run_as=OWN)
BARMAN = EngineInstance(name="b", kind=EngineKind.BARMAN, command="barman", config="/b.conf", run_as=OWN)
ORDERS = Cluster(name="orders", engine=PGBACKREST, engine_name="orders")
FRESH = Cluster(name="fresh", engine=BARMAN, engine_name="fresh", replaces="orders")
FLEET = Fleet(clusters=(ORDERS, FRESH))
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


def name(number: int) -> str:
    """A segment's name."""
    return Segment(Timeline(1), number).name(SIZE)


def backup(number: int, **changes: Any) -> Backup:
    """A full backup that begins and ends in segment `number`, on the day of that number."""
    moment = EPOCH + timedelta(days=number)
    values: dict[str, Any] = {
        "engine": "pgbackrest", "engine_name": "orders", "id": f"{moment:%Y%m%d-%H%M%S}F", "repository": "repo1",
        "archive": "15-1", "type": "full", "state": "done", "started_at": moment, "stopped_at": moment,
        "cluster_bytes": 1000, "wal_start": name(number), "wal_stop": name(number),
        "lsn_start": Lsn(number * SIZE + 40), "lsn_stop": Lsn(number * SIZE + 400), "timeline": Timeline(1),
        "postgres_version": "15", "system_identifier": SYSTEM,
    }  # fmt: skip
    return Backup(**(values | changes))


def observation(*backups: Backup, ranges: tuple[tuple[int, int], ...] = ((1, 9),)) -> Observation:
    """What pgBackRest tells."""
    archive = ArchiveContents(
        repository="repo1",
        archive="15-1",
        system_identifier=SYSTEM,
        segment_size=SIZE,
        ranges=tuple(SegmentRange(Timeline(1), first, last) for first, last in ranges),
    )
    return Observation(engine="pgbackrest", engine_name="orders", backups=backups, archives=(archive,))


@dataclass
class Sender:
    """A pgBackRest whose files are small, and which may lose some on the way."""

    files: tuple[ArchivedFile, ...] = ()
    ahead_brings: Callable[[str], bytes | None] = lambda _: b"x"
    one_brings: Callable[[str], bytes | None] = lambda _: b"x"
    fetched: list[str] = field(default_factory=list)

    def listing(self) -> Command:
        return Command(argv=("list",))

    def listed(self, outcome: Outcome) -> tuple[ArchivedFile, ...]:
        return self.files

    def ahead(self, spool: str) -> str:
        return spool

    def fetch_ahead(self, segments: tuple[str, ...], data: str, spool: str) -> Command:
        return Command(argv=("ahead", spool, *segments))

    def fetch(self, name: str, target: str, data: str, spool: str) -> Command:
        return Command(argv=("fetch", target))

    def check(self, outcome: Outcome) -> None:
        """All is well: nothing here believes it."""

    def run(self, command: Command) -> None:
        match command.argv:
            case ("ahead", spool, *segments):
                for segment in segments:
                    self.put(f"{spool}/{segment}", self.ahead_brings(segment))
            case ("fetch", target):
                self.fetched.append(posixpath.basename(target))
                self.put(target, self.one_brings(posixpath.basename(target)))

    def put(self, path: str, content: bytes | None) -> None:
        if content is None:
            Path(f"{path}.ok").touch()
        else:
            Path(path).write_bytes(content)


@dataclass
class Receiver:
    """A Barman with a real directory; `take` is what its archive-wal does with a file that came in."""

    place: Path
    plain: bool = False
    compresses: bool = False
    system_identifier: str | None = SYSTEM
    take: Callable[[Path, Path], object] = lambda file, target: file.rename(target)

    @property
    def bases(self) -> str:
        return str(self.place / "base")

    @property
    def wals(self) -> str:
        return str(self.place / "wals")

    def directories(self) -> tuple[str, ...]:
        return (self.bases, self.wals)

    def id_of(self, backup: Backup) -> str | None:
        return backup.id.replace("-", "T")[:-1] if backup.id.endswith("F") else None

    def wal_path(self, name: str) -> str:
        return f"{self.wals}/{name[:16]}/{name}"

    def take_in(self, reception: Reception) -> Command:
        return Command(argv=("take", reception.incoming))

    def check(self, outcome: Outcome) -> None:
        """All is well."""

    def run(self, command: Command) -> None:
        if command.argv[0] == "take":
            for file in sorted(Path(command.argv[1]).iterdir()):
                target = Path(self.wal_path(file.name))
                target.parent.mkdir(parents=True, exist_ok=True)
                self.take(file, target)


@dataclass
class Side:
    """An engine as far as carrying asks."""

    kind: EngineKind
    seen: Observation
    part: Sender | Receiver
    newest: EngineVersion = OLDEST

    def default_user(self, cluster: Cluster) -> str | None:
        return None

    def owned_paths(self, cluster: Cluster) -> tuple[str, ...]:
        return ()

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        yield ()
        return (self.seen,)

    def outgoing(self, request: OutgoingRequest) -> Outgoing:
        return cast("Outgoing", self.part)

    def incoming(self, request: IncomingRequest) -> Conversation[Incoming]:
        yield ()
        return cast("Incoming", self.part)


@dataclass
class Runner:
    """Hands each command to the one whose it is."""

    sender: Sender
    receiver: Receiver

    def run(self, command: Command, on_line: object = None) -> Outcome:
        self.sender.run(command)
        self.receiver.run(command)
        return Outcome(command=command, exit_code=0)

    def run_all(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        return tuple(self.run(command) for command in commands)


def no_secret(secret: Secret) -> str:
    """None is needed."""
    raise AssertionError(secret)


@dataclass
class Scene:
    """Both sides, and who looks."""

    tmp: Path
    source: Observation
    target: Observation = field(default_factory=lambda: Observation(engine="barman", engine_name="fresh"))
    user: str = OWN
    sender: Sender = field(default_factory=Sender)
    plain: bool = False
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.receiver = Receiver(place=self.tmp, plain=self.plain)
        for directory in self.receiver.directories():
            Path(directory).mkdir(parents=True, exist_ok=True)

    def plan(self, options: CarryOptions | None = None, fleet: Fleet = FLEET) -> Prepared:
        sides = {
            EngineKind.PGBACKREST: Side(kind=EngineKind.PGBACKREST, seen=self.source, part=self.sender),
            EngineKind.BARMAN: Side(kind=EngineKind.BARMAN, seen=self.target, part=self.receiver),
        }
        world = World(
            runner=Runner(self.sender, self.receiver),
            files=LocalFiles(),
            postgres=cast("Any", None),
            programs=cast("Any", None),
            secret=no_secret,
            masked=no_secret,
            engines={kind: (lambda side=side: cast("Engine", side)) for kind, side in sides.items()},
        )
        tools = CarryTools(
            scratch=ScratchDirectories(), store=LocalStore(), token="t0", user=self.user, say=self.said.append
        )
        source, target = fleet.clusters
        return plan_into_barman(fleet, source, target, world, tools, options or CarryOptions())


def decisions(prepared: Prepared) -> list[tuple[bool, bool, str]]:
    """What becomes of each backup."""
    return [(one.carried, one.already, one.reason) for one in prepared.plan.backups]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lsn_start": None}, "taken offline"),
        ({"page_errors": True}, "wrong page checksums"),
        ({"restorable": False}, "builds on is missing"),
        ({"archive": "14-1"}, "another PostgreSQL"),
        ({"system_identifier": "1"}, "another PostgreSQL"),
        ({"wal_stop": name(12), "lsn_stop": Lsn(12 * SIZE + 40)}, "WAL that it needs is missing"),
        ({"id": "odd"}, "tells no moment"),
    ],
)
def test_what_cannot_be_carried_is_left_with_its_reason(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """The others go."""
    prepared = Scene(tmp_path, observation(backup(2), backup(5, **changes))).plan()
    (whole, left) = sorted(decisions(prepared), reverse=True)
    assert whole == (True, False, "")
    assert left[:2] == (False, False)
    assert said in left[2]
    assert prepared.plan.refusals == ()


def test_what_is_there_is_not_carried_again(tmp_path: Path) -> None:
    """The same backup counts as carried; another one under its id is in the way."""
    there = replace(backup(2), engine="barman", id="20261103T000000")
    target = Observation(engine="barman", engine_name="fresh", backups=(there, replace(there, id="20261106T000000")))
    prepared = Scene(tmp_path, observation(backup(2), backup(5), backup(7)), target).plan()
    assert [one[:2] for one in decisions(prepared)] == [(True, True), (False, False), (True, False)]
    assert "another backup called 20261106T000000" in decisions(prepared)[1][2]


def test_wal_that_follows_is_fetched_by_a_base_that_is_there(tmp_path: Path) -> None:
    """Where no base is left to carry, one that came before tells whose WAL it is."""
    there = replace(backup(2), engine="barman", id="20261103T000000")
    target = Observation(engine="barman", engine_name="fresh", backups=(there,))
    scene = Scene(tmp_path, observation(backup(2)), target)
    prepared = scene.plan()
    assert prepared.plan.waiting == ()
    assert known_data(prepared) == f"{scene.receiver.bases}/{there.id}/data"


def test_fewer_bases_are_a_wish_that_is_said(tmp_path: Path) -> None:
    """After a gap the next base is needed all the same, and the gap is told."""
    seen = observation(backup(2), backup(3), backup(6), backup(8), ranges=((1, 4), (6, 9)))
    prepared = Scene(tmp_path, seen).plan(CarryOptions(bases=Bases(kind="oldest")))
    assert [one[0] for one in decisions(prepared)] == [True, False, True, False]
    assert "only oldest of the bases" in decisions(prepared)[1][2]
    assert any("WAL is missing" in note for note in prepared.plan.notes)


def test_another_cluster_is_refused(tmp_path: Path) -> None:
    """Its history would be restored in its place."""
    scene = Scene(tmp_path, observation(backup(2)))
    scene.receiver.system_identifier = "1"
    assert "not the same cluster" in scene.plan().plan.refusals[0]
    with pytest.raises(Refused, match="not the same cluster"):
        carry_into_barman(scene.plan(), lambda _: None)


def test_room_is_counted_before_anything_is_done(tmp_path: Path) -> None:
    """With figures."""
    scene = Scene(tmp_path, observation(backup(2, cluster_bytes=1 << 60)))
    (refusal,) = scene.plan().plan.refusals
    assert "the history needs 1.0 EiB" in refusal


def test_room_is_counted_where_the_work_is_done(tmp_path: Path) -> None:
    """One backup at a time is unpacked there."""
    seen = observation(backup(2, cluster_bytes=1 << 59), backup(5, cluster_bytes=1 << 60))
    refusals = Scene(tmp_path, seen).plan(CarryOptions(directory=str(tmp_path))).plan.refusals
    assert [("1.5 EiB" in one, "1.0 EiB" in one) for one in refusals] == [(True, False), (False, True)]


def test_what_is_left_behind_is_not_the_oldest(tmp_path: Path) -> None:
    """The next one is carried in its stead."""
    options = CarryOptions(bases=Bases(kind="oldest"), leave=(backup(2).id,))
    prepared = Scene(tmp_path, observation(backup(2), backup(5), backup(8))).plan(options)
    assert [one[0] for one in decisions(prepared)] == [False, True, False]
    assert decisions(prepared)[0][2] == "left behind, as was asked"


def test_nothing_to_carry_is_refused(tmp_path: Path) -> None:
    """With the reasons at each backup."""
    assert "no backup that can be carried" in Scene(tmp_path, observation()).plan().plan.refusals[0]


def test_only_who_may_read_and_write_can_carry(tmp_path: Path) -> None:
    """Somebody else is told how."""
    with pytest.raises(UsageError) as caught:
        Scene(tmp_path, observation(backup(2)), user="you").plan()
    assert f"sudo -u {OWN}" in caught.value.hint


@pytest.mark.parametrize("fleet", [Fleet(clusters=(FRESH, ORDERS)), Fleet(clusters=(ORDERS, ORDERS))])
def test_it_goes_from_pgbackrest_to_barman_alone(tmp_path: Path, fleet: Fleet) -> None:
    """The way back is another."""
    with pytest.raises(EngineUnsupported, match="from pgBackRest to Barman"):
        Scene(tmp_path, observation(backup(2))).plan(fleet=fleet)


# WAL


def archived(*numbers: int) -> tuple[ArchivedFile, ...]:
    """Segments, each archived at a second of its own."""
    return tuple(ArchivedFile(name=name(number), written_at=1000 + number) for number in numbers)


def mover(scene: Scene) -> WalMover:
    """A mover whose segments are of one byte."""
    prepared = scene.plan()
    for place in ("spool", "incoming", "errors"):
        (scene.tmp / place).mkdir()
    reception = Reception(configuration="/none", incoming=str(scene.tmp / "incoming"), errors=str(scene.tmp / "errors"))
    way = Way(spool=str(scene.tmp / "spool"), control="/none", reception=reception)
    sides = replace(prepared.sides, segment_size=1)
    return WalMover(sides=sides, way=way, report=lambda _: None, total=0, total_bytes=0)


@pytest.fixture(params=[True, False], ids=["plain", "through Barman"])
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Scene:
    """WAL that is put to its place, or that Barman takes in."""
    return Scene(tmp_path, observation(backup(2)), plain=request.param)


def test_every_file_comes_to_its_place_with_its_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In batches, of which each tells how far it is."""
    monkeypatch.setattr(carry_wal_into_barman, "BATCH_BYTES", 2)
    told: list[CarryProgress] = []
    files = (*archived(1, 2, 3), ArchivedFile(name="00000002.history", written_at=7))
    one = mover(scene)
    one.report = told.append
    one.move(files)
    for file in files:
        assert Path(scene.receiver.wal_path(file.name)).stat().st_mtime == file.written_at
    assert [progress.done for progress in told] == [2, 4]
    assert wal_present(one.sides) >= {file.name for file in archived(1, 2, 3)}
    assert list((tmp_path / "spool").iterdir()) == list((tmp_path / "incoming").iterdir()) == []


def test_what_does_not_come_in_bulk_comes_by_itself(scene: Scene) -> None:
    """Marks of what was not found and halves do not count."""
    scene.sender.ahead_brings = lambda found: {name(1): None, name(2): b""}.get(found, b"x")
    mover(scene).move(archived(1, 2, 3))
    assert scene.sender.fetched == [name(1), name(2)]
    assert Path(scene.receiver.wal_path(name(2))).read_bytes() == b"x"


def test_a_short_segment_is_not_handed_over(scene: Scene) -> None:
    """Though every command succeeded."""
    scene.sender.ahead_brings = scene.sender.one_brings = lambda _: b""
    with pytest.raises(EngineFailed, match="0 bytes, which is not a whole file"):
        mover(scene).move(archived(1))
    assert not Path(scene.receiver.wal_path(name(1))).exists()


def test_what_barman_puts_aside_is_an_error(tmp_path: Path) -> None:
    """A file of that name with other content is there."""
    scene = Scene(tmp_path, observation(backup(2)))
    scene.receiver.take = lambda file, _: file.rename(tmp_path / "errors" / f"{file.name}.duplicate")
    with pytest.raises(EngineFailed, match="does not take 000000010000000000000001"):
        mover(scene).move(archived(1))


def test_what_barman_loses_is_missed(tmp_path: Path) -> None:
    """No exit code is believed."""
    scene = Scene(tmp_path, observation(backup(2)))
    scene.receiver.take = lambda file, _: file.unlink()
    with pytest.raises(EngineFailed, match="does not hold 000000010000000000000001"):
        mover(scene).move(archived(1))


def test_what_barman_leaves_is_waited_for_and_then_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own archiving may hold the lock for a while."""
    monkeypatch.setattr(carry_wal_into_barman, "_BUSY_FOR", 0.0)
    scene = Scene(tmp_path, observation(backup(2)))
    scene.receiver.take = lambda file, _: file.exists()
    with pytest.raises(EngineFailed, match="does not take in"):
        mover(scene).move(archived(1))


def test_nothing_in_the_target_is_replaced(tmp_path: Path) -> None:
    """What came there by itself meanwhile stays: the same is as good, another is an error."""
    scene = Scene(tmp_path, observation(backup(2)), plain=True)
    target = Path(scene.receiver.wal_path(name(1)))
    target.parent.mkdir(parents=True)
    target.write_bytes(b"x")
    one = mover(scene)
    one.move(archived(1))
    assert list((tmp_path / "incoming").iterdir()) == []
    target.write_bytes(b"y")
    one.moved.clear()
    with pytest.raises(Refused, match="already"):
        one.move(archived(1))
    assert target.read_bytes() == b"y"


def test_a_batch_holds_at_least_one() -> None:
    """However large a segment is."""
    files = archived(1, 2, 3)
    assert [len(batch) for batch in batches(files, 1 << 40)] == [1, 1, 1]
    assert [len(batch) for batch in batches(files, 1)] == [3]
    assert list(batches((), 1)) == []


def test_a_backups_own_wal_is_what_makes_it_whole() -> None:
    """And every history, which tells the way to it; no partial segment."""
    files = (
        *archived(1, 2, 3, 4),
        ArchivedFile(name=f"{name(3)}.partial", written_at=1),
        ArchivedFile(name="00000002.history", written_at=1),
    )
    one = backup(2, wal_stop=name(3), lsn_stop=Lsn(3 * SIZE + 5))
    assert [file.name for file in own_wal(one, files, SIZE)] == [name(2), name(3), "00000002.history"]
