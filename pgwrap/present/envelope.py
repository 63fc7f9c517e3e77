"""The frame around every command's JSON, and its errors as data. It decides neither exit codes nor results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from pgwrap import __version__
from pgwrap.domain.facts import Finding, FindingCode, FleetStatus, Severity
from pgwrap.errors import EngineFailed, Location, PgwrapError, Problem, SpecError
from pgwrap.present.encode import Json, encode
from pgwrap.records import dataclass

OutcomeName: TypeAlias = Literal["success", "partial", "error"]

_UNREAD = frozenset(
    {
        FindingCode.ENGINE_MISSING,
        FindingCode.ENGINE_FAILED,
        FindingCode.ENGINE_TIMEOUT,
        FindingCode.OUTPUT_NOT_UNDERSTOOD,
        FindingCode.NOT_ASKED,
        FindingCode.WAL_UNKNOWN,
    }
)
"""With severity unknown, these say that the engine's answer for the cluster is missing or in pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEntry:
    """One thing that kept the command from a whole answer."""

    code: str
    """The error's slug, or the code of the finding that says the same."""
    message: str
    hint: str = ""
    cluster: str | None = None
    engine_exit: int | None = None
    """The engine's own exit code; negative for the signal that ended it."""
    location: Location | None = None
    """Where in the spec the cause stands."""


def envelope(schema: str, result: object, errors: Sequence[ErrorEntry], now: datetime, outcome: OutcomeName) -> Json:
    """`result` (facts or plain data) framed; `schema` is such as `pgwrap/status/1`."""
    return {
        "schema": schema,
        "pgwrap": __version__,
        "generated_at": encode(now),
        "outcome": outcome,
        "errors": [encode(error) for error in errors],
        "result": encode(result),
    }


def error_envelope(command: str, error: PgwrapError, now: datetime) -> Json:
    """What a command that failed says in JSON: no result, and an entry for everything that is wrong."""
    return envelope(f"pgwrap/{command}/1", None, error_entries(error), now, "error")


def error_entries(error: PgwrapError) -> tuple[ErrorEntry, ...]:
    """`error` as entries: one, or for a spec one for each of its problems."""
    if isinstance(error, SpecError) and error.problems:
        return tuple(_problem_entry(problem, error) for problem in error.problems)
    exit_code = error.engine_exit if isinstance(error, EngineFailed) else None
    return (
        ErrorEntry(
            code=error.slug, message=error.message, hint=error.hint, cluster=error.cluster, engine_exit=exit_code
        ),
    )


def _problem_entry(problem: Problem, error: SpecError) -> ErrorEntry:
    message = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return ErrorEntry(code=error.slug, message=message, hint=problem.hint or error.hint, location=problem.location)


def unread_errors(fleet: FleetStatus) -> tuple[ErrorEntry, ...]:
    """An entry for each reason why a cluster could not be read; none when the answer is whole."""
    return tuple(
        ErrorEntry(code=finding.code, message=finding.message, hint=finding.hint, cluster=cluster.name)
        for cluster in fleet.clusters
        for finding in cluster.findings
        if leaves_pieces(finding)
    )


def leaves_pieces(finding: Finding) -> bool:
    """Whether it says that the engine's answer for the cluster is missing or in pieces."""
    return finding.code in _UNREAD and finding.severity is Severity.UNKNOWN
