"""`pgwrap list` as it is typed: filters, forms, and what becomes of a cluster that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.cli_desk import FAILS, INFO, Desk, Ran

FULL = "20261123-083046F"
DIFFERENTIAL = "20261123-083046F_20261124-083046D"


@pytest.fixture
def two(desk: Desk) -> Desk:
    """An engine with a full backup and a differential one on it."""
    (full,) = INFO["backup"]  # type: ignore[misc]
    differential = full | {
        "label": DIFFERENTIAL,
        "type": "diff",
        "prior": FULL,
        "reference": [FULL],
        "timestamp": {"start": 1795509046, "stop": 1795509054},
        "archive": {"start": "000000010000000000000009", "stop": "000000010000000000000009"},
    }
    desk.good_engine((INFO | {"backup": [full, differential]},))
    return desk


def ids(ran: Ran) -> list[str]:
    """The bare ids."""
    return ran.stdout.split()


def result(ran: Ran) -> Any:
    """The answer's result."""
    return ran.json()["result"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), [DIFFERENTIAL, FULL]),
        (("--type", "full"), [FULL]),
        (("--type", "diff"), [DIFFERENTIAL]),
        (("--type", "full,differential"), [DIFFERENTIAL, FULL]),
        (("-t", "full", "-t", "incremental"), [FULL]),
        (("--state", "failed"), []),
        (("--state", "done, failed"), [DIFFERENTIAL, FULL]),
        (("--repository", "local"), [DIFFERENTIAL, FULL]),
        (("--older-than", "36500d"), []),
        (("--newer-than", "100w"), [DIFFERENTIAL, FULL]),
        (("--held",), []),
        (("--restorable",), [FULL]),
        (("--not-restorable",), [DIFFERENTIAL]),
        (("--not-restorable", "--type", "full"), []),
        (("orders", "--ids"), [DIFFERENTIAL, FULL]),
    ],
)
def test_filters_can_be_combined(two: Desk, arguments: tuple[str, ...], expected: list[str]) -> None:
    """Bare ids, newest first; an empty answer is an answer. (The differential's WAL is not in the archive.)"""
    ran = two.run("list", "--ids", *arguments)
    assert (0, expected, "") == (ran.exit_code, ids(ran), ran.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--type", "fulll"), "--type: there is no 'fulll'"),
        (("--state", "done,gone"), "--state: there is no 'gone'"),
        (("--repository", "offsite"), "no repository of these clusters is called 'offsite'"),
        (("--repository", ""), "--repository: a value is empty"),
        (("--older-than", "7"), "--older-than: '7' is not a duration"),
        (("--newer-than", "1m"), "--newer-than: 'm' could be minutes or months"),
        (("--ids", "-o", "json"), "--ids is a form of its own"),
        (("nosuch",), "no cluster is called 'nosuch'"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error_with_a_hint(two: Desk, arguments: tuple[str, ...], words: str) -> None:
    """Exit 2, nothing listed: a script must never take a misspelt filter for none."""
    ran = two.run("list", *arguments)
    assert 2 == ran.exit_code
    assert words in ran.said
    assert "hint" in ran.said


def test_the_table_has_both_with_a_summary(two: Desk) -> None:
    """And fits the terminal."""
    ran = two.run("list", COLUMNS="100")
    assert 0 == ran.exit_code
    assert "2 backups of 1 cluster" == ran.stdout.splitlines()[-1]
    assert "needs 20261123-083046F; remarks cannot be restored" in ran.stdout
    assert [] == [line for line in ran.stdout.splitlines() if len(line) > 100]


def test_json_carries_what_the_status_says(two: Desk) -> None:
    """The very same fields and values, and two more."""
    listed = result(two.run("list", "-o", "json"))["backups"]
    status = result(two.run("status", "--no-commits", "-o", "json"))["clusters"][0]["backups"]
    ours = [{key: value for key, value in one.items() if key not in ("cluster", "age_seconds")} for one in listed]
    assert status[::-1] == ours
    assert {"orders"} == {one["cluster"] for one in listed}
    assert all(one["age_seconds"] is not None for one in listed)


def test_a_cluster_that_cannot_be_read_is_no_empty_list(desk: Desk) -> None:
    """Said on standard error however quiet, an error in JSON, exit 1."""
    desk.engine(FAILS)
    for arguments in (("--ids",), ("-o", "csv"), (), ("--quiet",)):
        ran = desk.run("list", *arguments)
        assert 1 == ran.exit_code
        assert ran.stderr.startswith("orders: ")
        assert "something broke" in ran.stderr
    assert "0 backups of 0 clusters; could not be read: orders" == desk.run("list").stdout.strip()
    ran = desk.run("list", "-o", "json")
    answer: Any = ran.json()
    assert (1, "partial", ["orders"]) == (
        ran.exit_code,
        answer["outcome"],
        sorted({error["cluster"] for error in answer["errors"]}),
    )
    (cluster,) = answer["result"]["clusters"]
    assert (False, None) == (cluster["read"], cluster["backups"])


def test_an_empty_list_says_so_and_is_well(desk: Desk) -> None:
    """A stanza without a backup was read."""
    desk.good_engine((INFO | {"backup": [], "status": {"code": 2, "message": "no valid backups"}},))
    ran = desk.run("list")
    assert (0, "0 backups of 1 cluster", "") == (ran.exit_code, ran.stdout.strip(), ran.stderr)


def test_what_cannot_be_decided_is_counted(desk: Desk) -> None:
    """A backup of which nobody knows whether it can be restored is neither; one line says how many there are."""
    desk.good_engine()
    (desk.path / "listing.json").write_text("nonsense")
    ran = desk.run("list", "--ids", "--not-restorable")
    assert (1, "") == (ran.exit_code, ran.stdout)
    assert "left out, as it is not known whether they are wanted: 1" in ran.stderr


def test_local_leaves_other_hosts_out_and_says_so(desk: Desk) -> None:
    """They are not asked."""
    text = desk.spec.read_text().replace("engines: {pgbackrest: {", "engines: {pgbackrest: {host: backup1, ")
    desk.spec.write_text(text)
    ran = desk.run("list", "--local")
    assert (0, "orders: left out, its engine runs on another host\n") == (ran.exit_code, ran.stderr)
    assert "not looked at, their engine is on another host: orders" in ran.stdout


def test_write_puts_the_answer_in_a_file(two: Desk, tmp_path: Path) -> None:
    """And prints nothing."""
    ran = two.run("list", "--ids", "--write", str(tmp_path / "ids"))
    assert (0, "") == (ran.exit_code, ran.stdout)
    assert f"{DIFFERENTIAL}\n{FULL}\n" == (tmp_path / "ids").read_text()


def test_nothing_is_asked_that_status_would_not_ask(two: Desk) -> None:
    """The engine's command lines are a part of those of `pgwrap status`, and none fetches WAL."""
    log = two.path / "asked"
    script = (two.path / "pgbackrest").read_text().replace("#!/bin/sh\n", "")
    two.engine(f'echo "$*" >> {log}\n{script}')
    asked = {}
    for command in ("list", "status"):
        log.write_text("")
        two.run(command)
        asked[command] = set(log.read_text().splitlines())
    assert asked["list"] <= asked["status"]
    assert [] == [line for line in asked["list"] if "archive-get" in line]
