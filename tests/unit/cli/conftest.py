"""Desks for the tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.cli_desk import FAILS, INFO, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A sound spec of one cluster and an engine that says it is well."""
    made = Desk(path=tmp_path)
    made.write()
    made.install()
    made.good_engine()
    return made


@pytest.fixture
def severities(desk: Desk) -> Callable[[str], None]:
    """Makes the one cluster ok, warning, critical or unknown."""

    def become(severity: str) -> None:
        if severity == "unknown":
            desk.engine(FAILS)
        elif severity == "critical":
            empty = INFO | {"backup": [], "status": {"code": 2, "message": "no valid backups"}}
            desk.good_engine((empty,))
        else:
            desk.good_engine(before="echo 'WARN: something odd'; " if severity == "warning" else "")

    return become
