"""Barman's own index of its WAL files (xlog.db), read without Barman, which takes longer to start than to answer. No
lock is taken and nothing is asked here; where the index does not suffice, Barman itself must be asked (`sync-info`).

Where it lies, and its lines: barman/server.py (xlogdb_file_path), barman/infofile.py (WalFileInfo.from_xlogdb_line).
"""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.domain.command import Outcome
from pgwrap.domain.facts import Finding
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, is_segment_name
from pgwrap.engines.barman.catalog import ServerReport, WalList
from pgwrap.engines.barman.failures import read
from pgwrap.engines.barman.parse import wal_list_of
from pgwrap.errors import OutputNotUnderstood

_ABSENT = "No such file or directory"


def index_path(report: ServerReport) -> str | None:
    """The index of one server; None where its WAL is not on Barman's disk (3.18+: a bucket) and Barman must be asked.

    `xlogdb_directory` is an option since 3.13.0, which also put the server's name in front of the file's.
    """
    settings = report.settings
    if settings.wals_directory is None or not settings.wals_directory.startswith("/"):
        return None
    if settings.xlogdb_directory is None:
        return f"{settings.wals_directory.rstrip('/')}/xlog.db"
    return f"{settings.xlogdb_directory.rstrip('/')}/{report.name}-xlog.db"


def suffices(index: Outcome, files: Outcome | None, report: ServerReport) -> bool:
    """Whether the index needs no Barman to confirm it.

    Without the newest WAL of the diagnosis it is being rewritten, or of another Barman. Where it is absent, Barman
    would rebuild it (3.13+) from the files: none make an empty one.
    """
    if index.succeeded:
        return all(f"{newest.name}\t".encode() in index.stdout for newest in report.newest_wal)
    if not _absent(index) or files is None or not files.succeeded:
        return False
    return not any(is_segment_name(path.rpartition("/")[2]) for path in files.text().splitlines())


def read_index(index: Outcome, report: ServerReport, segment_size: int | None) -> WalList | Finding:
    """The WAL that the index of a server lists; `segment_size` in bytes where only the spec tells it."""
    size = report.segment_size or segment_size or DEFAULT_SEGMENT_SIZE
    if _absent(index):
        return parse_index("", size)
    return read(index, lambda text: parse_index(text, size))


def parse_index(text: str, segment_size: int) -> WalList:
    """Read xlog.db; OutputNotUnderstood for other text.

    It tells more than `sync-info`, which begins at the oldest DONE backup: what is older goes with that, too.
    """
    try:
        return wal_list_of(_entries(text), segment_size)
    except ValueError as error:
        raise OutputNotUnderstood(f"Barman's xlog.db: {error}") from error


def _entries(text: str) -> Iterator[tuple[str, float]]:
    """Name and time of each line (name, size, time[, compression[, encryption]]); one being written has no end yet."""
    for line in text.split("\n")[:-1]:
        fields = line.split()
        if not 3 <= len(fields) <= 5:
            raise ValueError(f"cannot parse line: {line[:120]!r}")
        int(fields[1])
        yield fields[0], float(fields[2])


def _absent(index: Outcome) -> bool:
    return index.failure is None and index.exit_code == 1 and index.error_text().rstrip().endswith(_ABSENT)
