"""Whether a server's settings are what its engine needs: the one judgement of status, diff and apply. It sets none."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, TypeAlias

from pgwrap.domain.facts import PostgresView
from pgwrap.domain.plan import PostgresSetting, Slot
from pgwrap.records import dataclass

Verdict: TypeAlias = Literal["as-needed", "differs", "pending", "unknown"]
"""`pending`: another value stands in the server's files already and waits for a restart."""

_WAL_LEVELS: Final = ("minimal", "archive", "hot_standby", "replica", "logical")
"""Weakest first; the second and third are the names that 9.6 gave up."""
_ENOUGH_FOR_REPLICA: Final = ("archive", "hot_standby")
_DEFAULT_CONFIGS: Final = frozenset({"/etc/pgbackrest/pgbackrest.conf", "/etc/pgbackrest.conf"})
_BARMAN_DEFAULTS: Final = frozenset({("-U", "barman"), ("-c", "/etc/barman.conf"), ("-c", "/etc/barman/barman.conf")})
_BOTH: Final = " && "
_ELSEWHERE: Final = re.compile(r"--(?:no-|reset-)?(?:repo|pg)\d*(?:-|=|$)")
"""Options of archive-push by which WAL goes elsewhere than the configuration says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingState:
    """One setting that is needed, and what the server says of it."""

    wanted: PostgresSetting
    actual: str | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotState:
    """One replication slot that is needed; `exists` None: the server does not tell."""

    wanted: Slot
    exists: bool | None


def setting_states(wanted: Iterable[PostgresSetting], server: PostgresView | None) -> tuple[SettingState, ...]:
    """Every needed setting; all `unknown` without a server that answered."""
    shown = dict(server.settings) if server is not None and server.reachable else {}
    pending = server.pending if server is not None else ()
    return tuple(_state(setting, shown, pending) for setting in wanted)


def slot_states(wanted: Iterable[Slot], server: PostgresView | None) -> tuple[SlotState, ...]:
    """Every needed slot; only a primary that answered can say that one is not there."""
    asked = server is not None and server.reachable and server.in_recovery is False
    names = {slot.name for slot in server.slots} if server is not None else set()
    return tuple(SlotState(wanted=slot, exists=slot.name in names if asked else None) for slot in wanted)


def _state(setting: PostgresSetting, shown: Mapping[str, str], pending: tuple[str, ...]) -> SettingState:
    actual = shown.get(setting.name)
    if actual is None:
        return SettingState(wanted=setting, actual=None, verdict="unknown")
    verdict: Verdict = "as-needed"
    if not suffices(setting, actual):
        verdict = "pending" if setting.restart and setting.name in pending else "differs"
    return SettingState(wanted=setting, actual=actual, verdict=verdict)


def suffices(wanted: PostgresSetting, actual: str) -> bool:
    """Whether a setting of this value does what is needed, be it more than was asked for."""
    rule = _RULES.get(wanted.name)
    if rule is not None:
        return rule(actual, wanted.value)
    if wanted.minimum and actual.isdecimal() and wanted.value.isdecimal():
        return int(actual) >= int(wanted.value)
    return actual == wanted.value


def _strong_enough(actual: str, wanted: str) -> bool:
    if actual not in _WAL_LEVELS or wanted not in _WAL_LEVELS or actual in _ENOUGH_FOR_REPLICA:
        return True
    return _WAL_LEVELS.index(actual) >= _WAL_LEVELS.index(wanted)


def _often_enough(actual: str, wanted: str) -> bool:
    return actual.isdecimal() and 0 < int(actual) <= int(wanted)


def _named_among(actual: str, wanted: str) -> bool:
    """synchronous_standby_names: `FIRST 1 (a, "b")`, `ANY 2 (*)`, or a list."""
    return not {wanted, "*"}.isdisjoint(re.findall(r'[^\s,()"]+', actual))


def same_archiving(one: str, other: str) -> bool:
    """Whether two archive_commands hand WAL to the same engine for the same place.

    Spaces, quotes, the program's directory and engine defaults that are spelled out make no difference; nor do options
    of pgBackRest that leave the repositories alone; nor how WAL is copied into a Barman server's `incoming`. `one` may
    do it beside something else, joined by `&&`: then a segment is archived only when each of them took it.
    """
    if _BOTH in one and one != other:
        return all(any(same_archiving(part, wanted) for part in one.split(_BOTH)) for wanted in other.split(_BOTH))
    first, second = _words(one), _words(other)
    if first == second or _incoming(first, second):
        return True
    reduced = _push(first) or _delivery(first)
    return reduced is not None and reduced == (_push(second) or _delivery(second))


def _words(command: str) -> tuple[str, ...]:
    try:
        parts = shlex.split(command, comments=False)
    except ValueError:
        parts = command.split()
    return (posixpath.basename(parts[0]), *parts[1:]) if parts else ()


def _push(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """What matters of a pgBackRest `archive-push`; None for another command, or one with more than it in it."""
    arguments = _joined(words[1:])
    plain = [word for word in arguments if not word.startswith("--")]
    if plain[:2] != ["archive-push", "%p"] or (plain[2:] and plain[2] != "#"):
        return None
    options = [word for word in arguments if word.startswith("--")]
    config = next((word.partition("=")[2] for word in options if word.startswith("--config=")), None)
    stanza = [word for word in options if word.startswith("--stanza=")]
    elsewhere = sorted(word for word in options if _ELSEWHERE.match(word))
    return (words[0], "" if config in _DEFAULT_CONFIGS else config or "", *stanza, *elsewhere)


def _delivery(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """What matters of a `barman-wal-archive`, its defaults left out; None for another command."""
    if words[:1] != ("barman-wal-archive",):
        return None
    kept: list[str] = []
    for word in words:
        if kept and (kept[-1], word) in _BARMAN_DEFAULTS:
            kept.pop()
        else:
            kept.append({"--user": "-U", "--config": "-c"}.get(word, word))
    return tuple(kept)


def _joined(words: tuple[str, ...]) -> list[str]:
    """`--stanza x` written as `--stanza=x`, for the options that matter here."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in ("--stanza", "--config"):
            joined[-1] = f"{joined[-1]}={word}"
        else:
            joined.append(word)
    return joined


def _incoming(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one is Barman's own program for a server, and the other copies into the same server's directory."""
    for program, copy in ((one, other), (other, one)):
        if program[:1] == ("barman-wal-archive",) and len(program) > 2:
            server = program[-2]
            return any(word.rstrip("'\"").endswith(f"/{server}/incoming/%f") for word in copy)
    return False


_RULES: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "wal_level": _strong_enough,
    "archive_mode": lambda actual, _: actual in ("on", "always"),
    "archive_command": same_archiving,
    "archive_timeout": _often_enough,
    "synchronous_standby_names": _named_among,
}


def sql_literal(value: str) -> str:
    """A setting's value as ALTER SYSTEM takes it; backslashes stand for themselves (standard_conforming_strings)."""
    return "'" + value.replace("'", "''") + "'"
