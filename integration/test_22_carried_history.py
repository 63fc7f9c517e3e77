"""Barman backups carried into pgBackRest by hand, and all of pgwrap's commands on them as on any other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from integration.lab.answers import cluster, codes, status
from integration.lab.carrying import Carrier
from integration.lab.estate import BILLING, ORDERS, Estate, estate
from integration.lab.machine import Machine
from integration.lab.native import wait_for_backups
from integration.lab.postgres import PostgresServer, describe_server
from integration.lab.room import room
from pgwrap.domain.facts import Tablespace

pytestmark = pytest.mark.thorough
HISTORY = "orders-history"
WORDS = """\
    history: orders-history
    retention: {{{retention}}}
    drill: {{directory: {drills}}}
"""


@dataclass(frozen=True, kw_only=True)
class Past:
    """Two Barman backups, each with moments after it, carried over; then one of pgBackRest's own."""

    made: Estate
    """With the pgBackRest cluster alone: Barman is gone."""
    carrier: Carrier
    originals: tuple[dict[str, Any], ...]
    times: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """The carried backups' names in pgBackRest, the oldest first."""
        told = json.loads(self.carrier.pgbackrest("--output=json", "info").stdout)
        return tuple(backup["label"] for stanza in told for backup in stanza["backup"])

    def write_spec(self, retention: str = "window: 7d") -> None:
        """The spec with another policy."""
        words = WORDS.format(retention=retention, drills=self.made.room.path / "drills")
        self.made.write_spec({ORDERS: words})

    def answer(self, *arguments: str) -> Any:
        """The result of a command."""
        ran = self.made.pgwrap(*arguments, "-o", "json", check=False)
        return json.loads(ran.stdout)["result"]


@pytest.fixture(scope="module")
def past(machine: Machine) -> Any:
    """A migration by hand: both engines on one server, then one."""
    if machine.pgbackrest is None or machine.barman is None:
        pytest.skip("it takes both engines")
    with room(machine, "test") as place, estate(place, {BILLING: "barman"}, rpo="2h") as alone:
        server = alone.servers[BILLING]
        both = replace(
            alone, servers={ORDERS: server, BILLING: server}, engines={ORDERS: "pgbackrest", BILLING: "barman"}
        )
        place.directory("drills")
        both.write_spec()
        both.render()
        for name in (BILLING, ORDERS):
            both.apply_settings(name)
        for name in (BILLING, ORDERS):
            both.start_engine(name)
        both.commit_and_archive(BILLING)
        yield migrated(both, server)


def migrated(both: Estate, server: PostgresServer) -> Past:
    """Backup, a, b, backup, c, d; both carried over, the second as an incremental; then a backup of pgBackRest's, e."""
    fast = both.room.directory("tablespaces", "fast")
    server.sql(f"create tablespace fast location '{fast}'")
    server.sql("create table moments (label text); create table elsewhere (label text) tablespace fast")
    times: dict[str, str] = {}

    def record(label: str) -> None:
        server.sql(f"insert into moments values ('{label}'); insert into elsewhere values ('{label}')")
        times[label] = server.sql("select pg_sleep(0.2); select clock_timestamp()").strip()

    ids = [barman_backup(both)]
    record("a")
    record("b")
    server.sql("select pg_sleep(1.1)")
    ids.append(barman_backup(both))
    record("c")
    record("d")
    both.commit_and_archive(BILLING)
    told = {backup["id"]: backup for backup in cluster(status(both, BILLING), BILLING)["backups"]}
    oid = int(server.sql("select oid from pg_tablespace where spcname = 'fast'"))
    spaces = (Tablespace(name="fast", oid=oid, location=str(fast)),)
    carrier = Carrier(made=both, server=BILLING, stanza=HISTORY, tablespaces=spaces)
    for backup_id, kind in zip(ids, ("full", "incr"), strict=True):
        carrier.carry(told[backup_id], kind=kind)
    made = replace(both, servers={ORDERS: server})
    past = Past(made=made, carrier=carrier, originals=tuple(told[one] for one in ids), times=times)
    past.write_spec()
    made.back_up(ORDERS)
    record("e")
    made.commit_and_archive(ORDERS)
    return past


def barman_backup(made: Estate) -> str:
    """Take a backup with Barman and wait until it is done."""
    backup_id = made.pgwrap("backup", BILLING).stdout.strip()
    made.commit_and_archive(BILLING)
    wait_for_backups(made.barman, BILLING)
    return backup_id


@pytest.fixture
def where(past: Past) -> Any:
    """A place for a copy, with a port of its own."""
    copy = describe_server(past.made.room, "copy")
    yield copy
    copy.stop("immediate")
    for path in (str(copy.data), f"{copy.data}-tablespaces"):
        shutil.rmtree(path, ignore_errors=True)


def restore(past: Past, copy: PostgresServer, *arguments: str) -> None:
    """`pgwrap restore` into the place."""
    places = ("--directory", str(copy.data), "--tablespaces-in", f"{copy.data}-tablespaces")
    past.made.pgwrap("restore", ORDERS, *places, "--yes", *arguments)


def labels(copy: PostgresServer) -> str:
    """What was committed, as far as the copy knows at its target; the same in the tablespace."""
    copy.prepare()
    copy.start()
    copy.wait_for("select not pg_is_in_recovery() or pg_get_wal_replay_pause_state() = 'paused'")
    inside, outside = (
        copy.sql(f"select coalesce(string_agg(label, '' order by label), '') from {table}")
        for table in ("moments", "elsewhere")
    )
    assert inside == outside
    return inside


def test_status_tells_both(past: Past) -> None:
    """The originals' times, positions and WAL; both windows; nothing to complain about."""
    told = cluster(status(past.made, ORDERS), ORDERS)
    assert codes(told) == set()
    assert [(one["engine_name"], one["role"]) for one in told["sources"]] == [
        ("orders", "current"),
        (HISTORY, "history"),
    ]
    carried = [backup for backup in told["backups"] if backup["engine_name"] == HISTORY]
    same = ("started_at", "stopped_at", "lsn_start", "lsn_stop", "wal_start", "wal_stop", "timeline", "restorable")
    assert [{key: one[key] for key in same} for one in carried] == [
        {key: one[key] for key in same} for one in past.originals
    ]
    assert [one["imported_from"]["id"] for one in carried] == [one["id"] for one in past.originals]
    assert told["backups"][-1]["engine_name"] == "orders"
    intervals = {one["archive"]: one for one in told["recoverable"]}
    own = f"{past.made.room.machine.postgres_major}-1"
    assert set(intervals) == {own, f"{HISTORY}/{own}"}
    window = intervals[f"{HISTORY}/{own}"]
    first, last = (datetime.fromisoformat(window[key]) for key in ("from", "to"))
    assert first == datetime.fromisoformat(past.originals[0]["stopped_at"])
    assert last >= datetime.fromisoformat(past.times["c"])
    assert window["to_proof"] == "commit"


def test_list_shows_them_by_their_own_times(past: Past) -> None:
    """Among the others."""
    told = past.made.pgwrap("list", ORDERS).stdout
    places = [told.index(label) for label in reversed(past.labels)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("moment", "backup", "expected"), [("a", 0, "a"), ("c", 1, "abc"), ("latest of the older", 0, "abcd")]
)
def test_a_moment_of_the_old_window_is_restored(
    past: Past, where: PostgresServer, moment: str, backup: int, expected: str
) -> None:
    """From the carried backup before it, along the carried WAL, its tablespace elsewhere."""
    label = past.labels[backup]
    named = ("--backup", label)
    arguments = ("--target-time", past.times[moment]) if moment in past.times else named
    plan = past.answer("restore", ORDERS, "--directory", str(where.data), *arguments, "--dry-run")
    assert (plan["backup"], plan["engine_name"], plan["proven"]) == (label, HISTORY, True)
    assert any(f"--stanza={HISTORY}" in command and f"--set={label}" in command for command in plan["commands"])
    restore(past, where, *arguments)
    assert labels(where) == expected


def test_a_new_moment_is_restored_from_the_new_backup(past: Past, where: PostgresServer) -> None:
    """The carried ones stand behind the cluster's own."""
    plan = past.answer("restore", ORDERS, "--directory", str(where.data), "--dry-run")
    assert plan["engine_name"] == "orders"


def test_a_drill_of_a_carried_backup_passes(past: Past) -> None:
    """Restored, replayed along the carried WAL, started, checked, removed."""
    report = past.answer("drill", ORDERS, "--backup", past.labels[1])
    assert report["severity"] == "ok", report
    assert not list((past.made.room.path / "drills").iterdir())


def test_both_stanzas_are_verified(past: Past) -> None:
    """All files, and whether each backup has its WAL."""
    (told,) = past.answer("verify", ORDERS)["clusters"]
    assert told["state"] == "whole"
    assert {one["id"] for one in told["backups"]} > set(past.labels)


def shifted(past: Past, label: str, days: int) -> None:
    """Have a carried backup have ended so long ago."""
    told = json.loads(past.carrier.pgbackrest("--output=json", "info").stdout)
    (backup,) = (one for one in told[0]["backup"] if one["label"] == label)
    for key in ("carried-start", "carried-stop"):
        then = datetime.fromisoformat(backup["annotation"][key]) - timedelta(days=days)
        text = then.replace(tzinfo=None).isoformat(timespec="microseconds")
        past.carrier.pgbackrest(f"--set={label}", f"--annotation={key}={text}Z", "annotate")


def test_retention_judges_by_the_old_times(past: Past) -> None:
    """The window is reached from the newest carried backup before it; what that builds on stays."""
    for label, days in zip(past.labels, (20, 10), strict=True):
        shifted(past, label, days)
    (told,) = past.answer("retention", ORDERS)["clusters"]
    fates = {fate["id"]: fate for fate in told["repositories"][0]["backups"]}
    oldest, newest = past.labels
    assert [fates[label]["kept"] for label in (oldest, newest)] == [True, True]
    assert "needed to reach its start" in fates[newest]["reason"]
    assert fates[oldest]["reason"] == f"kept as long as {newest}, which builds on it"


def test_expire_deletes_what_the_policy_lets_go(past: Past) -> None:
    """By name, from the history alone; what pgBackRest will not delete is said, with the way out, and it is one."""
    oldest, newest = past.labels
    past.write_spec("full: 1")
    past.made.render()
    assert codes(cluster(status(past.made, ORDERS), ORDERS)) == {"retention-not-enforced"}
    dry = past.answer("expire", ORDERS)["clusters"][0]
    assert dry["repositories"][0]["backups"] == [newest] == dry["repositories"][0]["engine_backups"]
    done = past.answer("expire", ORDERS, "--yes")["clusters"][0]
    assert (done["done"], done["deleted"], done["refused"]) == (True, [newest], None)
    assert past.labels == (oldest,)
    way_out = next(note for note in done["notes"] if "stanza-delete" in note)
    past.carrier.pgbackrest("stop")
    past.carrier.pgbackrest("--repo=1", "--pg1-path=/nowhere", "stanza-delete")
    assert "--pg1-path=/nowhere stanza-delete" in way_out
    told = cluster(status(past.made, ORDERS), ORDERS)
    assert codes(told) == set()
    assert [one["role"] for one in told["sources"]] == ["current"]
