"""Random Barman servers from a seed, as plain data: catalogs and policies. It plants nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from integration.oracle.cases import AMOUNTS, Policy
from integration.oracle.clock import NOW
from integration.oracle.moments import DAY, Span, spans
from integration.oracle.wal import Walk, archived, name, place

State = Literal["DONE", "FAILED", "WAITING_FOR_WALS", "EMPTY", "STARTED"]
Hold = Literal["full", "standalone"]
_DAYS = {"DAY": 1, "DAYS": 1, "WEEKS": 7, "MONTHS": 31}
_IGNORED = ("REDUNDANCY two", "RECOVERY WINDOW OF 3 YEARS", "keep everything")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup's record."""

    id: str
    span: Span
    microseconds: int
    """By which it ended after the second of `span.stop`."""
    state: State
    first: str
    last: str
    held: Hold | None
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A server."""

    number: int
    backups: tuple[Backup, ...]
    files: tuple[str, ...]
    """What is in its archive of WAL."""
    policy: Policy


def case(seed: int, number: int, zone: str, *, incrementals: bool) -> Case:
    """Case `number` of a seed; `incrementals`: whether this Barman has them."""
    rng = Random(f"barman {seed} {number}")
    policy, windows = _policy(rng)
    walk = Walk(rng)
    backups = _Server(rng, windows, zone, incrementals=incrementals).backups(walk)
    files = archived(rng, walk)
    return Case(number=number, backups=(*backups, *_newest(rng, backups, walk, zone)), files=files, policy=policy)


def _policy(rng: Random) -> tuple[Policy, tuple[int, ...]]:
    """The policy, and the days of its windows."""
    active = rng.random() > 0.05
    if rng.random() < 0.4:
        return _said(rng, active=active)
    minimum = {"minimum_redundancy": str(rng.randint(0, 6))} if rng.random() < 0.5 else {}
    if rng.random() < 0.08:
        return Policy(edits={"retention_policy": rng.choice(_IGNORED), **minimum}, active=active), ()
    if rng.random() < 0.08:
        return Policy(options=minimum, active=active), ()
    if rng.random() < 0.4:
        return Policy(options={"retention_policy": f"REDUNDANCY {rng.randint(0, 6)}", **minimum}, active=active), ()
    unit = rng.choice(tuple(_DAYS))
    number = rng.randint(0, 3) if _DAYS[unit] > 1 else rng.randint(0, 20)
    text = f"RECOVERY WINDOW OF {number} {unit}"
    text = text.lower() if rng.random() < 0.3 else text
    return Policy(options={"retention_policy": text, **minimum}, active=active), (number * _DAYS[unit],)


def _said(rng: Random, *, active: bool) -> tuple[Policy, tuple[int, ...]]:
    """In the spec's words."""
    days = rng.randint(1, 20)
    words = {"full": str(rng.randint(1, 6))} if rng.random() < 0.4 else {"window": f"{days}d"}
    if rng.random() < 0.4:
        words["minimum_full"] = str(rng.randint(1, 6))
    return Policy(words=words, active=active), (days,) if "window" in words else ()


class _Server:
    """Takes the backups of one server, one after the other."""

    def __init__(self, rng: Random, windows: tuple[int, ...], zone: str, *, incrementals: bool) -> None:
        self.rng = rng
        self.zone = ZoneInfo(zone)
        self.spans = spans(rng, rng.choice(AMOUNTS), windows)
        self.failed_share = rng.choice((0.0, 0.0, 0.1, 0.3))
        self.held_share = rng.choice((0.0, 0.0, 0.1, 0.3))
        self.child_share = rng.choice((0.0, 0.3, 0.6)) if incrementals else 0.0
        self.promotions = rng.choice((0.0, 0.0, 0.1, 0.3))
        self.taken: list[Backup] = []

    def backups(self, walk: Walk) -> tuple[Backup, ...]:
        """All of them, oldest first."""
        for span in self.spans:
            if self.rng.random() < self.promotions:
                walk.promote()
            first, last = walk.backup()
            timeline, _ = place(first)
            self.taken.append(self._backup(span, first, last if place(last)[0] == timeline else first))
        return tuple(self.taken)

    def _backup(self, span: Span, first: str, last: str) -> Backup:
        microseconds = 0 if span.stop == int(NOW.timestamp()) else self.rng.choice((0, 0, 1, 999_999))
        plain = Backup(
            id=backup_id(span.start, self.zone),
            span=span,
            microseconds=microseconds,
            state=self.rng.choice(("FAILED", "FAILED", "EMPTY")) if self.rng.random() < self.failed_share else "DONE",
            first=first,
            last=last,
            held=None,
            parent=self._parent(),
        )
        if plain.state == "DONE" and plain.parent is None and self.rng.random() < self.held_share:
            return replace(plain, held=self.rng.choice(("full", "standalone")))
        return replace(plain, parent=plain.parent if plain.state == "DONE" else None)

    def _parent(self) -> str | None:
        """An incremental builds on any backup that is done, mostly the newest one."""
        done = [backup.id for backup in self.taken if backup.state == "DONE"]
        if not done or self.rng.random() >= self.child_share:
            return None
        return done[-1] if self.rng.random() < 0.7 else self.rng.choice(done)


def backup_id(start: int, zone: ZoneInfo) -> str:
    """Barman's name of a backup: when it began, on the host's clock."""
    return datetime.fromtimestamp(start, UTC).astimezone(zone).strftime("%Y%m%dT%H%M%S")


def _newest(rng: Random, backups: tuple[Backup, ...], walk: Walk, zone: str) -> tuple[Backup, ...]:
    """In some catalogs a backup that waits for WAL beyond all that is archived, or one that is being taken."""
    if rng.random() > 0.25:
        return ()
    begin = max((backup.span.start for backup in backups), default=int(NOW.timestamp()) - DAY) + 1
    beyond = name(walk.timeline, walk.number + 10)
    span = Span(start=begin, stop=min(begin + 60, int(NOW.timestamp())))
    return (
        Backup(
            id=backup_id(begin, ZoneInfo(zone)),
            span=span,
            microseconds=0,
            state=rng.choice(("WAITING_FOR_WALS", "WAITING_FOR_WALS", "STARTED")),
            first=beyond,
            last=beyond,
            held=None,
            parent=None,
        ),
    )
