"""What pgBackRest makes of the spec's words, by version, and the option table behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgwrap.domain.model import (
    BackupPolicy,
    BarmanModel,
    Cluster,
    Encryption,
    NativeOption,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Secret,
    Snapshot,
    WalPolicy,
)
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.pgbackrest.options import find, options
from pgwrap.engines.port import EngineVersion, Remark
from tests.unit.engines.pgbackrest.pgbackrest_estates import BILLING, ESTATES, LOCAL, OFFSITE, SPLIT, secret

PATH = ("clusters", "billing")
NATIVE = (*PATH, "options", "pgbackrest")


def remarks(cluster: Cluster, version: str = "2.60.0") -> tuple[Remark, ...]:
    """The review of one cluster."""
    return PgBackRest().review(cluster, EngineVersion.parse(version))


def only(cluster: Cluster, version: str = "2.60.0") -> Remark:
    """The one remark there is."""
    (remark,) = remarks(cluster, version)
    return remark


def natives(*found: NativeOption) -> Cluster:
    """The plain cluster with native options."""
    return replace(BILLING, options=found)


@pytest.mark.parametrize("version", ["2.45", "2.48", "2.55.1", "2.60.0"])
def test_a_plain_cluster_raises_no_remark(version: str) -> None:
    """What every version can do is not remarked on."""
    assert () == remarks(BILLING, version)


@pytest.mark.parametrize("name", ["one_cluster", "every_store", "both_sides", "odd_names", "shared_repositories"])
def test_the_reviewed_estates_have_nothing_wrong(name: str) -> None:
    """Each is rendered for the version it is meant for."""
    estate = ESTATES[name]
    found = [remark for cluster in estate.clusters for remark in remarks(cluster, estate.version)]
    assert [] == found


@pytest.mark.parametrize(
    ("changed", "path", "severity"),
    [
        (replace(BILLING, wal=WalPolicy(delivery="stream")), ("wal", "delivery"), "error"),
        (replace(BILLING, wal=WalPolicy(delivery="both")), ("wal", "delivery"), "error"),
        (replace(BILLING, wal=WalPolicy(slot="s")), ("wal", "slot"), "error"),
        (replace(BILLING, wal=WalPolicy(create_slot=True)), ("wal", "create_slot"), "error"),
        (replace(BILLING, wal=WalPolicy(synchronous=True)), ("wal", "synchronous"), "error"),
        (replace(BILLING, wal=WalPolicy(streaming_name="x")), ("wal", "streaming_name"), "warning"),
        (replace(BILLING, backup=BackupPolicy(method="rsync")), ("backup", "method"), "warning"),
        (replace(BILLING, backup=BackupPolicy(rate_limit=1)), ("backup", "rate_limit"), "warning"),
        (replace(BILLING, backup=BackupPolicy(reuse="link")), ("backup", "reuse"), "warning"),
        (
            replace(BILLING, backup=BackupPolicy(snapshot=Snapshot(provider="aws", instance="i", disks=("d",)))),
            ("backup", "snapshot"),
            "warning",
        ),
        (replace(BILLING, backup=BackupPolicy(source="standby")), ("backup", "from"), "error"),
        (replace(BILLING, backup=BackupPolicy(source="prefer-standby")), ("backup", "from"), "warning"),
        (replace(BILLING, backup=BackupPolicy(compression="xz")), ("backup", "compression"), "error"),
        (replace(BILLING, backup=BackupPolicy(compression="snappy")), ("backup", "compression"), "error"),
        (
            replace(BILLING, backup=BackupPolicy(compression="lz4", compression_level=19)),
            ("backup", "compression_level"),
            "error",
        ),
        (
            replace(BILLING, backup=BackupPolicy(compression="none", compression_level=1)),
            ("backup", "compression_level"),
            "error",
        ),
        (replace(BILLING, wal=WalPolicy(compression_level=10)), ("wal", "compression_level"), "error"),
        (replace(BILLING, backup=BackupPolicy(parallel=1000)), ("backup", "parallel"), "error"),
        (replace(BILLING, wal=WalPolicy(timeout=0)), ("wal", "timeout"), "error"),
        (replace(BILLING, models=(BarmanModel(name="m"),)), ("models",), "error"),
        (replace(BILLING, passive=RemoteHost(address="h")), ("passive",), "error"),
        (replace(BILLING, postgres=PostgresTarget()), ("postgres", "data_directory"), "error"),
        (
            replace(BILLING, postgres=PostgresTarget(data_directory="/d", host="db2")),
            ("postgres", "host"),
            "warning",
        ),
        (
            replace(BILLING, postgres=PostgresTarget(data_directory="relative")),
            ("postgres", "data_directory"),
            "error",
        ),
        (
            replace(BILLING, postgres=PostgresTarget(data_directory="/d", password=secret("P"))),
            ("postgres", "password"),
            "warning",
        ),
        (
            replace(BILLING, postgres=PostgresTarget(data_directory="/d", ssh=RemoteHost(address="h"))),
            ("postgres", "ssh"),
            "warning",
        ),
        (replace(BILLING, repositories=()), ("repositories",), "error"),
        (replace(BILLING, hooks=(("after_restore", ("true",)),)), ("hooks", "after_restore"), "warning"),
        (replace(BILLING, hooks=(("before_archive", ("true",)),)), ("hooks", "before_archive"), "warning"),
        (
            replace(BILLING, retention=RetentionPolicy(window_days=7, minimum_full=3)),
            ("retention", "minimum_full"),
            "error",
        ),
        (replace(BILLING, retention=RetentionPolicy(window_days=7, full=3)), ("retention", "full"), "error"),
        (replace(BILLING, retention=RetentionPolicy(full=0)), ("retention", "full"), "error"),
        (
            replace(BILLING, retention=RetentionPolicy(full=1, wal_type="incremental")),
            ("retention", "wal_type"),
            "warning",
        ),
        (replace(BILLING, engine_name="global"), ("engine_name",), "error"),
        (replace(BILLING, engine_name="a:b"), ("engine_name",), "error"),
        (replace(BILLING, engine_name="a/b"), ("engine_name",), "error"),
        (replace(BILLING, run_as="root"), ("run_as",), "error"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_word_that_pgbackrest_has_nothing_for(changed: Cluster, path: tuple[str, ...], severity: str) -> None:
    """Safety is an error, comfort a warning, each at its word and with a reason."""
    remark = only(changed)
    assert ((*PATH, *path), severity) == (remark.path, remark.severity)
    assert remark.message


@pytest.mark.parametrize(
    ("changed", "path", "too_old", "new_enough"),
    [
        (
            replace(BILLING, backup=BackupPolicy(source="prefer-standby"), standbys=(PostgresTarget(),)),
            (*PATH, "backup", "from"),
            "2.53.1",
            "2.54.0",
        ),
        (
            replace(
                BILLING,
                repositories=(
                    Repository(
                        name="box",
                        type="sftp",
                        path="/p",
                        sftp_host="h",
                        sftp_user="u",
                        private_key_file="/k",
                        host_key_hash="sha1",
                    ),
                ),
            ),
            ("repositories", "box", "type"),
            "2.45",
            "2.46",
        ),
        (
            replace(BILLING, backup=BackupPolicy(block_incremental=True)),
            (*PATH, "backup", "block_incremental"),
            "2.45",
            "2.46",
        ),
        (
            replace(BILLING, postgres=PostgresTarget(data_directory="/d", version=17)),
            (*PATH, "postgres", "version"),
            "2.53",
            "2.53.1",
        ),
        (
            replace(BILLING, postgres=PostgresTarget(data_directory="/d", version=18)),
            (*PATH, "postgres", "version"),
            "2.54.2",
            "2.55",
        ),
        (
            replace(SPLIT, postgres=PostgresTarget(data_directory="/d"), standbys=(), backup=BackupPolicy()),
            ("clusters", "sales", "repositories"),
            "2.54",
            "2.55",
        ),
        (
            natives(NativeOption(key="archive-push-batch-size", values=("1GiB",))),
            (*NATIVE, "archive-push-batch-size"),
            "2.58.0",
            "2.59.0",
        ),
        (
            replace(BILLING, repositories=(replace(LOCAL, options=(NativeOption(key="symlink", values=("n",)),)),)),
            ("repositories", "local", "options", "symlink"),
            "2.56.0",
            "2.57.0",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_came_with_a_version_is_remarked_on_before_it(
    changed: Cluster, path: tuple[str, ...], too_old: str, new_enough: str
) -> None:
    """A version that does not know an option would ignore it, or stop."""
    before = {(remark.severity, remark.message) for remark in remarks(changed, too_old) if remark.path == path}
    after = {(remark.severity, remark.message) for remark in remarks(changed, new_enough) if remark.path == path}
    assert before
    assert before != after


def test_root_was_not_refused_before() -> None:
    """2.58 runs as root without a word, and `allow-root` lets later versions do so."""
    root = replace(BILLING, run_as="root")
    assert () == remarks(root, "2.58.0")
    assert () == remarks(replace(root, options=(NativeOption(key="allow-root", values=("y",)),)), "2.60.0")


@pytest.mark.parametrize(
    ("option", "path", "words"),
    [
        (NativeOption(key="proces-max", values=("2",)), ("proces-max",), "did you mean process-max?"),
        (NativeOption(key="repo2-retention-ful", values=("2",)), ("repo2-retention-ful",), "repo2-retention-full"),
        (NativeOption(key="repo-put-x", values=("2",)), ("repo-put-x",), "no option"),
        (NativeOption(key="repo257-path", values=("/x",)), ("repo257-path",), "no option"),
        (NativeOption(key="stanza", values=("x",)), ("stanza",), "command line"),
        (NativeOption(key="process-max", values=("many",)), ("process-max",), "a whole number"),
        (NativeOption(key="process-max", values=("0",)), ("process-max",), "between 1 and 999"),
        (NativeOption(key="process-max", values=("1", "2")), ("process-max",), "one value"),
        (NativeOption(key="start-fast", values=("yes",)), ("start-fast",), "y or n"),
        (NativeOption(key="spool-path", values=("a",)), ("spool-path",), "absolute path"),
        (NativeOption(key="archive-timeout", values=("90.5",)), ("archive-timeout",), "a time"),
        (NativeOption(key="archive-timeout", values=("2d",)), ("archive-timeout",), "between 100ms and 1d"),
        (NativeOption(key="archive-get-queue-max", values=("1.5GB",)), ("archive-get-queue-max",), "a size"),
        (NativeOption(key="compress-type", values=("zip",)), ("compress-type",), "known: none, bz2"),
        (NativeOption(key="link-map", values=("a",)), ("link-map",), "a pair"),
        (NativeOption(key="exclude", values=("a\nb",)), ("exclude",), "line break"),
        (NativeOption(key="start-fast", values=("y",), section="archive-push"), ("archive-push", "start-fast"), "of:"),
        (NativeOption(key="start-fast", values=("y",), section="bakup"), ("bakup", "start-fast"), "no command"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, tuple) else "",
)
def test_a_native_option_that_pgbackrest_would_ignore_or_refuse(
    option: NativeOption, path: tuple[str, ...], words: str
) -> None:
    """Each is an error at its own place, with what is known instead."""
    remark = only(natives(option))
    assert ((*NATIVE, *path), "error") == (remark.path, remark.severity)
    assert words in f"{remark.message} {remark.hint}"


@pytest.mark.parametrize(
    "key", ["archive-queue-max", "repo1-s3-verify-tls", "repo-path", "retention-full", "db-path", "backup-host"]
)
def test_older_names_are_still_taken(key: str) -> None:
    """pgBackRest goes on reading them, so an imported file may keep them."""
    assert find(key) is not None


@pytest.mark.parametrize(
    "option",
    [
        NativeOption(key="archive-timeout", values=("60",)),
        NativeOption(key="archive-timeout", values=("5m",)),
        NativeOption(key="archive-push-queue-max", values=("4gb",)),
        NativeOption(key="archive-push-queue-max", values=("1024",)),
        NativeOption(key="recovery-option", values=("a=b", "c=d")),
        NativeOption(key="process-max", values=("4",), section="archive-get"),
        NativeOption(key="pg1-local", values=("n",)),
    ],
    ids=lambda option: option.key,
)
def test_a_native_option_that_is_right_raises_no_remark(option: NativeOption) -> None:
    """Values in every form that pgBackRest takes."""
    assert () == remarks(natives(option))


def test_a_stanzas_option_does_not_belong_to_an_installation() -> None:
    """In the global section pgBackRest warns and ignores it."""
    engine = replace(BILLING.engine, options=(NativeOption(key="pg1-port", values=("5433",)),))
    remark = only(replace(BILLING, engine=engine))
    assert ("engines", "pgbackrest", "options", "pg1-port") == remark.path
    assert "belongs to a stanza" in remark.message


def test_a_native_option_beside_its_word_is_remarked_on() -> None:
    """The native one wins, and the author should know."""
    both = replace(natives(NativeOption(key="process-max", values=("8",))), backup=BackupPolicy(parallel=2))
    remark = only(both)
    assert ((*NATIVE, "process-max"), "warning") == (remark.path, remark.severity)
    assert "clusters.billing.backup.parallel" in remark.message


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        (replace(OFFSITE, region=None), {"region"}),
        (replace(OFFSITE, endpoint=None), {"endpoint"}),
        (replace(OFFSITE, credentials=()), {"credentials"}),
        (Repository(name="offsite", type="gcs", path="/p"), {"bucket", "credentials"}),
        (Repository(name="offsite", type="azure", path="/p"), {"container", "account", "credentials"}),
        (
            Repository(name="offsite", type="sftp", path="/p"),
            {"sftp_host", "sftp_user", "private_key_file", "host_key_hash"},
        ),
    ],
    ids=lambda value: value.type if isinstance(value, Repository) else "",
)
def test_what_a_store_needs_is_asked_for(repository: Repository, words: set[str]) -> None:
    """Without it every command fails with [037]."""
    found = remarks(replace(BILLING, repositories=(repository,)))
    assert words == {remark.path[2] for remark in found}
    assert {"error"} == {remark.severity for remark in found}


@pytest.mark.parametrize("kind", ["auto", "web-id", "pod-id"])
def test_a_store_that_authenticates_by_itself_needs_no_key(kind: str) -> None:
    """The machine's role is enough."""
    assert () == remarks(replace(BILLING, repositories=(replace(OFFSITE, credentials=(), key_type=kind),)))


@pytest.mark.parametrize(
    ("encryption", "words"),
    [
        (Encryption(cipher="gpg", key_id="k"), {"cipher", "key_id"}),
        (Encryption(cipher="aes-256-cbc"), set()),
        (
            Encryption(
                cipher="aes-256-cbc",
                passphrase=Secret(kind="env", value=("P",)),
                passphrase_command=("cat", "/x"),
            ),
            {"passphrase_command"},
        ),
    ],
)
def test_encryption_that_pgbackrest_cannot_do_is_an_error(encryption: Encryption, words: set[str]) -> None:
    """It is never left out in silence."""
    found = remarks(replace(BILLING, repositories=(replace(LOCAL, encryption=encryption),)))
    assert {("repositories", "local", "encryption")} == {remark.path[:3] for remark in found}
    assert words <= {remark.path[-1] for remark in found}
    assert "error" in {remark.severity for remark in found}


def test_block_incremental_without_bundles_is_ignored_with_a_warning() -> None:
    """It touches space alone."""
    remark = only(replace(BILLING, backup=BackupPolicy(block_incremental=True, bundle=False)))
    assert ((*PATH, "backup", "block_incremental"), "warning") == (remark.path, remark.severity)


def together(*clusters: Cluster) -> list[tuple[tuple[str, ...], str]]:
    """Path and severity of each conflict."""
    found = PgBackRest().review_together(clusters, EngineVersion((2, 60, 0)))
    return [(remark.path, remark.severity) for remark in found]


def test_a_history_needs_repositories_in_common() -> None:
    """Its stanza has no section that could name any."""
    other = replace(BILLING, name="b", engine_name="b", postgres=PostgresTarget(data_directory="/b"))
    carried = replace(BILLING, history="billing-history")
    assert together(carried, other) == []
    apart = replace(other, repositories=(replace(LOCAL, name="elsewhere", path="/mnt/elsewhere"),))
    assert together(carried, apart) == [(("clusters", "billing", "history"), "error")]


def test_clusters_that_do_not_meet_have_no_conflict() -> None:
    """Shared repositories are no conflict."""
    other = replace(BILLING, name="b", engine_name="b", postgres=PostgresTarget(data_directory="/b"))
    assert [] == together(BILLING, other)


def test_one_stanza_for_two_clusters_is_a_conflict() -> None:
    """Their WAL would be mixed."""
    other = replace(BILLING, name="b", postgres=PostgresTarget(data_directory="/b"))
    assert [(("clusters", "b", "engine_name"), "error")] == together(BILLING, other)


def test_one_data_directory_for_two_clusters_is_a_conflict() -> None:
    """Unless it is on another host."""
    same = replace(BILLING, name="b", engine_name="b")
    elsewhere = replace(same, postgres=replace(same.postgres, ssh=RemoteHost(address="h")))
    assert [(("clusters", "b", "postgres", "data_directory"), "error")] == together(BILLING, same)
    assert [] == together(BILLING, elsewhere)


def test_one_path_for_two_repositories_is_a_conflict() -> None:
    """pgBackRest refuses it with [032]."""
    twice = replace(BILLING, repositories=(LOCAL, replace(LOCAL, name="again")))
    assert [(("clusters", "billing", "repositories", "1"), "error")] == together(twice)


def test_different_users_of_one_file_are_warned_about() -> None:
    """The file can belong to one of them only."""
    other = replace(BILLING, name="b", engine_name="b", run_as="other", postgres=PostgresTarget(data_directory="/b"))
    assert [(("clusters", "b", "run_as"), "warning")] == together(BILLING, other)


def test_the_option_table_is_whole() -> None:
    """Every option of a file says which commands take it, and every name is there once."""
    names = [option.name for option in options()]
    assert sorted(set(names)) == names
    assert all(option.commands for option in options() if option.section != "command-line")
