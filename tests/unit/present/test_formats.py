"""Every format of the status, on the example fleet and at the edges."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from pgwrap.domain.facts import FleetStatus, Severity
from pgwrap.errors import UsageError
from pgwrap.present.csv_format import COLUMNS, status_csv
from pgwrap.present.envelope import ErrorEntry
from pgwrap.present.formats import FORMATS
from pgwrap.present.json_format import status_data, status_json
from pgwrap.present.nagios import exit_status, nagios_failure, status_nagios
from pgwrap.present.presentation import Presentation
from pgwrap.present.prometheus import status_prometheus
from pgwrap.present.schema import status_schema

Golden = Callable[[str, str], None]
NOW = datetime(2026, 11, 22, 11, 13, 36, tzinfo=UTC)
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A whole fleet takes minutes to shrink."""
PERFORMANCE = re.compile(r"'(?:[^'=]|'')+'=(?:U|-?\d+[sB]?)(?:;-?\d*){0,4}")
EMPTY = FleetStatus(severity=Severity.OK, clusters=())


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "table"])
def test_format_of_the_example(name: str, fleet: FleetStatus, presentation: Presentation, golden: Golden) -> None:
    """The whole text of each format."""
    golden(f"{name}.txt", FORMATS[name]()(fleet, presentation))


def test_markdown_at_length(fleet: FleetStatus, presentation: Presentation, golden: Golden) -> None:
    """Markdown with every table of each cluster."""
    golden("markdown_detail.txt", FORMATS["markdown"]()(fleet, replace(presentation, detail=True)))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_an_empty_fleet(name: str, presentation: Presentation) -> None:
    """No clusters are an answer, and it ends in a line break."""
    assert FORMATS[name]()(EMPTY, presentation).endswith("\n")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_names_the_cluster_it_cannot_read(
    name: str, fleet: FleetStatus, presentation: Presentation
) -> None:
    """A cluster whose engine did not answer is there, and nothing about it looks well."""
    unread = FleetStatus(severity=Severity.UNKNOWN, clusters=(fleet.clusters[2],))
    text = FORMATS[name]()(unread, presentation)

    assert "ledger" in text
    assert "engine-timeout" in text


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=15, phases=WITHOUT_SHRINKING, deadline=None)
@given(fleet=st.from_type(FleetStatus), detail=st.booleans())
def test_no_control_character_passes(name: str, fleet: FleetStatus, detail: bool) -> None:
    """Whatever engines say, no format lets a control character through."""
    text = FORMATS[name]()(fleet, Presentation(now=NOW, detail=detail))

    text.encode()
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)


@settings(max_examples=15, phases=WITHOUT_SHRINKING, deadline=None)
@given(fleet=st.from_type(FleetStatus))
def test_json_text_is_the_data_and_a_backup_is_a_line(fleet: FleetStatus) -> None:
    """However it is broken into lines, a parser reads what was encoded; what a shell looks at line by line is whole."""
    data, text = status_data(fleet, Presentation(now=NOW)), status_json(fleet, Presentation(now=NOW))

    assert data == json.loads(text)
    assert text.isascii()
    lines = {line.strip().removesuffix(",") for line in text.splitlines()}
    backups = [backup for cluster in data["result"]["clusters"] for backup in cluster["backups"]]  # type: ignore[index,call-overload,union-attr]
    assert all(json.dumps(backup) in lines for backup in backups)


def test_schema_is_a_schema() -> None:
    """The generated document is valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(status_schema())


def test_schema_accepts_the_example(fleet: FleetStatus, presentation: Presentation) -> None:
    """What is printed is what the schema promises."""
    Draft202012Validator(status_schema()).validate(json.loads(status_json(fleet, presentation)))


@settings(max_examples=40, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.from_type(FleetStatus))
def test_schema_accepts_every_fleet(fleet: FleetStatus) -> None:
    """The schema has no opinion that the types don't have."""
    data = json.loads(status_json(fleet, Presentation(now=NOW)))

    assert [] == list(Draft202012Validator(status_schema()).iter_errors(data))


@pytest.mark.parametrize(
    ("keys", "value"),
    [(("severity",), "fine"), (("clusters", 0, "backups", 0, "stopped_at"), "yesterday"), (("clusters", 0), {})],
)
def test_schema_rejects_what_was_not_promised(
    keys: tuple[str | int, ...], value: object, fleet: FleetStatus, presentation: Presentation
) -> None:
    """An unknown severity, a time in words and an empty cluster are no status."""
    document = json.loads(status_json(fleet, presentation))
    place = document["result"]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value

    assert not Draft202012Validator(status_schema()).is_valid(document)


def test_outcome_is_partial_when_a_cluster_could_not_be_read(fleet: FleetStatus, presentation: Presentation) -> None:
    """The unread cluster is told among the errors too."""
    data = status_data(fleet, presentation)

    assert isinstance(data, dict)
    assert data["outcome"] == "partial"
    assert ["engine-timeout"] == [error["code"] for error in data["errors"]]  # type: ignore[index,union-attr,call-overload]


def test_an_error_told_by_the_command_is_not_repeated(fleet: FleetStatus, presentation: Presentation) -> None:
    """The command's own entry for a cluster stands for the finding of the same code."""
    entry = ErrorEntry(code="engine-timeout", message="no answer", cluster="ledger")
    data = status_data(fleet, replace(presentation, errors=(entry,)))

    assert isinstance(data, dict)
    assert ["no answer"] == [error["message"] for error in data["errors"]]  # type: ignore[index,union-attr,call-overload]


def test_outcome_is_success_when_all_were_read(fleet: FleetStatus, presentation: Presentation) -> None:
    """A critical cluster is read all the same."""
    data = status_data(replace(fleet, clusters=fleet.clusters[:2]), presentation)

    assert isinstance(data, dict)
    assert data["outcome"] == "success"


def test_yaml_holds_the_same_as_json(fleet: FleetStatus, presentation: Presentation) -> None:
    """One contract, two notations."""
    document = yaml.safe_load(FORMATS["yaml"]()(fleet, presentation))

    assert document == json.loads(status_json(fleet, presentation))


@settings(max_examples=40, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.from_type(FleetStatus))
def test_csv_has_a_line_per_cluster_and_no_formula(fleet: FleetStatus) -> None:
    """Each line has all columns, and no text cell begins as a formula does."""
    rows = list(csv.reader(io.StringIO(status_csv(fleet, Presentation(now=NOW)), newline="")))

    assert list(COLUMNS) == rows[0]
    assert [len(COLUMNS)] * (len(fleet.clusters) + 1) == [len(row) for row in rows]
    assert not [row[0] for row in rows if row[0][:1] in set("=+-@")]


@pytest.mark.parametrize(
    ("severity", "code"),
    [(Severity.OK, 0), (Severity.WARNING, 1), (Severity.CRITICAL, 2), (Severity.UNKNOWN, 3)],
)
def test_nagios_exit_status(severity: Severity, code: int, fleet: FleetStatus) -> None:
    """The plugin's four return codes."""
    assert code == exit_status(replace(fleet, severity=severity))


def test_nagios_without_clusters_is_unknown(presentation: Presentation) -> None:
    """Looking at nothing proves nothing."""
    assert (exit_status(EMPTY), status_nagios(EMPTY, presentation)) == (3, "PGWRAP UNKNOWN - no clusters\n")


def test_nagios_says_that_all_is_well(fleet: FleetStatus, presentation: Presentation) -> None:
    """The line that is seen on most days, with the objective as the threshold."""
    well = FleetStatus(severity=Severity.OK, clusters=fleet.clusters[:1])

    assert status_nagios(well, presentation).splitlines()[0] == (
        "PGWRAP OK - 1 cluster ok | 'orders severity'=0;0;2;0;3 'orders backup_age'=11520s;93600 "
        "'orders wal_lag'=180s;300 'orders wal_lag_bytes'=5242880B 'orders backups'=2;;;0"
    )


@settings(max_examples=40, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.from_type(FleetStatus))
def test_nagios_has_one_bar_and_sound_performance_data(fleet: FleetStatus) -> None:
    """Names and messages cannot begin performance data or break a label's quotes."""
    first, *rest = status_nagios(fleet, Presentation(now=NOW)).splitlines()

    assert "|" not in "".join(rest)
    assert first.count("|") == (1 if fleet.clusters else 0)
    assert PERFORMANCE.sub("", first.partition("|")[2]).strip() == ""


def test_nagios_tells_a_failure_of_its_own() -> None:
    """A plugin that could not work says so in its own words."""
    error = UsageError("no cluster is called 'x | y' in the spec", hint="known clusters: orders")

    assert nagios_failure(error) == (
        "PGWRAP UNKNOWN - no cluster is called 'x / y' in the spec (known clusters: orders)\n"
    )


def test_prometheus_labels_come_back_as_they_were(fleet: FleetStatus, presentation: Presentation) -> None:
    """Quotes, backslashes and line feeds survive the format."""
    families = text_string_to_metric_families(status_prometheus(fleet, presentation))
    names = [
        sample.labels["engine_name"]
        for family in families
        if family.name == "pgwrap_cluster_info"
        for sample in family.samples
    ]

    assert [cluster.engine_name for cluster in fleet.clusters] == names


def test_prometheus_leaves_out_what_is_not_known(fleet: FleetStatus, presentation: Presentation) -> None:
    """An unread cluster is down, and has no figure that could be taken for a fact."""
    text = status_prometheus(FleetStatus(severity=Severity.UNKNOWN, clusters=(fleet.clusters[2],)), presentation)

    assert 'pgwrap_up{cluster="ledger",engine="pgbackrest"} 0\n' in text
    assert "pgwrap_wal_gap_segments" not in text
    assert "pgwrap_last_backup" not in text


def test_prometheus_labels_do_not_churn(fleet: FleetStatus, presentation: Presentation) -> None:
    """No label holds a backup id or the name of a WAL segment."""
    assert not re.search(r"0000000\d|2026\d{4}", re.sub(r"\} \S+", "}", status_prometheus(fleet, presentation)))


@settings(max_examples=40, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.from_type(FleetStatus))
def test_prometheus_is_parsed_and_no_sample_repeats(fleet: FleetStatus) -> None:
    """The official parser reads all of it; each family comes once, each set of labels once."""
    text = status_prometheus(fleet, Presentation(now=NOW))
    families = list(text_string_to_metric_families(text))
    samples = [(sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples]
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]

    assert len(lines) == len(samples)
    assert len(set(samples)) == len(samples)
    assert len({family.name for family in families}) == len(families)
