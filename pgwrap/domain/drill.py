"""A restore drill as data: what was restored, how long each phase took, what each probe found. It restores nothing.

Fails closed: a probe that did not take place is `unknown`, and a drill is as good as the worst of its probes.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from pgwrap.domain.facts import BackupType, EngineName, Severity, worst
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.records import dataclass

PhaseName: TypeAlias = Literal["restore", "replay", "start", "probes"]


class Aim(StrEnum):
    """To which moment of a backup's window a drill recovers."""

    OLDEST = "oldest"
    """The first consistent moment: the end of the backup itself."""
    MIDDLE = "middle"
    """Halfway between the backup's end and the newest moment that can be restored."""
    NEWEST = "newest"
    """All the WAL that is archived."""
    RANDOM = "random"
    MOMENT = "moment"
    """One that was named."""


COVERED = (Aim.NEWEST, Aim.OLDEST, Aim.MIDDLE, Aim.RANDOM)
"""What `--coverage` goes through for each backup."""


class ProbeVerdict(StrEnum):
    """What a probe found."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It should have been measured, and was not."""
    ABSENT = "absent"
    """There is nothing to measure: no data checksums in this cluster, no canary ever written. Shown, never passed."""


class ProbeName(StrEnum):
    """What a drill looks at, in this order."""

    RESTORE = "restore"
    START = "consistent-start"
    AMCHECK = "amcheck"
    DUMP = "schema-dump"
    ASSERTION = "assertion"
    CANARY = "canary"
    CHECKSUMS = "data-checksums"
    RTO = "rto"
    RPO = "rpo"
    CLEANUP = "cleanup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing that was looked at."""

    name: ProbeName
    verdict: ProbeVerdict
    message: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """How long a part of the recovery took."""

    name: PhaseName
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Where replay ended; None where PostgreSQL's log does not say."""

    lsn: Lsn | None = None
    commit_at: datetime | None = None
    """Of the last transaction replayed."""
    timeline: Timeline | None = None
    """The one that the promoted copy opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill, as docs/howto/drill.md shows it; field names are the JSON contract's."""

    id: str
    cluster: str
    engine: EngineName
    engine_name: str
    engine_version: str | None = None
    severity: Severity
    message: str
    control: bool = False
    """Whether the copy was damaged on purpose, so that something had to fail."""
    started_at: datetime
    ended_at: datetime | None = None
    aim: Aim
    target: datetime | None = None
    """The moment recovered to; None: the backup's own end, or all the WAL there is."""
    reason: str = ""
    """Why this backup and this target."""
    backup: str | None = None
    backup_type: BackupType | None = None
    repository: str | None = None
    timeline: Timeline | None = None
    postgres_version: str | None = None
    cluster_bytes: int | None = None
    phases: tuple[Phase, ...] = ()
    rto_seconds: float | None = None
    """Restore, replay and start together; None when the copy never answered."""
    rpo_seconds: float | None = None
    """The age of the newest canary row in the copy when the drill began: at most so much would have been lost."""
    reached: Reached | None = None
    probes: tuple[Probe, ...] = ()
    notes: tuple[str, ...] = ()
    """What differs between the copy and the original, on purpose."""
    kept: str | None = None
    """Where the copy was left because that was asked for."""

    @property
    def passed(self) -> bool:
        """Whether it shows that the backup restores, be it later than promised."""
        return self.severity in (Severity.OK, Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillMemory:
    """What the journal knows of a cluster's drills."""

    newest: Drill | None = None
    passed_at: datetime | None = None
    """When the newest drill that passed began."""
    error: str | None = None
    """Why nothing is known, where that is not because there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillHistory:
    """`result` of `pgwrap drill report`: newest first."""

    drills: tuple[Drill, ...]


_SEVERITIES = {
    ProbeVerdict.PASSED: Severity.OK,
    ProbeVerdict.ABSENT: Severity.OK,
    ProbeVerdict.UNKNOWN: Severity.UNKNOWN,
    ProbeVerdict.FAILED: Severity.CRITICAL,
}


def severity_of(probes: tuple[Probe, ...]) -> Severity:
    """The worst of them; unknown when nothing at all was looked at. A missed rto alone is a warning, as in status."""
    return worst(tuple(_severity(probe) for probe in probes)) if probes else Severity.UNKNOWN


def _severity(probe: Probe) -> Severity:
    missed = probe.name is ProbeName.RTO and probe.verdict is ProbeVerdict.FAILED
    return Severity.WARNING if missed else _SEVERITIES[probe.verdict]


_DATA = frozenset({ProbeName.START, ProbeName.AMCHECK, ProbeName.DUMP, ProbeName.ASSERTION, ProbeName.CHECKSUMS})
"""The probes that must find a damaged copy."""


def control_severity(probes: tuple[Probe, ...]) -> Severity:
    """A drill of a copy damaged on purpose passes when, and only when, a probe of its data failed."""
    if any(probe.name in _DATA and probe.verdict is ProbeVerdict.FAILED for probe in probes):
        return Severity.OK
    return Severity.CRITICAL if any(probe.name is ProbeName.CHECKSUMS for probe in probes) else Severity.UNKNOWN


def control_message(probes: tuple[Probe, ...]) -> str:
    """Which probes found the damage."""
    found = ", ".join(
        dict.fromkeys(
            probe.name.value for probe in probes if probe.name in _DATA and probe.verdict is ProbeVerdict.FAILED
        )
    )
    return f"the damage was found by {found}" if found else "the damaged copy was not found out"


def summary(probes: tuple[Probe, ...]) -> str:
    """One sentence for a line of status: the first of the worst, and what was not measured."""
    for verdict in (ProbeVerdict.FAILED, ProbeVerdict.UNKNOWN):
        found = [probe for probe in probes if probe.verdict is verdict]
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            return f"{found[0].name}: {found[0].message}{more}"
    passed = sum(probe.verdict is ProbeVerdict.PASSED for probe in probes)
    absent = ", ".join(dict.fromkeys(probe.name.value for probe in probes if probe.verdict is ProbeVerdict.ABSENT))
    return f"{passed} probes passed" + (f"; nothing to measure: {absent}" if absent else "")
