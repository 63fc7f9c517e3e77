"""WAL of a made-up cluster: where it stood when, what was archived, what is missing. It reads no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

SEGMENT = re.compile(r"[0-9A-F]{24}")
_STARTS = (2, 3, 0xF8, 0xFE, 0x1FD)
"""Segment numbers, some of them just before the next directory begins."""
_PER_DIRECTORY = 256


def name(timeline: int, number: int) -> str:
    """The name of a 16 MB segment."""
    return f"{timeline:08X}{number // _PER_DIRECTORY:08X}{number % _PER_DIRECTORY:08X}"


def place(segment: str) -> tuple[int, int]:
    """The timeline and number of a segment."""
    return int(segment[:8], 16), int(segment[8:16], 16) * _PER_DIRECTORY + int(segment[16:], 16)


def between(first: str, last: str) -> tuple[str, ...]:
    """The names from one segment to another of the same timeline, both included."""
    (timeline, begin), (_, end) = place(first), place(last)
    return tuple(name(timeline, number) for number in range(begin, end + 1))


def told(names: Iterable[str]) -> str:
    """Names in a line, with segments (`15-1/…` or bare) that follow one another as runs: `FIRST..LAST (n)`."""
    runs: list[list[str]] = []
    for one in sorted(names):
        if runs and _follows(runs[-1][-1], one):
            runs[-1].append(one)
        else:
            runs.append([one])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}..{run[-1]} ({len(run)})" for run in runs) or "none"


def _follows(before: str, after: str) -> bool:
    """Whether both are segments of one archive and one timeline, side by side."""
    (archive, _, one), (other_archive, _, other) = before.rpartition("/"), after.rpartition("/")
    if archive != other_archive or not (SEGMENT.fullmatch(one) and SEGMENT.fullmatch(other)):
        return False
    (timeline, number), (other_timeline, other_number) = place(one), place(other)
    return timeline == other_timeline and other_number == number + 1


def lsn(segment: str, offset: int = 0x28) -> str:
    """A position in a segment."""
    _, number = place(segment)
    position = number * 0x1000000 + offset
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def segments_of(files: Iterable[str]) -> frozenset[str]:
    """The complete segments among file names."""
    return frozenset(file for file in files if SEGMENT.fullmatch(file))


def history(file: str, segments: Iterable[str]) -> str:
    """The contents of a timeline's history file, where the archive holds these segments."""
    timeline = int(file[:8], 16)
    firsts: dict[int, int] = {}
    for one, number in sorted(map(place, segments)):
        firsts.setdefault(one, number)
    known = [one for one in firsts if one <= timeline] or [timeline]
    steps = pairwise(known) if len(known) > 1 else [(max(timeline - 1, 1), known[0])]
    return "".join(
        f"{parent}\t{lsn(name(parent, firsts.get(child, 2)), 0)}\tno recovery target specified\n"
        for parent, child in steps
    )


@dataclass(slots=True)
class Walk:
    """A cluster that writes WAL, and at times is promoted to a new timeline."""

    rng: Random
    timeline: int = 1
    number: int = 0
    written: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timeline = self.rng.choice((1, 1, 1, 4))
        self.number = self.rng.choice(_STARTS)
        self.written.append(self.here)

    @property
    def here(self) -> str:
        """The segment that is written now."""
        return name(self.timeline, self.number)

    def advance(self, segments: int) -> str:
        """Write so many segments more."""
        for _ in range(segments):
            self.number += 1
            self.written.append(self.here)
        return self.here

    def promote(self) -> None:
        """Begin the next timeline in this segment; the old one may have gone on for a while."""
        abandoned = self.rng.choice((0, 0, 1, 3))
        self.written.extend(name(self.timeline, self.number + more) for more in range(1, abandoned + 1))
        self.timeline += self.rng.choice((1, 1, 2))
        self.written.append(self.here)

    def backup(self) -> tuple[str, str]:
        """The first and last segment of a backup that is taken now."""
        first = self.advance(self.rng.choice((0, 1, 1, 2, 5)))
        return first, self.advance(self.rng.choice((0, 0, 0, 1, 2)))


def archived(rng: Random, walk: Walk) -> tuple[str, ...]:
    """The names of the files in the archive: maybe with gaps, with history, `.backup` and `.partial` files."""
    if rng.random() < 0.05:
        return ()
    walk.advance(rng.choice((0, 0, 1, 4)))
    earlier = (name(place(walk.written[0])[0], place(walk.written[0])[1] - back) for back in (2, 1))
    segments = [*(earlier if rng.random() < 0.4 else ()), *walk.written]
    if rng.random() < 0.4:
        segments = [segment for segment in segments if rng.random() > 0.15]
    timelines = {segment[:8] for segment in segments} - {"00000001"}
    histories = [f"{timeline}.history" for timeline in sorted(timelines)]
    return tuple(dict.fromkeys((*histories, *segments, *_others(rng, segments))))


def _others(rng: Random, segments: list[str]) -> Iterator[str]:
    for segment in segments:
        if rng.random() < 0.05:
            yield f"{segment}.00000028.backup"
    if segments and rng.random() < 0.1:
        yield f"{segments[-1]}.partial"
