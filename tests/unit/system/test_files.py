"""The file door on a real file system."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
from pathlib import Path

import pytest

from pgwrap.domain.plan import WriteFile
from pgwrap.errors import Busy, Refused, UsageError
from pgwrap.system import files
from pgwrap.system.files import LocalFiles

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes owners")
needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
FILES = LocalFiles()


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_new_file_has_its_mode_and_no_leftovers(tmp_path: Path) -> None:
    """A file appears with content and mode, and nothing else beside it."""
    path = tmp_path / "a.conf"
    FILES.write(WriteFile(path=str(path), text="ü\n", mode=0o600))
    assert (path.read_text(), mode(path)) == ("ü\n", 0o600)
    assert [file.name for file in tmp_path.iterdir()] == ["a.conf"]


def test_replaced_file_is_kept(tmp_path: Path) -> None:
    """What was there before stands beside it as `.old`, with its own mode."""
    path = tmp_path / "a.conf"
    path.write_text("before")
    path.chmod(0o604)
    FILES.write(WriteFile(path=str(path), text="after"))
    old = tmp_path / "a.conf.old"
    assert (path.read_text(), mode(path), old.read_text(), mode(old)) == ("after", 0o640, "before", 0o604)


def test_writing_the_same_keeps_the_old(tmp_path: Path) -> None:
    """A second write of the same text does not push the previous version out of `.old`."""
    path = tmp_path / "a.conf"
    path.write_text("before")
    for _ in range(2):
        FILES.write(WriteFile(path=str(path), text="after", mode=0o600))
    assert (tmp_path / "a.conf.old").read_text() == "before"


def test_writing_the_same_still_sets_the_mode(tmp_path: Path) -> None:
    """A file whose text is right and whose mode is not is put right."""
    path = tmp_path / "a.conf"
    path.write_text("same")
    path.chmod(0o666)
    FILES.write(WriteFile(path=str(path), text="same", mode=0o600))
    assert (mode(path), [file.name for file in tmp_path.iterdir()]) == (0o600, ["a.conf"])


def test_missing_directories_are_made(tmp_path: Path) -> None:
    """Directories on the way are made for the owner and its group alone."""
    path = tmp_path / "etc" / "conf.d" / "a.conf"
    FILES.write(WriteFile(path=str(path), text="x"))
    assert (mode(tmp_path / "etc") | mode(path.parent)) & 0o027 == 0


def test_symbolic_link_stays(tmp_path: Path) -> None:
    """A link keeps pointing where it points; its target is what changes, and what is kept."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "a.conf").write_text("before")
    link = tmp_path / "a.conf"
    link.symlink_to(real / "a.conf")
    FILES.write(WriteFile(path=str(link), text="after"))
    assert link.is_symlink()
    assert ((real / "a.conf").read_text(), (real / "a.conf.old").read_text()) == ("after", "before")


def test_dangling_link_gets_its_target(tmp_path: Path) -> None:
    """A link to a file that does not exist yet makes that file."""
    (tmp_path / "a.conf").symlink_to(tmp_path / "target")
    FILES.write(WriteFile(path=str(tmp_path / "a.conf"), text="x"))
    assert (tmp_path / "target").read_text() == "x"


def test_directory_is_not_replaced(tmp_path: Path) -> None:
    """A directory in the file's place is refused, and untouched."""
    (tmp_path / "a.conf").mkdir()
    with pytest.raises(Refused, match="a directory"):
        FILES.write(WriteFile(path=str(tmp_path / "a.conf"), text="x"))
    assert (tmp_path / "a.conf").is_dir()


def test_named_pipe_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    """Nobody waits for the other end of a pipe."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused):
        FILES.write(WriteFile(path=str(tmp_path / "pipe"), text="x"))
    with pytest.raises(UsageError, match="not a file"):
        FILES.read(str(tmp_path / "pipe"))


def test_failed_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fails before the new file is safe, the old one stands and nothing lies beside it."""
    path = tmp_path / "a.conf"
    path.write_text("before")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UsageError, match="No space left") as caught:
        FILES.write(WriteFile(path=str(path), text="after"))
    assert "unchanged" in caught.value.hint
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.conf", "before")]


def test_file_system_without_hard_links_keeps_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot have two names, `.old` is a copy."""
    path = tmp_path / "a.conf"
    path.write_text("before")

    def fail(_path: Path, _target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", fail)
    FILES.write(WriteFile(path=str(path), text="after"))
    assert (path.read_text(), (tmp_path / "a.conf.old").read_text()) == ("after", "before")


def test_file_in_the_way_of_a_directory_is_told(tmp_path: Path) -> None:
    """A path that leads through a file cannot be written, and says why."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write"):
        FILES.write(WriteFile(path=str(tmp_path / "file" / "a.conf"), text="x"))


def test_text_is_read_as_it_is(tmp_path: Path) -> None:
    """Line ends stay, bytes that are not UTF-8 are replaced."""
    (tmp_path / "a.conf").write_bytes(b"a\r\n\xff\n")
    assert FILES.read(str(tmp_path / "a.conf")) == "a\r\n\ufffd\n"


def test_missing_file_reads_as_none(tmp_path: Path) -> None:
    """A file that is not there, or on a way that is none, is no error."""
    (tmp_path / "file").touch()
    assert FILES.read(str(tmp_path / "nothing")) is None
    assert FILES.read(str(tmp_path / "file" / "nothing")) is None


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    """Something far larger than a configuration is refused before memory is filled."""
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(files.READ_LIMIT + 1)
    with pytest.raises(UsageError, match="larger than"):
        FILES.read(str(tmp_path / "huge"))


@needs_user
def test_forbidden_file_says_who_could(tmp_path: Path) -> None:
    """A file without permission is an error with a way out."""
    path = tmp_path / "a.conf"
    path.touch(0o000)
    with pytest.raises(UsageError) as caught:
        FILES.read(str(path))
    assert "as root" in caught.value.hint


@needs_root
def test_root_gives_the_file_to_its_owner(tmp_path: Path) -> None:
    """Owner and group are set; new directories stay root's and are open to the group."""
    path = tmp_path / "conf.d" / "a.conf"
    FILES.write(WriteFile(path=str(path), text="x", owner="nobody", group="daemon"))
    group = grp.getgrnam("daemon").gr_gid
    found, parent = path.stat(), path.parent.stat()
    assert (found.st_uid, found.st_gid) == (pwd.getpwnam("nobody").pw_uid, group)
    assert (parent.st_uid, parent.st_gid) == (0, group)


@needs_root
def test_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    """Without an owner in the request, root leaves the file to whom it belonged."""
    path = tmp_path / "a.conf"
    path.write_text("before")
    os.chown(path, 12345, 23456)
    FILES.write(WriteFile(path=str(path), text="after"))
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@needs_root
def test_unknown_owner_is_told(tmp_path: Path) -> None:
    """A user that does not exist cannot own a file, and no file is left."""
    with pytest.raises(UsageError, match="pgwrap-nobody"):
        FILES.write(WriteFile(path=str(tmp_path / "a.conf"), text="x", owner="pgwrap-nobody"))
    assert list(tmp_path.iterdir()) == []


def test_owner_of_a_path(tmp_path: Path) -> None:
    """The owner's name, or None where there is none to tell."""
    assert FILES.owner(str(tmp_path)) == pwd.getpwuid(os.geteuid()).pw_name
    assert FILES.owner(str(tmp_path / "nothing")) is None
    assert FILES.owner("\0") is None


def test_private_directory_is_private_and_removed() -> None:
    """Scratch space is closed to others and gone afterwards, with what was in it."""
    with FILES.private_directory(None) as directory:
        assert mode(Path(directory)) == 0o700
        (Path(directory) / "deep" / "er").mkdir(parents=True)
    assert not Path(directory).exists()


def test_a_killed_ones_private_directory_is_removed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that is at work, one that was just made and one with another name stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, other = tmp_path / "pgwrap-scratch-left", tmp_path / "pgwrap-other"
    for path in (left, other):
        path.mkdir(mode=0o700)
        (path / "secret.conf").write_text("password")
    with FILES.private_directory(None) as at_work:
        assert left.exists()  # it may be just made
        monkeypatch.setattr("pgwrap.system.files._JUST_MADE", -1.0)
        with FILES.private_directory(None):
            assert not left.exists()
            assert other.exists()
            assert Path(at_work).exists()


@needs_root
def test_private_directory_belongs_to_its_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Root's scratch space for another user is where that user can reach it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with FILES.private_directory("nobody") as directory:
        assert Path(directory).owner() == "nobody"
        assert all(mode(parent) & 0o001 for parent in Path(directory).parents)


def test_a_retired_file_is_out_of_sight_and_comes_back(tmp_path: Path) -> None:
    """It bears another name with the same content; retiring what is gone is done already."""
    file = tmp_path / "one.conf"
    file.write_text("a")
    FILES.retire(str(file))
    assert ["one.conf.old"] == [path.name for path in tmp_path.iterdir()]
    FILES.retire(str(file))
    FILES.put_back(str(file))
    assert "a" == file.read_text()


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    """Only names that pgwrap itself makes beside native files."""
    for name in (".one.conf.0123456789abcdef.tmp", ".two.conf.0123.tmp", ".one.conf.tmp", "one.conf"):
        (tmp_path / name).write_text("")
    FILES.sweep(str(tmp_path))
    assert [".one.conf.tmp", ".two.conf.0123.tmp", "one.conf"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("stands", [True, False])
def test_a_link_that_a_killed_switch_left_goes_by_itself(tmp_path: Path, *, stands: bool) -> None:
    """Killed between the two steps of a replacement in another directory than the hub's: what it points to stays."""
    include = tmp_path / "conf.d"
    include.mkdir()
    (include / "orders.conf").write_text("[orders]\n")
    goal = tmp_path / "hub" / "1"
    if stands:
        goal.parent.mkdir()
        goal.write_text("[orders]\n")
    (include / ".pgwrap-switch.orders.conf.tmp").symlink_to(goal)
    FILES.sweep(str(include))
    assert [path.name for path in include.iterdir()] == ["orders.conf"]
    assert goal.exists() is stands


def test_the_second_holder_of_a_lock_is_refused(tmp_path: Path) -> None:
    """Busy while the first one holds it, and free again afterwards."""
    path = str(tmp_path / "lock/apply.lock")
    with FILES.exclusive(path), pytest.raises(Busy, match="another pgwrap"), FILES.exclusive(path):
        raise AssertionError("held twice")
    with FILES.exclusive(path):
        pass


def test_an_old_name_of_the_same_file_leaves_no_third_one(tmp_path: Path) -> None:
    """A run that was killed after it had kept the old file, and before it put the new one in place, is done again."""
    file = tmp_path / "one.conf"
    file.write_text("a")
    (tmp_path / "one.conf.old").hardlink_to(file)
    FILES.write(WriteFile(path=str(file), text="b"))
    assert {"one.conf": "b", "one.conf.old": "a"} == {path.name: path.read_text() for path in tmp_path.iterdir()}


def test_a_switch_replaces_one_and_retires_others(tmp_path: Path) -> None:
    """Afterwards there are plain files, the old contents beside them, and no scaffolding."""
    (tmp_path / "main.conf").write_text("old main")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.conf").write_text("old part")
    FILES.switch(WriteFile(path=str(tmp_path / "main.conf"), text="new main"), (str(tmp_path / "conf.d/a.conf"),))
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"main.conf": "new main", "main.conf.old": "old main", "conf.d/a.conf.old": "old part"} == found
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
