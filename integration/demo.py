"""Shows pgwrap on real engines: two throwaway clusters, one spec, real backups, one status. It keeps nothing."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from integration.lab.estate import BILLING, ORDERS, Estate, estate
from integration.lab.machine import Machine, NothingToRun, discover
from integration.lab.native import wait_for_backups, wait_for_stream
from integration.lab.process import ProgramFailed, Ran, describe, processes_in
from integration.lab.room import Room, room, terminate_as_interrupt

ENGINES = {ORDERS: "pgbackrest", BILLING: "barman"}
PACKAGES = {"pgbackrest": "pgBackRest", "barman": "Barman"}


@dataclass(slots=True)
class Stage:
    """Where the demo speaks: commands as a user would type them, what they say, and how long things take."""

    started: float = field(default_factory=time.monotonic)

    def scene(self, text: str) -> None:
        """A heading, with the seconds since the start."""
        print(f"\n[{time.monotonic() - self.started:4.1f} s] {text}", flush=True)

    def typed(self, *argv: str, user: str | None = None) -> None:
        """A command, before it runs."""
        prefix = f"sudo -u {user} " if user and os.geteuid() == 0 else ""
        print(f"$ {prefix}{shlex.join(argv)}", flush=True)

    def said(self, ran: Ran) -> None:
        """What a command printed."""
        for text in (ran.stderr, ran.stdout):
            if text.strip():
                print(text.rstrip(), flush=True)


def main() -> int:
    """0 when every cluster that this machine can show ends `ok`."""
    stage = Stage()
    try:
        machine = discover()
    except NothingToRun as nothing:
        print(f"demo: {nothing}", file=sys.stderr)
        return 1
    chosen = {name: engine for name, engine in ENGINES.items() if getattr(machine, engine)}
    print(f"pgwrap demo · {machine.summary()}")
    tell_missing(chosen)
    if not chosen:
        return 1
    place = Path()
    with terminate_as_interrupt():
        try:
            with room(machine, "demo") as inside:
                place = inside.path
                print(
                    f"everything is in {place}, servers and engines run as {machine.user}, nothing leaves this machine"
                )
                healthy = play(stage, machine, inside, chosen)
        except (ProgramFailed, TimeoutError) as failure:
            print(f"\ndemo: this went wrong: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"\ndemo: interrupted; servers stopped, {place} removed", file=sys.stderr)
            return 130
    return close(stage, place, chosen, healthy=healthy)


def tell_missing(chosen: Mapping[str, str]) -> None:
    """Say plainly which half cannot be shown here."""
    for engine in (engine for engine in ENGINES.values() if engine not in chosen.values()):
        print(f"{PACKAGES[engine]} is not installed, so its cluster is left out; as root: apt-get install {engine}")


def play(stage: Stage, machine: Machine, place: Room, chosen: Mapping[str, str]) -> bool:
    """The whole demo; whether `pgwrap status` ends with ok for every cluster."""
    stage.scene(f"starting throwaway clusters of PostgreSQL {machine.postgres_version}: {', '.join(chosen)}")
    with estate(place, chosen) as made:
        configure(stage, made)
        for name in chosen:
            start_engine(stage, made, name)
        for name in chosen:
            back_up(stage, made, name)
        stage.scene("could every cluster be restored right now?")
        return show(stage, made, "status", check=False).exit_code == 0


def configure(stage: Stage, made: Estate) -> None:
    """One spec; pgwrap checks it and writes each engine's own files; PostgreSQL gets what pgwrap says it needs."""
    stage.scene("one spec for all of them")
    stage.typed("export", f"PGWRAP_CONFIG={made.spec}")
    stage.typed("cat", str(made.spec))
    print(made.spec.read_text().rstrip())
    show(stage, made, "validate")
    show(stage, made, "render", "--to", "/")
    stage.scene("PostgreSQL takes the settings that pgwrap wrote for it, and restarts")
    for name, server in made.servers.items():
        print(f"$ cat {made.settings(name)} >> {server.data / 'postgresql.conf'}", flush=True)
        made.apply_settings(name)


def show(stage: Stage, made: Estate, *arguments: str, check: bool = True) -> Ran:
    """Run pgwrap and show it as it looks."""
    stage.typed("pgwrap", *arguments)
    ran = made.pgwrap(*arguments, check=check)
    stage.said(ran)
    return ran


def start_engine(stage: Stage, made: Estate, name: str) -> None:
    """The engines' own first steps, by their own commands."""
    user = made.room.machine.user
    if made.engines[name] == "pgbackrest":
        stage.scene(f"{name}: pgBackRest creates its stanza")
        stage.typed("pgbackrest", f"--config={made.pgbackrest.config}", f"--stanza={name}", "stanza-create", user=user)
        made.start_engine(name)
    else:
        stage.scene(f"{name}: Barman's cron starts its WAL receiver")
        stage.typed("barman", "-c", str(made.barman.config), "cron", user=user)
        stage.said(made.barman.run("cron"))
        wait_for_stream(made.servers[name])
        commit(stage, made, name)
    made.servers[name].sql("create table entry as select generate_series(1, 10000) as number")


def commit(stage: Stage, made: Estate, name: str) -> None:
    """Commit a row and see it archived, which on an idle cluster takes a switch and one more commit."""
    print(f"  a row committed in {name}, and its WAL archived: {made.commit_and_archive(name)}", flush=True)


def back_up(stage: Stage, made: Estate, name: str) -> None:
    """A real backup; Barman calls it done when its cron has seen all of its WAL."""
    stage.scene(f"{name}: a full backup with {PACKAGES[made.engines[name]]}")
    show(stage, made, "backup", name)
    commit(stage, made, name)
    if made.engines[name] == "barman":
        stage.typed("barman", "-c", str(made.barman.config), "cron", user=made.room.machine.user)
        wait_for_backups(made.barman, name)


def close(stage: Stage, place: Path, chosen: Mapping[str, str], *, healthy: bool) -> int:
    """Say how it ended, after a look that nothing was left behind."""
    left = processes_in(place)
    for pid in left:
        print(f"demo: process {pid} is still there: {describe(pid)}", file=sys.stderr)
    kept = " but its directory is still there" if place.exists() else ""
    verdict = "ok" if healthy else "not ok"
    stage.scene(f"{', '.join(chosen)}: {verdict}; servers stopped, {place} removed{kept}")
    return 0 if healthy and not left and not kept else 1


if __name__ == "__main__":
    sys.exit(main())
