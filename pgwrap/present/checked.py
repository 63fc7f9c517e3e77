"""`pgwrap check` in its forms. It checks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from pgwrap.domain.checking import Check, ClusterCheck, FleetCheck
from pgwrap.domain.facts import Severity
from pgwrap.present.colour import severity_word
from pgwrap.present.envelope import envelope
from pgwrap.present.harmless import harmless, nagios
from pgwrap.present.json_format import json_text
from pgwrap.present.presentation import Presentation
from pgwrap.present.summary import severity_counts
from pgwrap.text.columns import wrap

CHECK_SCHEMA: Final = "pgwrap/check/1"
_WORD = 8
_INDENT = " " * (2 + _WORD + 1)
_NAGIOS: Final = {Severity.OK: 0, Severity.WARNING: 1, Severity.CRITICAL: 2, Severity.UNKNOWN: 3}


def check_table(fleet: FleetCheck, presentation: Presentation) -> str:
    """A block for each cluster: what is wrong first, each with what to type; what is right after it."""
    return "\n\n".join("\n".join(_cluster(cluster, presentation)) for cluster in fleet.clusters) + "\n"


def check_json(fleet: FleetCheck, presentation: Presentation) -> str:
    """The whole answer as JSON text."""
    return json_text(envelope(CHECK_SCHEMA, fleet, (), _now(presentation), "success"))


def check_nagios(fleet: FleetCheck, presentation: Presentation) -> str:
    """The plugin's output: one line, then a line for each thing that is wrong."""
    del presentation
    wrong = [(cluster, check) for cluster in fleet.clusters for check in _worst_first(cluster) if _is_wrong(check)]
    number = sum(len(cluster.checks) for cluster in fleet.clusters)
    counts = severity_counts(check.severity for _, check in wrong) if wrong else f"{number} checks passed"
    names = ", ".join(f"{cluster.name} ({check.name})" for cluster, check in wrong)
    first = f"PGWRAP CHECK {_severity(fleet).upper()} - {counts}" + (f": {nagios(names)}" if names else "")
    lines = [
        nagios(f"{check.severity} {cluster.name} {check.name}: {check.message}")
        + (f" -> {nagios(check.hint)}" if check.hint else "")
        for cluster, check in wrong
    ]
    return "\n".join([first, *lines]) + "\n"


def nagios_exit(fleet: FleetCheck) -> int:
    """What the plugin returns."""
    return _NAGIOS[_severity(fleet)]


FORMATS: Mapping[str, Callable[[FleetCheck, Presentation], str]] = {
    "table": check_table,
    "json": check_json,
    "nagios": check_nagios,
}


def _severity(fleet: FleetCheck) -> Severity:
    return fleet.severity if fleet.clusters else Severity.UNKNOWN


def _now(presentation: Presentation) -> datetime:
    return presentation.now


def _is_wrong(check: Check) -> bool:
    return check.severity is not Severity.OK


def _worst_first(cluster: ClusterCheck) -> tuple[Check, ...]:
    return tuple(sorted(cluster.checks, key=lambda check: -check.severity.rank))


def _cluster(cluster: ClusterCheck, presentation: Presentation) -> Iterator[str]:
    yield harmless(f"{cluster.name} ({cluster.engine}): {cluster.severity}")
    for check in _worst_first(cluster):
        word = severity_word(check.severity, colour=presentation.colour) + " " * (_WORD - len(check.severity))
        text = f"{check.name}: {harmless(check.message)}"
        yield from wrap(text, presentation.width, first=f"  {word} ", rest=_INDENT)
        if check.hint:
            yield from wrap(harmless(check.hint), presentation.width, first=f"{_INDENT}→ ", rest=f"{_INDENT}  ")
