"""The file door: reads files, and replaces them so that the old or the new one is there whole. It deletes nothing but
its own scratch directories.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import logging
import os
import pwd
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pgwrap.domain.plan import WriteFile
from pgwrap.errors import Busy, PgwrapError, Refused, UsageError
from pgwrap.records import dataclass
from pgwrap.system.port import Access
from pgwrap.system.switching import Switch, settle

READ_LIMIT = 64 << 20
"""Bytes of the largest file read: far beyond any configuration."""
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)

_LEFTOVER = re.compile(r"\..+\.conf\.[0-9a-f]{16}\.tmp|\.pgwrap-switch\..*\.tmp")
"""The names that `_beside` and a switch give to native files while they are written."""

_SCRATCH = "pgwrap-scratch-"
_JUST_MADE = 60.0
"""Seconds in which a scratch directory may not be locked yet by who makes it."""
_LOG = logging.getLogger("pgwrap.files")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ownership:
    """Numeric ids for a new file; -1 leaves what the system gives."""

    user: int = -1
    group: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFiles:
    """The files of this machine; see `pgwrap.system.port.Files`."""

    def read(self, path: str) -> str | None:
        """The text of a regular file with its line ends as they are, None when it does not exist.

        Bytes that are not UTF-8 are replaced. UsageError when it cannot be read, is no file, or is too large.
        """
        content = self.read_bytes(path, READ_LIMIT)
        return None if content is None else content.decode(errors="replace")

    def read_bytes(self, path: str, limit: int) -> bytes | None:
        """What a regular file of at most `limit` bytes holds; None when it does not exist, else UsageError."""
        try:
            return _content(path, limit)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise _cannot("read", path, error) from error

    def entries(self, directory: str) -> tuple[str, ...]:
        """The names in a directory, sorted; none when it does not exist, UsageError when it cannot be read."""
        try:
            return tuple(sorted(os.listdir(directory)))  # noqa: PTH208 - strings in, strings out
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise _cannot("read", directory, error) from error

    def access(self, path: str) -> Access | None:
        """A file's mode and owner, through symbolic links; None when it does not exist or cannot be seen."""
        try:
            found = os.stat(path)  # noqa: PTH116 - a string in
        except (OSError, ValueError):
            return None
        return Access(mode=stat.S_IMODE(found.st_mode), owner=_user_name(found.st_uid), group=_group_name(found.st_gid))

    def write(self, file: WriteFile) -> None:
        """Put a file in place atomically; the one it replaces stays beside it as `.old`.

        A symbolic link stays and its target is replaced. Mode and owner are set before the first byte is written; only
        root changes owners, and without an owner in `file` a replaced file's stays. Writing what is already there
        touches neither the content nor `.old`. Refused for anything but a regular file, UsageError when it cannot be.
        """
        try:
            _write(Path(os.path.realpath(file.path)), file)
        except OSError as error:
            raise _cannot("write", file.path, error) from error

    def retire(self, path: str) -> None:
        """Rename a file to NAME.old, where no engine looks; nothing happens when it is gone already."""
        target = Path(path)  # a symbolic link retires itself: what it points at may serve others
        try:
            target.replace(target.with_name(f"{target.name}.old"))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _cannot("rename", path, error) from error
        _flush_directory(target.parent)

    def put_back(self, path: str) -> None:
        """Rename NAME.old back to NAME, over what is there now."""
        target = Path(path) if not os.path.lexists(path) else Path(os.path.realpath(path))
        try:
            target.with_name(f"{target.name}.old").replace(target)
        except OSError as error:
            raise _cannot("put back", path, error) from error
        _flush_directory(target.parent)

    def withdraw(self, path: str) -> None:
        """Remove a file that this very run made, and that replaced none."""
        target = Path(os.path.realpath(path))
        try:
            target.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot("remove", path, error) from error
        _flush_directory(target.parent)

    def switch(self, file: WriteFile, retired: tuple[str, ...]) -> None:
        """Put a file in place and retire others at one moment: a reader finds all of the old or all of the new."""
        target = Path(os.path.realpath(file.path))
        try:
            _existing(target, file.path)
            _make_directories(target.parent, _ownership(file.owner, file.group).group)
            settle(target.parent)
            present = (Path(path) for path in retired if os.path.lexists(path))
            turning = Switch(paths=(target, *present), absent=not target.exists())
            ownership = _ownership(file.owner, file.group, None if turning.absent else target.stat())
            turning.prepare(lambda path: _create(path, file.text.encode(), file.mode, ownership))
            turning.turn()
            turning.finish()
        except OSError as error:
            raise _cannot("write", file.path, error) from error

    def sweep(self, directory: str) -> None:
        """Remove what a killed run left half-written in a directory, and end a switch that it had begun."""
        place = Path(os.path.realpath(directory))
        try:
            settle(place)
            for name in self.entries(str(place)):
                if _LEFTOVER.fullmatch(name):
                    (place / name).unlink(missing_ok=True)  # itself: it may be a link, into a switch that was undone
                    _flush_directory(place)
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"what an earlier run left in {directory} cannot be put right: {error}") from error

    @contextmanager
    def exclusive(self, path: str) -> Iterator[None]:
        """Hold the lock file `path` until the block ends, however the process ends; Busy when another one does."""
        target = Path(path)
        try:
            _make_directories(target.parent, -1)
            descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _cannot("open the lock", path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Busy(f"another pgwrap is at work: it holds {path}", hint="wait until it has ended") from error
        finally:
            os.close(descriptor)

    def owner(self, path: str) -> str | None:
        """The name of the user who owns `path`; None when it does not exist, cannot be seen, or has no name."""
        try:
            return pwd.getpwuid(os.stat(path).st_uid).pw_name  # noqa: PTH116 - a string in, a string out
        except (OSError, KeyError, ValueError):
            return None

    @contextmanager
    def private_directory(self, owner: str | None) -> Iterator[str]:
        """A scratch directory of mode 0700, removed afterwards with all that is in it.

        Root gives it to `owner`. Anybody else can make it only for themselves; then `owner`'s programs cannot enter.
        """
        ownership = _ownership(owner, None)
        parent = None if ownership.user in (-1, os.geteuid()) else "/var/tmp"  # noqa: S108 - TMPDIR may be closed to them
        _sweep(parent or tempfile.gettempdir())
        try:
            path = tempfile.mkdtemp(prefix=_SCRATCH, dir=parent)
            held = _hold(path)
        except OSError as error:
            raise _cannot("make a scratch directory in", parent or tempfile.gettempdir(), error) from error
        try:
            os.chown(path, ownership.user, ownership.group)
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)
            if Path(path).exists():
                _LOG.warning("the scratch directory %s could not be removed", path)


def _hold(path: str) -> int:
    """A lock on a directory, which the kernel gives back when this process dies."""
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def _sweep(parent: str) -> None:
    """Remove the scratch directories whose makers were killed: those that nobody holds, and that are not just made."""
    for path in Path(parent).glob(f"{_SCRATCH}*"):
        with suppress(OSError):  # somebody else's, or at work
            if time.time() - path.lstat().st_ctime < _JUST_MADE:
                continue
            held = _hold(str(path))
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)


def _user_name(number: int) -> str | None:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return None


def _group_name(number: int) -> str | None:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return None


def open_without_waiting(path: str, flags: int) -> int:
    """An opener for `open`: a named pipe is opened at once, so that it can be refused instead of waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _content(path: str, limit: int) -> bytes:
    with open(path, "rb", opener=open_without_waiting) as source:
        found = os.fstat(source.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is not a file")
        content = source.read(limit + 1)
    if len(content) > limit:
        raise UsageError(f"{path} is larger than {limit >> 20} MiB: this is no configuration file")
    return content


def _write(target: Path, file: WriteFile) -> None:
    content = file.text.encode()
    before = _existing(target, file.path)
    ownership = _ownership(file.owner, file.group, before)
    if before is not None and before.st_size == len(content) and target.read_bytes() == content:
        _set_access(target, before, file.mode, ownership)
        return
    _make_directories(target.parent, ownership.group)
    temporary = _beside(target)
    try:
        _create(temporary, content, file.mode, ownership)
        if before is not None:
            _keep_old(target)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_directory(target.parent)


def _existing(target: Path, path: str) -> os.stat_result | None:
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise Refused(f"{path} is {kind}: it is not replaced by a file", hint="move it away, or name another path")
    return found


def _ownership(owner: str | None, group: str | None, before: os.stat_result | None = None) -> _Ownership:
    """The ids that a new file gets: those named, else those of the file that it replaces."""
    if os.geteuid() != 0:
        return _Ownership()
    user_id, group_id = (before.st_uid, before.st_gid) if before is not None else (-1, -1)
    try:
        if owner is not None:
            entry = pwd.getpwnam(owner)
            user_id, group_id = entry.pw_uid, entry.pw_gid
        if group is not None:
            group_id = grp.getgrnam(group).gr_gid
    except (KeyError, ValueError) as error:
        raise UsageError(f"there is no user {owner!r} or group {group!r} on this machine to own a file") from error
    return _Ownership(user=user_id, group=group_id)


def _set_access(target: Path, before: os.stat_result, mode: int, ownership: _Ownership) -> None:
    if stat.S_IMODE(before.st_mode) != mode:
        target.chmod(mode)
    if (ownership.user, ownership.group) not in ((-1, -1), (before.st_uid, before.st_gid)):
        os.chown(target, ownership.user, ownership.group)


def _make_directories(directory: Path, group: int) -> None:
    """Make what is missing, mode 0750, open to the group of the file that goes in."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o750)
        os.chown(path, -1, group)
        _flush_directory(path.parent)


def _beside(target: Path) -> Path:
    """A name in the same directory that neither engine takes for a configuration file (`*.conf`)."""
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")


def _create(path: Path, content: bytes, mode: int, ownership: _Ownership) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        os.fchown(output.fileno(), ownership.user, ownership.group)
        os.fchmod(output.fileno(), mode)
        output.write(content)
        output.flush()
        os.fsync(output.fileno())


def _keep_old(target: Path) -> None:
    """Give the present file a second name, so that at no moment it is missing."""
    temporary = _beside(target)
    try:
        temporary.hardlink_to(target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        present = target.stat()
        _create(temporary, target.read_bytes(), stat.S_IMODE(present.st_mode), _Ownership())
    try:
        temporary.replace(target.with_name(f"{target.name}.old"))
    finally:  # also when all went well: rename(2) leaves both names where they are the same file already
        temporary.unlink(missing_ok=True)


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot(verb: str, path: str, error: OSError | ValueError) -> PgwrapError:
    if isinstance(error, ValueError):
        return UsageError(f"cannot {verb} {path!r}: {error}")
    hint = ""
    if isinstance(error, PermissionError):
        hint = "run pgwrap as root or as the owner of the file"
    elif error.errno == errno.ENOSPC:
        hint = "make room on the file system; what was there before is unchanged"
    elif error.errno == errno.EROFS:
        hint = "the file system is mounted read-only"
    where = f" ({error.filename})" if error.filename and str(error.filename) != path else ""
    return UsageError(f"cannot {verb} {path}: {error.strerror}{where}", hint=hint)
