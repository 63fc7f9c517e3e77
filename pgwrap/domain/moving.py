"""What two engines can restore together while a cluster moves from one to the other. It reads no journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pgwrap.domain.facts import (
    ClusterStatus,
    Finding,
    FindingCode,
    Moving,
    RecoverableInterval,
    Severity,
    UnitedInterval,
    worst,
)
from pgwrap.domain.model import Move

_COVERED: Final = frozenset(
    {FindingCode.NO_BACKUP, FindingCode.STANZA_MISSING, FindingCode.TOO_FEW_BACKUPS, FindingCode.DRILL_NEVER}
)
"""What is no fault of an entry that does not have to restore anything (yet, or any more)."""
_NOT_YET_FED: Final = frozenset(
    {
        FindingCode.REPLICATION_SLOT_INACTIVE,
        FindingCode.ARCHIVE_MODE_OFF,
        FindingCode.ARCHIVE_COMMAND_DIFFERS,
        FindingCode.ARCHIVER_FAILING,
        FindingCode.WAL_STALE,
        FindingCode.WAL_GAP,
    }
)
"""The same of an entry that is not to receive WAL yet."""


def with_moves(statuses: tuple[ClusterStatus, ...], moves: tuple[Move, ...]) -> tuple[ClusterStatus, ...]:
    """The same, each cluster that moves with what both of its entries can restore."""
    known = {status.name: status for status in statuses}
    for move in moves:
        pair = tuple(known[name] for name in (move.old, move.new) if name in known)
        for status in pair:
            known[status.name] = _moving(status, pair, move)
    return tuple(known[status.name] for status in statuses)


def _moving(status: ClusterStatus, pair: tuple[ClusterStatus, ...], move: Move) -> ClusterStatus:
    expected = 1 if move.step == "prepare" else 2  # before it is prepared, the new engine knows nothing of the cluster
    whole = len(pair) == expected and all(one.read for one in pair)
    in_charge = move.new if move.cut_over else move.old
    moving = Moving(
        migration=move.migration,
        old=move.old,
        new=move.new,
        state=move.state,
        step=move.step,
        in_charge=in_charge,
        recoverable=united(interval for one in pair for interval in one.recoverable) if whole else None,
    )
    fed = move.step not in ("prepare", "dual")
    return replace(_relieved(status, in_charge, _COVERED if fed else _COVERED | _NOT_YET_FED), moving=moving)


def _relieved(status: ClusterStatus, in_charge: str, covered: frozenset[FindingCode]) -> ClusterStatus:
    """What the other entry covers is a note, as long as it is in charge."""
    if status.name == in_charge or not status.read:
        return status
    findings = tuple(_noted(finding, in_charge) if finding.code in covered else finding for finding in status.findings)
    severities = (
        *(finding.severity for finding in findings),
        *(repository.severity for repository in status.repositories),
        *(objective.severity for objective in status.objectives),
    )
    return replace(status, findings=findings, severity=worst(severities))


def _noted(finding: Finding, in_charge: str) -> Finding:
    message = f"{finding.message} (as it moves, {in_charge} is what restores)"
    return replace(finding, severity=Severity.OK, message=message)


def united(intervals: Iterable[RecoverableInterval]) -> tuple[UnitedInterval, ...]:
    """The moments that any of them has, oldest first; those that touch are one."""
    joined: list[UnitedInterval] = []
    for one in sorted(intervals, key=lambda interval: (interval.from_, interval.to)):
        if joined and one.from_ <= joined[-1].to:
            last = joined[-1]
            engines = tuple(dict.fromkeys((*last.engines, one.engine)))
            joined[-1] = replace(last, to=max(last.to, one.to), engines=engines)
        else:
            joined.append(UnitedInterval(from_=one.from_, to=one.to, engines=(one.engine,)))
    return tuple(joined)
