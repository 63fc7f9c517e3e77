"""With a stand-in first on PATH that replays what the real engine said, the answer is the same as with the real one."""

from __future__ import annotations

import pytest

from integration.lab.answers import cluster, differences, status, while_idle
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.fakes import recorder, replayer

NAMES = {"pgbackrest": ORDERS, "barman": BILLING}


@pytest.mark.parametrize("engine", NAMES)
def test_replayed_engine_gives_the_same_answer(pair: Estate, engine: str) -> None:
    """The stand-in knows only the commands that were recorded: pgwrap asks them again, and concludes the same."""
    real = pair.room.machine.engine(engine).program
    recording, replaying = recorder(pair.room, engine, real), replayer(pair.room, engine)
    recorded, replayed = while_idle(
        pair,
        lambda: status(pair, "--no-commits", path=recording),
        lambda: status(pair, "--no-commits", path=replaying),
    )
    assert recorded["result"]["severity"] == "ok"
    assert differences(recorded, replayed) == {}


@pytest.mark.parametrize("engine", NAMES)
def test_number_of_engine_calls_does_not_grow_with_backups(pair: Estate, engine: str) -> None:
    """Two more backups, and not one more process."""
    room = pair.room
    real = room.machine.engine(engine).program
    directory = recorder(room, engine, real)
    before = _asked(pair, engine)
    for _ in range(2):
        pair.back_up(NAMES[engine])
    for file in (room.path / "recordings" / engine).iterdir():
        file.unlink()
    entry = cluster(status(pair, "--no-commits", path=directory), NAMES[engine])
    assert len(entry["backups"]) == 3
    assert _asked(pair, engine) == before


def _asked(pair: Estate, engine: str) -> set[str]:
    """The commands that were recorded."""
    return {file.read_text() for file in (pair.room.path / "recordings" / engine).glob("*.argv")}
