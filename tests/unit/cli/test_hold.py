"""`pgwrap hold` and `release` as they are typed: Barman's keep, and what pgBackRest has instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.cli_desk import CLUSTER, Desk

ID = "20261101T100000"
BARMAN = """\
said='{{"billing": {{"keep_status": {{"description": "Keep", "message": "%s"}}}}}}'
case "$*" in
    "-c "*" diagnose") cat {directory}/diagnosis.json ;;
    "-c "*" -f json list-backups all") cat {directory}/list.json ;;
    "-c "*" -f json keep --status billing {id}") printf "$said" "$(cat {directory}/held)" ;;
    "-c "*" -f json keep --target "*" billing {id}")
        [ -e {directory}/deaf ] || printf %s "$7" > {directory}/held
        echo '{{}}' ;;
    "-c "*" -f json keep --release billing {id}")
        printf nokeep > {directory}/held
        echo '{{}}' ;;
    *) echo "ERROR: this stand-in was never asked: $*" >&2; exit 2 ;;
esac
"""
BACKUP = {
    "begin_time": "2026-11-01 10:00:00+00:00", "begin_wal": "000000010000000000000003", "begin_xlog": "0/3000028",
    "end_time": "2026-11-01 10:01:00+00:00", "end_wal": "000000010000000000000003", "end_xlog": "0/3000100",
    "size": 40000000, "status": "DONE", "systemid": "7", "timeline": 1, "version": 150018,
}  # fmt: skip


@pytest.fixture
def billing(desk: Desk) -> Desk:
    """A Barman with one backup that keeps in mind what it was told."""
    place = desk.path
    diagnosis: Any = {
        "global": {"config": {"barman_home": str(place)}, "system_info": {"barman_ver": "3.4.0"}},
        "servers": {
            "billing": {
                "config": {"active": True, "retention_policy": "redundancy 2 b", "wals_directory": f"{place}/wals"},
                "backups": {ID: BACKUP},
                "status": {},
            }
        },
    }
    (place / "diagnosis.json").write_text(json.dumps(diagnosis))
    line = {"backup_id": ID, "status": "DONE", "retention_status": "-"}
    (place / "list.json").write_text(json.dumps({"billing": [line]}))
    (place / "held").write_text("nokeep")
    program = place / "barman"
    program.write_text(f"#!/bin/sh\n{BARMAN.format(directory=place, id=ID)}")
    program.chmod(0o755)
    desk.spec.write_text(
        f"version: 1\nstate: {place}/state\n"
        f"engines: {{barman: {{command: {program}, config: {place}/barman.conf, run_as: {_me()}}}}}\n"
        "clusters:\n  billing: {engine: barman, postgres: {host: db2}, retention: {full: 2}}\n"
    )
    return desk


def _me() -> str:
    return Path("~").expanduser().owner()


def test_hold_prints_the_id_and_says_what_holds(billing: Desk) -> None:
    """The id on standard output; what it was and is, and what REDUNDANCY makes of it, on standard error."""
    ran = billing.run("hold", "billing", "latest")
    assert (0, f"{ID}\n") == (ran.exit_code, ran.stdout)
    first, note = ran.stderr.splitlines()[-2:]
    assert f"billing {ID}: held (full); it was not held before" == first
    assert note.startswith("note: a held backup takes up a slot of REDUNDANCY 2")
    assert "full" == (billing.path / "held").read_text()


def test_holding_again_is_well_and_said(billing: Desk) -> None:
    """Exit 0."""
    billing.run("hold", "billing", ID)
    ran = billing.run("hold", "billing", ID)
    assert (0, f"{ID}\n") == (ran.exit_code, ran.stdout)
    assert f"billing {ID}: already held (full); nothing to do" == ran.stderr.splitlines()[-1]


def test_release_lets_it_go_and_again_is_well(billing: Desk) -> None:
    """Both exit 0."""
    billing.run("hold", "billing", "oldest", "--target", "standalone")
    ran = billing.run("release", "billing", ID)
    assert (0, "nokeep") == (ran.exit_code, (billing.path / "held").read_text())
    assert f"billing {ID}: not held; it was held (standalone) before" in ran.stderr
    again = billing.run("release", "billing", ID)
    assert (0, True) == (again.exit_code, "already not held; nothing to do" in again.stderr)


def test_dry_run_prints_the_command_that_does_the_same(billing: Desk) -> None:
    """Run as it stands, it holds."""
    ran = billing.run("hold", "billing", "latest", "--target", "standalone", "--dry-run")
    command = ran.stdout.strip()
    assert (0, "nokeep") == (ran.exit_code, (billing.path / "held").read_text())
    assert command.endswith(f"barman.conf -f json keep --target standalone billing {ID}")
    assert "nothing was changed, this was a dry run" in ran.stderr


def test_json_is_an_envelope(billing: Desk) -> None:
    """`pgwrap/hold/1` for both commands."""
    answer: Any = billing.run("hold", "billing", ID, "-o", "json").json()
    result = answer["result"]
    assert ("pgwrap/hold/1", "success", []) == (answer["schema"], answer["outcome"], answer["errors"])
    assert (ID, "full", False, "full", True) == tuple(
        result[key] for key in ("id", "asked", "before", "held", "changed")
    )
    released: Any = billing.run("release", "billing", ID, "-o", "json").json()
    assert ("pgwrap/hold/1", False, "full") == (
        released["schema"],
        released["result"]["held"],
        released["result"]["before"],
    )


def test_an_unknown_backup_is_a_usage_error(billing: Desk) -> None:
    """With those that look like it; in JSON too."""
    ran = billing.run("hold", "billing", "20261101T10000")
    assert (2, "") == (ran.exit_code, ran.stdout)
    assert f"did you mean {ID}?" in ran.stderr
    answer: Any = billing.run("hold", "billing", "20261101T10000", "-o", "json").json()
    assert ("pgwrap/hold/1", "error", "usage") == (answer["schema"], answer["outcome"], answer["errors"][0]["code"])


def test_an_engine_that_only_says_it_did_is_found_out(billing: Desk) -> None:
    """Exit 5: nothing holds the backup."""
    (billing.path / "deaf").touch()
    ran = billing.run("hold", "billing", ID)
    assert (5, "") == (ran.exit_code, ran.stdout)
    assert f"barman reported no error, yet {ID} is not held" in ran.stderr


@pytest.mark.parametrize("command", ["hold", "release"])
def test_pgbackrest_holds_nothing_and_says_what_comes_nearest(desk: Desk, command: str) -> None:
    """Exit 4, whatever the backup and the engine's state."""
    desk.engine("exit 99\n")
    ran = desk.run(command, "orders", "latest")
    assert (4, "") == (ran.exit_code, ran.stdout)
    assert "pgBackRest cannot hold a backup" in ran.stderr
    for words in (
        "retention: {full: N}",
        "retention: none}}",
        "pgwrap backup orders --repository NAME",
        "expire-auto: n",
    ):
        assert words in ran.stderr


def test_the_words_that_the_refusal_names_are_words_of_the_spec(desk: Desk) -> None:
    """A spec with all of them validates without an error or a warning, and renders what is promised."""
    cluster = CLUSTER.format(name="orders", data=desk.path / "data").replace("[local]", "[local, years]")
    desk.write(f"{cluster}    options: {{pgbackrest: {{expire-auto: n}}}}\n")
    text = desk.spec.read_text().replace(
        "repositories: {local:",
        f"repositories: {{years: {{type: posix, path: {desk.path}/years, retention: none}}, local:",
    )
    desk.spec.write_text(text)
    ran = desk.run("validate", "--offline")
    assert (0, "") == (ran.exit_code, ran.stdout)
    rendered = desk.run("render", "--offline").stdout
    assert "repo2-retention-full=9999999" in rendered
    assert "expire-auto=n" in rendered
