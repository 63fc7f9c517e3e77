"""What is left when pgwrap goes: native files, timers, a runbook, all working without it. It stops nothing."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from pgwrap.domain.handover import Timer
from pgwrap.domain.model import Cluster, EngineInstance, Fleet
from pgwrap.domain.plan import WriteFile
from pgwrap.errors import Problem
from pgwrap.ops.drift import is_ours
from pgwrap.ops.render import render_installations
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import World, owned
from pgwrap.records import dataclass
from pgwrap.text import templating

UNITS: Final = "/etc/systemd/system"
_HEADER: Final = "# Once made by pgwrap from {spec}, which manages it no more: edit it as you like."
_CLAIMS: Final = ("# Change the spec instead", "# spec sha256: ")
_DIGEST: Final = re.compile(r"# .*; digest [0-9a-f]{16}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9:_.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ejection:
    """Everything that is left, at its native paths; the runbook's path is relative."""

    native: tuple[WriteFile, ...]
    units: tuple[WriteFile, ...]
    runbook: WriteFile
    timers: tuple[str, ...]
    """The units to enable."""

    def under(self, directory: str) -> tuple[WriteFile, ...]:
        """All of it below a directory, for review."""
        files = (*self.native, *self.units)
        moved = (replace(file, path=posixpath.join(directory, file.path.lstrip("/"))) for file in files)
        return (*moved, replace(self.runbook, path=posixpath.join(directory, self.runbook.path)))


def eject(
    fleet: Fleet, clusters: tuple[Cluster, ...], choices: Mapping[EngineInstance, VersionChoice], world: World
) -> tuple[Ejection, tuple[Problem, ...]]:
    """What works without pgwrap for `clusters`, and the spec's warnings; nothing is written here."""
    rendered, warnings = render_installations(fleet, clusters, choices, world, secret=world.secret)
    names = {cluster.name for cluster in clusters}
    spec = fleet.files[0] if fleet.files else "the spec"
    native = [file.write for result in rendered.values() for file in result.files if names & {*file.clusters}]
    handovers = tuple(
        world.engine(cluster.engine).handover(cluster, choices[cluster.engine].version)
        for cluster in owned(clusters, world)
    )
    timers = tuple({timer.name: timer for handover in handovers for timer in handover.timers}.values())
    runbook = templating.render(
        "runbook.md.j2",
        {
            "spec": spec,
            "handovers": handovers,
            "files": [file.path for file in native],
            "timers": [f"{_unit(timer)}.timer" for timer in timers],
        },
    )
    return Ejection(
        native=tuple(replace(file, text=_disclaimed(file.text, spec)) for file in native),
        units=tuple(unit for timer in timers for unit in _units(timer)),
        runbook=WriteFile(path="RUNBOOK.md", text=runbook, mode=0o644),
        timers=tuple(f"{_unit(timer)}.timer" for timer in timers),
    ), warnings


def _disclaimed(text: str, spec: str) -> str:
    """The same content under a header that claims nothing."""
    kept = [line for line in text.splitlines() if not _claims(line)]
    return "\n".join((_HEADER.format(spec=spec), *kept)) + "\n"


def _claims(line: str) -> bool:
    return is_ours(line) or line.startswith(_CLAIMS) or _DIGEST.fullmatch(line) is not None


def _units(timer: Timer) -> Iterator[WriteFile]:
    values = {
        "description": _literal(timer.description),
        "calendar": _literal(timer.calendar),
        "user": timer.command.run_as,
        "command": " ".join(_word(word) for word in _argv(timer)),
    }
    for ending in ("service", "timer"):
        text = templating.render(f"unit.{ending}.j2", values)
        yield WriteFile(path=f"{UNITS}/{_unit(timer)}.{ending}", text=text, mode=0o644)


def _argv(timer: Timer) -> Iterable[str]:
    command = timer.command
    return command.argv if command.host is None else ("ssh", "-o", "BatchMode=yes", command.host, _remote(timer))


def _remote(timer: Timer) -> str:
    return replace(timer.command, host=None).quoted()


def _unit(timer: Timer) -> str:
    """A unit's name: systemd takes few characters."""
    return _UNSAFE.sub("_", timer.name)


def _word(word: str) -> str:
    """One argument in ExecStart: quoted, with systemd's own marks doubled (systemd.service, "Command lines")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if not re.fullmatch(r"[A-Za-z0-9_./:=@,+-]+", word) else escaped


def _literal(text: str) -> str:
    return " ".join(text.replace("%", "%%").split())
