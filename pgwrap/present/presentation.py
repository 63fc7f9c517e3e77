"""How an answer is to look: what the command line and the terminal decide, and no presenter finds out for itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from pgwrap.domain.facts import FleetStatus
from pgwrap.present.envelope import ErrorEntry
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """Colour, width in terminal columns, how much to tell, and the moment that ages count from."""

    now: datetime
    colour: bool = False
    width: int = 100
    verbose: bool = False
    """Whether notes (findings of severity ok) are shown in a table too."""
    detail: bool = False
    """Whether each cluster is told whole: its backups, archives and recoverable intervals."""
    errors: tuple[ErrorEntry, ...] = ()


StatusPresenter: TypeAlias = Callable[[FleetStatus, Presentation], str]
"""A format: the whole text, ending in a line break."""
