"""Status for tickets, wikis and runbooks, in GitHub's Markdown. Outside text is taken literally, never as markup."""

from __future__ import annotations

from pgwrap.domain.amounts import NOT_KNOWN, moment
from pgwrap.domain.facts import ClusterStatus, Finding, FleetStatus
from pgwrap.present.findings import sentence, shown_findings
from pgwrap.present.harmless import markdown
from pgwrap.present.presentation import Presentation
from pgwrap.present.sections import Section, facts_of, sections_of
from pgwrap.present.summary import severity_counts, worst_first
from pgwrap.present.table import newest_backup_cell, recoverable_cell, summary_line, wal_lag_cell
from pgwrap.text.tables import table

_HEADERS = ("severity", "cluster", "engine", "newest backup", "recoverable (UTC)", "WAL lag", "findings")


def status_markdown(fleet: FleetStatus, presentation: Presentation) -> str:
    """A table of the clusters, then their findings, or with `detail` each cluster at length."""
    clusters = worst_first(fleet)
    blocks = [f"## Backups at {moment(presentation.now)}", f"{markdown(summary_line(fleet))}."]
    if clusters:
        blocks.append(table([_row(cluster, presentation) for cluster in clusters], _HEADERS, "markdown"))
    for cluster in clusters:
        blocks += _about(cluster, presentation)
    return "\n\n".join(blocks) + "\n"


def _row(cluster: ClusterStatus, presentation: Presentation) -> tuple[str, ...]:
    cells = (
        cluster.severity.value,
        cluster.name,
        f"{cluster.engine} {cluster.engine_version or NOT_KNOWN}",
        newest_backup_cell(cluster, presentation),
        recoverable_cell(cluster),
        wal_lag_cell(cluster),
        severity_counts(finding.severity for finding in shown_findings(cluster, notes=False)) or "none",
    )
    return tuple(markdown(cell) for cell in cells)


def _about(cluster: ClusterStatus, presentation: Presentation) -> list[str]:
    findings = shown_findings(cluster, notes=presentation.verbose or presentation.detail)
    title = f"### {markdown(cluster.name)}"
    if not presentation.detail:
        return [title, _list(findings)] if findings else []
    facts = "\n".join(f"- {name}: {markdown(value)}" for name, value in facts_of(cluster, presentation.now))
    told = [_list(findings)] if findings else []
    return [title, facts, *told, *(_section(section) for section in sections_of(cluster, presentation.now))]


def _list(findings: tuple[Finding, ...]) -> str:
    return "\n".join(_item(finding) for finding in findings)


def _item(finding: Finding) -> str:
    item = f"- **{finding.severity}** `{finding.code}`: {markdown(sentence(finding))}"
    return f"{item}  \n  → {markdown(finding.hint)}" if finding.hint else item


def _section(section: Section) -> str:
    rows = [tuple(markdown(cell) for cell in row) for row in section.rows]
    return f"#### {section.title}\n\n{table(rows, section.headers, 'markdown')}"
