"""What it means that a command gave no usable answer, as a finding or as an exception. It reads no answer itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from pgwrap.domain.command import Failure, Outcome
from pgwrap.domain.facts import Finding, FindingCode, Severity
from pgwrap.engines.barman.envelope import console_messages, excerpt, messages_of, read_object, redacted
from pgwrap.errors import EngineFailed, EngineMissing, EngineTimeout, OutputNotUnderstood, PgwrapError

Answer = TypeVar("Answer")

_CODES: Final = {
    Failure.MISSING: FindingCode.ENGINE_MISSING,
    Failure.DENIED: FindingCode.ENGINE_FAILED,
    Failure.TIMEOUT: FindingCode.ENGINE_TIMEOUT,
    Failure.TOO_MUCH_OUTPUT: FindingCode.OUTPUT_NOT_UNDERSTOOD,
    Failure.UNREACHABLE: FindingCode.ENGINE_FAILED,
    Failure.SKIPPED: FindingCode.NOT_ASKED,
}
HOPELESS: Final = frozenset({Failure.MISSING, Failure.DENIED, Failure.UNREACHABLE, Failure.SKIPPED})
"""Failures that every further command of the same user and host would meet as well."""


def read(outcome: Outcome, reader: Callable[[str], Answer]) -> Answer | Finding:
    """The answer, also one that Barman gave together with an error; a finding where there is none."""
    if outcome.failure is not None:
        return failure_finding(outcome)
    try:
        return reader(outcome.text())
    except OutputNotUnderstood as error:
        if outcome.succeeded:
            return _unknown(FindingCode.OUTPUT_NOT_UNDERSTOOD, error.message, outcome)
        return _unknown(_code_of(reason(outcome)), f"Barman failed: {reason(outcome)}", outcome)


def failure_finding(outcome: Outcome) -> Finding:
    """Why a command could not be run, or not to its end."""
    code = FindingCode.ENGINE_FAILED if outcome.failure is None else _CODES[outcome.failure]
    return _unknown(code, f"Barman could not be asked: {redacted(outcome.message) or reason(outcome)}", outcome)


def check_ran(outcome: Outcome) -> None:
    """Raise EngineMissing, EngineTimeout or EngineFailed for a command that did not come to its end by itself."""
    if outcome.failure is None:
        return
    message = redacted(outcome.message) or f"Barman could not be run ({outcome.failure})"
    hint = f"try by hand: {outcome.command.quoted()}"
    errors: dict[Failure, type[PgwrapError]] = {Failure.MISSING: EngineMissing, Failure.TIMEOUT: EngineTimeout}
    raise errors.get(outcome.failure, EngineFailed)(message, hint=hint)


def reason(outcome: Outcome) -> str:
    """Barman's own words for its failure: from JSON, from stderr, or its exit code."""
    spoken = _json_errors(outcome.text()) or console_messages(outcome.error_text()).errors
    if spoken:
        return _sentence(spoken[0])
    if outcome.error_text().strip():
        return excerpt(outcome.error_text())
    return f"exit code {outcome.exit_code}"


def _json_errors(text: str) -> tuple[str, ...]:
    try:
        return messages_of(read_object(text)).errors
    except OutputNotUnderstood:
        return ()


def _sentence(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if not line.startswith("See log file"))


def _newer_catalog(message: str) -> bool:
    """An older Barman cannot read a backup.info that a newer one wrote: it says so (3.15+), or which field it lacks."""
    return "Unsupported field" in message or "BackupInfo' object has no attribute" in message


def _code_of(message: str) -> FindingCode:
    return FindingCode.OUTPUT_NOT_UNDERSTOOD if _newer_catalog(message) else FindingCode.ENGINE_FAILED


def _unknown(code: FindingCode, message: str, outcome: Outcome) -> Finding:
    hint = f"try by hand: {outcome.command.quoted()}"
    if _newer_catalog(message):
        hint = "a newer Barman wrote this catalog: upgrade this one to at least that version"
    return Finding(code=code, severity=Severity.UNKNOWN, message=message, hint=hint)
