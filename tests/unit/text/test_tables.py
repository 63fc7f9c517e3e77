"""Tables and columns keep their promises about width, whatever the letters."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pgwrap.text.columns import columns, cut, wrap
from pgwrap.text.tables import table

LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cn"]))


def test_a_plain_table_lines_up_wide_and_coloured_cells() -> None:
    """Two columns between cells; digits stay text; no blanks at line ends."""
    text = table([("007", "\x1b[31mbad\x1b[0m", "x"), ("日本", "", "")], ("id", "severity", "end"))

    assert text == "id    severity  end\n007   \x1b[31mbad\x1b[0m       x\n日本"


def test_a_markdown_table_has_a_rule_and_bars() -> None:
    """The header, the rule, a row."""
    lines = table([("1", "b")], ("one", "two"), "markdown").split("\n")

    assert ["one", "two"] == [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert set(lines[1]) <= set("|-:")
    assert ["1", "b"] == [cell.strip() for cell in lines[2].strip("|").split("|")]


def test_a_table_without_rows_is_its_header() -> None:
    """Nothing to show is shown as such."""
    assert table([], ("a", "b")) == "a  b"


@example([("", "\u0f35")])
@given(st.lists(st.tuples(LETTERS, LETTERS), max_size=5))
def test_a_table_has_a_line_per_row_and_every_cell(rows: list[tuple[str, str]]) -> None:
    """No cell is lost, changed or broken over lines."""
    lines = table(rows, ("first", "second")).split("\n")

    assert len(rows) + 1 == len(lines)
    assert all(cell in line for row, line in zip(rows, lines[1:], strict=True) for cell in row)


@given(LETTERS, st.integers(1, 30))
def test_a_cut_text_fits(text: str, width: int) -> None:
    """Never wider than asked for, and untouched when it fits."""
    assert columns(cut(text, width)) <= width
    assert cut(text, columns(text)) == text


def test_a_name_is_cut_in_its_middle() -> None:
    """Both ends tell it apart."""
    assert cut("orders-production-eu-1", 11) == "order…-eu-1"


@given(st.lists(LETTERS).map(" ".join), st.integers(20, 60), st.integers(0, 10))
def test_wrapped_lines_fit_and_keep_all_letters(text: str, width: int, indent: int) -> None:
    """Words may be broken, never lost."""
    lines = wrap(text, width, first=" " * indent, rest=" " * indent)

    assert max(columns(line) for line in lines) <= width
    assert text.replace(" ", "") == "".join(lines).replace(" ", "")
