"""Where `backup` and `expire` run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, PostgresTarget, RemoteHost, Repository
from pgwrap.engines.pgbackrest.backup import backup
from pgwrap.engines.pgbackrest.repository_side import Place, destination, place_for, remote_hosts
from pgwrap.engines.port import BackupRequest, EngineVersion

OLD, NEW = EngineVersion((2, 54)), EngineVersion((2, 55))
INSTANCE = EngineInstance(name="pgbackrest", kind=EngineKind.PGBACKREST, command="/opt/pgbackrest", config="/c")
AWAY = Repository(name="away", path="/srv", host=RemoteHost(address="vault"))
CLUSTER = Cluster(name="orders", engine=INSTANCE, engine_name="orders", repositories=(AWAY,))
HERE = Place(program=("/opt/pgbackrest", "--config=/c"), host=None, run_as="postgres")
THERE = Place(program=("pgbackrest", "--config=/c"), host="pgbackrest@vault", run_as=None)


@pytest.mark.parametrize(
    ("cluster", "version", "place"),
    [
        (CLUSTER, OLD, THERE),
        (CLUSTER, NEW, HERE),
        (replace(CLUSTER, repositories=(replace(AWAY, host=None),)), OLD, HERE),
        (replace(CLUSTER, repositories=(replace(AWAY, host=RemoteHost(address="vault", transport="tls")),)), OLD, HERE),
        (replace(CLUSTER, postgres=PostgresTarget(ssh=RemoteHost(address="db1"))), OLD, HERE),
        (replace(CLUSTER, engine=replace(INSTANCE, host="vault")), OLD, replace(HERE, host="vault")),
    ],
    ids=["away", "either side", "local", "no ssh", "on the repository's host", "engine reached by ssh"],
)
def test_only_an_old_version_with_a_repository_away_runs_there(
    cluster: Cluster, version: EngineVersion, place: Place
) -> None:
    """Everything else runs where the engine is."""
    assert place_for(cluster, 1, version, "postgres") == place


def test_the_backup_itself_goes_there() -> None:
    """Its words are the same."""
    request = BackupRequest(cluster=CLUSTER, type="full", run_as="postgres", version=OLD)
    there, here = backup(request).command, backup(replace(request, version=NEW)).command
    assert (there.host, there.run_as, here.host, here.run_as) == ("pgbackrest@vault", None, None, "postgres")
    assert there.argv[2:] == here.argv[2:]


def test_an_engine_beside_its_repository_has_none_away() -> None:
    """`host:` is then the way of the database's side."""
    assert list(remote_hosts(CLUSTER)) == [1]
    assert remote_hosts(replace(CLUSTER, postgres=PostgresTarget(ssh=RemoteHost(address="db1")))) == {}


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (RemoteHost(address="vault", user="keeper"), "keeper@vault"),
        (RemoteHost(address="vault", port=2222), "ssh://pgbackrest@vault:2222"),
        (RemoteHost(address="2001:db8::5", port=2222), "ssh://pgbackrest@[2001:db8::5]:2222"),
    ],
)
def test_a_host_is_named_as_ssh_takes_it(host: RemoteHost, text: str) -> None:
    """With its port only as a URI."""
    assert destination(host) == text
