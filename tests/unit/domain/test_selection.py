"""What `--only` names, by PostgreSQL's rules for names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.selection import Selection, one_database

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
SELECTIONS = st.one_of(
    st.builds(Selection, database=NAMES),
    st.builds(Selection, database=NAMES, schema=NAMES),
    st.builds(Selection, database=NAMES, schema=NAMES, table=NAMES),
)


@given(SELECTIONS)
def test_what_is_shown_means_the_same_when_typed(selection: Selection) -> None:
    """Dots, quotes, capitals and blanks included."""
    assert Selection.parse(str(selection)) == selection


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("shop", ()),
        ("Shop.Public", ('--schema="public"',)),
        ("shop.public.Orders", ('--table="public"."orders"',)),
        ('shop."A.b"."c""d*"', ('--table="A.b"."c""d*"',)),
    ],
)
def test_pg_dump_is_told_to_the_letter(typed: str, arguments: tuple[str, ...]) -> None:
    """No name is a pattern; what has no quotes is folded, save the database's, which is no SQL."""
    selection = Selection.parse(typed)
    assert selection.arguments() == arguments
    assert selection.database == typed.split(".", maxsplit=1)[0].strip('"')


@pytest.mark.parametrize("typed", ["", ".", "a.", "a..b", "a.b.c.d", '"', '""', 'a."b', "a\0b"])
def test_what_names_nothing(typed: str) -> None:
    """It is said what a selection looks like."""
    with pytest.raises(ValueError, match="is not DATABASE"):
        Selection.parse(typed)


@pytest.mark.parametrize(
    ("typed", "why"),
    [(("a.b", "c.d"), "one database"), (("a", "a.b"), "a whole database"), ((), "nothing")],
)
def test_one_database_at_a_time(typed: tuple[str, ...], why: str) -> None:
    """And no part beside its whole."""
    with pytest.raises(ValueError, match=why):
        one_database(Selection.parse(text) for text in typed)
    assert one_database((Selection.parse("a.b"), Selection.parse("a.c.d"))) == "a"
