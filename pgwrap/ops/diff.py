"""What runs against what the spec says, over the fleet: files, meaning, PostgreSQL's settings. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from pgwrap.domain.drift import FleetDrift, InstallationDrift, SettingDrift
from pgwrap.domain.facts import PostgresView
from pgwrap.domain.model import Cluster, EngineInstance, Fleet
from pgwrap.domain.settings import setting_states, slot_states
from pgwrap.errors import Problem
from pgwrap.ops.asking import POSTGRES_DEADLINE, ask_postgres
from pgwrap.ops.drift import Wanted, all_wanted, drift
from pgwrap.ops.observing import results
from pgwrap.ops.render import render_installations
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import World, owned


def diff(
    fleet: Fleet,
    clusters: tuple[Cluster, ...],
    choices: Mapping[EngineInstance, VersionChoice],
    world: World,
    *,
    postgres: bool,
) -> tuple[FleetDrift, tuple[Problem, ...]]:
    """Every difference for `clusters`, and the spec's warnings; SpecError when the spec cannot be rendered."""
    rendered, warnings = render_installations(fleet, clusters, choices, world, secret=world.secret)
    wanted = all_wanted(fleet, clusters, choices, rendered, world)
    with ThreadPoolExecutor(max_workers=max(4, len(wanted) + 1)) as pool:
        views = pool.submit(ask_postgres, clusters if postgres else (), world, POSTGRES_DEADLINE)
        comparing = [pool.submit(_installation, one, world) for one in wanted]
        installations = tuple(results(comparing))
        (servers,) = results([views])
    settings = tuple(_settings(clusters, choices, servers, world)) if postgres else ()
    return FleetDrift(installations=installations, postgres=settings, postgres_asked=postgres), warnings


def _installation(wanted: Wanted, world: World) -> InstallationDrift:
    return drift(wanted, world).drift


def _settings(
    clusters: tuple[Cluster, ...],
    choices: Mapping[EngineInstance, VersionChoice],
    servers: Mapping[str, PostgresView],
    world: World,
) -> Iterator[SettingDrift]:
    """Every setting and slot that is not known to be as needed."""
    for cluster in owned(clusters, world):
        server = servers.get(cluster.name)
        needed = world.engine(cluster.engine).settings(cluster, choices[cluster.engine].version)
        for state in setting_states(needed.settings, server):
            if state.verdict != "as-needed":
                yield SettingDrift(
                    cluster=cluster.name,
                    name=state.wanted.name,
                    actual=state.actual,
                    wanted=f"at least {state.wanted.value}" if state.wanted.minimum else state.wanted.value,
                    verdict=state.verdict,
                    restart=state.wanted.restart,
                    reason=_silence(cluster, server) if state.verdict == "unknown" else state.wanted.reason,
                )
        for slot in slot_states(needed.slots, server):
            if not slot.exists:
                yield SettingDrift(
                    cluster=cluster.name,
                    name=f"slot {slot.wanted.name}",
                    actual=None,
                    wanted=f"created by {slot.wanted.created_by}",
                    verdict="unknown" if slot.exists is None else "differs",
                    restart=False,
                    reason=_silence(cluster, server) if slot.exists is None else "it does not exist",
                )


def _silence(cluster: Cluster, server: PostgresView | None) -> str:
    """Why the server's word is missing."""
    if server is None:
        refused = "the spec says not to ask it" if not cluster.postgres.ask else "the spec does not say how to connect"
        return f"PostgreSQL was not asked: {refused}"
    if not server.reachable:
        return f"PostgreSQL did not answer: {server.error or 'no reason given'}"
    return "PostgreSQL does not tell"
