"""`pgbackrest repo-ls --recurse --output=json` of a stanza's archive, or all, as segment names. It fetches nothing.

File names: `ID/16HEX/24HEX-SHA1[.gz]`, with `.partial` before the checksum for the last segment of a timeline that
was left, and `.backup` and `.history` files beside them (pgBackRest's src/command/archive/common.h).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, Timeline, greatest_ending
from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass

_SEGMENT = re.compile(r"([0-9.]+-[0-9]+)/[0-9A-F]{16}/([0-9A-F]{24})(\.partial)?-[0-9a-f]{40}(?:\.[a-z0-9]+)?")
_HISTORY = re.compile(r"([0-9.]+-[0-9]+)/([0-9A-F]{8})\.history")
_ARCHIVE = re.compile(r"[0-9.]+-[0-9]+")
_Pair = tuple[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveListing:
    """What one archive holds: complete segments by name, sorted, and the timelines that have a history file."""

    archive: str
    segments: tuple[str, ...] = ()
    histories: tuple[Timeline, ...] = ()
    newest_at: datetime | None = None
    """When the newest segment was written, by the repository's clock."""

    def timelines(self) -> frozenset[Timeline]:
        """Every timeline of which a complete segment is here."""
        return frozenset(Timeline(int(prefix, 16)) for prefix in {name[:8] for name in self.segments})

    def newest_history(self) -> Timeline | None:
        """The newest timeline whose history can be read: one with segments if there is any."""
        with_segments = self.timelines().intersection(self.histories)
        return max(with_segments or self.histories, default=None)


@dataclass(slots=True)
class _Gathered:
    segments: list[str]
    histories: list[Timeline]
    newest: int | None = None


def listings_from(stdout: bytes) -> tuple[ArchiveListing, ...]:
    """Read the whole answer, an archive each, sorted by name; raises OutputNotUnderstood. Linear in the files."""
    gathered: dict[str, _Gathered] = {}
    for path, time in _files(stdout.decode(errors="replace")):
        _gather(gathered, path, time)
    return _listings(gathered)


def listings_by_stanza(stdout: bytes) -> dict[str, tuple[ArchiveListing, ...]]:
    """Read the answer for all stanzas at once; raises OutputNotUnderstood.

    A stanza of which nothing is listed is left out: its directory may be empty, or a link, which is followed only when
    the stanza is asked for by itself.
    """
    gathered: dict[str, dict[str, _Gathered]] = {}
    for path, time in _files(stdout.decode(errors="replace")):
        stanza, _, rest = path.partition("/")
        if rest:
            _gather(gathered.setdefault(stanza, {}), rest, time)
    return {stanza: _listings(found) for stanza, found in gathered.items()}


def _listings(gathered: dict[str, _Gathered]) -> tuple[ArchiveListing, ...]:
    return tuple(_listing(archive, found) for archive, found in sorted(gathered.items()))


def _listing(archive: str, found: _Gathered) -> ArchiveListing:
    return ArchiveListing(
        archive=archive,
        segments=tuple(sorted(set(found.segments))),
        histories=tuple(sorted(found.histories)),
        newest_at=None if found.newest is None else datetime.fromtimestamp(found.newest, UTC),
    )


def _gather(gathered: dict[str, _Gathered], path: str, time: int | None) -> None:
    segment = _SEGMENT.fullmatch(path)
    if segment is not None:
        found = gathered.setdefault(segment[1], _Gathered([], []))
        if segment[3] is None:
            found.segments.append(segment[2])
        if time is not None:
            found.newest = max(time, found.newest or 0)
    elif (history := _HISTORY.fullmatch(path)) is not None:
        gathered.setdefault(history[1], _Gathered([], [])).histories.append(Timeline(int(history[2], 16)))
    elif _ARCHIVE.fullmatch(path):
        gathered.setdefault(path, _Gathered([], []))


def _files(text: str) -> Iterator[tuple[str, int | None]]:
    start = 0 if text.startswith("{") else text.find("\n{") + 1
    if text[start : start + 1] != "{":
        raise OutputNotUnderstood(f"`repo-ls` printed no JSON object but {text.strip()[:120]!r}")
    try:
        value, _ = json.JSONDecoder(strict=False, object_pairs_hook=_lean).raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise OutputNotUnderstood(f"`repo-ls` printed broken or truncated JSON: {error}") from error
    if not isinstance(value, _Entries):
        raise OutputNotUnderstood("`repo-ls` printed something other than a listing")
    return iter(value.files)


@dataclass(frozen=True, slots=True)
class _Entries:
    files: list[tuple[str, int | None]]


def _lean(pairs: list[_Pair]) -> _Entries | int | None:
    """Reduce each entry to its time while it is read, so that a long listing stays small."""
    if any(key == "type" and isinstance(value, str) for key, value in pairs):
        times = [value for key, value in pairs if key == "time" and isinstance(value, int)]
        return times[0] if times else None
    if all(value is None or isinstance(value, int) for _, value in pairs):
        return _Entries([(key, value) for key, value in pairs if value is None or isinstance(value, int)])
    raise OutputNotUnderstood("`repo-ls` printed an entry without a type")


def fits(names: Iterable[str], size: int = DEFAULT_SEGMENT_SIZE) -> bool:
    """Whether every one of these segments can exist at that segment size."""
    greatest = greatest_ending(size)
    return all(name[16:] <= greatest for name in names)
