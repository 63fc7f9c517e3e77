"""The stanza of what was carried over: its command lines, and what it is found to hold."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup
from pgwrap.domain.model import (
    BackupPolicy,
    Cluster,
    Encryption,
    EngineInstance,
    EngineKind,
    NativeOption,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Secret,
    WalPolicy,
)
from pgwrap.domain.wal import Timeline
from pgwrap.engines.history_port import ConsistentCopy, Holdings, Side
from pgwrap.engines.pgbackrest.carried import annotations_for
from pgwrap.engines.pgbackrest.incoming import Incoming, files_in, incoming
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import EngineFailed, EngineUnsupported, OutputNotUnderstood

INSTANCE = EngineInstance(name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/etc/p.conf")
LOCAL = Repository(name="local", path="/srv/pgbackrest")
CLUSTER = Cluster(
    name="orders", engine=INSTANCE, engine_name="orders", repositories=(LOCAL,), history="orders-history",
    backup=BackupPolicy(compression="gz", parallel=3), wal=WalPolicy(compression="zst", compression_level=1),
)  # fmt: skip
OTHER = replace(
    CLUSTER, name="other", engine_name="other", history=None, repositories=(Repository(name="far", path="/far"),)
)
BARMAN = Cluster(
    name="billing",
    engine_name="billing",
    engine=EngineInstance(name="barman", kind=EngineKind.BARMAN, command="barman", config="/etc/barman.conf"),
)
SPEAKING = ("--log-level-console=detail", "--log-level-stderr=off")
SEGMENT = "000000010000000000000003"


def side(*clusters: Cluster, **secrets: str) -> Side:
    """An installation that holds these clusters."""
    return Side(
        installation=clusters,
        version=EngineVersion((2, 45)),
        secret=lambda secret: secrets[secret.value[0]],
        run_as="postgres",
    )


def stanza(cluster: Cluster = CLUSTER) -> Incoming:
    """Its carried stanza, in an installation of its own."""
    return incoming(cluster, side(cluster))


def copy(**changes: object) -> ConsistentCopy:
    """A copy to be taken."""
    values: dict[str, object] = {
        "data": "/s/data", "kind": "full", "checksums": True, "annotations": (("carried-id", "b1"),),
        "environment": (("PGWRAP_DRILL", "t0"),),
    }  # fmt: skip
    return ConsistentCopy(**(values | changes))  # type: ignore[arg-type]


def test_the_stanza_is_named_and_made_offline() -> None:
    """From the control file of a copy."""
    assert stanza().create("/s/data").argv == (
        *("pgbackrest", "--config=/etc/p.conf", "--stanza=orders-history", "--no-online", "--pg1-path=/s/data"),
        *("--log-level-console=warn", "--log-level-stderr=off", "stanza-create"),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ("--type=full", "--checksum-page")),
        ({"checksums": False}, ("--type=full",)),
        ({"kind": "incr"}, ("--type=incr", "--delta", "--checksum-page")),
    ],
)
def test_a_copy_is_taken_offline_and_nothing_expires(changes: dict[str, object], words: tuple[str, ...]) -> None:
    """Into a named repository, with where it came from; an interrupted one is not gone on with."""
    command = stanza().take(copy(**changes), 5.0)
    assert command.argv == (
        *("pgbackrest", "--config=/etc/p.conf", "--stanza=orders-history", "--pg1-path=/s/data", "--no-online"),
        *("--repo=1", *words, "--no-resume", "--no-expire-auto", "--repo1-retention-full-type=count"),
        *("--repo1-retention-full=9999999", "--annotation=carried-id=b1", *SPEAKING, "backup"),
    )
    assert (command.run_as, command.deadline) == ("postgres", 5.0)
    assert dict(command.environment)["PGWRAP_DRILL"] == "t0"


def test_wal_is_archived_at_once_and_never_dropped() -> None:
    """Whatever the configuration says of queues."""
    assert stanza().push(f"/s/wal/{SEGMENT}").argv[3:] == (
        *("--no-archive-async", "--reset-archive-push-queue-max", "--log-level-console=warn"),
        *("--log-level-stderr=off", "--log-level-file=off", "archive-push", f"/s/wal/{SEGMENT}"),
    )


def test_what_the_cluster_says_in_its_own_section_goes_along() -> None:
    """Backups and WAL each with their compression; nothing of servers, nothing that expires."""
    found = stanza()
    assert dict(found.take(copy(environment=()), 1.0).environment) == {
        "PGBACKREST_COMPRESS_TYPE": "gz", "PGBACKREST_PROCESS_MAX": "3",
    }  # fmt: skip
    assert dict(found.push("/w").environment) == {
        "PGBACKREST_COMPRESS_TYPE": "zst", "PGBACKREST_COMPRESS_LEVEL": "1", "PGBACKREST_PROCESS_MAX": "3",
    }  # fmt: skip


def test_repositories_of_its_own_go_along_and_their_secrets_unseen() -> None:
    """In the environment, which no log and no process list shows; nobody else's secret is asked for."""
    locked = replace(LOCAL, encryption=Encryption(cipher="aes-256-cbc", passphrase=Secret(kind="env", value=("OWN",))))
    theirs = replace(OTHER, repositories=(replace(locked, name="far", path="/far", encryption=Encryption(
        cipher="aes-256-cbc", passphrase=Secret(kind="env", value=("THEIRS",))
    )),))  # fmt: skip
    cluster = replace(CLUSTER, repositories=(locked,), retention=RetentionPolicy(full=2))
    command = incoming(cluster, side(cluster, theirs, OWN="hush")).listing()
    environment = dict(command.environment)
    assert environment["PGBACKREST_REPO1_PATH"] == "/srv/pgbackrest"
    assert environment["PGBACKREST_REPO1_CIPHER_PASS"] == "hush"
    assert not any("RETENTION" in name for name in environment)
    assert "hush" not in repr(command) + command.quoted()


AWAY = replace(LOCAL, host=RemoteHost(address="vault", user="keeper", port=2222, config="/etc/v.conf"))
BACK = RemoteHost(address="db1", user="postgres")


def test_a_host_that_alone_takes_backups_fetches_the_copy() -> None:
    """Through ssh, as the repository's user; how files are packed goes along, and nothing of its repository."""
    found = stanza(replace(CLUSTER, repositories=(replace(AWAY, pulls_from=BACK),)))
    command = found.take(copy(environment=()), 5.0)
    assert (command.host, command.run_as) == ("ssh://keeper@vault:2222", None)
    assert command.argv[:6] == (
        *("pgbackrest", "--config=/etc/v.conf", "--stanza=orders-history", "--pg1-path=/s/data"),
        *("--pg1-host=db1", "--pg1-host-user=postgres"),
    )
    assert "--pg1-host-config=/etc/p.conf" in command.argv
    assert dict(command.environment) == {"PGBACKREST_COMPRESS_TYPE": "gz", "PGBACKREST_PROCESS_MAX": "3"}
    assert found.one_at_a_time
    for here in (found.create("/s/data"), found.push("/w"), found.info()):
        assert (here.host, here.run_as) == (None, "postgres")


def test_from_2_55_on_it_is_sent() -> None:
    """Nobody needs a way back."""
    cluster = replace(CLUSTER, repositories=(AWAY,))
    command = incoming(cluster, replace(side(cluster), version=EngineVersion((2, 55)))).take(copy(), 5.0)
    assert (command.host, command.run_as) == (None, "postgres")
    assert not any(word.startswith("--pg1-host") for word in command.argv)


def test_where_nobody_can_fetch_it_is_said_what_is_missing() -> None:
    """The way back; one repository; ssh."""
    for repositories, hint in (
        ((AWAY,), "pulls_from"),
        ((replace(AWAY, pulls_from=BACK), replace(LOCAL, name="second")), "one repository"),
        ((replace(AWAY, host=RemoteHost(address="vault", transport="tls"), pulls_from=BACK),), "by ssh"),
    ):
        with pytest.raises(EngineUnsupported, match="vault") as raised:
            stanza(replace(CLUSTER, repositories=repositories))
        assert hint in raised.value.hint
    for lacking in (replace(CLUSTER, history=None), replace(CLUSTER, repositories=())):
        with pytest.raises(EngineUnsupported):
            stanza(lacking)


@pytest.mark.parametrize(
    ("retention", "options", "thins"),
    [
        (RetentionPolicy(full=2), {}, False),
        (RetentionPolicy(full=2, wal=2), {}, False),
        (RetentionPolicy(full=2, wal=1), {}, True),
        (RetentionPolicy(full=2, wal=2, wal_type="differential"), {}, True),
        (RetentionPolicy(window_days=7, wal=2), {}, True),
        (RetentionPolicy(full=2), {"repo1-retention-archive": "1"}, True),
    ],
)
def test_retention_that_thins_wal_is_seen(retention: RetentionPolicy, options: dict[str, str], thins: bool) -> None:
    """In the spec's words or as a native option; the carried stanza never expires, yet somebody might."""
    natives = tuple(NativeOption(key=key, values=(value,)) for key, value in options.items())
    found = stanza(replace(CLUSTER, retention=retention, options=natives)).thinning()
    assert bool(found) is thins
    assert all("retention-archive" in one for one in found)


def backup(label: str, origin: str, **changes: Any) -> dict[str, Any]:
    """A set as `info` shows it."""
    source = Backup(
        engine="barman", engine_name="billing", id=origin, repository=None, type="full", state="done",
        stopped_at=datetime(2026, 11, 26, tzinfo=UTC), timeline=Timeline(1),
    )  # fmt: skip
    return {
        "label": label, "type": "full", "database": {"id": 1, "repo-key": 1}, "annotation": dict(
            annotations_for(source, ())
        ), "archive": {"start": None, "stop": None}, "timestamp": {"start": 1, "stop": 2}, "prior": None,
        "reference": None, "error": False, "info": {"delta": 9, "size": 9, "repository": {"delta": 4}},
    } | changes  # fmt: skip


def held(*backups: dict[str, Any], systems: tuple[int, ...] = (7,), listing: str = "{}") -> Holdings:
    """What is found in such a stanza."""
    databases = [
        {"id": one, "repo-key": 1, "system-id": number, "version": "15"} for one, number in enumerate(systems, 1)
    ]
    status = {"code": 0, "message": "ok", "lock": {"backup": {"held": False}}}
    entry = {
        "name": "orders-history", "status": status, "repo": [], "db": databases, "archive": [], "backup": list(backups)
    }  # fmt: skip
    conversation = stanza().holdings(BARMAN, "7")
    informed, listed = next(conversation)
    with pytest.raises(StopIteration) as stop:
        conversation.send((_ended(informed, json.dumps([entry])), _ended(listed, listing)))
    found: Holdings = stop.value.value
    return found


def _ended(command: Command, text: str) -> Outcome:
    return Outcome(command=command, exit_code=0, stdout=text.encode())


@pytest.mark.parametrize(
    ("own", "carried", "astray"),
    [
        ('{"orders":{"type":"path"}}', '{"orders":{"type":"path"}}', False),
        ('{"orders":{"type":"path"}}', "{}", True),
        ("{}", "{}", False),
    ],
    ids=["beside it", "elsewhere", "none is there yet"],
)
def test_a_host_that_would_keep_it_elsewhere_is_seen(own: str, carried: str, astray: bool) -> None:
    """By what lies below either name; with the repository at hand both are in one file, and nothing is asked."""
    conversation = stanza(replace(CLUSTER, repositories=(replace(AWAY, pulls_from=BACK),))).astray()
    commands = next(conversation)
    assert [command.argv[2] for command in commands] == ["--stanza=orders", "--stanza=orders-history"]
    with pytest.raises(StopIteration) as stop:
        conversation.send(tuple(_ended(one, text) for one, text in zip(commands, (own, carried), strict=True)))
    assert (stop.value.value is not None and "vault" in stop.value.value) is astray
    with pytest.raises(StopIteration) as nothing:
        next(stanza().astray())
    assert nothing.value.value is None


def test_what_was_carried_is_known_by_where_it_came_from() -> None:
    """Of this server alone; one with wrong pages, too, for it would have them the next time as well."""
    strange = {"carried-engine": "barman", "carried-server": "other", "carried-id": "b3"}
    found = held(
        backup("20261126-121219F", "b2"),
        backup("20261126-121216F", "b1"),
        backup("20261126-121230F", "b4", error=True),
        backup("20261126-121231F", "b3", annotation=strange),
        backup("20261126-121232F", "b5", annotation={}),
    )
    assert [(one.id, one.origin, one.timeline, one.stored_bytes, one.page_errors) for one in found.sets] == [
        ("20261126-121216F", "b1", 1, 4, False),
        ("20261126-121219F", "b2", 1, 4, False),
        ("20261126-121230F", "b4", 1, 4, True),
    ]
    assert found.systems == ("7",)


def test_a_stanza_that_is_not_there_holds_nothing() -> None:
    """`info` answers for it all the same; `repo-ls` lists an empty directory."""
    found = held(systems=(), listing='{".":{"type":"path"}}')
    assert (found.sets, found.systems, dict(found.files)) == ((), (), {})


LISTING = json.dumps(
    {
        ".": {"type": "path"},
        "15-1": {"type": "path"},
        "15-1/0000000100000000": {"type": "path"},
        f"15-1/0000000100000000/{SEGMENT}-{'a' * 40}.zst": {"type": "file", "size": 70, "time": 1},
        f"15-1/0000000100000000/{SEGMENT}.partial-{'b' * 40}.gz": {"type": "file", "size": 60, "time": 1},
        f"15-1/0000000100000000/{SEGMENT}.00000028.backup": {"type": "file", "size": 50, "time": 1},
        "15-1/00000002.history": {"type": "file", "size": 40, "time": 1},
        f"15-1/0000000100000000/{SEGMENT[:-1]}4-{'a' * 40}.zst.pgbackrest.tmp": {"type": "file", "size": 1, "time": 1},
        f"15-2/0000000100000000/{SEGMENT[:-1]}5-{'a' * 40}": {"type": "file", "size": 30, "time": 1},
        "archive.info": {"type": "file", "size": 20, "time": 1},
    }
)


def test_what_is_archived_is_known_by_name() -> None:
    """Complete files of the present archive; not what is just being written, nor another system's."""
    expected = {SEGMENT: 70, f"{SEGMENT}.partial": 60, f"{SEGMENT}.00000028.backup": 50, "00000002.history": 40}
    assert dict(held(listing=f"WARN: hello\n{LISTING}").files) == expected
    assert dict(held(systems=(7, 8), listing=LISTING).files) == {}
    assert list(files_in(LISTING, "15-2")) == [f"{SEGMENT[:-1]}5"]


@pytest.mark.parametrize("text", ["", "[]", '{"a":', '{"15-1/00000002.history": 3}'])
def test_a_listing_that_is_none_is_an_error(text: str) -> None:
    """Never an empty archive."""
    with pytest.raises(OutputNotUnderstood):
        files_in(text, "15-1")


def test_the_new_set_is_named_or_it_is_an_error() -> None:
    """Its label comes from pgBackRest's own line."""
    command = stanza().info()
    good = "P00   INFO: new backup label = 20261126-121216F_20261126-121219I\n"
    assert stanza().taken(_ended(command, good)) == "20261126-121216F_20261126-121219I"
    with pytest.raises(OutputNotUnderstood):
        stanza().taken(_ended(command, "done"))
    failed = Outcome(command=command, exit_code=28, stderr=b"ERROR: [028]: mismatch")
    with pytest.raises(EngineFailed, match="mismatch"):
        stanza().taken(failed)
