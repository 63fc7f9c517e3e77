"""`pgwrap list` in its forms: for a terminal, a program, a spreadsheet, a ticket. It leaves no backup out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Final, TypeAlias

from pgwrap.domain.amounts import NOT_KNOWN, duration, minute, size
from pgwrap.domain.facts import Finding, FindingCode, Severity
from pgwrap.domain.listing import FleetListing, ListedBackup, ListedCluster
from pgwrap.present.csv_format import cell
from pgwrap.present.detail import folded
from pgwrap.present.encode import Json
from pgwrap.present.envelope import ErrorEntry, envelope, leaves_pieces
from pgwrap.present.harmless import harmless, markdown
from pgwrap.present.json_format import json_text
from pgwrap.present.presentation import Presentation
from pgwrap.present.sections import Row, Section
from pgwrap.present.table import MINIMUM_WIDTH, SHORT_TYPES
from pgwrap.text.columns import wrap
from pgwrap.text.tables import table

LIST_SCHEMA = "pgwrap/list/1"
HEADERS = ("cluster", "backup", "type", "state", "finished (UTC)", "age", "stored", "repo", "needs", "remarks")
COLUMNS = (
    "cluster", "engine", "engine_name", "id", "type", "state", "started_at", "stopped_at", "age_seconds",
    "cluster_bytes", "stored_bytes", "repository", "needs", "held", "page_errors", "restorable", "error",
)  # fmt: skip
"""The header line of the CSV. New columns are added at the end."""

_INDENT = 2
"""The columns by which a section stands beneath its title; a list has none."""
_HIDES_BACKUPS = frozenset({FindingCode.REPOSITORY_ERROR, FindingCode.REPOSITORY_MISMATCH, FindingCode.STANZA_MISSING})
"""Unknown or critical, these say that a repository's backups, if it has any, are not in the list."""


def unlisted(listing: FleetListing) -> tuple[ErrorEntry, ...]:
    """An entry for each reason why backups may be missing, or something of them; none when the answer is whole."""
    return tuple(
        ErrorEntry(code=finding.code, message=finding.message, hint=finding.hint, cluster=cluster.name)
        for cluster in listing.clusters
        for finding in _reasons(cluster)
    )


def _reasons(cluster: ListedCluster) -> tuple[Finding, ...]:
    if cluster.read:
        return tuple(finding for finding in cluster.findings if leaves_pieces(finding) or _hides_backups(finding))
    told = tuple(finding for finding in cluster.findings if finding.severity is not Severity.OK)
    silent = Finding(
        code=FindingCode.ENGINE_FAILED,
        severity=Severity.UNKNOWN,
        message=f"{cluster.engine} told nothing of {cluster.engine_name}",
        hint=f"ask `pgwrap status {cluster.name}`",
    )
    return told or (silent,)


def _hides_backups(finding: Finding) -> bool:
    return finding.code in _HIDES_BACKUPS and finding.severity in (Severity.UNKNOWN, Severity.CRITICAL)


def list_data(listing: FleetListing, presentation: Presentation) -> Json:
    """The whole answer as data; the outcome is `partial` when some cluster could not be read whole."""
    errors = unlisted(listing)
    return envelope(LIST_SCHEMA, listing, errors, presentation.now, "partial" if errors else "success")


def list_json(listing: FleetListing, presentation: Presentation) -> str:
    """The whole answer as JSON text."""
    return json_text(list_data(listing, presentation))


def list_yaml(listing: FleetListing, presentation: Presentation) -> str:
    """The same keys and values as one YAML document."""
    from pgwrap.text.yaml_text import dump  # noqa: PLC0415 - PyYAML is only loaded for those who ask for YAML

    return dump(list_data(listing, presentation))


def list_csv(listing: FleetListing, _: Presentation) -> str:
    """A header line and a line per backup; what is not known is empty. Lines end in CR LF."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for backup in listing.backups:
        values = {name: getattr(backup, name) for name in COLUMNS} | {"needs": " ".join(backup.needs)}
        writer.writerow([cell(values[name]) for name in COLUMNS])
    return text.getvalue()


def list_ids(listing: FleetListing, _: Presentation) -> str:
    """A bare id on each line; nothing at all for no backups."""
    return "".join(f"{harmless(backup.id)}\n" for backup in listing.backups)


def list_table(listing: FleetListing, presentation: Presentation) -> str:
    """A line per backup, with what else there is to say beneath it where it does not fit; a summary at the end."""
    width = max(presentation.width, MINIMUM_WIDTH)
    blocks = []
    if listing.backups:
        section = Section(title="", headers=HEADERS, rows=_rows(listing, presentation))
        blocks.append("\n".join(line[_INDENT:] for line in folded(section, width + _INDENT).split("\n")))
    blocks.append("\n".join(wrap(summary(listing), width)))
    return "\n\n".join(blocks) + "\n"


def list_markdown(listing: FleetListing, presentation: Presentation) -> str:
    """A table of the backups in GitHub's Markdown, and the summary."""
    rows = [tuple(markdown(text) for text in row) for row in _rows(listing, presentation)]
    blocks = [table(rows, HEADERS, "markdown")] if rows else []
    return "\n\n".join([*blocks, f"{markdown(summary(listing))}."]) + "\n"


def summary(listing: FleetListing) -> str:
    """How many are shown of how many, and whose are missing because nobody could tell them."""
    found = sum(cluster.backups or 0 for cluster in listing.clusters)
    read = sum(cluster.read for cluster in listing.clusters)
    shown = len(listing.backups)
    count = str(shown) if shown == found else f"{shown} of {found}"
    told = [f"{count} backup{_s(found)} of {read} cluster{_s(read)}"]
    unread = [cluster.name for cluster in listing.clusters if not cluster.read]
    for words, names in (
        ("could not be read", unread),
        ("not looked at, their engine is on another host", listing.left_out),
    ):
        if names:
            told.append(f"{words}: {harmless(', '.join(names))}")
    return "; ".join(told)


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _rows(listing: FleetListing, presentation: Presentation) -> tuple[Row, ...]:
    return tuple(_row(backup, presentation) for backup in listing.backups)


def _row(backup: ListedBackup, presentation: Presentation) -> Row:
    ended = backup.stopped_at
    unended = "" if backup.state == "running" else NOT_KNOWN
    return (
        backup.cluster,
        backup.id,
        SHORT_TYPES.get(backup.type, backup.type),
        backup.state.replace("_", " "),
        unended if ended is None else minute(ended),
        duration(backup.age_seconds),
        size(backup.stored_bytes),
        backup.repository or NOT_KNOWN,
        ", ".join(backup.needs),
        "; ".join(_remarks(backup, presentation)),
    )


def _remarks(backup: ListedBackup, presentation: Presentation) -> list[str]:
    """What the other columns do not tell; that a backup can be restored goes without saying."""
    state_tells = backup.state in ("running", "waiting_for_wal", "failed", "invalid")
    remarks = {
        f"held ({backup.held})": bool(backup.held),
        "cannot be restored": backup.restorable is False and not state_tells,
        "not known whether it can be restored": backup.restorable is None and not state_tells,
        "page errors": backup.page_errors is True,
        f"called {backup.name}": bool(backup.name),
        f"error: {backup.error}": bool(backup.error),
        **{f"{key}: {value}": presentation.verbose for key, value in backup.annotations},
    }
    return [text for text, applies in remarks.items() if applies]


ListPresenter: TypeAlias = Callable[[FleetListing, Presentation], str]
FORMATS: Final[dict[str, ListPresenter]] = {
    "table": list_table,
    "json": list_json,
    "yaml": list_yaml,
    "csv": list_csv,
    "markdown": list_markdown,
}
"""Each form by the name that `-o` takes."""
