"""Where a backup that was carried into pgBackRest came from, as annotations of its set. It carries and judges nothing.

pgBackRest knows of such a set when it was stored, and nothing of its WAL; what it was before stands in annotations. A
value that is not as it was written is left out and named: nothing is concluded from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar, cast

from pgwrap.domain.facts import Backup, EngineName
from pgwrap.domain.restoring import Tablespace
from pgwrap.domain.wal import Lsn, Timeline, is_segment_name
from pgwrap.records import dataclass

Value = TypeVar("Value")

PREFIX: Final = "carried-"
_ENGINES: Final = frozenset({"barman", "pgbackrest"})
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_TIMELINE = re.compile(r"[1-9]\d{0,9}", re.ASCII)
_LAST_TIMELINE: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What the annotations say of the original; None where one is missing or damaged."""

    engine: EngineName | None = None
    server: str | None = None
    id: str | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    lsn_start: Lsn | None = None
    lsn_stop: Lsn | None = None
    wal_start: str | None = None
    wal_stop: str | None = None
    timeline: Timeline | None = None
    tablespaces: tuple[Tablespace, ...] | None = None
    """With the places they had in the original."""
    damaged: tuple[str, ...] = ()
    """The annotations that are there and cannot be read."""


def annotations_for(backup: Backup, tablespaces: Iterable[Tablespace]) -> tuple[tuple[str, str], ...]:
    """What `--annotation=KEY=VALUE` says of a backup that is carried over; what is not known of it is left out."""
    said = (
        ("engine", backup.engine),
        ("server", backup.engine_name),
        ("id", backup.id),
        ("start", _moment_text(backup.started_at)),
        ("stop", _moment_text(backup.stopped_at)),
        ("lsn-start", _text(backup.lsn_start)),
        ("lsn-stop", _text(backup.lsn_stop)),
        ("wal-start", backup.wal_start),
        ("wal-stop", backup.wal_stop),
        ("timeline", _text(backup.timeline)),
        ("tablespaces", json.dumps([[one.oid, one.name, one.location] for one in tablespaces])),
    )
    return tuple((PREFIX + key, value) for key, value in said if value is not None)


def provenance(annotations: Iterable[tuple[str, str]]) -> Carried | None:
    """What a set's annotations say of its original; None where none of them speaks of one."""
    found = {key.removeprefix(PREFIX): value for key, value in annotations if key.startswith(PREFIX)}
    if not found:
        return None
    reading = _Reading(found)
    started, stopped = reading.get("start", _moment), reading.get("stop", _moment)
    if started is not None and stopped is not None and stopped < started:
        reading.damaged += ["start", "stop"]
        started = stopped = None
    return Carried(
        engine=reading.get("engine", _engine),
        server=reading.get("server", _name),
        id=reading.get("id", _name),
        started_at=started,
        stopped_at=stopped,
        lsn_start=reading.get("lsn-start", Lsn.parse),
        lsn_stop=reading.get("lsn-stop", Lsn.parse),
        wal_start=reading.get("wal-start", _segment),
        wal_stop=reading.get("wal-stop", _segment),
        timeline=reading.get("timeline", _timeline),
        tablespaces=reading.get("tablespaces", _tablespaces),
        damaged=tuple(PREFIX + key for key in reading.damaged),
    )


class _Reading:
    """The values one by one, and which of them could not be read."""

    def __init__(self, found: Mapping[str, str]) -> None:
        self.damaged: list[str] = []
        self._found = found

    def get(self, key: str, read: Callable[[str], Value]) -> Value | None:
        """The value of `key`; None where it is missing or `read` raises ValueError."""
        text = self._found.get(key)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError:
            self.damaged.append(key)
            return None


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _moment_text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _moment(text: str) -> datetime:
    if not _MOMENT.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def _engine(text: str) -> EngineName:
    if text not in _ENGINES:
        raise ValueError(text)
    return cast("EngineName", text)


def _name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(text)
    return text


def _segment(text: str) -> str:
    if not is_segment_name(text):
        raise ValueError(text)
    return text


def _timeline(text: str) -> Timeline:
    if not _TIMELINE.fullmatch(text) or int(text) > _LAST_TIMELINE:
        raise ValueError(text)
    return Timeline(int(text))


def _tablespaces(text: str) -> tuple[Tablespace, ...]:
    try:
        rows = json.loads(text)
    except RecursionError as error:
        raise ValueError(text) from error
    if not isinstance(rows, list):
        raise ValueError(text)  # noqa: TRY004 - damaged text, whatever its type
    return tuple(_tablespace(row) for row in rows)


def _tablespace(row: object) -> Tablespace:
    match row:
        case [int(oid), str(name), str(location)] if not isinstance(oid, bool) and oid > 0:
            return Tablespace(name=name, oid=oid, location=location)
        case _:
            raise ValueError(str(row)[:80])
