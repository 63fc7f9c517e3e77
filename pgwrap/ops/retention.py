"""What retention keeps and takes, now and under another policy. It looks, foretells, and changes nothing anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.facts import Observation, RecoverableInterval
from pgwrap.domain.model import Cluster, EngineKind, Fleet, NativeOption, Repository, RetentionPolicy
from pgwrap.domain.recovery import recoverable, stretches
from pgwrap.domain.retention import (
    ClusterRetention,
    FleetRetention,
    Forecast,
    WhatIf,
    calendar,
    differences,
    observation_after,
    unused_wal,
)
from pgwrap.engines.port import ForecastRequest
from pgwrap.ops.foretelling import forecast, version_of
from pgwrap.ops.observing import observed
from pgwrap.ops.proofs import CommitCache, ProofReader, Proofs
from pgwrap.ops.world import World
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """Another policy or another engine to compare with; `text` as it was asked."""

    text: str
    policy: RetentionPolicy | None = None
    engine: EngineKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionOptions:
    """Seconds for each engine command, days to look ahead, what to compare with, whether to read commits."""

    deadline: float = 30.0
    days: int = 30
    instead: Instead | None = None
    prove_commits: bool = True


def retention(
    fleet: Fleet,
    clusters: tuple[Cluster, ...],
    world: World,
    *,
    now: datetime,
    options: RetentionOptions,
    meanwhile: Callable[[], object] = lambda: None,
) -> FleetRetention:
    """The whole answer; a cluster that cannot be read says why and holds nothing else back. `meanwhile` as in
    `pgwrap.ops.observing.observed`."""
    seen = observed(fleet, clusters, world, options.deadline, meanwhile)
    cache = CommitCache(files=world.files, state=fleet.state)
    tellers = (
        _Teller(
            fleet=fleet,
            cluster=cluster,
            observation=seen[cluster.name],
            world=world,
            cache=cache,
            now=now,
            options=options,
        )
        for cluster in clusters
    )
    return FleetRetention(
        clusters=tuple(teller.tell() for teller in tellers),
        days=options.days,
        what_if=options.instead.text if options.instead else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller:
    """What is told of one cluster, from one look at it."""

    fleet: Fleet
    cluster: Cluster
    observation: Observation
    world: World
    cache: CommitCache
    """Read once for all clusters of a system."""
    now: datetime
    options: RetentionOptions

    def tell(self) -> ClusterRetention:
        """The answer; only why not, where the engine could not be read."""
        answer = ClusterRetention(
            name=self.cluster.name,
            engine=self.observation.engine,
            engine_version=self.observation.engine_version,
            engine_name=self.observation.engine_name,
            read=self.observation.read,
            findings=self.observation.findings,
        )
        if not self.observation.read:
            return answer
        commits = self._commits()
        forecasts = forecast(self.fleet, self.cluster, self.observation, self.world, self.now)
        found = stretches(self.observation)
        return replace(
            answer,
            repositories=forecasts,
            recoverable=recoverable(found, commits),
            recoverable_after=self._after(forecasts, commits),
            calendar=calendar(forecasts, self.now, self.options.days),
            unused_wal=unused_wal(self.observation, found),
            what_if=self._what_if(self.options.instead, forecasts, commits) if self.options.instead else None,
        )

    def _commits(self) -> Proofs:
        if not self.options.prove_commits:
            return {}
        reader = ProofReader(world=self.world, cluster=self.cluster, cache=self.cache, deadline=self.options.deadline)
        return dict(reader.prove(self.observation))

    def _after(self, forecasts: tuple[Forecast, ...], commits: Proofs) -> tuple[RecoverableInterval, ...]:
        return recoverable(stretches(observation_after(self.observation, forecasts)), commits)

    def _what_if(self, instead: Instead, today: tuple[Forecast, ...], commits: Proofs) -> WhatIf:
        kind = instead.engine or self.cluster.engine.kind
        engine = self.world.engines[kind]()
        same = kind is self.cluster.engine.kind
        version = version_of(self.observation, engine.newest) if same else engine.newest
        other = under(self.cluster, instead.policy)
        forecasts = engine.forecast(
            ForecastRequest(
                cluster=other,
                observation=self.observation,
                version=version,
                now=self.now,
                zone=self.world.zone,
                hypothetical=True,
            )
        )
        remarks = (remark.message for remark in engine.review(other, version) if "retention" in remark.path)
        return WhatIf(
            asked=instead.text,
            repositories=forecasts,
            recoverable_after=self._after(forecasts, commits),
            differences=differences(today, forecasts),
            notes=tuple(dict.fromkeys(remarks)),
        )


def under(cluster: Cluster, policy: RetentionPolicy | None) -> Cluster:
    """The cluster with other words of retention: what it says itself stays where the new words don't speak of it."""
    if policy is None:
        return cluster
    return replace(
        cluster,
        retention=overridden(cluster.retention, policy),
        repositories=tuple(_repository(repository, policy) for repository in cluster.repositories),
        options=_without_retention(cluster.options),
        engine=replace(cluster.engine, options=_without_retention(cluster.engine.options)),
    )


def overridden(base: RetentionPolicy, words: RetentionPolicy) -> RetentionPolicy:
    """As a cluster's words override its defaults: `full` and `window` replace one another; no word at all: none."""
    if words == RetentionPolicy():
        return words
    merged = replace(
        base,
        deliberate=True,
        full=None if words.window_days is not None else base.full,
        window_days=None if words.full is not None else base.window_days,
    )
    names = ("full", "differential", "window_days", "minimum_full", "wal", "wal_type", "history_days")
    said = {name: value for name in names if (value := getattr(words, name)) is not None}
    return replace(merged, **said)


def _repository(repository: Repository, policy: RetentionPolicy) -> Repository:
    own = overridden(repository.retention, policy) if repository.retention is not None else None
    return replace(repository, retention=own, options=_without_retention(repository.options))


def _without_retention(options: tuple[NativeOption, ...]) -> tuple[NativeOption, ...]:
    return tuple(one for one in options if "retention" not in one.key and one.key != "minimum_redundancy")
