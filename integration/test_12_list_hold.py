"""`pgwrap list`, `hold` and `release` on real engines, as a user types them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from integration.conftest import MakeEstate
from integration.lab.answers import cluster, status, while_idle
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.process import Ran

PAIR = {ORDERS: "pgbackrest", BILLING: "barman"}


@pytest.fixture(scope="module")
def two(make_estate: MakeEstate) -> Estate:
    """pgBackRest with a full, a differential and an incremental backup, Barman with two full ones."""
    made = make_estate(PAIR)
    for kind in ("full", "differential", "incremental"):
        made.back_up(ORDERS, kind)
    for _ in range(2):
        made.back_up(BILLING)
    return made


@pytest.fixture
def held(two: Estate) -> Iterator[str]:
    """Barman's oldest backup, held through pgwrap; released afterwards."""
    identifier = two.pgwrap("hold", BILLING, "oldest").stdout.strip()
    yield identifier
    two.pgwrap("release", BILLING, identifier)


def ids(made: Estate, *arguments: str) -> list[str]:
    """The bare ids that a script would take."""
    return made.pgwrap("list", "--ids", *arguments).stdout.split()


def labels(made: Estate) -> list[str]:
    """What pgBackRest itself lists, newest first."""
    (stanza,) = json.loads(made.pgbackrest.run("info", "--output=json").stdout)
    return [backup["label"] for backup in reversed(stanza["backup"])]


def catalog(made: Estate) -> list[str]:
    """What Barman itself lists, newest first."""
    return sorted(made.barman.backup_states(BILLING), reverse=True)


def keeps(made: Estate, identifier: str) -> str:
    """What Barman itself says of a backup."""
    answer = json.loads(made.barman.run("-f", "json", "keep", "--status", BILLING, identifier).stdout)
    said: str = answer[BILLING]["keep_status"]["message"]
    return said


def answer(ran: Ran) -> Any:
    """The JSON that a command printed."""
    return json.loads(ran.stdout)


def test_the_list_is_what_the_engines_have(two: Estate) -> None:
    """Both in one list, cluster by cluster, newest first."""
    assert ids(two) == [*labels(two), *catalog(two)]
    assert ids(two, BILLING) == catalog(two)


@pytest.mark.parametrize("kind", ["full", "differential", "incremental"])
def test_each_type_is_found_by_its_name(two: Estate, kind: str) -> None:
    """pgBackRest's labels end in the type's letter."""
    expected = [label for label in labels(two) if label.endswith(kind[0].upper())]
    assert ids(two, "--type", kind) == [*expected, *(catalog(two) if kind == "full" else [])]


@pytest.mark.thorough
def test_all_that_was_taken_can_be_restored_and_is_young(two: Estate) -> None:
    """Filters on real facts, and combined."""
    everything = ids(two)
    assert ids(two, "--restorable", "--state", "done", "--newer-than", "1d") == everything
    assert ids(two, "--older-than", "1d") == ids(two, "--not-restorable") == ids(two, "--held") == []
    assert ids(two, "--repository", "local", "--type", "full") == [labels(two)[-1]]
    assert ids(two, "--repository", "repo1") == catalog(two)


def test_the_json_is_the_status_and_obeys_its_schema(two: Estate) -> None:
    """The same fields with the same values as `pgwrap status`, whose order is turned round."""
    listed, seen = while_idle(two, lambda: answer(two.pgwrap("list", "-o", "json")), lambda: status(two))
    schema = answer(two.pgwrap("schema", "list"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(listed)
    for name in PAIR:
        ours = [one for one in listed["result"]["backups"] if one["cluster"] == name]
        theirs = cluster(seen, name)["backups"][::-1]
        assert [one["id"] for one in ours] == [one["id"] for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert {key: one[key] for key in other} == other


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv", "markdown"])
def test_every_form_has_every_backup(two: Estate, form: str) -> None:
    """Nothing is cut, and the table fits a terminal."""
    text = two.pgwrap("list", "-o", form, COLUMNS="100").stdout.replace("\\", "")
    assert [identifier for identifier in ids(two) if identifier not in text] == []
    assert form != "table" or [line for line in text.splitlines() if len(line) > 100] == []


def test_a_hold_is_barmans_own(two: Estate, held: str) -> None:
    """Barman says the same, and the list and the status show it."""
    assert keeps(two, held) == "full"
    assert ids(two, "--held") == [held]
    assert f"{held}  full  done" in two.pgwrap("list", BILLING).stdout
    assert "held (full)" in two.pgwrap("list", BILLING).stdout
    shown = {backup["id"]: backup["held"] for backup in cluster(status(two, BILLING), BILLING)["backups"]}
    assert shown[held] == "full"


def test_a_held_backup_cannot_be_deleted(two: Estate, held: str) -> None:
    """Barman refuses, and it stays."""
    two.barman.run("delete", BILLING, held, check=False)
    assert held in catalog(two)


def test_holding_again_says_so_and_another_target_changes_it(two: Estate, held: str) -> None:
    """Exit 0 each time; what holds is asked of Barman."""
    again = two.pgwrap("hold", BILLING, held)
    assert (again.exit_code, again.stdout.strip()) == (0, held)
    assert "already held (full); nothing to do" in again.stderr
    other = two.pgwrap("hold", BILLING, held, "--target", "standalone")
    assert "held (standalone); it was held (full) before" in other.stderr
    assert keeps(two, held) == "standalone"


def test_release_is_barmans_own_and_again_is_well(two: Estate) -> None:
    """Back to retention."""
    identifier = two.pgwrap("hold", BILLING, "latest").stdout.strip()
    assert identifier == catalog(two)[0]
    released = answer(two.pgwrap("release", BILLING, "latest", "-o", "json"))
    assert (released["result"]["before"], released["result"]["held"]) == ("full", False)
    assert keeps(two, identifier) == "nokeep"
    again = two.pgwrap("release", BILLING, identifier)
    assert (again.exit_code, "already not held" in again.stderr) == (0, True)


def test_the_command_of_a_dry_run_does_what_it_says(two: Estate) -> None:
    """Printed, nothing changed; typed, it holds."""
    ran = two.pgwrap("hold", BILLING, "oldest", "--target", "standalone", "--dry-run")
    identifier = catalog(two)[-1]
    assert keeps(two, identifier) == "nokeep"
    argv = shlex.split(ran.stdout)
    assert argv[-5:] == ["keep", "--target", "standalone", BILLING, identifier]
    native = argv[argv.index("-c") + 2 :]
    two.barman.run(*native)
    assert keeps(two, identifier) == "standalone"
    two.pgwrap("release", BILLING, identifier)


def test_under_redundancy_a_note_tells_of_the_slot(two: Estate) -> None:
    """With the policy as Barman applies it."""
    before = two.spec.read_text()
    try:
        two.spec.write_text(before.replace("retention: {window: 7d}", "retention: {full: 3}"))
        two.render()
        ran = two.pgwrap("hold", BILLING, "latest")
        two.pgwrap("release", BILLING, "latest")
    finally:
        two.spec.write_text(before)
        two.render()
    assert "note: a held backup takes up a slot of REDUNDANCY 3" in ran.stderr


def test_without_a_policy_a_hold_is_not_denied(two: Estate) -> None:
    """Barman's lists then show no hold: `--held` says that it is not known, and `hold` asks and knows."""
    before = two.spec.read_text()
    try:
        two.spec.write_text(before.replace("retention: {window: 7d}", "retention: none"))
        two.render()
        two.pgwrap("hold", BILLING, "latest")
        listed = two.pgwrap("list", BILLING, "--held")
        again = two.pgwrap("hold", BILLING, "latest")
        two.pgwrap("release", BILLING, "latest")
    finally:
        two.spec.write_text(before)
        two.render()
    assert "it is not known whether they are wanted: 2" in listed.stderr
    assert "already held (full)" in again.stderr


def test_an_unknown_backup_is_a_usage_error(two: Estate) -> None:
    """With those that look like it."""
    newest = catalog(two)[0]
    ran = two.pgwrap("hold", BILLING, newest[:-1], check=False)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert newest in ran.stderr


@pytest.mark.parametrize("command", ["hold", "release"])
def test_pgbackrest_says_what_comes_nearest(two: Estate, command: str) -> None:
    """Exit 4, and its backups are as before."""
    before = labels(two)
    ran = two.pgwrap(command, ORDERS, "latest", check=False)
    assert (ran.exit_code, ran.stdout) == (4, "")
    assert "pgBackRest cannot hold a backup" in ran.stderr
    assert "retention: none" in ran.stderr
    assert labels(two) == before


def test_a_cluster_that_cannot_be_read_is_no_empty_list(two: Estate) -> None:
    """Last, for it breaks Barman's configuration: the other cluster is listed whole."""
    (two.room.path / "etc/barman.conf").unlink()
    ran = two.pgwrap("list", "-o", "json", check=False)
    told = answer(ran)
    assert (ran.exit_code, told["outcome"]) == (1, "partial")
    assert {error["cluster"] for error in told["errors"]} == {BILLING}
    assert [one["id"] for one in told["result"]["backups"]] == labels(two)
    assert f"{BILLING}: " in ran.stderr
    table = two.pgwrap("list", BILLING, check=False)
    assert (table.exit_code, table.stdout.strip()) == (1, f"0 backups of 0 clusters; could not be read: {BILLING}")
    refused = two.pgwrap("hold", BILLING, "latest", check=False)
    assert (refused.exit_code, refused.stdout) == (5, "")
