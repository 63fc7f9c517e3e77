"""Which files of a directory an engine reads besides its own."""

from __future__ import annotations

import pytest

from pgwrap.domain.model import EngineKind
from pgwrap.ops.installed import configuration_names

NAMES = ("a.conf", ".hidden.conf", ".conf", "b.conf.old", "c.CONF", "conf")


@pytest.mark.parametrize(
    ("kind", "read"), [(EngineKind.PGBACKREST, ["a.conf", ".hidden.conf"]), (EngineKind.BARMAN, ["a.conf"])]
)
def test_names_that_an_engine_reads(kind: EngineKind, read: list[str]) -> None:
    """pgBackRest matches an expression, Barman globs."""
    assert list(configuration_names(NAMES, kind)) == read
