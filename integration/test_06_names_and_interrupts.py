"""Names that need quoting, Ctrl-C in the middle, and settings that Barman keeps for itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.conftest import MakeEstate
from integration.lab.answers import cluster, codes, status
from integration.lab.estate import BILLING, ORDERS, Estate, search_path
from integration.lab.fakes import HANG, fake
from integration.lab.process import describe, processes_in, start, stop_group

ODD = {"orders & co (eu-west)": "pgbackrest", "bücher's 100": "barman"}


@pytest.mark.thorough("orders")
@pytest.mark.parametrize("name", ODD)
def test_odd_names_work_all_the_way(make_estate: MakeEstate, name: str) -> None:
    """A name with spaces, quotes and non-ASCII letters is validated, rendered, archived to, backed up and ok."""
    made = make_estate({name: ODD[name]})
    backup = made.back_up(name)
    answer = status(made)
    assert [entry["name"] for entry in answer["result"]["clusters"]] == [name]
    entry = cluster(answer, name)
    assert (entry["severity"], codes(entry)) == ("ok", set())
    assert [one["id"] for one in entry["backups"]] == [backup]


@pytest.fixture(scope="module")
def orders(make_estate: MakeEstate) -> Estate:
    """A pgBackRest cluster with one backup."""
    made = make_estate({ORDERS: "pgbackrest"})
    made.back_up(ORDERS)
    return made


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("arguments", [("status",), ("backup", ORDERS)])
def test_interrupt_stops_the_engine(
    orders: Estate, arguments: tuple[str, ...], number: signal.Signals, exit_code: int
) -> None:
    """Ctrl-C and SIGTERM end pgwrap with 130 and 143, and no engine process is left."""
    slow_start = 'case "$*" in *version*) echo "pgBackRest 2.55.1"; exit 0;; esac\n'
    directory = fake(orders.room, "pgbackrest", slow_start + HANG, f"hang-{arguments[0]}")
    environment = {"PGWRAP_CONFIG": str(orders.spec), "PATH": search_path(orders.room.machine, directory)}
    with start(("pgwrap", *arguments), environment=environment, directory=orders.room.path) as process:
        try:
            assert _wait(lambda: bool(_hanging(orders)))
            process.send_signal(number)
            process.communicate(timeout=20)
        finally:
            stop_group(process)
    assert process.returncode == exit_code
    assert _wait(lambda: not _hanging(orders)), [describe(pid) for pid in _hanging(orders)]


def test_status_into_a_closed_pipe(orders: Estate) -> None:
    """A reader that goes away, as `| head -0` does, is no defect of pgwrap's."""
    environment = {"PGWRAP_CONFIG": str(orders.spec), "PATH": search_path(orders.room.machine)}
    with start(("pgwrap", "status", "-o", "json"), environment=environment, directory=orders.room.path) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read().decode()
        process.wait(30)
    assert "Traceback" not in said
    assert "defect" not in said


def test_override_that_barman_keeps_for_itself_is_seen(make_estate: MakeEstate) -> None:
    """A value in `.barman.auto.conf` wins over the rendered file (3.10 and later): the status says so."""
    made = make_estate({BILLING: "barman"})
    version = tuple(int(part) for part in made.room.machine.engine("barman").version.split("."))
    if version < (3, 10):
        pytest.skip("Barman has its own override file since 3.10")
    made.back_up(BILLING)
    override = made.barman.home / ".barman.auto.conf"
    override.write_text(f"[{BILLING}]\nretention_policy = REDUNDANCY 1\n")
    made.room.give(override)
    entry = cluster(status(made), BILLING)
    assert "config-drift" in codes(entry, least="ok")


def _hanging(made: Estate) -> list[int]:
    """The stand-in's processes: its shell, and the sleep that the shell becomes."""
    sleeping = [int(entry.name) for entry in Path("/proc").iterdir() if _command(entry) == b"sleep\x004713.5\x00"]
    return sleeping + [pid for pid in processes_in(made.room.path / "fakes") if pid not in sleeping]


def _command(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


def _wait(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether a condition comes true in time."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True
