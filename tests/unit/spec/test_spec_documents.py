"""What is made from the words: JSON Schema, reference, starter."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from pgwrap.domain.model import Fleet
from pgwrap.spec.json_schema import spec_schema
from pgwrap.spec.loader import load
from pgwrap.spec.reference import reference
from pgwrap.spec.starter import Discovered, starter
from pgwrap.text.yaml_text import parse, plain

LoadText = Callable[[str], Fleet]
HERE = Path(__file__).parent
REFERENCE = HERE.parents[2] / "docs/reference/spec.md"


def data_of(text: str) -> object:
    """A spec as an editor's YAML server sees it."""
    root = parse(text.encode(), "f").root
    assert root is not None
    return plain(root)


def test_the_schema_is_a_schema() -> None:
    """Of the draft that it names, with an identity of its own."""
    schema = spec_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    assert ("https://json-schema.org/draft/2020-12/schema", "urn:pgwrap:schema:spec:1") == (
        schema["$schema"],
        schema["$id"],
    )
    assert "x-" not in "".join(key for key in _keys_of(schema) if key.startswith("x-"))


def _keys_of(part: object) -> list[str]:
    if isinstance(part, dict):
        return [*part, *(key for inner in part.values() for key in _keys_of(inner))]
    return [key for inner in part for key in _keys_of(inner)] if isinstance(part, list) else []


def test_every_word_has_a_description() -> None:
    """An editor's help has no gaps."""
    schema = spec_schema()
    words = [
        (name, word, content.get("description"))
        for name, model in [("", schema), *schema["$defs"].items()]
        for option in model.get("anyOf", [model])
        for word, content in option.get("properties", {}).items()
    ]

    assert len(words) > 100
    assert [] == [(name, word) for name, word, description in words if not description]


@pytest.mark.parametrize(
    "text",
    [
        (HERE / "sketch.yaml").read_text(),
        starter(None),
        "version: 1\nclusters: {x: {retention: none, postgres: {ssh: postgres@db2, password: {env: A}}}}",
        "version: 1\nclusters: {x: {options: {pgbackrest: {a: 1, archive-push: {b: [x, true]}}}, description: 12}}",
    ],
)
def test_the_schema_accepts_what_the_loader_accepts(text: str, tmp_path: Path) -> None:
    """No red line in the editor under a right spec."""
    file = tmp_path / "pgwrap.yaml"
    file.write_text(text)

    load(str(file), environment={}, is_root=True)
    jsonschema.validate(data_of(text), spec_schema())


@pytest.mark.parametrize(
    "text",
    [
        "clusters: {}",
        "version: 2",
        "version: 1\nclutsers: {}",
        "version: 1\nclusters: {x: {retenton: {full: 1}}}",
        "version: 1\nclusters: {x: {retention: 14d}}",
        "version: 1\nclusters: {x: {postgres: {port: 99999}}}",
        "version: 1\nclusters: {x: {active: no}}",
        "version: 1\nclusters: {x: {wal: {delivery: pigeon}}}",
        "version: 1\nclusters: {x: {postgres: {password: {file: relative}}}}",
        "version: 1\nclusters: {x: {objectives: {rpo: 300}}}",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    """Unknown words, wrong types, numbers out of range."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data_of(text), spec_schema())


def test_the_reference_is_current() -> None:
    """`python -m pgwrap.spec.reference > docs/reference/spec.md` makes it so."""
    assert reference() == REFERENCE.read_text(encoding="utf-8")


def test_importing_the_package_loads_no_pydantic() -> None:
    """Commands that need no spec don't pay for it."""
    program = "import sys, pgwrap.spec; sys.exit('pydantic' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", program], check=False).returncode


def test_the_starter_is_a_right_spec_that_teaches(tmp_path: Path) -> None:
    """It loads without a warning, and speaks of engines, secrets, retention, promises, roles and passwords."""
    file = tmp_path / "pgwrap.yaml"
    file.write_text(starter(None))

    fleet = load(str(file), environment={}, is_root=True)

    assert (["orders"], ()) == ([cluster.name for cluster in fleet.clusters], fleet.warnings)
    assert starter(None).startswith("# yaml-language-server: $schema=")
    for word in (
        "pgwrap schema",
        "barman",
        "{env: S3_KEY}",
        "window",
        "rpo",
        "GRANT pg_monitor, pg_checkpoint TO",
        ".pgpass",
    ):
        assert word in starter(None)


def test_every_example_in_the_starters_comments_is_right(tmp_path: Path) -> None:
    """Taking a # away never makes a spec wrong."""
    body = starter(None).partition("version: 1")[2].partition("# Roles with")[0]
    file = tmp_path / "pgwrap.yaml"
    file.write_text("version: 1" + re.sub(r"(?m)^( *)# ( *[a-z0-9_-]+:)", r"\1\2", body))

    fleet = load(str(file), environment={}, is_root=True)

    assert {"orders", "billing"} == {cluster.name for cluster in fleet.clusters}
    assert {"pgbackrest", "barman", "barman-backup1"} == {engine.name for engine in fleet.engines}


def test_the_starter_tells_what_the_server_said(tmp_path: Path) -> None:
    """Its version, places and settings, and what is still to do."""
    text = starter(
        Discovered(
            version="13.4",
            version_number=130004,
            data_directory="/srv/pg: #1",
            port=5433,
            host="db1",
            wal_level="minimal",
            wal_segment_size=64 << 20,
            cluster_name="13/main",
        )
    )
    file = tmp_path / "pgwrap.yaml"
    file.write_text(text)

    (cluster,) = load(str(file), environment={}, is_root=True).clusters

    assert ("13-main", "/srv/pg: #1", "db1", 5433, 64 << 20) == (
        cluster.name,
        cluster.postgres.data_directory,
        cluster.postgres.host,
        cluster.postgres.port,
        cluster.postgres.wal_segment_size,
    )
    for words in ("PostgreSQL 13.4", "wal_level must be replica", "archive_mode must be on", "pg_start_backup("):
        assert words in text


@pytest.mark.parametrize("hostile", ["x\nclusters: {}", "x\r- a", "x\u2028y", "{{ x }}", "# : [", "%p 'x' \"y\""])
def test_nothing_a_server_says_leaves_its_place(hostile: str, tmp_path: Path) -> None:
    """A setting's text cannot become a line of the spec."""
    found = Discovered(
        version=hostile, version_number=170000, data_directory="/d", archive_command=hostile, cluster_name=hostile
    )
    file = tmp_path / "pgwrap.yaml"
    file.write_text(starter(found))

    fleet = load(str(file), environment={}, is_root=True)

    assert 1 == len(fleet.clusters)
