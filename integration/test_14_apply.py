"""From a spec to running engines by `pgwrap apply` alone; what is edited afterwards is seen, and not overwritten."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import PAIR, QUIET_RPO
from integration.lab.answers import cluster, codes, status
from integration.lab.estate import BILLING, ORDERS, Estate, estate
from integration.lab.machine import Machine
from integration.lab.native import wait_for_stream
from integration.lab.room import room


@pytest.fixture(scope="module")
def bare(machine: Machine) -> Iterator[Estate]:
    """Two running servers and a spec; no native file, no stanza, no slot, no setting."""
    for engine in PAIR.values():
        if getattr(machine, engine) is None:
            pytest.skip(f"{engine} is not installed")
    with room(machine, "apply") as place, estate(place, PAIR, rpo=QUIET_RPO) as made:
        yield made


def steps(answer: str) -> list[dict[str, Any]]:
    """The steps of `-o json`."""
    found: list[dict[str, Any]] = json.loads(answer)["result"]["steps"]
    return found


def files(made: Estate) -> dict[str, str]:
    """Every native file with its text."""
    found = (path for path in (made.room.path / "etc").rglob("*") if path.is_file())
    return {str(path): path.read_text() for path in found}


def test_01_a_dry_run_changes_nothing(bare: Estate) -> None:
    """The plan is shown, exit 1 says that there is one, and no file is there."""
    ran = bare.pgwrap("apply", "--dry-run", check=False)
    assert ran.exit_code == 1, ran.stderr
    assert "write " in ran.stdout
    assert "stanza-create" in ran.stdout
    assert files(bare) == {}


def test_02_without_anybody_to_ask_it_wants_yes(bare: Estate) -> None:
    """Exit 2, and nothing changed."""
    ran = bare.pgwrap("apply", check=False)
    assert ran.exit_code == 2
    assert "--yes" in ran.stderr
    assert files(bare) == {}


def test_03_it_does_the_plan_and_says_what_is_left(bare: Estate) -> None:
    """Files, stanza and settings; the restart and what Barman's role may not set are left to the operator."""
    ran = bare.pgwrap("apply", "--yes", "--output", "json", check=False)
    assert ran.exit_code == 1, ran.stderr + ran.stdout
    found = steps(ran.stdout)
    assert {step["state"] for step in found if step["kind"] in {"write-file", "check", "run"}} == {"done"}
    altered = {step["subject"]: step["state"] for step in found if step["kind"] == "alter-system"}
    assert altered[ORDERS] == "done"
    assert [step for step in found if step["subject"] == ORDERS and "restart" in step["what"]] != []


def test_04_after_the_restart_nothing_is_left(bare: Estate) -> None:
    """With the restart, and Barman's receiver running, apply and diff both find nothing."""
    server = bare.servers[ORDERS]
    server.restart()
    bare.barman.run("cron")
    wait_for_stream(bare.servers[BILLING])
    ran = bare.pgwrap("apply", "--yes", check=False)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert "nothing to do" in ran.stdout
    ran = bare.pgwrap("diff", check=False)
    assert ran.exit_code == 0, ran.stdout + ran.stderr


def test_05_both_engines_archive_and_back_up(bare: Estate) -> None:
    """What apply put in place works."""
    for name in PAIR:
        bare.commit_and_archive(name)
        bare.back_up(name)
    answer = status(bare)
    for name in PAIR:
        assert codes(cluster(answer, name)) == set()


def test_06_one_edited_line_is_named(bare: Estate) -> None:
    """Exit 1, the line and the option; status says so, too."""
    path = bare.room.path / "etc/barman.d/billing.conf"
    edit(path, "retention_policy", "retention_policy = REDUNDANCY 9")
    ran = bare.pgwrap("diff", check=False)
    assert ran.exit_code == 1
    assert "-retention_policy = REDUNDANCY 9" in ran.stdout
    assert f"billing: retention_policy: REDUNDANCY 9 → RECOVERY WINDOW OF 7 DAYS ({path}:" in ran.stdout
    answer = status(bare)
    assert "config-drift" in codes(cluster(answer, BILLING))
    assert "config-drift" not in codes(cluster(answer, ORDERS))


def test_07_an_edit_is_not_overwritten_without_force(bare: Estate) -> None:
    """Exit 8 and untouched; with --force the edit stays beside as .old."""
    path = bare.room.path / "etc/barman.d/billing.conf"
    edited = path.read_text()
    ran = bare.pgwrap("apply", "--yes", check=False)
    assert ran.exit_code == 8
    assert "edited by hand" in ran.stderr
    assert path.read_text() == edited
    ran = bare.pgwrap("apply", "--yes", "--force", check=False)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert path.with_name("billing.conf.old").read_text() == edited
    assert bare.pgwrap("diff", check=False).exit_code == 0


def test_08_what_the_engine_refuses_never_gets_in_place(bare: Estate) -> None:
    """Two values that only pgBackRest itself holds against each other: exit 5, its words, the old file untouched."""
    before = files(bare)
    bare.write_spec({ORDERS: "    options: {pgbackrest: {protocol-timeout: 10, db-timeout: 60}}\n"})
    ran = bare.pgwrap("apply", "--yes", check=False)
    bare.write_spec()
    assert ran.exit_code == 5, ran.stderr
    assert "protocol-timeout" in ran.stderr
    assert files(bare) == before


def test_09_a_file_that_its_user_cannot_read_is_rolled_back(bare: Estate) -> None:
    """The engine's check in place fails, the old file is back, and it is said: exit 5."""
    path = bare.room.path / "etc/pgbackrest/pgbackrest.conf"
    before = path.read_text()
    bare.write_spec({ORDERS: "    wal: {timeout: 77s}\n"})
    path.parent.chmod(0o700)
    owner = path.parent.stat()
    os.chown(path.parent, 0, 0)
    try:
        ran = bare.pgwrap("apply", "--yes", "--output", "json", ORDERS, check=False)
    finally:
        os.chown(path.parent, owner.st_uid, owner.st_gid)
        path.parent.chmod(0o750)
        bare.write_spec()
    assert ran.exit_code == 5, ran.stdout
    assert {step["state"] for step in steps(ran.stdout) if step["kind"] == "write-file"} == {"undone"}
    assert path.read_text() == before


def test_10_the_second_of_two_is_busy(bare: Estate) -> None:
    """Exit 7 while another apply holds the lock."""
    with (bare.room.path / "state/lock/apply.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert bare.pgwrap("apply", "--yes", check=False).exit_code == 7
    assert bare.pgwrap("apply", "--yes", check=False).exit_code == 0


def edit(path: Path, option: str, line: str) -> None:
    """Replace the line that sets an option."""
    lines = [line if one.startswith(option) else one for one in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
