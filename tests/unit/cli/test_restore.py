"""`pgwrap restore`: what is wrong on the command line is said before any engine is asked, and nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.cli_desk import Desk


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("--target-time", "yesterday"), 2, "is no time"),
        (("--target-time", "2026-11-23 10:00"), 8, "names no time zone"),
        (("--target-time", "2099-01-01 00:00+00"), 8, "in the future"),
        (("--target-time", "1 minute ago", "--target-immediate"), 2, "there is one target"),
        (("--target-lsn", "nonsense"), 2, "not a WAL position"),
        (("--target-name", "a\nb"), 2, "is no restore point"),
        (("--target-name", "x" * 64), 2, "is no restore point"),
        (("--target-immediate", "--exclusive"), 2, "--exclusive goes with"),
        (("--as", "standby", "--target-immediate"), 2, "stops at no target"),
        (("--as", "standby", "--primary-conninfo", "host=db1 password=hush"), 2, "holds a password"),
        (("--tablespace", "fast"), 2, "not NAME=DIR"),
        (("--tablespace", "fast=/a", "--tablespace", "fast=/b"), 2, "named twice"),
        (("--tablespaces-in", "relative"), 2, "no absolute path"),
        (("--accept", "everything"), 2, "there is no refusal"),
        (("--owner", "root"), 2, "refuses to run as root"),
        (("--backup", "20200101-000000F"), 2, "did you mean 20261123-083046F"),
        (("--repository", "nowhere"), 2, "its repositories: local"),
        (("--engine", "barman"), 2, "holds no backups"),
    ],
)
def test_wrong_words_are_said(
    desk: Desk, tmp_path: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    """With the way out, and the exit code that fits."""
    ran = desk.run("restore", "orders", "-D", str(tmp_path / "copy"), *arguments)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert said in " ".join(ran.stderr.split())
    assert "hush" not in ran.stderr
    assert not (tmp_path / "copy").exists()


def test_the_directory_is_a_whole_path(desk: Desk) -> None:
    """And not the root of everything."""
    assert desk.run("restore", "orders", "-D", "copy").exit_code == 2
    assert desk.run("restore", "orders", "-D", "/").exit_code == 2
    assert desk.run("restore", "orders").exit_code == 2


def test_a_refusal_is_data_too(desk: Desk, tmp_path: Path) -> None:
    """`-o json`: the envelope with its error, exit 8."""
    ran = desk.run("restore", "orders", "-D", str(tmp_path / "c"), "--target-time", "2020-01-01 00:00+00", "-o", "json")
    answer = json.loads(ran.stdout)
    assert (ran.exit_code, answer["schema"], answer["outcome"]) == (8, "pgwrap/restore/1", "error")
    assert answer["errors"][0]["code"] == "refused"
    assert "the oldest moment" in answer["errors"][0]["message"]
