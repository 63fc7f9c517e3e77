"""A restore planned and carried out on real files by a small engine of its own, with what it leaves behind."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.facts import ArchiveContents, Backup, Observation, Tablespace
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, Secret
from pgwrap.domain.restoring import RefusalCode
from pgwrap.domain.wal import Lsn, SegmentRange, Timeline
from pgwrap.engines.port import ObserveRequest, RestoreJob, RestoreRequest
from pgwrap.errors import EngineFailed, Refused, UsageError
from pgwrap.ops.restore import carry_out, require_clear
from pgwrap.ops.restore_planning import Prepared, RestoreOptions, plan_restore
from pgwrap.ops.world import World
from pgwrap.system.files import LocalFiles
from pgwrap.system.process import ProcessRunner

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SYSTEM = 7711281506394560436
ME = getpass.getuser()
RESTORE = """\
import pathlib, struct, sys
directory, fails = pathlib.Path(sys.argv[1]), sys.argv[2] == "fails"
(directory / "PG_VERSION").write_text("15\\n")
if fails:
    sys.exit(1)
(directory / "global").mkdir()
(directory / "global/pg_control").write_bytes(struct.pack("=Q", int(sys.argv[3])) + bytes(100))
(directory / "postgresql.auto.conf").write_text("# mine\\n")
print("half way")
"""


@dataclass
class Engine:
    """An engine with one backup, which it restores by writing three files."""

    system: int = SYSTEM
    fails: bool = False
    size: int | None = 1000
    tablespaces_there: tuple[Tablespace, ...] = ()
    user: str | None = None
    job: Mapping[str, Any] = field(default_factory=dict)
    requests: list[RestoreRequest] = field(default_factory=list)

    kind = EngineKind.BARMAN
    newest = (3, 20)

    def default_user(self, cluster: Cluster) -> str | None:
        return None

    def owned_paths(self, cluster: Cluster) -> tuple[str, ...]:
        return ()

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        yield ()
        return (observation(self.size),)

    def restore_user(self, cluster: Cluster, owner: str | None) -> str | None:
        return self.user

    def tablespaces(self, cluster: Cluster, backup: Backup, run_as: str | None) -> Conversation[tuple[Tablespace, ...]]:
        yield ()
        return self.tablespaces_there

    def restore(self, request: RestoreRequest) -> RestoreJob:
        self.requests.append(request)
        words = (request.directory, "fails" if self.fails else "works", str(self.system))

        def check(outcome: Outcome) -> tuple[str, ...]:
            if not outcome.succeeded:
                raise EngineFailed("it died")
            return ("look at it",)

        values: dict[str, Any] = {
            "command": Command(argv=(sys.executable, "-c", RESTORE, *words)), "progress": lambda _: None,
            "check": check, "written": (), "settings": (("archive_mode", "off"),),
        }  # fmt: skip
        return RestoreJob(**(values | dict(self.job)))


def observation(size: int | None) -> Observation:
    """One whole backup and the WAL after it."""
    backup = Backup(
        engine="barman", engine_name="billing", id="20261125T100000", repository="repo1", type="full", state="done",
        stopped_at=datetime(2026, 11, 25, 10, tzinfo=UTC), cluster_bytes=size, wal_start="000000010000000000000002",
        wal_stop="000000010000000000000002", lsn_start=Lsn(0x2000028), lsn_stop=Lsn(0x2000100), timeline=Timeline(1),
        postgres_version="15", system_identifier=str(SYSTEM),
    )  # fmt: skip
    archive = ArchiveContents(
        repository="repo1", archive=None, segment_size=16 << 20, ranges=(SegmentRange(Timeline(1), 1, 4),)
    )
    return Observation(
        engine="barman", engine_name="billing", engine_version="3.20.1", backups=(backup,), archives=(archive,),
        system_identifier=str(SYSTEM), postgres_version="15",
    )  # fmt: skip


class NoPrograms:
    """No PostgreSQL is installed."""

    def postgres(self, program: str, major: str) -> str | None:
        return None


def no_secret(secret: Secret) -> str:
    """None is needed."""
    raise AssertionError(secret)


@dataclass
class Bench:
    """A place, an engine, and what is asked of both."""

    path: Path
    engine: Engine = field(default_factory=Engine)
    said: list[str] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """Where the copy goes."""
        return self.path / "copy"

    @property
    def world(self) -> World:
        """Real processes and files."""
        nothing: Any = None
        engines: Any = {EngineKind.BARMAN: lambda: self.engine}
        return World(
            runner=ProcessRunner(), files=LocalFiles(), postgres=nothing, programs=NoPrograms(), secret=no_secret,
            masked=no_secret, engines=engines,
        )  # fmt: skip

    def plan(self, **changes: Any) -> Prepared:
        """The plan of a restore to the end of the WAL."""
        instance = EngineInstance(name="barman", kind=EngineKind.BARMAN, command="barman", config="/etc/barman.conf")
        cluster = Cluster(name="billing", engine=instance, engine_name="billing")
        fleet = Fleet(clusters=(cluster,), state=str(self.path / "state"))
        options = RestoreOptions(directory=str(self.directory), owner=ME if ME != "root" else "nobody")
        if ME == "root":
            options = replace(options, as_root=True)
        return plan_restore(fleet, cluster, self.world, replace(options, **changes), now=NOW)

    def restore(self, **changes: Any) -> Any:
        """The restore, done."""
        prepared = self.plan(**changes)
        return carry_out(prepared, self.world, lambda _: None, now=NOW)

    def codes(self, **changes: Any) -> list[RefusalCode]:
        """What stands against it."""
        return [one.code for one in self.plan(**changes).plan.refusals]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty place."""
    return Bench(path=tmp_path)


def test_a_plan_changes_nothing(bench: Bench) -> None:
    """Not even a directory."""
    plan = bench.plan().plan
    assert (plan.backup, plan.refusals, plan.wal.segments) == ("20261125T100000", (), 3)
    assert (plan.space[0].needed_bytes, plan.expected_seconds) == (1000 + 3 * (16 << 20), None)
    assert list(bench.path.iterdir()) == []


def test_a_restore_is_completed_and_told(bench: Bench) -> None:
    """Settings, configuration that was elsewhere, the engine's warnings, how to start and how to undo."""
    result = bench.restore()
    assert (bench.directory / "postgresql.auto.conf").read_text() == "# mine\narchive_mode = 'off'\n"
    assert {path.name for path in bench.directory.glob("pg_*.conf")} == {"pg_hba.conf", "pg_ident.conf"}
    assert "listen_addresses = ''" in (bench.directory / "postgresql.conf").read_text()
    assert result.system_identifier == str(SYSTEM)
    assert result.messages[0] == "look at it"
    assert "the original's lies elsewhere" in result.messages[1]
    assert "pg_ctl" in result.start[0]
    assert result.undo == (f"rm -r -- {bench.directory}",)


def test_what_the_engine_leaves_out_is_made(bench: Bench) -> None:
    """A directory, and a recovery.signal with the settings that go with it; configuration that is there stays."""
    bench.engine.job = {"directories": ("pg_wal",), "unless_signalled": (("restore_command", "false"),)}
    bench.restore()
    assert (bench.directory / "pg_wal").is_dir()
    assert (bench.directory / "recovery.signal").read_text() == ""
    written = (bench.directory / "postgresql.auto.conf").read_text()
    assert written == "# mine\nrestore_command = 'false'\narchive_mode = 'off'\n"


def test_the_next_plan_expects_what_was_measured(bench: Bench) -> None:
    """Seconds for as many bytes."""
    seconds = bench.restore().seconds
    again = bench.plan(directory=str(bench.path / "other")).plan
    assert again.expected_seconds == pytest.approx(seconds)
    assert again.expected_from.startswith("the last 1 measured of this cluster")


def test_an_interrupted_restore_is_recognised_and_replaced(bench: Bench) -> None:
    """By name alone, and a finished one is no such thing."""
    bench.engine.fails = True
    with pytest.raises(EngineFailed):
        bench.restore()
    bench.engine.fails = False
    assert bench.codes() == [RefusalCode.INTERRUPTED_RESTORE]
    bench.restore(replace=True)
    assert bench.codes(replace=True) == [RefusalCode.NOT_EMPTY]


def test_another_directory_of_the_same_name_is_not_replaced(bench: Bench) -> None:
    """Somebody put their own there since."""
    bench.engine.fails = True
    with pytest.raises(EngineFailed):
        bench.restore()
    bench.directory.rename(bench.path / "away")
    bench.directory.mkdir()
    (bench.directory / "letter").write_text("dear")
    assert bench.codes(replace=True) == [RefusalCode.NOT_EMPTY]


def test_a_place_that_was_not_filled_is_not_emptied(bench: Bench) -> None:
    """A tablespace that is sent elsewhere the second time, into a directory with something in it."""
    bench.engine.tablespaces_there = (Tablespace(name="fast", oid=16384, location="/nowhere"),)
    bench.engine.fails = True
    with pytest.raises(EngineFailed):
        bench.restore(tablespaces_in=str(bench.path / "ts"))
    full = bench.path / "full"
    full.mkdir()
    (full / "letter").write_text("dear")
    assert bench.codes(replace=True, tablespaces={"fast": str(full)}) == [RefusalCode.TABLESPACE_IN_USE]
    before = " ".join(step.shown for step in bench.plan(replace=True, tablespaces_in=str(bench.path / "ts")).before)
    assert str(bench.path / "ts/fast") in before


def test_a_copy_of_another_system_is_no_success(bench: Bench) -> None:
    """Whatever the engine said."""
    bench.engine.system = 8
    with pytest.raises(EngineFailed, match="system identifier 8"):
        bench.restore()


def test_who_cannot_give_files_away_is_told(bench: Bench) -> None:
    """Barman writes as itself; only root can make them somebody else's."""
    bench.engine.user = "barman"
    refused = bench.plan(as_root=False, owner="postgres").plan.refusals
    assert [RefusalCode.WRONG_USER] == [one.code for one in refused]
    assert "--ssh postgres@localhost" in refused[0].hint
    assert bench.codes(as_root=False, owner="barman") == []
    given = bench.plan(as_root=True, owner="postgres").plan.commands
    assert given[-1] == f"chown -R -h -- postgres: {bench.directory}"


def test_what_is_refused_is_not_done(bench: Bench) -> None:
    """Unless it was accepted, where it can be."""
    bench.engine.size = 1 << 60
    prepared = bench.plan()
    with pytest.raises(Refused, match=r"needs 1\.0 EiB") as caught:
        carry_out(prepared, bench.world, lambda _: None, now=NOW)
    assert caught.value.hint.endswith("--accept no-space")
    assert not bench.directory.exists()
    accepted = bench.plan(accept=frozenset({RefusalCode.NO_SPACE}))
    require_clear(accepted)
    assert [RefusalCode.NO_SPACE] == [one.code for one in accepted.plan.accepted]


def test_an_unknown_size_is_said(bench: Bench) -> None:
    """Neither refused nor passed over."""
    bench.engine.size = None
    plan = bench.plan().plan
    assert plan.refusals == ()
    assert any("whether there is room is not known" in note for note in plan.notes)


def test_an_unknown_tablespace_is_a_usage_error(bench: Bench) -> None:
    """With those that are there."""
    bench.engine.tablespaces_there = (Tablespace(name="fast", oid=16384, location="/nowhere"),)
    with pytest.raises(UsageError, match="no tablespace 'slow'") as caught:
        bench.plan(tablespaces={"slow": "/srv"})
    assert caught.value.hint == "its tablespaces: fast"
    placed = bench.plan(tablespaces={"16384": "/srv/by-oid"}).plan.tablespaces
    assert [one.directory for one in placed] == ["/srv/by-oid"]


def test_what_is_remembered_is_private(bench: Bench) -> None:
    """And what is there but not understood is not believed."""
    bench.restore()
    for path in (bench.path / "state/restores").iterdir():
        assert path.stat().st_mode & 0o077 == 0
        json.loads(path.read_text())
        path.write_text("[1, 2")
    assert bench.codes() == [RefusalCode.NOT_EMPTY]
    assert bench.plan(directory=str(bench.path / "other")).plan.expected_seconds is None
