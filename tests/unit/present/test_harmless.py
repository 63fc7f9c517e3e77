"""Text from outside loses its power and keeps its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.present.harmless import harmless, markdown, nagios, spreadsheet


@given(st.text(st.characters()))
def test_harmless_text_is_one_printable_line(text: str) -> None:
    """Nothing that is left moves a cursor, hides, reorders or breaks an encoding."""
    shown = harmless(text)

    assert shown.isprintable()
    assert shown == harmless(shown)
    shown.encode()


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_ordinary_text_stays(text: str) -> None:
    """Only runs of blanks are folded."""
    assert " ".join(text.split()) == harmless(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ERROR: [055]:\n    HINT: look", "ERROR: [055]: HINT: look"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff", "\\udcff"),
        ("é日本", "é日本"),
    ],
)
def test_harmless_examples(text: str, shown: str) -> None:
    """Lines are joined, escape sequences and direction marks shown, letters kept."""
    assert shown == harmless(text)


def test_markdown_is_literal() -> None:
    """Markup characters are escaped, tags and entities too."""
    assert markdown("a|b *c* <i> &lt; [x](y) `z` w_l") == (r"a\|b \*c\* \<i\> &amp;lt; \[x\]\(y\) \`z\` w\_l")


def test_a_bar_cannot_begin_performance_data() -> None:
    """Nagios cuts the output at the first bar."""
    assert nagios("a | b=1") == "a / b=1"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\t=", " @"])
def test_a_formula_is_text(sign: str) -> None:
    """A spreadsheet shows the cell and evaluates nothing."""
    assert spreadsheet(f"{sign}cmd").startswith("'")
