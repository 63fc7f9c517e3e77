"""Status as Prometheus metrics, in the text exposition format. Which metrics there are is not decided here.

Source: Prometheus' "Exposition formats" (text-based format, version 0.0.4).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.facts import FleetStatus
from pgwrap.present.harmless import visible
from pgwrap.present.metrics import FAMILIES, Family, Labels, Number
from pgwrap.present.presentation import Presentation
from pgwrap.present.summary import WORST_FIRST


def status_prometheus(fleet: FleetStatus, presentation: Presentation) -> str:
    """All metrics of all clusters, each family once with its HELP and TYPE."""
    lines = [*_fleet_lines(fleet, presentation.now)]
    for family in FAMILIES:
        samples = _samples(family, fleet, presentation.now)
        if samples:
            lines += _heading(family.name, family.help, family.kind)
            lines += [_line(family.name, labels, value) for labels, value in samples.items()]
    return "\n".join(lines) + "\n"


def _samples(family: Family, fleet: FleetStatus, now: datetime) -> dict[Labels, Number]:
    """What is known, by labels: the same labels twice would make Prometheus refuse the whole answer."""
    told: dict[Labels, Number] = {}
    for cluster in fleet.clusters:
        for labels, value in family.samples(cluster, now):
            if value is not None and math.isfinite(value):
                told.setdefault((("cluster", cluster.name), *labels), value)
    return told


def _fleet_lines(fleet: FleetStatus, now: datetime) -> Iterator[str]:
    yield from _heading("pgwrap_generated_timestamp_seconds", "When this was established.", "gauge")
    yield _line("pgwrap_generated_timestamp_seconds", (), now.timestamp())
    yield from _heading("pgwrap_clusters", "Clusters by severity.", "gauge")
    counts = Counter(cluster.severity for cluster in fleet.clusters)
    for severity in WORST_FIRST:
        yield _line("pgwrap_clusters", (("severity", severity.value),), counts[severity])


def _heading(name: str, text: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, value: Number) -> str:
    told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    """A label value: backslash, quote and line feed as the format escapes them, other control codes made visible."""
    clean = "\n".join(visible(line) for line in text.split("\n"))
    return clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: Number) -> str:
    return str(int(value)) if value == value // 1 else repr(float(value))
