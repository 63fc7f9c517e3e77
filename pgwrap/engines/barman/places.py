"""Where Barman's files are, and whether a file is one of them. It opens none."""

from __future__ import annotations

import re
from typing import Final

from pgwrap.domain.model import EngineInstance
from pgwrap.domain.native import NativeFile
from pgwrap.engines.barman.ini import RefusedFile, Sections, Variables
from pgwrap.engines.barman.installation import ACTIVE_MODEL, AUTO_CONF, install
from pgwrap.engines.barman.options import options
from pgwrap.engines.barman.versions import NEWEST
from pgwrap.engines.barman.words import DEFAULT_HOME
from pgwrap.engines.port import EngineVersion, NativePlaces

_MAIN: Final = (f"{DEFAULT_HOME}/.barman.conf", "/etc/barman.conf", "/etc/barman/barman.conf")
"""As Config.CONFIG_FILES has it, `~` being Barman's own home."""
_ONE_INTERPOLATION: Final = EngineVersion((3, 9))
_SETTING: Final = re.compile(rb"^[ \t]*([A-Za-z_]+)[ \t]*[=:]", re.MULTILINE)
_BARMAN: Final = re.compile(rb"^\[barman\]", re.MULTILINE)
_LOOKED_AT: Final = 1 << 20
"""Bytes of a file that tell its language."""


def places(files: tuple[NativeFile, ...], instance: EngineInstance | None) -> NativePlaces:
    """The main file of the installation, or where Barman looks for it; the rest once that has been read."""
    main = (instance.config,) if instance is not None else _MAIN
    include = instance.include if instance is not None else None
    home = (instance.home if instance is not None else None) or DEFAULT_HOME
    sections = _sections(files)
    if sections is not None:
        include = sections.text("barman", "configuration_files_directory") or None
        home = sections.text("barman", "barman_home") or home
    models = _active_models(sections, home) if sections is not None else ()
    return NativePlaces(main=main, include=include, overrides=(f"{home}/{AUTO_CONF}", *models))


def _sections(files: tuple[NativeFile, ...]) -> Sections | None:
    """What the files hold; None where no Barman takes them."""
    for version in (NEWEST, _ONE_INTERPOLATION):
        try:
            return install(files, version).sections if files else None
        except RefusedFile:
            continue
    return None


def recognises(file: NativeFile) -> bool:
    """Whether the file has a [barman] section, or any option that Barman knows by its name."""
    start = file.content[:_LOOKED_AT]
    if _BARMAN.search(start):
        return True
    names = {name.decode().lower() for name in _SETTING.findall(start)}
    return any(name in names for name in options() if "_" in name or name in ("conninfo", "archiver"))


def _active_models(sections: Sections, home: str) -> tuple[str, ...]:
    """Where `barman config-switch` notes the active model of each server: in its backup directory."""
    servers = {name: {"name": name, "barman_home": home} for name in sections.names() if name != "barman"}
    directories = (
        _directory(sections, name, variables) or _directory(sections, "barman", variables) or f"{home}/{name}"
        for name, variables in servers.items()
    )
    return tuple(f"{directory}/{ACTIVE_MODEL}" for directory in directories)


def _directory(sections: Sections, section: str, variables: Variables) -> str | None:
    """The backup directory that a section gives; one that Barman would refuse gives none."""
    try:
        return sections.text(section, "backup_directory", variables)
    except RefusedFile:
        return None
