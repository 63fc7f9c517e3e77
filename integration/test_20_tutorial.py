"""The tutorial's commands, typed as they stand there; with PGWRAP_WRITE_DOCS=1 their output is pasted into it."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from integration.lab.estate import search_path
from integration.lab.machine import CHECKOUT, Machine
from integration.lab.process import run
from integration.lab.room import Room

TUTORIAL = CHECKOUT / "docs/tutorial/first-cluster.md"
PLACE = "/srv/tutorial"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<(\w+)$")
_MARK = "\x1e"
_DEADLINE = 300.0
_VARYING = re.compile(r"[0-9][0-9A-Fa-f.:TZF-]*(?:ms|s|m|h|d)?")
_COMPARED = ("pgwrap validate", "pgwrap render --to", "pgwrap status", "echo ")
"""Commands whose output is the same whichever version the engines are, but for numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A command of the tutorial with what is printed below it there."""

    command: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a command printed, and its exit code."""

    output: str
    exit_code: int


@pytest.fixture(scope="module")
def answers(machine: Machine, place: Room) -> tuple[Answered, ...]:
    """Every command run in one shell, as root, in a place of its own instead of /srv/tutorial."""
    if os.geteuid() != 0 or machine.from_wheels or not (machine.pgbackrest and machine.barman):
        pytest.skip("the tutorial is for root and the distribution's packages")
    if not {"postgres", "barman"} <= {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("the users postgres and barman are not both here")
    real = f"{place.path}/tutorial"
    ran = run(
        ("bash",),
        stdin=_script(tutorial()).replace(PLACE, real),
        directory=place.path,
        environment={"PATH": search_path(machine), "COLUMNS": "100"},
        deadline=_DEADLINE,
    )
    parts = ran.stdout.replace(real, PLACE).split(_MARK)
    outputs = zip(parts[:-1:2], parts[1::2], strict=True)
    return tuple(Answered(output=output.strip("\n"), exit_code=int(code)) for output, code in outputs)


def tutorial() -> tuple[Typed, ...]:
    """The commands of every console block."""
    return tuple(typed for block in _BLOCK.findall(TUTORIAL.read_text()) for typed in commands(block))


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


def _script(typed: tuple[Typed, ...]) -> str:
    """All commands, each followed by a mark and its exit code, which the next command still finds in `$?`."""
    mark = f"code=$?; printf '{_MARK}%s{_MARK}' $code; (exit $code)"
    return "exec 2>&1\n" + "".join(f"{one.command}\n{mark}\n" for one in typed)


def test_commands_succeed_unless_the_tutorial_shows_their_exit_code(answers: tuple[Answered, ...]) -> None:
    """Every command ends with 0, or is followed by `echo $?`."""
    shown = tutorial()
    following = (*(one.command for one in shown[1:]), "")
    failed = [
        (one.command, answer.exit_code, answer.output)
        for one, answer, then in zip(shown, answers, following, strict=True)
        if answer.exit_code != 0 and then != "echo $?"
    ]
    assert failed == []


def test_output_is_what_the_tutorial_shows(answers: tuple[Answered, ...]) -> None:
    """Numbers and spaces apart. PGWRAP_WRITE_DOCS=1 writes it anew instead."""
    shown = tutorial()
    if os.environ.get("PGWRAP_WRITE_DOCS"):
        TUTORIAL.write_text(_pasted(TUTORIAL.read_text(), answers))
        return
    pairs = [pair for pair in zip(shown, answers, strict=True) if pair[0].command.startswith(_COMPARED)]
    expected = [(one.command, _essence(one.output)) for one, _ in pairs]
    assert expected == [(one.command, _essence(answer.output)) for one, answer in pairs]


def test_both_clusters_end_ok(answers: tuple[Answered, ...]) -> None:
    """What the tutorial's title promises, the second time that it asks."""
    asked = [answer for one, answer in zip(tutorial(), answers, strict=True) if one.command == "pgwrap status"]
    assert (asked[1].exit_code, asked[1].output.splitlines()[-1]) == (0, "2 clusters: 2 ok")


def _essence(output: str) -> str:
    return re.sub(r"[-#\s]+", " ", _VARYING.sub("#", output)).strip()


def _pasted(page: str, answers: tuple[Answered, ...]) -> str:
    """The page with each command's real output below it."""
    following = iter(answers)

    def block(match: re.Match[str]) -> str:
        parts = (f"$ {one.command}\n{_printed(next(following))}" for one in commands(match[1]))
        return f"```console\n{''.join(parts)}```"

    return _BLOCK.sub(block, page)


def _printed(answer: Answered) -> str:
    lines = (line.rstrip() for line in answer.output.splitlines())
    return "".join(f"{line}\n" for line in lines)
