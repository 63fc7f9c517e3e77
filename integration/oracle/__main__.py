"""`make oracle`: on random catalogs, is what `pgwrap retention` foretells what the engine then does?"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from integration.lab.machine import Machine, NothingToRun, discover
from integration.lab.process import ProgramFailed
from integration.lab.room import Room, room, terminate_as_interrupt
from integration.oracle.clock import NoClock, stopped_clock
from integration.oracle.estate import Estate, NotPlanted
from integration.oracle.originals import Originals, grow
from integration.oracle.trial import BARMAN, PGBACKREST, CaseT, Half, Verdict

ENGINES = ("pgbackrest", "barman")
ZONES = ("UTC", "Europe/Berlin", "America/New_York")


def main() -> int:
    """0 when every case agrees, 1 when one does not, 2 when there is nothing to ask."""
    options = parse(sys.argv[1:])
    try:
        machine = discover()
        for engine in options.engine:
            machine.engine(engine)
        with terminate_as_interrupt(), place_for(machine, kept=options.case is not None) as place:
            return 0 if all(list(results(place, options))) else 1
    except (NothingToRun, NoClock, LookupError, NotPlanted, ProgramFailed, TimeoutError) as failure:
        print(f"oracle: {failure}", file=sys.stderr)
        return 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make oracle", description=__doc__)
    parser.add_argument("--cases", type=int, default=200, metavar="N", help="how many for each engine (default 200)")
    parser.add_argument("--seed", type=int, default=7, metavar="S", help="the same seed makes the same cases")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="only this one")
    parser.add_argument("--case", type=int, metavar="N", help="only this case, and keep its directory")
    parser.add_argument("--zone", choices=ZONES, help="the time zone of the engines (default by the seed)")
    options = parser.parse_args(arguments)
    options.engine = tuple(options.engine or ENGINES)
    options.zone = options.zone or ZONES[options.seed % len(ZONES)]
    return options


@contextmanager
def place_for(machine: Machine, *, kept: bool) -> Iterator[Room]:
    """A room, which stays when it is to be looked at."""
    if not kept:
        with room(machine, "oracle") as place:
            yield place
        return
    path = Path(tempfile.mkdtemp(prefix="pgwrap-oracle-", dir="/var/tmp"))
    path.chmod(0o755)
    place = Room(machine=machine, path=path)
    place.give(path)
    say(f"everything stays in {path}")
    yield place


def results(place: Room, options: argparse.Namespace) -> Iterator[bool]:
    """Engine by engine, whether all cases agree; what came out is printed."""
    say(f"one real cluster with real backups ({place.machine.summary()})")
    originals = grow(Room(machine=place.machine, path=place.directory("seed", mode=0o755)), frozenset(options.engine))
    numbers = range(1, options.cases + 1) if options.case is None else (options.case,)
    with stopped_clock(options.zone) as clock:
        for engine in options.engine:
            inside = Room(machine=place.machine, path=place.directory(engine, mode=0o755))
            estate = Estate(room=inside, clock=clock)
            if engine == PGBACKREST.engine:
                yield _tried(PGBACKREST, estate, originals, options.seed, numbers)
            else:
                yield _tried(BARMAN, estate, originals, options.seed, numbers)


def _tried(half: Half[CaseT], estate: Estate, originals: Originals, seed: int, numbers: Sequence[int]) -> bool:
    version = estate.machine.engine(half.engine).version
    say(f"{half.product} {version}: {len(numbers)} cases in {estate.clock.zone}")
    started = time.monotonic()
    trial = half.trial(estate, originals, seed, numbers)
    for verdict in trial.verdicts:
        if not verdict.agrees:
            print(told(verdict, f"{half.product} {version}, seed {seed}, {estate.clock.zone}"))
    print(f"{half.product} {version}: {trial.agreeing}/{len(numbers)} cases agree (seed {seed})", flush=True)
    say(f"{time.monotonic() - started:.0f} s")
    return trial.agreeing == len(numbers)


def told(verdict: Verdict, where: str) -> str:
    """A case in which they differ, for a person."""
    lines = [f"{where}, case {verdict.case.number}: {verdict.case.policy}"]
    for repository, found in verdict.mismatches.items():
        lines.extend(f"  {repository}: {mismatch}" for mismatch in found)
    return "\n".join(lines)


def say(text: str) -> None:
    """Talk to the person."""
    print(f"oracle: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
