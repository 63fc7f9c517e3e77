"""The engine calls of a `pgwrap status` without pgwrap, as shell scripts to compare it with. It reads no answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_RUN = re.compile(r" run: (?:sudo -u \S+ )?(.+)$", re.MULTILINE)
_OWN = "pgwrap.system.prober"
"""The child in which pgwrap itself asks PostgreSQL: no engine."""
_ROUNDS: Mapping[str, tuple[str, ...]] = {
    "pgbackrest": (r" version$| info$| repo-ls ", r" repo-get "),
    "barman": (
        r" diagnose$| list-backups all$",
        r"^cat .*/\.barman\.auto\.conf$|^(?:cat|tail) .*xlog\.db$|^find .*/wals | get-wal \S+ \S+\.history$",
        r" sync-info ",
    ),
}
"""What an engine is asked at a time, round by round: the next round needs the answers of the one before."""
_HEAD = """\
exec >/dev/null 2>&1 </dev/null
export LANG=C.UTF-8 LC_ALL=C.UTF-8 TZ=UTC
cd /
"""

Rounds = tuple[tuple[str, ...], ...]


class NoRound(Exception):
    """pgwrap ran something that this comparison does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The engine commands of one status, as typed, by engine and round."""

    engines: Mapping[str, Rounds]

    @property
    def count(self) -> int:
        """How many engine processes there were."""
        return sum(len(commands) for rounds in self.engines.values() for commands in rounds)


def calls_in(log: Path) -> Calls:
    """The engine commands that pgwrap logged; NoRound for one that belongs to no round."""
    gathered: dict[str, list[list[str]]] = {engine: [[] for _ in rounds] for engine, rounds in _ROUNDS.items()}
    for command in engine_commands(log):
        engine, number = _round_of(command)
        gathered[engine][number].append(command)
    return Calls(engines={engine: tuple(map(tuple, rounds)) for engine, rounds in gathered.items()})


def engine_commands(log: Path) -> tuple[str, ...]:
    """Every command in pgwrap's log but those that ask PostgreSQL."""
    return tuple(command for command in _RUN.findall(log.read_text()) if _OWN not in command)


def _round_of(command: str) -> tuple[str, int]:
    for engine, rounds in _ROUNDS.items():
        for number, pattern in enumerate(rounds):
            if engine in command and re.search(pattern, command):
                return engine, number
    raise NoRound(f"this comparison does not know when to run: {command}")


def parallel_script(calls: Calls, at_once: int) -> str:
    """Both engines side by side, each round by round, at most `at_once` commands of an engine at a time."""
    engines = ("(\n" + "".join(_round(commands, at_once) for commands in rounds) + ") &\n" for rounds in _used(calls))
    return f"{_HEAD}{''.join(engines)}wait\n"


def sequential_script(commands: Sequence[str]) -> str:
    """One command after the other."""
    return _HEAD + "".join(f"{command}\n" for command in commands)


def _used(calls: Calls) -> Iterator[Rounds]:
    return (rounds for rounds in calls.engines.values() if any(rounds))


def _round(commands: Sequence[str], at_once: int) -> str:
    # A session for each command, as pgwrap gives it one: Linux shares a busy processor out by session (sched(7)).
    if len(commands) <= at_once:
        return "".join(f"setsid {command} &\n" for command in commands) + "wait\n"
    lines = "".join(f"{command}\n" for command in commands)  # xargs takes a shell's quotes for what they are
    return f"xargs -P {at_once} -L 1 setsid <<'COMMANDS'\n{lines}COMMANDS\n"
