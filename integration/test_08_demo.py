"""`make demo` on this machine: both clusters end ok, and nothing is left behind."""

from __future__ import annotations

import sys
from pathlib import Path

from integration.lab.estate import BILLING, ORDERS
from integration.lab.machine import CHECKOUT, Machine
from integration.lab.process import run


def test_demo_ends_ok_and_leaves_nothing(machine: Machine) -> None:
    """Exit 0, a status that shows every cluster as ok, no directory and no process left."""
    before = set(Path("/var/tmp").glob("pgwrap-demo-*"))
    ran = run((sys.executable, "-m", "integration.demo"), directory=CHECKOUT, deadline=120)
    shown = [name for name, engine in ((ORDERS, machine.pgbackrest), (BILLING, machine.barman)) if engine]
    last = ran.stdout.strip().splitlines()[-1]
    assert f"{', '.join(shown)}: ok" in last
    assert set(Path("/var/tmp").glob("pgwrap-demo-*")) == before
