"""What was seen at the places where a restore would write. It looks at nothing and judges nothing.

Whatever could not be seen is None.
"""

from __future__ import annotations

from typing import Literal

from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory that the restore fills, or a path where it would be."""

    path: str
    kind: Literal["directory", "other", "none"] | None
    """`none`: there is nothing; None: it could not be seen."""
    real: str | None = None
    """Its path without symbolic links."""
    empty: bool | None = None
    owner: str | None = None
    identity: str | None = None
    """Device and inode."""
    parent_owner: str | None = None
    """Of the nearest directory above it that exists."""
    mount: str | None = None
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterThere:
    """The PostgreSQL cluster that lies in a directory already."""

    version: str | None = None
    system_identifier: str | None = None
    pid: int | None = None
    """From postmaster.pid; 0 when it holds no number."""
    alive: bool | None = None
    """Whether a process of that number runs; None without a pid file."""
    program: str | None = None
    """That process's name."""

    @property
    def is_postgres(self) -> bool:
        """Whether the process is a PostgreSQL, or cannot be told from one."""
        return self.alive is True and (self.program is None or self.program.startswith(("postgres", "postmaster")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything known of the places of one restore."""

    directory: Place
    there: ClusterThere
    tablespaces: tuple[Place, ...] = ()
    """In the order that they were asked about."""
    own: tuple[bool, ...] = ()
    """Whether the cluster in the directory keeps that tablespace there, in the same order."""
