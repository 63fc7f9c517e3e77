"""Compares what was foretold with what an engine did. It asks neither."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integration.oracle.wal import between, told

Segments = frozenset[tuple[str | None, str]]
"""An archive (`15-1`; None: the engine has no such thing), and the name of a segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What lies in a repository."""

    backups: frozenset[str]
    segments: Segments
    listed: frozenset[str]
    """The backups as the engine itself lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A repository before and after the engine expired it, and whether the engine refused."""

    before: Look
    after: Look
    refused: bool = False
    silent: bool = False
    """Whether the engine tells nothing of the WAL (Barman of a server that is not active)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """pgwrap's words about one repository."""

    listed: frozenset[str]
    going: frozenset[str]
    unknown: frozenset[str]
    segments: Segments | None
    """What is archived; None: not known."""
    segments_going: Segments
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One thing in which they differ."""

    what: str
    foretold: str
    was: str

    def __str__(self) -> str:
        return f"{self.what}\n    foretold: {self.foretold}\n    was:      {self.was}"


def foretold(repository: Mapping[str, Any]) -> Foretold:
    """A repository of `pgwrap retention -o json`."""
    verdicts = {backup["id"]: backup["kept"] for backup in repository["backups"]}
    runs = repository["wal"]
    return Foretold(
        listed=frozenset(verdicts),
        going=frozenset(name for name, kept in verdicts.items() if kept is False),
        unknown=frozenset(name for name, kept in verdicts.items() if kept is None),
        segments=None if runs is None else _segments(runs),
        segments_going=_segments([run for run in runs or () if not run["kept"]]),
        refused=repository["refuses"] is not None,
    )


def mismatches(forecast: Foretold, deed: Deed) -> Iterator[Mismatch]:
    """Everything in which the forecast and the deed differ; nothing when they agree."""
    before, after = deed.before, deed.after
    yield from _differ("the backups that are there", forecast.listed, before.backups)
    yield from _differ("the backups that the engine lists", before.backups, before.listed)
    yield from _differ("the backups that the engine lists afterwards", after.backups, after.listed)
    yield from _differ("backups that go", forecast.going, before.backups - after.backups)
    yield from _differ("backups whose fate is not known", forecast.unknown, frozenset())
    if forecast.segments is not None or (before.segments and not deed.silent):
        yield from _differ("the WAL that is there", _names(forecast.segments or frozenset()), _names(before.segments))
    yield from _differ("WAL that goes", _names(forecast.segments_going), _names(before.segments - after.segments))
    yield from _differ("what is there only afterwards", frozenset(), _new(before, after))
    if forecast.refused != deed.refused:
        yield Mismatch(what="a refusal", foretold=str(forecast.refused), was=str(deed.refused))


def _differ(what: str, forecast: frozenset[str], was: frozenset[str]) -> Iterator[Mismatch]:
    if forecast != was:
        yield Mismatch(what=what, foretold=_told(forecast, was), was=_told(was, forecast))


def _told(one: frozenset[str], other: frozenset[str]) -> str:
    alone = f"\n              only here: {told(one - other)}" if one - other else ""
    return f"{told(one)}{alone}"


def _new(before: Look, after: Look) -> frozenset[str]:
    return (after.backups - before.backups) | _names(after.segments - before.segments)


def _names(segments: Segments) -> frozenset[str]:
    return frozenset(segment if archive is None else f"{archive}/{segment}" for archive, segment in segments)


def _segments(runs: list[Mapping[str, Any]]) -> Segments:
    found: set[tuple[str | None, str]] = set()
    for run in runs:
        names = between(run["from"], run["to"])
        if len(names) != run["segments"]:
            raise ValueError(f"a run of {len(names)} segments that says {run['segments']}: {run}")
        found |= {(run["archive"], segment) for segment in names}
    return frozenset(found)
