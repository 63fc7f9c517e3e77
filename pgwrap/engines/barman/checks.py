"""Reads the answer of `barman check`: which of its checks failed, and why. It runs none, and mends nothing.

Source: barman/output.py (JsonOutputWriter.result_check): `{server: {check: {status: OK | FAILED, hint}}}`; which there
are differs from version to version and from server to server.
"""

from __future__ import annotations

from pgwrap.domain.command import Outcome
from pgwrap.engines.barman.envelope import read_object, redacted
from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BarmanCheck:
    """One of Barman's checks, in its own words."""

    name: str
    passed: bool
    hint: str

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})" if self.hint else self.name


def checks_in(text: str, server: str) -> tuple[BarmanCheck, ...]:
    """Every check of one server; OutputNotUnderstood when the answer holds none."""
    record = read_object(text).record(server)
    checks = tuple(
        BarmanCheck(
            name=name.replace("_", " "), passed=one.text("status") == "OK", hint=redacted(one.text("hint") or "")
        )
        for name, one in record.items()
    )
    if not checks:
        raise OutputNotUnderstood(f"barman check tells nothing of {server}")
    return checks


def failed_checks(outcome: Outcome, server: str) -> tuple[str, ...]:
    """Those that failed, as far as the answer tells; none where it could not be read."""
    try:
        return tuple(str(check) for check in checks_in(outcome.text(), server) if not check.passed)
    except OutputNotUnderstood:
        return ()
