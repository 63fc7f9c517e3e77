"""Which engine versions a command checks and writes for, said where that is not simply the installed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgwrap.cli.session import Session
    from pgwrap.domain.model import EngineInstance, Fleet
    from pgwrap.ops.versions import VersionChoice
    from pgwrap.ops.world import World


def engine_choices(
    run: Session, fleet: Fleet, world: World, named: list[str] | None, *, offline: bool
) -> dict[EngineInstance, VersionChoice]:
    """A version per installation; what pgwrap had to assume goes to standard error."""
    from pgwrap.ops.versions import choose, parse_named

    kinds = frozenset(cluster.engine.kind for cluster in fleet.clusters)
    choices = choose(fleet.clusters, parse_named(tuple(named or ()), kinds), world, ask=not offline)
    for choice in choices.values():
        if choice.note:
            run.say(f"note: {choice.note}")
    return choices
