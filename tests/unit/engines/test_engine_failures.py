"""What a program that was not run, or not to its end, means to either engine."""

from __future__ import annotations

import pytest

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.domain.facts import FindingCode, Severity
from pgwrap.engines.failures import failure_error, failure_finding

OUTCOME = Outcome(command=Command(argv=("engine", "info"), run_as="postgres"))


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_is_unknown_and_says_what_to_do(failure: Failure) -> None:
    """As a finding, nothing that could not be asked is ever fine."""
    finding = failure_finding(failure, OUTCOME, "it failed", "pgBackRest")

    assert (Severity.UNKNOWN, "it failed", True) == (finding.severity, finding.message, bool(finding.hint))
    assert "{" not in finding.hint


@pytest.mark.parametrize(
    ("failure", "code", "exit_code"),
    [
        (Failure.MISSING, FindingCode.ENGINE_MISSING, 4),
        (Failure.DENIED, FindingCode.ENGINE_FAILED, 5),
        (Failure.UNREACHABLE, FindingCode.ENGINE_FAILED, 5),
        (Failure.TIMEOUT, FindingCode.ENGINE_TIMEOUT, 5),
        (Failure.TOO_MUCH_OUTPUT, FindingCode.OUTPUT_NOT_UNDERSTOOD, 6),
    ],
)
def test_finding_and_error_have_one_slug(failure: Failure, code: FindingCode, exit_code: int) -> None:
    """`status` and the commands that act on one cluster call the same thing by the same name."""
    error = failure_error(failure, OUTCOME, "it failed", "Barman", "orders")

    assert code == failure_finding(failure, OUTCOME, "it failed", "Barman").code
    assert (code.value, exit_code, "orders") == (error.slug, error.exit_code, error.cluster)


def test_a_timeout_gives_the_command_to_try() -> None:
    """It can be pasted into a shell."""
    assert "sudo -u postgres engine info" in failure_finding(Failure.TIMEOUT, OUTCOME, "", "Barman").hint
