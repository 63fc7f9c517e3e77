"""What does not come along from one engine to the other, and the draft of an entry for the other one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgwrap.domain.draft_successor import draft
from pgwrap.domain.facts import Backup
from pgwrap.domain.losses import losses
from pgwrap.domain.model import (
    BackupPolicy,
    Cluster,
    EngineInstance,
    EngineKind,
    Fleet,
    PostgresTarget,
    Repository,
    RetentionPolicy,
    WalPolicy,
)
from pgwrap.spec.loader import load

BARMAN = Cluster(
    name="orders",
    engine=EngineInstance(name="barman", kind=EngineKind.BARMAN, command="barman", config="/etc/barman.conf"),
    engine_name="orders",
    postgres=PostgresTarget(host="db1", user="barman"),
    wal=WalPolicy(delivery="stream", slot="barman", synchronous=True),
    backup=BackupPolicy(method="postgres", rate_limit=1000),
    retention=RetentionPolicy(window_days=7, minimum_full=2),
    hooks=(("after_backup", ("true",)),),
)
PGBACKREST = Cluster(
    name="orders",
    engine=EngineInstance(name="pgbackrest", kind=EngineKind.PGBACKREST, command="p", config="/etc/p.conf"),
    engine_name="orders",
    postgres=PostgresTarget(socket_directory="/run/postgresql", data_directory="/data", user="postgres"),
    repositories=(Repository(name="near", path="/a"), Repository(name="far", type="s3", bucket="b")),
    wal=WalPolicy(asynchronous=True),
    backup=BackupPolicy(bundle=True, block_incremental=True),
)


def backup(**more: object) -> Backup:
    """One in the old catalog."""
    values = {"engine": "barman", "engine_name": "orders", "id": "b", "repository": None}
    values |= {"type": "full", "state": "done"}
    return Backup(**(values | more))  # type: ignore[arg-type]


def test_what_barman_has_and_pgbackrest_has_not_is_said() -> None:
    """Each word that the spec uses, and the hold of a backup."""
    found = {loss.what for loss in losses(BARMAN, (backup(held="full"),))}
    assert found == {"wal.delivery", "wal.synchronous", "hold", "retention.minimum_full", "backup.rate_limit", "hooks"}


def test_what_pgbackrest_has_and_barman_has_not_is_said() -> None:
    """Each word that the spec uses, and what becomes of backups that depend on others."""
    found = [loss.what for loss in losses(PGBACKREST, (backup(type="incremental", annotations=(("a", "b"),)),))]
    assert found == [
        *("repositories", "repositories", "wal.async", "backup.bundle", "backup.block_incremental"),
        *("backup types", "annotations"),
    ]


@pytest.mark.parametrize("plain", [replace(BARMAN, wal=WalPolicy(), backup=BackupPolicy(), hooks=())])
def test_what_is_not_used_is_not_lost(plain: Cluster) -> None:
    """No list of everything."""
    assert losses(replace(plain, retention=RetentionPolicy()), ()) == ()


@pytest.mark.parametrize("old", [BARMAN, PGBACKREST])
def test_a_draft_is_an_entry_that_replaces(old: Cluster, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Beside the old one, once its blank is filled in, it is a sound spec of the other engine."""
    text = draft(old).replace("[NAME]", "[local]").replace("DIRECTORY", "/data")
    spec = tmp_path / "pgwrap.yaml"
    spec.write_text(
        "version: 1\nrepositories: {local: {type: posix, path: /r}}\nclusters:\n"
        f"  orders: {{engine: {old.engine.kind}, engine_name: x, postgres: {{host: db1}}}}\n{text}"
    )
    fleet: Fleet = load(str(spec), environment={}, is_root=False)
    new = fleet.clusters[1]
    assert new.replaces == "orders"
    assert new.engine.kind is not old.engine.kind
    assert new.engine_name == "orders"
