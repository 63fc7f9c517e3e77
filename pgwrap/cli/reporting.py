"""Progress on standard error: live on a terminal, plain lines elsewhere. It decides nothing and prints no answer."""

from __future__ import annotations

import sys
from dataclasses import field
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

import typer

from pgwrap.records import dataclass

if TYPE_CHECKING:
    from pgwrap.cli.session import Session
    from pgwrap.engines.port import Progress

PLAIN_INTERVAL: Final = 30.0
"""Seconds between progress lines where standard error is not a terminal."""
LIVE_INTERVAL: Final = 2.0
"""Seconds between questions to PostgreSQL where it is one."""
_CLEAR: Final = "\r\x1b[K"


@dataclass(kw_only=True)
class Reporting:
    """Reports the progress of one operation at a time live, of several in plain lines that name their cluster."""

    run: Session
    several: bool = False
    _started: dict[str, float] = field(default_factory=dict)
    _shown: dict[str, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _dirty: bool = False

    @property
    def live(self) -> bool:
        """Whether one line is written over and over."""
        return sys.stderr.isatty() and not self.several

    @property
    def interval(self) -> float | None:
        """How often PostgreSQL should be asked; None: nobody would see it."""
        if self.run.quiet:
            return None
        return LIVE_INTERVAL if self.live else PLAIN_INTERVAL

    def progress(self, cluster: str, progress: Progress) -> None:
        """Show how far it is."""
        from pgwrap.present.progress import progress_line

        if self.run.quiet:
            return
        with self._lock:
            now = monotonic()
            started = self._started.setdefault(cluster, now)
            due = now - self._shown.setdefault(cluster, started) >= PLAIN_INTERVAL
            if not self.live and not due:
                return
            self._shown[cluster] = now
            line = progress_line(
                fraction=progress.fraction,
                done_bytes=progress.done_bytes,
                total_bytes=progress.total_bytes,
                elapsed=now - started,
                message=progress.message,
            )
            if self.live:
                typer.echo(f"{_CLEAR}{line}", nl=False, err=True)
                self._dirty = True
            else:
                self.run.say(f"{cluster}: {line}")

    def say(self, text: str) -> None:
        """A sentence on a line of its own."""
        with self._lock:
            self._clear()
            self.run.say(text)

    def end(self) -> None:
        """Leave no half a line behind."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        if self._dirty:
            typer.echo(_CLEAR, nl=False, err=True)
            self._dirty = False
