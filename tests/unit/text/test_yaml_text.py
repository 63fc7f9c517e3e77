"""The strict YAML door: what it reads, where it says things stand, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwrap.errors import Location
from pgwrap.text import yaml_text
from pgwrap.text.yaml_text import Document, MappingNode, Scalar, dump, parse, plain


def only_problem(text: str | bytes) -> str:
    """The one problem of `text`, as the author would see it."""
    data = text if isinstance(text, bytes) else text.encode()
    (problem,) = parse(data, "spec.yaml").problems
    return str(problem)


def test_a_tree_keeps_the_text_and_the_place_of_every_value() -> None:
    """A value's line and column count from 1, in characters."""
    root = parse("é: [ü, 'no']\n".encode(), "f").root

    assert isinstance(root, MappingNode)
    assert Scalar("é", quoted=False, location=Location("f", 1, 1)) == root.entries[0].key
    assert ["ü", "no"] == plain(root.entries[0].value)
    assert Location("f", 1, 8) == root.entries[0].value.items[1].location  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["no", "yes", "on", "off", "1:30", "010", "1_000", "0x1f", "0o17", "2020-01-01", "True"]
)
def test_what_other_readers_change_stays_text(text: str) -> None:
    """YAML's own traps are closed: the author's text is the value."""
    root = parse(f"a: {text}\n".encode(), "f").root

    assert root is not None
    assert {"a": text} == plain(root)


def test_only_plain_numbers_truth_and_nothing_are_more_than_text() -> None:
    """true, false, null, ~, an empty place and decimal numbers have types; quoted ones are text."""
    root = parse(b"[true, false, null, ~, , 12, -3, 1.5, '12', 'true']".replace(b", ,", b", '',"), "f").root

    assert root is not None
    assert [True, False, None, None, "", 12, -3, 1.5, "12", "true"] == plain(root)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null\n"])
def test_an_empty_file_has_no_tree_and_no_problem(text: str) -> None:
    """Nothing said is nothing wrong; what it means is the spec's to say."""
    assert Document(root=None) == parse(text.encode(), "f")


def test_a_key_written_twice_is_a_problem_with_both_lines() -> None:
    """The second one's place, and the first one's line."""
    assert "spec.yaml:2:1: error: 'a' is written twice here (first in line 1)" == only_problem("a: 1\na: 2\n")


def test_every_duplicate_and_tag_is_told_at_once() -> None:
    """What does not stop the reading does not hide what follows."""
    problems = parse(b"a: 1\na: 2\nb: !!python/object:os.system x\nc: !own y\n", "f").problems

    assert [2, 3, 4] == [problem.location.line for problem in problems if problem.location]


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!own", "!!str", "!"])
def test_tags_are_refused_and_build_nothing(tag: str) -> None:
    """No tag is ever obeyed."""
    message = only_problem(f"a: {tag} x\n")

    assert message.startswith(f"spec.yaml:1:4: error: the tag {tag} is not allowed")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n\tb: 1\n", "spec.yaml:2:1: error: a tab in the indentation (indent with spaces)"),
        (b"a: 1\nb: \xff\n", "spec.yaml:2:4: error: byte 0xff is not UTF-8 (save the file as UTF-8)"),
        (b"\xff\xfea\x00", "spec.yaml:1:1: error: byte 0xff is not UTF-8 (save the file as UTF-8)"),
        ("a: x\0y\n", "spec.yaml:1:5: error: character U+0000 is not allowed in YAML (remove it)"),
        ("a: 1\n---\nb: 2\n", "spec.yaml:2:1: error: a second YAML document starts here"),
        ("a: {\n", "spec.yaml:2:1: error: not YAML: did not find expected node content"),
        ("a: b: c\n", "spec.yaml:1:5: error: not YAML: mapping values are not allowed"),
        ("a: *b\n", "spec.yaml:1:4: error: "),
        ("a: &a [*a]\n", "spec.yaml:1:8: error: the alias *a stands inside what it repeats"),
        ("? [a]\n: b\n", "spec.yaml:1:3: error: a key must be text"),
        ("<<: {a: 1}\n", "spec.yaml:1:1: error: merge keys (<<) are not read"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(text: str | bytes, expected: str) -> None:
    """Each with its line and column."""
    assert only_problem(text).startswith(expected)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    """Editors add them without being asked."""
    root = parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "f").root

    assert root is not None
    assert {"a": 1, "b": 2} == plain(root)


def test_aliases_repeat_a_value() -> None:
    """The value keeps the place where it was written."""
    root = parse(b"a: &x [1]\nb: *x\n", "f").root

    assert isinstance(root, MappingNode)
    assert {"a": [1], "b": [1]} == plain(root)
    assert root.get("a") == root.get("b")


def test_aliases_that_multiply_are_refused() -> None:
    """A few lines cannot become billions of values."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20))]

    assert "the aliases of this file repeat more than 100000 values" in only_problem("\n".join(lines))


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 5_000 + "x", "[" * 70 + "]" * 70])
def test_endless_nesting_is_refused(text: str) -> None:
    """Neither the stack nor the clock pays for it."""
    assert f"nested more than {yaml_text.DEPTH_LIMIT} levels deep" in only_problem(text)


def test_a_large_file_is_refused_before_it_is_read() -> None:
    """Ten megabytes are no spec."""
    assert only_problem(b"a: 1\n" * 2_000_000).startswith("spec.yaml:1:1: error: the file is larger than 4 MiB")


def test_dump_is_block_style_in_the_order_given_and_never_an_alias() -> None:
    """Repeated data is written out; text that could be misread is quoted."""
    shared = ["é", "no", "010", "1:30", "1e5"]

    assert (
        "b:\n- é\n- 'no'\n- '010'\n- '1:30'\n- '1e5'\na:\n- é\n- 'no'\n- '010'\n- '1:30'\n- '1e5'\nz: null\n"
        == dump({"b": shared, "a": tuple(shared), "z": None})
    )


scalars = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text() | st.floats(-1e15, 1e15)
data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), data, max_size=4))
def test_what_dump_writes_parse_reads_back(value: dict[str, object]) -> None:
    """Any text, number or nesting comes back as it was."""
    document = parse(dump(value).encode(), "f")

    assert () == document.problems
    assert value == (plain(document.root) if document.root else {})


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(content: bytes) -> None:
    """Whatever a file holds, the answer is a tree or problems."""
    document = parse(content, "f")

    assert all(problem.location for problem in document.problems)


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@` \n\t,?~\\", max_size=60))
def test_no_yaml_like_text_makes_it_raise(content: str) -> None:
    """Nor does text that is nearly YAML."""
    document = parse(content.encode(), "f")

    assert all(problem.location for problem in document.problems)
