"""Whatever a value holds, Barman reads back exactly it, and nothing else appears in its configuration."""

from __future__ import annotations

import re
from configparser import ConfigParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.engines.barman.values import connection_string, file_name, name_problem, option_line, value_problem
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import SpecError

ONCE, TWICE = EngineVersion((3, 9)), EngineVersion((3, 10))
_QUOTES = re.compile(r"""^(["'])(.*)\1$""")

texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])).filter(lambda t: t.lower() != "none")
awkward = st.text(st.sampled_from(list("%#;[]\"'= :\\()sné\u00a0"))).filter(lambda t: t.lower() != "none")
versions = st.sampled_from([ONCE, TWICE])


def read_as_barman(text: str, version: EngineVersion) -> dict[str, dict[str, str]]:
    """Barman's own reading: config.py, Config.get and (3.10+) ConfigMapping.read_config."""
    parser = ConfigParser(strict=False)
    parser.read_string(text)
    if version >= TWICE:
        first, parser = parser, ConfigParser(strict=False)
        for section in first.sections():
            parser.add_section(section)
            for option, value in first[section].items():
                parser.set(section, option, value)
    return {
        section: {key: _QUOTES.sub(r"\2", parser.get(section, key)) for key in parser.options(section)}
        for section in parser.sections()
    }


@given(value=texts | awkward, version=versions)
def test_a_value_survives_the_way_through_the_file(value: str, version: EngineVersion) -> None:
    """Also in the middle of a section, before and after other options."""
    line = option_line("description", value, version, ())

    read = read_as_barman(f"[one]\na = 1\n{line}\nb = 2\n[two]\nc = 3\n", version)

    assert {"one": {"a": "1", "description": value, "b": "2"}, "two": {"c": "3"}} == read


@pytest.mark.parametrize("value", ["a\nb", "a\r[barman]", "a\x00", "\x1b[0m", "a\u2028b", "a\x85b", "\ud800"])
def test_a_value_with_a_control_character_is_refused(value: str) -> None:
    """It could add a line to the file."""
    with pytest.raises(SpecError) as refusal:
        option_line("description", value, TWICE, ("clusters", "a", "description"))

    assert "clusters.a.description" == refusal.value.problems[0].path


@pytest.mark.parametrize("key", ["", "a b", "a=b", "[a]", "#a", "a\nb", "1a"])
def test_a_key_that_is_no_name_is_refused(key: str) -> None:
    """Keys come from the author, too."""
    with pytest.raises(SpecError):
        option_line(key, "x", TWICE, ())


def test_a_percent_sign_is_doubled_for_each_interpolation() -> None:
    """The wrong number of them makes every command of Barman fail."""
    assert "a = 5%% off" == option_line("a", "5% off", ONCE, ())
    assert "a = 5%%%% off" == option_line("a", "5% off", TWICE, ())


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "all", "barman", "DEFAULT", "-a", ".a", "a/b", "a]b", "a[b", "a%b", "a\nb"]
)
def test_a_name_that_barman_could_not_keep_is_refused(name: str) -> None:
    """It is a section, a directory, a lock file and an argument at once."""
    assert name_problem(name)


@given(name=texts.filter(lambda text: name_problem(text) is None), version=versions)
def test_a_good_name_is_one_section_and_one_file(name: str, version: EngineVersion) -> None:
    """Odd names too."""
    assert {name: {"a": "1"}} == read_as_barman(f"[{name}]\na = 1\n", version)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.conf", file_name(name))


@given(first=texts, second=texts)
def test_two_names_never_share_a_file(first: str, second: str) -> None:
    """What is lost in the name comes back as a digest."""
    assert (first == second) == (file_name(first) == file_name(second))


def test_a_connection_string_quotes_as_libpq_does() -> None:
    """Parameters without a value are left out."""
    text = connection_string(("host", "db"), ("user", None), ("dbname", "o'b"), ("options", ""))

    assert "host=db dbname='o\\'b' options=''" == text


def test_ordinary_text_has_no_problem() -> None:
    """Brackets, hashes and quotes are ordinary."""
    assert None is value_problem("[x] # ; \"q\" 'p' 100% é")
