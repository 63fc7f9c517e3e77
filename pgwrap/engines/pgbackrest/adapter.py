"""pgBackRest behind the Engine port: it puts this package's modules together and does nothing by itself."""

from __future__ import annotations

from collections.abc import Generator

from pgwrap.domain.adoption import Adoption
from pgwrap.domain.checking import Place
from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.facts import Backup, Observation, Tablespace
from pgwrap.domain.handover import Handover
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.domain.native import NativeFile, Reading
from pgwrap.domain.plan import ClusterSettings, Step, Trial
from pgwrap.domain.retention import Forecast
from pgwrap.engines.catalog_port import Incoming, IncomingRequest, Outgoing, OutgoingRequest
from pgwrap.engines.history_port import HistorySource, HistoryStanza, Side
from pgwrap.engines.pgbackrest import commands, history, observe, postgres
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.output import version_from
from pgwrap.engines.port import (
    BackupJob,
    BackupRequest,
    CheckRequest,
    CheckStep,
    CopyJob,
    CopyRequest,
    EngineVersion,
    ExpiryJob,
    ExpiryRequest,
    ForecastRequest,
    HoldJob,
    HoldRequest,
    NativePlaces,
    ObserveRequest,
    PreparationRequest,
    Receiving,
    Remark,
    Rendered,
    RenderRequest,
    RestoreJob,
    RestoreRequest,
    TrialRequest,
    VerifyRequest,
    VerifyStep,
)
from pgwrap.errors import EngineUnsupported
from pgwrap.records import dataclass

_OLDEST = EngineVersion((2, 45))
_NEWEST = EngineVersion((2, 60, 0))
_VERSION_DEADLINE = 30.0


@dataclass(frozen=True, slots=True)
class PgBackRest:
    """pgBackRest 2.45 and later, and forks of it that kept its ways."""

    @property
    def kind(self) -> EngineKind:
        """pgBackRest."""
        return EngineKind.PGBACKREST

    @property
    def oldest(self) -> EngineVersion:
        """Debian 12's."""
        return _OLDEST

    @property
    def newest(self) -> EngineVersion:
        """The newest whose options and outputs are in this package."""
        return _NEWEST

    def default_user(self, cluster: Cluster) -> str | None:  # noqa: ARG002 - the port asks for each cluster
        """None: pgBackRest has no user of its own; it runs as who owns its repository."""
        return None

    def owned_paths(self, cluster: Cluster) -> tuple[str, ...]:
        """The local repositories, then the data directory when it is on this host."""
        local = tuple(
            repository.path
            for _, repository in sorted(cluster.keyed_repositories(), key=lambda keyed: keyed[0])
            if repository.type in {"posix", "cifs"} and repository.host is None and repository.path is not None
        )
        data = cluster.postgres.data_directory
        return (*local, data) if data is not None and cluster.postgres.ssh is None else local

    def version(self, instance: EngineInstance, run_as: str | None) -> Conversation[EngineVersion]:
        """Ask which version is installed; raises EngineMissing, EngineFailed, EngineTimeout or OutputNotUnderstood."""
        return _version(instance, run_as)

    def review(self, cluster: Cluster, version: EngineVersion) -> tuple[Remark, ...]:
        """What this version makes of the cluster's words."""
        from pgwrap.engines.pgbackrest import review  # noqa: PLC0415 - `status` needs no option table

        return review.review(cluster, version, _NEWEST)

    def review_together(
        self,
        clusters: tuple[Cluster, ...],
        version: EngineVersion,  # noqa: ARG002 - the same in every version
    ) -> tuple[Remark, ...]:
        """Conflicts between clusters of one installation."""
        from pgwrap.engines.pgbackrest import review  # noqa: PLC0415 - `status` needs no option table

        return review.review_together(clusters)

    def render(self, request: RenderRequest) -> Rendered:
        """pgbackrest.conf, and a second file for a database host of its own; SpecError for values that are unsafe."""
        from pgwrap.engines.pgbackrest import render  # noqa: PLC0415 - `status` needs no templates

        return render.render(request)

    def secrets(self, text: str) -> tuple[str, ...]:
        """See trial.py."""
        from pgwrap.engines.pgbackrest.trial import secrets  # noqa: PLC0415 - for `diff` and `apply` alone

        return secrets(text)

    def trial(self, request: TrialRequest) -> Trial:
        """See trial.py."""
        from pgwrap.engines.pgbackrest.trial import trial  # noqa: PLC0415 - for `apply` alone

        return trial(request)

    def preparations(self, request: PreparationRequest) -> Conversation[tuple[Step, ...]]:
        """See preparing.py."""
        from pgwrap.engines.pgbackrest.preparing import preparations  # noqa: PLC0415 - for `apply` alone

        return preparations(request)

    def handover(self, cluster: Cluster, version: EngineVersion) -> Handover:
        """See handover.py."""
        from pgwrap.engines.pgbackrest.handover import handover  # noqa: PLC0415 - for `eject` alone

        return handover(cluster, version)

    def places(
        self,
        files: tuple[NativeFile, ...],  # noqa: ARG002 - pgBackRest's files name no others
        instance: EngineInstance | None,
    ) -> NativePlaces:
        """Its own places, or those of an installation of the spec."""
        from pgwrap.engines.pgbackrest import places  # noqa: PLC0415 - native files are for a few commands alone

        return places.places(instance)

    def recognises(self, file: NativeFile) -> bool:
        """See reader.py."""
        from pgwrap.engines.pgbackrest import reader  # noqa: PLC0415 - as `places`

        return reader.recognises(file)

    def read(self, files: tuple[NativeFile, ...], version: EngineVersion) -> Reading:
        """See reader.py."""
        from pgwrap.engines.pgbackrest import reader  # noqa: PLC0415 - as `places`

        return reader.read(files, version)

    def adopt(
        self, files: tuple[NativeFile, ...], version: EngineVersion, name: str, native: frozenset[str] = frozenset()
    ) -> Adoption:
        """See adopt.py."""
        from pgwrap.engines.pgbackrest import adopt  # noqa: PLC0415 - as `places`

        return adopt.adopt(files, version, name, native)

    def settings(self, cluster: Cluster, version: EngineVersion) -> ClusterSettings:
        """wal_level, archive_mode, archive_command and max_wal_senders."""
        return postgres.settings_for(cluster, version)

    def receiving(self, cluster: Cluster, version: EngineVersion, run_as: str | None) -> Receiving:  # noqa: ARG002
        """PostgreSQL brings it all."""
        return Receiving()

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        """Look at the clusters without changing anything."""
        return observe.observe(request, _OLDEST, _NEWEST)

    def fetch_wal(
        self,
        cluster: Cluster,
        repository: str | None,
        archive: str | None,
        segment: str,
        directory: str,
        run_as: str | None,
    ) -> Command | None:
        """A command that puts the segment into `directory`; None where the data directory is on another host.

        Which archive of a stanza, pgBackRest finds out from the data directory itself.
        """
        if cluster.postgres.ssh is not None:
            return None
        keys = {known.name: key for key, known in cluster.keyed_repositories()}
        stanza = history.of_archive(cluster, archive)
        return postgres.fetch_wal(stanza, keys.get(repository or ""), segment, directory, run_as)

    def forecast(self, request: ForecastRequest) -> tuple[Forecast, ...]:
        """See forecast.py and, for the rules, expiry.py."""
        from pgwrap.engines.pgbackrest.forecast import forecast  # noqa: PLC0415 - it loads while the engines work

        return forecast(request)

    def expiry(self, request: ExpiryRequest) -> ExpiryJob:
        """See expiring.py."""
        from pgwrap.engines.pgbackrest.expiring import expiry  # noqa: PLC0415 - for `expire` alone

        return expiry(request)

    def check_holds(self, cluster: Cluster) -> None:
        """Raises EngineUnsupported: pgBackRest holds no backup."""
        from pgwrap.engines.pgbackrest import hold  # noqa: PLC0415 - for `hold` and `release` alone

        raise hold.unsupported(cluster)

    def hold(self, request: HoldRequest) -> HoldJob:
        """Raises EngineUnsupported: pgBackRest holds no backup."""
        from pgwrap.engines.pgbackrest import hold  # noqa: PLC0415 - for `hold` and `release` alone

        raise hold.unsupported(request.cluster)

    def backup(self, request: BackupRequest) -> BackupJob:
        """How to take a backup."""
        from pgwrap.engines.pgbackrest import backup  # noqa: PLC0415 - `status` takes none

        return backup.backup(request)

    def verification(self, request: VerifyRequest) -> tuple[VerifyStep, ...]:
        """See verify.py."""
        from pgwrap.engines.pgbackrest.verify import verification  # noqa: PLC0415 - for `verify` alone

        return verification(request)

    def places_needed(self, cluster: Cluster) -> tuple[Place, ...]:
        """See check.py."""
        from pgwrap.engines.pgbackrest.check import places  # noqa: PLC0415 - for `check` alone

        return places(cluster)

    def check(self, request: CheckRequest) -> tuple[CheckStep, ...]:
        """See check.py."""
        from pgwrap.engines.pgbackrest.check import check_steps  # noqa: PLC0415 - for `check` alone

        return check_steps(request)

    def restore_user(self, cluster: Cluster, owner: str | None) -> str | None:
        """The owner of the restored files: pgBackRest restores as who is to own them (its own `pg1-user`'s account)."""
        return owner or cluster.run_as or cluster.engine.run_as

    def tablespaces(self, cluster: Cluster, backup: Backup, run_as: str | None) -> Conversation[tuple[Tablespace, ...]]:
        """Which tablespaces are in a backup."""
        from pgwrap.engines.pgbackrest import restore  # noqa: PLC0415 - for `restore` alone

        return restore.tablespaces(cluster, backup, run_as)

    def restore(self, request: RestoreRequest) -> RestoreJob:
        """How to restore a backup."""
        from pgwrap.engines.pgbackrest import restore  # noqa: PLC0415 - for `restore` alone

        return restore.restore(request)

    def history_source(self) -> HistorySource:
        """A backup of pgBackRest's goes out file by file, not by way of a copy that ran."""
        raise EngineUnsupported("pgBackRest's backups need no recovery to be carried over")

    def history_stanza(self, cluster: Cluster, side: Side) -> HistoryStanza:
        """See incoming.py."""
        from pgwrap.engines.pgbackrest.incoming import incoming  # noqa: PLC0415 - for `migrate` alone

        return incoming(cluster, side)

    def outgoing(self, request: OutgoingRequest) -> Outgoing:
        """See outgoing.py."""
        from pgwrap.engines.pgbackrest.outgoing import PgbackrestOutgoing  # noqa: PLC0415 - for `migrate` alone

        return PgbackrestOutgoing(request=request)

    def incoming(self, request: IncomingRequest) -> Conversation[Incoming]:
        """pgBackRest takes in nothing but what it backed up itself."""
        message = "pgBackRest's catalog takes no foreign backups: a history is backed up into a stanza of its own"
        raise EngineUnsupported(message, cluster=request.cluster.name)

    def copy(self, request: CopyRequest) -> Conversation[CopyJob]:
        """See copy.py."""
        return _copy(request)


def _version(
    instance: EngineInstance, run_as: str | None
) -> Generator[tuple[Command, ...], tuple[Outcome, ...], EngineVersion]:
    (outcome,) = yield (commands.version_command(instance, run_as, _VERSION_DEADLINE),)
    raise_for(outcome)
    return version_from(outcome.text())


def _copy(request: CopyRequest) -> Generator[tuple[Command, ...], tuple[Outcome, ...], CopyJob]:
    """Nothing has to be asked first."""
    from pgwrap.engines.pgbackrest.copy import copy  # noqa: PLC0415 - for drills alone

    yield ()
    return copy(request)
