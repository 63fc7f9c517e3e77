"""The store door: directories that pgwrap fills for an engine's catalog, by renaming what is whole into place.

It removes only what it is told to, and replaces nothing.
"""

from __future__ import annotations

import filecmp
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pgwrap.errors import PgwrapError, Refused, UsageError
from pgwrap.records import dataclass

_DIRECTORY: Final = 0o750
_PRIVATE: Final = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStore:
    """See `pgwrap.system.port.Store`."""

    def free_bytes(self, path: str) -> int:
        """What is free for an ordinary user where `path` is, or would be made."""
        place = Path(path)
        try:
            while not place.exists():
                place = place.parent
            found = os.statvfs(place)
        except OSError as error:
            raise _cannot("look at", path, error) from error
        return found.f_bavail * found.f_frsize

    def sizes(self, directory: str) -> dict[str, int]:
        """The regular files in a directory and their bytes; none when it does not exist."""
        try:
            with os.scandir(directory) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False)}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _cannot("read", directory, error) from error

    def tree_bytes(self, directory: str) -> int:
        """The bytes of all files below a directory; links are not followed."""
        try:
            return sum(path.lstat().st_size for path in _below(directory) if not path.is_dir())
        except OSError as error:
            raise _cannot("read", directory, error) from error

    def ensure(self, directory: str, owner: str | None) -> None:
        """Make a directory and those above it, where they are missing, for `owner`."""
        missing = [path for path in (Path(directory), *Path(directory).parents) if not path.exists()]
        try:
            for path in reversed(missing):
                path.mkdir(mode=_DIRECTORY)
                _give(path, owner)
        except OSError as error:
            raise _cannot("make", directory, error) from error

    def make(self, directory: str, owner: str | None) -> None:
        """Make a directory that only `owner` can enter, and that was not there."""
        try:
            Path(directory).mkdir(mode=_PRIVATE)
            _give(Path(directory), owner)
        except OSError as error:
            raise _cannot("make", directory, error) from error

    def copy(self, source: str, target: str, owner: str | None) -> None:
        """Copy a file to where there is none, for `owner` alone."""
        try:
            with Path(source).open("rb") as read, Path(target).open("xb") as written:
                shutil.copyfileobj(read, written)
            Path(target).chmod(0o600)
            _give(Path(target), owner)
        except OSError as error:
            raise _cannot("copy", source, error) from error

    def move(self, source: str, target: str) -> None:
        """Rename to a name that is free, on the same file system or by way of a hidden copy beside the target."""
        if os.path.lexists(target):
            raise Refused(f"{target} is there already: nothing is put in its place", hint="move it away")
        try:
            if os.lstat(source).st_dev != os.stat(Path(target).parent).st_dev:  # noqa: PTH116 - strings in
                source = _copied_beside(source, target)
            Path(source).rename(target)
        except OSError as error:
            raise _cannot("move", f"{source} to {target}", error) from error

    def same(self, one: str, other: str) -> bool:
        """Whether both are there as files of the same content, byte for byte."""
        try:
            return filecmp.cmp(one, other, shallow=False)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _cannot("compare", one, error) from error

    def flush(self, path: str) -> None:
        """See that what a file or a directory holds is on the disk."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _cannot("write", path, error) from error

    def stamp(self, path: str, seconds: int) -> None:
        """Set the time of a file's last change, in seconds since 1970."""
        try:
            os.utime(path, (seconds, seconds))
        except OSError as error:
            raise _cannot("set the time of", path, error) from error

    def give(self, path: str, owner: str | None) -> None:
        """Give a file, or a directory and all that is in it, to a user; links themselves, not what they point at."""
        try:
            for one in (Path(path), *(_below(path) if Path(path).is_dir() else ())):
                _give(one, owner)
        except OSError as error:
            raise _cannot("give away", path, error) from error

    def remove(self, path: str) -> None:
        """Remove a file, a link or a directory with all that is in it; nothing happens when it is gone already."""
        try:
            if os.path.lexists(path) and stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path)
            else:
                Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise _cannot("remove", path, error) from error


def _below(directory: str) -> Iterator[Path]:
    for place, directories, files in os.walk(directory, onerror=_raise):
        yield from (Path(place, name) for name in (*directories, *files))


def _raise(error: OSError) -> None:
    raise error


def _copied_beside(source: str, target: str) -> str:
    """A copy on the target's file system, whole with owners and times; the original goes."""
    beside = str(Path(target).with_name(f".{Path(target).name}.pgwrap"))
    if Path(source).is_dir():
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(source, beside, symlinks=True)
        for path in (Path(source), *_below(source)):
            copied = Path(beside, path.relative_to(source))
            found = path.lstat()
            if os.geteuid() == 0:
                os.chown(copied, found.st_uid, found.st_gid, follow_symlinks=False)
        shutil.rmtree(source)
    else:
        found = os.stat(source)  # noqa: PTH116 - a string in
        shutil.copy2(source, beside)
        if os.geteuid() == 0:
            os.chown(beside, found.st_uid, found.st_gid)
        Path(source).unlink()
    return beside


def _give(path: Path, owner: str | None) -> None:
    if owner is None or os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(owner)
    except KeyError as error:
        raise UsageError(f"there is no user {owner!r} on this machine") from error
    os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _cannot(verb: str, path: str, error: OSError) -> PgwrapError:
    return UsageError(f"cannot {verb} {path}: {error.strerror or error}")
