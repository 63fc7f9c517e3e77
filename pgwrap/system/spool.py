"""The spool door: WAL files unpacked into a private directory, one by one. It looks into none but by its first bytes,
and follows no link to write.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pwd
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from pgwrap.errors import UsageError
from pgwrap.records import dataclass
from pgwrap.system.files import open_without_waiting
from pgwrap.system.port import PackedFile, ScratchPlace

_CHUNK: Final = 1 << 20
_DAMAGED: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


def _open(path: str) -> IO[bytes]:
    return open(path, "rb", opener=open_without_waiting)


_OPENERS: Final[Mapping[str, Callable[[IO[bytes]], Any]]] = {
    "none": lambda file: file,
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}


@dataclass(frozen=True, slots=True)
class LocalSpool:
    """See `pgwrap.system.port.WalSpool`."""

    def prepare(self, place: ScratchPlace) -> str:
        """A pg_wal of its own, whoever owns what is in it."""
        path = Path(place.path) / "wal" / "pg_wal"
        try:
            for directory in (path.parent, path):
                directory.mkdir(mode=0o711)
        except OSError as error:
            raise UsageError(f"cannot make {path}: {error.strerror}") from error
        return str(path)

    def head(self, path: str, count: int) -> bytes:
        """The first bytes; fewer where there are no more."""
        try:
            with _open(path) as file:
                return file.read(count)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error

    def unpack(self, file: PackedFile, target: str, owner: str | None) -> int:
        """Unpack in pieces; what is left of a failed one is removed."""
        with _made(target, owner) as output:
            try:
                with _open(file.path) as packed, _OPENERS[file.packing](packed) as source:
                    return _copied(source, output, file)
            except _DAMAGED as error:
                raise UsageError(f"{file.path} cannot be unpacked ({file.packing}): {error}") from error

    def put(self, content: bytes, target: str, owner: str | None) -> None:
        """Write it at once."""
        with _made(target, owner) as output:
            output.write(content)

    def discard(self, path: str) -> None:
        """Remove it."""
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - a string in


@contextmanager
def _made(path: str, owner: str | None) -> Iterator[IO[bytes]]:
    """A new file, which is removed again if it could not be filled; one that was there before stays as it is."""
    try:
        output = _create(path, owner)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    try:
        with output:
            yield output
    except BaseException as error:
        os.unlink(path)  # noqa: PTH108 - a string in
        if isinstance(error, OSError):
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        raise


def _copied(source: IO[bytes], output: IO[bytes], file: PackedFile) -> int:
    done = 0
    while piece := source.read(_CHUNK):
        done += len(piece)
        if done > file.limit:
            raise ValueError(f"it is larger than {file.limit} bytes")
        output.write(piece)
    return done


def _create(path: str, owner: str | None) -> IO[bytes]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if owner is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(owner)
        os.fchown(descriptor, entry.pw_uid, entry.pw_gid)
    return os.fdopen(descriptor, "wb")
