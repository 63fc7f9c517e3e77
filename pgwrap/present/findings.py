"""Findings as lines for a terminal with what to type next. It drops none but notes, and those only when told."""

from __future__ import annotations

from collections.abc import Iterable

from pgwrap.domain.facts import ClusterStatus, Finding, Severity
from pgwrap.present.colour import severity_word
from pgwrap.present.harmless import harmless
from pgwrap.text.columns import wrap

_WORD = 8
_INDENT = " " * (2 + _WORD + 1)


def shown_findings(cluster: ClusterStatus, *, notes: bool) -> tuple[Finding, ...]:
    """The cluster's findings, worst first; those of severity ok are notes."""
    found = [finding for finding in cluster.findings if notes or finding.severity is not Severity.OK]
    return tuple(sorted(found, key=lambda finding: -finding.severity.rank))


def finding_lines(findings: Iterable[Finding], width: int, *, colour: bool) -> tuple[str, ...]:
    """Each finding as severity, code and sentence, its hint beneath, in `width` columns."""
    lines: list[str] = []
    for finding in findings:
        word = severity_word(finding.severity, colour=colour) + " " * (_WORD - len(finding.severity))
        lines += wrap(f"{finding.code}: {harmless(sentence(finding))}", width, first=f"  {word} ", rest=_INDENT)
        if finding.hint:
            lines += wrap(harmless(finding.hint), width, first=f"{_INDENT}→ ", rest=f"{_INDENT}  ")
    return tuple(lines)


def sentence(finding: Finding) -> str:
    """The finding's message with the repository and backup it is about, where the message does not name them."""
    about = [
        f"{noun} {name}"
        for noun, name in (("repository", finding.repository), ("backup", finding.backup))
        if name and name not in finding.message
    ]
    return f"{finding.message} ({', '.join(about)})" if about else finding.message
