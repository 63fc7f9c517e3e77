"""The tutorial's commands, typed as they stand there; with PGWRAP_WRITE_DOCS=1 their output is pasted into it."""

from __future__ import annotations

import os
import pwd

import pytest

from integration.lab.estate import search_path
from integration.lab.machine import CHECKOUT, Machine
from integration.lab.pages import Answered, Typed, essence, pasted, typed_in
from integration.lab.process import run
from integration.lab.room import Room

TUTORIAL = CHECKOUT / "docs/tutorial/first-cluster.md"
PLACE = "/srv/tutorial"
_MARK = "\x1e"
_DEADLINE = 300.0
_COMPARED = ("pgwrap validate", "pgwrap render --to", "pgwrap status", "echo ")
"""Commands whose output is the same whichever version the engines are, but for numbers."""


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
    return typed_in(TUTORIAL.read_text())


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
        TUTORIAL.write_text(pasted(TUTORIAL.read_text(), answers))
        return
    pairs = [pair for pair in zip(shown, answers, strict=True) if pair[0].command.startswith(_COMPARED)]
    expected = [(one.command, essence(one.output)) for one, _ in pairs]
    assert expected == [(one.command, essence(answer.output)) for one, answer in pairs]


def test_both_clusters_end_ok(answers: tuple[Answered, ...]) -> None:
    """What the tutorial's title promises, the second time that it asks."""
    asked = [answer for one, answer in zip(tutorial(), answers, strict=True) if one.command == "pgwrap status"]
    assert (asked[1].exit_code, asked[1].output.splitlines()[-1]) == (0, "2 clusters: 2 ok")
