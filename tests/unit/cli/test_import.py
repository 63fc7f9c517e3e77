"""`pgwrap import` on the command line: what it answers, what it writes, and how it refuses."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.unit.cli.cli_desk import Desk, Ran

GOOD = """\
[global]
repo1-path=/srv/backups
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=hush
process-max=2

[orders]
pg1-path=/data
"""
SERVER = """\
[barman]
barman_home = /srv/barman

[orders]
conninfo = host=db user=barman dbname=postgres
backup_method = postgres
streaming_archiver = on
slot_name = barman
path_prefix = /usr/lib/postgresql/15/bin
"""


def imported(desk: Desk, text: str | bytes, *arguments: str, name: str = "pgbackrest.conf") -> Ran:
    """Import one file for known versions."""
    path = desk.path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    versions = ("--engine-version", "pgbackrest=2.55.1", "--engine-version", "barman=3.13.3")
    return desk.run("import", str(path), *versions, *arguments)


def test_the_spec_is_the_answer_and_the_proof_is_said(desk: Desk) -> None:
    """One on standard output, the other on standard error."""
    ran = imported(desk, GOOD)
    assert ran.exit_code == 0
    assert "  orders:\n    postgres:\n      data_directory: /data\n" in ran.stdout
    assert "pgBackRest 2.55.1: " in ran.stderr
    assert "options, all equal" in ran.stderr


def test_secrets_become_files_that_only_their_owner_reads(desk: Desk) -> None:
    """And the spec that was written renders to what was read."""
    secrets, spec = desk.path / "secrets", desk.path / "new.yaml"
    ran = imported(desk, GOOD, "--extract-secrets", str(secrets), "--write", str(spec))
    assert ran.exit_code == 0
    assert ran.stdout == ""
    assert "hush" not in spec.read_text() + ran.said
    (kept,) = secrets.iterdir()
    assert kept.read_text() == "hush\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    target = desk.path / "root"
    rendered = desk.run("render", "--config", str(spec), "--offline", "--to", str(target))
    assert rendered.exit_code == 0
    assert "repo1-cipher-pass=hush" in Path(f"{target}{desk.path}/pgbackrest.conf").read_text()


def test_a_spec_that_exists_is_not_replaced(desk: Desk) -> None:
    """Unless that is asked for."""
    spec = desk.path / "new.yaml"
    spec.write_text("mine\n")
    ran = imported(desk, GOOD, "--write", str(spec))
    assert ran.exit_code == 8
    assert spec.read_text() == "mine\n"
    assert imported(desk, GOOD, "--write", str(spec), "--force").exit_code == 0
    assert (desk.path / "new.yaml.old").read_text() == "mine\n"


def test_two_engines_become_one_spec(desk: Desk) -> None:
    """Names that both have are told apart."""
    (desk.path / "barman.conf").write_text(SERVER)
    ran = imported(desk, GOOD, str(desk.path / "barman.conf"), "-o", "json")
    result = ran.json()["result"]
    assert isinstance(result, dict)
    assert ran.json()["schema"] == "pgwrap/import/1"
    assert result["equivalent"] is True
    assert [engine["engine"] for engine in result["engines"]] == ["pgbackrest", "barman"]
    assert "orders-barman:" in str(result["spec"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("repo1-path=/x\n", ":1:1: error: an option outside of any section [029]"),
        ("hello\n", ":1:1: error: neither pgBackRest's nor Barman's: no section or option is known"),
        ("", ":1:1: error: the file is empty"),
        (b"\x7fELF\x02\0\0\0", ":1:1: error: a NUL byte: this is no text file"),
        (b"[global]\nrepo1-path=/\xff\n", ":2:1: error: byte 0xff is not UTF-8"),
        ("[global]\nrepo1-path={{ path }}\n", ":2:1: error: repo1-path: must begin with /, unlike '{{ path }}'"),
        ("[global]\n{% if x %}\n", ":2:1: error: neither a section nor an option with = [029]"),
        ("[global]\nrepo1-path=/x\n[m]\nprocess-max=2\n", ":3:1: error: pg1-path of the stanza 'm' is missing [037]"),
    ],
)
def test_a_file_that_no_engine_takes_is_refused_with_its_place(desk: Desk, text: str | bytes, message: str) -> None:
    """And nothing is written."""
    spec = desk.path / "new.yaml"
    ran = imported(desk, text, "--write", str(spec))
    assert ran.exit_code == 3
    assert ran.stdout == ""
    assert f"{desk.path}/pgbackrest.conf{message}" in ran.stderr
    assert not spec.exists()


def test_what_is_no_file_is_refused(desk: Desk) -> None:
    """A directory, a pipe that nobody writes, a file too large, and none at all."""
    (desk.path / "conf.d").mkdir()
    (desk.path / "conf.d/a.conf").write_text("")
    os.mkfifo(desk.path / "pipe")
    with (desk.path / "large").open("wb") as large:
        large.truncate(50_000_000)
    for name, message in {
        "conf.d": "is a directory",
        "pipe": "is not a file",
        "large": "is larger than 4 MiB",
        "nothing": "there is no file",
    }.items():
        ran = desk.run("import", str(desk.path / name))
        assert ran.exit_code == 2
        assert message in ran.stderr


def test_files_or_the_host_must_be_named(desk: Desk) -> None:
    """Not both."""
    assert desk.run("import").exit_code == 2
    assert desk.run("import", "--from-host", "x").exit_code == 2


def test_what_the_engine_passes_over_is_said_with_its_place(desk: Desk) -> None:
    """The import goes on."""
    ran = imported(desk, f"{GOOD}pg1-ssl=y\n")
    assert ran.exit_code == 0
    assert "pgbackrest.conf:9:1: warning: pg1-ssl: pgBackRest has no such option and ignores it" in ran.stderr
