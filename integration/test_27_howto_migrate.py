"""The commands of the two how-tos about migrating, typed as they stand there; with PGWRAP_WRITE_DOCS=1 their output is
pasted into them.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.lab.machine import CHECKOUT, Machine
from integration.lab.moving import Move, back_up, backed_up, move
from integration.lab.pages import Answered, essence, pasted, typed_in
from integration.lab.room import room

pytestmark = pytest.mark.thorough
PAGES = {
    "pgbackrest": CHECKOUT / "docs/howto/from-barman-to-pgbackrest.md",
    "barman": CHECKOUT / "docs/howto/from-pgbackrest-to-barman.md",
}
_TOKEN = re.compile(r"(?<=-)[0-9a-f]{8}\b")


@pytest.fixture(scope="module", params=list(PAGES))
def typed(machine: Machine, request: pytest.FixtureRequest) -> Iterator[tuple[Path, tuple[Answered, ...]]]:
    """A page, and what its commands printed in a room that is called /srv in it."""
    page: Path = PAGES[request.param]
    with room(machine, "page") as place, move(place, request.param) as moved:
        backed_up(moved, backups=1)
        moment = moved.server.sql(
            "select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        )
        back_up(moved)
        answers = tuple(_answer(moved, one.command, moment) for one in typed_in(page.read_text()))
        yield page, answers


def _answer(moved: Move, command: str, moment: str) -> Answered:
    """Both streams, as a terminal shows them, without what differs from machine to machine."""
    words = shlex.split(command.replace("MOMENT", moment).replace("/srv/", f"{moved.made.room.path}/"))
    assert words[0] == "pgwrap"
    ran = moved.made.pgwrap(*words[1:], check=False, deadline=900, COLUMNS="100")
    said = (ran.stderr if "migrate" in words and ran.stderr else "") + ran.stdout
    said = said.replace(str(moved.made.room.path), "/srv").replace(str(moved.server.port), "5432")
    return Answered(output=_TOKEN.sub("1a2b3c4d", said).strip("\n"), exit_code=ran.exit_code)


def test_each_command_ends_well_and_says_what_the_page_shows(typed: tuple[Path, tuple[Answered, ...]]) -> None:
    """Exit 0 for each, and the same words; numbers apart."""
    page, answers = typed
    shown = typed_in(page.read_text())
    failed = [(one.command, answer.output) for one, answer in zip(shown, answers, strict=True) if answer.exit_code != 0]
    assert failed == []
    if os.environ.get("PGWRAP_WRITE_DOCS"):
        page.write_text(pasted(page.read_text(), answers))
        return
    first = zip(shown, answers, strict=True)
    said = [(one.command, essence(one.output).split()[:8]) for one, _ in first]
    assert said == [
        (one.command, essence(answer.output).split()[:8]) for one, answer in zip(shown, answers, strict=True)
    ]
