"""`pgwrap apply` killed with SIGKILL before each of its effects in turn: each file is the old one or the new one, the
engine takes what is there, and the next run completes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.lab.estate import BILLING, ORDERS, Estate, estate, search_path
from integration.lab.machine import Machine
from integration.lab.process import Ran, run
from integration.lab.room import room

APPLY = ("apply", "--yes", "--no-postgres", "--quiet")
STOPPED = 62
"""pgBackRest read every option of `backup`, then found the stop file of this test."""
ROOT = Path(__file__).parents[1]
EVERY = int(os.environ.get("PGWRAP_KILL_EVERY", "13"))
"""1: before every effect, which takes half an hour; more makes a coarser walk."""


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

    def killed(self, number: int, *options: str) -> Ran:
        """Run apply, killed before its effect `number`."""
        return run(
            (sys.executable, "-m", "integration.lab.killing", str(number), *APPLY, *options),
            check=False,
            directory=ROOT,
            environment={
                "PGWRAP_CONFIG": str(self.made.spec),
                "PATH": search_path(self.made.room.machine),
                "KILLING_COUNT": str(self.made.room.path / "count"),
                "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
            },
        )

    def accepts(self) -> bool:
        """Whether the engine itself takes the configuration as it is now, whole and without a word against it."""
        if self.name == BILLING:
            ran = self.made.barman.run("-f", "json", "list-servers", check=False)
            return ran.exit_code == 0 and "_WARNING" not in ran.stdout and BILLING in json.loads(ran.stdout)
        config = self.made.room.path / "etc/pgbackrest/pgbackrest.conf"
        stopped = self.made.room.directory("stopped")
        (stopped / "all.stop").touch()
        ran = self.made.room.run(
            *(str(self.made.pgbackrest.room.machine.engine("pgbackrest").program), f"--config={config}"),
            *(f"--config-path={config.parent}", f"--lock-path={stopped}", "--stanza=orders", "backup"),
            check=False,
        )
        return ran.exit_code == STOPPED and "WARN" not in ran.stdout + ran.stderr

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


def test_every_kill_leaves_a_whole_configuration(scene: Scene) -> None:
    """Old or new, never in between, and the next run completes; nothing half-written is left."""
    old = scene.native_files()
    change_spec(scene)
    walk(scene, old)


def test_a_stanza_moves_from_conf_d_at_one_moment(scene: Scene) -> None:
    """Written by hand in two files, taken over by one: never twice, which pgBackRest refuses, and never not at all."""
    if scene.name != ORDERS:
        pytest.skip("Barman takes a setting twice")
    directory = scene.made.room.path / "etc/pgbackrest"
    include = scene.made.room.directory("etc/pgbackrest/conf.d")
    text = (directory / "pgbackrest.conf").read_text()
    head, section, rest = text.partition("[orders]\n")
    (directory / "pgbackrest.conf").write_text(
        f"# by hand\n{head.partition('[global]')[1]}{head.partition('[global]')[2]}"
    )
    scene.made.room.write("etc/pgbackrest/conf.d/orders.conf", section + rest)
    config = f"    config: {directory}/pgbackrest.conf\n"
    spec = scene.made.spec.read_text()
    scene.made.spec.write_text(spec.replace(config, f"{config}    include: {include}\n"))
    shutil.rmtree(scene.start / "etc")
    run(("cp", "-a", str(scene.made.room.path / "etc"), str(scene.start / "etc")))
    assert scene.accepts()
    old = scene.native_files()
    assert scene.made.pgwrap("apply", "--yes", "--no-postgres", check=False).exit_code == 8
    change_spec(scene)
    walk(scene, old, "--force")
    assert sorted(path.name for path in include.iterdir()) == ["orders.conf.old"]
    assert sorted(path.name for path in directory.iterdir()) == ["conf.d", "pgbackrest.conf", "pgbackrest.conf.old"]


def change_spec(scene: Scene) -> None:
    """Make the spec want another configuration: with Barman two files change."""
    text = scene.made.spec.read_text().replace("checkpoint: fast}", "checkpoint: spread}")
    home = f"    home: {scene.made.room.path}/barman\n"
    scene.made.spec.write_text(text.replace(home, f"{home}    options: {{log_level: DEBUG}}\n"))


def walk(scene: Scene, old: Mapping[str, str], *options: str) -> None:
    """Kill before each effect; the run that is not killed any more ends the walk."""
    new: dict[str, str] | None = None
    outcomes: list[tuple[int, str]] = []
    for number in range(10_000):
        if number > 1 and number % EVERY:
            continue
        scene.reset()
        ran = scene.killed(number, *options)
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
        mixed = [path for path in now if now[path] not in (old.get(path, ""), new.get(path, ""))]
        assert mixed == [], f"a file is neither old nor new, killed before effect {at}"
        assert scene.accepts(), f"the engine refuses what is there, killed before effect {at}"
        outcomes.append((number, state_of(now, old, new)))
        ran = scene.made.pgwrap("apply", "--yes", "--no-postgres", *options, check=False)
        assert ran.exit_code == 0, f"the next run does not complete, killed before effect {at}: {ran.stderr}"
        assert scene.native_files() == new
        assert leftovers(scene.made) == []
    assert {"old", "new"} <= {state for _, state in outcomes}
    assert scene.name == BILLING or "between" not in {state for _, state in outcomes}
    print(f"{scene.name}: killed before each of {len(outcomes)} effects")


def state_of(now: Mapping[str, str], old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Which configuration that is, an empty file counting as none."""
    said = {path: text for path, text in now.items() if text}
    return "old" if said == old else "new" if said == new else "between"


def leftovers(made: Estate) -> list[str]:
    """Half-written files beside the native ones."""
    return [str(path) for path in (made.room.path / "etc").rglob(".*")]
