"""What a bench measures and how it is told: samples, and promises held against them. It runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured, each time."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)

    def text(self, unit: str, digits: int) -> str:
        """`1.23 s (1.20-1.31)`."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:.{digits}f} {unit} ({low:.{digits}f}-{high:.{digits}f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Wall seconds, and CPU seconds of a command with all that it started."""

    wall: Sample
    cpu: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One promise: what was measured, against what, and whether it holds."""

    name: str
    limit: str
    measured: str
    against: str = ""
    ratio: float | None = None
    holds: bool | None
    """None: told for the reader, nothing is promised."""

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = {True: "holds", False: "MISSED", None: ""}[self.holds]
        return self.name, self.limit, self.measured, self.against, ratio, verdict
