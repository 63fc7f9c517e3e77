"""One cluster at length for a terminal. What does not fit beside a row's first columns is said beneath the row."""

from __future__ import annotations

from collections.abc import Sequence

from pgwrap.domain.amounts import NOT_KNOWN
from pgwrap.domain.facts import ClusterStatus
from pgwrap.present.colour import severity_word
from pgwrap.present.findings import finding_lines, shown_findings
from pgwrap.present.harmless import harmless
from pgwrap.present.presentation import Presentation
from pgwrap.present.sections import Row, Section, facts_of, sections_of
from pgwrap.text.columns import columns, cut, wrap
from pgwrap.text.tables import table

_INDENT = "  "
_BENEATH = "      "
_GAP = 2
_ALWAYS_SHOWN = 5
"""The first columns of a section stay even when nothing is known: that nothing is known is told by them."""


def cluster_detail(cluster: ClusterStatus, presentation: Presentation, width: int) -> str:
    """The cluster's facts, findings (notes too) and tables, in `width` columns."""
    title = f"{severity_word(cluster.severity, colour=presentation.colour)} "
    blocks = [
        "\n".join((*wrap(harmless(cluster.name), width, first=title), *_fact_lines(cluster, presentation, width)))
    ]
    findings = shown_findings(cluster, notes=True)
    if findings:
        blocks.append("\n".join(("findings", *finding_lines(findings, width, colour=presentation.colour))))
    blocks += [f"{section.title}\n{folded(section, width)}" for section in sections_of(cluster, presentation.now)]
    return "\n\n".join(blocks)


def _fact_lines(cluster: ClusterStatus, presentation: Presentation, width: int) -> tuple[str, ...]:
    facts = facts_of(cluster, presentation.now)
    room = max(len(name) for name, _ in facts)
    rest = " " * (len(_INDENT) + room + _GAP)
    return tuple(
        line
        for name, value in facts
        for line in wrap(harmless(value), width, first=f"{_INDENT}{name:<{room + _GAP}}", rest=rest)
    )


def folded(section: Section, width: int) -> str:
    """The section's rows in `width` columns; what does not fit beside the first columns is said beneath its row."""
    room = width - len(_INDENT)
    headers, rows = _telling(section)
    kept = _columns_that_fit((headers, *rows), room)
    lines = table([(cut(row[0], room), *row[1:kept]) for row in rows], headers[:kept]).split("\n")
    told = [_INDENT + lines[0]]
    for line, row in zip(lines[1:], rows, strict=True):
        told.append(_INDENT + line)
        told += _beneath(headers[kept:], row[kept:], width)
    return "\n".join(told)


def _telling(section: Section) -> tuple[Row, tuple[Row, ...]]:
    """The section without those of its later columns that tell nothing in any row."""
    rows = [tuple(harmless(cell) for cell in row) for row in section.rows]
    places = [
        place
        for place in range(len(section.headers))
        if place < _ALWAYS_SHOWN or any(row[place] not in ("", NOT_KNOWN) for row in rows)
    ]
    return tuple(section.headers[place] for place in places), tuple(
        tuple(row[place] for place in places) for row in rows
    )


def _columns_that_fit(rows: Sequence[Row], room: int) -> int:
    taken = -_GAP
    for place, column in enumerate(zip(*rows, strict=True)):
        taken += _GAP + max(columns(cell) for cell in column)
        if taken > room:
            return max(place, 1)
    return len(rows[0])


def _beneath(headers: Row, cells: Row, width: int) -> tuple[str, ...]:
    told = "; ".join(f"{header} {cell}" for header, cell in zip(headers, cells, strict=True) if cell)
    return wrap(told, width, first=_BENEATH, rest=_BENEATH) if told else ()
