"""One PostgreSQL under both engines, and a program that carries its history from the one to the other.

The program does what `pgwrap migrate` does with the same use case, without asking, so that it can be killed midway.
"""

from __future__ import annotations

import dataclasses
import getpass
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from integration.lab.estate import ORDERS, Estate, estate
from integration.lab.native import prepare_for_barman
from integration.lab.room import Room
from pgwrap.cli.session import session
from pgwrap.domain.carrying import Bases, CarryProgress, CarryResult
from pgwrap.ops.carry_into_barman import CarryOptions, CarryTools, carry_into_barman, plan_into_barman
from pgwrap.system.scratch import ScratchDirectories
from pgwrap.system.store import LocalStore

FRESH = "fresh"


@contextmanager
def both_engines(room: Room, *, rpo: str, more: str = "") -> Iterator[Estate]:
    """A pgBackRest cluster with a stanza, and an entry under Barman for the same server."""
    with estate(room, {ORDERS: "pgbackrest"}, rpo=rpo) as alone:
        server = alone.servers[ORDERS]
        prepare_for_barman(server)
        made = dataclasses.replace(
            alone, servers={ORDERS: server, FRESH: server}, engines={ORDERS: "pgbackrest", FRESH: "barman"}
        )
        made.write_spec({FRESH: more})
        made.render()
        with (server.data / "postgresql.conf").open("a") as file:
            file.writelines(made.settings(name).read_text() for name in (ORDERS, FRESH))
        server.restart()
        made.start_engine(ORDERS)
        made.commit_and_archive(ORDERS)
        yield made


def carry(spec: str, bases: str, old: str = ORDERS, new: str = FRESH) -> CarryResult:
    """Carry the one cluster into the other; each step is printed as it is done."""
    with session("migrate", spec_file=spec) as run:
        fleet, world = run.fleet(warn=False, as_written=True), run.world()
        tools = CarryTools(
            scratch=ScratchDirectories(),
            store=LocalStore(),
            token=secrets.token_hex(8),
            user=getpass.getuser(),
            say=lambda text: print(text, flush=True),
        )
        options = CarryOptions(bases=Bases.parse(bases))
        prepared = plan_into_barman(fleet, fleet.cluster(old), fleet.cluster(new), world, tools, options)
        return carry_into_barman(prepared, _tell)


def _tell(progress: CarryProgress) -> None:
    print(f"{progress.phase} {progress.done}/{progress.total} {progress.bytes}/{progress.total_bytes}", flush=True)


if __name__ == "__main__":
    result = carry(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "all", *sys.argv[3:5])
    print(f"carried {len(result.backups)} {result.segments} {result.seconds:.1f}", *result.notes, flush=True)
