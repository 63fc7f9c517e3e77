"""The retention oracle on a few seeded cases: what `pgwrap retention` foretells is what each engine then deletes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integration.lab.machine import Machine
from integration.lab.room import Room, room
from integration.oracle.__main__ import ZONES, told
from integration.oracle.clock import Clock, NoClock, stopped_clock
from integration.oracle.estate import Estate
from integration.oracle.judge import Deed, Look, foretold, mismatches
from integration.oracle.originals import Originals, grow
from integration.oracle.trial import BARMAN, PGBACKREST, CaseT, Half, Verdict

SEED = 7
CASES = range(1, 41)
ENGINES = ("pgbackrest", "barman")


@pytest.fixture(scope="module")
def inside(machine: Machine) -> Iterator[Room]:
    """A room for both engines' estates."""
    with room(machine, "oracle") as made:
        yield made


@pytest.fixture(scope="module")
def originals(inside: Room) -> Originals:
    """One real cluster with real backups of the engines that are here."""
    seed = Room(machine=inside.machine, path=inside.directory("seed", mode=0o755))
    return grow(seed, frozenset(engine for engine in ENGINES if getattr(inside.machine, engine) is not None))


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    """The stopped clock, in a zone that has summer time."""
    try:
        with stopped_clock(ZONES[SEED % len(ZONES)]) as made:
            yield made
    except NoClock as none:
        pytest.skip(str(none))


def test_pgbackrest_expires_what_was_foretold(inside: Room, clock: Clock, originals: Originals) -> None:
    """The same backups and the same WAL, nothing more and nothing less, in every repository of every stanza."""
    _must_agree(PGBACKREST, inside, clock, originals)


def test_barman_deletes_what_was_foretold(inside: Room, clock: Clock, originals: Originals) -> None:
    """The same backups and the same WAL, nothing more and nothing less, on every server."""
    _must_agree(BARMAN, inside, clock, originals)


def _must_agree(half: Half[CaseT], inside: Room, clock: Clock, originals: Originals) -> None:
    """Fail with the cases in which forecast and deed differ."""
    if getattr(inside.machine, half.engine) is None:
        pytest.skip(f"{half.engine} is not installed")
    place = Room(machine=inside.machine, path=inside.directory(half.engine, mode=0o755))
    trial = half.trial(Estate(room=place, clock=clock), originals, SEED, CASES)
    differing = [told(verdict, f"seed {SEED}") for verdict in trial.verdicts if not verdict.agrees]
    if differing:
        pytest.fail("\n".join(differing), pytrace=False)


# The judge can say no

FULLS = ("20270301-120000F", "20270302-120000F")
SEGMENTS = ("000000010000000000000001", "000000010000000000000002")


def _forecast(*, oldest_kept: bool | None = False, wal: bool | None = False, refuses: str | None = None) -> Any:
    run = {"archive": "15-1", "timeline": 1, "segments": 1, "reason": ""}
    return {
        "backups": [{"id": FULLS[0], "kept": oldest_kept}, {"id": FULLS[1], "kept": True}],
        "wal": None
        if wal is None
        else [
            {**run, "from": SEGMENTS[0], "to": SEGMENTS[0], "kept": wal},
            {**run, "from": SEGMENTS[1], "to": SEGMENTS[1], "kept": True},
        ],
        "refuses": refuses,
    }


def _look(*places: int) -> Look:
    names = frozenset(FULLS[place] for place in places)
    return Look(backups=names, segments=frozenset(("15-1", SEGMENTS[place]) for place in places), listed=names)


DEED = Deed(before=_look(0, 1), after=_look(1))
"""The older backup and its WAL went."""


def _told(forecast: Any, deed: Deed = DEED) -> list[str]:
    return [mismatch.what for mismatch in mismatches(foretold(forecast), deed)]


def test_a_right_forecast_has_no_mismatch() -> None:
    """What was foretold went, all else stayed."""
    assert _told(_forecast()) == []


def test_one_flipped_backup_is_reported() -> None:
    """A backup that was to stay and went."""
    assert _told(_forecast(oldest_kept=True)) == ["backups that go"]


def test_one_flipped_segment_is_reported() -> None:
    """A segment that was to stay and went."""
    assert _told(_forecast(wal=True)) == ["WAL that goes"]


def test_an_unknown_fate_is_reported() -> None:
    """Not to know is not to be right."""
    assert _told(_forecast(oldest_kept=None)) == ["backups that go", "backups whose fate is not known"]


def test_unknown_wal_is_reported_unless_the_engine_is_silent() -> None:
    """Where the engine tells of no WAL there is nothing to know."""
    unmoved = Deed(before=_look(0, 1), after=_look(0, 1))
    silent = Deed(before=_look(0, 1), after=_look(0, 1), silent=True)
    assert _told(_forecast(oldest_kept=True, wal=None), unmoved) == ["the WAL that is there"]
    assert _told(_forecast(oldest_kept=True, wal=None), silent) == []


def test_an_unforeseen_refusal_is_reported() -> None:
    """Either way round."""
    refused = Deed(before=_look(0, 1), after=_look(0, 1), refused=True)
    assert _told(_forecast(oldest_kept=True, wal=True), refused) == ["a refusal"]
    assert _told(_forecast(refuses="page errors")) == ["a refusal"]


def test_a_catalog_that_pgwrap_does_not_see_is_reported() -> None:
    """A segment that is there and not in the forecast, and one that is not there."""
    assert _told(_forecast(), Deed(before=_look(1), after=_look(1))) != []


def test_a_case_that_differs_is_told_with_its_policy(clock: Clock) -> None:
    """Engine, seed, number, policy, both sets."""
    case = PGBACKREST.make(Estate(room=None, clock=clock), SEED, 1)  # type: ignore[arg-type]
    found = tuple(mismatches(foretold(_forecast(oldest_kept=True)), DEED))
    text = told(Verdict(case=case, mismatches={"one": found}), "pgBackRest 2.45, seed 7")
    assert text.startswith("pgBackRest 2.45, seed 7, case 1: Policy(")
    assert FULLS[0] in text
