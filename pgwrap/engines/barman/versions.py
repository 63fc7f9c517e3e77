"""The versions of Barman that pgwrap knows, and the ones at which something changed. Nothing is asked here."""

from __future__ import annotations

from typing import Final

from pgwrap.domain.command import Conversation
from pgwrap.domain.model import EngineInstance
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.envelope import excerpt
from pgwrap.engines.barman.failures import check_ran, reason
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import EngineFailed, OutputNotUnderstood

OLDEST: Final = EngineVersion((3, 4, 0))
NEWEST: Final = EngineVersion((3, 20, 1))


def ask_version(instance: EngineInstance, run_as: str | None) -> Conversation[EngineVersion]:
    """Read `barman --version` ("3.4.0 Barman by EnterpriseDB …"); raises what the port's `version` says."""
    (outcome,) = yield (commands.version(instance, run_as),)
    check_ran(outcome)
    if outcome.exit_code != 0:
        raise EngineFailed(
            f"Barman failed: {reason(outcome)}",
            hint=f"try by hand: {outcome.command.quoted()}",
            engine_exit=outcome.exit_code,
        )
    return parse_version(outcome.text())


def parse_version(text: str) -> EngineVersion:
    """The version in the line that names Barman; OutputNotUnderstood without one."""
    for line in text.splitlines():
        if "Barman" in line:
            try:
                return EngineVersion.parse(line)
            except ValueError:
                continue
    raise OutputNotUnderstood(f"this does not look like Barman's version: {excerpt(text)}")
