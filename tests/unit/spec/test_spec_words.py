"""What right specs mean: every word, defaults, references, secrets, options, places."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgwrap.domain.model import (
    BarmanModel,
    EngineInstance,
    EngineKind,
    Fleet,
    NativeOption,
    Objectives,
    PostgresTarget,
    RemoteHost,
    RetentionPolicy,
    Secret,
    Snapshot,
    Tls,
)
from pgwrap.errors import Location
from pgwrap.spec.loader import load

LoadText = Callable[[str], Fleet]
SKETCH = Path(__file__).parent / "sketch.yaml"


def test_one_spec_describes_clusters_of_both_engines() -> None:
    """The words of the design's own example."""
    fleet = load(str(SKETCH), environment={}, is_root=True)
    orders, billing = fleet.clusters

    assert ("orders", "billing") == (orders.name, billing.name)
    assert (EngineKind.PGBACKREST, EngineKind.BARMAN) == (orders.engine.kind, billing.engine.kind)
    assert ("orders", "billing-prod") == (orders.engine_name, billing.engine_name)
    assert [(1, "local"), (2, "offsite")] == [(key, found.name) for key, found in orders.keyed_repositories()]
    assert Objectives(rpo=300, backup_age=93_600) == billing.objectives
    assert (NativeOption(key="last_backup_maximum_age", values=("2 days",)),) == billing.options
    assert ("prefer-standby", True) == (orders.backup.source, orders.wal.asynchronous)
    assert () == fleet.warnings


def test_a_spec_without_clusters_is_right(load_text: LoadText) -> None:
    """One has to begin somewhere."""
    fleet = load_text("")

    assert ((), (), "/var/lib/pgwrap") == (fleet.clusters, fleet.engines, fleet.state)


def test_engines_have_their_usual_places(load_text: LoadText) -> None:
    """A cluster that says nothing is backed up by pgBackRest as packages install it."""
    default, barman = load_text("clusters: {a: {}, b: {engine: barman}}").clusters

    assert (
        EngineInstance(
            name="pgbackrest",
            kind=EngineKind.PGBACKREST,
            command="pgbackrest",
            config="/etc/pgbackrest/pgbackrest.conf",
        )
        == default.engine
    )
    assert (
        EngineInstance(
            name="barman",
            kind=EngineKind.BARMAN,
            command="barman",
            config="/etc/barman.conf",
            include="/etc/barman.d",
            home="/var/lib/barman",
        )
        == barman.engine
    )


def test_an_engine_may_be_installed_more_than_once(load_text: LoadText) -> None:
    """Each installation has a name; an entry of another name says which engine it is."""
    fleet = load_text(
        "engines:\n"
        "  far: {engine: barman, host: barman@backup1, config: /srv/barman.conf, options: {log_level: DEBUG}}\n"
        "clusters: {a: {engine: far}, b: {engine: barman}}"
    )

    assert ["barman", "far"] == [engine.name for engine in fleet.engines]
    assert ("barman@backup1", EngineKind.BARMAN) == (fleet.clusters[0].engine.host, fleet.clusters[0].engine.kind)
    assert (NativeOption(key="log_level", values=("DEBUG",)),) == fleet.clusters[0].engine.options


def test_defaults_merge_by_word_and_lists_are_replaced(load_text: LoadText) -> None:
    """A mapping merges, a list or single value is replaced, null takes a default away."""
    (cluster,) = load_text(
        "defaults:\n"
        "  {backup: {parallel: 4, compression: zst, exclude: [a, b]}, description: all, objectives: {rpo: 5min}}\n"
        "clusters: {x: {backup: {parallel: 8, exclude: [c]}, description: null}}"
    ).clusters

    assert (8, "zst", ("c",), None) == (
        cluster.backup.parallel,
        cluster.backup.compression,
        cluster.backup.exclude,
        cluster.description,
    )
    assert 300 == cluster.objectives.rpo


def test_a_cluster_may_say_nothing_but_its_name(load_text: LoadText) -> None:
    """Everything then comes from the defaults."""
    (cluster,) = load_text("defaults: {run_as: pg}\nclusters:\n  x:\n").clusters

    assert "pg" == cluster.run_as


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", RetentionPolicy(deliberate=False)),
        ("retention: null", RetentionPolicy(deliberate=False)),
        ("retention: none", RetentionPolicy(deliberate=True)),
        ("retention: {full: 4, differential: 6}", RetentionPolicy(full=4, differential=6)),
        ("retention: {window: 2 weeks, minimum_full: 2}", RetentionPolicy(window_days=14, minimum_full=2)),
        (
            "retention: {full: 1, wal: 2, wal_type: incremental, history: 0d}",
            RetentionPolicy(full=1, wal=2, wal_type="incremental", history_days=0),
        ),
    ],
)
def test_retention_tells_none_on_purpose_from_nothing_said(
    load_text: LoadText, words: str, expected: RetentionPolicy
) -> None:
    """`none` is a decision, silence is a finding."""
    (cluster,) = load_text(f"clusters: {{x: {{{words}}}}}").clusters

    assert expected == cluster.retention


def test_a_clusters_full_takes_the_place_of_a_default_window(load_text: LoadText) -> None:
    """The two exclude one another, so the default gives way; the rest of it stays."""
    (cluster,) = load_text(
        "defaults: {retention: {window: 14d, minimum_full: 2}}\nclusters: {x: {retention: {full: 4}}}"
    ).clusters

    assert RetentionPolicy(full=4, minimum_full=2) == cluster.retention


def test_every_form_of_secret_is_a_reference(load_text: LoadText) -> None:
    """Where it is found, never what it is."""
    (cluster,) = load_text(
        "repositories:\n  r:\n    type: s3\n    bucket: b\n    credentials:\n"
        "      key: {env: KEY}\n      secret: {file: /run/secret}\n      token: {credential: tok}\n"
        "      customer_key: {command: [pass, show, x]}\nclusters: {x: {repositories: [r]}}"
    ).clusters

    assert (
        ("key", Secret(kind="env", value=("KEY",))),
        ("secret", Secret(kind="file", value=("/run/secret",))),
        ("token", Secret(kind="credential", value=("tok",))),
        ("customer_key", Secret(kind="command", value=("pass", "show", "x"))),
    ) == cluster.repositories[0].credentials


@pytest.mark.parametrize("words", ["hunter2", "{literal: hunter2}"])
def test_a_literal_secret_is_a_warning_that_does_not_show_it(load_text: LoadText, words: str) -> None:
    """It works, but it stands readable in the spec."""
    fleet = load_text(f"clusters:\n  x:\n    postgres: {{password: {words}}}\n")
    (warning,) = fleet.warnings

    assert Secret(kind="literal", value=("hunter2",)) == fleet.clusters[0].postgres.password
    assert ("warning", "clusters.x.postgres.password") == (warning.severity, warning.path)
    assert warning.location is not None
    assert 4 == warning.location.line
    assert "hunter2" not in f"{warning} {fleet!r}"


def test_native_options_keep_their_text_and_only_the_clusters_engine_counts(load_text: LoadText) -> None:
    """Defaults can hold options for both engines; values are what the author typed."""
    left, right = load_text(
        "defaults:\n  options:\n"
        "    pgbackrest: {buffer-size: 16MiB, archive-push: {compress-level: 010, exclude: [a, no]}}\n"
        "    barman: {minimum_redundancy: 1, post_backup_script: null}\n"
        "clusters: {p: {}, b: {engine: barman}}"
    ).clusters

    assert (
        NativeOption(key="buffer-size", values=("16MiB",)),
        NativeOption(key="compress-level", values=("010",), section="archive-push"),
        NativeOption(key="exclude", values=("a", "no"), section="archive-push"),
    ) == left.options
    assert (NativeOption(key="minimum_redundancy", values=("1",)),) == right.options


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("postgres@db2", RemoteHost(address="db2", user="postgres")),
        ("db2:2222", RemoteHost(address="db2", port=2222)),
        ("'postgres@[2001:db8::5]:2222'", RemoteHost(address="2001:db8::5", user="postgres", port=2222)),
        (
            "{address: db2, transport: tls, tls: {ca_file: /ca, cert_file: /c, key_file: /k}}",
            RemoteHost(address="db2", transport="tls", tls=Tls(ca_file="/ca", cert_file="/c", key_file="/k")),
        ),
    ],
)
def test_hosts_have_a_short_and_a_long_form(load_text: LoadText, words: str, expected: RemoteHost) -> None:
    """user@host:port, or a mapping."""
    (cluster,) = load_text(f"clusters: {{x: {{postgres: {{ssh: {words}}}, passive: {words}}}}}").clusters

    assert (expected, expected) == (cluster.postgres.ssh, cluster.passive)


def test_the_rest_of_the_vocabulary_loads(load_text: LoadText) -> None:
    """Standbys, models, snapshots, stores of every type, sizes and rates."""
    cluster, other = load_text(
        "repositories:\n"
        "  g: {type: gcs, bucket: b, key_type: auto, key: 7}\n"
        "  a: {type: azure, container: c, account: d, verify_tls: false, options: {storage-tag: [a=b, c=d]}}\n"
        "  s: {type: sftp, path: /s, sftp_host: h, sftp_user: u, host_key_hash: sha256}\n"
        "  p: {path: /p, host: pgbackrest@repo1, retention: {full: 2}, encryption: {cipher: none}}\n"
        "clusters:\n"
        "  x:\n"
        "    standbys: [{data_directory: /d, ssh: db3, port: 5433, ask: false}]\n"
        "    repositories: [g, a, s, p]\n"
        "    backup: {rate_limit: 20MiB/s}\n"
        "    wal: {queue_maximum: 10GiB, timeout: 2min}\n"
        "    postgres: {wal_segment_size: 64MB, version: 17}\n"
        "  y:\n"
        "    engine: barman\n"
        "    active: false\n"
        "    backup: {method: snapshot, snapshot: {provider: gcp, instance: vm, disks: [d1, d2], project: p}}\n"
        "    models: {away: {postgres: {host: db9}, options: {minimum_redundancy: 0}}}\n"
    ).clusters

    assert [7, 1, 2, 3] == [key for key, _ in cluster.keyed_repositories()]
    assert (NativeOption(key="storage-tag", values=("a=b", "c=d")),) == cluster.repositories[1].options
    assert None is cluster.repositories[3].encryption
    assert (
        PostgresTarget(data_directory="/d", ssh=RemoteHost(address="db3"), port=5433, ask=False),
    ) == cluster.standbys
    assert (20 << 20, 10 << 30, 120) == (
        cluster.backup.rate_limit,
        cluster.wal.queue_maximum,
        cluster.wal.timeout,
    )
    assert (64 << 20, 17) == (cluster.postgres.wal_segment_size, cluster.postgres.version)
    assert Snapshot(provider="gcp", instance="vm", disks=("d1", "d2"), project="p") == other.backup.snapshot
    assert (
        BarmanModel(
            name="away",
            postgres=PostgresTarget(host="db9"),
            options=(NativeOption(key="minimum_redundancy", values=("0",)),),
        ),
    ) == other.models
    assert not other.active


def test_places_point_to_what_was_written(load_text: LoadText, tmp_path: Path) -> None:
    """A value that came from defaults points there; a word that was not written to what is around it."""
    fleet = load_text("defaults:\n  backup: {parallel: 4}\nclusters:\n  x:\n    repositories: []\n")
    file = str(tmp_path / "pgwrap.yaml")

    assert Location(file, 3, 22) == fleet.locations["clusters", "x", "backup", "parallel"]
    assert Location(file, 5, 3) == fleet.locations["clusters", "x"]
    assert Location(file, 5, 3) == fleet.locate(("clusters", "x", "wal", "slot"))


@pytest.mark.parametrize("name", ["main db", "büro", "a.b", "a#b;c", "100%", "'quoted'", "$HOME", "データ"])
def test_odd_but_legal_names_are_kept(load_text: LoadText, name: str) -> None:
    """Names are the owner's."""
    (cluster,) = load_text(f"clusters: {{{json.dumps(name)}: {{}}}}").clusters

    assert (name, name) == (cluster.name, cluster.engine_name)


harmless = st.text(
    st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="\u2028\u2029\ufffe\uffff"), min_size=1
).filter(lambda text: text.strip() != "")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(harmless)
def test_any_text_survives_loading_unchanged(load_text: LoadText, text: str) -> None:
    """Brackets, hashes, quotes, percent signs, any script: a value is a value."""
    quoted = json.dumps(text, ensure_ascii=False)
    (cluster,) = load_text(
        f"clusters: {{x: {{description: {quoted}, options: {{pgbackrest: {{k: {quoted}}}}}}}}}"
    ).clusters

    assert (text, (NativeOption(key="k", values=(text,)),)) == (cluster.description, cluster.options)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        ["no", "yes", "on", "off", "010", "1_000", "0x1f", "1:30", "2020-01-01", "1e5", "1.10", "true", "0"]
    )
)
def test_unquoted_text_is_what_was_typed(load_text: LoadText, text: str) -> None:
    """Where text is wanted nothing is read as a number, date or truth."""
    (cluster,) = load_text(f"clusters: {{x: {{description: {text}}}}}").clusters

    assert text == cluster.description
