"""Measures pgwrap against the bare engine calls it makes, as ratios of one run. It proves no answer right.

`make bench`; `make bench ARGS='--write docs/explanation/performance.md'` puts the table there.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from integration.bare import Calls, NoRound, calls_in, engine_commands, parallel_script, sequential_script
from integration.bench_carry import carry_figures
from integration.bench_catalog import catalog_figures
from integration.bench_recovery import recovery_figures
from integration.figures import Figure, Sample, Took
from integration.fleet import PGWRAP, SERVERS, STANZAS, Fleet, grown_fleet, pair_fleet
from integration.lab.machine import CHECKOUT, Machine, NothingToRun, discover
from integration.lab.process import ProgramFailed, run
from integration.lab.room import Room, room, terminate_as_interrupt
from integration.seed import CATALOGS, Pair, plant, running
from pgwrap import __file__ as package
from pgwrap.system.process import ProcessRunner

MEASURED = (sys.executable, "-P", str(CHECKOUT / "integration" / "measured.py"))
MEGABYTE = 1_000_000
HELP_RUNS = 9
DEADLINE = 600.0
ALONE = ("recovery", "catalog", "carry")
"""Parts that make what they measure themselves."""
MARKS = ("<!-- make bench: begin -->", "<!-- make bench: end -->")

Contender = Callable[[], float]


HEADER = ("figure", "limit", "measured: median (range)", "compared with", "ratio", "verdict")


def main() -> int:
    """0 when every figure holds, 1 when one misses, 2 when there is nothing to measure with."""
    options = _arguments()
    try:
        machine = discover()
        machine.engine("pgbackrest"), machine.engine("barman")
    except (NothingToRun, LookupError) as missing:
        print(f"bench: {missing}; it needs PostgreSQL and both engines", file=sys.stderr)
        return 2
    compileall.compile_dir(Path(package).parent, quiet=1)  # as pip does when it installs a wheel
    load = os.getloadavg()[0]
    try:
        with terminate_as_interrupt(), room(machine, "bench") as place:
            figures = tuple(measure(place, options.repeat, options.only))
    except (ProgramFailed, TimeoutError, NoRound) as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 2
    report = "\n".join((facts(machine, options.repeat, load), "", table(figures)))
    print(f"\n{report}")
    if options.write:
        write(options.write, report)
    return 1 if any(figure.holds is False for figure in figures) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks in FILE")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="measure everything N times (default 5)")
    parts = ("help", "pair", "fleet", *ALONE)
    parser.add_argument("--only", choices=parts, help="measure one part")
    return parser.parse_args()


def measure(place: Room, repeat: int, only: str | None) -> Iterator[Figure]:
    """Everything, or one part."""
    if only in {None, "help"}:
        yield help_figure(max(repeat, HELP_RUNS))
    if only in {None, "recovery"}:
        say("restore and drill of a gigabyte, against the engines' own restore")
        yield from recovery_figures(place.machine, repeat)
    if only in {None, "catalog"}:
        say("retention on 10,000 backups, against pgBackRest's own answers")
        yield from catalog_figures(place.machine, repeat)
    if only in {None, "carry"}:
        say("a history carried from each engine into the other, against the engines' own commands")
        yield from carry_figures(place.machine, repeat)
    if only in {"help", *ALONE}:
        return
    say("the seed: real backups of both engines (made once, then kept in .cache/bench)")
    seed = plant(place)
    with running(seed) as pair:
        if only in {None, "pair"}:
            yield from pair_figures(pair, repeat)
        if only in {None, "fleet"}:
            say(f"fleets of {STANZAS} stanzas and {SERVERS} Barman servers, in {len(CATALOGS)} sizes")
            fleets = {backups: grown_fleet(seed, pair, backups) for backups in CATALOGS}
            yield from fleet_figures(place, fleets, repeat)


# What is measured


def help_figure(repeat: int) -> Figure:
    """How long `pgwrap --help` takes."""
    say("pgwrap --help")
    sample = Sample(tuple(run((PGWRAP, "--help")).seconds for _ in range(repeat + 1))[1:])
    return Figure(name="`pgwrap --help`", limit="0.15 s", measured=sample.text("s", 3), holds=sample.median <= 0.15)


def pair_figures(pair: Pair, repeat: int) -> Iterator[Figure]:
    """Two clusters, one per engine: against the same calls in parallel, and the script written today."""
    fleet = pair_fleet(pair)
    calls = settle(fleet)
    say(f"status over 2 clusters, {repeat} times against {calls.count} bare calls and the script written today")
    times = interleaved(
        {
            "pgwrap": lambda: status(fleet, (PGWRAP,)),
            "parallel": bare(pair.room, "parallel.sh", parallel_script(calls, at_once())),
            "sequential": bare(pair.room, "sequential.sh", sequential_script(todays_script(pair))),
        },
        repeat,
    )
    took, parallel, sequential = (times[name].wall for name in ("pgwrap", "parallel", "sequential"))
    yield Figure(
        name="status, 2 clusters",
        limit="1.15 x + 0.2 s",
        measured=took.text("s", 2),
        against=f"the same calls in parallel: {parallel.text('s', 2)}",
        ratio=took.median / parallel.median,
        holds=took.median <= 1.15 * parallel.median + 0.2,
    )
    yield Figure(
        name="status, 2 clusters",
        limit="0.6 x",
        measured=took.text("s", 2),
        against=f"five commands one by one: {sequential.text('s', 2)}",
        ratio=took.median / sequential.median,
        holds=took.median <= 0.6 * sequential.median,
    )
    spent = {name: each.cpu for name, each in times.items()}
    yield Figure(
        name="CPU of all processes, 2 clusters",
        limit="",
        measured=spent["pgwrap"].text("s", 2),
        against=f"in parallel {spent['parallel'].text('s', 2)}, one by one {spent['sequential'].text('s', 2)}",
        ratio=spent["pgwrap"].median / spent["parallel"].median,
        holds=None,
    )


def todays_script(pair: Pair) -> tuple[str, ...]:
    """What an operator of both engines runs to see how things are."""
    barman = f"{pair.room.machine.engine('barman').program} -c {pair.barman.config}"
    pgbackrest = f"{pair.room.machine.engine('pgbackrest').program} --config={pair.pgbackrest.config}"
    commands = ("status all", "list-backups all", "check all", "diagnose")
    return (f"{pgbackrest} info", *(f"{barman} {command}" for command in commands))


def fleet_figures(place: Room, fleets: Mapping[int, Fleet], repeat: int) -> Iterator[Figure]:
    """Hundreds of clusters: time, memory, growth with the number of backups, number of processes."""
    calls = {size: settle(fleet) for size, fleet in fleets.items()}
    largest = max(fleets)
    clusters, script = fleets[largest].clusters, parallel_script(calls[largest], at_once())
    say(f"status over {clusters} clusters, {repeat} times against {calls[largest].count} bare calls")
    meters = {size: Meter(place, fleet) for size, fleet in fleets.items()}
    contenders: dict[str, Contender] = {f"{size}": meter.status for size, meter in meters.items()}
    times = interleaved({**contenders, "bare": bare(place, "fleet.sh", script)}, repeat)
    took, parallel = times[f"{largest}"].wall, times["bare"].wall
    yield Figure(
        name=f"status, {clusters} clusters",
        limit="1.3 x",
        measured=took.text("s", 1),
        against=f"the same calls in parallel: {parallel.text('s', 1)}",
        ratio=took.median / parallel.median,
        holds=took.median <= 1.3 * parallel.median,
    )
    peak = Sample(tuple(each / MEGABYTE for each in meters[largest].peaks))
    yield Figure(
        name=f"memory, {clusters} clusters",
        limit="150 MB",
        measured=peak.text("MB", 0),
        holds=max(peak.values) <= 150,
    )
    yield growth({fleets[size].backups: Sample(tuple(meter.seconds)) for size, meter in meters.items()})
    counts = {size: call.count for size, call in calls.items()}
    yield Figure(
        name=f"engine processes, {clusters} clusters",
        limit="equal",
        measured=", ".join(f"{count} at {size} backups each" for size, count in counts.items()),
        holds=len(set(counts.values())) == 1,
    )


def growth(samples: Mapping[int, Sample]) -> Figure:
    """pgwrap's own CPU time over the number of backups: the largest against the line through the two smaller."""
    (few, first), (more, second), (most, third) = ((count, sample.median) for count, sample in samples.items())
    slope = (second - first) / (more - few)
    expected = second + slope * (most - more)
    measured = ", ".join(f"{sample.median:.2f} s at {count}" for count, sample in samples.items())
    return Figure(
        name="pgwrap's own CPU time",
        limit="1.2 x a straight line",
        measured=f"{measured} backups",
        against=f"{first - slope * few:.2f} s + {slope * 1e6:.0f} µs for each backup: {expected:.2f} s",
        ratio=third / expected,
        holds=third <= 1.2 * expected,
    )


# How it is measured


class Meter:
    """Runs a status and keeps what pgwrap's own process took, each time."""

    def __init__(self, place: Room, fleet: Fleet) -> None:
        self.fleet = fleet
        self.seconds: list[float] = []
        self.peaks: list[float] = []
        self._figures = place.path / "figures"

    def status(self) -> float:
        """Wall seconds of one status; its CPU seconds and peak bytes are kept."""
        wall = status(self.fleet, (*MEASURED, str(self._figures)))
        seconds, peak = self._figures.read_text().split()
        self.seconds.append(float(seconds))
        self.peaks.append(float(peak))
        return wall


def interleaved(contenders: Mapping[str, Contender], repeat: int) -> dict[str, Took]:
    """Every contender in turn, `repeat` times over, so that what else the machine does meets all of them."""
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(repeat):
        for name, contender in contenders.items():
            before = _children_seconds()
            wall[name].append(contender())
            cpu[name].append(_children_seconds() - before)
        latest = ", ".join(f"{name} {each[-1]:.2f} s" for name, each in wall.items())
        say(f"  {round_number + 1}: {latest}")
    return {name: Took(wall=Sample(tuple(wall[name])), cpu=Sample(tuple(cpu[name]))) for name in contenders}


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def status(fleet: Fleet, program: tuple[str, ...], *options: str) -> float:
    """Wall seconds of one `pgwrap status`; ProgramFailed when it does not answer yes or no."""
    argv = (*program, "status", "--config", str(fleet.spec), "--output", "json", "--timeout", "300", *options)
    ran = run(argv, check=False, deadline=DEADLINE)
    if ran.exit_code not in {0, 1}:
        raise ProgramFailed(ran)
    return ran.seconds


def settle(fleet: Fleet, attempts: int = 20) -> Calls:
    """Run status until it proves no more commits, as in every status after the first; the engine calls it then makes.

    ProgramFailed when the answer is not whole: a fast wrong answer is worth nothing.
    """
    log, answer = fleet.spec.with_suffix(".log"), fleet.spec.with_suffix(".json")
    for _ in range(attempts):
        log.unlink(missing_ok=True)
        status(fleet, (PGWRAP,), "--log-file", str(log), "--write", str(answer))
        if not any("pg_waldump" in command for command in engine_commands(log)):
            break
    _check(fleet, answer)
    return calls_in(log)


def _check(fleet: Fleet, answer: Path) -> None:
    clusters = json.loads(answer.read_text())["result"]["clusters"]
    listed = sum(len(cluster["backups"]) for cluster in clusters)
    if (len(clusters), listed) != (fleet.clusters, fleet.backups):
        raise SystemExit(
            f"bench: status shows {listed} backups of {len(clusters)} clusters, "
            f"the engines have {fleet.backups} of {fleet.clusters}: {answer}"
        )


def bare(place: Room, name: str, script: str) -> Contender:
    """A run of a script as the engines' user; its wall seconds."""
    path = str(place.write(name, script))
    return lambda: run(("sh", path), user=place.machine.user, check=False, deadline=DEADLINE).seconds


def at_once() -> int:
    """How many commands pgwrap itself lets run at a time."""
    return ProcessRunner().parallel


# What is said


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def facts(machine: Machine, repeat: int, load: float) -> str:
    """What it was measured on, and how busy that was before."""
    processors = os.cpu_count()
    return (
        f"Measured on {machine.summary()}, Python {platform.python_version()}, {processors} processors"
        f" ({_processor()}), load {load:.1f} before the start; medians of {repeat} interleaved runs."
    )


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def table(figures: tuple[Figure, ...]) -> str:
    """A Markdown table that also reads well in a terminal."""
    rows = (HEADER, *(figure.cells() for figure in figures))
    widths = tuple(max(len(row[column]) for row in rows) for column in range(len(HEADER)))
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write(file: Path, report: str) -> None:
    """Put the report between the marks of `file`; the rest of it stays."""
    begin, end = MARKS
    before, found, rest = file.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"bench: {file} has no {begin} … {end} to write between")
    file.write_text(f"{before}{begin}\n{report}\n{end}{after}")


if __name__ == "__main__":
    sys.exit(main())
