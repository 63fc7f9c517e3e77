"""Barman's options by version, from options.json beside this file (its `_meta` names the source). It renders nothing.

A mistake here would fail open: Barman only warns of an unknown option, and falls back silently from an invalid value.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from pgwrap.engines.barman.records import Record
from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

Scope: TypeAlias = Literal["both", "server", "global", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option as config.py declares it."""

    name: str
    scope: Scope
    """Where it counts: `both` sections, a `server`'s, `global` [barman], or a `model`'s alone."""
    type: str
    since: EngineVersion
    default: str | None
    allowed: tuple[tuple[EngineVersion, tuple[str, ...]], ...]
    """The accepted values from each version on, oldest first; empty: any."""
    deprecated: str | None
    model: bool
    """Whether a model may override it."""

    def accepts(self, version: EngineVersion) -> tuple[str, ...]:
        """The values that `version` accepts; empty: any."""
        accepted: tuple[str, ...] = ()
        for since, values in self.allowed:
            if not accepted or since <= version:
                accepted = values
        return accepted

    def accepted_since(self, value: str) -> EngineVersion | None:
        """The first version that accepts `value`; None: no version does."""
        return next((since for since, values in self.allowed if value in values), None)


@cache
def options() -> dict[str, Option]:
    """Every option by name."""
    document = json.loads(files(__package__).joinpath("options.json").read_text(encoding="utf-8"))
    return {option.name: option for option in map(_option, Record(document).records("options"))}


def nearest(name: str) -> str | None:
    """The known option that `name` most likely means."""
    close = difflib.get_close_matches(name.lower(), options(), n=1, cutoff=0.75)
    return close[0] if close else None


def _option(record: Record) -> Option:
    return Option(
        name=record.text("name") or "",
        scope=_scope(record.text("scope")),
        type=record.text("type") or "",
        since=EngineVersion.parse(record.text("since") or ""),
        default=_default(record.raw("default")),
        allowed=_allowed(record),
        deprecated=record.text("deprecated"),
        model=record.boolean("model") is True,
    )


def _default(value: object) -> str | None:
    """An empty default (of a set of words) is one, too."""
    return value if isinstance(value, str) else None


def _scope(text: str | None) -> Scope:
    match text:
        case "both" | "server" | "global" | "model":
            return text
    raise ValueError(f"not a scope: {text!r}")


def _allowed(record: Record) -> tuple[tuple[EngineVersion, tuple[str, ...]], ...]:
    history = record.record("allowed_since")
    if history.values:
        return tuple((EngineVersion.parse(since), history.texts(since)) for since in history.values)
    values = record.texts("allowed")
    return ((EngineVersion.parse(record.text("since") or ""), values),) if values else ()
