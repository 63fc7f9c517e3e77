"""All that was heard about one server, put together as an Observation. It asks nothing."""

from __future__ import annotations

from dataclasses import replace

from pgwrap.domain.command import Outcome
from pgwrap.domain.facts import Finding, FindingCode, Observation, RepositoryState, Severity
from pgwrap.domain.model import Cluster
from pgwrap.domain.wal import Ancestry
from pgwrap.engines.barman.archive import (
    against_files,
    contents,
    listed_twice,
    newest_postgres,
    read_ancestry,
    read_wal,
    system_identifier,
)
from pgwrap.engines.barman.backups import Judging, facts_of, running_of
from pgwrap.engines.barman.catalog import (
    CatalogBackup,
    Diagnosis,
    ListedBackup,
    ServerReport,
    ServerSettings,
    ServerStatus,
    WalList,
)
from pgwrap.engines.barman.failures import read, reason
from pgwrap.engines.barman.findings import override_findings, server_findings, version_findings, warning_findings
from pgwrap.engines.barman.parse import parse_listing, parse_overrides, parse_wal_list
from pgwrap.engines.barman.policy import ENFORCED_BY, described, understood
from pgwrap.engines.barman.versions import NEWEST, OLDEST
from pgwrap.records import dataclass

REPOSITORY_KEY = 1
"""Barman has one repository; it is called repo1 where the spec gives it no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Everything heard about one cluster's server; an Outcome is None when the question was not asked."""

    cluster: Cluster
    diagnosis: Diagnosis | Finding
    report: ServerReport | None
    listing: tuple[ListedBackup, ...] | Finding | None
    warnings: tuple[str, ...]
    overrides: Outcome | None
    wal: Outcome | None
    """`sync-info`, asked where the index does not suffice."""
    index: Outcome | None
    files: Outcome | None
    first_index: Outcome | None
    """What the index said before, where it and the files were read twice."""
    history: Outcome | None
    own_listing: Outcome | None

    @property
    def repository(self) -> str:
        """What the spec calls the server's repository."""
        repositories = self.cluster.repositories
        return repositories[0].name if repositories else f"repo{REPOSITORY_KEY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """A server's report with what belongs to it, whichever way it was had."""

    version: str | None
    report: ServerReport
    listed: dict[str, ListedBackup] | None
    wal: WalList | None
    ancestries: tuple[Ancestry, ...] = ()
    findings: tuple[Finding, ...]


def assembled(heard: Heard) -> Observation:
    """The Observation of one cluster; `read` is False when nothing of the server could be established."""
    if isinstance(heard.diagnosis, Finding):
        return _without_diagnosis(heard, heard.diagnosis)
    version = version_findings(heard.diagnosis.version, OLDEST, NEWEST)
    if heard.report is None:
        missing = _missing(heard.cluster, tuple(server.name for server in heard.diagnosis.servers))
        return _unread(heard.cluster, (*version, missing), heard.diagnosis.version)
    listed, listing_findings = _listed(heard, heard.report)
    wal, wal_findings = read_wal(heard.wal, heard.index, heard.report, heard.cluster.postgres.wal_segment_size)
    if wal is not None and heard.first_index is not None:
        wal = listed_twice(heard.first_index, wal, heard.report, heard.cluster.postgres.wal_segment_size)
    wal, file_findings = against_files(wal, heard.files, heard.report, heard.cluster.postgres.wal_segment_size)
    ancestries, history_findings = read_ancestry(heard.history, heard.report)
    parts = _Parts(
        version=heard.diagnosis.version,
        report=heard.report,
        listed=listed,
        wal=wal,
        ancestries=ancestries,
        findings=(
            *version,
            *server_findings(heard.cluster, heard.report, heard.diagnosis),
            *warning_findings(heard.warnings, heard.report.name),
            *_overrides(heard),
            *listing_findings,
            *wal_findings,
            *file_findings,
            *history_findings,
        ),
    )
    return _observation(heard, parts)


def _without_diagnosis(heard: Heard, failed: Finding) -> Observation:
    """The server alone, when `diagnose`, which asks all at once, gave nothing."""
    if heard.wal is None:
        return _unread(heard.cluster, (failed,), None)
    answer = read(heard.wal, lambda text: parse_wal_list(text, heard.cluster.postgres.wal_segment_size))
    if isinstance(answer, Finding):
        finding = _missing(heard.cluster, ()) if "Unknown server" in reason(heard.wal) else answer
        return _unread(heard.cluster, (finding,) if finding.message == failed.message else (finding, failed), None)
    report = ServerReport(
        name=heard.cluster.engine_name, settings=answer.settings, status=ServerStatus(), backups=answer.backups
    )
    wal, wal_findings = read_wal(heard.wal, None, report, heard.cluster.postgres.wal_segment_size)
    listed, listing_findings = _listed(heard, report)
    report = replace(report, backups=report.backups + _only_listed(listed or {}, report.backups))
    doubt = replace(
        failed,
        severity=Severity.WARNING,
        message=f"barman diagnose failed for all servers, this one was read by itself: {failed.message}",
    )
    findings = (
        *version_findings(answer.version, OLDEST, NEWEST),
        doubt,
        *warning_findings(heard.warnings, report.name),
        *_overrides(heard),
        *listing_findings,
        *wal_findings,
    )
    return _observation(heard, _Parts(version=answer.version, report=report, listed=listed, wal=wal, findings=findings))


def _observation(heard: Heard, parts: _Parts) -> Observation:
    report, settings = parts.report, parts.report.settings
    policy = understood(settings.retention_policy)
    enforced = settings.active and not settings.disabled
    judging = Judging(policy=policy, enforced=enforced, listed=parts.listed)
    return Observation(
        engine="barman",
        engine_name=report.name,
        engine_version=parts.version,
        findings=parts.findings,
        repositories=(_repository(heard, settings),),
        backups=facts_of(report.backups, judging, engine_name=report.name, repository=heard.repository),
        archives=(
            contents(
                report,
                parts.wal,
                parts.ancestries,
                repository=heard.repository,
                segment_size=heard.cluster.postgres.wal_segment_size,
            ),
        ),
        running=running_of(report.backups),
        system_identifier=system_identifier(report),
        postgres_version=newest_postgres(report),
        wal_position=report.status.position,
        slots=() if report.status.slot is None else (report.status.slot,),
        policy=None if policy is None else described(policy, settings.minimum_redundancy),
        retention_options=(
            ("retention_policy", settings.retention_policy or ""),
            ("minimum_redundancy", str(settings.minimum_redundancy)),
        ),
        enforced_by=ENFORCED_BY if policy is not None and enforced else None,
    )


def _unread(cluster: Cluster, findings: tuple[Finding, ...], version: str | None) -> Observation:
    return Observation(
        engine="barman", engine_name=cluster.engine_name, engine_version=version, read=False, findings=findings
    )


def _missing(cluster: Cluster, known: tuple[str, ...]) -> Finding:
    servers = f"; it knows {', '.join(known)}" if known else ""
    return Finding(
        code=FindingCode.STANZA_MISSING,
        severity=Severity.CRITICAL,
        message=f"Barman has no server called {cluster.engine_name}{servers}",
        hint=f"write its configuration: pgwrap render {cluster.name}",
    )


def _repository(heard: Heard, settings: ServerSettings) -> RepositoryState:
    cloud = "://" in (settings.wals_directory or "")
    return RepositoryState(
        name=heard.repository,
        key=REPOSITORY_KEY,
        kind=(settings.wals_directory or "").split("://", maxsplit=1)[0] if cloud else "posix",
        encryption=settings.encryption,
        severity=Severity.OK,
    )


def _listed(heard: Heard, report: ServerReport) -> tuple[dict[str, ListedBackup] | None, tuple[Finding, ...]]:
    """The server's lines of `list-backups`: of all servers at once, else of its own."""
    answer = heard.listing
    if heard.own_listing is not None:
        own = read(heard.own_listing, parse_listing)
        answer = own if isinstance(own, Finding) else own.servers.get(report.name)
    if isinstance(answer, tuple) and (answer or not report.backups):
        return {line.id: line for line in answer}, ()
    if not report.backups or not report.settings.active or report.settings.disabled:
        return None, ()
    cause = answer.message if isinstance(answer, Finding) else "Barman lists none of them"
    message = f"what retention and keep mean for the backups is not known: {cause}"
    code = answer.code if isinstance(answer, Finding) else FindingCode.OUTPUT_NOT_UNDERSTOOD
    return None, (Finding(code=code, severity=Severity.UNKNOWN, message=message),)


def _only_listed(listed: dict[str, ListedBackup], known: tuple[CatalogBackup, ...]) -> tuple[CatalogBackup, ...]:
    """Backups that `sync-info` leaves out because they are not DONE."""
    ids = {backup.id for backup in known}
    return tuple(
        CatalogBackup(id=line.id, status=line.status, stopped_at=line.ended_at)
        for line in listed.values()
        if line.id not in ids
    )


def _overrides(heard: Heard) -> tuple[Finding, ...]:
    """A file that is not there is the ordinary case; `cat` then fails."""
    if heard.overrides is None or not heard.overrides.stdout.strip():
        return ()
    answer = read(heard.overrides, parse_overrides)
    return (answer,) if isinstance(answer, Finding) else override_findings(answer, heard.cluster.engine_name)
