"""Reads the native files that an engine really reads, here or on its own host. It judges and changes none."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.model import EngineInstance, EngineKind
from pgwrap.domain.native import NativeFile, Role
from pgwrap.engines.port import NativePlaces
from pgwrap.errors import EngineFailed, PgwrapError
from pgwrap.ops.world import World
from pgwrap.records import dataclass

READ_LIMIT: Final = 64 << 20
"""Bytes of the largest native file that is read: far beyond any configuration."""
_ABSENT: Final = b"No such file or directory"
_SUFFIX: Final = ".conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What was found of one installation. `problem` says why it could not be looked at, wholly or in part."""

    places: NativePlaces
    files: tuple[NativeFile, ...] = ()
    """In the engine's order: its own file, the further ones by name, what it wrote itself."""
    problem: str | None = None

    def content(self, path: str) -> bytes | None:
        """The bytes of one of the files."""
        return next((file.content for file in self.files if file.path == path), None)


def installed(instance: EngineInstance, world: World, user: str | None) -> Installed:
    """Every file that the engine reads, main file first; `user` may read them where pgwrap itself may not."""
    reader = _Reader(instance=instance, world=world, user=user)
    engine = world.engine(instance)
    places = engine.places((), instance)
    try:
        main = next(((path, content) for path in places.main if (content := reader.content(path)) is not None), None)
        files: tuple[NativeFile, ...] = ()
        if main is not None:
            files = (NativeFile(path=main[0], content=main[1], role="main"),)
        places = engine.places(files, instance)
        files += reader.files(reader.configuration_files(places.include), "include")
        places = engine.places(files, instance)
        return Installed(places=places, files=files + reader.files(places.overrides, "override"))
    except PgwrapError as error:
        return Installed(places=places, problem=error.message)


def content(path: str, instance: EngineInstance, world: World, user: str | None) -> bytes | None:
    """One file as the engine's host has it; None when it is not there. PgwrapError when that cannot be told."""
    return _Reader(instance=instance, world=world, user=user).content(path)


def configuration_names(names: Iterable[str], kind: EngineKind) -> Iterator[str]:
    """Those names in a directory of further files that the engine reads.

    pgBackRest takes `.+\\.conf$` (src/config/parse.c), hidden or not; Barman globs `*.conf`, which skips hidden files
    (config.py).
    """
    for name in names:
        hidden = kind is EngineKind.BARMAN and name.startswith(".")
        if name.endswith(_SUFFIX) and name != _SUFFIX and not hidden:
            yield name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads directly where that is allowed, else through `cat` and `find` as the engine's user, on its host."""

    instance: EngineInstance
    world: World
    user: str | None

    def content(self, path: str) -> bytes | None:
        """The bytes of a file."""
        if self.instance.host is None:
            try:
                return self.world.files.read_bytes(path, READ_LIMIT)
            except PgwrapError:
                if self.user is None:
                    raise
        outcome = self._run("cat", "--", path)
        if outcome.exit_code == 1 and _ABSENT in outcome.stderr:
            return None
        return self._answer(outcome, path)

    def files(self, paths: tuple[str, ...], role: Role) -> tuple[NativeFile, ...]:
        """Those of the paths where there is a file."""
        found = ((path, self.content(path)) for path in paths)
        return tuple(
            NativeFile(path=path, content=content, role=role) for path, content in found if content is not None
        )

    def configuration_files(self, directory: str | None) -> tuple[str, ...]:
        """The paths of the `*.conf` files in a directory, by name."""
        if directory is None:
            return ()
        names = sorted(configuration_names(self._names(directory), self.instance.kind))
        return tuple(posixpath.join(directory, name) for name in names)

    def _names(self, directory: str) -> tuple[str, ...]:
        if self.instance.host is None:
            try:
                return self.world.files.entries(directory)
            except PgwrapError:
                if self.user is None:
                    raise
        outcome = self._run("find", "-H", directory, "-mindepth", "1", "-maxdepth", "1", "-printf", "%f\\0")
        if outcome.exit_code == 1 and _ABSENT in outcome.stderr:
            return ()
        return tuple(self._answer(outcome, directory).decode(errors="replace").split("\0"))

    def _run(self, *argv: str) -> Outcome:
        command = Command(argv=argv, run_as=self.user, host=self.instance.host, deadline=30.0)
        return self.world.runner.run(command)

    def _answer(self, outcome: Outcome, path: str) -> bytes:
        if outcome.succeeded:
            return outcome.stdout
        said = outcome.message or (outcome.error_text().strip().splitlines() or ["no reason given"])[-1]
        raise EngineFailed(f"{path} cannot be read: {said}", hint=f"try by hand: {outcome.command.quoted()}")
