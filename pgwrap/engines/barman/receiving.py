"""How Barman is had to fetch WAL from a server, take in what has come, and let go of it. Nothing is run here."""

from __future__ import annotations

from typing import Final

from pgwrap.domain.command import Command
from pgwrap.domain.model import Cluster
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.words import slot_name
from pgwrap.engines.port import EngineVersion, Receiving

TERMINATE_SINCE: Final = EngineVersion((3, 14))
"""`terminate-process`, which takes the place of `receive-wal --stop`."""
_DEADLINE: Final = 300.0


def receiving(cluster: Cluster, version: EngineVersion, run_as: str | None) -> Receiving:
    """`cron` starts the receiver in the background; `archive-wal` moves what has come into the archive."""
    server, instance = cluster.engine_name, cluster.engine

    def barman(*words: str) -> tuple[Command, ...]:
        return (commands.barman(instance, *words, run_as=run_as, deadline=_DEADLINE),)

    take = barman("archive-wal", server)
    if cluster.wal.delivery == "archive":
        return Receiving(take=take)
    stop = ("terminate-process", server, "receive-wal") if version >= TERMINATE_SINCE else None
    return Receiving(
        start=barman("cron"),
        take=take,
        stop=barman(*(stop or ("receive-wal", "--stop", server))),
        slot=slot_name(cluster),
    )
