"""Commands and their outcomes as data, and the conversation by which an engine asks for some. Nothing runs here."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import field
from enum import StrEnum
from typing import TypeAlias, TypeVar

from pgwrap.records import dataclass

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run: argv only, never a shell; its secrets travel in `environment` or `stdin`."""

    argv: tuple[str, ...]
    run_as: str | None = None
    """The operating system user; None: whoever runs pgwrap."""
    host: str | None = None
    """The ssh destination; None: here."""
    deadline: float = 60.0
    """Seconds after which it is stopped."""
    output_limit: int = 256 << 20
    """Bytes of stdout kept; more is an error, not a silent cut."""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    stdin: bytes | None = field(default=None, repr=False)

    def quoted(self) -> str:
        """What to type to do the same by hand."""
        text = shlex.join(self.argv)
        if self.run_as is not None:
            text = f"sudo -u {shlex.quote(self.run_as)} {text}"
        if self.host is not None:
            text = f"ssh {shlex.quote(self.host)} {shlex.quote(text)}"
        return text


class Failure(StrEnum):
    """Why a command gave no usable exit code."""

    MISSING = "missing"
    """The program, user or host configuration does not exist."""
    DENIED = "denied"
    """The program may not be run, or the privileges not be dropped."""
    TIMEOUT = "timeout"
    TOO_MUCH_OUTPUT = "too-much-output"
    UNREACHABLE = "unreachable"
    """ssh could not reach the host."""
    SKIPPED = "skipped"
    """Not run: the command belongs to a host that was left out, or pgwrap is stopping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command did. `exit_code` is negative for the signal that ended it, None when there is none."""

    command: Command
    exit_code: int | None = None
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)
    failure: Failure | None = None
    message: str = ""
    """For a failure: one sentence that says what happened."""
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether the command ran to its end and returned 0."""
        return self.failure is None and self.exit_code == 0

    def text(self) -> str:
        """stdout as text; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode(errors="replace")

    def error_text(self) -> str:
        """stderr as text; bytes that are not UTF-8 are replaced."""
        return self.stderr.decode(errors="replace")


Conversation: TypeAlias = Generator[tuple[Command, ...], tuple[Outcome, ...], Result]
"""An engine's question, without input or output of its own: it yields commands that may run side by side, is sent
their outcomes in the same order, and returns facts. (The idea is psycopg's `generators.py`.)"""
