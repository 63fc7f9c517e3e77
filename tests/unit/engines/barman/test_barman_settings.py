"""What PostgreSQL needs for Barman, and the adapter's own answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pgwrap.domain.command import Failure
from pgwrap.domain.model import (
    BackupPolicy,
    Cluster,
    EngineInstance,
    EngineKind,
    NativeOption,
    PostgresTarget,
    RemoteHost,
    Repository,
    Schedule,
    WalPolicy,
)
from pgwrap.domain.plan import Slot
from pgwrap.engines import ENGINES
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import EngineFailed, EngineMissing, EngineTimeout

Clusters = Callable[..., Cluster]
NEW = EngineVersion((3, 20, 1))


def needed(cluster: Cluster) -> dict[str, str]:
    """Setting and value."""
    return {setting.name: setting.value for setting in Barman().settings(cluster, NEW).settings}


def test_streaming_needs_senders_and_a_slot(cluster: Clusters) -> None:
    """One sender each for backup and WAL, and a spare one."""
    stream = cluster("a-b", wal=WalPolicy(delivery="stream"))

    assert {"wal_level": "replica", "max_wal_senders": "3", "max_replication_slots": "1"} == needed(stream)
    assert (Slot(name="barman_a_b", created_by="barman receive-wal --create-slot a-b"),) == Barman().settings(
        stream, NEW
    ).slots


def test_archiving_needs_its_command(cluster: Clusters) -> None:
    """Through Barman's own program, also on its own host."""
    local = cluster("a", postgres=PostgresTarget(ssh=None), backup=BackupPolicy(method="local-rsync"))

    assert {
        "wal_level": "replica",
        "archive_mode": "on",
        "archive_command": "barman-wal-archive localhost a %p",
    } == needed(local)


def test_the_command_names_what_differs_from_the_defaults(cluster: Clusters, instance: EngineInstance) -> None:
    """Host, user, configuration and an odd name."""
    engine = replace(instance, host="ops@backup1", run_as="bk", config="/srv/b.conf")
    odd = cluster("a", engine=engine, engine_name="a b", postgres=PostgresTarget(host="db"))

    assert "barman-wal-archive -U bk -c /srv/b.conf backup1 'a b' %p" == needed(odd)["archive_command"]


def test_an_unknown_way_to_barmans_host_gives_no_command(cluster: Clusters) -> None:
    """The reason tells what to write instead of a guess."""
    settings = Barman().settings(cluster("a", postgres=PostgresTarget(host="db")), NEW).settings

    assert "archive_command" not in {setting.name for setting in settings}
    assert "barman-wal-archive BARMAN-HOST a %p" in settings[-1].reason


def test_a_passive_server_needs_nothing_of_postgresql(cluster: Clusters) -> None:
    """Its primary node does."""
    assert {} == needed(cluster("a", passive=RemoteHost(address="h")))


def test_synchronous_streaming_and_incrementals_need_their_settings(cluster: Clusters) -> None:
    """Each only where asked for."""
    words = {
        "wal": WalPolicy(delivery="stream", synchronous=True, streaming_name="b1", create_slot=True, slot="s"),
        "schedule": Schedule(entries=(("incremental", "daily"),)),
        "postgres": PostgresTarget(version=17),
    }

    found = needed(cluster("a", **words))

    assert ("b1", "on") == (found["synchronous_standby_names"], found["summarize_wal"])


def test_the_registry_gives_this_engine() -> None:
    """By its kind."""
    engine = ENGINES[EngineKind.BARMAN]()

    assert (EngineKind.BARMAN, "3.4.0", "3.20.1") == (engine.kind, str(engine.oldest), str(engine.newest))


def test_commands_run_as_barmans_user(cluster: Clusters, instance: EngineInstance) -> None:
    """barman, unless the main file says otherwise."""
    other = replace(instance, options=(NativeOption(key="barman_user", values=("bk",)),))

    assert ("barman", "bk") == (Barman().default_user(cluster("a")), Barman().default_user(cluster("a", engine=other)))


def test_owned_paths_begin_with_the_catalog(cluster: Clusters) -> None:
    """A repository's directory has one below it for each server."""
    stored = cluster("a", repositories=(Repository(name="r", path="/srv/"),))

    assert ("/srv/a", "/var/lib/barman") == Barman().owned_paths(stored)
    assert "/var/lib/barman/a" == Barman().owned_paths(cluster("a"))[0]


def test_a_segment_is_fetched_under_its_own_name(cluster: Clusters) -> None:
    """get-wal decompresses."""
    command = Barman().fetch_wal(cluster("a"), None, None, "000000010000000000000001", "/tmp/x", "barman")

    assert "get-wal --output-directory /tmp/x a 000000010000000000000001" == " ".join(command.argv[3:])


def test_the_version_is_asked_without_a_configuration(replay: Callable[..., Any], instance: EngineInstance) -> None:
    """So that it works before anything is rendered."""
    barman = replay("3.4.0")
    barman.answers["barman --version"] = (0, b"3.4.0 Barman by EnterpriseDB (www.enterprisedb.com)\n\n", b"")

    assert EngineVersion((3, 4, 0)) == barman.hold(Barman().version(instance, "barman"))


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (Failure.MISSING, EngineMissing),
        (Failure.TIMEOUT, EngineTimeout),
        ((1, b"", b"ModuleNotFoundError: no barman"), EngineFailed),
    ],
)
def test_a_version_that_cannot_be_had_is_an_error(
    replay: Callable[..., Any], instance: EngineInstance, said: Any, error: type[Exception]
) -> None:
    """Each of its own kind."""
    barman = replay("3.4.0")
    barman.answers["barman --version"] = said

    with pytest.raises(error):
        barman.hold(Barman().version(instance, "barman"))
