"""What verifying found: each backup's files, the WAL archive's, and whether each backup has its WAL. It reads no file.

Nothing is whole that was not examined: what could not be established is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from pgwrap.domain.facts import Backup, BackupType, EngineName, Observation
from pgwrap.domain.model import Cluster
from pgwrap.domain.wholeness import Assessment, assess_backups
from pgwrap.records import dataclass

Wholeness: TypeAlias = Literal["whole", "damaged", "unknown"]
Identity: TypeAlias = tuple[str | None, str]
"""A backup's repository and id."""

_RANKS: Final[Mapping[Wholeness, int]] = {"whole": 0, "unknown": 1, "damaged": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What an engine's own verification says of one backup, or of the repository's WAL (`backup` None)."""

    backup: str | None
    state: Wholeness
    checked: int | None = None
    """Files; None where the engine does not tell."""
    valid: int | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Everything that was examined in one repository, or in `error` why it was not."""

    repository: str | None
    reports: tuple[Examined, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRepository:
    """The WAL of one repository, and what is wrong with the repository itself."""

    repository: str | None
    state: Wholeness | None
    """null: the engine examines backups alone, and reads no WAL."""
    wal_checked: int | None
    """Files whose content was read; null: none."""
    wal_valid: int | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBackup:
    """One backup: its own files, those of the backups it builds on, and the WAL that makes it consistent."""

    id: str
    repository: str | None
    type: BackupType
    state: Wholeness
    files_checked: int | None
    files_valid: int | None
    wal_complete: bool | None
    """Whether every WAL segment that it needs is in the archive, by name."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterVerification:
    """The verdict on one cluster's backups."""

    name: str
    engine: EngineName
    engine_name: str
    state: Wholeness
    repositories: tuple[VerifiedRepository, ...] = ()
    backups: tuple[VerifiedBackup, ...] = ()
    """Oldest first."""
    problems: tuple[str, ...] = ()
    """What kept all of it from being verified."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetVerification:
    """`result` of `pgwrap verify`."""

    state: Wholeness
    clusters: tuple[ClusterVerification, ...]


def worst_of(states: Iterable[Wholeness]) -> Wholeness:
    """Damage outranks what is not known, and that what is whole; nothing at all is unknown."""
    known = tuple(states)
    return max(known, key=lambda state: _RANKS[state]) if known else "unknown"


def verifiable(backup: Backup) -> bool:
    """Whether there is anything to verify: one that failed is no backup, and one that runs is none yet."""
    return backup.state in ("done", "waiting_for_wal")


def verified(
    cluster: Cluster, observation: Observation, wanted: tuple[Backup, ...], examinations: tuple[Examination, ...]
) -> ClusterVerification:
    """The verdict on `wanted`, from what the engine examined and what the catalog and the archive's names tell."""
    backups = _verified_backups(observation, examinations)
    chosen = tuple(backups[identity(backup)] for backup in wanted)
    repositories = tuple(_repository(examination) for examination in examinations)
    problems = () if wanted else ("there is no backup to verify",)
    return ClusterVerification(
        name=cluster.name,
        engine=observation.engine,
        engine_name=observation.engine_name,
        state=worst_of((*(one.state for one in chosen), *(one.state for one in repositories if one.state is not None))),
        repositories=repositories,
        backups=chosen,
        problems=problems,
        notes=tuple(
            f"{backup.id} was not verified: it is {backup.state.replace('_', ' ')}"
            for backup in observation.backups
            if not verifiable(backup)
        ),
    )


def identity(backup: Backup) -> Identity:
    """What tells a backup from all others of its cluster."""
    return backup.repository, backup.id


def _verified_backups(
    observation: Observation, examinations: tuple[Examination, ...]
) -> dict[Identity, VerifiedBackup]:
    reports = {
        (examination.repository, report.backup): report
        for examination in examinations
        for report in examination.reports
    }
    errors = {examination.repository: examination.error for examination in examinations}
    found: dict[Identity, VerifiedBackup] = {}
    for backup, assessment in zip(observation.backups, assess_backups(observation), strict=True):
        report = reports.get((backup.repository, backup.id))
        alone = _by_itself(backup, report, errors.get(backup.repository), assessment)
        found[identity(backup)] = _with_needs(alone, backup, found)
    return found


def _by_itself(backup: Backup, report: Examined | None, error: str | None, assessment: Assessment) -> VerifiedBackup:
    """Without the backups that it builds on."""
    report = report or Examined(backup=backup.id, state="unknown", problems=(error or "the engine did not examine it",))
    states: list[Wholeness] = [report.state]
    problems = list(report.problems)
    if assessment.restorable is not True:
        states.append("unknown" if assessment.restorable is None else "damaged")
        problems.append(assessment.reason)
    if backup.page_errors is True:
        states.append("damaged")
        problems.append("pages were already damaged when it was taken")
    return VerifiedBackup(
        id=backup.id,
        repository=backup.repository,
        type=backup.type,
        state=worst_of(states),
        files_checked=report.checked,
        files_valid=report.valid,
        wal_complete=assessment.restorable if backup.state == "done" else None,
        problems=tuple(problems),
    )


def _with_needs(alone: VerifiedBackup, backup: Backup, found: Mapping[Identity, VerifiedBackup]) -> VerifiedBackup:
    """A backup is as whole as the least whole of those that a restore of it reads; the catalog lists those first."""
    needed = [other for id_ in backup.needs if (other := found.get((backup.repository, id_))) is not None]
    broken = [f"it builds on {other.id}, which is {other.state}" for other in needed if other.state != "whole"]
    state = worst_of((alone.state, *(other.state for other in needed)))
    return replace(alone, state=state, problems=(*alone.problems, *broken[:1]))


def _repository(examination: Examination) -> VerifiedRepository:
    """The WAL of the repository; an engine that reads none leaves it at the names."""
    reports = [report for report in examination.reports if report.backup is None]
    told = [report for report in reports if report.checked is not None]
    state: Wholeness | None = worst_of(one.state for one in reports) if reports else None
    return VerifiedRepository(
        repository=examination.repository,
        state="unknown" if examination.error else state,
        wal_checked=sum(report.checked or 0 for report in told) if told else None,
        wal_valid=sum(report.valid or 0 for report in told) if told else None,
        problems=(
            *((examination.error,) if examination.error else ()),
            *(problem for report in reports for problem in report.problems),
        ),
    )
