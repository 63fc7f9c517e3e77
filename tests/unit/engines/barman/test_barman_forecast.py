"""The forecast of genuine catalogs: it agrees with what Barman's own list says of every backup, in each version."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwrap.domain.facts import Backup, BackupRetention, Observation
from pgwrap.domain.model import Cluster, RetentionPolicy
from pgwrap.domain.retention import Forecast
from pgwrap.engines.barman.expiring import expiry
from pgwrap.engines.barman.forecast import forecast
from pgwrap.engines.barman.observe import observe
from pgwrap.engines.port import EngineVersion, ExpiryRequest, ForecastRequest, ObserveRequest

VERSIONS = ("3.4.0", "3.10.1", "3.13.3", "3.17.0", "3.19.1", "3.20.1")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Clusters = Callable[..., Cluster]


def look(barman: Any, cluster: Cluster) -> Observation:
    """What is observed of one server."""
    request = ObserveRequest(instance=cluster.engine, clusters=(cluster,), run_as={cluster.name: "barman"})
    (seen,) = barman.hold(observe(request))
    return seen  # type: ignore[no-any-return]


def foretold(seen: Observation, cluster: Cluster, *, hypothetical: bool = False) -> Forecast:
    """The forecast of its one repository."""
    (only,) = forecast(
        ForecastRequest(
            cluster=cluster,
            observation=seen,
            version=EngineVersion.parse(seen.engine_version or ""),
            now=NOW,
            hypothetical=hypothetical,
        )
    )
    return only


@pytest.mark.parametrize("server", ["s1", "s2"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_forecast_agrees_with_barmans_own_list(
    replay: Callable[..., Any], cluster: Clusters, version: str, server: str
) -> None:
    """Every verdict is the one that `list-backups` printed: none is in doubt."""
    seen = look(replay(version), cluster(server))
    only = foretold(seen, cluster(server))
    told = {backup.id: backup.retention for backup in seen.backups}
    assert [fate.kept for fate in only.backups] == [told[fate.id].kept for fate in only.backups]  # type: ignore[union-attr]
    assert None not in {fate.kept for fate in only.backups}


def test_the_recorded_policies_let_something_go(replay: Callable[..., Any], cluster: Clusters) -> None:
    """The comparison above is no comparison of nothing with nothing."""
    fates = [
        fate
        for version in VERSIONS
        for server in ("s1", "s2")
        for fate in foretold(look(replay(version), cluster(server)), cluster(server)).backups
    ]
    assert {fate.kept for fate in fates} == {True, False}
    assert {fate.held for fate in fates} > {False}


def test_a_list_that_says_otherwise_makes_it_unknown(replay: Callable[..., Any], cluster: Clusters) -> None:
    """Neither Barman's word nor pgwrap's reading of its rules is believed then."""
    seen = look(replay("3.19.1"), cluster("s1"))
    newest = replace(seen.backups[-1], state="done", retention=BackupRetention(kept=False, reason="obsolete"))
    doubted = foretold(replace(seen, backups=(*seen.backups[:-1], newest)), cluster("s1"))
    assert doubted.backups[-1].kept is None
    assert "Barman says: obsolete" in doubted.backups[-1].reason


def test_a_server_that_cron_skips_loses_nothing(replay: Callable[..., Any], cluster: Clusters) -> None:
    """An inactive server has a policy that nobody applies."""
    seen = replace(look(replay("3.19.1"), cluster("s1")), enforced_by=None)
    only = foretold(seen, cluster("s1"))
    assert (only.enforced_by, only.going(), only.policy) == (None, (), "REDUNDANCY 2, minimum redundancy 1")


def test_what_if_is_judged_by_the_words_of_the_spec(replay: Callable[..., Any], cluster: Clusters) -> None:
    """Not by what is configured now."""
    words = cluster("s1", retention=RetentionPolicy(full=1))
    only = foretold(look(replay("3.19.1"), words), words, hypothetical=True)
    assert only.policy == "REDUNDANCY 1"
    assert dict(only.native)["minimum_redundancy"] == "0"


def backup(id_: str, needs: tuple[str, ...] = ()) -> Backup:
    """A backup that ended long ago."""
    return Backup(
        engine="barman", engine_name="s1", id=id_, repository="repo1", type="incremental" if needs else "full",
        state="done", stopped_at=datetime.strptime(id_, "%Y%m%dT%H%M%S").replace(tzinfo=UTC), needs=needs,
        parent=needs[-1] if needs else None,
    )  # fmt: skip


def test_a_chain_is_deleted_from_its_end(cluster: Clusters) -> None:
    """What builds on a backup goes before it, chain by chain."""
    one, two, three, four = "20261101T000000", "20261102T000000", "20261103T000000", "20261104T000000"
    seen = Observation(
        engine="barman",
        engine_name="s1",
        engine_version="3.20.1",
        backups=(backup(one), backup(two, (one,)), backup(three), backup(four)),
        retention_options=(("retention_policy", "REDUNDANCY 1"), ("minimum_redundancy", "0")),
        enforced_by="barman cron",
    )
    forecasts = (foretold(seen, cluster("s1")),)
    job = expiry(ExpiryRequest(cluster=cluster("s1"), forecasts=forecasts, version=EngineVersion((3, 20, 1))))
    assert [step.command.argv[-1] for step in job.steps] == [two, one, three]
    assert json.dumps(job.notes).count("barman cron deletes the same 3 backups") == 1
