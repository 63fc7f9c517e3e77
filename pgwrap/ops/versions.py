"""Which version of each engine to write for: the one named, else the installed one, else the newest known."""

from __future__ import annotations

from collections.abc import Mapping

from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import EngineUnsupported, PgwrapError, UsageError
from pgwrap.ops.world import World, by_instance
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChoice:
    """The version to write for, and a sentence where it is not simply the installed one."""

    version: EngineVersion
    note: str = ""


def parse_named(texts: tuple[str, ...], kinds: frozenset[EngineKind]) -> dict[EngineKind, EngineVersion]:
    """Read `--engine-version 2.55.1` (one engine in use) or `--engine-version barman=3.13.3`; UsageError otherwise."""
    named: dict[EngineKind, EngineVersion] = {}
    for text in texts:
        engine, equals, version = text.rpartition("=")
        if not equals and len(kinds) != 1:
            raise UsageError(
                f"--engine-version {text}: say which engine", hint="for example --engine-version pgbackrest=2.55.1"
            )
        if equals and engine not in tuple(EngineKind):
            raise UsageError(
                f"--engine-version {text}: there is no engine {engine!r}", hint=f"engines: {', '.join(EngineKind)}"
            )
        try:
            kind = EngineKind(engine) if equals else next(iter(kinds))
            named[kind] = EngineVersion.parse(version)
        except ValueError as error:
            raise UsageError(f"--engine-version {text}: {error}", hint="for example pgbackrest=2.55.1") from error
    return named


def choose(
    clusters: tuple[Cluster, ...], named: Mapping[EngineKind, EngineVersion], world: World, *, ask: bool = True
) -> dict[EngineInstance, VersionChoice]:
    """A version for every installation in use; EngineUnsupported for one older than pgwrap is tested with."""
    return {
        instance: _supported(instance, _choose_one(instance, users, named, world, ask=ask), world)
        for instance, users in by_instance(clusters).items()
    }


def choose_for(
    instance: EngineInstance, named: Mapping[EngineKind, EngineVersion], world: World, *, ask: bool = True
) -> VersionChoice:
    """A version for an installation of which no cluster is known yet; EngineUnsupported for one that is too old."""
    return _supported(instance, _choose_one(instance, (), named, world, ask=ask), world)


def alone(fleet: Fleet) -> tuple[EngineInstance, ...]:
    """Installations that the spec gives options of their own, and of which it names no cluster (yet)."""
    used = {cluster.engine for cluster in fleet.clusters}
    return tuple(instance for instance in fleet.engines if instance.options and instance not in used)


def _choose_one(
    instance: EngineInstance,
    users: tuple[Cluster, ...],
    named: Mapping[EngineKind, EngineVersion],
    world: World,
    *,
    ask: bool,
) -> VersionChoice:
    engine = world.engine(instance)
    if instance.kind in named:
        return VersionChoice(version=named[instance.kind])
    if not ask:
        return VersionChoice(
            version=engine.newest, note=f"{instance.name}: checked against {engine.newest}, the newest known version"
        )
    try:
        run_as = world.user_for(users[0]) if users else instance.run_as
        return VersionChoice(version=world.converse(engine.version(instance, run_as)))
    except PgwrapError as error:
        return VersionChoice(
            version=engine.newest,
            note=f"{instance.name}: its version could not be asked ({error.message}); "
            f"taking {engine.newest}, the newest known; name another with --engine-version {instance.kind}=VERSION",
        )


def _supported(instance: EngineInstance, choice: VersionChoice, world: World) -> VersionChoice:
    engine = world.engine(instance)
    if choice.version < engine.oldest:
        raise EngineUnsupported(
            f"{instance.name}: version {choice.version} is older than {engine.oldest}, the oldest pgwrap knows",
            hint=f"upgrade {instance.kind}, or name the version to write for with --engine-version",
        )
    if choice.version > engine.newest and not choice.note:
        return VersionChoice(
            version=choice.version,
            note=f"{instance.name}: version {choice.version} is newer than {engine.newest}, the newest pgwrap knows; "
            "options that came since are not checked",
        )
    return choice
