"""A backup of Barman's and its WAL on their way to another engine: the commands, and what their ends mean.

Nothing runs here. A backup is restored so that PostgreSQL stops where it is consistent; WAL is read where it lies.
Layout of the WAL: barman/xlog.py (hash_dir), barman/wal_archiver.py.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.model import Cluster
from pgwrap.domain.wal_file import WalFile, is_wal_name
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.copy import check, restoring
from pgwrap.engines.barman.failures import check_ran, reason
from pgwrap.engines.history_port import Departure
from pgwrap.engines.port import CopyRequest
from pgwrap.errors import EngineFailed
from pgwrap.records import dataclass

_DEADLINE: Final = 60.0


@dataclass(frozen=True, slots=True)
class BarmanSource:
    """See `pgwrap.engines.history_port.HistorySource`."""

    def depart(self, request: CopyRequest) -> Conversation[Departure]:
        """See restore_to_consistency."""
        return restore_to_consistency(request)

    def wal_files(self, cluster: Cluster, directory: str, run_as: str | None) -> Conversation[tuple[WalFile, ...]]:
        """See wal_files."""
        return wal_files(cluster, directory, run_as)

    def fetch(self, cluster: Cluster, name: str, directory: str, run_as: str | None) -> Command:
        """`barman get-wal`, which knows its own packing and its own keys."""
        return commands.fetch_wal(cluster.engine, cluster.engine_name, name, directory, run_as)


def restore_to_consistency(request: CopyRequest) -> Generator[tuple[Command, ...], tuple[Outcome, ...], Departure]:
    """`barman recover` (`restore` from 3.12 on) without WAL, of which old versions would copy all that came later."""
    words = ("--get-wal", "--target-immediate", "--target-action", "shutdown")
    command, there = yield from restoring(request, words)
    return Departure(command=command, check=lambda ended: check(request, ended), tablespaces=there)


def wal_files(
    cluster: Cluster, directory: str, run_as: str | None
) -> Generator[tuple[Command, ...], tuple[Outcome, ...], tuple[WalFile, ...]]:
    """Every file of the WAL archive, histories first and then by name, which is the order of WAL on each timeline."""
    command = Command(
        argv=("find", "-H", directory, "-mindepth", "1", "-maxdepth", "2", "-type", "f", "-printf", r"%s %P\0"),
        run_as=run_as,
        host=cluster.engine.host,
        deadline=_DEADLINE,
    )
    (outcome,) = yield (command,)
    check_ran(outcome)
    if not outcome.succeeded:
        message = f"the WAL files of {cluster.engine_name} could not be listed: {reason(outcome)}"
        raise EngineFailed(message, cluster=cluster.name, engine_exit=outcome.exit_code)
    return parse_wal_files(outcome.text(), directory)


def parse_wal_files(text: str, directory: str) -> tuple[WalFile, ...]:
    """Read `SIZE PATH` entries with a NUL behind each; what is no WAL file by its name (xlog.db) is left out."""
    found = []
    for entry in text.split("\0"):
        count, _, path = entry.partition(" ")
        name = path.rpartition("/")[2]
        if is_wal_name(name) and count.isdecimal():
            found.append(WalFile(name=name, path=f"{directory}/{path}", bytes=int(count)))
    return tuple(sorted(found, key=lambda file: (not file.name.endswith(".history"), file.name)))
