"""Findings about WAL: gaps, lag, and archives that could not be listed. It fetches no segment."""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.domain.amounts import duration, size
from pgwrap.domain.facts import Finding, FindingCode, Severity, WalGap
from pgwrap.domain.gaps import meanings_of
from pgwrap.domain.model import RetentionPolicy
from pgwrap.domain.verdicts import words
from pgwrap.domain.verdicts.evidence import Evidence
from pgwrap.domain.wal_status import segment_size

_STALE_SEGMENTS = 4
"""Unarchived WAL that is worth a warning even where nobody asked for an rpo, in segments."""


def wal_findings(evidence: Evidence) -> Iterator[Finding]:
    """Every finding about the WAL of one cluster."""
    yield from _gaps(evidence)
    yield from _stale(evidence)
    yield from _unknown(evidence)


def _gaps(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each gap that does harm; the others by archive and reason: retention leaves many."""
    gaps = evidence.wal.gaps
    thinned = {gap.repository for gap in gaps if _thins_wal(gap.repository, evidence)}
    harmless: dict[tuple[str | None, str | None, str], list[WalGap]] = {}
    for gap, meaning in zip(gaps, meanings_of(gaps, evidence.observation, thinned=thinned), strict=True):
        if meaning.harmless:
            harmless.setdefault((gap.repository, gap.archive, meaning.reason), []).append(gap)
        else:
            yield _gap((gap,), meaning.reason, _harm(gap, evidence), words.take_backup(evidence.cluster))
    for (_, _, reason), group in harmless.items():
        yield _gap(tuple(group), reason, Severity.OK, "")


def _gap(group: tuple[WalGap, ...], reason: str, severity: Severity, hint: str) -> Finding:
    first, last = group[0], group[-1]
    count = sum(gap.segments for gap in group)
    missing = "1 WAL segment is missing" if count == 1 else f"{count} WAL segments are missing"
    place = f" in repository {first.repository}" if first.repository else ""
    place += f" ({first.archive})" if first.archive else ""
    names = first.from_ if count == 1 else f"{first.from_} to {last.to}"
    parts = "" if len(group) == 1 else f" in {len(group)} places"
    return Finding(
        code=FindingCode.WAL_GAP,
        severity=severity,
        message=f"{missing}{place}: {names}{parts}; {reason}",
        hint=hint,
        repository=first.repository,
    )


def _harm(gap: WalGap, evidence: Evidence) -> Severity:
    """A cut in the history of a version that was upgraded from concerns nobody's next restore."""
    current = {(a.repository, a.archive): a.current for a in evidence.observation.archives}
    return Severity.CRITICAL if current.get((gap.repository, gap.archive), True) else Severity.WARNING


def _thins_wal(repository: str | None, evidence: Evidence) -> bool:
    """Whether the policy keeps continuous WAL for the newest backups alone."""
    return any(
        policy.wal is not None or policy.wal_type is not None for policy in _policies(repository, evidence)
    ) or any("retention-archive" in option.key for option in evidence.cluster.options)


def _policies(repository: str | None, evidence: Evidence) -> Iterator[RetentionPolicy]:
    yield evidence.cluster.retention
    for own in evidence.cluster.repositories:
        if own.name == repository and own.retention is not None:
            yield own.retention


def _stale(evidence: Evidence) -> Iterator[Finding]:
    lag, rpo = evidence.wal.lag_bytes, evidence.objective("rpo")
    many = _STALE_SEGMENTS * segment_size(evidence.observation, evidence.postgres)
    missed = rpo is not None and rpo.severity is Severity.CRITICAL
    if not lag or not (missed or (rpo is None and lag > many)):
        return
    limit = f"; the rpo is {duration(rpo.limit_seconds)}" if rpo is not None else ""
    yield Finding(
        code=FindingCode.WAL_STALE,
        severity=Severity.CRITICAL if missed else Severity.WARNING,
        message=f"{size(lag)} of WAL are not archived; the newest archived segment is of "
        f"{words.moment(evidence.wal.last_archived_at)}{limit}",
        hint=_stale_hint(evidence, lag),
    )


def _stale_hint(evidence: Evidence, lag: int) -> str:
    """Less than a segment waits because nothing closes it; more waits because archiving is slow or broken."""
    if lag <= segment_size(evidence.observation, evidence.postgres):
        wanted = next((one.value for one in evidence.expected if one.name == "archive_timeout"), "60")
        return words.psql(evidence.cluster, f"alter system set archive_timeout = {wanted}") + " and reload PostgreSQL"
    return words.native(evidence.cluster, pgbackrest=("check",), barman=("check", "{}"))


def _unknown(evidence: Evidence) -> Iterator[Finding]:
    """An archive that was not listed leaves backups and gaps unjudged; that is never ok."""
    archives = {(archive.repository, archive.archive): archive for archive in evidence.observation.archives}
    for place, archive in archives.items():
        if archive.current and archive.ranges is None:
            yield _unlisted(*place, evidence)
    needed = dict.fromkeys((b.repository, b.archive) for b in evidence.done() if b.wal_start is not None)
    for place in needed:
        if place not in archives:
            yield _unlisted(*place, evidence)


def _unlisted(repository: str | None, archive: str | None, evidence: Evidence) -> Finding:
    name = f"archive {archive}" if archive else "the archive"
    where = f" in repository {repository}" if repository else ""
    return Finding(
        code=FindingCode.WAL_UNKNOWN,
        severity=Severity.UNKNOWN,
        message=f"the WAL of {name}{where} could not be listed: whether its backups can be restored is not known",
        hint=words.native(
            evidence.cluster, pgbackrest=("repo-ls", f"archive/{evidence.cluster.engine_name}"), barman=("check", "{}")
        ),
        repository=repository,
    )
