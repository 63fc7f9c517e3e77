"""The terminal's answer fits its columns, puts the worst first and hides nothing that matters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pgwrap.domain.facts import FleetStatus, Severity
from pgwrap.present.presentation import Presentation
from pgwrap.present.table import status_table
from pgwrap.text.columns import columns

Golden = Callable[[str, str], None]
NOW = datetime(2026, 11, 22, 11, 13, 36, tzinfo=UTC)
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A whole fleet takes minutes to shrink."""


def test_overview(fleet: FleetStatus, presentation: Presentation, golden: Golden) -> None:
    """The whole overview of the example fleet."""
    golden("table.txt", status_table(fleet, presentation))


def test_detail(fleet: FleetStatus, presentation: Presentation, golden: Golden) -> None:
    """The example clusters at length."""
    golden("detail.txt", status_table(fleet, replace(presentation, detail=True)))


def test_narrow_terminal_drops_the_last_columns(fleet: FleetStatus, presentation: Presentation, golden: Golden) -> None:
    """At 60 columns severity, name and newest backup are still there."""
    golden("table_60.txt", status_table(fleet, replace(presentation, width=60)))


def test_the_worst_comes_first(fleet: FleetStatus, presentation: Presentation) -> None:
    """Critical, unknown, warning, ok."""
    lines = status_table(fleet, presentation).splitlines()[1:5]

    assert ["critical", "unknown", "warning", "ok"] == [line.split()[0] for line in lines]


def test_notes_are_for_those_who_ask(fleet: FleetStatus, presentation: Presentation) -> None:
    """A finding of severity ok is shown with verbose or detail."""
    told = [
        "drill-never" in status_table(fleet, how)
        for how in (presentation, replace(presentation, verbose=True), replace(presentation, detail=True))
    ]

    assert [False, True, True] == told


def test_no_clusters_are_said(presentation: Presentation) -> None:
    """An empty fleet is a line, not an empty screen."""
    assert status_table(FleetStatus(severity=Severity.OK, clusters=()), presentation) == "no clusters\n"


def test_colour_only_adds_codes(fleet: FleetStatus, presentation: Presentation) -> None:
    """With the colours taken out the text is the same."""
    coloured = status_table(fleet, replace(presentation, colour=True))

    assert "\x1b[1;31mcritical\x1b[0m" in coloured
    assert status_table(fleet, presentation) == re.sub(r"\x1b\[[0-9;]*m", "", coloured)


def test_without_colour_no_engine_reaches_the_terminal(fleet: FleetStatus, presentation: Presentation) -> None:
    """Escape sequences and text direction marks from outside are shown, not obeyed."""
    text = status_table(fleet, replace(presentation, detail=True))

    assert all(character == "\n" or character.isprintable() for character in text)


@pytest.mark.parametrize("detail", [False, True])
@settings(max_examples=40, phases=WITHOUT_SHRINKING, deadline=None)
@given(fleet=st.from_type(FleetStatus), width=st.integers(40, 140), verbose=st.booleans())
def test_no_line_is_wider_than_the_terminal(detail: bool, fleet: FleetStatus, width: int, verbose: bool) -> None:
    """Whatever the names and messages are, each line fits and is printable."""

    text = status_table(fleet, Presentation(now=NOW, width=width, verbose=verbose, detail=detail))

    assert max(columns(line) for line in text.splitlines()) <= width
    assert all(character == "\n" or character.isprintable() for character in text)
