"""Why a command gave no answer, as a finding or an error. It reads no answer that was given."""

from __future__ import annotations

import shlex

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Finding, FindingCode, Severity
from pgwrap.engines.failures import failure_error, failure_finding
from pgwrap.engines.pgbackrest.error_codes import LOCK_ACQUIRE, error_code, hint_for
from pgwrap.engines.pgbackrest.output import ReportedError, reported_error, warnings_in
from pgwrap.errors import Busy, EngineFailed, OutputNotUnderstood

_ENGINE = "pgBackRest"
_NOT_ALLOWED = "Permission denied"
"""A lock file of another user's gives the same error as one that is held (src/common/lock.c)."""


def trouble_in(outcome: Outcome) -> Finding | None:
    """The reason why this outcome holds no answer; None when the command succeeded."""
    if outcome.failure is not None:
        return failure_finding(outcome.failure, outcome, _failure_message(outcome), _ENGINE)
    if outcome.exit_code == 0:
        return None
    error = reported_error(outcome)
    return Finding(
        code=FindingCode.ENGINE_FAILED,
        severity=Severity.UNKNOWN,
        message=sentence(outcome, error),
        hint=error.hint or hint_for(error.code) or _by_hand(outcome.command),
    )


def raise_for(outcome: Outcome, cluster: str | None = None) -> None:
    """Raise EngineMissing, EngineTimeout, OutputNotUnderstood, EngineFailed or Busy where it did not succeed."""
    if outcome.failure is not None:
        raise failure_error(outcome.failure, outcome, _failure_message(outcome), _ENGINE, cluster)
    if outcome.exit_code == 0:
        return
    error = reported_error(outcome)
    hint = hint_for(error.code) or error.hint or _by_hand(outcome.command)
    if error.code == LOCK_ACQUIRE and _NOT_ALLOWED not in error.text:
        raise Busy(sentence(outcome, error), hint=hint, cluster=cluster)
    raise EngineFailed(sentence(outcome, error), hint=hint, cluster=cluster, engine_exit=outcome.exit_code)


def _by_hand(command: Command) -> str:
    return f"try by hand: {command.quoted()}"


def _failure_message(outcome: Outcome) -> str:
    return outcome.message or f"{_program(outcome.command)} could not be run ({outcome.failure})"


def sentence(outcome: Outcome, error: ReportedError) -> str:
    """The engine's own words: which command, which error, what it said, and what it warned of, often the cause."""
    if outcome.exit_code is not None and outcome.exit_code < 0:
        return f"{_program(outcome.command)} was ended by signal {-outcome.exit_code}"
    known = error_code(error.code)
    code = f"[{error.code:03d}] {known.name}: " if known is not None else ""
    warned = "; ".join(" ".join(text.split()) for text in warnings_in(outcome))
    return f"{_program(outcome.command)} failed: {code}{error.text}" + (
        f" (it warned: {warned[:500]})" if warned else ""
    )


def unreadable(error: OutputNotUnderstood, command: Command) -> Finding:
    """The finding for an answer that no known version prints."""
    return Finding(
        code=FindingCode.OUTPUT_NOT_UNDERSTOOD,
        severity=Severity.UNKNOWN,
        message=f"{_program(command)} gave an answer that could not be read: {error.message}",
        hint=f"look at it by hand: {command.quoted()}",
    )


def _program(command: Command) -> str:
    """The program and its subcommand, the only argument that is neither an option nor a path."""
    words = [word for word in command.argv[1:] if not word.startswith("-")]
    return shlex.join((command.argv[0], *words[:1]))
