"""What became of a plan's steps. Nothing is done here."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pgwrap.domain.plan import Plan, Step
from pgwrap.errors import PgwrapError
from pgwrap.records import dataclass

StepState: TypeAlias = Literal["planned", "done", "failed", "undone", "left", "not-reached"]
"""`undone`: done, then taken back because the engine refused the result. `left`: for the operator to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One step, what became of it, and in `message` why, where that is not clear by itself."""

    step: Step
    state: StepState
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What apply did, or in a dry run would do; in the order of the plan."""

    plan: Plan
    steps: tuple[StepResult, ...]
    dry_run: bool = False
    errors: tuple[PgwrapError, ...] = ()

    @property
    def left(self) -> tuple[StepResult, ...]:
        """What is left to the operator."""
        return tuple(result for result in self.steps if result.state == "left")
