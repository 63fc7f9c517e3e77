"""`pgwrap list` in every form, on the example fleet's backups."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime

import pytest
import yaml
from jsonschema import Draft202012Validator

from pgwrap.domain.facts import Backup, ClusterStatus, Finding, FindingCode, FleetStatus, Severity
from pgwrap.domain.listing import FleetListing, ListedBackup, ListedCluster
from pgwrap.present.encode import shown
from pgwrap.present.listing import COLUMNS, FORMATS, list_ids, list_table, unlisted
from pgwrap.present.presentation import Presentation
from pgwrap.present.schema import list_schema

Golden = Callable[[str, str], None]
EMPTY = FleetListing(clusters=(), backups=())


def one(cluster: str, backup: Backup, now: datetime) -> ListedBackup:
    """A backup of the status, in the list."""
    values = {member.name: getattr(backup, member.name) for member in fields(Backup)}
    since = backup.stopped_at or backup.started_at
    return ListedBackup(**values, cluster=cluster, age_seconds=None if since is None else (now - since).total_seconds())


def listed_cluster(cluster: ClusterStatus) -> ListedCluster:
    """A cluster of the status, in the list."""
    return ListedCluster(
        name=cluster.name,
        engine=cluster.engine,
        engine_version=cluster.engine_version,
        engine_name=cluster.engine_name,
        read=cluster.read,
        backups=len(cluster.backups) if cluster.read else None,
        tells_holds=True,
        findings=cluster.findings,
    )


@pytest.fixture
def listing(fleet: FleetStatus, now: datetime) -> FleetListing:
    """The example fleet's backups."""
    return FleetListing(
        clusters=tuple(listed_cluster(cluster) for cluster in fleet.clusters),
        backups=tuple(
            one(cluster.name, backup, now) for cluster in fleet.clusters for backup in reversed(cluster.backups)
        ),
        undecided=1,
        left_out=fleet.left_out,
    )


@pytest.mark.parametrize("name", FORMATS)
def test_format_of_the_example(name: str, listing: FleetListing, presentation: Presentation, golden: Golden) -> None:
    """The whole text of each form."""
    golden(f"list_{name}.txt", FORMATS[name](listing, presentation))


@pytest.mark.parametrize("name", FORMATS)
def test_every_form_takes_an_empty_list(name: str, presentation: Presentation) -> None:
    """No clusters are an answer, and it ends in a line break."""
    assert FORMATS[name](EMPTY, presentation).endswith("\n")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_the_table_keeps_to_its_width_and_cuts_no_id(
    width: int, listing: FleetListing, presentation: Presentation
) -> None:
    """An id is there to be copied: where the table is too narrow it stands beneath its row."""
    text = list_table(listing, replace(presentation, width=width))

    assert [] == [line for line in text.splitlines() if len(line) > width]
    assert [] == [backup.id for backup in listing.backups if backup.id not in text.replace("\n      ", "")]


def test_ids_are_bare(listing: FleetListing, presentation: Presentation) -> None:
    """One a line, and not even a line for none."""
    assert [backup.id for backup in listing.backups] == list_ids(listing, presentation).splitlines()
    assert "" == list_ids(EMPTY, presentation)


def test_json_obeys_its_schema(listing: FleetListing, presentation: Presentation) -> None:
    """`pgwrap schema list`; and every field that the status shows of backups is there."""
    answer = json.loads(FORMATS["json"](listing, presentation))
    Draft202012Validator(list_schema()).validate(answer)
    names = set(shown(Backup)) | {"cluster", "age_seconds"}
    assert ("pgwrap/list/1", "partial", names) == (
        answer["schema"],
        answer["outcome"],
        set(answer["result"]["backups"][0]),
    )
    assert answer == yaml.safe_load(FORMATS["yaml"](listing, presentation))


def test_internal_facts_are_not_shown(listing: FleetListing, presentation: Presentation) -> None:
    """Findings are the status's business."""
    answer = json.loads(FORMATS["json"](listing, presentation))
    assert [] == [one for one in answer["result"]["clusters"] if "findings" in one or "tells_holds" in one]


def test_csv_has_a_line_per_backup(listing: FleetListing, presentation: Presentation) -> None:
    """Under stable columns."""
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](listing, presentation))))
    assert [backup.id for backup in listing.backups] == [row["id"] for row in rows]
    assert list(COLUMNS) == list(rows[0])


def test_an_unread_cluster_is_named_in_table_and_errors(listing: FleetListing, presentation: Presentation) -> None:
    """Its absence among the rows must not look like an empty list."""
    assert "could not be read: ledger" in list_table(listing, presentation)
    assert "ledger" in {error.cluster for error in unlisted(listing)}


def test_an_unread_cluster_without_a_reason_still_is_an_error(listing: FleetListing) -> None:
    """Silence is told as such."""
    silent = replace(listing.clusters[0], read=False, backups=None, findings=())

    (error,) = unlisted(replace(listing, clusters=(silent,)))

    assert ("engine-failed", "pgbackrest told nothing of orders") == (error.code, error.message)


@pytest.mark.parametrize(
    ("code", "severity", "missing"),
    [
        (FindingCode.REPOSITORY_ERROR, Severity.CRITICAL, True),
        (FindingCode.STANZA_MISSING, Severity.CRITICAL, True),
        (FindingCode.REPOSITORY_MISMATCH, Severity.CRITICAL, True),
        (FindingCode.REPOSITORY_MISMATCH, Severity.WARNING, False),
        (FindingCode.WAL_UNKNOWN, Severity.UNKNOWN, True),
        (FindingCode.ENGINE_FAILED, Severity.WARNING, False),
        (FindingCode.WAL_GAP, Severity.CRITICAL, False),
    ],
)
def test_a_repository_that_hides_its_backups_is_an_error(
    listing: FleetListing, code: FindingCode, severity: Severity, missing: bool
) -> None:
    """One of two repositories that cannot be read leaves the list in pieces; a gap in the WAL does not."""
    finding = Finding(code=code, severity=severity, message="so it is")
    cluster = replace(listing.clusters[0], findings=(finding,))

    assert missing is bool(unlisted(replace(listing, clusters=(cluster,))))
