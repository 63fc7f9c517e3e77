"""Carries a history from Barman into pgBackRest as a command: `python -m integration.lab.crossing WHAT OLD NEW PLACE`.

WHAT is `plan` or `carry`. It prints what came of it, as JSON; PGWRAP_CONFIG names the spec, and KILLED_AT the number of
the effect before which it is to die.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any

import typer

from integration.lab.killing import watch
from pgwrap.cli.drill import tools_for
from pgwrap.cli.session import Session, session
from pgwrap.domain.carrying import Bases
from pgwrap.ops.carry_into_pgbackrest import (
    CarryOptions,
    CarryTools,
    carry_into_pgbackrest,
    plan_into_pgbackrest,
)
from pgwrap.system.spool import LocalSpool


def work(run: Session, what: str, old: str, new: str, place: str) -> Any:
    """Do it, and what came of it."""
    fleet = run.fleet(as_written=True)
    source, target, world = fleet.cluster(old), fleet.cluster(new), run.world()
    tools = CarryTools(copies=tools_for(run, fleet), spool=LocalSpool())
    options = CarryOptions(
        bases=Bases.parse(os.environ.get("BASES", "all")),
        directory=place,
        progress=lambda told: run.say(f"{told.phase} {told.done}/{told.total} {told.name}"),
    )
    prepared = plan_into_pgbackrest(fleet, source, target, world, tools, options)
    return prepared.plan if what == "plan" else carry_into_pgbackrest(prepared)


def main() -> None:
    """What a command of pgwrap would do: its answer, or its error and exit code."""
    with session("migrate", output="json") as running:
        found = work(running, *sys.argv[1:5])
        print(json.dumps(dataclasses.asdict(found), default=str))


if __name__ == "__main__":
    watch(int(os.environ.get("KILLED_AT", "0")), os.environ.get("KILLING_COUNT", os.devnull))
    try:
        main()
    except typer.Exit as end:
        sys.exit(end.exit_code)
