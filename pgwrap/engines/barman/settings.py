"""What PostgreSQL itself needs for Barman to work with it, as data. Nothing is set here.

WAL goes through `barman-wal-archive`, also on Barman's own host: it is Barman's own program, checks the copy and
flushes it to disk before PostgreSQL may recycle the segment, and never shows Barman a half-written file; `cp` does
none of that.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from pgwrap.domain.model import Cluster
from pgwrap.domain.objectives import archive_timeout
from pgwrap.domain.plan import ClusterSettings, PostgresSetting, Slot
from pgwrap.engines.barman.words import DEFAULT_STREAMING_NAME, DEFAULT_USER, method, owner, slot_name
from pgwrap.engines.port import EngineVersion

_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_CONFIGS: Final = frozenset({"/etc/barman.conf", "/etc/barman/barman.conf"})
_BLOCK_INCREMENTAL_POSTGRES: Final = 17
BLOCK_INCREMENTAL: Final = EngineVersion((3, 11))


def settings(cluster: Cluster, version: EngineVersion) -> ClusterSettings:
    """The settings and slot of one cluster; none for a passive one, whose PostgreSQL Barman never meets."""
    if cluster.passive is not None:
        return ClusterSettings(cluster=cluster.name, settings=())
    slot = slot_name(cluster)
    return ClusterSettings(
        cluster=cluster.name,
        settings=(
            PostgresSetting(
                name="wal_level", value="replica", restart=True, minimum=True, reason="online backups and WAL archiving"
            ),
            *_senders(cluster),
            *_slots(slot),
            *_archiving(cluster),
            *_synchronous(cluster),
            *_summaries(cluster, version),
        ),
        slots=() if slot is None else (Slot(name=slot, created_by=_creator(cluster)),),
    )


def archive_command(cluster: Cluster) -> str | None:
    """How PostgreSQL hands WAL to Barman; None when the spec does not tell by which name it reaches Barman's host."""
    host = _barman_host(cluster)
    if host is None:
        return None
    user, config = owner(cluster.engine), cluster.engine.config
    argv = ["barman-wal-archive"]
    if user != DEFAULT_USER:
        argv += ["-U", user]
    if config not in _DEFAULT_CONFIGS:
        argv += ["-c", config]
    return f"{shlex.join([*argv, host, cluster.engine_name])} %p"


def _barman_host(cluster: Cluster) -> str | None:
    if cluster.engine.host is not None:
        return cluster.engine.host.rpartition("@")[2]
    local = cluster.postgres.host is None or cluster.postgres.host in _HERE or cluster.postgres.host.startswith("/")
    return "localhost" if local and cluster.postgres.ssh is None else None


def _senders(cluster: Cluster) -> Iterator[PostgresSetting]:
    users = {"base backup": method(cluster) == "postgres", "WAL streaming": cluster.wal.delivery != "archive"}
    needed = [user for user, wanted in users.items() if wanted]
    if needed:
        reason = f"{' and '.join(needed)}, and one that a broken connection may hold for a while"
        value = str(len(needed) + 1)
        yield PostgresSetting(name="max_wal_senders", value=value, restart=True, minimum=True, reason=reason)


def _slots(slot: str | None) -> Iterator[PostgresSetting]:
    if slot is not None:
        reason = f"the slot {slot}, which keeps WAL until Barman has it"
        yield PostgresSetting(name="max_replication_slots", value="1", restart=True, minimum=True, reason=reason)


def _archiving(cluster: Cluster) -> Iterator[PostgresSetting]:
    if cluster.wal.delivery == "stream":
        return
    command = archive_command(cluster)
    reason = "WAL delivery by archive_command"
    if command is None:
        by_hand = f"barman-wal-archive BARMAN-HOST {shlex.quote(cluster.engine_name)} %p"
        reason += f"; set it to `{by_hand}` with the name by which the database server reaches Barman's host"
    yield PostgresSetting(name="archive_mode", value="on", restart=True, reason=reason)
    if command is not None:
        yield PostgresSetting(name="archive_command", value=command, restart=False, reason="hands WAL to Barman")
    yield from archive_timeout(cluster.objectives)


def _synchronous(cluster: Cluster) -> Iterator[PostgresSetting]:
    if cluster.wal.synchronous and cluster.wal.delivery != "archive":
        name = cluster.wal.streaming_name or DEFAULT_STREAMING_NAME
        reason = (
            "commits wait for Barman; restart receive-wal right after setting it, or every commit hangs "
            "(barman receive-wal --stop, then barman cron)"
        )
        yield PostgresSetting(name="synchronous_standby_names", value=name, restart=False, reason=reason)


def _summaries(cluster: Cluster, version: EngineVersion) -> Iterator[PostgresSetting]:
    scheduled = {action for action, _ in cluster.schedule.entries} & {"incremental", "differential"}
    able = version >= BLOCK_INCREMENTAL and (cluster.postgres.version or 0) >= _BLOCK_INCREMENTAL_POSTGRES
    if scheduled and able and method(cluster) == "postgres":
        yield PostgresSetting(
            name="summarize_wal", value="on", restart=False, reason="incremental backups of PostgreSQL 17 and newer"
        )


def _creator(cluster: Cluster) -> str:
    if cluster.wal.create_slot:
        return "barman cron, which starts receive-wal (create_slot = auto)"
    return f"barman receive-wal --create-slot {shlex.quote(cluster.engine_name)}"
