"""The registry of engines. Importing it is cheap: an engine's module is loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pgwrap.domain.model import EngineKind
from pgwrap.engines.port import Engine


def _pgbackrest() -> Engine:
    from pgwrap.engines.pgbackrest.adapter import PgBackRest

    return PgBackRest()


def _barman() -> Engine:
    from pgwrap.engines.barman.adapter import Barman

    return Barman()


ENGINES: Final[dict[EngineKind, Callable[[], Engine]]] = {
    EngineKind.PGBACKREST: _pgbackrest,
    EngineKind.BARMAN: _barman,
}
