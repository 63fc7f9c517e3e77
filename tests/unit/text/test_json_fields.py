"""Members of JSON objects are what they must be, or an error with their place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgwrap.text.json_fields import Fields, WrongField, fields_of

Reader = Callable[[Fields, str], object]


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (Fields.text, None, "a text"),
        (Fields.optional_text, 1, "a text"),
        (Fields.integer, None, "a whole number"),
        (Fields.integer, True, "a whole number"),
        (Fields.optional_integer, 1.0, "a whole number"),
        (Fields.optional_number, "1", "a number"),
        (Fields.optional_number, False, "a number"),
        (Fields.optional_flag, 1, "true or false"),
        (Fields.optional_lsn, "1", "a WAL position"),
        (Fields.epoch, "1", "a whole number"),
        (Fields.epoch, 1 << 80, "a time"),
        (Fields.optional_moment, "yesterday", "a time"),
        (Fields.child, None, "an object"),
        (lambda fields, key: list(fields.children(key)), None, "a list"),
        (Fields.texts, "a", "a list of texts"),
        (Fields.texts, [1], "made of texts"),
        (Fields.pairs, {"a": 1}, "made of texts"),
    ],
)
def test_another_kind_is_an_error_with_its_place(read: Reader, value: object, wanted: str) -> None:
    """Nothing is converted, and the value itself is not repeated: it may be a secret."""
    with pytest.raises(WrongField) as caught:
        read(Fields(None, "top", {"key": value}), "key")

    assert f"top.key is not {wanted}" == str(caught.value)


def test_what_is_missing_is_none_or_empty() -> None:
    """Where a version may leave it out."""
    fields = Fields(None, "top", {})

    assert (None, None, None) == (
        fields.optional_text("a"),
        fields.optional_integer("b"),
        fields.optional_moment("c"),
    )
    assert ({}, [], ()) == (fields.child("d").values, list(fields.children("e")), fields.texts("f"))


def test_places_grow_inwards() -> None:
    """An error deep inside names the whole way to it."""
    (inner,) = fields_of({"list": [{"a": {}}]}, "top").children("list")

    assert "top.list[0].a" == inner.child("a").place
