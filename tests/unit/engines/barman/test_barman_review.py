"""What Barman, by version, makes of the words: nothing is lost silently."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgwrap.domain.model import (
    BackupPolicy,
    BarmanModel,
    Cluster,
    Encryption,
    EngineInstance,
    NativeOption,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Schedule,
    Secret,
    Snapshot,
    WalPolicy,
)
from pgwrap.engines.barman.limits import LIMITS
from pgwrap.engines.barman.options import nearest, options
from pgwrap.engines.barman.review import review, review_together
from pgwrap.engines.port import EngineVersion, Remark

Clusters = Callable[..., Cluster]
OLD, NEW = EngineVersion((3, 4, 0)), EngineVersion((3, 20, 1))
SSH = PostgresTarget(host="db", ssh=RemoteHost(address="db"))


def remarks(cluster: Cluster, version: EngineVersion = NEW) -> list[tuple[str, str]]:
    """Severity and the word, without its cluster."""
    return [(remark.severity, ".".join(remark.path[2:])) for remark in review(cluster, version)]


def option(key: str, *values: str) -> tuple[NativeOption, ...]:
    """One native option."""
    return (NativeOption(key=key, values=values),)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_an_ordinary_cluster_gets_no_remarks(cluster: Clusters, version: EngineVersion) -> None:
    """Streaming with a window works in every version."""
    words = {"wal": WalPolicy(delivery="stream", create_slot=True), "retention": RetentionPolicy(window_days=7)}

    assert [] == remarks(cluster("a", postgres=PostgresTarget(host="db"), **words), version)


@pytest.mark.parametrize(
    ("words", "severity", "word"),
    [
        ({"repositories": (Repository(name="a"), Repository(name="b"))}, "error", "repositories"),
        ({"repositories": (Repository(name="a", type="gcs", bucket="b"),)}, "error", "repositories.0"),
        ({"repositories": (Repository(name="a", host=RemoteHost(address="h")),)}, "error", "repositories.0"),
        (
            {"repositories": (Repository(name="a", encryption=Encryption(cipher="aes-256-cbc")),)},
            "error",
            "repositories.0",
        ),
        (
            {"repositories": (Repository(name="a", credentials=(("key", Secret(kind="env", value=("K",))),)),)},
            "warning",
            "repositories.0",
        ),
        ({"retention": RetentionPolicy(full=2)}, "warning", "retention.full"),
        ({"retention": RetentionPolicy(window_days=2, differential=2)}, "warning", "retention.differential"),
        ({"retention": RetentionPolicy(window_days=2, wal=2)}, "warning", "retention.wal"),
        ({"retention": RetentionPolicy(window_days=2, history_days=2)}, "warning", "retention.history"),
        ({"backup": BackupPolicy(method="rsync")}, "error", "backup.method"),
        ({"backup": BackupPolicy(method="snapshot"), "postgres": SSH}, "error", "backup.method"),
        ({"backup": BackupPolicy(source="prefer-standby")}, "warning", "backup.from"),
        ({"backup": BackupPolicy(source="standby")}, "error", "backup.from"),
        ({"backup": BackupPolicy(parallel=4)}, "warning", "backup.parallel"),
        ({"backup": BackupPolicy(compression="gz"), "postgres": SSH}, "warning", "backup.compression"),
        ({"backup": BackupPolicy(rate_limit=1)}, "error", "backup.rate_limit"),
        ({"backup": BackupPolicy(reuse="link")}, "warning", "backup.reuse"),
        ({"backup": BackupPolicy(block_incremental=True)}, "warning", "backup.block_incremental"),
        ({"backup": BackupPolicy(bundle=True)}, "warning", "backup.bundle"),
        ({"backup": BackupPolicy(checksum_page=True)}, "warning", "backup.checksum_page"),
        ({"backup": BackupPolicy(exclude=("x",))}, "warning", "backup.exclude"),
        ({"backup": BackupPolicy(resume=True)}, "warning", "backup.resume"),
        ({"wal": WalPolicy(asynchronous=True)}, "warning", "wal.async"),
        ({"wal": WalPolicy(parallel=2)}, "warning", "wal.parallel"),
        ({"wal": WalPolicy(spool="/s")}, "warning", "wal.spool"),
        ({"wal": WalPolicy(timeout=5)}, "warning", "wal.timeout"),
        ({"wal": WalPolicy(queue_maximum=5)}, "error", "wal.queue_maximum"),
        ({"wal": WalPolicy(synchronous=True)}, "error", "wal.synchronous"),
        ({"wal": WalPolicy(slot="s")}, "warning", "wal.slot"),
        ({"schedule": Schedule(entries=(("differential", "daily"),))}, "warning", "schedule.differential"),
        (
            {"schedule": Schedule(entries=(("incremental", "daily"),)), "postgres": PostgresTarget(version=15)},
            "error",
            "schedule.incremental",
        ),
        ({"schedule": Schedule(entries=(("incremental", "daily"),)), "postgres": SSH}, "error", "schedule.incremental"),
        ({"hooks": (("after_backup", ("x",)),)}, "warning", "hooks.after_backup"),
        ({"postgres": PostgresTarget(password=Secret(kind="env", value=("P",)))}, "warning", "postgres.password"),
        ({"postgres": PostgresTarget(user="a b")}, "error", "postgres"),
        ({"passive": RemoteHost(address="h", transport="tls")}, "error", "passive.transport"),
        ({"engine_name": "a/b"}, "error", "engine_name"),
        ({"engine_name": "all"}, "error", "engine_name"),
    ],
)
def test_a_word_that_barman_lacks_is_reported_where_it_stands(
    cluster: Clusters, words: dict[str, object], severity: str, word: str
) -> None:
    """Errors where safety is touched, warnings for speed and comfort."""
    assert [(severity, word)] == remarks(cluster("a", **words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"wal": WalPolicy(compression="zst")}, [("warning", "wal.compression")]),
        ({"models": (BarmanModel(name="m"),)}, [("error", "models")]),
        (
            {"repositories": (Repository(name="a", encryption=Encryption(cipher="gpg", key_id="K")),)},
            [("error", "repositories.0"), ("error", "repositories.0")],
        ),
        ({"repositories": (Repository(name="a", type="s3", bucket="b"),)}, [("error", "repositories.0")]),
        ({"schedule": Schedule(entries=(("incremental", "daily"),))}, [("error", "schedule.incremental")]),
    ],
)
def test_what_an_old_version_lacks_a_new_one_has(
    cluster: Clusters, words: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    """The same words, two versions."""
    assert expected == remarks(cluster("a", **words), OLD)
    assert [] == remarks(cluster("a", **words), NEW)


def test_a_snapshot_provider_has_its_first_version(cluster: Clusters) -> None:
    """And needs a Python library, whose absence would stop Barman for every server."""
    snapshot = Snapshot(provider="aws", instance="i", disks=("d",), region="r")
    words = {"postgres": SSH, "backup": BackupPolicy(method="snapshot", snapshot=snapshot)}

    assert [("warning", "backup.snapshot")] == remarks(cluster("a", **words))
    assert ("error", "backup.snapshot.provider") in remarks(cluster("a", **words), OLD)


@pytest.mark.parametrize(
    ("key", "value", "version", "said"),
    [
        ("compresion", "gzip", NEW, "has no option compresion"),
        ("worm_mode", "on", OLD, "has no worm_mode, which came with 3.13.2"),
        ("barman_home", "/x", NEW, "belongs to [barman]"),
        ("model", "true", NEW, "belongs to a model"),
        ("compression", "zstd", OLD, "does not take compression = zstd before 3.12.0"),
        ("compression", "zip", NEW, "does not take compression = zip"),
        ("recovery_options", "get-wal,delta-restore", OLD, "recovery_options = delta-restore before 3.16.0"),
        ("retention_policy", "REDUNDANCY two", NEW, "does not understand the retention_policy"),
        ("parallel_jobs", "many", NEW, "must be a whole number"),
        ("archiver", "maybe", NEW, "must be on or off"),
        ("description", "a\nb", NEW, "line break"),
    ],
)
def test_a_wrong_native_option_is_an_error(
    cluster: Clusters, key: str, value: str, version: EngineVersion, said: str
) -> None:
    """Barman itself would only warn, or fall back to a default."""
    found = [
        remark for remark in review(cluster("a", options=option(key, value)), version) if remark.severity == "error"
    ]

    assert ("clusters", "a", "options", "barman", key) == found[0].path
    assert said in found[0].message


def test_a_misspelt_option_gets_the_nearest_one(cluster: Clusters) -> None:
    """Did you mean."""
    (remark,) = review(cluster("a", options=option("compresion", "gzip")), NEW)

    assert "did you mean compression?" == remark.hint


@pytest.mark.parametrize("value", ["", "None", "none"])
def test_unsetting_an_option_is_no_mistake(cluster: Clusters, value: str) -> None:
    """Barman's way to stop inheriting it."""
    assert [] == remarks(cluster("a", options=option("compression", value)))


def test_a_native_option_that_replaces_a_word_is_said(cluster: Clusters) -> None:
    """The author has said it twice."""
    words = {"retention": RetentionPolicy(window_days=2), "options": option("retention_policy", "REDUNDANCY 1")}

    assert [("warning", "options.barman.retention_policy")] == remarks(cluster("a", **words))


def test_a_model_may_not_change_every_option(cluster: Clusters) -> None:
    """Paths stay the server's."""
    model = BarmanModel(name="m", options=option("backup_directory", "/x"))

    assert [("error", "models.m.options.backup_directory")] == remarks(cluster("a", models=(model,)))


def together(*clusters: Cluster) -> list[Remark]:
    """Remarks on all of them."""
    return list(review_together(clusters, NEW))


def test_clusters_with_places_of_their_own_do_not_collide(cluster: Clusters) -> None:
    """One repository holds a directory for each server."""
    shared = (Repository(name="r", path="/srv"),)

    assert [] == together(cluster("a", repositories=shared), cluster("b", repositories=shared))


def test_one_directory_for_two_servers_is_an_error(cluster: Clusters) -> None:
    """Every command of every server would fail."""
    directory = option("backup_directory", "/var/lib/barman/a")

    (remark,) = together(cluster("a"), cluster("b", options=directory))

    assert (("clusters", "b", "repositories"), "error") == (remark.path, remark.severity)


def test_the_same_server_twice_is_an_error(cluster: Clusters) -> None:
    """Name and directory clash."""
    found = together(cluster("a"), cluster("b", engine_name="a"))

    assert [("clusters", "b", "engine_name"), ("clusters", "b", "repositories")] == [remark.path for remark in found]


def test_two_servers_never_share_a_slot(cluster: Clusters) -> None:
    """Names that differ in odd characters alone would get the same one."""
    stream = WalPolicy(delivery="stream")

    (remark,) = together(cluster("a", engine_name="x-1", wal=stream), cluster("b", engine_name="x.1", wal=stream))

    assert ("clusters", "b", "wal", "slot") == remark.path


def test_a_model_may_not_have_a_servers_name(cluster: Clusters) -> None:
    """Both are sections of the same configuration."""
    (remark,) = together(cluster("a"), cluster("b", models=(BarmanModel(name="a"),)))

    assert ("clusters", "b", "models", "a") == remark.path


def test_server_options_in_the_main_file_are_errors(cluster: Clusters, instance: EngineInstance) -> None:
    """Barman accepts them there silently, and ignores them."""
    found = []
    for key in ("conninfo", "keepalive_interval"):
        engine = EngineInstance(
            name="barman", kind=instance.kind, command="barman", config="/c", options=option(key, "5")
        )
        found += together(cluster("a", engine=engine))

    assert [
        "Barman silently ignores conninfo in [barman]",
        "Barman silently ignores keepalive_interval in [barman]",
    ] == [remark.message for remark in found]


def test_the_tables_are_whole() -> None:
    """Every limit says why; every option has a version; known names are their own nearest."""
    assert all(limit.message and limit.path for limit in LIMITS)
    assert 120 < len(options())
    assert all(name == option.name == nearest(name) for name, option in options().items())
