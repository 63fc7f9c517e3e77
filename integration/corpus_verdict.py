"""What a real engine and pgwrap's import say of one native file, side by side. It runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One file before one version of an engine."""

    file: str
    reasons: tuple[str, ...]
    """Why the engine refuses the file; empty when it takes it."""
    exit_code: int
    """Of `pgwrap import`."""
    said: str
    """What it said last on standard error."""
    placed: bool
    """Whether a refusal names file and line."""
    contradiction: str = ""
    """Where the engine itself reads what the spec renders otherwise; empty: it reads the same, or did not say."""

    @property
    def right(self) -> bool:
        """A file that the engine takes comes back equivalent, one that it refuses is refused with the place."""
        if self.reasons:
            return self.exit_code == 3 and self.placed
        return self.exit_code == 0 and not self.contradiction


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """One version of an engine."""

    engine: str
    version: str
    judge: Callable[[Path], Verdict]


def summary(judge: Judge, verdicts: list[Verdict]) -> str:
    """One line for one version."""
    taken = [verdict for verdict in verdicts if not verdict.reasons]
    refused = [verdict for verdict in verdicts if verdict.reasons]
    equivalent = sum(verdict.right for verdict in taken)
    reasoned = sum(verdict.right for verdict in refused)
    return (
        f"{judge.engine} {judge.version}: {len(verdicts)} files, {len(taken)} accepted, {equivalent} equivalent, "
        f"{len(refused)} refused, {reasoned} with the reason"
    )
