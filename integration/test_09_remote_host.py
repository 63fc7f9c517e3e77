"""Engines on another host: the same answer through ssh, and a host that cannot be reached hides nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integration.lab.answers import Json, cluster, codes, status, without_ages
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.sshd import can_serve, sshd


@pytest.fixture(scope="module")
def ssh_config() -> Iterator[Path]:
    """The client configuration that reaches an sshd on loopback as host `lab`."""
    if not can_serve():
        pytest.skip("OpenSSH's client and server are not installed")
    with sshd() as config:
        yield config


@pytest.fixture
def moved(pair: Estate, ssh_config: Path) -> Iterator[Estate]:
    """The pair with both engines on host `lab`, which is this machine through ssh."""
    before = pair.spec.read_text()
    pair.spec.write_text(on_host(before, pgbackrest="lab", barman="lab"))
    yield replace(pair, environment={"PGWRAP_SSH_CONFIG": str(ssh_config)})
    pair.spec.write_text(before)


def on_host(spec: str, **hosts: str) -> str:
    """The spec with each engine named here on that host."""
    for engine, host in hosts.items():
        spec = spec.replace(f"\n  {engine}:\n", f"\n  {engine}:\n    host: {host}\n", 1)
    return spec


def catalog(entry: Json) -> Json:
    """What must not depend on where the engine runs: backups, archives, gaps, repositories."""
    wal = {"archives": entry["wal"]["archives"], "gaps": entry["wal"]["gaps"]}
    return {
        "backups": entry["backups"],
        "wal": wal,
        "repositories": entry["repositories"],
        "policy": entry["retention"],
    }


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_the_answer_is_the_same_through_ssh(pair: Estate, moved: Estate, name: str) -> None:
    """Backups, archives and gaps are those that the engine tells here; nothing is unknown."""
    there = cluster(status(moved), name)
    moved.spec.write_text(moved.spec.read_text().replace("    host: lab\n", ""))
    here = cluster(status(pair), name)
    assert without_ages(catalog(there)) == without_ages(catalog(here))
    assert codes(there) == codes(here)


def test_commits_are_not_fetched_over_the_network(moved: Estate) -> None:
    """The weaker proof is used, and said."""
    proofs = {one["to_proof"] for entry in status(moved)["result"]["clusters"] for one in entry["recoverable"]}
    assert proofs == {"backup"}


def test_local_leaves_other_hosts_out_and_says_so(moved: Estate) -> None:
    """`--local` asks no other host."""
    ran = moved.pgwrap("status", "--local", "-o", "json")
    assert '"clusters": []' in ran.stdout
    assert f"{ORDERS}: left out" in ran.stderr
    assert f"{BILLING}: left out" in ran.stderr


def test_a_host_that_does_not_answer_hides_no_other_cluster(moved: Estate) -> None:
    """The unreachable engine's cluster is unknown with ssh's reason, the other one is whole."""
    moved.spec.write_text(moved.spec.read_text().replace("    host: lab\n", "    host: nowhere\n", 1))
    answer = status(moved)
    orders, billing = cluster(answer, ORDERS), cluster(answer, BILLING)
    assert orders["severity"] == "unknown"
    assert "ssh could not reach nowhere" in str(orders["findings"])
    assert billing["severity"] != "unknown"
    assert [backup["state"] for backup in billing["backups"]] == ["done"]
    assert answer["outcome"] == "partial"


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_a_backup_is_taken_on_the_other_host(moved: Estate, name: str) -> None:
    """`pgwrap backup` runs there and names the new backup."""
    taken = moved.pgwrap("backup", name, "--type", "full").stdout.strip()
    assert taken in {backup["id"] for backup in cluster(status(moved), name)["backups"]}
