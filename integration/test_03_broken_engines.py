"""Engines that are missing, hang, die or talk nonsense: unknown with its cause, and no harm to the other cluster."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from integration.lab.answers import cluster, codes, status
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.fakes import FAILS, GARBAGE, HANG, KILLED, SILENT, TRUNCATED, fake
from integration.lab.process import processes_in

OTHER = {ORDERS: BILLING, BILLING: ORDERS}
ENGINE = {ORDERS: "pgbackrest", BILLING: "barman"}
BROKEN = {
    "hang": (HANG, "engine-timeout"),
    "killed": (KILLED, "engine-failed"),
    "fails": (FAILS, "engine-failed"),
    "garbage": (GARBAGE, "output-not-understood"),
    "truncated": (TRUNCATED, "output-not-understood"),
    "silent": (SILENT, "output-not-understood"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_broken_engine_is_unknown_and_alone(pair: Estate, name: str, kind: str) -> None:
    """One broken engine makes its cluster unknown, says why, and leaves the other one ok."""
    script, code = BROKEN[kind]
    directory = fake(pair.room, ENGINE[name], script, f"{kind}-{ENGINE[name]}")
    answer = _status(pair, directory)
    assert cluster(answer, name)["severity"] == "unknown"
    assert code in codes(cluster(answer, name))
    assert cluster(answer, OTHER[name])["severity"] == "ok"
    assert answer["outcome"] == "partial"


def test_hanging_engine_delays_no_longer_than_its_deadline(pair: Estate) -> None:
    """With a deadline of two seconds the whole status is there in a few, and nothing goes on running."""
    directory = fake(pair.room, "barman", HANG, "hang-deadline")
    started = time.monotonic()
    _status(pair, directory)
    assert time.monotonic() - started < 15
    assert [pid for pid in processes_in(directory) if "4713.5" in Path(f"/proc/{pid}/cmdline").read_text()] == []


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_missing_engine(pair: Estate, name: str) -> None:
    """A program that does not exist is engine-missing: unknown in the status, exit 4 for a backup."""
    text = pair.spec.read_text()
    missing = f"{pair.room.path}/no/such/{ENGINE[name]}"
    try:
        pair.spec.write_text(text.replace(f"  {ENGINE[name]}:\n", f"  {ENGINE[name]}:\n    command: {missing}\n", 1))
        answer = status(pair)
        assert "engine-missing" in codes(cluster(answer, name))
        assert cluster(answer, name)["severity"] == "unknown"
        assert cluster(answer, OTHER[name])["severity"] == "ok"
        assert pair.pgwrap("backup", name, check=False).exit_code == 4
    finally:
        pair.spec.write_text(text)


def test_warning_before_the_json_is_read_past(pair: Estate) -> None:
    """An option that pgBackRest does not know is a finding, not an unreadable answer."""
    config = pair.pgbackrest.config
    text = config.read_text()
    try:
        config.write_text(text.replace("[global]\n", "[global]\nno-such-option=1\n"))
        entry = cluster(status(pair), ORDERS)
        assert entry["backups"]
        assert {"config-warning", "config-drift"} & codes(entry, least="ok")
    finally:
        config.write_text(text)


def test_unknown_option_of_barman_is_a_finding(pair: Estate) -> None:
    """Barman's own warning about its configuration reaches the status."""
    config = pair.room.path / "etc/barman.d" / f"{BILLING}.conf"
    text = config.read_text()
    try:
        config.write_text(f"{text}no_such_option = 1\n")
        entry = cluster(status(pair), BILLING)
        assert entry["backups"]
        assert {"config-warning", "config-drift"} & codes(entry, least="ok")
    finally:
        config.write_text(text)


def test_backup_with_broken_engine_keeps_its_exit_code(pair: Estate) -> None:
    """`pgwrap backup` exits 5 when the engine fails, with the engine's own words."""
    directory = fake(
        pair.room, "pgbackrest", f'case "$*" in *version*) echo "pgBackRest 2.55.1";; *) {FAILS} ;; esac\n', "fails"
    )
    ran = pair.pgwrap("backup", ORDERS, path=directory, check=False)
    assert ran.exit_code == 5
    assert "something broke" in ran.stderr


def _status(pair: Estate, directory: Path) -> dict[str, object]:
    ran = pair.pgwrap("status", "--output", "json", "--timeout", "2", check=False, path=directory)
    assert ran.exit_code == 1, ran.stderr
    answer: dict[str, object] = json.loads(ran.stdout)
    return answer
