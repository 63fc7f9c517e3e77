"""When backups were taken, so that windows cut through them, some at the exact second. It knows no engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from integration.oracle.clock import NOW

DAY = 86_400
HOUR = 3_600
_SPANS = (0.5, 3, 10, 25, 60)
"""How many days back a catalog begins."""
_AROUND = (-1, 0, 0, 1, -HOUR, HOUR, HOUR // 2, -HOUR // 2)
"""Seconds beside the edge of a window; an hour is what a change of summer time could hide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The seconds since 1970 at which a backup began and ended."""

    start: int
    stop: int


def spans(rng: Random, count: int, windows: Sequence[int]) -> tuple[Span, ...]:
    """So many backups, in the order they began; `windows` are days."""
    now = int(NOW.timestamp())
    longest = rng.choice(_SPANS) * DAY
    ages = [rng.uniform(60, longest) for _ in range(count)]
    for index in range(count):
        if windows and rng.random() < 0.2:
            ages[index] = rng.choice(windows) * DAY + rng.choice(_AROUND)
    stops = [now - int(age) for age in sorted(ages, reverse=True)]
    starts: list[int] = []
    for stop in stops:
        earliest = starts[-1] + 1 if starts else 0
        starts.append(max(earliest, stop - rng.randint(1, 1800)))
    return tuple(Span(start=start, stop=stop) for start, stop in zip(starts, _jumbled(rng, stops), strict=True))


def _jumbled(rng: Random, stops: list[int]) -> list[int]:
    """In some catalogs a backup ends with, or after, one that began later."""
    jumbled = list(stops)
    if rng.random() < 0.25:
        for index in range(len(jumbled) - 1):
            if rng.random() < 0.3:
                jumbled[index] = jumbled[index + 1] + rng.choice((0, 0, 1, HOUR, DAY))
    return [min(stop, int(NOW.timestamp())) for stop in jumbled]
