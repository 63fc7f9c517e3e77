"""The reference of the status names everything that the status says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgwrap.present.csv_format import COLUMNS
from pgwrap.present.formats import FORMATS
from pgwrap.present.metrics import FAMILIES
from pgwrap.present.schema import status_schema

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "status.md").read_text()


def keys_of_the_contract() -> Iterator[str]:
    """Every key of every object that the schema knows."""
    document = status_schema()
    definitions = document["$defs"]
    assert isinstance(definitions, dict)
    for definition in (document, *definitions.values()):
        assert isinstance(definition, dict)
        properties = definition.get("properties", {})
        assert isinstance(properties, dict)
        yield from properties


@pytest.mark.parametrize("name", sorted({*keys_of_the_contract(), *FORMATS, *COLUMNS}))
def test_every_key_format_and_column_is_described(name: str) -> None:
    """Nothing is said that the reference does not name."""
    assert f"`{name}`" in REFERENCE


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_metric_is_described(family: object) -> None:
    """The metrics' list is the registry's, word for word."""
    assert f"| `{family.name}` | {family.help} |\n" in REFERENCE  # type: ignore[attr-defined]
