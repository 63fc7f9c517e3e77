"""Waiting for something with a deadline of its own. It knows nothing of what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import field

from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """So many seconds from its making on; asked again after `pause` seconds at most."""

    seconds: float
    pause: float = 1.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _since: list[float] = field(default_factory=list, repr=False)

    @property
    def spent(self) -> float:
        """Seconds since the first look at it."""
        if not self._since:
            self._since.append(self.clock())
        return self.clock() - self._since[0]

    def wait(self) -> bool:
        """Pause, if there is time left; whether there was."""
        left = self.seconds - self.spent
        if left <= 0:
            return False
        self.sleep(min(self.pause, left))
        return True
