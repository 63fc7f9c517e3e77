"""The text of a spec from adopted files: what goes in is what the loader reads back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pgwrap.domain.adoption import Adoption, Words
from pgwrap.domain.model import Secret
from pgwrap.spec.loader import load_text
from pgwrap.spec.writing import write
from pgwrap.text.yaml_text import MappingNode, parse, plain

SHOP: Words = {"postgres": {"data_directory": "/data"}, "repositories": ("repo1",)}


def adoption(engine: str = "pgbackrest", cluster: str = "main", **more: object) -> Adoption:
    """One cluster in one repository."""
    words: dict[str, object] = {
        "engine": (engine, {}),
        "repositories": {"repo1": {"path": f"/{engine}"}},
        "clusters": {cluster: SHOP},
        **more,
    }
    return Adoption(**words)  # type: ignore[arg-type]


def test_comments_stand_above_their_words() -> None:
    """Also inside a list."""
    found = adoption(
        clusters={"main": {**SHOP, "standbys": ({"data_directory": "/copy", "port": 5433},)}},
        comments={
            ("clusters", "main"): ("The shop.", "", "Call Ann: 555"),
            ("clusters", "main", "standbys", "0", "data_directory"): ("In the cellar.",),
        },
    )
    assert write([found], head=("Imported.",)).text == (
        "# Imported.\n"
        "version: 1\n"
        "\n"
        "engines:\n"
        "  pgbackrest: {}\n"
        "\n"
        "repositories:\n"
        "  repo1:\n"
        "    path: /pgbackrest\n"
        "\n"
        "clusters:\n"
        "  # The shop.\n"
        "  #\n"
        "  # Call Ann: 555\n"
        "  main:\n"
        "    postgres:\n"
        "      data_directory: /data\n"
        "    repositories:\n"
        "      - repo1\n"
        "    standbys:\n"
        "      # In the cellar.\n"
        "      - data_directory: /copy\n"
        "        port: 5433\n"
    )


def test_two_engines_with_the_same_names_are_told_apart() -> None:
    """The engine's own name stays."""
    fleet = load_text(write([adoption(), adoption("barman")]).text, "spec")
    assert [(one.name, one.engine.name, one.engine_name) for one in fleet.clusters] == [
        ("main", "pgbackrest", "main"),
        ("main-barman", "barman", "main"),
    ]
    assert [one.repositories[0].path for one in fleet.clusters] == ["/pgbackrest", "/barman"]


def test_secrets_go_into_files_of_their_own() -> None:
    """Or stay in the text, and that is known."""
    path = ("repositories", "repo1", "encryption", "passphrase")
    found = adoption(
        repositories={"repo1": {"path": "/r", "encryption": {"cipher": "aes-256-cbc"}}}, secrets={path: "hush: #1"}
    )
    apart = write([found], "/etc/pgwrap/secrets")
    assert dict(apart.secrets) == {"/etc/pgwrap/secrets/repo1-passphrase": "hush: #1\n"}
    assert "hush" not in apart.text
    assert apart.literal == ()
    literal = write([found])
    assert literal.literal == (path,)
    encryption = load_text(literal.text, "spec").clusters[0].repositories[0].encryption
    assert encryption is not None
    assert encryption.passphrase is not None
    assert encryption.passphrase.value == ("hush: #1",)


def test_a_secret_of_a_standby_finds_its_place_in_the_list() -> None:
    """In the text, or in a file of its own."""
    path = ("clusters", "main", "standbys", "0", "password")
    words: Words = {"engine": "barman", "postgres": {"host": "a"}, "standbys": ({"host": "b"},)}
    found = adoption("barman", clusters={"main": words}, secrets={path: "hush"})
    (standby,) = load_text(write([found]).text, "spec").clusters[0].standbys
    assert standby.password == Secret(kind="literal", value=("hush",))
    assert dict(write([found], "/s").secrets) == {"/s/main-standbys-0-password": "hush\n"}


def test_a_comment_cannot_become_a_word() -> None:
    """Whatever line breaks it holds."""
    found = adoption(comments={("clusters", "main"): ("a\nclusters: {x: {}}\u2028b\x85c\x00d",)})
    assert len(load_text(write([found]).text, "spec").clusters) == 1


ODD = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn")), min_size=1)


@settings(deadline=None)
@given(st.dictionaries(ODD, ODD, min_size=1, max_size=4), st.lists(ODD, min_size=1, max_size=4))
def test_any_text_is_read_back(options: dict[str, str], values: list[str]) -> None:
    """As keys, as values, and in lists."""
    found = Adoption(
        engine=("pgbackrest", {"options": {**options, "list": tuple(values)}}), repositories={}, clusters={}
    )
    root = parse(write([found]).text.encode(), "spec").root
    assert isinstance(root, MappingNode)
    read = plain(root)
    assert isinstance(read, dict)
    assert read["engines"] == {"pgbackrest": {"options": {**options, "list": values}}}
