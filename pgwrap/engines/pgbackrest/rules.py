"""How each version of pgBackRest's parser treats each option, from `rules.json`. It reads no configuration.

options.py says what an option is to an author; this module what it is to the engine that reads a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

MAXIMUM_KEY = 256
_LONGEST_NAME = 64
_NUMBERED = re.compile(r"([^-]*?)([0-9]+)(-.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depend:
    """The option counts only where another has one of these values (None: any)."""

    option: str
    values: tuple[str, ...] | None
    default: str | None
    """What it is elsewhere; None: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds of an option for one command."""

    required: bool
    default: str | Mapping[str, str] | None
    """One for each value of what it depends on, where they differ."""
    depend: Depend | None
    allowed: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One option of one version; `name` carries no number."""

    name: str
    section: str
    type: str
    group: str | None
    secure: bool
    beta: bool
    negate: bool
    range: tuple[str, str] | Mapping[str, tuple[str, str]] | None
    terms: Terms
    apart: Mapping[str, Terms] = field(default_factory=dict)
    commands: frozenset[str]
    old_name: bool
    """Whether the name without a number is an old one for number 1 (`repo-path`)."""

    @property
    def multi(self) -> bool:
        """Whether it may be written several times."""
        return self.type in {"list", "hash"}

    def for_command(self, command: str) -> Terms:
        """What holds for one command."""
        return self.apart.get(command, self.terms)

    def key(self, number: int) -> str:
        """The canonical name with its number."""
        return self.name if self.group is None else f"{self.group}{number}{self.name[len(self.group) :]}"


@dataclass(frozen=True, slots=True)
class Named:
    """What a key of a file names."""

    rule: Rule
    number: int
    ignored: str = ""
    """Why pgBackRest passes over it, empty when it does not."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why pgBackRest does not take a key at all."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All options of one version."""

    version: EngineVersion
    commands: tuple[str, ...]
    options: Mapping[str, Rule]
    """In an order in which each comes after what it depends on."""
    deprecated: Mapping[str, tuple[str, bool, bool]]
    """Old name: the option, whether it stands without a number, whether with one."""

    def find(self, key: str) -> Named | Refusal | None:
        """What `key` names, as cfgParseOption() decides it; None for nothing."""
        if len(key.encode()) > _LONGEST_NAME:
            return Refusal(f"the name is longer than {_LONGEST_NAME} bytes [031]")
        prefix = next((prefix for prefix in ("no-", "reset-") if key.startswith(prefix)), "")
        bare = key.removeprefix(prefix)
        if bare.startswith("-"):
            return Refusal("an option cannot begin with a dash [031]")
        match = _NUMBERED.fullmatch(bare)
        if match is not None and not match[1]:
            return Refusal("an option cannot begin with a number [031]")
        if match is not None and not 1 <= int(match[2]) <= MAXIMUM_KEY:
            return Refusal(f"the number must be between 1 and {MAXIMUM_KEY} [031]")
        number = int(match[2]) if match else None
        return self._named(match[1] + match[3] if match else bare, number, prefix)

    def _named(self, name: str, number: int | None, prefix: str) -> Named | Refusal | None:
        rule = self.options.get(name)
        old = rule is not None and rule.old_name and number is None
        if rule is None:
            if name not in self.deprecated:
                return None
            current, without, numbered = self.deprecated[name]
            if number is not None and not numbered:
                return Refusal("this old name takes no number [031]")
            if number is None and not without:
                return Refusal("this old name needs a number [031]")
            rule, old = self.options[current], True
        return _prefix_fault(rule, prefix) or _number_fault(rule, number, old=old) or _found(rule, number, prefix)


def _prefix_fault(rule: Rule, prefix: str) -> Refusal | None:
    if prefix == "no-" and not rule.negate:
        return Refusal("this option cannot be negated [031]")
    if prefix == "reset-" and rule.section == "command-line":
        return Refusal("this option cannot be reset [031]")
    return None


def _number_fault(rule: Rule, number: int | None, *, old: bool) -> Refusal | None:
    if old:
        return None
    if number is not None and rule.group is None:
        return Refusal("this option takes no number [031]")
    if number is None and rule.group is not None:
        return Refusal(f"this option needs a number, such as {rule.key(1)} [031]")
    return None


def _found(rule: Rule, number: int | None, prefix: str) -> Named:
    if prefix:
        word = "no-NAME" if prefix == "no-" else "reset-NAME"
        return Named(rule, number or 1, f"{word} is for the command line; in a file pgBackRest ignores it")
    if rule.section == "command-line":
        return Named(rule, number or 1, "an option of the command line; in a file pgBackRest ignores it")
    return Named(rule, number or 1)


@cache
def rules(version: EngineVersion) -> Rules:
    """The rules of a version; a newer one than is known is taken for the newest known."""
    table = _table()
    chosen = {name: _rule(name, entry) for name, epochs in table["options"].items() if (entry := _at(epochs, version))}
    deprecated = {
        old: (name, without, numbered)
        for name, epochs in table["options"].items()
        if name in chosen
        for old, without, numbered in (_at(epochs, version) or {}).get("deprecated", ())
    }
    return Rules(
        version=version,
        commands=tuple(_commands(table["commands"], version)),
        options=MappingProxyType(_in_order(chosen)),
        deprecated=MappingProxyType(deprecated),
    )


@cache
def _table() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files(__package__).joinpath("rules.json").read_text(encoding="utf-8"))
    for epochs in loaded["options"].values():
        for entry in epochs:
            if "commands" in entry:
                entry["commands"] = loaded["command_sets"][entry["commands"]]
    return loaded


def _at(epochs: list[dict[str, Any]], version: EngineVersion) -> dict[str, Any] | None:
    found = None
    for entry in epochs:
        if EngineVersion.parse(entry["since"]) <= version:
            found = entry
    return None if found is None or found.get("gone") else found


def _commands(listed: Mapping[str, list[str]], version: EngineVersion) -> list[str]:
    found: list[str] = []
    for since, names in listed.items():
        if EngineVersion.parse(since) <= version:
            found = names
    return found


def _rule(name: str, entry: Mapping[str, Any]) -> Rule:
    terms = _terms(entry, {})
    return Rule(
        name=name,
        section=entry["section"],
        type=entry["type"],
        group=entry.get("group"),
        secure=entry.get("secure", False),
        beta=entry.get("beta", False),
        negate=entry.get("negate", False),
        range=_range(entry.get("range")),
        terms=terms,
        apart={command: _terms(entry, said) for command, said in entry.get("apart", {}).items()},
        commands=frozenset(entry["commands"]),
        old_name=any(old == name and without for old, without, _ in entry.get("deprecated", ())),
    )


def _terms(entry: Mapping[str, Any], apart: Mapping[str, Any]) -> Terms:
    both = {**entry, **apart}
    depend = both.get("depend")
    allowed = both.get("allowed")
    return Terms(
        required=both.get("required", True),
        default=both.get("default"),
        depend=None
        if depend is None
        else Depend(
            option=depend["option"],
            values=None if depend["values"] is None else tuple(depend["values"]),
            default=depend["default"],
        ),
        allowed=None if allowed is None else tuple(allowed),
    )


def _range(limits: Any) -> tuple[str, str] | Mapping[str, tuple[str, str]] | None:
    if isinstance(limits, dict):
        return {key: (low, high) for key, (low, high) in limits.items()}
    return None if limits is None else (limits[0], limits[1])


def _in_order(chosen: Mapping[str, Rule]) -> dict[str, Rule]:
    """Each option after all it depends on."""
    ordered: dict[str, Rule] = {}

    def place(name: str) -> None:
        if name in ordered or name not in chosen:
            return
        rule = chosen[name]
        for terms in (rule.terms, *rule.apart.values()):
            if terms.depend is not None:
                place(terms.depend.option)
        ordered[name] = rule

    for name in sorted(chosen):
        place(name)
    return ordered
