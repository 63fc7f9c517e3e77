"""What pgwrap asks of engines to carry the history of one into the other. As ever, an engine runs nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from pgwrap.records import dataclass

if TYPE_CHECKING:
    from pgwrap.domain.command import Command, Conversation, Outcome
    from pgwrap.domain.facts import Tablespace
    from pgwrap.domain.model import Cluster, Secret
    from pgwrap.domain.wal import Timeline
    from pgwrap.domain.wal_file import WalFile
    from pgwrap.engines.port import CopyRequest, EngineVersion

Kind: TypeAlias = Literal["full", "incr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A restore as data: what to run, how to see that it was done, and the tablespaces with their original places."""

    command: Command
    check: Callable[[Outcome], None]
    """Raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood when it was not done."""
    tablespaces: tuple[Tablespace, ...]


class HistorySource(Protocol):
    """The engine that a history is carried from."""

    def depart(self, request: CopyRequest) -> Conversation[Departure]:
        """How to restore a backup without the WAL that makes it consistent; EngineUnsupported for a snapshot."""

    def wal_files(self, cluster: Cluster, directory: str, run_as: str | None) -> Conversation[tuple[WalFile, ...]]:
        """Every file of the WAL archive, in the order in which to carry them."""

    def fetch(self, cluster: Cluster, name: str, directory: str, run_as: str | None) -> Command:
        """Have the engine itself put a file into `directory`, unpacked, whatever it was packed with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The installation that a history is carried into, and who runs its commands."""

    installation: tuple[Cluster, ...]
    version: EngineVersion
    secret: Callable[[Secret], str]
    """Resolves a reference; asked only for what stands in the cluster's own section."""
    run_as: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistentCopy:
    """A copy that was stopped where it is consistent, and how it is to be taken."""

    data: str
    kind: Kind
    checksums: bool
    """Whether its pages have checksums."""
    annotations: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    """What marks the processes of its scratch place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedSet:
    """A backup that was carried before; `origin` is its id at the source."""

    id: str
    origin: str
    timeline: Timeline | None
    annotations: tuple[tuple[str, str], ...]
    stored_bytes: int | None = None
    page_errors: bool = False
    """Whether pages in it have wrong checksums: it is as the source's, and that is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a stanza holds in one repository; all is empty where there is no such stanza yet."""

    sets: tuple[CarriedSet, ...] = ()
    """Those that came from the source, oldest label first."""
    systems: tuple[str, ...] = ()
    """The system identifiers it was made for, the present one last."""
    files: Mapping[str, int] = field(default_factory=dict)
    """The WAL files in the present archive by their names, each with its bytes as stored."""


class HistoryStanza(Protocol):
    """Where a carried history is kept, beside the backups of its cluster."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def one_at_a_time(self) -> bool:
        """Whether it takes no second WAL file while it takes one."""

    def create(self, data: str) -> Command:
        """Make it from the control file of a restored copy; nothing where it is there."""

    def take(self, copy: ConsistentCopy, deadline: float) -> Command:
        """Take a copy as a backup: it is there whole at the end, or not at all."""

    def taken(self, outcome: Outcome) -> str:
        """The id of the backup just taken; raises what the engine's failures raise."""

    def push(self, path: str) -> Command:
        """Archive one WAL file, whose name is its path's; it has ended when the file is there."""

    def check(self, outcome: Outcome) -> None:
        """Raise what the engine's failures raise, for a command that did not succeed."""

    def holdings(self, source: Cluster, system_identifier: str | None) -> Conversation[Holdings]:
        """What it holds of a source's; raises what the engine's failures raise."""

    def astray(self) -> Conversation[str | None]:
        """Why it would not lie in the repository of its cluster's own stanza, which has to be there; None: it does."""

    def annotations(self, request: CopyRequest, departure: Departure) -> tuple[tuple[str, str], ...]:
        """What is kept with a carried backup, so that it is known what it was."""

    def thinning(self) -> tuple[str, ...]:
        """What of the configuration would take away WAL that carried backups need, were it to expire here."""
