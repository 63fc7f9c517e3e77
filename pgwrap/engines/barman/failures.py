"""What it means that a command gave no usable answer, as a finding or as an exception. It reads no answer itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from pgwrap.domain.command import Failure, Outcome
from pgwrap.domain.facts import Finding, FindingCode, Severity
from pgwrap.engines.barman.envelope import console_messages, excerpt, messages_of, read_object, redacted
from pgwrap.engines.failures import failure_error, failure_finding
from pgwrap.errors import OutputNotUnderstood

Answer = TypeVar("Answer")

_ENGINE: Final = "Barman"
_BUSY: Final = ("Another process in running", "Another process is holding the lock", "Another action is in progress")
HOPELESS: Final = frozenset({Failure.MISSING, Failure.DENIED, Failure.UNREACHABLE, Failure.SKIPPED})
"""Failures that every further command of the same user and host would meet as well."""


def read(outcome: Outcome, reader: Callable[[str], Answer]) -> Answer | Finding:
    """The answer, also one that Barman gave together with an error; a finding where there is none."""
    if outcome.failure is not None:
        message = f"Barman could not be asked: {redacted(outcome.message) or reason(outcome)}"
        return failure_finding(outcome.failure, outcome, message, _ENGINE)
    try:
        return reader(outcome.text())
    except OutputNotUnderstood as error:
        if outcome.succeeded:
            return _unknown(FindingCode.OUTPUT_NOT_UNDERSTOOD, error.message, outcome)
        return _unknown(_code_of(reason(outcome)), f"Barman failed: {reason(outcome)}", outcome)


def check_ran(outcome: Outcome) -> None:
    """Raise the error for a command that was not run, or not to its end."""
    if outcome.failure is not None:
        message = redacted(outcome.message) or f"Barman could not be run ({outcome.failure})"
        raise failure_error(outcome.failure, outcome, message, _ENGINE)


def reason(outcome: Outcome) -> str:
    """Barman's own words for its failure: from JSON, from stderr, or its exit code."""
    spoken = _json_errors(outcome.text()) or console_messages(outcome.error_text()).errors
    if spoken:
        return _sentence(spoken[0])
    if outcome.error_text().strip():
        return excerpt(outcome.error_text())
    if outcome.exit_code is not None and outcome.exit_code < 0:
        return f"it was ended by signal {-outcome.exit_code}"
    return f"exit code {outcome.exit_code}"


def is_busy(message: str) -> bool:
    """Whether something else holds a lock; a lock that nobody expected to be held is only named, by its file."""
    return message.endswith(".lock") or any(words in message for words in _BUSY)


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
