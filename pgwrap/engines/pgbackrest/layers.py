"""The options of each section of pgBackRest's files under their canonical names, and which of them count for whom.

It follows the third phase of cfgParse() (src/config/parse.c); what a value means is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from pgwrap.engines.pgbackrest.native_lines import Line, Lines
from pgwrap.engines.pgbackrest.rules import Refusal, Rule, Rules
from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass

GLOBAL = "global"
OptionKey = tuple[str, int]
"""An option's canonical name without its number, and the number (1 where it takes none)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An option as one section gives it."""

    rule: Rule
    number: int
    key: str
    """As written."""
    values: tuple[str, ...] = field(repr=False)
    places: tuple[Location, ...]
    comments: tuple[str, ...]
    section: str

    @property
    def name(self) -> str:
        """The canonical name with its number."""
        return self.rule.key(self.number)

    @property
    def place(self) -> Location:
        """Where it stands first."""
        return self.places[0]


@dataclass(slots=True)
class Findings:
    """What is wrong or passed over, each said once."""

    refusals: dict[tuple[Location | None, str], Problem] = field(default_factory=dict)
    remarks: dict[tuple[Location | None, str], Problem] = field(default_factory=dict)

    def refuse(self, message: str, place: Location | None, path: str = "", hint: str = "") -> None:
        """Something that stops a command of pgBackRest."""
        problem = Problem(message=message, location=place, path=path, hint=hint)
        self.refusals.setdefault((place, f"{path}: {message}"), problem)

    def remark(self, message: str, place: Location | None, path: str = "", hint: str = "") -> None:
        """Something it passes over."""
        problem = Problem(message=message, location=place, path=path, hint=hint, severity="warning")
        self.remarks.setdefault((place, f"{path}: {message}"), problem)


class Layers:
    """All sections, read once."""

    def __init__(self, lines: Lines, rules: Rules) -> None:
        self.rules = rules
        self.findings = Findings()
        self._sections = {name: self._section(name, found) for name, found in _by_section(lines).items()}

    def section(self, name: str) -> tuple[Given, ...]:
        """What a section gives, in the order of its first lines; what pgBackRest never takes is left out."""
        return self._sections.get(name, ())

    def _section(self, name: str, lines: tuple[Line, ...]) -> tuple[Given, ...]:
        given: dict[OptionKey, Given] = {}
        for key, found in _by_key(lines).items():
            option = self._option(name, key, found)
            if option is None:
                continue
            known = given.setdefault((option.rule.name, option.number), option)
            if known is not option:
                message = f"the same option as {known.key} in line {known.place.line} [031]"
                self.findings.refuse(message, option.place, key, "keep one of them")
        return tuple(given.values())

    def _option(self, section: str, key: str, found: tuple[Line, ...]) -> Given | None:
        place = found[0].place
        named = self.rules.find(key)
        if named is None:
            self.findings.remark("pgBackRest has no such option and ignores it", place, key)
            return None
        if isinstance(named, Refusal):
            self.findings.refuse(named.message, place, key)
            return None
        if named.ignored:
            self.findings.remark(named.ignored, place, key)
            return None
        return Given(
            rule=named.rule,
            number=named.number,
            key=key,
            values=tuple(line.value for line in found),
            places=tuple(line.place for line in found),
            comments=tuple(comment for line in found for comment in line.comments),
            section=section,
        )

    def effective(self, stanza: str, command: str) -> Mapping[OptionKey, Given]:
        """What counts for one command: its section of the stanza first, then the stanza, [global:command], [global]."""
        found: dict[OptionKey, Given] = {}
        for section in sections_for(stanza, command):
            for given in self.section(section):
                if self.counts(given, command):
                    found.setdefault((given.rule.name, given.number), given)
        return found

    def counts(self, given: Given, command: str) -> bool:
        """Whether the command takes the option from its section."""
        if command not in given.rule.commands:
            if ":" in given.section:
                message = f"{command} has no such option: in [{given.section}] pgBackRest ignores it"
                self.findings.remark(message, given.place, given.key)
            return False
        if given.rule.section == "stanza" and given.section.partition(":")[0] == GLOBAL:
            message = f"belongs to a stanza: in [{given.section}] pgBackRest ignores it"
            self.findings.remark(message, given.place, given.key)
            return False
        return True


def sections_for(stanza: str, command: str) -> Iterator[str]:
    """The sections a command reads, the strongest first; no stanza: ""."""
    if stanza:
        yield f"{stanza}:{command}"
        yield stanza
    yield f"{GLOBAL}:{command}"
    yield GLOBAL


def _by_section(lines: Lines) -> dict[str, tuple[Line, ...]]:
    found: dict[str, list[Line]] = {header.section: [] for header in lines.headers}
    for line in lines.lines:
        found[line.section].append(line)
    return {name: tuple(items) for name, items in found.items()}


def _by_key(lines: tuple[Line, ...]) -> dict[str, tuple[Line, ...]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.key, []).append(line)
    return {key: tuple(items) for key, items in found.items()}
