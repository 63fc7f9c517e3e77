"""What it means that a program was not run, or not to its end: the same for every engine. It reads no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pgwrap.domain.command import Failure, Outcome
from pgwrap.domain.facts import Finding, FindingCode, Severity
from pgwrap.errors import EngineFailed, EngineMissing, EngineTimeout, OutputNotUnderstood, PgwrapError
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """A failure as a finding, where others can be asked still, and as an error, where this was all."""

    code: FindingCode
    error: type[PgwrapError]
    hint: str
    """`{engine}` stands for the engine's name, `{command}` for what to type."""


_MEANINGS: Final[Mapping[Failure, Meaning]] = {
    Failure.MISSING: Meaning(
        code=FindingCode.ENGINE_MISSING,
        error=EngineMissing,
        hint="install {engine}, or name its program in the spec (engines: … command:)",
    ),
    Failure.DENIED: Meaning(
        code=FindingCode.ENGINE_FAILED,
        error=EngineFailed,
        hint="check run_as, and that this user may become it",
    ),
    Failure.TIMEOUT: Meaning(
        code=FindingCode.ENGINE_TIMEOUT,
        error=EngineTimeout,
        hint="try by hand: {command} (a repository or host that does not answer is the usual cause)",
    ),
    Failure.TOO_MUCH_OUTPUT: Meaning(
        code=FindingCode.OUTPUT_NOT_UNDERSTOOD,
        error=OutputNotUnderstood,
        hint="try by hand, and look at what it prints: {command}",
    ),
    Failure.UNREACHABLE: Meaning(
        code=FindingCode.ENGINE_FAILED,
        error=EngineFailed,
        hint="check the ssh connection without a password prompt (BatchMode)",
    ),
    Failure.SKIPPED: Meaning(
        code=FindingCode.NOT_ASKED,
        error=EngineFailed,
        hint="leave out --local to ask other hosts, too",
    ),
}


def failure_finding(failure: Failure, outcome: Outcome, message: str, engine: str) -> Finding:
    """The finding: what could not be asked is unknown."""
    meaning = _MEANINGS[failure]
    hint = meaning.hint.format(engine=engine, command=outcome.command.quoted())
    return Finding(code=meaning.code, severity=Severity.UNKNOWN, message=message, hint=hint)


def failure_error(
    failure: Failure, outcome: Outcome, message: str, engine: str, cluster: str | None = None
) -> PgwrapError:
    """The error: EngineMissing, EngineTimeout, OutputNotUnderstood or EngineFailed."""
    meaning = _MEANINGS[failure]
    hint = meaning.hint.format(engine=engine, command=outcome.command.quoted())
    return meaning.error(message, hint=hint, cluster=cluster)
