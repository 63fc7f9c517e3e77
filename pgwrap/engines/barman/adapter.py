"""Barman behind the engine port; every member hands over to the module that does it."""

from __future__ import annotations

from pgwrap.domain.adoption import Adoption
from pgwrap.domain.checking import Place
from pgwrap.domain.command import Command, Conversation
from pgwrap.domain.facts import Backup, Observation, Tablespace
from pgwrap.domain.handover import Handover
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.domain.native import NativeFile, Reading
from pgwrap.domain.plan import ClusterSettings, Step, Trial
from pgwrap.domain.retention import Forecast
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.backup import backup_job
from pgwrap.engines.barman.observe import observe
from pgwrap.engines.barman.review import review, review_together
from pgwrap.engines.barman.settings import settings
from pgwrap.engines.barman.versions import NEWEST, OLDEST, ask_version
from pgwrap.engines.barman.words import DEFAULT_HOME, backup_directory
from pgwrap.engines.barman.words import owner as owner_of
from pgwrap.engines.catalog_port import Incoming, IncomingRequest, Outgoing, OutgoingRequest
from pgwrap.engines.history_port import HistorySource, HistoryStanza, Side
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


@dataclass(frozen=True, slots=True)
class Barman:
    """Barman 3.4 and newer."""

    @property
    def kind(self) -> EngineKind:
        """Which engine this is."""
        return EngineKind.BARMAN

    @property
    def oldest(self) -> EngineVersion:
        """Debian 12's."""
        return OLDEST

    @property
    def newest(self) -> EngineVersion:
        """The newest one whose outputs were recorded."""
        return NEWEST

    def default_user(self, cluster: Cluster) -> str | None:
        """`barman_user`: Barman refuses to run as anyone else."""
        return owner_of(cluster.engine)

    def owned_paths(self, cluster: Cluster) -> tuple[str, ...]:
        """The server's catalog, then Barman's home."""
        return (backup_directory(cluster), cluster.engine.home or DEFAULT_HOME)

    def version(self, instance: EngineInstance, run_as: str | None) -> Conversation[EngineVersion]:
        """Ask `barman --version`."""
        return ask_version(instance, run_as)

    def review(self, cluster: Cluster, version: EngineVersion) -> tuple[Remark, ...]:
        """See review.py."""
        return review(cluster, version)

    def review_together(self, clusters: tuple[Cluster, ...], version: EngineVersion) -> tuple[Remark, ...]:
        """See review.py."""
        return review_together(clusters, version)

    def render(self, request: RenderRequest) -> Rendered:
        """See render.py."""
        from pgwrap.engines.barman.render import render  # noqa: PLC0415 - Jinja2 is for rendering alone

        return render(request)

    def secrets(self, text: str) -> tuple[str, ...]:
        """See trial.py."""
        from pgwrap.engines.barman.trial import secrets  # noqa: PLC0415 - for `diff` and `apply` alone

        return secrets(text)

    def trial(self, request: TrialRequest) -> Trial:
        """See trial.py."""
        from pgwrap.engines.barman.trial import trial  # noqa: PLC0415 - for `apply` alone

        return trial(request)

    def preparations(self, request: PreparationRequest) -> Conversation[tuple[Step, ...]]:
        """See preparing.py."""
        from pgwrap.engines.barman.preparing import preparations  # noqa: PLC0415 - for `apply` alone

        yield from ()  # it needs no answer of Barman's
        return preparations(request)

    def handover(self, cluster: Cluster, version: EngineVersion) -> Handover:
        """See handover.py."""
        from pgwrap.engines.barman.handover import handover  # noqa: PLC0415 - for `eject` alone

        return handover(cluster, version)

    def places(self, files: tuple[NativeFile, ...], instance: EngineInstance | None) -> NativePlaces:
        """See places.py."""
        from pgwrap.engines.barman.places import places  # noqa: PLC0415 - native files are for a few commands alone

        return places(files, instance)

    def recognises(self, file: NativeFile) -> bool:
        """See places.py."""
        from pgwrap.engines.barman.places import recognises  # noqa: PLC0415 - as `places`

        return recognises(file)

    def read(self, files: tuple[NativeFile, ...], version: EngineVersion) -> Reading:
        """See reading.py."""
        from pgwrap.engines.barman.reading import read  # noqa: PLC0415 - as `places`

        return read(files, version)

    def adopt(
        self,
        files: tuple[NativeFile, ...],
        version: EngineVersion,
        name: str,
        native: frozenset[str] = frozenset(),  # noqa: ARG002 - the adopter finds by itself what no word means
    ) -> Adoption:
        """See adopt.py."""
        from pgwrap.engines.barman.adopt import adopt  # noqa: PLC0415 - as `places`

        return adopt(files, version, name)

    def settings(self, cluster: Cluster, version: EngineVersion) -> ClusterSettings:
        """See settings.py."""
        return settings(cluster, version)

    def receiving(self, cluster: Cluster, version: EngineVersion, run_as: str | None) -> Receiving:
        """See receiving.py."""
        from pgwrap.engines.barman.receiving import receiving  # noqa: PLC0415 - for `migrate` alone

        return receiving(cluster, version, run_as)

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        """See observe.py."""
        return observe(request)

    def fetch_wal(
        self,
        cluster: Cluster,
        repository: str | None,  # noqa: ARG002 - Barman has one
        archive: str | None,  # noqa: ARG002 - and one archive in it
        segment: str,
        directory: str,
        run_as: str | None,
    ) -> Command:
        """`barman get-wal`, which decompresses and decrypts."""
        return commands.fetch_wal(cluster.engine, cluster.engine_name, segment, directory, run_as)

    def forecast(self, request: ForecastRequest) -> tuple[Forecast, ...]:
        """See forecast.py and, for the rules, expiry.py."""
        from pgwrap.engines.barman.forecast import forecast  # noqa: PLC0415 - it loads while the engines work

        return forecast(request)

    def expiry(self, request: ExpiryRequest) -> ExpiryJob:
        """See expiring.py."""
        from pgwrap.engines.barman.expiring import expiry  # noqa: PLC0415 - for `expire` alone

        return expiry(request)

    def check_holds(self, cluster: Cluster) -> None:
        """Barman holds backups with `keep` in every version that pgwrap knows."""

    def hold(self, request: HoldRequest) -> HoldJob:
        """See hold.py."""
        from pgwrap.engines.barman.hold import hold_job  # noqa: PLC0415 - for `hold` and `release` alone

        return hold_job(request)

    def backup(self, request: BackupRequest) -> BackupJob:
        """See backup.py."""
        return backup_job(request)

    def verification(self, request: VerifyRequest) -> tuple[VerifyStep, ...]:
        """See verify.py."""
        from pgwrap.engines.barman.verify import verification  # noqa: PLC0415 - for `verify` alone

        return verification(request)

    def places_needed(self, cluster: Cluster) -> tuple[Place, ...]:
        """See check.py."""
        from pgwrap.engines.barman.check import places  # noqa: PLC0415 - for `check` alone

        return places(cluster)

    def check(self, request: CheckRequest) -> tuple[CheckStep, ...]:
        """See check.py."""
        from pgwrap.engines.barman.check import check_steps  # noqa: PLC0415 - for `check` alone

        return check_steps(request)

    def restore_user(self, cluster: Cluster, owner: str | None) -> str | None:  # noqa: ARG002 - it runs as no other
        """`barman_user`, whoever is to own the files."""
        return cluster.run_as or owner_of(cluster.engine)

    def tablespaces(self, cluster: Cluster, backup: Backup, run_as: str | None) -> Conversation[tuple[Tablespace, ...]]:
        """See restore.py."""
        from pgwrap.engines.barman.restore import tablespaces  # noqa: PLC0415 - for `restore` alone

        return tablespaces(cluster, backup, run_as)

    def restore(self, request: RestoreRequest) -> RestoreJob:
        """See restore.py."""
        from pgwrap.engines.barman.restore import restore_job  # noqa: PLC0415 - for `restore` alone

        return restore_job(request)

    def history_source(self) -> HistorySource:
        """See outgoing.py."""
        from pgwrap.engines.barman.outgoing import BarmanSource  # noqa: PLC0415 - for `migrate` alone

        return BarmanSource()

    def history_stanza(self, cluster: Cluster, side: Side) -> HistoryStanza:  # noqa: ARG002 - the port's
        """Barman keeps what is carried over among its own backups."""
        raise EngineUnsupported("Barman has no stanza beside a server's own", cluster=cluster.name)

    def outgoing(self, request: OutgoingRequest) -> Outgoing:
        """A backup of Barman's leaves by being recovered and stopped, not as plain files."""
        message = "a history leaves Barman by recovering each backup, not as plain files"
        raise EngineUnsupported(message, cluster=request.cluster.name)

    def incoming(self, request: IncomingRequest) -> Conversation[Incoming]:
        """See incoming.py."""
        from pgwrap.engines.barman.incoming import incoming  # noqa: PLC0415 - for `migrate` alone

        return incoming(request)

    def copy(self, request: CopyRequest) -> Conversation[CopyJob]:
        """See copy.py."""
        from pgwrap.engines.barman.copy import copy  # noqa: PLC0415 - for drills alone

        return copy(request)
