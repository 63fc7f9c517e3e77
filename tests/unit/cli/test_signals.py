"""Ctrl-C and its relatives, whenever they strike: the engine stops, nothing is written, the exit code is right."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.cli_desk import Desk

HANGS = "echo $$ >>{path}/started\nexec sleep 60\n"
IGNORES = "trap '' TERM INT HUP\necho $$ >>{path}/started\nwhile :; do sleep 60; done\n"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


def interrupted(desk: Desk, arguments: tuple[str, ...], *numbers: signal.Signals) -> tuple[int, str, str]:
    """Run `pgwrap`, and signal it once its engine runs: exit code, standard output and error."""
    # The signals wait until something was written to the named pipe: no sleeping.
    with subprocess.Popen(
        desk.argv(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=desk.variables(),
        text=True,
        start_new_session=True,
    ) as process:
        try:
            (desk.path / "started").read_text()
            for number in numbers:
                process.send_signal(number)
            stdout, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, stdout, stderr


@pytest.fixture
def hanging(desk: Desk) -> Desk:
    """A desk whose engine says that it has started, by a named pipe, and never ends."""
    subprocess.run(("mkfifo", desk.path / "started"), check=True)
    desk.engine(f'case "$*" in version) echo "pgBackRest 2.55.1"; exit ;; esac\n{HANGS.format(path=desk.path)}')
    return desk


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("arguments", [("status",), ("backup", "orders")])
def test_signal_ends_with_its_code(hanging: Desk, arguments: tuple[str, ...], number: signal.Signals) -> None:
    """130 for Ctrl-C, 143 for SIGTERM and SIGHUP, one sentence, no traceback."""
    code, stdout, stderr = interrupted(hanging, arguments, number)
    assert (code, stdout) == (CODES[number], "")
    assert stderr.startswith("pgwrap: interrupted; " if number == signal.SIGINT else "pgwrap: terminated; ")
    assert len(stderr.splitlines()) == 1


def test_many_signals_end_as_one(hanging: Desk) -> None:
    """An impatient operator changes nothing."""
    code, _, stderr = interrupted(hanging, ("status",), *(signal.SIGINT,) * 3, signal.SIGTERM)
    assert code in {130, 143}
    assert "Traceback" not in stderr


def test_signal_is_an_envelope_in_json(hanging: Desk) -> None:
    """The JSON of an interrupted command is whole."""
    code, stdout, _ = interrupted(hanging, ("status", "-o", "json"), signal.SIGTERM)
    assert code == 143
    assert [error["code"] for error in json.loads(stdout)["errors"]] == ["terminated"]


@pytest.mark.parametrize("command", ["validate", "render"])
def test_signal_is_no_failure_of_the_engine(desk: Desk, command: str) -> None:
    """Interrupted while it asks for the engine's version, a command neither goes on with a guess nor writes a file."""
    subprocess.run(("mkfifo", desk.path / "started"), check=True)
    desk.engine(HANGS.format(path=desk.path))
    arguments = ("render", "--to", str(desk.path / "made")) if command == "render" else (command,)
    assert interrupted(desk, arguments, signal.SIGINT)[0] == 130
    assert not (desk.path / "made").exists()


def test_engine_that_ignores_signals_is_killed(desk: Desk) -> None:
    """An engine deaf to SIGTERM does not outlive the command, and holds it for seconds, not for its deadline."""
    subprocess.run(("mkfifo", desk.path / "started"), check=True)
    desk.engine(f'case "$*" in version) echo "pgBackRest 2.55.1"; exit ;; esac\n{IGNORES.format(path=desk.path)}')
    assert interrupted(desk, ("status",), signal.SIGINT)[0] == 130
    assert not [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if _names(entry, str(desk.path / "pgbackrest"))]


def test_no_hang_up(desk: Desk) -> None:
    """Under nohup SIGHUP stays ignored: a backup goes on after its terminal is gone."""
    subprocess.run(("mkfifo", desk.path / "started"), check=True)
    desk.good_engine(before=f"kill -HUP $PPID; echo $$ >{desk.path}/hung_up; ")
    ran = subprocess.run(
        ("nohup", *desk.argv("status", "--no-commits")),
        env=desk.variables(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (desk.path / "hung_up").exists()
    assert ran.returncode == 0, ran.stderr


def test_ctrl_c_before_anything_is_silent() -> None:
    """While the program is still loading, Ctrl-C ends it as it ends any program, without a traceback."""
    strike = "import pgwrap.__main__"
    interrupt = (
        "import importlib.abc, os, signal, sys\n"
        "class Strike(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'pgwrap.cli.app': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Strike())\n"
        f"{strike}\n"
    )
    ran = subprocess.run((sys.executable, "-c", interrupt), capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stderr) == (-signal.SIGINT, "")


def _names(entry: Path, program: str) -> bool:
    try:
        return program in entry.read_text(errors="replace")
    except OSError:
        return False
