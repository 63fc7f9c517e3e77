"""The WAL that Barman holds of one server, and the ways between its timelines. It asks nothing and finds no gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pgwrap.domain.command import Outcome
from pgwrap.domain.facts import ArchiveContents, Finding, FindingCode, Severity
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, Ancestry, Segment, SegmentRange, without
from pgwrap.engines.barman.backups import postgres_version
from pgwrap.engines.barman.catalog import CatalogBackup, ServerReport, WalList
from pgwrap.engines.barman.failures import read, reason
from pgwrap.engines.barman.parse import parse_wal_list
from pgwrap.engines.barman.wal_files import Comparison, compared, parse_files
from pgwrap.engines.barman.xlogdb import read_index


def read_wal(
    asked: Outcome | None, index: Outcome | None, report: ServerReport, segment_size: int | None
) -> tuple[WalList | None, tuple[Finding, ...]]:
    """The WAL list of a server, by Barman where it was asked, else from its index; None with a finding where it could
    not be had, and without one where nothing was archived.
    """
    answer = _wal_list(asked, index, report, segment_size)
    if answer is None:
        return None, _not_asked(report)
    if isinstance(answer, Finding):
        return None, (_wal_unknown(answer.message, answer.hint),)
    if not answer.ranges and _holds_wal(report):
        message = "Barman's WAL list is empty though WAL is archived"
        return None, (_wal_unknown(message, f"barman rebuild-xlogdb {report.name}"),)
    return answer, ()


def seems_lost(index: Outcome, files: Outcome | None, report: ServerReport, segment_size: int | None) -> bool:
    """Whether a listed segment is not among the files. Index and files are not read at the same instant, and WAL comes
    and goes meanwhile: before it is called lost, both must be read once more.
    """
    if files is None or not files.succeeded:
        return False
    listed = read_index(index, report, segment_size)
    if isinstance(listed, Finding):
        return False
    size = report.segment_size or segment_size or DEFAULT_SEGMENT_SIZE
    return bool(compared(listed.ranges, parse_files(files.text(), size)).lost)


def listed_twice(first: Outcome, wal: WalList, report: ServerReport, segment_size: int | None) -> WalList:
    """Only what the index listed both times: neither what came in between nor what went."""
    before = read_index(first, report, segment_size)
    if isinstance(before, Finding):
        return wal
    return replace(wal, ranges=tuple(without(wal.ranges, tuple(without(wal.ranges, before.ranges)))))


def _wal_list(
    asked: Outcome | None, index: Outcome | None, report: ServerReport, segment_size: int | None
) -> WalList | Finding | None:
    if asked is not None:
        return read(asked, lambda text: parse_wal_list(text, report.segment_size or segment_size))
    return None if index is None else read_index(index, report, segment_size)


def against_files(
    wal: WalList | None, outcome: Outcome | None, report: ServerReport, segment_size: int | None
) -> tuple[WalList | None, tuple[Finding, ...]]:
    """The WAL that is both listed and there; what is only one of the two is a finding."""
    if wal is None or outcome is None:
        return wal, ()
    if not outcome.succeeded:
        cause = outcome.message or reason(outcome)
        message = f"the WAL is what Barman's list says; its files could not be looked at: {cause}"
        return wal, (Finding(code=FindingCode.WAL_UNKNOWN, severity=Severity.OK, message=message),)
    size = report.segment_size or segment_size or DEFAULT_SEGMENT_SIZE
    comparison = compared(wal.ranges, parse_files(outcome.text(), size))
    return replace(wal, ranges=comparison.present), tuple(_differences(comparison, report, size))


def _differences(comparison: Comparison, report: ServerReport, size: int) -> Iterator[Finding]:
    directory = report.settings.wals_directory
    if comparison.lost:
        yield Finding(
            code=FindingCode.REPOSITORY_ERROR,
            severity=Severity.CRITICAL,
            message=f"{_counted(comparison.lost, size)} in Barman's list, but not in {directory}",
            hint="restores across it fail: find the files or take a new backup, then barman rebuild-xlogdb",
        )
    if comparison.unlisted:
        yield Finding(
            code=FindingCode.REPOSITORY_ERROR,
            severity=Severity.WARNING,
            message=f"{_counted(comparison.unlisted, size)} in {directory}, but not in Barman's list",
            hint=f"barman rebuild-xlogdb {report.name}",
        )


def _counted(ranges: tuple[SegmentRange, ...], size: int) -> str:
    number = sum(len(run) for run in ranges)
    first = Segment(ranges[0].timeline, ranges[0].first).name(size)
    return f"WAL segment {first} is" if number == 1 else f"{number} WAL segments, the first {first}, are"


def read_ancestry(outcome: Outcome | None, report: ServerReport) -> tuple[tuple[Ancestry, ...], tuple[Finding, ...]]:
    """The history of the newest timeline; without it, restores cannot follow the cluster onto that timeline."""
    timeline = report.newest_timeline
    if outcome is None or timeline is None:
        return (), ()
    if not outcome.succeeded:
        return (), (_no_history(timeline, outcome.message or reason(outcome)),)
    try:
        return (Ancestry.parse(timeline, outcome.text()),), ()
    except ValueError as error:
        return (), (_no_history(timeline, str(error)),)


def contents(
    report: ServerReport,
    wal: WalList | None,
    ancestries: tuple[Ancestry, ...],
    *,
    repository: str,
    segment_size: int | None,
) -> ArchiveContents:
    """Barman's one archive; `ranges` is None where the list could not be had, empty where nothing was archived."""
    last = max(report.newest_wal, key=lambda segment: segment.name, default=None)
    times = [segment.archived_at for segment in report.newest_wal if segment.archived_at is not None]
    empty = not report.backups and not report.newest_wal
    return ArchiveContents(
        repository=repository,
        archive=None,
        system_identifier=system_identifier(report),
        postgres_version=newest_postgres(report),
        segment_size=report.segment_size or segment_size or DEFAULT_SEGMENT_SIZE,
        minimum=wal.minimum if wal is not None else None,
        maximum=wal.maximum if wal is not None else last.name if last is not None else None,
        ranges=wal.ranges if wal is not None else () if empty else None,
        newest_at=max(times, default=wal.newest_at if wal is not None else None),
        ancestries=ancestries,
        directory=report.settings.wals_directory,
    )


def system_identifier(report: ServerReport) -> str | None:
    """The server's, as it says itself, else as its newest backup recorded."""
    newest = _newest(report)
    return report.status.system_identifier or (newest.system_identifier if newest is not None else None)


def newest_postgres(report: ServerReport) -> str | None:
    """PostgreSQL's major version, as the server says it, else as its newest backup recorded."""
    newest, text = _newest(report), report.status.version
    if text is None:
        return postgres_version(newest.version) if newest is not None else None
    major, _, rest = text.partition(".")
    return f"{major}.{rest.split('.')[0]}" if major == "9" else major


def _newest(report: ServerReport) -> CatalogBackup | None:
    return max(report.backups, key=lambda backup: backup.id, default=None)


def _holds_wal(report: ServerReport) -> bool:
    """A backup becomes DONE only with its WAL archived."""
    return bool(report.newest_wal) or any(backup.status == "DONE" for backup in report.backups)


def _not_asked(report: ServerReport) -> tuple[Finding, ...]:
    """That nothing was archived yet is known; of an inactive or disabled server Barman does not tell."""
    if not report.backups and not report.newest_wal:
        return ()
    return (_wal_unknown(f"Barman lists no WAL of the server {report.name} while it is out of use"),)


def _wal_unknown(message: str, hint: str = "") -> Finding:
    return Finding(code=FindingCode.WAL_UNKNOWN, severity=Severity.UNKNOWN, message=message, hint=hint)


def _no_history(timeline: int, cause: str) -> Finding:
    return Finding(
        code=FindingCode.WAL_UNKNOWN,
        severity=Severity.WARNING,
        message=f"the history of timeline {timeline} could not be read from Barman's archive: {cause}",
        hint="without it no restore reaches that timeline from a backup of an older one",
    )
