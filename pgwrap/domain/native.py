"""A native configuration as its engine reads it, and how two of them compare. Nothing is parsed or written here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass

Role: TypeAlias = Literal["main", "include", "override"]
"""`main` is the engine's own file, `include` one of a directory of further files, `override` one that the engine wrote
itself and that wins (Barman's `.barman.auto.conf` and active models)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeFile:
    """A configuration file as found: raw bytes, for an engine has its own idea of text."""

    path: str
    content: bytes = field(repr=False)
    role: Role = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What one option is for the engine."""

    values: tuple[str, ...] = field(repr=False)
    """What it means, in one spelling: sizes in bytes, times in seconds, booleans y/n; a list keeps its order."""
    written: tuple[str, ...] = field(default=(), repr=False)
    """As it stands in the file, after what the engine takes off; empty for a default."""
    place: Location | None = None
    """Where it is set; None: the engine's default."""
    secret: bool = False

    @property
    def shown(self) -> str:
        """For people: as written, secrets masked."""
        return "***" if self.secret else " ".join(self.written or self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All options of one stanza or server (`subject`; "" is the installation) for one command, defaults applied."""

    subject: str
    command: str | None
    """A command of pgBackRest, which may have sections of its own; None where commands do not matter."""
    options: Mapping[str, Effective]
    """By canonical name: never a deprecated or unindexed one (`repo1-path`, `pg1-path`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an engine makes of its files."""

    views: tuple[View, ...]
    refusals: tuple[Problem, ...] = ()
    """Why the engine itself would not run with these files, each with its place."""
    remarks: tuple[Problem, ...] = ()
    """What it would ignore or warn of, each with its place; severity `warning`."""

    def view(self, subject: str, command: str | None = None) -> View | None:
        """The options of one subject for one command."""
        return next((view for view in self.views if (view.subject, view.command) == (subject, command)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One option that two readings disagree on; None: not set on that side."""

    subject: str
    option: str
    before: Effective | None
    after: Effective | None
    commands: tuple[str, ...] = ()
    """The commands for which it differs; empty: whatever the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How two readings compare, option by option."""

    options: int
    """How many options of either side were compared, each once for its subject."""
    differences: tuple[Difference, ...]


def compare(before: Reading, after: Reading) -> Comparison:
    """Every option of every subject, as the engine would read it on either side."""
    found: dict[tuple[str, str, Effective | None, Effective | None], list[str | None]] = {}
    compared: set[tuple[str, str]] = set()
    for subject, command, option, old, new in _pairs(before, after):
        compared.add((subject, option))
        if _meaning(old) != _meaning(new):
            found.setdefault((subject, option, old, new), []).append(command)
    differences = tuple(
        Difference(
            subject=subject,
            option=option,
            before=old,
            after=new,
            commands=tuple(command for command in commands if command is not None),
        )
        for (subject, option, old, new), commands in found.items()
    )
    return Comparison(options=len(compared), differences=differences)


def _pairs(
    before: Reading, after: Reading
) -> Iterator[tuple[str, str | None, str, Effective | None, Effective | None]]:
    earlier, later = (
        {(view.subject, view.command): view.options for view in reading.views} for reading in (before, after)
    )
    for key in dict.fromkeys((*earlier, *later)):
        old, new = earlier.get(key, {}), later.get(key, {})
        for name in dict.fromkeys((*old, *new)):
            yield *key, name, old.get(name), new.get(name)


def _meaning(option: Effective | None) -> tuple[str, ...] | None:
    return None if option is None else option.values
