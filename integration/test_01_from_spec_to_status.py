"""The main job on real engines: one spec, native files, backups, one status that can be trusted."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from integration.lab.answers import cluster, codes, differences, status, while_idle
from integration.lab.estate import BILLING, ORDERS, Estate

FORMATS = ("table", "wide", "json", "yaml", "csv", "markdown", "nagios", "prometheus")


def test_spec_is_valid(pair: Estate) -> None:
    """The spec of both engines has no error."""
    assert pair.pgwrap("validate").exit_code == 0


def test_rendering_again_changes_nothing(pair: Estate) -> None:
    """What is in place is what would be written: rendered text is byte-stable."""
    before = _files(pair.room.path / "etc")
    pair.render()
    after = {name: text for name, text in _files(pair.room.path / "etc").items() if not name.endswith(".old")}
    assert {name: text for name, text in before.items() if not name.endswith(".old")} == after


def test_pgbackrest_takes_the_rendered_file_without_a_warning(pair: Estate) -> None:
    """Every option that pgwrap rendered is known to the installed version."""
    ran = pair.pgbackrest.run("info", "--output=json")
    assert ran.stderr == ""
    assert ran.stdout.startswith("[")


def test_pgbackrest_check_passes(pair: Estate) -> None:
    """pgBackRest's own check finds its archiving in order."""
    assert pair.pgbackrest.run(f"--stanza={ORDERS}", "check", check=False).exit_code == 0


def test_barman_check_passes(pair: Estate) -> None:
    """Barman's own check finds nothing wrong with what pgwrap rendered."""
    answer = json.loads(pair.barman.run("-f", "json", "check", BILLING, check=False).stdout)
    assert [key for key, check in answer[BILLING].items() if check["status"] != "OK"] == []
    assert "_WARNING" not in answer


def test_both_clusters_are_ok(pair: Estate) -> None:
    """Fresh backups, complete WAL, settings in place: ok, exit 0."""
    answer = status(pair)
    told = {entry["name"]: (entry["severity"], codes(entry)) for entry in answer["result"]["clusters"]}
    assert told == {ORDERS: ("ok", set()), BILLING: ("ok", set())}
    assert answer["outcome"] == "success"
    assert pair.pgwrap("status").exit_code == 0


def test_status_names_the_backups_that_the_engines_have(pair: Estate) -> None:
    """Backup ids, types and states are the engines' own."""
    answer = status(pair)
    info = json.loads(pair.pgbackrest.run("info", "--output=json").stdout)
    labels = [backup["label"] for backup in info[0]["backup"]]
    assert [backup["id"] for backup in cluster(answer, ORDERS)["backups"]] == labels
    ids = {backup["id"] for backup in cluster(answer, BILLING)["backups"]}
    assert ids == set(pair.barman.backup_states(BILLING))
    for name in (ORDERS, BILLING):
        assert {backup["state"] for backup in cluster(answer, name)["backups"]} == {"done"}


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_recoverable_window_starts_at_the_oldest_backup(pair: Estate, name: str) -> None:
    """One interval per cluster, from its first backup's stop to a moment that a commit proves."""
    entry = cluster(status(pair), name)
    (interval,) = entry["recoverable"]
    assert interval["from"] == entry["backups"][0]["stopped_at"]
    assert datetime.fromisoformat(interval["to"]) >= datetime.fromisoformat(interval["from"])
    assert interval["to_proof"] == "commit"


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_postgres_tells_the_same_system_identifier(pair: Estate, name: str) -> None:
    """PostgreSQL's identity is that of the backups."""
    entry = cluster(status(pair), name)
    expected = pair.servers[name].sql("select system_identifier from pg_control_system()")
    assert entry["postgres"]["system_identifier"] == expected
    assert {backup["system_identifier"] for backup in entry["backups"]} <= {expected, None}


def test_status_obeys_its_own_schema(pair: Estate) -> None:
    """`pgwrap status -o json` validates against `pgwrap schema status`."""
    schema = json.loads(pair.pgwrap("schema", "status").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(status(pair))


def test_two_looks_differ_in_ages_alone(pair: Estate) -> None:
    """On an unchanged estate only `generated_at` and ages differ between two runs."""
    first, second = while_idle(pair, lambda: status(pair), lambda: status(pair))
    assert differences(first, second) == {}


def test_status_changes_nothing(pair: Estate) -> None:
    """Neither repository nor catalog nor WAL position changes when one looks."""
    before = _state(pair)
    status(pair)
    assert _state(pair) == before


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_both_clusters(pair: Estate, form: str) -> None:
    """Each format presents the same result, with exit 0."""
    ran = pair.pgwrap("status", "--output", form)
    assert [name for name in (ORDERS, BILLING) if name not in ran.stdout] == []


def test_table_fits_a_terminal(pair: Estate) -> None:
    """No line of the terminal's table is wider than 100 columns."""
    lines = pair.pgwrap("status", COLUMNS="100").stdout.splitlines()
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("kind", ["differential", "incremental"])
def test_pgbackrest_takes_every_type(pair: Estate, kind: str) -> None:
    """A backup on top of the full one is named, typed and depends on it."""
    label = pair.back_up(ORDERS, kind)
    (backup,) = (one for one in cluster(status(pair), ORDERS)["backups"] if one["id"] == label)
    assert backup["type"] == kind
    assert backup["needs"]


def test_barman_refuses_an_incremental_it_cannot_take(pair: Estate) -> None:
    """Without summarize_wal (or before Barman 3.11 or PostgreSQL 17) it is refused, not quietly made a full one."""
    before = set(pair.barman.backup_states(BILLING))
    ran = pair.pgwrap("backup", BILLING, "--type", "incremental", check=False)
    assert ran.exit_code in {4, 5}
    assert {key for key, state in pair.barman.backup_states(BILLING).items() if state != "FAILED"} == before


def _files(directory: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(directory.rglob("*")) if path.is_file()}


def _state(made: Estate) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Every file of repository and catalog with size and time, and where the servers write."""
    roots = (made.room.path / "pgbackrest", made.room.path / "barman")
    files = {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".") and "streaming" not in path.parts
    }
    return files, [server.sql("select pg_walfile_name(pg_current_wal_lsn())") for server in made.servers.values()]
