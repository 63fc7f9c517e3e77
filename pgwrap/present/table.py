"""Status for a terminal: a line per cluster, worst first, then what was found and what to type next.

It never exceeds the width it is given, and leaves exact figures to the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgwrap.domain.amounts import NOT_KNOWN, age, duration, size, window
from pgwrap.domain.facts import ClusterStatus, FleetStatus
from pgwrap.present.colour import severity_word
from pgwrap.present.detail import cluster_detail
from pgwrap.present.findings import finding_lines, shown_findings
from pgwrap.present.harmless import harmless
from pgwrap.present.presentation import Presentation
from pgwrap.present.summary import best_interval, newest_backup, severity_counts, worst_first
from pgwrap.text.columns import columns, cut, wrap
from pgwrap.text.tables import table

MINIMUM_WIDTH = 40
_HEADERS = ("severity", "cluster", "newest backup", "recoverable (UTC)", "wal lag", "engine")
_NAME_COLUMN = 1
_NAME_ROOM = 12
"""A name keeps so many columns; the last columns of the table give way first."""
_GAP = 2
SHORT_TYPES = {"differential": "diff", "incremental": "incr"}


def status_table(fleet: FleetStatus, presentation: Presentation) -> str:
    """The terminal's answer: the overview, or with `detail` every cluster at length; a summary line at the end."""
    width = max(presentation.width, MINIMUM_WIDTH)
    clusters = worst_first(fleet)
    if presentation.detail:
        blocks = [cluster_detail(cluster, presentation, width) for cluster in clusters]
    else:
        blocks = [overview(clusters, presentation, width)] if clusters else []
        blocks += finding_blocks(clusters, presentation, width)
    blocks += ["\n".join(wrap(line, width)) for line in moving_lines(clusters)]
    return "\n\n".join([*blocks, "\n".join(wrap(summary_line(fleet), width))]) + "\n"


def overview(clusters: Iterable[ClusterStatus], presentation: Presentation, width: int) -> str:
    """A line per cluster; names are cut in the middle and the last columns dropped where the width asks for it."""
    rows = [_row(cluster, presentation) for cluster in clusters]
    kept, name_room = _fit(rows, width)
    lines = [
        tuple(cut(cell, name_room) if place == _NAME_COLUMN else cell for place, cell in enumerate(row[:kept]))
        for row in rows
    ]
    return table(lines, _HEADERS[:kept])


def _row(cluster: ClusterStatus, presentation: Presentation) -> tuple[str, ...]:
    return (
        severity_word(cluster.severity, colour=presentation.colour),
        harmless(cluster.name),
        newest_backup_cell(cluster, presentation),
        recoverable_cell(cluster),
        wal_lag_cell(cluster),
        harmless(f"{cluster.engine} {cluster.engine_version or NOT_KNOWN}"),
    )


def _fit(rows: list[tuple[str, ...]], width: int) -> tuple[int, int]:
    """How many columns are kept, and the room that leaves for the name."""
    widths = [max(columns(cell) for cell in column) for column in zip(_HEADERS, *rows, strict=True)]
    for kept in range(len(widths), _NAME_COLUMN, -1):
        others = sum(widths[:kept]) - widths[_NAME_COLUMN] + _GAP * (kept - 1)
        if width - others >= min(widths[_NAME_COLUMN], _NAME_ROOM):
            return kept, width - others
    return _NAME_COLUMN + 1, width - widths[0] - _GAP


def newest_backup_cell(cluster: ClusterStatus, presentation: Presentation) -> str:
    """Type and age of the newest backup; `none` only when the engine could be asked."""
    backup = newest_backup(cluster.backups)
    if backup is None:
        return "none" if cluster.read else NOT_KNOWN
    return f"{SHORT_TYPES.get(backup.type, backup.type)} {age(backup.stopped_at, presentation.now)}"


def recoverable_cell(cluster: ClusterStatus) -> str:
    """From when to when any moment can be restored, in the interval that reaches furthest."""
    interval = best_interval(cluster.recoverable)
    if interval is None:
        return "nothing" if cluster.read else NOT_KNOWN
    return window(interval.from_, interval.to)


def wal_lag_cell(cluster: ClusterStatus) -> str:
    """How far the archive is behind the server: in time, or in bytes where no time is known."""
    lag = cluster.wal
    return duration(lag.lag_seconds) if lag.lag_seconds is not None else size(lag.lag_bytes)


def finding_blocks(clusters: Iterable[ClusterStatus], presentation: Presentation, width: int) -> list[str]:
    """For each cluster with something to say, its name and its findings with their hints."""
    blocks = []
    for cluster in clusters:
        found = shown_findings(cluster, notes=presentation.verbose)
        if found:
            title = "\n".join(wrap(harmless(cluster.name), width))
            blocks.append("\n".join([title, *finding_lines(found, width, colour=presentation.colour)]))
    return blocks


def moving_lines(clusters: Iterable[ClusterStatus]) -> Iterator[str]:
    """A line for each migration that is under way: how far it is, and what both engines together can restore."""
    moves = {one.moving.migration: one.moving for one in clusters if one.moving is not None}
    for moving in moves.values():
        spans = moving.recoverable
        told = ", ".join(window(span.from_, span.to) for span in spans or ()) or "nothing"
        told = NOT_KNOWN if spans is None else told
        step = f"next is {moving.step}" if moving.step else "all is done"
        line = f"{moving.new} takes over from {moving.old} ({moving.state}, {step}): both together restore {told}"
        yield harmless(line)


def summary_line(fleet: FleetStatus) -> str:
    """How many clusters there are and how they fare; hidden notes and clusters left out are said too."""
    if not fleet.clusters:
        line = "no clusters"
    else:
        count = len(fleet.clusters)
        counts = severity_counts(cluster.severity for cluster in fleet.clusters)
        line = f"{count} cluster{'s' if count != 1 else ''}: {counts}"
    if fleet.left_out:
        line += f"; not looked at, their engine is on another host: {harmless(', '.join(fleet.left_out))}"
    return line
