"""Opens pgwrap's own log file. It never stops a command because a log cannot be kept."""

from __future__ import annotations

import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from pgwrap.system.redaction import Redactor

LOG_SIZE = 1 << 20
"""Bytes after which the next run begins a new file."""
LOGS_KEPT = 3

_LOGGER = logging.getLogger("pgwrap")


class _FileHandler(logging.Handler):
    """Appends each record at once and whole, so that two runs never mix within a line."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a full disk must not cover the command's answer with tracebacks."""
        with suppress(OSError):
            os.write(self._descriptor, f"{self.format(record)}\n".encode(errors="backslashreplace"))

    def close(self) -> None:
        """Close the file."""
        super().close()
        with suppress(OSError):  # closed before, or the disk is full
            os.close(self._descriptor)


def open_log(path: str, redactor: Redactor) -> str | None:
    """Log everything under `pgwrap` to `path` (mode 0640 or stricter, directories 0750); a note when that cannot be.

    A file beyond `LOG_SIZE` is kept as `path.1`, the one before as `path.2`, `LOGS_KEPT` in all. Files are changed
    only here, at the start, so that two runs at once never cut each other's log.
    """
    try:
        Path(path).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        _rotate(path)
        # O_NONBLOCK: a named pipe without a reader is an error, not a wait for ever.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
    except OSError as error:
        return f"no log is kept: {path}: {error.strerror}"
    handler = _FileHandler(descriptor)
    line = "%(asctime)s.%(msecs)03dZ %(levelname)s [%(process)d] %(message)s"
    formatter = logging.Formatter(line, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(redactor)
    _LOGGER.addHandler(handler)
    return None


def _rotate(path: str) -> None:
    try:
        current = os.stat(path)  # noqa: PTH116 - a string in
    except FileNotFoundError:
        return
    if not stat.S_ISREG(current.st_mode) or current.st_size < LOG_SIZE:
        return
    for number in range(LOGS_KEPT, 0, -1):
        older = Path(path if number == 1 else f"{path}.{number - 1}")
        if older.exists():
            older.replace(f"{path}.{number}")
