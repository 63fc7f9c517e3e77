"""What Barman makes of a server's options once it builds the server: last fallbacks, and what disables the server.

It reads no file. Source: Server.__init__ in barman/server.py and the executors in barman/backup_executor.py. What
Barman leaves to the moment when an inactive server is activated is done here at once.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from pgwrap.engines.barman import conninfo
from pgwrap.engines.barman.meaning import InvalidValue, Value
from pgwrap.errors import Location
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """An option's value, the text it was read from, and where that stands; no place for a default."""

    value: Value
    text: str
    place: Location | None


Options: TypeAlias = Mapping[str, Stated]
Remark: TypeAlias = Callable[[str, Location | None], None]

RSYNC: Final = frozenset({"rsync", "local-rsync"})
_REDUNDANCY: Final = re.compile(r"\s*redundancy\s+(\d+)\s*", re.IGNORECASE)
_WINDOW: Final = re.compile(r"\s*recovery\s+window\s+of\s+(\d+)\s+(day|month|week)s?\s*", re.IGNORECASE)
_DAYS: Final = {"d": 1, "w": 7, "m": 31}
_COPIES_FILES: Final = ("tablespace_bandwidth_limit", "reuse_backup", "network_compression")
_LACKS: Final = {
    "postgres": _COPIES_FILES,
    "rsync": ("backup_compression",),
    "local-rsync": ("backup_compression",),
    "snapshot": ("backup_compression", "bandwidth_limit", *_COPIES_FILES),
}
"""Options that disable a server of this method when they are set."""
_SNAPSHOT_NEEDS: Final = ("snapshot_disks", "snapshot_instance", "snapshot_provider")


def as_servers(name: str, stated: Options, remark: Remark) -> dict[str, Stated]:
    """The options as the server works with them; what falls back and what disables it is remarked."""
    found = dict(stated)
    for option, (correct, fallback) in _CORRECTIONS.items():
        if option in found:
            _correct(name, option, correct, fallback, found, remark)
        elif isinstance(fallback, str):
            found[option] = Stated(value=fallback, text=fallback, place=None)
    if "primary_ssh_command" not in found:
        _force_archiver(name, found, remark)
        _choose_backup_options(found)
    for reason, place in _reasons(name, found):
        remark(f"[{name}] is disabled: {reason}", place)
    return found


def retention(text: str) -> str:
    """A retention policy in one spelling, its window in days (a month has 31); InvalidValue for no policy."""
    redundancy = _REDUNDANCY.fullmatch(text)
    if redundancy is not None:
        return f"REDUNDANCY {int(redundancy[1])}"
    window = _WINDOW.fullmatch(text)
    if window is not None:
        return f"RECOVERY WINDOW OF {int(window[1]) * _DAYS[window[2][0].lower()]} DAYS"
    raise InvalidValue("it is no retention policy, and everything is kept")


def _correct(
    name: str,
    option: str,
    correct: Callable[[str], Value | None],
    fallback: Value | None,
    found: dict[str, Stated],
    remark: Remark,
) -> None:
    stated = found[option]
    try:
        value = correct(stated.text)
    except InvalidValue as error:
        value = fallback
        holds = "" if fallback is None else f"; {fallback} holds"
        remark(f"[{name}] {option}: Barman ignores {stated.text!r}, for {error}{holds}", stated.place)
    if value is None:
        del found[option]
    else:
        found[option] = replace(stated, value=value)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidValue("it must be a whole number") from None


def _at_least_none(text: str) -> int:
    if _whole(text) < 0:
        raise InvalidValue("it must not be negative")
    return _whole(text)


def _tablespaces(text: str) -> tuple[str, ...] | None:
    rules = dict(rule.split(":", 1) for rule in text.split() if _is_rule(rule))
    return tuple(f"{key}:{int(value)}" for key, value in sorted(rules.items())) or None


def _is_rule(rule: str) -> bool:
    try:
        int(rule.split(":", 1)[1])
    except (IndexError, ValueError):
        return False
    return True


def _only(word: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text != word:
            raise InvalidValue(f"it takes {word} only")
        return word

    return check


_CORRECTIONS: Final[Mapping[str, tuple[Callable[[str], Value | None], Value | None]]] = {
    "bandwidth_limit": (_whole, None),
    "tablespace_bandwidth_limit": (_tablespaces, None),
    "minimum_redundancy": (_at_least_none, 0),
    "retention_policy_mode": (_only("auto"), "auto"),
    "wal_retention_policy": (_only("main"), "main"),
    "retention_policy": (retention, None),
}


def _force_archiver(name: str, found: dict[str, Stated], remark: Remark) -> None:
    archiver, streaming = found.get("archiver"), found.get("streaming_archiver")
    if archiver is None or archiver.value or streaming is None or streaming.value:
        return
    message = f"[{name}] neither archiver nor streaming_archiver is on: Barman warns, and works with archiver = on"
    remark(message, archiver.place)
    found["archiver"] = replace(archiver, value=True)


def _choose_backup_options(found: dict[str, Stated]) -> None:
    """PostgreSQL 15 left no other kind of backup than the concurrent one; Barman adds it where none is said."""
    stated, method = found.get("backup_options"), found["backup_method"].value if "backup_method" in found else None
    chosen = set(stated.value) if stated is not None and isinstance(stated.value, tuple) else set()
    if method == "postgres":
        chosen.discard("exclusive_backup")
    if "exclusive_backup" not in chosen:
        chosen.add("concurrent_backup")
    value = tuple(sorted(chosen))
    found["backup_options"] = Stated(
        value=value,
        text=stated.text if stated is not None else ",".join(value),
        place=stated.place if stated is not None else None,
    )


def _reasons(name: str, found: Options) -> Iterator[tuple[str, Location | None]]:
    """Why Barman would not work with the server, each with its place."""
    yield from _own_paths(found)
    if _is_off(found, "active") or "primary_ssh_command" in found:
        return
    yield from _connections(name, found)
    if "backup_method" in found:
        yield from _method(str(found["backup_method"].value), found)
    if _is_off(found, "archiver") and "slot_name" not in found:
        yield "WAL by streaming alone needs a slot_name", found["archiver"].place


def _method(method: str, found: Options) -> Iterator[tuple[str, Location | None]]:
    for option in _LACKS.get(method, ()):
        if _is_set(found, option):
            yield f"the method {method} takes no {option}", found[option].place
    yield from _ssh(method, found)
    for option in _SNAPSHOT_NEEDS if method == "snapshot" else ():
        if option not in found:
            yield f"the method snapshot needs {option}", found["backup_method"].place


def _is_off(found: Options, option: str) -> bool:
    return option in found and found[option].value is False


def _is_set(found: Options, option: str) -> bool:
    return option in found and found[option].value not in (False, 0, "off")


def _connections(name: str, found: Options) -> Iterator[tuple[str, Location | None]]:
    streams = not _is_off(found, "streaming_archiver") or found["backup_method"].value == "postgres"
    if "conninfo" not in found:
        yield f"[{name}] has no conninfo", None
    for option in ("conninfo", *(("streaming_conninfo",) if streams else ())):
        stated = found.get(option)
        if stated is not None and stated.place is not None and not conninfo.usable(stated.text):
            yield f"Barman cannot take {option} apart: it wants name=value, without spaces inside", stated.place


def _ssh(method: str, found: Options) -> Iterator[tuple[str, Location | None]]:
    stated = found.get("ssh_command")
    try:
        words = shlex.split(stated.text) if stated is not None else []
    except ValueError:
        words = []
    if method == "rsync" and not words:
        yield "the method rsync needs an ssh_command", stated.place if stated is not None else None
    if method == "local-rsync" and stated is not None and words:
        yield "the method local-rsync takes no ssh_command", stated.place


def _own_paths(found: Options) -> Iterator[tuple[str, Location | None]]:
    """_check_conflicting_paths within one server."""
    first: dict[str, str] = {}
    for option in sorted(DIRECTORIES):
        stated = found[option]
        if "://" not in stated.text:
            known = first.setdefault(posixpath.normpath(stated.text), option)
            if known != option:
                yield f"{option} is {stated.text}, which is also its {known}", stated.place


DIRECTORIES: Final = (
    "backup_directory",
    "basebackups_directory",
    "errors_directory",
    "incoming_wals_directory",
    "streaming_wals_directory",
    "wals_directory",
)
"""Paths that no two options and no two servers may share."""
