"""What both halves share: a room, its stopped clock, and pgwrap as a user runs it there. It plants nothing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.lab.machine import Machine
from integration.lab.process import Ran, run
from integration.lab.room import Room
from integration.oracle.clock import Clock
from integration.oracle.judge import Deed

PGWRAP = str(Path(sys.prefix) / "bin" / "pgwrap")
DEADLINE = 1800.0
Deeds = Mapping[tuple[str, str], Deed]
"""By the name of the cluster and of the repository."""


class NotPlanted(Exception):
    """An engine does not take a made-up catalog for its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """A room with a spec in it."""

    room: Room
    clock: Clock

    @property
    def machine(self) -> Machine:
        """What it runs on."""
        return self.room.machine

    @property
    def spec(self) -> Path:
        """The spec's path."""
        return self.room.path / "pgwrap.yaml"

    def wrap(self, engine: str) -> Path:
        """A program that runs the engine under the clock."""
        program = self.room.write(f"bin/{engine}", self.clock.wrapper(self.machine.engine(engine).program), 0o755)
        program.parent.chmod(0o755)
        return program

    def render(self) -> Ran:
        """Have pgwrap write the engine's own files."""
        return self._pgwrap("render", "--to", "/")

    def foretell(self) -> Mapping[str, Mapping[str, Any]]:
        """`pgwrap retention -o json`, once for all: the clusters by name."""
        ran = self._pgwrap("retention", "-o", "json", "--no-commits", "--timeout", "600")
        answer = json.loads(ran.stdout)
        return {cluster["name"]: cluster for cluster in answer["result"]["clusters"]}

    def give_all(self, path: Path) -> None:
        """Give a directory and all in it to the user who runs the engines."""
        if os.geteuid() == 0:
            run(("chown", "--recursive", f"{self.machine.user}:", str(path)))

    def _pgwrap(self, *arguments: str) -> Ran:
        return run(
            (PGWRAP, *arguments, "-c", str(self.spec)),
            directory=self.room.path,
            deadline=DEADLINE,
            environment=self.clock.environment,
        )
