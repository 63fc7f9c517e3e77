"""What pgwrap asks of an engine. An engine never runs anything: it turns intents into commands, and text into facts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from pgwrap.records import dataclass

if TYPE_CHECKING:
    from pgwrap.domain.adoption import Adoption
    from pgwrap.domain.checking import Check, Place
    from pgwrap.domain.command import Command, Conversation, Outcome
    from pgwrap.domain.facts import Backup, BackupType, Held, Observation, PostgresView, Tablespace
    from pgwrap.domain.handover import Handover
    from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Path, Repository, Secret
    from pgwrap.domain.native import NativeFile, Reading
    from pgwrap.domain.plan import ClusterSettings, Step, Trial, WriteFile
    from pgwrap.domain.restoring import PlacedTablespace, PlannedSetting, RecoveryTarget
    from pgwrap.domain.retention import Announced, Forecast
    from pgwrap.domain.verification import Examined
    from pgwrap.domain.wal import Timeline
    from pgwrap.engines.catalog_port import Incoming, IncomingRequest, Outgoing, OutgoingRequest
    from pgwrap.engines.history_port import HistorySource, HistoryStanza, Side

_DIGITS = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True, order=True)
class EngineVersion:
    """A released version; compares by its numbers, so 2.9 < 2.45 < 2.55.1."""

    numbers: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> EngineVersion:
        """The first dotted number in `text` ("pgBackRest 2.55.1", "3.4.0 Barman by …"); ValueError without one."""
        match = _DIGITS.search(text)
        if match is None:
            raise ValueError(f"no version number in {text!r}")
        return cls(tuple(int(part) for part in match[0].split(".")))

    def __str__(self) -> str:
        return ".".join(str(number) for number in self.numbers)


RemarkSeverity: TypeAlias = Literal["error", "warning"]
"""An error stops what would write; a warning says what is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What an engine, or this version of it, makes of a word in the spec."""

    path: Path
    """The word's full path in the spec, for its file:line:column."""
    severity: RemarkSeverity
    message: str
    hint: str = ""
    """The nearest thing that works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """Everything an engine needs to write its native files for one installation."""

    instance: EngineInstance
    clusters: tuple[Cluster, ...]
    """Every active cluster of this installation, whichever were named on the command line."""
    version: EngineVersion
    secret: Callable[[Secret], str]
    """Resolves a reference; raises SpecError when it cannot. Masks everything when nothing secret may be shown."""
    spec_file: str
    """Named in the header of each file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFile:
    """A native file, and the clusters whose configuration it holds."""

    write: WriteFile
    clusters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The result of rendering: files, settings, and what the engine makes of the words."""

    files: tuple[RenderedFile, ...]
    settings: tuple[ClusterSettings, ...]
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePlaces:
    """Where an installation's native files are looked for."""

    main: tuple[str, ...]
    """The engine's own file: the first that exists is read."""
    include: str | None = None
    """The directory of further files (`*.conf`, sorted by name); None: the main file says it, or there is none."""
    overrides: tuple[str, ...] = ()
    """Files that the engine itself writes and that win."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """Which configuration the engine is to judge, and for which clusters."""

    instance: EngineInstance
    clusters: tuple[Cluster, ...]
    """Each with the user its commands run as, already resolved."""
    version: EngineVersion
    scratch: str
    """An empty directory that the engine's user owns."""
    files: tuple[NativeFile, ...] | None = None
    """All that the engine would read, main file first; None: what is in place."""
    deadline: float = 30.0
    """Seconds for each command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationRequest:
    """A cluster whose engine is to be made ready to back it up, once its configuration is in place."""

    cluster: Cluster
    """With the user its commands run as, already resolved."""
    server: PostgresView | None
    """PostgreSQL's own view; None: it was not asked."""
    config: EngineInstance
    """Where the configuration is that is asked about: the installation itself, or a trial copy of it."""
    deadline: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveRequest:
    """Which clusters of one installation to look at. Every cluster gets exactly one Observation, in this order."""

    instance: EngineInstance
    clusters: tuple[Cluster, ...]
    run_as: dict[str, str | None] = field(default_factory=dict)
    """By cluster name: the user its commands run as, already resolved."""
    deadline: float = 30.0
    """Seconds for each command."""
    installation: tuple[Cluster, ...] = ()
    """Every active cluster of the installation, asked about or not, where an engine's answer depends on the others
    (pgBackRest's common repositories). Empty: `clusters` are all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """A backup to take. `incremental` and `differential` mean what the engine can do; it refuses what it cannot."""

    cluster: Cluster
    type: Literal["full", "differential", "incremental"]
    repository: tuple[int, Repository] | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    """To be kept with the backup (pgBackRest)."""
    name: str | None = None
    """What the backup may be called besides its id (Barman)."""
    run_as: str | None = None
    version: EngineVersion
    deadline: float = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a running backup is; None where the engine does not tell."""

    fraction: float | None = None
    done_bytes: int | None = None
    total_bytes: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult:
    """The backup just taken."""

    id: str
    type: BackupType
    state: Literal["done", "waiting_for_wal"]
    messages: tuple[str, ...] = ()
    backup: Backup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotHere:
    """No backup was taken because this is not the node to take it on; nothing failed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """How to bring a backup that waits for its last WAL to its end: commands, one after the other, asked repeatedly."""

    commands: tuple[Command, ...]
    settled: Callable[[Outcome], bool]
    """Whether the backup is done, from the last command's outcome; raises as the engine's other commands do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupJob:
    """A backup as data: what to run, how to read a line of its output, how to read its end."""

    command: Command
    progress: Callable[[str], Progress | None]
    conclude: Callable[[Outcome], Conversation[BackupResult | NotHere]]
    """What its end means, which may take a further question: an engine may say the same of a lock and of a failure.
    Raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood."""
    settle: Callable[[str], Settling] | None = None
    """For the id of a backup that waits for WAL; None: the engine's own command waits."""
    streamed: bool = False
    """Whether PostgreSQL itself sends the copy, and so can tell how far it is (pg_stat_progress_basebackup)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """Which backups of one cluster to examine, among all that are `known` (in the catalog's order)."""

    cluster: Cluster
    backups: tuple[Backup, ...]
    known: tuple[Backup, ...]
    only: bool = False
    """Whether nothing else is wanted."""
    repository: str | None = None
    """The one repository to look into, by its name."""
    generate_manifest: bool = False
    """Whether to write what is missing to compare with (Barman's rsync methods)."""
    run_as: str | None = None
    version: EngineVersion
    deadline: float = 86400.0
    """Seconds for each command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyStep:
    """Commands, one after the other, that examine something in one repository, and how to read what they say."""

    repository: str | None
    commands: tuple[Command, ...]
    read: Callable[[tuple[Outcome, ...]], tuple[Examined, ...]]
    """Raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """What of one cluster to check besides what status sees."""

    cluster: Cluster
    passive: bool = False
    """Whether to leave out what changes anything, be it a WAL switch."""
    run_as: str | None = None
    version: EngineVersion
    server_major: int | None = None
    deadline: float = 120.0
    """Seconds for each command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStep:
    """A command that checks something, and what its end means."""

    name: str
    command: Command
    read: Callable[[Outcome], tuple[Check, ...]]
    """Raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRequest:
    """Whose next expiry to foretell; the cluster's words decide where `hypothetical`, else what is configured now."""

    cluster: Cluster
    observation: Observation
    """Of this engine, or of the other one, whose backups are then judged by this engine's rules."""
    version: EngineVersion
    now: datetime
    zone: tzinfo = UTC
    """Of the engine's host, as far as is known: Barman counts days by its wall clock."""
    installation: tuple[Cluster, ...] = ()
    """Every active cluster of the installation, whose configuration may share sections with this one's."""
    hypothetical: bool = False
    by_hand: bool = False
    """What pgwrap's own expiry does to WAL, where that differs from the engine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryRequest:
    """What was foretold of one cluster and is now to happen."""

    cluster: Cluster
    forecasts: tuple[Forecast, ...]
    run_as: str | None = None
    version: EngineVersion
    deadline: float = 86400.0
    """Seconds for each command: an engine deletes whole directories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """The engine's own dry run of one repository, and how to read what it says it would delete."""

    repository: str | None
    command: Command
    read: Callable[[Outcome], Announced]
    """Raises as the engine's other commands do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryStep:
    """One command that deletes, and what it is expected to delete."""

    repository: str | None
    backups: tuple[str, ...]
    command: Command
    check: Callable[[Outcome], None]
    """Raises EngineMissing, EngineTimeout, EngineFailed or Busy when it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryJob:
    """An expiry as data: what to rehearse, what to run, in this order, and what the operator should know."""

    rehearsals: tuple[Rehearsal, ...]
    """Empty where the engine has no dry run."""
    steps: tuple[ExpiryStep, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """A backup to hold against retention, or to release (`target` False)."""

    cluster: Cluster
    backup: Backup
    target: Held
    policy: str | None = None
    """The retention that the engine says it applies to the cluster."""
    run_as: str | None = None
    deadline: float = 30.0
    """Seconds for each command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldJob:
    """A hold or a release as data: what to run, how to see that it was done, how to ask what holds now."""

    command: Command
    check: Callable[[Outcome], None]
    """Raises EngineMissing, EngineTimeout, EngineFailed or Busy when it was not done."""
    question: Command
    answer: Callable[[Outcome], Held]
    """Raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood."""
    notes: tuple[str, ...] = ()
    """What the operator should know of the consequences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """A backup to restore; whether it may be is settled beforehand, and every directory for it is made."""

    cluster: Cluster
    backup: Backup
    target: RecoveryTarget
    timeline: Timeline
    """Along which recovery goes."""
    directory: str
    tablespaces: tuple[PlacedTablespace, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """Symbolic links of the data directory and where they are to lead (pgBackRest)."""
    link_all: bool = False
    delta: bool = False
    """Whether what is there already is kept where it is the same."""
    archive: bool = False
    """Whether the copy may archive as the original does."""
    standby: bool = False
    connection: str | None = None
    """A standby's primary_conninfo; it holds no password."""
    fetch_wal: bool = False
    """Whether PostgreSQL fetches WAL itself during recovery, where the engine would otherwise copy it (Barman)."""
    page_errors: bool = False
    """Whether a backup with wrong page checksums is restored all the same."""
    staging: str | None = None
    """A directory for what the engine unpacks on its way (Barman)."""
    destination: str | None = None
    """The ssh destination of the restored copy, where the engine can write there; None: the engine's own host."""
    run_as: str | None = None
    version: EngineVersion
    deadline: float = 604800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreJob:
    """A restore as data: what to run, how to read it, and what is left to be done to the files then."""

    command: Command
    progress: Callable[[str], Progress | None]
    check: Callable[[Outcome], tuple[str, ...]]
    """What the engine warned of; raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood."""
    written: tuple[PlannedSetting, ...]
    """What the engine writes."""
    settings: tuple[tuple[str, str], ...] = ()
    """What postgresql.auto.conf lacks then, and pgwrap adds."""
    unless_signalled: tuple[tuple[str, str], ...] = ()
    """The same, with a recovery.signal, where the engine wrote neither that nor a standby.signal."""
    directories: tuple[str, ...] = ()
    """Directories below the data directory that the engine may leave out."""
    copied_wal: str | None = None
    """The directory below the data directory into which the engine copies WAL, where it may copy too little."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """A backup to restore into empty private directories, to try it out; never to where the original lies."""

    cluster: Cluster
    backup: Backup
    repository: tuple[int, Repository] | None = None
    data: str
    tablespaces: str
    """The directory under which every tablespace goes."""
    spool: str
    """For what the engine needs besides: locks, queues, staged files."""
    timeline: int
    """The one that the copy is to recover to."""
    run_as: str | None = None
    version: EngineVersion
    environment: tuple[tuple[str, str], ...] = ()
    deadline: float = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyJob:
    """A copy as data: what to run, how to see that it was done, and how the copy fetches WAL."""

    command: Command
    check: Callable[[Outcome], None]
    """Raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood when it was not done."""
    restore_command: str | None = None
    """What PostgreSQL is to fetch WAL with; None: what the engine wrote into the copy."""
    unless_signalled: str | None = None
    """The same where the engine left no recovery.signal, which pgwrap then adds (Barman, for all the WAL there is)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """How an engine that fetches WAL itself is had to do so, each a few commands; empty where PostgreSQL brings it."""

    start: tuple[Command, ...] = ()
    """Begin now, not at the next run of a timer."""
    take: tuple[Command, ...] = ()
    """Put into the archive what has arrived."""
    stop: tuple[Command, ...] = ()
    """Let go of the server."""
    slot: str | None = None
    """The replication slot that is then nobody's."""


class Engine(Protocol):
    """One backup engine, in every version pgwrap knows."""

    @property
    def kind(self) -> EngineKind:
        """Which engine this is."""

    @property
    def oldest(self) -> EngineVersion:
        """The oldest version pgwrap is tested with; an older one is refused."""

    @property
    def newest(self) -> EngineVersion:
        """The newest version pgwrap knows; a newer one works, with a note."""

    def default_user(self, cluster: Cluster) -> str | None:
        """The user its commands run as by its own convention (Barman's barman_user); None: see `owned_paths`."""

    def owned_paths(self, cluster: Cluster) -> tuple[str, ...]:
        """Paths whose owner is the user to run as, best first (the repository, the data directory)."""

    def version(self, instance: EngineInstance, run_as: str | None) -> Conversation[EngineVersion]:
        """Ask which version is installed; raises EngineMissing, EngineFailed, EngineTimeout or OutputNotUnderstood."""

    def review(self, cluster: Cluster, version: EngineVersion) -> tuple[Remark, ...]:
        """What this version makes of the cluster's words: errors where safety is touched, else warnings."""

    def review_together(self, clusters: tuple[Cluster, ...], version: EngineVersion) -> tuple[Remark, ...]:
        """Conflicts between clusters of one installation (the same stanza twice, one path for two servers)."""

    def render(self, request: RenderRequest) -> Rendered:
        """The native files, byte-stable; raises nothing for what `review` reports, but refuses unsafe values."""

    def places(self, files: tuple[NativeFile, ...], instance: EngineInstance | None) -> NativePlaces:
        """Where the files of an installation are: the engine's defaults for None; more is known once some are read."""

    def recognises(self, file: NativeFile) -> bool:
        """Whether a file is in this engine's language, as far as its sections and options tell."""

    def read(self, files: tuple[NativeFile, ...], version: EngineVersion) -> Reading:
        """What this version makes of its files, main file first; raises nothing for what they hold."""

    def adopt(
        self, files: tuple[NativeFile, ...], version: EngineVersion, name: str, native: frozenset[str] = frozenset()
    ) -> Adoption:
        """The files in the spec's words, as the installation called `name`; for files that `read` does not refuse.

        The options of `native` (canonical names) stay native, for a word was found to make a difference.
        """

    def secrets(self, text: str) -> tuple[str, ...]:
        """The values in a native file's text, be it well formed or not, that must never be shown."""

    def trial(self, request: TrialRequest) -> Trial:
        """How the engine itself judges a configuration without changing anything."""

    def preparations(self, request: PreparationRequest) -> Conversation[tuple[Step, ...]]:
        """What has to be done once before the cluster can be backed up (a stanza, a slot), asked for where the engine
        has to be asked; what cannot be established is a Note."""

    def handover(self, cluster: Cluster, version: EngineVersion) -> Handover:
        """The timers and the commands by hand with which the cluster is backed up and restored without pgwrap."""

    def settings(self, cluster: Cluster, version: EngineVersion) -> ClusterSettings:
        """The PostgreSQL settings and slots the cluster needs: wal_level, archive_mode, archive_command, senders."""

    def receiving(self, cluster: Cluster, version: EngineVersion, run_as: str | None) -> Receiving:
        """How the engine is had to fetch WAL, and to stop."""

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        """Look at the clusters without changing anything; failures become findings, never exceptions."""

    def fetch_wal(
        self,
        cluster: Cluster,
        repository: str | None,
        archive: str | None,
        segment: str,
        directory: str,
        run_as: str | None,
    ) -> Command | None:
        """A command that puts the decompressed segment `segment` into `directory` under its own name; None where the
        engine can fetch none on its own host."""

    def forecast(self, request: ForecastRequest) -> tuple[Forecast, ...]:
        """What the engine's next expiry deletes of each repository, and why; what it does not know it says."""

    def expiry(self, request: ExpiryRequest) -> ExpiryJob:
        """How to delete what was foretold, and nothing else."""

    def check_holds(self, cluster: Cluster) -> None:
        """Raises EngineUnsupported, with the nearest thing that works, where the engine cannot hold any backup."""

    def hold(self, request: HoldRequest) -> HoldJob:
        """How to hold or release a backup; raises EngineUnsupported for one that the engine cannot hold."""

    def backup(self, request: BackupRequest) -> BackupJob:
        """How to take a backup; raises EngineUnsupported when this version cannot."""

    def verification(self, request: VerifyRequest) -> tuple[VerifyStep, ...]:
        """How to have backups examined; raises EngineUnsupported where the engine examines none of them."""

    def places_needed(self, cluster: Cluster) -> tuple[Place, ...]:
        """The directories that it needs on its own host."""

    def check(self, request: CheckRequest) -> tuple[CheckStep, ...]:
        """Its own check and what must fit together, each a command."""

    def restore_user(self, cluster: Cluster, owner: str | None) -> str | None:
        """Who a restore runs as, for files that are to belong to `owner` at the end; None: whoever runs pgwrap."""

    def tablespaces(self, cluster: Cluster, backup: Backup, run_as: str | None) -> Conversation[tuple[Tablespace, ...]]:
        """Which tablespaces are in a backup; raises EngineMissing, EngineTimeout, EngineFailed, Busy or
        OutputNotUnderstood."""

    def restore(self, request: RestoreRequest) -> RestoreJob:
        """How to restore a backup; raises EngineUnsupported for what this version cannot."""

    def history_source(self) -> HistorySource:
        """How a history is carried out of it; EngineUnsupported where it is done another way."""

    def history_stanza(self, cluster: Cluster, side: Side) -> HistoryStanza:
        """Where a history is carried to; EngineUnsupported where none can be carried there from here."""

    def outgoing(self, request: OutgoingRequest) -> Outgoing:
        """How its history is given away; raises EngineUnsupported for an engine from which it leaves another way."""

    def incoming(self, request: IncomingRequest) -> Conversation[Incoming]:
        """How another engine's history is taken in, which the server's own settings decide; raises EngineUnsupported
        where it is taken in another way, and as the engine's other commands do."""

    def copy(self, request: CopyRequest) -> Conversation[CopyJob]:
        """How to restore a backup into a private place, its WAL up to the newest; raises EngineUnsupported where this
        cannot be done here, and as the engine's other commands do."""
