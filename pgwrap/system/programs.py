"""Finds PostgreSQL's programs where distributions put them. It runs nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from pgwrap.records import dataclass

PLACES = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/usr/local/pgsql/bin",
    "/opt/postgresql/{major}/bin",
)
"""Debian's, PGDG's RPMs', the source's own, and a common hand-made place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPrograms:
    """Looks in `directories` first, then in the distributions' places, then on PATH."""

    directories: tuple[str, ...] = ()

    def postgres(self, program: str, major: str) -> str | None:
        """The first executable found; a program on PATH may be of another major version, so it comes last."""
        for directory in self._candidates(major):
            path = os.path.join(directory, program)  # noqa: PTH118 - a string in, a string out
            if os.access(path, os.X_OK):
                return path
        return shutil.which(program)

    def _candidates(self, major: str) -> Iterator[str]:
        yield from self.directories
        yield from (place.format(major=major) for place in PLACES)
