"""Commit times are read out of archived segments, newest first, a few at a time, and remembered by segment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.domain.facts import ArchiveContents, Backup, Observation
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.domain.plan import WriteFile
from pgwrap.domain.wal import Lsn, SegmentRange, Timeline
from pgwrap.ops.proofs import SEGMENTS_PER_RUN, CommitCache, ProofReader
from pgwrap.ops.world import World

INSTANCE = EngineInstance(name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/p.conf")
CLUSTER = Cluster(name="a", engine=INSTANCE, engine_name="a", run_as="postgres")
STOPPED = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
SIZE = 16 << 20
COMMIT = (
    b"rmgr: Transaction len (rec/tot):     34/    34, tx:        731, lsn: 0/05000110, prev 0/050000D8, "
    b"desc: COMMIT 2026-11-23 07:30:01.250000 UTC\n"
    b"rmgr: Transaction len (rec/tot):     34/    34, tx:        732, lsn: 0/05000160, prev 0/05000110, "
    b"desc: ABORT 2026-11-23 07:45:00.000000 UTC\n"
)


def segment(number: int) -> str:
    """The name of a segment of timeline 1."""
    return f"{1:08X}{0:08X}{number:08X}"


def observation(last: int) -> Observation:
    """A cluster with one backup in segment 3 and WAL up to `last`."""
    backup = Backup(
        engine="pgbackrest", engine_name="a", id="20261123-070000F", repository="local", archive="15-1", type="full",
        state="done", started_at=STOPPED, stopped_at=STOPPED, wal_start=segment(3), wal_stop=segment(3),
        lsn_start=Lsn.parse("0/3000028"), lsn_stop=Lsn.parse("0/3000100"), timeline=Timeline(1),
        system_identifier="7", postgres_version="15",
    )  # fmt: skip
    archive = ArchiveContents(
        repository="local", archive="15-1", system_identifier="7", postgres_version="15", segment_size=SIZE,
        minimum=segment(3), maximum=segment(last), ranges=(SegmentRange(Timeline(1), 3, last),),
    )  # fmt: skip
    return Observation(
        engine="pgbackrest", engine_name="a", backups=(backup,), archives=(archive,), system_identifier="7",
        postgres_version="15",
    )  # fmt: skip


@dataclass
class Archive:
    """A runner that fetches segments and dumps their commits; `commits` is by segment name."""

    commits: dict[str, bytes]
    fetched: list[str] = field(default_factory=list)

    def run(self, command: Command, on_line: object = None) -> Outcome:
        name = command.argv[-1].rpartition("/")[2]
        if command.argv[0] == "fetch":
            self.fetched.append(name)
            missing = name not in self.commits
            return Outcome(command=command, exit_code=1 if missing else 0)
        return Outcome(command=command, exit_code=0, stdout=self.commits[name])


class Fetching:
    """An engine that can hand out segments."""

    def fetch_wal(
        self, cluster: Cluster, repository: str, archive: str, name: str, directory: str, run_as: str
    ) -> Command:
        return Command(argv=("fetch", name), run_as=run_as)

    def default_user(self, cluster: Cluster) -> str:
        return "postgres"


@dataclass
class Disk:
    """A file door with a memory."""

    kept: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str | None:
        return self.kept.get(path)

    def write(self, file: WriteFile) -> None:
        self.kept[file.path] = file.text

    @contextmanager
    def private_directory(self, owner: str | None) -> Iterator[str]:
        yield "/scratch"


@dataclass
class Counting(Disk):
    """A file door that counts what is read."""

    reads: list[str] = field(default_factory=list)

    def read(self, path: str) -> str | None:
        self.reads.append(path)
        return super().read(path)


@dataclass
class Waldump:
    """A machine that has pg_waldump, or not."""

    path: str | None = "/usr/lib/postgresql/15/bin/pg_waldump"

    def postgres(self, program: str, major: str) -> str | None:
        assert (program, major) == ("pg_waldump", "15")
        return self.path


def reader(archive: Archive, disk: Disk, programs: Waldump | None = None, cluster: Cluster = CLUSTER) -> ProofReader:
    """A reader over these fakes."""
    world = World(
        runner=archive,  # type: ignore[arg-type]
        files=disk,  # type: ignore[arg-type]
        postgres=None,  # type: ignore[arg-type]
        programs=programs or Waldump(),
        secret=None,  # type: ignore[arg-type]
        masked=None,  # type: ignore[arg-type]
        engines={EngineKind.PGBACKREST: Fetching},  # type: ignore[dict-item]
    )
    cache = CommitCache(files=world.files, state="/state")
    return ProofReader(world=world, cluster=cluster, cache=cache, deadline=5)


def times(proofs: object) -> dict[str, datetime | None]:
    """The proofs by segment name."""
    return {key.segment: commit for key, commit in proofs.items()}  # type: ignore[attr-defined]


def test_the_newest_commit_is_read_and_an_abort_proves_nothing() -> None:
    """The last COMMIT of the newest segment is the proof."""
    proofs = reader(Archive({segment(5): COMMIT}), Disk()).prove(observation(5))
    assert {segment(5): datetime(2026, 11, 23, 7, 30, 1, 250000, tzinfo=UTC)} == times(proofs)


def test_a_segment_without_commits_sends_the_reader_back() -> None:
    """Idle segments are read through until one holds a commit."""
    archive = Archive({segment(5): b"", segment(4): COMMIT})
    proofs = times(reader(archive, Disk()).prove(observation(5)))
    assert [segment(5), segment(4)] == archive.fetched
    assert proofs[segment(5)] is None
    assert proofs[segment(4)] is not None


def test_only_a_few_segments_are_read_at_a_time_and_the_next_run_goes_on() -> None:
    """A long idle archive costs a bounded number of reads, and what was read stays known."""
    archive = Archive({segment(number): b"" for number in range(3, 21)})
    disk = Disk()
    reader(archive, disk).prove(observation(20))
    first = list(archive.fetched)
    reader(archive, disk).prove(observation(20))
    assert len(first) == SEGMENTS_PER_RUN
    assert first + [segment(16 - index) for index in range(SEGMENTS_PER_RUN)] == archive.fetched


def test_a_known_segment_is_not_fetched_again() -> None:
    """The second status over an unchanged archive starts no process."""
    disk = Disk()
    reader(Archive({segment(5): COMMIT}), disk).prove(observation(5))
    again = Archive({})
    proofs = reader(again, disk).prove(observation(5))
    assert [] == again.fetched
    assert [segment(5)] == list(times(proofs))


def test_clusters_of_one_system_read_the_cache_once_and_lose_nothing_of_each_other() -> None:
    """A standby's stanza and its primary's, say: both are judged in one status, side by side."""
    disk = Counting()
    archive = Archive({segment(5): COMMIT, segment(9): COMMIT})
    one = reader(archive, disk)
    other = replace(one, cluster=replace(CLUSTER, name="b"))
    one.prove(observation(5))
    other.prove(observation(9))
    again = reader(Archive({}), disk).prove(observation(5))
    assert {segment(5), segment(9)} == set(times(again))
    assert ["/state/cache/commits/7.json"] * 2 == disk.reads


def test_a_broken_cache_is_read_anew() -> None:
    """A damaged cache file costs time, never an answer."""
    disk = Disk({"/state/cache/commits/7.json": '[{"segment": "x"}]'})
    proofs = reader(Archive({segment(5): COMMIT}), disk).prove(observation(5))
    assert [segment(5)] == list(times(proofs))


def test_a_segment_that_cannot_be_fetched_proves_nothing() -> None:
    """No claim is made from what could not be read, and no further segment is tried."""
    archive = Archive({})
    assert {} == times(reader(archive, Disk()).prove(observation(5)))
    assert [segment(5)] == archive.fetched


def test_without_pg_waldump_nothing_is_claimed() -> None:
    """The interval then ends at a backup, which needs no proof."""
    archive = Archive({segment(5): COMMIT})
    assert {} == times(reader(archive, Disk(), Waldump(path=None)).prove(observation(5)))
    assert [] == archive.fetched


def test_an_engine_on_another_host_is_not_asked_for_segments() -> None:
    """WAL is not pulled over the network for a status."""
    far = replace(CLUSTER, engine=replace(INSTANCE, host="backup1"))
    archive = Archive({segment(5): COMMIT})
    assert {} == reader(archive, Disk(), cluster=far).prove(observation(5))


def test_a_dump_that_failed_without_commits_is_not_taken_for_an_empty_segment() -> None:
    """pg_waldump dying must not look like an idle segment."""

    class Dying(Archive):
        def run(self, command: Command, on_line: object = None) -> Outcome:
            if command.argv[0] == "fetch":
                return super().run(command)
            return Outcome(command=command, failure=Failure.TIMEOUT)

    assert {} == times(reader(Dying({segment(5): b""}), Disk()).prove(observation(5)))
