"""pgBackRest's log lines, errors, progress and version, on whichever stream they come. It reads no JSON.

Up to 2.52 errors go to stderr without a timestamp, later to stdout with one; both carry a code in brackets, and
lines that continue a message are indented (src/common/log.c).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgwrap.domain.command import Outcome
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass

_LINE = re.compile(
    r"(?:\d{4}-\d\d-\d\d [\d:.]+ )?(?:P\d+ +)?"
    r"(?P<level>ASSERT|ERROR|WARN|INFO|DETAIL|DEBUG|TRACE): "
    r"(?:\[(?P<code>\d{3})\]: )?(?:\[DRY-RUN\] )?(?P<text>.*)"
)
_VERSION = re.compile(r"\S+ v?(\d+\.\d+\S*)")
_LABEL = re.compile(r"new backup label = (\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)")
_COPIED = re.compile(r"\((?:bundle \d+/\d+, )?(?P<size>[\d.]+)(?P<unit>[KMGTP]?)i?B, (?P<share>\d+(?:\.\d+)?)%\)")
_UNITS = " KMGTP"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One message, its continuation lines included; `code` is the error code of an ERROR or ASSERT line."""

    level: str
    text: str
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedError:
    """What pgBackRest says went wrong: the last code, every ERROR line's text, and its own HINT lines."""

    code: int | None
    text: str
    hint: str


def log_line(line: str) -> LogLine | None:
    """Read one line; None when it does not begin a message."""
    match = _LINE.match(line)
    if match is None:
        return None
    code = match["code"]
    return LogLine(level=match["level"], text=match["text"], code=None if code is None else int(code))


def log_lines(text: str) -> Iterator[LogLine]:
    """Every message in `text`, with indented lines joined to the message they continue."""
    current: LogLine | None = None
    for line in text.splitlines():
        begun = log_line(line)
        if begun is not None:
            if current is not None:
                yield current
            current = begun
        elif current is not None and line[:1].isspace():
            current = LogLine(level=current.level, text=f"{current.text}\n{line.strip()}", code=current.code)
    if current is not None:
        yield current


def warnings_in(outcome: Outcome) -> tuple[str, ...]:
    """The WARN messages on either stream, each once, in the order they came."""
    found = (line.text for stream in _streams(outcome) for line in log_lines(stream) if line.level == "WARN")
    return tuple(dict.fromkeys(found))


def reported_error(outcome: Outcome) -> ReportedError:
    """The error a command ended with, from whichever stream it came; its last stderr line when there is none."""
    lines = [line for stream in _streams(outcome) for line in log_lines(stream) if line.level in {"ERROR", "ASSERT"}]
    unique = tuple(dict.fromkeys(line.text for line in lines))
    texts = [part for text in unique for part in text.split("\n")]
    said = [part for part in texts if not part.startswith("HINT: ")]
    hints = [part.removeprefix("HINT: ") for part in texts if part.startswith("HINT: ")]
    codes = [line.code for line in lines if line.code is not None]
    return ReportedError(
        code=codes[-1] if codes else outcome.exit_code,
        text=" ".join(said) or _last_words(outcome),
        hint=" ".join(dict.fromkeys(hints)),
    )


def _streams(outcome: Outcome) -> tuple[str, str]:
    return outcome.text(), outcome.error_text()


def _last_words(outcome: Outcome) -> str:
    spoken = [line.strip() for line in outcome.error_text().splitlines() if line.strip()]
    return spoken[-1][:500] if spoken else f"it ended with exit code {outcome.exit_code} and no message"


def version_from(text: str) -> EngineVersion:
    """The version in the output of `version` ("pgBackRest 2.45"; forks say their own name); log lines are skipped."""
    for line in text.splitlines():
        match = _VERSION.fullmatch(line.strip())
        if match is not None and log_line(line) is None:
            return EngineVersion.parse(match[1])
    raise OutputNotUnderstood(f"no version number in the answer of `version`: {text[:200]!r}")


def new_label(text: str) -> str | None:
    """The label of the backup just taken, from the line `new backup label = L`."""
    match = _LABEL.search(text)
    return None if match is None else match[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """A file that was just copied: its size in bytes, which pgBackRest rounds, and the share of all that is done."""

    size: int
    fraction: float


def copied(line: str) -> CopiedFile | None:
    """The file that a DETAIL line tells of (`backup file …/1259 (104KB, 12.34%)`); None on any other line."""
    match = _COPIED.search(line)
    if match is None:
        return None
    size = float(match["size"]) * 1024 ** max(_UNITS.index(match["unit"] or " "), 0)
    return CopiedFile(size=round(size), fraction=min(float(match["share"]) / 100, 1.0))
