"""The way WAL takes to a timeline, across its ancestors, and the unbroken runs on it. It knows no backups and no times.

Source: PostgreSQL's XLogInitNewTimeline and XLogFileReadAnyTLI (src/backend/access/transam): the segment in which a
timeline was left is copied to the new one, so replay reads it, and all that follow, under the new timeline's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgwrap.domain.wal import Ancestor, Ancestry, Lsn, Segment, SegmentRange, Timeline
from pgwrap.records import dataclass

_END_OF_WAL = 1 << 64

Run = tuple[SegmentRange, ...]
"""Unbroken WAL on a lineage: pieces of one or more timelines, each beginning where the one before it ends."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """A timeline and the ancestors through which replay reaches it; those are empty when they are not known."""

    timeline: Timeline
    ancestors: tuple[Ancestor, ...]
    segment_size: int

    def legs(self) -> Run:
        """Which segment numbers replay reads from which timeline, oldest first."""
        legs: list[SegmentRange] = []
        first = 0
        for ancestor in self.ancestors:
            left_in = ancestor.switched_at // self.segment_size
            if first < left_in:
                legs.append(SegmentRange(ancestor.timeline, first, left_in - 1))
            first = max(first, left_in)
        return (*legs, SegmentRange(self.timeline, first, _END_OF_WAL // self.segment_size))

    def left_at(self, timeline: Timeline) -> Lsn | None:
        """Where `timeline` was left on this way; None when it is its end, or not on it."""
        for ancestor in self.ancestors:
            if ancestor.timeline == timeline:
                return ancestor.switched_at
        return None

    def passes(self, timeline: Timeline, stop: Lsn) -> bool:
        """Whether the way goes along `timeline` at least up to `stop`."""
        if timeline == self.timeline:
            return True
        left_at = self.left_at(timeline)
        return left_at is not None and stop <= left_at

    def runs(self, ranges: Iterable[SegmentRange]) -> tuple[Run, ...]:
        """The unbroken runs that the archived `ranges` form along this way, oldest first."""
        runs: list[Run] = []
        for piece in self._pieces(ranges):
            if runs and runs[-1][-1].last + 1 == piece.first:
                runs[-1] = _joined(runs[-1], piece)
            else:
                runs.append((piece,))
        return tuple(runs)

    def missing(self, first: int, last: int, runs: tuple[Run, ...]) -> Iterator[SegmentRange]:
        """The segments from number `first` to `last` that none of `runs` holds, by the timeline they would be on."""
        for hole_first, hole_last in _holes(first, last, runs):
            for leg in self.legs():
                if leg.first <= hole_last and hole_first <= leg.last:
                    yield SegmentRange(leg.timeline, max(leg.first, hole_first), min(leg.last, hole_last))

    def _pieces(self, ranges: Iterable[SegmentRange]) -> Iterator[SegmentRange]:
        known = tuple(sorted(ranges))
        for leg in self.legs():
            for archived in known:
                if archived.timeline == leg.timeline and archived.first <= leg.last and leg.first <= archived.last:
                    yield SegmentRange(leg.timeline, max(leg.first, archived.first), min(leg.last, archived.last))


def _joined(run: Run, piece: SegmentRange) -> Run:
    newest = run[-1]
    if newest.timeline != piece.timeline:
        return (*run, piece)
    return (*run[:-1], SegmentRange(piece.timeline, newest.first, piece.last))


def _holes(first: int, last: int, runs: tuple[Run, ...]) -> Iterator[tuple[int, int]]:
    expected = first
    for run in runs:
        if expected < run[0].first:
            yield expected, min(last, run[0].first - 1)
        expected = max(expected, run[-1].last + 1)
        if expected > last:
            return
    if expected <= last:
        yield expected, last


def lineages(timelines: Iterable[Timeline], ancestries: tuple[Ancestry, ...], segment_size: int) -> tuple[Lineage, ...]:
    """The way to each timeline. One of unknown history stands alone: nothing is replayed into it."""
    known = {ancestry.timeline: ancestry.ancestors for ancestry in ancestries}
    return tuple(
        Lineage(timeline, known.get(timeline, _from_a_descendant(timeline, ancestries)), segment_size)
        for timeline in sorted(set(timelines))
    )


def _from_a_descendant(timeline: Timeline, ancestries: tuple[Ancestry, ...]) -> tuple[Ancestor, ...]:
    for ancestry in ancestries:
        way = ancestry.timelines()
        if timeline in way:
            return ancestry.ancestors[: way.index(timeline)]
    return ()


def segment_at(run: Run, number: int) -> Segment | None:
    """The segment with this number on the run; None when the run does not hold it."""
    for piece in run:
        if piece.first <= number <= piece.last:
            return Segment(piece.timeline, number)
    return None


def united(ranges: Iterable[SegmentRange]) -> tuple[SegmentRange, ...]:
    """Overlapping and adjacent ranges joined; sorted."""
    joined: list[SegmentRange] = []
    for part in sorted(ranges):
        before = joined[-1] if joined else None
        if before is not None and before.timeline == part.timeline and part.first <= before.last + 1:
            joined[-1] = SegmentRange(before.timeline, before.first, max(before.last, part.last))
        else:
            joined.append(part)
    return tuple(joined)
