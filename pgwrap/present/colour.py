"""Severity words in colour. Whether a terminal is there to show it is the cli's to know."""

from __future__ import annotations

from pgwrap.domain.facts import Severity

_CODES = {Severity.OK: "32", Severity.WARNING: "33", Severity.UNKNOWN: "35", Severity.CRITICAL: "1;31"}


def severity_word(severity: Severity, *, colour: bool) -> str:
    """The severity as a word, coloured when `colour` is set."""
    return f"\x1b[{_CODES[severity]}m{severity}\x1b[0m" if colour else str(severity)
