"""Remembers that an installation was found, or left, just as its spec says, so that status need not render it again.

What is remembered holds no secret: files are compared with their secrets masked. It decides nothing by itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import posixpath
from collections.abc import Mapping
from typing import Final

from pgwrap import __version__
from pgwrap.domain.drift import masked
from pgwrap.domain.model import Cluster, EngineInstance, Fleet
from pgwrap.domain.plan import WriteFile
from pgwrap.engines.port import Engine, EngineVersion
from pgwrap.errors import PgwrapError
from pgwrap.ops.installed import READ_LIMIT, installed
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import World, by_instance, owned
from pgwrap.records import dataclass

_PATH: Final = ("apply", "in-place.json")
_LOG = logging.getLogger("pgwrap.standing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One installation as the spec has it, for one version of its engine."""

    fleet: Fleet
    instance: EngineInstance
    members: tuple[Cluster, ...]
    """Each with the user its commands run as."""
    version: EngineVersion

    def fingerprint(self) -> str:
        """A digest of all that decides what is rendered, save secrets and where they come from."""
        said = repr((__version__, self.fleet.files[:1], self.instance, self.members, self.version))
        return hashlib.sha256(said.encode(errors="backslashreplace")).hexdigest()


def remember(installation: Installation, paths: tuple[str, ...], world: World) -> None:
    """Note what is in place, at `paths` and where the engine reads; a note that cannot be kept costs time later."""
    entry = {"fingerprint": installation.fingerprint(), "files": _shapes(installation, paths, world)}
    path = posixpath.join(installation.fleet.state, *_PATH)
    try:
        known = _read(path, world)
        known[installation.instance.name] = entry
        world.files.write(WriteFile(path=path, text=json.dumps(known, indent=1) + "\n", mode=0o644))
    except PgwrapError as error:
        _LOG.warning("%s", error.message)


def remember_in_place(fleet: Fleet, choices: Mapping[EngineInstance, VersionChoice], world: World) -> None:
    """Note each installation here of which every file is what its spec says, and nothing else is read."""
    from pgwrap.ops.drift import Wanted, drift  # noqa: PLC0415 - `status` needs neither
    from pgwrap.ops.render import render_installation  # noqa: PLC0415

    for instance, clusters in by_instance(fleet.clusters).items():
        if instance.host is not None:
            continue
        members = owned(clusters, world)
        choice = choices[instance]
        installation = Installation(fleet=fleet, instance=instance, members=members, version=choice.version)
        try:
            rendered = render_installation(fleet, instance, members, choice, world, secret=world.secret)
            found = drift(
                Wanted(
                    fleet=fleet,
                    instance=instance,
                    clusters=members,
                    members=members,
                    rendered=rendered,
                    version=choice.version,
                    user=members[0].run_as,
                    brief=True,
                ),
                world,
            )
        except PgwrapError as error:
            _LOG.info("%s is not noted: %s", instance.name, error.message)
            continue
        if found.drift.clean:
            remember(installation, tuple(file.write.path for file in rendered.files), world)


def note_in_place(
    fleet: Fleet, choices: Mapping[EngineInstance, VersionChoice], files: tuple[WriteFile, ...], world: World
) -> None:
    """After files were put in place without apply: who made them, and which installations are as their spec says."""
    from pgwrap.ops.records import read_records  # noqa: PLC0415 - see above

    try:
        records = read_records(world.files, fleet.state)
        for file in files:
            records.intend(file)
    except PgwrapError as error:
        _LOG.warning("%s", error.message)
    remember_in_place(fleet, choices, world)


def unchanged(installation: Installation, world: World) -> bool:
    """Whether the spec, and every file the engine reads, are as they were when that was noted."""
    path = posixpath.join(installation.fleet.state, *_PATH)
    entry = _read(path, world).get(installation.instance.name)
    if not isinstance(entry, dict) or entry.get("fingerprint") != installation.fingerprint():
        return False
    noted = entry.get("files")
    return isinstance(noted, dict) and noted == _shapes(installation, tuple(noted), world)


def _shapes(installation: Installation, paths: tuple[str, ...], world: World) -> dict[str, str] | None:
    """A digest of each file that the engine reads, and of those at `paths`; None when they cannot be read."""
    there = installed(installation.instance, world, installation.members[0].run_as)
    if there.problem is not None:
        return None
    found = {file.path: file.content for file in there.files}
    for path in paths:
        content = found.get(path) or world.files.read_bytes(path, READ_LIMIT)
        if content is not None:
            found[path] = content
    engine = world.engine(installation.instance)
    return {path: _shape(content.decode(errors="replace"), engine, world, path) for path, content in found.items()}


def _shape(text: str, engine: Engine, world: World, path: str) -> str:
    """A file's text without its secrets, its mode and owner, as one digest."""
    access = world.files.access(path)
    said = repr((masked(text, engine.secrets(text)), access))
    return hashlib.sha256(said.encode(errors="backslashreplace")).hexdigest()


def _read(path: str, world: World) -> dict[str, object]:
    text = world.files.read(path)
    try:
        known = json.loads(text) if text is not None else {}
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}
