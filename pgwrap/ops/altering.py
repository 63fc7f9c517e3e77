"""PostgreSQL's settings changed through psql, as the operator would type it, as steps and commands. It runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pgwrap.domain.command import Command
from pgwrap.domain.model import Cluster
from pgwrap.domain.plan import AlterSystem, Note, PostgresSetting, Step
from pgwrap.domain.settings import SettingState, sql_literal
from pgwrap.ops.asking import connecting_user
from pgwrap.ops.world import World

_BY_HAND_ONLY: Final = frozenset({"synchronous_standby_names"})
"""Settings that stop every commit when the engine is not restarted at the same moment."""


def setting_steps(cluster: Cluster, states: tuple[SettingState, ...], world: World) -> Iterator[Step]:
    """One step for all that ALTER SYSTEM can set, and notes for what only the operator can do."""
    differing = tuple(state.wanted for state in states if state.verdict == "differs")
    able = tuple(setting for setting in differing if setting.name not in _BY_HAND_ONLY)
    if able:
        yield Step(
            subject=cluster.name,
            effect=AlterSystem(command=alteration(cluster, able, world), settings=able),
            reason="; ".join(f"{setting.name}: {setting.reason}" for setting in able),
            done_when="`pgwrap diff` finds no difference in PostgreSQL",
        )
    for setting in differing:
        if setting.name in _BY_HAND_ONLY:
            message = f"{setting.name} must become {setting.value!r}: {setting.reason}"
            by_hand = alteration(cluster, (setting,), world).quoted()
            yield Step(subject=cluster.name, effect=Note(message=message, by_hand=by_hand), reason=setting.reason)
    waiting = [
        state.wanted.name for state in states if state.wanted.restart and state.verdict in ("differs", "pending")
    ]
    if waiting:
        note = Note(message=f"PostgreSQL needs a restart before {', '.join(waiting)} count; pgwrap restarts nothing")
        yield Step(subject=cluster.name, effect=note, reason="these settings are read at the start alone")


def alteration(cluster: Cluster, settings: tuple[PostgresSetting, ...], world: World) -> Command:
    """ALTER SYSTEM for each, and a reload."""
    changes = (f"alter system set {setting.name} = {sql_literal(setting.value)}" for setting in settings)
    return psql(cluster, (*changes, "select pg_reload_conf()"), world)


def psql(cluster: Cluster, statements: tuple[str, ...], world: World) -> Command:
    """Each statement by psql in a transaction of its own; the password goes by the environment."""
    target = cluster.postgres
    host = target.host or target.socket_directory
    argv = ["psql", "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", f"--port={target.port}"]
    argv += [f"--host={host}"] if host else []
    argv += [f"--username={target.user}"] if target.user else []
    argv.append(f"--dbname={target.connection_database}")
    argv += [f"--command={statement}" for statement in statements]
    environment = [("PGSSLMODE", target.sslmode)] if target.sslmode else []
    environment += [("PGPASSWORD", world.secret(target.password))] if target.password else []
    return Command(
        argv=tuple(argv), run_as=connecting_user(cluster, world), deadline=30.0, environment=tuple(environment)
    )
