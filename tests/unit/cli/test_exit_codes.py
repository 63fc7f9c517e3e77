"""Which exit code a command ends with, for every class of failure and every severity."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.unit.cli.cli_desk import FAILS, Desk

SEVERITIES = ("ok", "warning", "critical", "unknown")


@pytest.mark.parametrize(("severity", "exit_code"), list(zip(SEVERITIES, (0, 1, 1, 1), strict=True)))
def test_status_says_no_unless_all_is_ok(
    desk: Desk, severities: Callable[[str], None], severity: str, exit_code: int
) -> None:
    """0 for ok, 1 for everything else."""
    severities(severity)
    ran = desk.run("status", "-o", "json", "--no-commits")
    assert ran.json()["result"]["severity"] == severity  # type: ignore[index]
    assert ran.exit_code == exit_code


@pytest.mark.parametrize(("severity", "exit_code"), list(zip(SEVERITIES, (0, 0, 1, 1), strict=True)))
def test_fail_on_critical_lets_warnings_pass(
    desk: Desk, severities: Callable[[str], None], severity: str, exit_code: int
) -> None:
    """`--fail-on critical`: a warning is let pass, unknown is not."""
    severities(severity)
    assert desk.run("status", "--fail-on", "critical", "--no-commits").exit_code == exit_code


@pytest.mark.parametrize(("severity", "exit_code"), list(zip(SEVERITIES, (0, 1, 2, 3), strict=True)))
def test_nagios_uses_the_plugin_codes(
    desk: Desk, severities: Callable[[str], None], severity: str, exit_code: int
) -> None:
    """0, 1, 2 and 3, and the first line says the same in words."""
    severities(severity)
    ran = desk.run("status", "-o", "nagios", "--no-commits")
    assert ran.exit_code == exit_code
    assert ran.stdout.startswith(f"PGWRAP {severity.upper()} - ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "/no/such/spec.yaml"),
        ("nosuch",),
        ("--timeout", "soon"),
        ("--no-such-option",),
        ("--write", "/no/such/directory/of/proc/x", "--config", "/no/such/spec.yaml"),
    ],
)
def test_nagios_takes_no_failure_of_ours_for_critical(desk: Desk, arguments: tuple[str, ...]) -> None:
    """A bad spec or a mistyped option is UNKNOWN (3): the plugin code 2 would raise the alarm for a cluster."""
    ran = desk.run("status", "-o", "nagios", *arguments)
    assert ran.exit_code == 3
    assert ran.stdout.startswith("PGWRAP UNKNOWN - ")


@pytest.mark.parametrize("spelling", [("-onagios",), ("--output=nagios",), ("--output", "nagios")])
def test_nagios_is_seen_however_it_is_spelt(desk: Desk, spelling: tuple[str, ...]) -> None:
    """Every way to write the option counts when the rest of the command line is wrong."""
    assert desk.run("status", "--no-such-option", *spelling).exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "exit_code", "slug"),
    [
        (("status", "nosuch"), 2, "usage"),
        (("status", "--config", "/no/such/spec.yaml"), 3, "spec-invalid"),
        (("validate", "--engine-version", "oracle=19"), 2, "usage"),
        (("validate", "--engine-version", "1.0"), 4, "engine-unsupported"),
        (("render", "nosuch", "--offline"), 2, "usage"),
        (("render", "--config", "/no/such/spec.yaml"), 3, "spec-invalid"),
        (("backup", "nosuch"), 2, "usage"),
        (("backup", "orders", "--repository", "nosuch"), 2, "usage"),
        (("backup", "orders", "--config", "/no/such/spec.yaml"), 3, "spec-invalid"),
    ],
)
def test_failures_have_their_exit_code_and_envelope(
    desk: Desk, arguments: tuple[str, ...], exit_code: int, slug: str
) -> None:
    """The exit code in both forms; in JSON an envelope with the error's slug, and nothing else on standard output."""
    plain, framed = desk.run(*arguments), desk.run(*arguments, "-o", "json")
    assert (plain.exit_code, framed.exit_code) == (exit_code, exit_code)
    assert "Traceback" not in plain.said + framed.said
    answer = framed.json()
    assert (answer["outcome"], answer["result"], answer["schema"]) == ("error", None, f"pgwrap/{arguments[0]}/1")
    errors = answer["errors"]
    assert isinstance(errors, list)
    assert {error["code"] for error in errors} == {slug}
    assert all(error["message"] for error in errors)


@pytest.mark.parametrize(
    ("script", "exit_code", "slug"),
    [
        (FAILS, 5, "engine-failed"),
        ("kill -9 $$\n", 5, "engine-failed"),
        ("echo nonsense\n", 6, "output-not-understood"),
        ("case $* in version) echo 'pgBackRest 2.55.1' ;; *) exec sleep 60 ;; esac\n", 5, "engine-timeout"),
        ("case $* in version) echo 'pgBackRest 2.55.1' ;; *) echo done ;; esac\n", 6, "output-not-understood"),
        (
            "case $* in version) echo 'pgBackRest 2.55.1' ;; *) echo 'ERROR: [050]: lock'; exit 50 ;; esac\n",
            7,
            "busy",
        ),
    ],
)
def test_backup_keeps_apart_how_engines_fail(desk: Desk, script: str, exit_code: int, slug: str) -> None:
    """Failed, killed, silent, nonsense, busy: each with its exit code, its slug and the cluster's name."""
    desk.engine(script)
    ran = desk.run("backup", "orders", "-o", "json", "--timeout", "1")
    errors = ran.json()["errors"]
    assert isinstance(errors, list)
    assert (ran.exit_code, [error["code"] for error in errors]) == (exit_code, [slug])


def test_backup_without_its_engine(desk: Desk) -> None:
    """No program: exit 4, what is missing, and where to name another."""
    (desk.path / "pgbackrest").unlink()
    ran = desk.run("backup", "orders")
    assert ran.exit_code == 4
    assert str(desk.path / "pgbackrest") in ran.stderr
    assert "hint: " in ran.stderr


def test_backup_prints_its_id_alone(desk: Desk) -> None:
    """Standard output is data: the id, or the envelope."""
    assert desk.run("backup", "orders").stdout == "20261123-083046F\n"
    (taken,) = desk.run("backup", "orders", "-o", "json").json()["result"]["backups"]  # type: ignore[index]
    told = {"cluster": "orders", "repository": "local", "id": "20261123-083046F", "type": "full", "state": "done"}
    assert {key: taken[key] for key in told} == told


def test_defect_is_an_apology_in_every_form(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception ends with 70 and an envelope (nagios: 3), never with a traceback."""
    broken = desk.path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import pgwrap.spec.loader\ndef load(*_, **__): raise ZeroDivisionError\npgwrap.spec.loader.load = load\n"
    )
    monkeypatch.setitem(desk.environment, "PYTHONPATH", str(broken))
    text, framed = desk.run("status"), desk.run("status", "-o", "json")
    plugin = desk.run("status", "-o", "nagios")
    assert (text.exit_code, framed.exit_code, plugin.exit_code) == (70, 70, 3), text.said
    assert "defect of pgwrap (ZeroDivisionError)" in text.stderr
    assert [error["code"] for error in json.loads(framed.stdout)["errors"]] == ["bug"]
    assert plugin.stdout.startswith("PGWRAP UNKNOWN - this is a defect of pgwrap")
    assert "Traceback" not in text.said + framed.said + plugin.said
