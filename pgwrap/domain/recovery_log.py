"""What PostgreSQL's log says of a recovery: where it began and ended, and what went wrong. It reads no file.

Sources: PostgreSQL's src/backend/access/transam/xlog.c and xlogrecovery.c, 12 to 18; messages in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from pgwrap.domain.drill import Reached
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.records import dataclass

LINE_PREFIX = "%m [%p] "
"""The log_line_prefix that the lines below have; log_timezone is UTC."""
_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC \[\d+\] ([A-Z]+):  (.*)")
_AT = re.compile(r" at ([0-9A-F]+/[0-9A-F]+)")
_COMMIT = re.compile(r"last completed transaction was at log time (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\+00")
_TIMELINE = re.compile(r"selected new timeline ID: (\d+)")
_FATAL = ("FATAL", "PANIC")
_NOT_A_CAUSE = ("the database system is starting up", "the database system is not yet accepting connections")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryLog:
    """A server's start, as its log tells it."""

    reached: Reached
    began_at: datetime | None = None
    """When replay began."""
    ended_at: datetime | None = None
    """When replay ended."""
    stopped: bool = False
    """Whether recovery stopped at its target, not at the end of the WAL."""
    fatal: tuple[str, ...] = ()
    """What it says of why it gave up."""
    full: bool = False
    """Whether a file system had no room left."""


def read_recovery(text: str) -> RecoveryLog:
    """The log of one start, or of several: then the first recovery counts."""
    lines = tuple(_lines(text))
    done = _first(lines, "redo done")
    began = _first(lines, "redo starts")
    return RecoveryLog(
        reached=Reached(lsn=_lsn(done), commit_at=_commit(text), timeline=_timeline(text)),
        began_at=began.at if began else None,
        ended_at=done.at if done else None,
        stopped=_first(lines, "recovery stopping ") is not None,
        fatal=tuple(line.text for line in lines if line.level in _FATAL and line.text not in _NOT_A_CAUSE),
        full="No space left on device" in text,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    at: datetime
    level: str
    text: str


def _lines(text: str) -> Iterator[_Line]:
    for match in _LINE.finditer(text):
        at = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
        yield _Line(at=at, level=match[2], text=match[3].strip())


def _first(lines: tuple[_Line, ...], beginning: str) -> _Line | None:
    return next((line for line in lines if line.text.startswith(beginning)), None)


def _lsn(line: _Line | None) -> Lsn | None:
    match = _AT.search(line.text) if line else None
    return Lsn.parse(match[1]) if match else None


def _commit(text: str) -> datetime | None:
    match = _COMMIT.search(text)
    return datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None


def _timeline(text: str) -> Timeline | None:
    match = _TIMELINE.search(text)
    return Timeline(int(match[1])) if match else None
