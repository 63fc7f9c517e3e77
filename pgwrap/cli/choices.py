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
    from pgwrap.ops.versions import alone, choose, choose_for, parse_named

    kinds = frozenset(instance.kind for instance in (*(one.engine for one in fleet.clusters), *alone(fleet)))
    versions = parse_named(tuple(named or ()), kinds)
    choices = choose(fleet.clusters, versions, world, ask=not offline)
    choices |= {instance: choose_for(instance, versions, world, ask=not offline) for instance in alone(fleet)}
    for choice in choices.values():
        if choice.note:
            run.say(f"note: {choice.note}")
    return choices
