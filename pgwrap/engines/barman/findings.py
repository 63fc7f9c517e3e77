"""Verdicts on what Barman says of one server's configuration and connection. Backups and WAL are judged elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pgwrap.domain.facts import Finding, FindingCode, Severity
from pgwrap.domain.model import Cluster
from pgwrap.engines.barman.catalog import Diagnosis, ServerReport
from pgwrap.engines.barman.policy import understood
from pgwrap.engines.port import EngineVersion

_NAMED: Final = re.compile(r"(?:server '([^']+)'|for server (\S+)$|in \[([^\]]+)\])")
_HARMLESS: Final = ("No backup strategy set for server", "The default backup strategy will change")
_CONTINUED: Final = ("Forcing ", "The default backup strategy will change")


def server_findings(cluster: Cluster, report: ServerReport, diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """What stands out in a server's report, before its backups and WAL are looked at."""
    return (
        *_activity(cluster, report),
        *_problems(report),
        *_connection(cluster, report),
        *_policy(report),
        *_model(cluster, report, diagnosis),
        *(_configuration(problem, Severity.WARNING) for problem in diagnosis.problems),
    )


def version_findings(text: str | None, oldest: EngineVersion, newest: EngineVersion) -> tuple[Finding, ...]:
    """A note for a version that pgwrap was not made with."""
    try:
        version = EngineVersion.parse(text or "")
    except ValueError:
        return ()
    if version > newest:
        message = f"Barman {version} is newer than {newest}, the newest pgwrap knows; its answers were understood"
        return (Finding(code=FindingCode.ENGINE_UNKNOWN_VERSION, severity=Severity.OK, message=message),)
    if version < oldest:
        message = f"Barman {version} is older than {oldest}, the oldest pgwrap is tested with"
        hint = "upgrade Barman"
        return (
            Finding(code=FindingCode.ENGINE_UNKNOWN_VERSION, severity=Severity.WARNING, message=message, hint=hint),
        )
    return ()


def override_findings(overrides: dict[str, tuple[str, ...]], server: str) -> tuple[Finding, ...]:
    """The options that `.barman.auto.conf` sets for this server or for all; it wins over every other file."""
    return tuple(
        Finding(
            code=FindingCode.CONFIG_DRIFT,
            severity=Severity.WARNING,
            message=f"Barman's own .barman.auto.conf overrides {', '.join(options)} in [{section}]",
            hint="put the values into the spec, then remove them from that file (barman config-update wrote them)",
        )
        for section, options in sorted(overrides.items())
        if section in (server, "barman") and options
    )


def warning_findings(warnings: Iterable[str], server: str) -> tuple[Finding, ...]:
    """Barman's complaints about the configuration, each given to the server it names, else to all."""
    findings = []
    subject: str | None = None
    for warning in warnings:
        subject = subject if warning.startswith(_CONTINUED) else _subject(warning)
        if subject in (None, "barman", server):
            findings.append(_configuration(warning, Severity.OK if warning.startswith(_HARMLESS) else Severity.WARNING))
    return tuple(findings)


def _subject(warning: str) -> str | None:
    match = _NAMED.search(warning)
    return None if match is None else next(group for group in match.groups() if group)


def _configuration(message: str, severity: Severity) -> Finding:
    return Finding(code=FindingCode.CONFIG_WARNING, severity=severity, message=f"Barman says: {message}")


def _activity(cluster: Cluster, report: ServerReport) -> Iterable[Finding]:
    if report.settings.active:
        return
    message = f"Barman's server {report.name} is inactive: no backups, no WAL, no retention"
    severity = Severity.WARNING if cluster.active else Severity.OK
    hint = "remove `active = false` from Barman's configuration, or say so in the spec" if cluster.active else ""
    yield Finding(code=FindingCode.CONFIG_WARNING, severity=severity, message=message, hint=hint)


def _problems(report: ServerReport) -> Iterable[Finding]:
    critical = report.settings.disabled and report.settings.active
    severity = Severity.CRITICAL if critical else Severity.WARNING
    for problem in report.problems:
        yield _configuration(problem, severity)
    if report.settings.disabled and not report.problems:
        yield _configuration(f"server {report.name} is disabled", severity)


def _connection(cluster: Cluster, report: ServerReport) -> Iterable[Finding]:
    if report.status.connection_error is not None and report.settings.active:
        yield Finding(
            code=FindingCode.POSTGRES_UNREACHABLE,
            severity=Severity.WARNING,
            message=f"Barman cannot connect to PostgreSQL: {report.status.connection_error}",
            hint=f"{cluster.engine.command} -c {cluster.engine.config} check {report.name}",
        )


def _policy(report: ServerReport) -> Iterable[Finding]:
    text = report.settings.retention_policy
    if text is not None and understood(text) is None:
        yield Finding(
            code=FindingCode.RETENTION_NOT_ENFORCED,
            severity=Severity.WARNING,
            message=f"Barman does not understand its retention_policy {text!r} and applies none",
            hint="write REDUNDANCY n or RECOVERY WINDOW OF n DAYS",
        )


def _model(cluster: Cluster, report: ServerReport, diagnosis: Diagnosis) -> Iterable[Finding]:
    active = report.active_model
    if active is None:
        return
    options = next((model.options for model in diagnosis.models if model.name == active), ())
    expected = active in {model.name for model in cluster.models}
    yield Finding(
        code=FindingCode.CONFIG_WARNING,
        severity=Severity.OK if expected else Severity.WARNING,
        message=f"the model {active} is active and overrides {', '.join(options) or 'nothing'}",
        hint="" if expected else f"barman config-switch {report.name} --reset returns to the plain configuration",
    )
