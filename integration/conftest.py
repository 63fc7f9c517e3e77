"""What the scenarios share: the machine, and pairs of real clusters with both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from integration.lab.estate import BILLING, ORDERS, Estate, estate
from integration.lab.machine import Machine, NothingToRun, discover
from integration.lab.room import Room, room, terminate_as_interrupt

QUIET_RPO = "2h"
"""So long that no server switches WAL by itself while a scenario compares two looks."""
PAIR = {ORDERS: "pgbackrest", BILLING: "barman"}
MakeEstate = Callable[[Mapping[str, str]], Estate]


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """This machine with its PostgreSQL and engines."""
    try:
        found = discover()
    except NothingToRun as nothing:
        pytest.skip(str(nothing))
    with terminate_as_interrupt():
        yield found


@pytest.fixture(scope="module")
def place(machine: Machine) -> Iterator[Room]:
    """A room for one scenario."""
    with room(machine, "test") as inside:
        yield inside


@pytest.fixture(scope="module")
def make_estate(machine: Machine) -> Iterator[MakeEstate]:
    """Makes estates: rendered, applied, engines started, nothing backed up; each in a room of its own."""
    with ExitStack() as stack:

        def make(engines: Mapping[str, str]) -> Estate:
            for engine in engines.values():
                if getattr(machine, engine) is None:
                    pytest.skip(f"{engine} is not installed")
            made = stack.enter_context(estate(stack.enter_context(room(machine, "test")), engines, rpo=QUIET_RPO))
            made.render()
            for name in engines:
                made.apply_settings(name)
                made.start_engine(name)
                made.commit_and_archive(name)
            return made

        yield make


@pytest.fixture(scope="module")
def pair(make_estate: MakeEstate) -> Estate:
    """Two clusters, one engine each, one full backup each; a module that changes it leaves it changed."""
    made = make_estate(PAIR)
    for name in PAIR:
        made.back_up(name)
    return made
