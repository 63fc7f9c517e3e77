"""Finds the spec and gives the fleet it describes, or everything that is wrong with it at once.

It never looks in the working directory, and prints nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from pgwrap.domain.model import Fleet
from pgwrap.errors import Problem, SpecError
from pgwrap.spec.reading import Reading, read, read_text

SYSTEM_SPEC = "/etc/pgwrap/pgwrap.yaml"
STATE = "/var/lib/pgwrap"
_NOT_FOUND_HINT = "write a first one with `pgwrap init`, or name it with --config"


_MAY_HOLD_SECRETS = re.compile(r"pass|secret|key|token", re.IGNORECASE)


class FleetCache(Protocol):
    """Remembers what a spec means, by a digest of all its files: checking one takes longer than asking an engine."""

    def get(self, digest: str) -> Fleet | None:
        """The fleet of these files; None when it is not known."""

    def put(self, digest: str, fleet: Fleet) -> None:
        """Remember it; a cache that cannot be kept costs time and nothing else."""


def load(main: str | None, *, environment: Mapping[str, str], is_root: bool, cache: FleetCache | None = None) -> Fleet:
    """The fleet that the spec describes.

    `main` is the file of `--config`; without it, the file is looked for as `find` says. Raises SpecError with every
    problem, in the order of the files; warnings come with the fleet.
    """
    return load_file(main or find(environment=environment, is_root=is_root), cache)


def find(*, environment: Mapping[str, str], is_root: bool, system: str = SYSTEM_SPEC) -> str:
    """The main file: $PGWRAP_CONFIG, /etc/pgwrap/pgwrap.yaml, or the user's own unless root. SpecError without one."""
    stated = environment.get("PGWRAP_CONFIG")
    if stated:
        return stated
    places = (system,) if is_root else (system, *_own_places(environment))
    found = next((place for place in places if _stands(place)), None)
    if found is None:
        message = f"there is no spec: looked for {' and '.join(places)}"
        raise SpecError((Problem(message=message, hint=_NOT_FOUND_HINT),), hint=_NOT_FOUND_HINT)
    return found


def _own_places(environment: Mapping[str, str]) -> tuple[str, ...]:
    home = environment.get("HOME", "")
    configuration = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return (f"{configuration}/pgwrap/pgwrap.yaml",) if configuration.startswith("/") and (home or configuration) else ()


def _stands(place: str) -> bool:
    try:
        return Path(place).exists()
    except PermissionError:  # it may be there: reading it tells what is wrong
        return True


def load_file(main: str, cache: FleetCache | None = None) -> Fleet:
    """The fleet of the spec whose main file this is; raises SpecError with every problem, warnings too."""
    reading = read(main)
    if not reading.sources:
        raise SpecError(reading.ordered())
    if cache is None or reading.problems:
        return _understood(reading)
    digest = _digest(reading)
    fleet = cache.get(digest)
    if fleet is None:
        fleet = _understood(reading)
        if not _holds_secrets(fleet):
            cache.put(digest, fleet)
    return fleet


def load_text(text: str, name: str) -> Fleet:
    """The fleet of a spec that is not written yet, called `name` in what is said of it; raises SpecError."""
    reading = read_text(text, name)
    if not reading.sources:
        raise SpecError(reading.ordered())
    return _understood(reading)


def _digest(reading: Reading) -> str:
    """Of every file's place and content: the same files mean the same fleet."""
    places = "\0".join(str(Path(name).absolute()) for name in reading.names)
    return sha256(places.encode(errors="surrogateescape") + b"".join(reading.digests)).hexdigest()


def _holds_secrets(fleet: Fleet) -> bool:
    """Whether a secret itself may stand in the spec: literally (which is warned of), or in a native option."""
    options = [option for engine in fleet.engines for option in engine.options]
    for cluster in fleet.clusters:
        options += cluster.options
        options += (option for model in cluster.models for option in model.options)
        options += (option for repository in cluster.repositories for option in repository.options)
    return bool(fleet.warnings) or any(_MAY_HOLD_SECRETS.search(option.key) for option in options)


def _understood(reading: Reading) -> Fleet:
    from pgwrap.spec.understanding import understood  # noqa: PLC0415 - pydantic loads for a tenth of a second

    return understood(reading, default_state=STATE)
