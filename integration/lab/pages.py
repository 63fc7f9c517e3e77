"""Pages of the documentation whose commands are typed, and whose output is what they printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<(\w+)$")
_VARYING = re.compile(r"[0-9][0-9A-Fa-f.:TZF-]*(?:ms|s|m|h|d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A command of a page with what is printed below it there."""

    command: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a command printed, and its exit code."""

    output: str
    exit_code: int


def typed_in(page: str) -> tuple[Typed, ...]:
    """The commands of every console block."""
    return tuple(typed for block in _BLOCK.findall(page) for typed in commands(block))


def commands(block: str) -> Iterator[Typed]:
    """The commands of one block: each begins with a dollar sign, and a here-document is part of it."""
    lines = iter(block.splitlines())
    command, output = "", list[str]()
    for line in lines:
        if not line.startswith("$ "):
            output.append(line)
            continue
        if command:
            yield Typed(command=command, output="\n".join(output))
        command, output = "\n".join((line[2:], *_heredoc(line, lines))), []
    yield Typed(command=command, output="\n".join(output))


def _heredoc(line: str, lines: Iterator[str]) -> Iterator[str]:
    found = _HEREDOC.search(line)
    while found is not None:
        following = next(lines)
        yield following
        if following == found[1]:
            return


def essence(output: str) -> str:
    """What is the same each time: no numbers, and no widths of columns."""
    return re.sub(r"[-#\s]+", " ", _VARYING.sub("#", output)).strip()


def pasted(page: str, answers: tuple[Answered, ...]) -> str:
    """The page with each command's real output below it."""
    following = iter(answers)

    def block(match: re.Match[str]) -> str:
        parts = (f"$ {one.command}\n{_printed(next(following))}" for one in commands(match[1]))
        return f"```console\n{''.join(parts)}```"

    return _BLOCK.sub(block, page)


def _printed(answer: Answered) -> str:
    lines = (line.rstrip() for line in answer.output.splitlines())
    return "".join(f"{line}\n" for line in lines)
