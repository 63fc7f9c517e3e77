"""Barman behind the engine port; every member hands over to the module that does it."""

from __future__ import annotations

from dataclasses import dataclass

from pgwrap.domain.command import Command, Conversation
from pgwrap.domain.facts import Observation
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.domain.plan import ClusterSettings
from pgwrap.domain.retention import Forecast
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.backup import backup_job
from pgwrap.engines.barman.observe import observe
from pgwrap.engines.barman.review import review, review_together
from pgwrap.engines.barman.settings import settings
from pgwrap.engines.barman.versions import NEWEST, OLDEST, ask_version
from pgwrap.engines.barman.words import DEFAULT_HOME, backup_directory, owner
from pgwrap.engines.port import (
    BackupJob,
    BackupRequest,
    CopyJob,
    CopyRequest,
    EngineVersion,
    ExpiryJob,
    ExpiryRequest,
    ForecastRequest,
    HoldJob,
    HoldRequest,
    ObserveRequest,
    Remark,
    Rendered,
    RenderRequest,
)


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
        return owner(cluster.engine)

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

    def settings(self, cluster: Cluster, version: EngineVersion) -> ClusterSettings:
        """See settings.py."""
        return settings(cluster, version)

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

    def copy(self, request: CopyRequest) -> Conversation[CopyJob]:
        """See copy.py."""
        from pgwrap.engines.barman.copy import copy  # noqa: PLC0415 - for drills alone

        return copy(request)
