"""`pgwrap apply` killed with SIGKILL before each of its effects in turn: each file is the old one or the new one, the
engine takes what is there, and the next run completes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.lab.estate import BILLING, ORDERS, Estate, estate, search_path
from integration.lab.machine import Machine
from integration.lab.process import Ran, run
from integration.lab.room import room

APPLY = ("apply", "--yes", "--no-postgres", "--quiet")
ROOT = Path(__file__).parents[1]
EVERY = int(os.environ.get("PGWRAP_KILL_EVERY", "1"))
"""1: before every effect; more makes a coarser walk."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An estate with an old configuration in place, the state it starts from, and a spec that wants a new one."""

    made: Estate
    name: str
    start: Path

    def reset(self) -> None:
        """Native files and pgwrap's state as they were."""
        for part in ("etc", "state"):
            target = self.made.room.path / part
            shutil.rmtree(target)
            run(("cp", "-a", str(self.start / part), str(target)))

    def killed(self, number: int) -> Ran:
        """Run apply, killed before its effect `number`."""
        return run(
            (
                sys.executable,
                "-m",
                "integration.lab.killing",
                str(number),
                "apply",
                "--yes",
                "--no-postgres",
                "--quiet",
            ),
            check=False,
            directory=ROOT,
            environment={
                "PGWRAP_CONFIG": str(self.made.spec),
                "PATH": search_path(self.made.room.machine),
                "KILLING_COUNT": str(self.made.room.path / "count"),
                "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
            },
        )

    def native_files(self) -> dict[str, str]:
        """What the engine reads, by path."""
        return {str(path): path.read_text() for path in sorted((self.made.room.path / "etc").rglob("*.conf"))}


@pytest.fixture(params=[ORDERS, BILLING])
def scene(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """One engine with a first configuration applied, and a spec that says something else."""
    name = request.param
    engine = {ORDERS: "pgbackrest", BILLING: "barman"}[name]
    if getattr(machine, engine) is None:
        pytest.skip(f"{engine} is not installed")
    with room(machine, "kill") as place, estate(place, {name: engine}) as made:
        made.pgwrap("apply", "--yes", check=False)
        start = place.path / "start"
        start.mkdir()
        for part in ("etc", "state"):
            run(("cp", "-a", str(place.path / part), str(start / part)))
        yield Scene(made=made, name=name, start=start)


def accepts(made: Estate, name: str) -> bool:
    """Whether the engine itself takes the configuration as it is now, without a word against it."""
    if name == BILLING:
        ran = made.barman.run("-f", "json", "list-servers", check=False)
        return ran.exit_code == 0 and "_WARNING" not in ran.stdout and BILLING in json.loads(ran.stdout)
    ran = made.pgbackrest.run(f"--stanza={name}", "--output=json", "info", check=False)
    return ran.exit_code == 0 and "WARN" not in ran.stdout + ran.stderr


def test_every_kill_leaves_a_whole_configuration(scene: Scene) -> None:
    """Old or new, never in between, and the next run completes; nothing half-written is left."""
    old = scene.native_files()
    change_spec(scene)
    walk(scene, old, lambda: accepts(scene.made, scene.name))


def change_spec(scene: Scene) -> None:
    """Make the spec want another configuration: with Barman two files change."""
    text = scene.made.spec.read_text().replace("checkpoint: fast}", "checkpoint: spread}")
    home = f"    home: {scene.made.room.path}/barman\n"
    scene.made.spec.write_text(text.replace(home, f"{home}    options: {{log_level: DEBUG}}\n"))


def walk(scene: Scene, old: Mapping[str, str], whole: Callable[[], bool]) -> None:
    """Kill before each effect; the run that is not killed any more ends the walk."""
    new: dict[str, str] | None = None
    outcomes: list[tuple[int, str]] = []
    for number in range(10_000):
        if number > 1 and number % EVERY:
            continue
        scene.reset()
        ran = scene.killed(number)
        if number == 0:  # not killed: what the new configuration is
            assert ran.exit_code == 0, ran.stdout + ran.stderr
            new = scene.native_files()
            assert new != old
            continue
        if ran.exit_code != -signal.SIGKILL:
            assert ran.exit_code == 0, ran.stdout + ran.stderr
            break
        at = (scene.made.room.path / "count").read_text().strip()
        now = scene.native_files()
        assert new is not None
        mixed = [path for path in now if now[path] not in (old.get(path), new.get(path))]
        assert (now.keys(), mixed) == (new.keys(), []), f"a file is neither old nor new, killed before effect {at}"
        assert whole(), f"the engine refuses what is there, killed before effect {at}"
        outcomes.append((number, "old" if now == old else "new" if now == new else "between"))
        ran = scene.made.pgwrap("apply", "--yes", "--no-postgres", check=False)
        assert ran.exit_code == 0, f"the next run does not complete, killed before effect {at}: {ran.stderr}"
        assert scene.native_files() == new
        assert leftovers(scene.made) == []
    assert {"old", "new"} <= {state for _, state in outcomes}
    assert scene.name == BILLING or "between" not in {state for _, state in outcomes}
    print(f"{scene.name}: killed before each of {len(outcomes)} effects")


def leftovers(made: Estate) -> list[str]:
    """Half-written files beside the native ones."""
    return [str(path) for path in (made.room.path / "etc").rglob(".*.tmp")]
