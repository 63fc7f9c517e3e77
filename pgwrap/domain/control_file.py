"""What pg_controldata says of a data directory, as far as a restored copy needs it. It reads no file.

Source: PostgreSQL's src/bin/pg_controldata/pg_controldata.c, 12 to 18; messages in English.
"""

from __future__ import annotations

import re

from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass

_LINE = re.compile(r"^([^:]+):\s+(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFile:
    """The control file of a cluster."""

    system_identifier: str
    segment_size: int
    data_checksums: bool | None
    settings: tuple[tuple[str, str], ...]
    """The settings that a copy must have at least as large as the original had: max_connections and its like."""
    state: str | None = None
    """Such as "in production"; `CONSISTENT` is what a recovery leaves that was stopped at its target."""
    timelines: tuple[int, ...] = ()
    """Of the latest checkpoint, and of the position that recovery must reach (none where there is no such position)."""

    @property
    def rests_on(self) -> int | None:
        """The timeline of a copy that was stopped in recovery; None when it was not, or two are spoken of."""
        return self.timelines[0] if self.state == CONSISTENT and len(set(self.timelines)) == 1 else None


CONSISTENT = "shut down in recovery"

_TIMELINES = ("Latest checkpoint's TimeLineID", "Min recovery ending loc's timeline")
_SETTINGS = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}


def read_control_file(text: str) -> ControlFile:
    """Read pg_controldata's output; OutputNotUnderstood when what is needed is not there."""
    values = dict(_LINE.findall(text))
    try:
        return ControlFile(
            system_identifier=values["Database system identifier"],
            segment_size=int(values["Bytes per WAL segment"]),
            data_checksums=_checksums(values),
            state=values.get("Database cluster state"),
            timelines=tuple(int(values[label]) for label in _TIMELINES if values.get(label, "0") != "0"),
            settings=tuple((name, str(int(values[label]))) for label, name in _SETTINGS.items() if label in values),
        )
    except (KeyError, ValueError) as error:
        raise OutputNotUnderstood(f"pg_controldata's output cannot be read: {error}") from error


def _checksums(values: dict[str, str]) -> bool | None:
    version = values.get("Data page checksum version")
    return None if version is None else version != "0"
