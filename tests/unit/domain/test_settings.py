"""When a server's settings are as its engine needs them, in whatever words."""

from __future__ import annotations

import pytest

from pgwrap.domain.facts import PostgresView, ReplicationSlot
from pgwrap.domain.plan import PostgresSetting, Slot
from pgwrap.domain.settings import same_archiving, setting_states, slot_states, suffices

WANTED = "pgbackrest --config=/etc/pgbackrest/pgbackrest.conf --stanza=orders archive-push %p"


@pytest.mark.parametrize(
    "actual",
    [
        WANTED,
        "/usr/bin/pgbackrest --stanza=orders archive-push %p",
        "pgbackrest --stanza orders archive-push  '%p'",
        "pgbackrest --stanza=orders --log-level-console=off --process-max=4 archive-push %p",
        "pgbackrest --config-path=/etc/pgbackrest --stanza=orders archive-push %p",
    ],
)
def test_the_same_push_in_other_words(actual: str) -> None:
    """Directories, quotes, defaults and options that leave the repositories alone make no difference."""
    assert same_archiving(actual, WANTED)
    assert same_archiving(WANTED, actual)


@pytest.mark.parametrize(
    "actual",
    [
        "",
        "pgbackrest --stanza=billing archive-push %p",
        "pgbackrest --config=/etc/other.conf --stanza=orders archive-push %p",
        "pgbackrest --stanza=orders --repo1-path=/elsewhere archive-push %p",
        "pgbackrest --stanza=orders archive-push %p || true",
        "pgbackrest --stanza=orders archive-push %p; cp %p /copy",
        "cp %p /archive/%f",
    ],
)
def test_a_push_that_is_not_the_same(actual: str) -> None:
    """Another stanza, file or repository, or anything that hides a failure, is another command."""
    assert not same_archiving(actual, WANTED)
    assert not same_archiving(WANTED, actual)


def test_barman_by_its_program_or_by_copying_into_incoming() -> None:
    """Its defaults spelled out, or rsync into the server's own directory, hand WAL to the same server."""
    wanted = "barman-wal-archive backup1 billing %p"
    assert same_archiving("barman-wal-archive -U barman -c /etc/barman.conf backup1 billing %p", wanted)
    assert same_archiving("rsync -a %p barman@backup1:/var/lib/barman/billing/incoming/%f", wanted)
    assert not same_archiving("rsync -a %p barman@backup1:/var/lib/barman/orders/incoming/%f", wanted)
    assert not same_archiving("barman-wal-archive backup1 orders %p", wanted)


@pytest.mark.parametrize(
    ("name", "wanted", "actual", "enough"),
    [
        ("wal_level", "replica", "logical", True),
        ("wal_level", "replica", "minimal", False),
        ("archive_mode", "on", "always", True),
        ("archive_mode", "on", "off", False),
        ("archive_timeout", "60", "30", True),
        ("archive_timeout", "60", "0", False),
        ("archive_timeout", "60", "300", False),
        ("synchronous_standby_names", "barman_receive_wal", 'ANY 1 (barman_receive_wal, "standby")', True),
        ("synchronous_standby_names", "barman_receive_wal", "FIRST 1 (standby)", False),
    ],
)
def test_more_than_needed_is_enough(name: str, wanted: str, actual: str, enough: bool) -> None:
    """A setting is judged by what it does, not by its text."""
    setting = PostgresSetting(name=name, value=wanted, restart=False, reason="")
    assert enough is suffices(setting, actual)


def test_a_server_that_did_not_answer_leaves_everything_unknown() -> None:
    """Silence is never taken for a right setting."""
    wanted = PostgresSetting(name="max_wal_senders", value="3", restart=True, reason="", minimum=True)
    for server in (None, PostgresView(reachable=False, error="down")):
        (state,) = setting_states((wanted,), server)
        assert "unknown" == state.verdict
        (slot,) = slot_states((Slot(name="barman", created_by=""),), server)
        assert slot.exists is None


def test_what_waits_for_a_restart_is_pending() -> None:
    """A value that is in the server's files already is not set again."""
    wanted = PostgresSetting(name="archive_mode", value="on", restart=True, reason="")
    server = PostgresView(reachable=True, settings=(("archive_mode", "off"),), pending=("archive_mode",))
    (state,) = setting_states((wanted,), server)
    assert "pending" == state.verdict


def test_only_a_primary_can_say_that_a_slot_is_missing() -> None:
    """A standby's list says nothing of the primary's slots."""
    wanted = (Slot(name="barman", created_by="cron"),)
    primary = PostgresView(reachable=True, in_recovery=False)
    assert [False] == [state.exists for state in slot_states(wanted, primary)]
    assert [None] == [state.exists for state in slot_states(wanted, PostgresView(reachable=True, in_recovery=True))]
    there = PostgresView(reachable=True, in_recovery=False, slots=(ReplicationSlot(name="barman", active=False),))
    assert [True] == [state.exists for state in slot_states(wanted, there)]
