"""The files of one Barman put in the order in which Barman reads them, and read. It evaluates no option.

Source: Config in barman/config.py and global_config in barman/cli.py.
"""

from __future__ import annotations

import posixpath
from typing import Final

from pgwrap.domain.native import NativeFile
from pgwrap.engines.barman.ini import RefusedFile, Sections, new_sections
from pgwrap.engines.barman.words import DEFAULT_HOME, DEFAULT_USER
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Problem
from pgwrap.records import dataclass

MODELS: Final = EngineVersion((3, 10))
"""The first version with models, `.barman.auto.conf` and `.active-model.auto`."""
AUTO_CONF: Final = ".barman.auto.conf"
ACTIVE_MODEL: Final = ".active-model.auto"
_ASSUMED: Final = NativeFile(
    path="",
    content=f"""[barman]
barman_user = {DEFAULT_USER}
barman_home = {DEFAULT_HOME}
log_file = /var/log/barman/barman.log
log_level = INFO
configuration_files_directory = /etc/barman.d
""".encode(),
)
"""The main file as packaged, beside files of servers that come alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One Barman's files, read."""

    sections: Sections
    active: tuple[NativeFile, ...]
    """The files that say which model is active."""
    main: NativeFile | None
    """None: only files of servers were named, and the packaged main file is assumed."""
    included: tuple[NativeFile, ...]
    repeated_main: bool = False


def install(files: tuple[NativeFile, ...], version: EngineVersion) -> Installation:
    """Read the files; RefusedFile where Barman would end."""
    mains = tuple(file for file in files if file.role == "main" and _has_barman_section(file))
    included = (
        *(file for file in files if file.role == "main" and file not in mains),
        *sorted((file for file in files if file.role == "include"), key=lambda file: file.path),
        *mains[1:],
    )
    overrides = tuple(file for file in files if file.role == "override")
    auto = tuple(file for file in overrides if posixpath.basename(file.path) != ACTIVE_MODEL)
    active = tuple(file for file in overrides if posixpath.basename(file.path) == ACTIVE_MODEL)
    if version < MODELS:
        auto = active = ()
    sections = new_sections(version)
    sections.merge(mains[0] if mains else _ASSUMED)
    whole = sections.items("barman")
    for file in (*included, *auto):
        sections.merge(file)
        if sections.items("barman") != whole:
            raise RefusedFile(_second_barman(file, sections))
    return Installation(sections=sections, active=active, main=mains[0] if mains else None, included=included)


def _has_barman_section(file: NativeFile) -> bool:
    return any(line.strip() == b"[barman]" or line.startswith(b"[barman]") for line in file.content.splitlines())


def _second_barman(file: NativeFile, sections: Sections) -> Problem:
    places = (sections.place("barman", option) for option in sections.options("barman"))
    place = next((place for place in places if place is not None and place.file == file.path), None)
    return Problem(
        message=f"{posixpath.basename(file.path)} holds a [barman] section, which Barman takes from its main file only",
        location=place,
        hint="move these options into the main file",
    )
