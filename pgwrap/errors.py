"""Every error pgwrap raises on purpose; turning one into an exit code is the cli's job, not this module's.

PgwrapError                 exit  slug
├── UsageError                 2  usage
├── SpecError                  3  spec-invalid          carries every Problem found, not only the first
├── EngineMissing              4  engine-missing
├── EngineUnsupported          4  engine-unsupported
├── EngineFailed               5  engine-failed         carries the engine's own exit code
│   ├── EngineTimeout          5  engine-timeout
│   └── HookFailed             5  hook-failed
├── OutputNotUnderstood        6  output-not-understood
├── Busy                       7  busy
├── Refused                    8  refused
└── Interrupted              130  interrupted           143 when terminated

Anything else that escapes is a bug: exit 70, slug `bug`.
"""

from __future__ import annotations

from typing import ClassVar

from pgwrap.records import dataclass

EXIT_OK = 0
EXIT_NO = 1
EXIT_BUG = 70


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """Where in the spec something was said; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with what the author wrote, with the place and the way out."""

    message: str
    location: Location | None = None
    path: str = ""
    hint: str = ""
    severity: str = "error"
    """`error` stops the command; `warning` says what an engine will ignore."""

    def __str__(self) -> str:
        place = f"{self.location}: " if self.location else ""
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.severity}: {path}{self.message}{hint}"


class PgwrapError(Exception):
    """What went wrong, and in `hint` what to type next. Neither ever holds a secret."""

    exit_code: ClassVar[int]
    slug: ClassVar[str]

    def __init__(self, message: str, *, hint: str = "", cluster: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cluster = cluster


class UsageError(PgwrapError):
    """The command line asks for something that does not exist, such as an unknown cluster."""

    exit_code = 2
    slug = "usage"


class SpecError(PgwrapError):
    """The spec cannot be used; `problems` holds all that is wrong with it, in the order of the file."""

    exit_code = 3
    slug = "spec-invalid"

    def __init__(self, problems: tuple[Problem, ...], *, hint: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = problems


class EngineMissing(PgwrapError):
    """The engine's program is not where the spec or PATH says it is."""

    exit_code = 4
    slug = "engine-missing"


class EngineUnsupported(PgwrapError):
    """The engine, or this version of it, cannot do what was asked."""

    exit_code = 4
    slug = "engine-unsupported"


class EngineFailed(PgwrapError):
    """The engine ended with an error; `engine_exit` is its own exit code (negative: the signal that killed it)."""

    exit_code = 5
    slug = "engine-failed"

    def __init__(
        self, message: str, *, hint: str = "", cluster: str | None = None, engine_exit: int | None = None
    ) -> None:
        super().__init__(message, hint=hint, cluster=cluster)
        self.engine_exit = engine_exit


class EngineTimeout(EngineFailed):
    """The engine did not answer before its deadline and was stopped."""

    slug = "engine-timeout"


class HookFailed(EngineFailed):
    """A program of the spec's `hooks:` failed; `engine_exit` is its exit code."""

    slug = "hook-failed"


class OutputNotUnderstood(PgwrapError):
    """The engine answered with something that is not what any known version prints."""

    exit_code = 6
    slug = "output-not-understood"


class Busy(PgwrapError):
    """Another operation holds the engine's lock or pgwrap's own."""

    exit_code = 7
    slug = "busy"


class Refused(PgwrapError):
    """Doing it would have destroyed something that was not named and confirmed."""

    exit_code = 8
    slug = "refused"


class Interrupted(PgwrapError):
    """Stopped from outside; children have been stopped as well."""

    exit_code = 130
    slug = "interrupted"
