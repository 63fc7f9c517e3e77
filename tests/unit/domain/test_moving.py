"""What two engines can restore together, WAL for both of them, and what a proof of sameness is."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.certificate import Comparison, Side, differences
from pgwrap.domain.facts import RecoverableInterval
from pgwrap.domain.feeding import together
from pgwrap.domain.moving import united
from pgwrap.domain.plan import PostgresSetting
from pgwrap.domain.settings import same_archiving, suffices
from pgwrap.domain.wal import Timeline

AT = datetime(2026, 11, 26, tzinfo=UTC)
PUSH = "pgbackrest --stanza=orders archive-push %p"
DELIVER = "barman-wal-archive localhost orders %p"


def interval(engine: str, first: int, last: int) -> RecoverableInterval:
    """From one minute to another."""
    return RecoverableInterval(
        repository=None,
        archive=None,
        engine=engine,  # type: ignore[arg-type]
        engine_name="orders",
        timeline=Timeline(1),
        from_=AT + timedelta(minutes=first),
        to=AT + timedelta(minutes=last),
        to_proof="commit",
        open_ended=True,
    )


PIECES = st.lists(
    st.tuples(st.sampled_from(["barman", "pgbackrest"]), st.integers(0, 60), st.integers(0, 60)).map(
        lambda one: interval(one[0], min(one[1:]), max(one[1:]))
    )
)


@given(PIECES, st.integers(0, 60))
def test_a_moment_is_in_the_union_when_it_is_in_a_part(pieces: list[RecoverableInterval], minute: int) -> None:
    """And the union is in order, with room between its parts."""
    moment = AT + timedelta(minutes=minute)
    found = united(pieces)
    assert any(one.from_ <= moment <= one.to for one in found) == any(one.from_ <= moment <= one.to for one in pieces)
    assert all(one.to < after.from_ for one, after in itertools.pairwise(found))


def setting(name: str, value: str, *, minimum: bool = False) -> PostgresSetting:
    """One that an engine needs."""
    return PostgresSetting(name=name, value=value, restart=False, reason="", minimum=minimum)


def test_one_command_line_feeds_both_and_fails_with_either() -> None:
    """It satisfies each engine's own judgement, and holds pgBackRest's name."""
    (both,) = together((setting("archive_command", DELIVER),), (setting("archive_command", PUSH),))
    assert both.value == f"{PUSH} && {DELIVER}"
    assert suffices(setting("archive_command", PUSH), both.value)
    assert suffices(setting("archive_command", DELIVER), both.value)
    assert suffices(both, both.value)


@pytest.mark.parametrize("joint", ["||", ";", "&", "|"])
def test_a_line_that_may_lose_a_segment_is_not_taken_for_both(joint: str) -> None:
    """Only `&&` fails when either part fails."""
    assert not same_archiving(f"{PUSH} {joint} {DELIVER}", PUSH)


def test_what_two_engines_take_adds_up() -> None:
    """Senders and slots; of other lower bounds the higher counts."""
    found = together(
        (setting("max_wal_senders", "3", minimum=True), setting("archive_timeout", "60")),
        (setting("max_wal_senders", "2", minimum=True),),
    )
    assert {one.name: one.value for one in found} == {"max_wal_senders": "5", "archive_timeout": "60"}


PRINTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), min_size=1)


@given(PRINTS, PRINTS)
def test_copies_differ_exactly_where_their_fingerprints_do(one: dict[str, str], other: dict[str, str]) -> None:
    """Nothing is the same by being absent."""
    found = differences(one, other, ("barman", "pgbackrest"))
    assert (not found) == (one == other)
    assert len(found) == sum(one.get(key) != other.get(key) for key in {*one, *other})


def test_nothing_compared_is_nothing_proven() -> None:
    """Two empty copies are not the same."""
    assert differences({}, {}, ("barman", "pgbackrest"))
    side = Side(engine="barman", engine_name="orders", backup="b", replayed=None, objects=0)
    assert not Comparison(moment=AT, sides=(side, side), differences=()).same
