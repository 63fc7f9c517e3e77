"""A pgBackRest that knows four questions, a spec that names it, and the `pgwrap` command to ask with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pgwrap.cli.session import Session
from pgwrap.engines.port import EngineVersion
from pgwrap.ops.render import render_installation
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import by_instance
from pgwrap.spec.loader import load

INFO = {
    "archive": [
        {
            "database": {"id": 1, "repo-key": 1},
            "id": "15-1",
            "max": "000000010000000000000004",
            "min": "000000010000000000000001",
        }
    ],
    "backup": [
        {
            "archive": {"start": "000000010000000000000003", "stop": "000000010000000000000003"},
            "backrest": {"format": 5, "version": "2.55.1"},
            "database": {"id": 1, "repo-key": 1},
            "error": False,
            "info": {"delta": 22996911, "repository": {"delta": 3055987, "size": 3055987}, "size": 22996911},
            "label": "20261123-083046F",
            "lsn": {"start": "0/3000028", "stop": "0/3000100"},
            "prior": None,
            "reference": None,
            "timestamp": {"start": 1795422646, "stop": 1795422654},
            "type": "full",
        }
    ],
    "cipher": "none",
    "db": [{"id": 1, "repo-key": 1, "system-id": 7711281506394560436, "version": "15"}],
    "name": "orders",
    "repo": [{"cipher": "none", "key": 1, "status": {"code": 0, "message": "ok"}}],
    "status": {"code": 0, "lock": {"backup": {"held": False}}, "message": "ok"},
}
"""What pgBackRest 2.45 said of a stanza with one backup."""
LISTING = {
    f"15-1/0000000100000000/00000001000000000000000{number}-{'a' * 40}.gz": {
        "type": "file",
        "size": 16437,
        "time": 1795422644 + number,
    }
    for number in range(1, 5)
}
ENGINE = """\
case "$*" in
    version) echo 'pgBackRest 2.55.1' ;;
    *" --stanza=orders "*" --output=json info") {before}cat {directory}/info.json ;;
    *" repo-ls archive/orders") cat {directory}/listing.json ;;
    *" --stanza=orders "*" --type=full "*" backup") echo 'P00   INFO: new backup label = 20261123-083046F' ;;
    *) echo "ERROR: [031]: this stand-in was never asked: $*" >&2; exit 31 ;;
esac
"""
FAILS = "echo 'ERROR: [037]: something broke' >&2; exit 37\n"
CLUSTER = """\
  {name}:
    engine_name: orders
    postgres: {{data_directory: {data}}}
    repositories: [local]
    retention: {{full: 2}}
"""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """All that a person or a log may have seen."""
        return self.stdout + self.stderr

    def json(self) -> dict[str, object]:
        """The answer of `-o json`."""
        answer: dict[str, object] = json.loads(self.stdout)
        return answer


@dataclass(kw_only=True)
class Desk:
    """A directory with a spec and an engine of its own, and the command."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> Path:
        """Where the spec stands."""
        return self.path / "pgwrap.yaml"

    def engine(self, script: str) -> None:
        """Put a program in the engine's place."""
        program = self.path / "pgbackrest"
        program.write_text(f"#!/bin/sh\n{script}")
        program.chmod(0o755)

    def good_engine(self, info: object = (INFO,), before: str = "") -> None:
        """An engine that answers `info` and a listing that goes with INFO."""
        (self.path / "info.json").write_text(json.dumps(info))
        (self.path / "listing.json").write_text(json.dumps(LISTING))
        self.engine(ENGINE.format(directory=self.path, before=before))

    def write(self, clusters: str | None = None, *, more: str = "", repository: str = "") -> None:
        """Write the spec; `repository` continues the description of its one repository."""
        text = clusters or CLUSTER.format(name="orders", data=self.path / "data")
        self.spec.write_text(
            f"version: 1\nstate: {self.path}/state\n"
            f"engines: {{pgbackrest: {{command: {self.path}/pgbackrest, config: {self.path}/etc/pgbackrest.conf}}}}\n"
            f"repositories: {{local: {{type: posix, path: {self.path}/repository{repository}}}}}\n"
            f"{more}defaults: {{engine: pgbackrest}}\nclusters:\n{text}"
        )

    def install(self) -> None:
        """Put the native file that the spec wants in place, as `pgwrap render --to /` does."""
        fleet = load(str(self.spec), environment={}, is_root=False)
        (instance,) = by_instance(fleet.clusters)
        choice = VersionChoice(version=EngineVersion((2, 55, 1)))
        world = Session(command="render").world()
        rendered = render_installation(fleet, instance, fleet.clusters, choice, world, secret=world.masked)
        for file in rendered.files:
            world.files.write(file.write)

    def argv(self, *arguments: str) -> list[str]:
        """The command line of `pgwrap`."""
        return [sys.executable, "-m", "pgwrap", *arguments]

    def run(self, *arguments: str, **environment: str) -> Ran:
        """Run `pgwrap` with the spec."""
        ended = subprocess.run(
            self.argv(*arguments),
            capture_output=True,
            timeout=60,
            cwd=self.path,
            env=self.variables(**environment),
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Ran(
            exit_code=ended.returncode,
            stdout=ended.stdout.decode(errors="replace"),
            stderr=ended.stderr.decode(errors="replace"),
        )

    def variables(self, **environment: str) -> dict[str, str]:
        """The command's environment: nobody's settings but this desk's."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "BARMAN", "NO_COLOR"))}
        return ours | {"PGWRAP_CONFIG": str(self.spec)} | self.environment | environment
