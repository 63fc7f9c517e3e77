"""Backup history on its way from one engine to the other: what is carried, what is not and why, and what was done.

Everything here is decided from what was observed; nothing is read, copied or run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import field
from datetime import timedelta
from typing import Final, Literal

from pgwrap.domain.archived import segment_of
from pgwrap.domain.facts import Backup, WalGap
from pgwrap.records import dataclass

LEFT: Final = "left behind, as was asked"
"""Why a backup that could be carried is not."""
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bases:
    """How many base backups are carried; WAL is always carried whole, so fewer only make a replay longer."""

    kind: Literal["all", "oldest", "every"] = "all"
    days: int | None = None
    """For `every`: at least so many days lie between two of them."""

    @classmethod
    def parse(cls, text: str) -> Bases:
        """Read `all`, `oldest`, or a number of days such as `7d`; ValueError for anything else."""
        if text == "all":
            return cls(kind="all")
        if text == "oldest":
            return cls(kind="oldest")
        days = _DAYS.fullmatch(text)
        if days is None:
            raise ValueError(f"neither all, oldest nor a number of days such as 7d: {text!r}")
        return cls(kind="every", days=int(days[1]))

    def __str__(self) -> str:
        return f"{self.days}d" if self.kind == "every" else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying:
    """What becomes of one backup of the source."""

    backup: Backup
    carried: bool
    """Whether it is carried, now or before."""
    already: bool = False
    """Whether the target has it: carried before, nothing is left to do."""
    reason: str = ""
    """Why it is not carried, or what carrying it means."""
    bytes: int | None = None
    """What it takes at the target; None: the source does not tell."""
    becomes: str | None = None
    """Its id at the target, where that is known beforehand."""

    @property
    def waits(self) -> bool:
        """Whether it is still to be carried."""
        return self.carried and not self.already


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryPlan:
    """What carrying the history of `source` (a cluster of the spec) into `target` would do, and what stands against it.

    `backups` holds every backup of the source, in the order in which they are carried: the oldest first.
    """

    source: str
    target: str
    backups: tuple[Carrying, ...]
    segments_to_move: int
    segments_already: int = 0
    """WAL files of the source that the target has by name."""
    segment_bytes: int | None = None
    """The size of one WAL segment."""
    gaps: tuple[WalGap, ...] = ()
    """What is missing in the source: a carried history has the same holes."""
    needed_bytes: int
    """What all of it takes at the target, with the room to work in."""
    free_bytes: int | None
    """What is free there; None: it cannot be told."""
    refusals: tuple[str, ...] = ()
    """Why nothing is carried; empty when nothing stands against it."""
    notes: tuple[str, ...] = ()

    @property
    def waiting(self) -> tuple[Carrying, ...]:
        """The backups that are still to be carried, oldest first."""
        return tuple(one for one in self.backups if one.waits)

    @property
    def done(self) -> bool:
        """Whether the target has all that can be carried."""
        return not self.waiting and self.segments_to_move == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryProgress:
    """How far a carrying is: the backups first, or the WAL, each by its count and its bytes."""

    phase: Literal["backup", "wal"]
    done: int
    total: int
    bytes: int
    total_bytes: int
    name: str = ""
    """The backup at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryResult:
    """What one run carried."""

    source: str
    target: str
    backups: tuple[str, ...]
    """The ids at the target of those carried by this run, oldest first."""
    segments: int
    """WAL files moved by this run, each found at the target afterwards."""
    bytes: int
    """Of the backups and the WAL together, as they are at the target."""
    seconds: float
    notes: tuple[str, ...] = field(default=())


def choose_bases(
    backups: Iterable[Backup], bases: Bases, gaps: Iterable[WalGap] = (), *, segment_size: int
) -> tuple[Backup, ...]:
    """The backups to carry of those that can be, oldest first.

    Replay crosses no gap, so the oldest base after each one is needed as much as the oldest of all; fewer are never
    chosen. `segment_size` is in bytes.
    """
    ordered = sorted(backups, key=_age)
    if bases.kind == "all":
        return tuple(ordered)
    ends = sorted(number for gap in gaps if (number := _number(gap.to, segment_size)) is not None)
    stretches: dict[int, list[Backup]] = {}
    for backup in ordered:
        stretches.setdefault(_gaps_before(backup, ends, segment_size), []).append(backup)
    chosen = [one for stretch in stretches.values() for one in _of_a_stretch(stretch, bases)]
    return tuple(sorted(chosen, key=_age))


def _of_a_stretch(backups: list[Backup], bases: Bases) -> Iterator[Backup]:
    last: Backup | None = None
    for backup in backups:
        if last is None or _far_enough(last, backup, bases):
            yield backup
            last = backup


def _far_enough(last: Backup, backup: Backup, bases: Bases) -> bool:
    """A backup that tells no time is kept: nobody knows what it would be left out for."""
    if bases.days is None:
        return False
    if last.stopped_at is None or backup.stopped_at is None:
        return True
    return backup.stopped_at - last.stopped_at >= timedelta(days=bases.days)


def _age(backup: Backup) -> tuple[float, str]:
    moment = backup.stopped_at or backup.started_at
    return (0.0 if moment is None else moment.timestamp(), backup.id)


def _gaps_before(backup: Backup, ends: list[int], segment_size: int) -> int:
    """How many gaps end before the backup's WAL begins, on whichever timeline: one too many costs only a base more."""
    start = None if backup.wal_start is None else _number(backup.wal_start, segment_size)
    return 0 if start is None else sum(1 for end in ends if end < start)


def _number(name: str, segment_size: int) -> int | None:
    found = segment_of(name, segment_size)
    return None if found is None else found.number
