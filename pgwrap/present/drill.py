"""`pgwrap drill`, its report and `pgwrap canary` in their forms: text, JSON, JUnit, HTML. It judges nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.amounts import duration, moment, size
from pgwrap.domain.canary import Canary
from pgwrap.domain.drill import Aim, Drill, DrillHistory, Probe, ProbeVerdict
from pgwrap.domain.facts import Severity
from pgwrap.present.encode import Json, rfc3339
from pgwrap.present.envelope import envelope
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text
from pgwrap.text.templating import render

DRILL_SCHEMA = "pgwrap/drill/1"
REPORT_SCHEMA = "pgwrap/drill-report/1"
CANARY_SCHEMA = "pgwrap/canary/1"
_AIMS = {
    Aim.OLDEST: "the backup's own end",
    Aim.NEWEST: "the newest archived WAL",
    Aim.MIDDLE: "the middle of its window",
    Aim.RANDOM: "a moment by chance",
    Aim.MOMENT: "the moment that was named",
}


def drill_json(drill: Drill, now: datetime) -> str:
    """One drill as JSON text."""
    return json_text(envelope(DRILL_SCHEMA, drill, (), now, "success"))


def report_json(history: DrillHistory, now: datetime) -> str:
    """Kept drills as JSON text."""
    return json_text(envelope(REPORT_SCHEMA, history, (), now, "success"))


def canary_data(canary: Canary, now: datetime) -> Json:
    """A canary as data."""
    return envelope(CANARY_SCHEMA, canary, (), now, "success")


def canary_text(canary: Canary) -> str:
    """A canary in a line."""
    went = f", {canary.pruned} older rows removed" if canary.pruned else ""
    if canary.written_at is None:
        left = "no row is left" if canary.id is None else f"row {canary.id} is left"
        return f"{canary.cluster}: {left}{went}"
    return f"{canary.cluster}: row {canary.id} at {rfc3339(canary.written_at)}, WAL position {canary.lsn}{went}"


def report_text(history: DrillHistory) -> str:
    """A block for each drill."""
    return "\n".join(drill_text(drill) for drill in history.drills) or "no drill is kept\n"


def drill_text(drill: Drill) -> str:
    """What was restored, how long it took, and each probe's finding."""
    return "".join(f"{line}\n" for line in _lines(drill))


def _lines(drill: Drill) -> Iterator[str]:
    kind = "negative control" if drill.control else "restore drill"
    yield harmless(f"{drill.cluster}: {kind} of {moment(drill.started_at)}: {drill.severity.value}, {drill.message}")
    for name, text in facts_of(drill):
        yield f"  {name:<8}  {harmless(text)}"
    for probe in drill.probes:
        yield f"  {probe.verdict.value:<7}  {probe.name.value:<16}  {harmless(probe.message)}"
    yield from (f"  note: {harmless(note)}" for note in drill.notes)


def facts_of(drill: Drill) -> tuple[tuple[str, str], ...]:
    """What was restored and measured, name and text; what is not known is left out."""
    found = (
        ("backup", _backup(drill)),
        ("target", _target(drill)),
        ("reached", _reached(drill)),
        ("phases", ", ".join(f"{phase.name} {seconds(phase.seconds)}" for phase in drill.phases)),
        ("recovery", f"{seconds(drill.rto_seconds)} until it answered" if drill.rto_seconds is not None else ""),
        ("loss", f"at most {duration(drill.rpo_seconds)}, by the canary" if drill.rpo_seconds is not None else ""),
        ("kept in", drill.kept or ""),
    )
    return tuple((name, text) for name, text in found if text)


def _target(drill: Drill) -> str:
    to = moment(drill.target) if drill.target else _AIMS[drill.aim]
    return f"{to} ({drill.reason})" if drill.reason else to


def _backup(drill: Drill) -> str:
    if drill.backup is None:
        return ""
    where = f" in {drill.repository}" if drill.repository else ""
    version = f", PostgreSQL {drill.postgres_version}" if drill.postgres_version else ""
    data = f", {size(drill.cluster_bytes)}" if drill.cluster_bytes is not None else ""
    return f"{drill.backup} ({drill.backup_type or '?'}){where} by {drill.engine}{version}{data}"


def _reached(drill: Drill) -> str:
    if drill.reached is None or drill.reached.lsn is None:
        return ""
    commit = drill.reached.commit_at
    last = f", last commit {moment(commit)}" if commit else ""
    return f"WAL position {drill.reached.lsn} on timeline {drill.timeline}{last}"


def seconds(count: float | None) -> str:
    """Short times to a tenth."""
    return f"{count:.1f}s" if count is not None and count < 60 else duration(count)


def junit(history: DrillHistory) -> str:
    """A test suite for each drill and a case for each probe; one with nothing to measure is skipped."""
    root = ET.Element("testsuites", name="pgwrap drill")
    for drill in history.drills:
        _suite(root, drill)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, drill: Drill) -> None:
    probes = drill.probes
    suite = ET.SubElement(
        root,
        "testsuite",
        name=harmless(f"{drill.cluster} {drill.backup or 'no backup'}"),
        timestamp=rfc3339(drill.started_at),
        tests=str(len(probes)),
        failures=str(_count(probes, ProbeVerdict.FAILED)),
        errors=str(_count(probes, ProbeVerdict.UNKNOWN)),
        skipped=str(_count(probes, ProbeVerdict.ABSENT)),
        time=f"{(drill.ended_at - drill.started_at).total_seconds() if drill.ended_at else 0.0:.3f}",
    )
    for probe in probes:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=harmless(f"pgwrap.{drill.cluster}"),
            name=probe.name.value,
            time=f"{probe.seconds or 0.0:.3f}",
        )
        if probe.verdict in _ELEMENTS:
            ET.SubElement(case, _ELEMENTS[probe.verdict], message=harmless(probe.message))


_ELEMENTS = {ProbeVerdict.FAILED: "failure", ProbeVerdict.UNKNOWN: "error", ProbeVerdict.ABSENT: "skipped"}


def _count(probes: tuple[Probe, ...], verdict: ProbeVerdict) -> int:
    return sum(probe.verdict is verdict for probe in probes)


def html(history: DrillHistory, now: datetime) -> str:
    """A page that stands alone."""
    drills = [
        {
            "title": harmless(f"{drill.cluster}: {drill.message}"),
            "kind": "negative control" if drill.control else "restore drill",
            "severity": drill.severity.value,
            "started": moment(drill.started_at),
            "facts": [(name, harmless(text)) for name, text in facts_of(drill)],
            "probes": [
                {
                    "verdict": probe.verdict.value,
                    "name": probe.name.value,
                    "message": harmless(probe.message),
                    "time": seconds(probe.seconds) if probe.seconds is not None else "",
                }
                for probe in drill.probes
            ],
            "notes": [harmless(note) for note in drill.notes],
        }
        for drill in history.drills
    ]
    return render("drill-report.html.j2", {"drills": drills, "now": moment(now)})


def exit_code(drill: Drill) -> int:
    """0 when it passed, 1 when it did not or nobody knows."""
    return 0 if drill.severity is Severity.OK else 1
