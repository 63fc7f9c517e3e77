"""Directories that are filled for an engine: nothing is replaced, and what is moved is whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pgwrap.errors import Refused, UsageError
from pgwrap.system import store as module
from pgwrap.system.store import LocalStore

STORE = LocalStore()


def test_a_move_replaces_nothing(tmp_path: Path) -> None:
    """Neither a file nor a directory, be it empty."""
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").mkdir()
    with pytest.raises(Refused, match="already"):
        STORE.move(str(tmp_path / "a"), str(tmp_path / "b"))
    STORE.move(str(tmp_path / "a"), str(tmp_path / "b/c"))
    assert (tmp_path / "b/c").read_text() == "new"


def test_a_move_across_file_systems_is_a_whole_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With times and links, and nothing beside it."""
    source = tmp_path / "from/base"
    (source / "data").mkdir(parents=True)
    (source / "data/file").write_bytes(b"x" * 1000)
    (source / "link").symlink_to("data/file")
    os.utime(source / "data/file", (5, 7))
    copied = module._copied_beside(str(source), str(tmp_path / "base"))
    assert copied != str(source)
    STORE.move(copied, str(tmp_path / "base"))
    assert (tmp_path / "base/data/file").stat().st_mtime == 7
    assert (tmp_path / "base/link").readlink() == Path("data/file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "from"]
    assert not source.exists()
    monkeypatch.undo()


def test_sizes_are_of_regular_files_alone(tmp_path: Path) -> None:
    """Links and directories are none, and a directory that is not there has none."""
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("a")
    (tmp_path / "d/b").write_bytes(b"12")
    assert STORE.sizes(str(tmp_path)) == {"a": 3}
    assert STORE.sizes(str(tmp_path / "no")) == {}
    assert STORE.tree_bytes(str(tmp_path)) == 3 + 2 + 1


def test_times_are_set_and_things_removed(tmp_path: Path) -> None:
    """A link goes, not what it points to; what is gone is gone."""
    (tmp_path / "a").write_text("")
    (tmp_path / "l").symlink_to(tmp_path)
    STORE.stamp(str(tmp_path / "a"), 1795694327)
    assert (tmp_path / "a").stat().st_mtime == 1795694327
    STORE.remove(str(tmp_path / "l"))
    assert (tmp_path / "a").exists()
    STORE.remove(str(tmp_path))
    STORE.remove(str(tmp_path))
    assert not tmp_path.exists()


def test_private_places_are_made_once(tmp_path: Path) -> None:
    """A second making is an error: whose would it be?"""
    STORE.make(str(tmp_path / "p"), None)
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o700
    with pytest.raises(UsageError):
        STORE.make(str(tmp_path / "p"), None)
    STORE.ensure(str(tmp_path / "x/y"), None)
    STORE.ensure(str(tmp_path / "x/y"), None)
    assert (tmp_path / "x/y").is_dir()
    assert STORE.free_bytes(str(tmp_path / "not/there")) > 0


def test_a_copy_goes_where_nothing_is(tmp_path: Path) -> None:
    """And is its owner's alone."""
    (tmp_path / "a").write_bytes(b"12")
    STORE.copy(str(tmp_path / "a"), str(tmp_path / "b"), None)
    STORE.flush(str(tmp_path / "b"))
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    with pytest.raises(UsageError):
        STORE.copy(str(tmp_path / "a"), str(tmp_path / "b"), None)
