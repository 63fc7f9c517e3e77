"""Scratch directories: private, proven to be one's own before they are removed, and nothing left of them."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgwrap.errors import Refused, UsageError
from pgwrap.system.port import MARK_VARIABLE, ScratchClaim
from pgwrap.system.scratch import MARK, ScratchDirectories

MAKE = """
import sys, time
from pgwrap.system.port import ScratchClaim
from pgwrap.system.scratch import ScratchDirectories
ScratchDirectories().make(ScratchClaim(path=sys.argv[1], token="t0", drill="d"), None)
print("made", flush=True)
time.sleep(60)
"""


@pytest.fixture
def short(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory whose name leaves room for a socket's."""
    path = Path(f"/tmp/pgwrap-test-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}")
    path.mkdir()
    yield path
    shutil.rmtree(path)


def claim(parent: Path, mark: str = "t0") -> ScratchClaim:
    """A claim of a directory in `parent`."""
    return ScratchClaim(path=str(parent / f"drill-{mark}"), token=mark, drill="d")


def test_nobody_else_can_enter_what_lies_in_it(short: Path) -> None:
    """Data, sockets and spool are 0700."""
    scratch = ScratchDirectories()
    place = scratch.make(claim(short), None)
    modes = {stat.S_IMODE(Path(path).stat().st_mode) for path in (place.data, place.sockets, place.spool)}
    assert {0o700} == modes
    assert () == scratch.remove(claim(short))
    assert [] == list(short.iterdir())


def test_a_living_drill_s_directory_is_not_abandoned_and_a_dead_one_s_is(short: Path) -> None:
    """The kernel lets go of the lock."""
    mine = claim(short)
    maker = subprocess.Popen((sys.executable, "-c", MAKE, mine.path), stdout=subprocess.PIPE)
    with maker:
        assert maker.stdout is not None
        maker.stdout.readline()
        assert ScratchDirectories().abandoned(mine) is False
        with pytest.raises(Refused):
            ScratchDirectories().remove(mine)
        maker.send_signal(signal.SIGKILL)
    assert ScratchDirectories().abandoned(mine) is True
    assert () == ScratchDirectories().remove(mine)
    assert ScratchDirectories().abandoned(mine) is None


@pytest.mark.parametrize("mark", ["another token", None])
def test_a_directory_without_the_claim_s_mark_is_never_removed(short: Path, mark: str | None) -> None:
    """It may be anybody's."""
    mine = claim(short)
    Path(mine.path).mkdir()
    Path(mine.path, "data").write_text("precious")
    if mark is not None:
        Path(mine.path, MARK).write_text(mark)
    assert ScratchDirectories().abandoned(mine) is False
    with pytest.raises(Refused):
        ScratchDirectories().remove(mine)
    assert Path(mine.path, "data").exists()


def test_its_processes_are_ended_and_others_are_not(short: Path) -> None:
    """One with the token in its environment; not one that reads a file there."""
    scratch, mine = ScratchDirectories(), claim(short, f"t{os.getpid()}")
    place = scratch.make(mine, None)
    Path(place.log).touch()
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('.', flush=True); time.sleep(60)"
    )
    ours = subprocess.Popen(
        (sys.executable, "-c", stubborn), env=os.environ | {MARK_VARIABLE: mine.token}, stdout=subprocess.PIPE
    )
    theirs = subprocess.Popen(("tail", "-f", place.log), cwd=place.data)
    with ours, theirs:
        assert ours.stdout is not None
        ours.stdout.readline()
        reaper_started = time.monotonic()
        assert all("process" in left for left in scratch.remove(mine)) or ours.poll() is not None
        assert time.monotonic() - reaper_started < 30
        assert -signal.SIGKILL == ours.wait(10)
        assert theirs.poll() is None
        theirs.kill()


def test_a_path_too_long_for_a_socket_is_refused_first(short: Path) -> None:
    """With the way out, and nothing made."""
    long = short / ("x" * 90)
    long.mkdir()
    with pytest.raises(UsageError, match="too long a path"):
        ScratchDirectories().make(claim(long), None)
    assert [] == list(long.iterdir())


def test_only_a_file_of_ones_own_copy_is_damaged(short: Path) -> None:
    """The middle page changes; a file elsewhere is refused."""
    scratch, mine = ScratchDirectories(), claim(short)
    place = scratch.make(mine, None)
    inside, outside = Path(place.data, "1255"), short / "1255"
    for path in (inside, outside):
        path.write_bytes(bytes(8192 * 5))
    scratch.damage(str(inside))
    content = inside.read_bytes()
    assert content[: 8192 * 2 + 24] == bytes(8192 * 2 + 24)
    assert content[8192 * 2 + 24] == 0xFF
    assert len(content) == 8192 * 5
    with pytest.raises(Refused):
        scratch.damage(str(outside))
    scratch.remove(mine)


def test_a_settled_copy_is_as_its_original_was(short: Path) -> None:
    """What Barman changed is put back, what it and recovery added is gone, everything else stays."""
    scratch = ScratchDirectories()
    place = scratch.make(claim(short), None)
    data = Path(place.data)
    for name in ("conf.d", "barman_wal/archive_status", "base/1"):
        (data / name).mkdir(parents=True)
    changed = ("postgresql.conf", "postgresql.auto.conf", "conf.d/a.conf")
    for name in changed:
        (data / name).write_text("changed")
        (data / f"{name}.origin").write_text("original")
    kept = ("PG_VERSION", "base/1/1259", "base/1/x.origin", "pg_hba.conf")
    gone = ("recovery.signal", ".barman-recover.info", "backup_manifest.20261126T115018", "postmaster.opts")
    for name in (*kept, *gone, "backup_label.old", "barman_wal/000000010000000000000003"):
        (data / name).write_text("there")
    scratch.settle(place)
    left = {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}
    assert left == {*changed, *kept}
    assert {(data / name).read_text() for name in changed} == {"original"}
    assert () == scratch.remove(claim(short))


def test_what_barman_leaves_out_of_a_copy_is_put_there(short: Path) -> None:
    """Directories that PostgreSQL does not start without, empty and for nobody else; what is there stays."""
    scratch = ScratchDirectories()
    place = scratch.make(claim(short), None)
    (Path(place.data) / "pg_tblspc").mkdir()
    (Path(place.data) / "pg_tblspc" / "16389").touch()
    assert scratch.complete(place, None, signal=True) is True
    assert scratch.complete(place, None, signal=True) is False
    made = Path(place.data) / "pg_wal"
    assert (made.stat().st_mode & 0o777, list(made.iterdir())) == (0o700, [])
    assert [one.name for one in (Path(place.data) / "pg_tblspc").iterdir()] == ["16389"]
    (Path(place.data) / "pg_tblspc" / "16389").unlink()
    (Path(place.data) / "pg_tblspc").rmdir()
    scratch.complete(place, None, signal=False)
    assert (Path(place.data) / "pg_tblspc").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_copy_is_handed_over_whole_and_no_link_followed(short: Path) -> None:
    """Its tablespaces, too; what a link in it leads to is nobody's to give."""
    scratch = ScratchDirectories()
    place = scratch.make(claim(short), None)
    outside = short / "outside"
    outside.write_text("mine")
    (Path(place.data) / "base").mkdir()
    (Path(place.data) / "base/1259").write_text("page")
    (Path(place.data) / "link").symlink_to(outside)
    scratch.hand_over(place, "nobody")
    given = (place.data, place.tablespaces, place.spool, f"{place.data}/base/1259", f"{place.data}/link")
    nobody = os.lstat(place.data).st_uid
    assert nobody != 0
    assert {os.lstat(path).st_uid for path in given} == {nobody}
    assert {Path(path).stat().st_uid for path in (outside, place.path, place.settings)} == {0}
    assert () == scratch.remove(claim(short))
