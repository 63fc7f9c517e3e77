"""Replaces one file and takes others away at one moment, so that a reader finds all of the old or all of the new. It
deletes nothing but its own scaffolding.

For a while the files are symbolic links through one hub, a link to a directory of the old contents; turning the hub to
the directory of the new ones is a single rename. Wherever that is cut off, `settle` finds out on which side, and
finishes or undoes it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pgwrap.records import dataclass

HUB: Final = ".pgwrap-switch"
_OLD, _NEW = f"{HUB}.old", f"{HUB}.new"
_MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """The file that is replaced (first) and those that go, with the directory that holds the scaffolding."""

    paths: tuple[Path, ...]
    absent: bool
    """Whether the first of them was not there before."""

    @property
    def directory(self) -> Path:
        """Where the hub is: beside the file that is replaced."""
        return self.paths[0].parent

    def prepare(self, create: Callable[[Path], None]) -> None:
        """Lay the old contents and the new ones side by side; `create` makes the new file at a path."""
        for name in (_OLD, _NEW):
            (self.directory / name).mkdir(mode=0o755)
        manifest = {"paths": [str(path) for path in self.paths], "absent": self.absent}
        (self.directory / _OLD / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        for number, path in enumerate(self.paths):
            old = self.directory / _OLD / str(number)
            if number == 0 and self.absent:
                old.touch(mode=0o644)
            else:
                _same(path, old)
            if number:
                _empty(old, self.directory / _NEW / str(number))
        create(self.directory / _NEW / "0")
        _flush(self.directory / _OLD, self.directory / _NEW, self.directory)

    def turn(self) -> None:
        """Let every file go through the hub, still to the old contents, then turn the hub to the new ones."""
        hub = self.directory / HUB
        hub.symlink_to(_OLD)
        for number, path in enumerate(self.paths):
            _replace(path, lambda temporary, number=number: temporary.symlink_to(hub / str(number)))  # type: ignore[misc]
        _flush(*{path.parent for path in self.paths})
        _replace(hub, lambda temporary: temporary.symlink_to(_NEW))
        _flush(self.directory)

    def finish(self) -> None:
        """After the turn: plain files instead of links, the old contents beside them as NAME.old."""
        for number, path in enumerate(self.paths):
            if not self._is_through_hub(path, number):
                continue
            if number or not self.absent:
                _put(self.directory / _OLD / str(number), path.with_name(f"{path.name}.old"))
            if number:
                path.unlink()
            else:
                _put(self.directory / _NEW / "0", path)
        self._clear()

    def undo(self) -> None:
        """Before the turn: plain files of the old contents instead of links."""
        for number, path in enumerate(self.paths):
            if self._is_through_hub(path, number):
                if number == 0 and self.absent:
                    path.unlink()
                else:
                    _put(self.directory / _OLD / str(number), path)
        self._clear()

    def _is_through_hub(self, path: Path, number: int) -> bool:
        return path.is_symlink() and path.readlink() == self.directory / HUB / str(number)

    def _clear(self) -> None:
        """Take the scaffolding down: first the hub, through which nothing goes any more."""
        _flush(*{path.parent for path in self.paths})
        (self.directory / HUB).unlink(missing_ok=True)
        _remove_scaffolding(self.directory)


def settle(directory: Path) -> None:
    """Finish or undo what a killed run left of a switch in a directory; nothing happens where there is none."""
    hub = directory / HUB
    if hub.is_symlink():
        manifest = json.loads((directory / _OLD / _MANIFEST).read_text(encoding="utf-8"))
        left = Switch(paths=tuple(Path(path) for path in manifest["paths"]), absent=manifest["absent"])
        if str(hub.readlink()) == _NEW:
            left.finish()
        else:
            left.undo()
    else:
        _remove_scaffolding(directory)


def _remove_scaffolding(directory: Path) -> None:
    for name in (_OLD, _NEW):
        if (directory / name).is_dir():
            shutil.rmtree(directory / name)


def _same(path: Path, other: Path) -> None:
    """The same file under a second name; a copy with its mode and owner where names cannot be shared."""
    try:
        other.hardlink_to(path.resolve())
    except OSError:
        found = path.stat()
        shutil.copy2(path, other)
        os.chown(other, found.st_uid, found.st_gid)


def _empty(model: Path, path: Path) -> None:
    """A file without content that whoever reads `model` can read, too."""
    found = model.stat()
    path.touch(mode=0o600)
    os.chown(path, found.st_uid, found.st_gid)
    path.chmod(found.st_mode & 0o777)


def _put(source: Path, path: Path) -> None:
    """Let `path` be the file that `source` is, atomically."""
    _replace(path, lambda temporary: _same(source, temporary))


def _replace(path: Path, make: Callable[[Path], None]) -> None:
    temporary = path.with_name(f"{HUB}.{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    make(temporary)
    temporary.replace(path)
    temporary.unlink(missing_ok=True)  # rename(2) leaves both names where they are the same file already


def _flush(*directories: Path) -> None:
    for directory in directories:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
