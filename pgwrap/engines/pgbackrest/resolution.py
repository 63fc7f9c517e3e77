"""All options of one pgBackRest command as its parser resolves them: dependencies, defaults, and what is required.

It follows cfgParse() of src/config/parse.c from its fourth phase on, and reads no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from pgwrap.domain.native import Effective
from pgwrap.engines.pgbackrest.layers import Findings, Given, OptionKey
from pgwrap.engines.pgbackrest.native_values import (
    ValueRefusedError,
    default_meaning,
    is_cut_short,
    meaning,
)
from pgwrap.engines.pgbackrest.rules import Depend, Rule, Rules
from pgwrap.errors import Location
from pgwrap.records import dataclass


@dataclass(slots=True)
class Resolution:
    """The options of one command as far as they are resolved."""

    rules: Rules
    command: str
    stanza: str
    place: Location | None
    """Where the stanza, or the file, begins: for what is missing."""
    given: Mapping[OptionKey, Given]
    findings: Findings
    demanding: bool
    """Whether what is missing refuses the files: not for commands that take it from the command line."""
    found: dict[OptionKey, Effective] = field(default_factory=dict)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def value(self, name: str, number: int = 1) -> str | None:
        """The single value of an option."""
        option = self.found.get((name, number))
        return option.values[0] if option is not None and option.values else None

    def is_default(self, name: str, number: int = 1) -> bool:
        """Whether nobody wrote it."""
        option = self.found.get((name, number))
        return option is None or option.place is None

    def set_default(self, name: str, value: str, number: int = 1) -> None:
        """A default that another option decides."""
        rule = self.rules.options[name]
        self.found[name, number] = Effective(
            values=default_meaning(rule, value, self.rules.version), secret=rule.secure
        )


def resolve(resolution: Resolution) -> Resolution:
    """Every option that the command knows; refusals and remarks go to the findings."""
    valid = [rule for rule in resolution.rules.options.values() if resolution.command in rule.commands]
    resolution.numbers = _numbers(valid, resolution.given)
    for rule in valid:
        for number in resolution.numbers[rule.group] if rule.group else (1,):
            _resolve_one(resolution, rule, number)
    return resolution


def named(resolution: Resolution) -> dict[str, Effective]:
    """Every option by its canonical name, without numbers of which nothing counts."""
    return dict(_options(resolution))


def _numbers(valid: list[Rule], given: Mapping[OptionKey, Given]) -> dict[str, tuple[int, ...]]:
    """The numbers in use of each group; pg1 always is."""
    names = {rule.name for rule in valid}
    found: dict[str, set[int]] = {"repo": set(), "pg": set()}
    for (name, number), one in given.items():
        if name in names and one.rule.group is not None:
            found[one.rule.group].add(number)
    found["pg"].add(1)
    found["repo"] = found["repo"] or {1}
    return {group: tuple(sorted(numbers)) for group, numbers in found.items()}


def _resolve_one(resolution: Resolution, rule: Rule, number: int) -> None:
    terms = rule.for_command(resolution.command)
    given = resolution.given.get((rule.name, number))
    match: str | None = None
    if terms.depend is not None:
        valid, match = _depend(resolution, terms.depend, number)
        if not valid:
            _without(resolution, rule, number, terms.depend)
            return
    if given is not None:
        _take(resolution, rule, number, given, match)
    elif (default := _default(terms.default, match)) is not None:
        values = default_meaning(rule, default, resolution.rules.version)
        resolution.found[rule.name, number] = Effective(values=values, secret=rule.secure)
    elif terms.required and resolution.demanding and rule.section != "command-line":
        _missing(resolution, rule, number, terms.depend)


def _default(default: str | Mapping[str, str] | None, match: str | None) -> str | None:
    return default.get(match or "") if isinstance(default, Mapping) else default


def _depend(resolution: Resolution, depend: Depend, number: int) -> tuple[bool, str | None]:
    """Whether the option counts, and the value it depends on."""
    other = resolution.rules.options[depend.option]
    if other.name == "stanza":
        return bool(resolution.stanza), None
    option = resolution.found.get((other.name, number if other.group else 1))
    if option is None or depend.values is None:
        return option is not None, None
    value = option.values[0]
    if other.type == "boolean":
        return value in {"y" if one == "true" else "n" for one in depend.values}, None
    written = option.written[0] if option.written else value
    return written in depend.values, written


def _without(resolution: Resolution, rule: Rule, number: int, depend: Depend) -> None:
    """The other option makes this one pointless: it is passed over, unless it has a value for that case."""
    if depend.default is not None:
        values = default_meaning(rule, depend.default, resolution.rules.version)
        resolution.found[rule.name, number] = Effective(values=values, secret=rule.secure)


def _take(resolution: Resolution, rule: Rule, number: int, given: Given, match: str | None) -> None:
    fault = _shape_fault(rule, given.values)
    if fault:
        resolution.findings.refuse(fault, given.places[-1], given.key)
        return
    beta = resolution.given.get(("beta", 1))
    if rule.beta and (beta is None or beta.values != ("y",)):
        message = f"a trial of pgBackRest {resolution.rules.version}, which asks for beta=y [031]"
        resolution.findings.refuse(message, given.place, given.key)
        return
    if any(is_cut_short(rule, value, resolution.rules.version) for value in given.values):
        message = f"pgBackRest {resolution.rules.version} knows no units of time and reads seconds"
        resolution.findings.remark(message, given.place, given.key, "write seconds")
    try:
        values = meaning(rule, given.values, match, resolution.command, resolution.rules)
    except ValueRefusedError as error:
        resolution.findings.refuse(str(error), given.place, given.key)
        return
    resolution.found[rule.name, number] = Effective(
        values=values, written=given.values, place=given.place, secret=rule.secure
    )


def _shape_fault(rule: Rule, values: tuple[str, ...]) -> str:
    if len(values) > 1:
        return "" if rule.multi else "set several times [031]"
    if values[0] == "":
        return "must have a value [032]"
    if rule.type == "boolean" and values[0] not in {"y", "n"}:
        return f"must be y or n, not {values[0]!r} [032]"
    return ""


def _missing(resolution: Resolution, rule: Rule, number: int, depend: Depend | None) -> None:
    cause = None
    if depend is not None:
        other = resolution.rules.options[depend.option]
        cause = resolution.found.get((other.name, number if other.group else 1))
    place = cause.place if cause is not None and cause.place is not None else resolution.place
    depends = depend is not None and depend.option != "stanza"
    because = f", for {_said(resolution, depend, number)}" if depends and depend is not None else ""
    stanza = f" of the stanza {resolution.stanza!r}" if resolution.stanza else ""
    resolution.findings.refuse(f"{rule.key(number)}{stanza} is missing{because} [037]", place)


def _said(resolution: Resolution, depend: Depend, number: int) -> str:
    other = resolution.rules.options[depend.option]
    key = other.key(number if other.group else 1)
    value = resolution.value(other.name, number if other.group else 1)
    return f"{key}={value}" if value is not None and not other.secure else key


def kept(resolution: Resolution, group: str) -> tuple[int, ...]:
    """The numbers of which anything counts that somebody wrote; with none of them the first, as number 1."""
    numbers = resolution.numbers[group]
    if len(numbers) == 1:
        return numbers
    written = {
        number
        for (name, number), option in resolution.found.items()
        if option.place is not None and resolution.rules.options[name].group == group
    }
    return tuple(number for number in numbers if number in written) or numbers[:1]


def _options(resolution: Resolution) -> Iterator[tuple[str, Effective]]:
    counted = {group: kept(resolution, group) for group in ("repo", "pg")}
    for (name, number), option in resolution.found.items():
        rule = resolution.rules.options[name]
        if rule.section == "command-line" or (rule.group is not None and number not in counted[rule.group]):
            continue
        yield rule.key(_renumbered(resolution, rule, number, counted)), option


def _renumbered(resolution: Resolution, rule: Rule, number: int, counted: Mapping[str, tuple[int, ...]]) -> int:
    """A single repository of which nothing counts that somebody wrote is number 1, whatever was written."""
    if rule.group is None or len(counted[rule.group]) > 1 or number == 1:
        return number
    written = any(
        option.place is not None and one == number and resolution.rules.options[name].group == rule.group
        for (name, one), option in resolution.found.items()
    )
    return number if written else 1
