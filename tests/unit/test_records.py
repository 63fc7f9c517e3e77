"""pgwrap's own `dataclass` means what the standard library's does, save that nothing freezes it while it runs."""

from __future__ import annotations

import copy
import dataclasses
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap import records


def _defined(decorator: Any, **options: bool) -> Any:
    """A class of each kind of field, by one of the two decorators."""

    class Thing:
        """Something."""

        number: int
        text: str = "none"
        hidden: str = dataclasses.field(default="", repr=False)
        aside: int = dataclasses.field(default=0, compare=False)
        many: tuple[int, ...] = dataclasses.field(default_factory=tuple)

        def __str__(self) -> str:
            return "a thing"

    Thing.__annotations__ = {"number": int, "text": str, "hidden": str, "aside": int, "many": tuple}
    return decorator(frozen=True, slots=True, **options)(Thing)


OURS = _defined(records.dataclass, order=True)
THEIRS = _defined(dataclasses.dataclass, order=True)
VALUES = st.tuples(
    st.integers(0, 2), st.sampled_from("ab"), st.sampled_from("ab"), st.integers(0, 1), st.tuples(st.integers(0, 1))
)
COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


@given(VALUES, VALUES)
def test_two_compare_and_hash_as_the_standard_ones(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    for comparison in COMPARISONS:
        assert comparison(OURS(*one), OURS(*other)) == comparison(THEIRS(*one), THEIRS(*other))
    assert hash(OURS(*one)) == hash(THEIRS(*one))
    assert repr(OURS(*one)) == repr(THEIRS(*one))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, dataclasses.replace])
def test_a_copy_is_the_same(again: Callable[[Any], Any]) -> None:
    thing = OURS(1, "a", many=(2, 3))
    assert again(thing) == thing
    assert dataclasses.asdict(again(thing)) == dataclasses.asdict(THEIRS(1, "a", many=(2, 3)))


def test_of_another_class_is_never_the_same() -> None:
    assert OURS(1) != THEIRS(1)
    with pytest.raises(TypeError):
        assert OURS(1) < THEIRS(1)


def test_there_is_no_place_for_anything_else() -> None:
    with pytest.raises(AttributeError):
        OURS(1).unknown = 1


@records.dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One that can be found by its name."""

    secret: str = dataclasses.field(repr=False)

    def __repr__(self) -> str:
        return "kept"


def test_what_a_class_says_itself_stays() -> None:
    assert repr(Kept(secret="x")) == "kept"


def test_it_can_be_kept_in_a_file() -> None:
    assert pickle.loads(pickle.dumps(Kept(secret="x"))) == Kept(secret="x")  # noqa: S301 - its own


def test_keywords_are_asked_for() -> None:
    with pytest.raises(TypeError):
        Kept("x")  # type: ignore[misc]


def test_one_that_may_change_is_the_standard_one() -> None:
    plain = _defined(lambda **_: records.dataclass(slots=True))
    assert plain.__hash__ is None
