"""The promise of `recoverable`: the last moment that a commit proves can really be restored, by the engine itself."""

from __future__ import annotations

import pytest

from integration.lab.answers import cluster, status
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.postgres import PostgresServer, describe_server


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_newest_promised_moment_can_be_restored(pair: Estate, name: str) -> None:
    """A restore to `to` reaches its target, and holds every row committed up to then."""
    server = pair.servers[name]
    server.sql("create table witness as select clock_timestamp() as at")
    pair.commit_and_archive(name)
    (interval,) = cluster(status(pair), name)["recoverable"]
    assert interval["to_proof"] == "commit"
    promised = interval["to"]
    restored = describe_server(pair.room, f"restored-{pair.engines[name]}")
    _restore(pair, name, restored, promised)
    try:
        restored.prepare()
        restored.configure({"archive_mode": "off"})
        restored.start()
        assert restored.sql("select pg_is_in_recovery()") == "t"
        assert restored.sql(f"select count(*) from witness where at <= '{promised}'") == "1"
    finally:
        restored.stop("immediate")


def _restore(pair: Estate, name: str, restored: PostgresServer, moment: str) -> None:
    """Restore to a moment beside the original, with recovery paused there."""
    if pair.engines[name] == "pgbackrest":
        pair.pgbackrest.run(
            *(f"--stanza={name}", f"--pg1-path={restored.data}", "--type=time", f"--target={_with_offset(moment)}"),
            *("--target-action=pause", "restore"),
        )
        return
    newest = max(pair.barman.backup_states(name))
    where = (name, newest, str(restored.data))
    pair.barman.run("recover", "--target-time", _with_offset(moment), "--target-action", "pause", *where)


def _with_offset(moment: str) -> str:
    """An RFC 3339 UTC time as both engines take it."""
    return moment.removesuffix("Z").replace("T", " ") + "+00"
